"""Assembly text to machine code.

One instruction a line, operands separated by commas; `label:`; comments from `#` or `//`. Directives:

    .equ NAME, EXPRESSION       a number with a name
    .macro NAME P1, P2 ... .endm   a text with \\P1 and \\P2 replaced; \\@ counts the expansions (for labels)
    .rept COUNT, NAME ... .endr    the text COUNT times, \\NAME counting from 0

A number may be an expression of literals, names of .equ, + - * / % << >> and parentheses. A `loop` is preceded by
as many no-operations as it takes for its body's first instruction not to straddle an aligned word, which the
architecture demands.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from host_tools.xtensa_asm.isa import ALIASES, INSTRUCTIONS, Field, Instruction, OperandError

_LABEL = re.compile(r"[A-Za-z_.][\w.]*$")
_REGISTER = re.compile(r"([aq])(\d+)$")
_OPERATORS: dict[type, Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.floordiv,
    ast.Mod: operator.mod,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
}


class AsmError(Exception):
    """What is wrong with which line; one sentence."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(f"line {line}: {message}")


@dataclass
class _Item:
    line: int
    instruction: Instruction
    operands: list[str]
    at: int = 0


def encode_line(text: str, line: int = 1) -> tuple[int, int]:
    """(bytes, word) of one instruction; labels as numbers: their distance from the instruction."""
    item = _parse(_strip(text), line)
    return item.instruction.length, _encode(item, {}, {})


def assemble(*texts: str) -> bytes:
    """A whole routine, of which errors count the lines anew in each text. Its start must come to lie at an address that
    is a multiple of 4."""
    equates: dict[str, int] = {}
    labels: dict[str, int] = {}
    items: list[_Item] = []
    at = 0
    waiting: list[tuple[int, str]] = []
    for line, content in _expand(texts):
        if content.startswith(".equ"):
            name, expression = (part.strip() for part in content[4:].split(",", 1))
            equates[name] = _number(expression, equates, line)
        elif content.endswith(":"):
            waiting.append((line, content[:-1].strip()))
        else:
            if items and items[-1].instruction.name.startswith("loop"):
                at = _align_loop(items, labels, at, _parse(content, line).instruction.length)
            for place, name in waiting:
                _define(labels, name, at, place)
            waiting.clear()
            item = _parse(content, line)
            item.at = at
            items.append(item)
            at += item.instruction.length
    for place, name in waiting:
        _define(labels, name, at, place)
    return b"".join(_encode(item, labels, equates).to_bytes(item.instruction.length, "little") for item in items)


def _define(labels: dict[str, int], name: str, at: int, line: int) -> None:
    if not _LABEL.match(name):
        raise AsmError(line, f"{name!r} cannot be a label")
    if name in labels:
        raise AsmError(line, f"label {name} stands here for the second time")
    labels[name] = at


def _align_loop(items: list[_Item], labels: dict[str, int], at: int, body_bytes: int) -> int:
    """Moves the last item, a loop, behind no-operations until its body starts right; the new `at`."""
    while at % 4 + body_bytes > 4:
        loop = items.pop()
        room = at % 4
        name = "nop.n" if room == 2 or (room == 1 and body_bytes < 4) else "nop"
        filler = _Item(loop.line, INSTRUCTIONS[name], [], loop.at)
        for label, place in labels.items():
            if place == loop.at:
                labels[label] = place + filler.instruction.length
        loop.at += filler.instruction.length
        at += filler.instruction.length
        items += [filler, loop]
    return at


def _strip(text: str) -> str:
    return re.split(r"#|//", text, maxsplit=1)[0].strip()


def _expand(texts: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """Lines without comments, macros and repetitions carried out, labels on lines of their own."""
    lines = [(i, _strip(line)) for text in texts for i, line in enumerate(text.splitlines(), 1)]
    yield from _Expander().run([entry for entry in lines if entry[1]])


class _Expander:
    def __init__(self) -> None:
        self.macros: dict[str, tuple[list[str], list[tuple[int, str]]]] = {}
        self.count = 0

    def run(self, lines: list[tuple[int, str]]) -> Iterator[tuple[int, str]]:
        i = 0
        while i < len(lines):
            line, content = lines[i]
            word, _, rest = content.partition(" ")
            if word in (".macro", ".rept"):
                end = self._end(lines, i, word)
                body = lines[i + 1 : end]
                if word == ".macro":
                    name, _, parameters = rest.strip().partition(" ")
                    self.macros[name] = ([p.strip() for p in parameters.split(",") if p.strip()], body)
                else:
                    times, _, name = (part.strip() for part in rest.partition(","))
                    for turn in range(_number(times, {}, line)):
                        yield from self.run([(n, _replace(t, {name: str(turn)} if name else {})) for n, t in body])
                i = end + 1
                continue
            if word in self.macros:
                yield from self._call(line, word, rest)
            else:
                label, colon, after = content.partition(":")
                if colon:
                    yield line, label + ":"
                    if after.strip():
                        yield from self.run([(line, after.strip())])
                else:
                    yield line, content
            i += 1

    def _call(self, line: int, name: str, rest: str) -> Iterator[tuple[int, str]]:
        parameters, body = self.macros[name]
        arguments = [part.strip() for part in rest.split(",")] if rest.strip() else []
        if len(arguments) != len(parameters):
            raise AsmError(line, f"{name} takes {len(parameters)} arguments: {', '.join(parameters)}")
        self.count += 1
        values = dict(zip(parameters, arguments, strict=True)) | {"@": str(self.count)}
        yield from self.run([(line, _replace(content, values)) for _, content in body])

    @staticmethod
    def _end(lines: list[tuple[int, str]], start: int, word: str) -> int:
        closing = {".macro": ".endm", ".rept": ".endr"}[word]
        depth = 0
        for i in range(start, len(lines)):
            first = lines[i][1].split()[0]
            depth += (first == word) - (first == closing)
            if not depth:
                return i
        raise AsmError(lines[start][0], f"{word} without {closing}")


def _replace(text: str, values: dict[str, str]) -> str:
    for name in sorted(values, key=len, reverse=True):
        text = text.replace("\\" + name, values[name])
    return text


def _parse(content: str, line: int) -> _Item:
    name, _, rest = content.partition(" ")
    name = name.lower()
    operands = [part.strip() for part in rest.split(",")] if rest.strip() else []
    if name in ALIASES:
        name, order = ALIASES[name]
        if len(operands) == max(order) + 1:
            operands = [operands[i] for i in order]
    instruction = INSTRUCTIONS.get(name)
    if instruction is None:
        raise AsmError(line, f"there is no instruction {name}")
    if len(operands) != len(instruction.fields):
        raise AsmError(line, f"{name} takes {len(instruction.fields)} operands, not {len(operands)}")
    return _Item(line, instruction, operands)


def _encode(item: _Item, labels: dict[str, int], equates: dict[str, int]) -> int:
    word = item.instruction.base
    for i, (field, text) in enumerate(zip(item.instruction.fields, item.operands, strict=True), 1):
        where = f"{item.instruction.name}, operand {i} ({field.name})"
        try:
            word ^= field.encode(_value(item, field, text, labels, equates))
        except OperandError as error:
            raise AsmError(item.line, f"{where} is {error}") from None
    return word


def _value(item: _Item, field: Field, text: str, labels: dict[str, int], equates: dict[str, int]) -> int:
    if field.kind in "aq":
        register = _REGISTER.match("a1" if text.lower() == "sp" else text.lower())
        if register is None or register[1] != field.kind:
            raise OperandError(f"{text!r}; the range is {field.kind}{field.low}..{field.kind}{field.high}")
        return int(register[2])
    if field.kind == "label" and text in labels:
        return labels[text] - item.at
    return _number(text, equates, item.line)


def _number(text: str, names: dict[str, int], line: int) -> int:
    try:
        return _evaluate(ast.parse(text, mode="eval").body, names)
    except (SyntaxError, KeyError, ValueError, ZeroDivisionError):
        raise AsmError(line, f"{text!r} is neither a number nor a known name") from None


def _evaluate(node: ast.expr, names: dict[str, int]) -> int:
    match node:
        case ast.Constant(value=int(value)):
            return value
        case ast.Name(id=name):
            return names[name]
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return -_evaluate(inner, names)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_evaluate(left, names), _evaluate(right, names))
    raise ValueError
