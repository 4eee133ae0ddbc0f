"""firmware/nn/s3/routines.mpy: up to date, and a file that MicroPython takes apart as meant."""

import struct
import subprocess
from pathlib import Path

import pytest

from host_tools.xtensa_asm import assemble
from host_tools.xtensa_asm.build import SOURCES, build, routines
from host_tools.xtensa_asm.isa import decode
from host_tools.xtensa_asm.mpy import read_mpy, write_mpy
from tests.xtensa.network import MACHINE, micropython

_X64 = 2


def test_it_is_what_its_sources_make() -> None:
    assert MACHINE.read_bytes() == build(), "run: python -m host_tools.xtensa_asm.build"


def test_it_holds_every_routine() -> None:
    functions = read_mpy(MACHINE.read_bytes())
    assert functions == routines()
    assert {
        "conv1x1",
        "conv3x3",
        "dw3x3",
        "add",
        "avgpool",
        "load",
        "store",
        "fill",
        "clear",
        "scan",
        "dots",
        "warp",
    } <= set(functions)
    assert all((SOURCES / f"{name}.s").exists() for name in functions)


def test_loop_bodies_start_within_an_aligned_word() -> None:
    """MicroPython places code at multiples of 4 at least."""
    for name, code in routines().items():
        at = 0
        while at < len(code):
            entry, _ = decode(code, at)
            at += entry.length
            if entry.name.startswith("loop"):
                assert at % 4 + decode(code, at)[0].length <= 4, f"{name} at {at}"


def imported(path: Path, code: str) -> subprocess.CompletedProcess:
    command = [micropython(), "-c", f"import sys; sys.path.insert(0, {str(path.parent)!r})\n{code}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_micropython_loads_such_a_file_and_calls_its_functions(tmp_path: Path) -> None:
    """The same container around code of this PC: `second` returns the first of its arguments, unchanged."""
    returns_first = bytes.fromhex("488b01c3")  # mov rax, [rcx]; ret: self, n_args, n_kw, args in rdi, rsi, rdx, rcx
    returns_one = bytes.fromhex("b803000000c3")  # the small int 1
    path = tmp_path / "made.mpy"
    path.write_bytes(write_mpy("made.py", {"first": returns_one, "second": returns_first}, _X64))
    done = imported(path, "import made; print(made.first(), made.second(12345, 7), made.second('words'))")
    if "incompatible" in done.stderr:
        pytest.skip("this MicroPython is not built for x64")
    assert done.stdout == "1 12345 words\n", done.stderr


def test_another_processor_refuses_it(tmp_path: Path) -> None:
    path = tmp_path / "routines.mpy"
    path.write_bytes(MACHINE.read_bytes())
    done = imported(path, "import routines")
    assert "ValueError: incompatible .mpy" in done.stdout + done.stderr


def test_the_header_says_what_stock_images_accept() -> None:
    """.mpy 6, sub-version 3, xtensawin; 31 bits of small int."""
    magic, version, flags, bits = struct.unpack_from("<cBBB", MACHINE.read_bytes())
    assert (magic, version, flags & 3, flags >> 2, bits) == (b"M", 6, 3, 10, 31)


def test_reading_back_refuses_other_code() -> None:
    good = write_mpy("x.py", {"x": assemble("entry a1, 32\nretw")})
    with pytest.raises(ValueError, match="after the end"):
        read_mpy(good + b"\0")
    with pytest.raises(ValueError, match="xtensawin"):
        read_mpy(write_mpy("x.py", {"x": b""}, _X64))
