"""The assembler: words of the instruction set's manuals, errors that name what is wrong, whole routines."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from host_tools.xtensa_asm import AsmError, assemble, encode_line
from host_tools.xtensa_asm.isa import INSTRUCTIONS, OperandError, decode

ROOT = Path(__file__).resolve().parents[2]
VECTORS = ROOT.parent / "shared" / "pie" / "vectors.csv"

# The branches and the core's arithmetic as MicroPython's own assembler emits them, the rest from the manuals.
GOLDEN = """
entry a1, 32                                    004136
retw.n                                          f01d
addx2 a4, a2, a3                                904230
addx8 a4, a2, a3                                b04230
subx2 a4, a2, a3                                d04230
subx8 a14, a2, a3                               f0e230
neg a4, a5                                      604050
abs a4, a5                                      604150
addmi a3, a4, -512                              fed432
movi a6, -300                                   d4ae62
l16ui a3, a4, 6                                 031432
s16i a3, a4, 6                                  035432
srli a3, a4, 6                                  413640
srl a3, a4                                      913040
ssai 21                                         404510
nsa a3, a4                                      40e430
beq a3, a4, -49                                 cb1347
bany a3, a4, -70                                b68347
bbci a3, 21, -88                                a47357
beqz a3, -91                                    fa1316
bnez a13, -94                                   f9ed56
mov.n a3, a4                                    043d
ee.vld.128.ip q7, a5, -640                      f3d854
ee.zero.qacc                                    250844
ee.vst.128.xp q6, a3, a10                       bd7a34
ee.srcmb.s8.qacc q6, a7, 0                      fd7a74
"""


def words() -> list[tuple[str, int, int]]:
    rows = [line.rsplit(maxsplit=1) for line in GOLDEN.strip().splitlines()]
    return [(text.strip(), len(word) // 2, int(word, 16)) for text, word in rows]


@pytest.mark.parametrize(("text", "length", "word"), words(), ids=lambda value: str(value))
def test_golden_words(text: str, length: int, word: int) -> None:
    assert encode_line(text) == (length, word)


def test_every_vector_of_the_instruction_set() -> None:
    if not VECTORS.exists():
        pytest.skip(f"the assembled vectors are not at {VECTORS}")
    with VECTORS.open() as file:
        rows = list(csv.DictReader(file))
    text = "\n".join(row["assembly"] for row in rows)
    command = [sys.executable, "-m", "host_tools.xtensa_asm"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, cwd=ROOT, check=True)
    expected = [f"{row['bytes']} {row['word']}" for row in rows]
    assert len(rows) > 1000 and done.stdout.splitlines() == expected


def test_every_instruction_decodes_to_itself() -> None:
    for entry in INSTRUCTIONS.values():
        for pick in (0, -1):
            values = [(f.values or range(f.low, f.high + 1, f.step))[pick] for f in entry.fields]
            word = entry.encode(values)
            assert decode(word.to_bytes(entry.length, "little") + b"\0\0", 0) == (entry, values)


def test_no_field_takes_more_than_it_holds() -> None:
    for entry in INSTRUCTIONS.values():
        for field in entry.fields:
            outside = [field.low - field.step, field.high + field.step, field.low - 1, field.high + 1]
            for value in outside + ([field.low + 1] if field.step > 1 else []):
                with pytest.raises(OperandError):
                    field.encode(value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "ee.vld.128.ip q0, a2, 8",
            "line 7: ee.vld.128.ip, operand 3 (imm16) is 8; the range is -2048..2032 in steps of 16",
        ),
        ("ee.vld.128.ip q8, a2, 0", "operand 1 (q register) is q8; the range is q0..q7"),
        ("add a1, q2, a3", "operand 2 (a register) is 'q2'; the range is a0..a15"),
        ("l32i a2, a16, 0", "operand 2 (a register) is a16; the range is a0..a15"),
        ("extui a2, a3, 4, 17", "operand 4 (width) is 17; the range is 1..16"),
        ("beqi a2, 9, 20", "operand 2 (immediate) is 9; allowed are -1, 1, 2"),
        ("loop a2, 260", "operand 2 (label) is 260; the range is 4..259"),
        ("add a1, a2", "add takes 3 operands, not 2"),
        ("fly a1", "there is no instruction fly"),
        ("movi a2, lots", "'lots' is neither a number nor a known name"),
    ],
)
def test_an_impossible_operand_is_named(text: str, says: str) -> None:
    with pytest.raises(AsmError) as error:
        encode_line(text, 7)
    assert says in str(error.value)


def test_the_command_tells_lines_and_fails() -> None:
    command = [sys.executable, "-m", "host_tools.xtensa_asm"]
    text = "# a comment\nretw\n\nmovi a2, 5000\n"
    done = subprocess.run(command, input=text, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 1 and done.stdout == "3 000090\n"
    assert done.stderr == "line 4: movi, operand 2 (immediate) is 5000; the range is -2048..2047\n"


def test_macros_labels_and_repetitions() -> None:
    text = """
    .equ COUNT, 3
    .macro step to, by
        addi \\to, \\to, \\by * COUNT
    .endm
    top:
        .rept 2, i
        step a3, (\\i + 1)
        .endr
        bnez a3, top
        j done
    done: retw.n
    """
    plain = "addi a3, a3, 3\naddi a3, a3, 6\nbnez a3, -6\nj 3\nretw.n"
    assert assemble(text) == b"".join(
        word.to_bytes(length, "little") for length, word in map(encode_line, plain.splitlines())
    )


@pytest.mark.parametrize("before", range(4))
@pytest.mark.parametrize("body", ["nop.n", "addi a2, a2, 1", "ee.vsmulas.s8.qacc.ld.incp q1, a2, q0, q4, 3"])
def test_a_loop_body_starts_within_an_aligned_word(before: int, body: str) -> None:
    code = assemble("nop.n\n" * before + "here: loop a3, end\n" + body + "\nend: bnez a2, here")
    at = 0
    while True:
        entry, values = decode(code, at)
        if entry.name == "loop":
            break
        at += entry.length
    first = decode(code, at + 3)[0]
    assert (at + 3) % 4 + first.length <= 4
    assert values[1] == 3 + first.length
    assert decode(code, at + values[1])[1][1] == -values[1]
