"""Parts to carry come back as the same files; what is missing or damaged is told."""

import json

import pytest

from models import carry


@pytest.fixture
def parts(tmp_path):
    for place, name in enumerate(carry.NEEDED):
        path = tmp_path / "faces" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes([place]) * (100 + 37 * place))
    carry.pack(tmp_path / "faces", tmp_path / "parts", part=256)
    return tmp_path / "parts"


def test_whole(parts, tmp_path):
    assert carry.unpack(parts, tmp_path / "back") == []
    for name in carry.NEEDED:
        assert (tmp_path / "back" / name).read_bytes() == (tmp_path / "faces" / name).read_bytes()


def test_parts_may_come_one_by_one(parts, tmp_path):
    first = parts / "part00.bin"
    content = first.read_bytes()
    first.unlink()
    assert carry.NEEDED[0] in carry.unpack(parts, tmp_path / "back")
    first.write_bytes(content)
    assert carry.unpack(parts, tmp_path / "back") == []


def test_a_damaged_part_is_refused(parts, tmp_path):
    first = parts / "part00.bin"
    first.write_bytes(b"x" + first.read_bytes()[1:])
    with pytest.raises(ValueError, match="damaged"):
        carry.unpack(parts, tmp_path / "back")


def test_no_part_is_too_large(parts):
    assert all(entry["bytes"] <= 256 for entry in json.loads((parts / "parts.json").read_text())["parts"].values())
    assert carry.PART < 60 << 20
