"""The panel's QR codes are those that another encoder makes, module for module."""

import random

import pytest
import segno

from firmware.ui import qr


@pytest.mark.parametrize("length", [1, 17, 18, 53, 106, 134, 154, 192, 230, 231, 272, 321, 367, 425, 458, 520])
def test_every_version_equals_another_encoder(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # segno 1.6 puts eight bits of padding where none are missing (ISO/IEC 18004:2015, 7.4.10).
    monkeypatch.setattr(segno.encoder, "write_padding_bits", lambda buff, _, length: buff.extend([0] * (-length % 8)))
    data = random.Random(length).randbytes(length)
    code = qr.Code(data)
    other = segno.make(data, error="l", mask=qr.MASK, mode="byte", boost_error=False, micro=False, encoding=None)
    assert code.size == len(other.matrix)
    ours = [[int(code.dark(row, column)) for column in range(code.size)] for row in range(code.size)]
    assert ours == [list(row) for row in other.matrix]


def test_too_much_is_refused() -> None:
    with pytest.raises(ValueError, match="too much"):
        qr.Code(bytes(521))
