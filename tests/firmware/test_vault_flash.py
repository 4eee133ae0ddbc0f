"""The flash on a file behaves as the chip: bits only fall, blocks rise, and nothing lies outside."""

import os

from firmware.base.errors import HalError
from firmware.hal.virtual.flash import Faults, FileFlash, PowerCut
from tests.firmware.vault_house import refused

_PATH = (os.getenv("TMPDIR") or "/tmp") + "/chip.bin"


def _flash(faults=None) -> FileFlash:
    try:
        os.remove(_PATH)
    except OSError:
        pass
    return FileFlash(_PATH, 4, faults)


def _read(flash, block: int, length: int, offset: int = 0) -> bytes:
    data = bytearray(length)
    flash.read(block, data, offset)
    return bytes(data)


def test_programming_clears_bits_and_erasing_sets_a_block():
    flash = _flash()
    assert _read(flash, 2, 4096) == b"\xff" * 4096
    flash.program(2, b"\x0f\xaa", 4094)
    flash.program(2, b"\xf1\xff", 4094)
    flash.program(1, b"\x00")
    assert _read(flash, 2, 2, 4094) == b"\x01\xaa"
    flash.erase(2)
    assert _read(flash, 2, 4096) == b"\xff" * 4096
    assert _read(flash, 1, 2) == b"\x00\xff"
    flash.close()


def test_nothing_lies_outside_a_block():
    flash = _flash()
    for block, length, offset in ((4, 1, 0), (-1, 1, 0), (0, 2, 4095), (0, 1, -1)):
        assert refused(HalError, flash.read, block, bytearray(length), offset)
        assert refused(HalError, flash.program, block, bytes(length), offset)
    assert refused(HalError, flash.erase, 4)
    flash.close()


def test_it_outlives_its_process_and_a_cut_in_its_making():
    flash = _flash()
    flash.program(3, b"kept")
    flash.close()
    flash = FileFlash(_PATH, 4)
    assert _read(flash, 3, 4) == b"kept"
    flash.close()
    with open(_PATH, "rb") as file:
        image = file.read()
    with open(_PATH, "wb") as file:
        file.write(image[:9000])
    flash = FileFlash(_PATH, 4)
    assert _read(flash, 3, 4096) == b"\xff" * 4096
    flash.close()
    assert refused(HalError, FileFlash, _PATH, 3)


def test_power_can_be_cut_before_or_in_the_midst_of_an_operation():
    faults = Faults()
    flash = _flash(faults)
    faults.cut_after = 1
    flash.program(0, b"\x00")
    assert refused(PowerCut, flash.program, 1, b"\x00")
    assert refused(PowerCut, flash.erase, 0)  # it stays off
    flash.close()
    faults.cut_after = 0
    faults.torn = lambda n: b"\xa5" * n
    flash = FileFlash(_PATH, 4, faults)
    assert refused(PowerCut, flash.program, 2, b"\x0f")
    assert _read(flash, 2, 1) == b"\x5f"
    assert _read(flash, 0, 1) == b"\x00" and _read(flash, 1, 1) == b"\xff"
    flash.close()


def test_a_block_can_refuse_to_erase_silently_or_loudly():
    faults = Faults()
    flash = _flash(faults)
    flash.program(0, b"\x00")
    faults.stuck.add(0)
    flash.erase(0)
    assert _read(flash, 0, 1) == b"\x00"
    faults.weak.add(2)
    flash.program(2, b"\x00\x00")
    flash.erase(2)
    assert _read(flash, 2, 3) == b"\x55\x55\xff"
    faults.failing.add(1)
    assert refused(HalError, flash.erase, 1)
    flash.close()
    os.remove(_PATH)
