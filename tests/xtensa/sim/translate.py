"""Machine code to a Python function: instructions are decoded once, straight runs become straight Python.

Written from the instruction set's documented semantics. The function takes the registers a0..a5 as the caller leaves
them and returns (a2, instructions, cycles). A register read before it was written is a Python error; so is a branch to
where no instruction starts.

Cycles are an estimate: one an instruction, one more where an instruction uses what the one before it loaded, two more
for a branch that is taken or a jump. Waiting for memory is not in it.
"""

import re
from itertools import pairwise

from host_tools.xtensa_asm.isa import decode
from tests.xtensa.sim import lanes
from tests.xtensa.sim.memory import Fault

_MASK = 0xFFFFFFFF
_TAKEN = 2
_QACC_LOADS = ("l.l.128", "l.h.32", "h.l.128", "h.h.32")
_SIMPLE = {
    "add": "{1} + {2}", "sub": "{1} - {2}", "and": "{1} & {2}", "or": "{1} | {2}", "xor": "{1} ^ {2}",
    "addx2": "({1} << 1) + {2}", "addx4": "({1} << 2) + {2}", "addx8": "({1} << 3) + {2}",
    "subx2": "({1} << 1) - {2}", "subx4": "({1} << 2) - {2}", "subx8": "({1} << 3) - {2}",
    "neg": "-{1}", "abs": "abs(sg({1}))", "addi": "{1} + {2}", "addmi": "{1} + {2}", "movi": "{1}", "movi.n": "{1}",
    "add.n": "{1} + {2}", "addi.n": "{1} + {2}", "mov.n": "{1}",
    "slli": "{1} << {2}", "srai": "sg({1}) >> {2}", "srli": "{1} >> {2}",
    "src": "({1} << 32 | {2}) >> sar", "srl": "{1} >> sar", "sll": "{1} << 32 - sar", "sra": "sg({1}) >> sar",
    "extui": "{1} >> {2} & (1 << {3}) - 1", "sext": "sx({1}, {2})",
    "clamps": "min(max(sg({1}), -(1 << {2})), (1 << {2}) - 1)",
    "min": "min(sg({1}), sg({2}))", "max": "max(sg({1}), sg({2}))", "minu": "min({1}, {2})", "maxu": "max({1}, {2})",
    "mull": "{1} * {2}", "muluh": "{1} * {2} >> 32", "mulsh": "sg({1}) * sg({2}) >> 32",
    "mul16u": "({1} & 65535) * ({2} & 65535)", "mul16s": "sx({1}, 15) * sx({2}, 15)",
    "quou": "{1} // {2}", "remu": "{1} % {2}", "quos": "quos(sg({1}), sg({2}))",
    "nsau": "32 - {1}.bit_length()",
}  # fmt: skip
_CONDITIONS = {
    "beqz": "{0} == 0", "bnez": "{0} != 0", "bltz": "{0} >> 31", "bgez": "not {0} >> 31",
    "beq": "{0} == {1}", "bne": "{0} != {1}", "blt": "sg({0}) < sg({1})", "bge": "sg({0}) >= sg({1})",
    "bltu": "{0} < {1}", "bgeu": "{0} >= {1}", "bany": "{0} & {1}", "bnone": "not {0} & {1}",
    "beqi": "sg({0}) == {1}", "bnei": "sg({0}) != {1}", "blti": "sg({0}) < {1}", "bgei": "sg({0}) >= {1}",
    "bltui": "{0} < {1}", "bgeui": "{0} >= {1}",
    "bbci": "not {0} >> {1} & 1", "bbsi": "{0} >> {1} & 1",
}  # fmt: skip
_MOVES = {"moveqz": "{2} == 0", "movnez": "{2} != 0", "movltz": "{2} >> 31", "movgez": "not {2} >> 31"}
_LOADS = {"l8ui": 1, "l16ui": 2, "l16si": 2, "l32i": 4, "l32i.n": 4}
_STORES = {"s8i": 1, "s16i": 2, "s32i": 4, "s32i.n": 4}


class _Op:
    """An instruction: `lines` of Python, the registers they read, the register a load fills."""

    def __init__(self, at: int, entry, values: list[int]):
        self.at, self.name, self.length = at, entry.name, entry.length
        self.end = at + entry.length
        self.values = values
        self.operands = [
            f"{field.kind}{value}" if field.kind in "aq" else at + value if field.kind == "label" else value
            for field, value in zip(entry.fields, values, strict=True)
        ]
        labels = [op for op, field in zip(self.operands, entry.fields, strict=True) if field.kind == "label"]
        self.target = labels[0] if labels else None
        self.is_loop = self.name.startswith("loop")
        self.is_branch = self.target is not None and not self.is_loop
        self.is_return = self.name in ("retw", "retw.n")
        self.loaded: str | None = None
        self.lines: list[str] = []
        if not (self.is_branch or self.is_loop or self.is_return):
            self.lines = _vector(self) if self.name.startswith("ee.") else _core(self)

    @property
    def reads(self) -> set[str]:
        if self.lines:
            return {r for line in self.lines for r in re.findall(r"\b[aq]\d+\b", line.split(" = ", 1)[-1])}
        return {str(op) for op in self.operands if re.match(r"a\d", str(op))}


def _core(op: _Op) -> list[str]:
    name, x = op.name, op.operands
    if name in _SIMPLE:
        return [f"{x[0]} = ({_SIMPLE[name].format(*x)}) & {_MASK}"]
    if name in _MOVES:
        return [f"{x[0]} = {x[1]} if {_MOVES[name].format(*x)} else {x[0]}"]
    if name in _LOADS:
        op.loaded = x[0]
        value = f"load({x[1]} + {x[2]} & {_MASK}, {_LOADS[name]})"
        return [f"{x[0]} = {f'sx({value}, 15) & {_MASK}' if name == 'l16si' else value}"]
    if name in _STORES:
        return [f"store({x[1]} + {x[2]} & {_MASK}, {x[0]}, {_STORES[name]})"]
    if name in ("ssr", "ssl"):
        return [f"sar = {'32 - ' if name == 'ssl' else ''}({x[0]} & 31)"]
    if name == "ssai":
        return [f"sar = {x[0]}"]
    if name in ("nop", "nop.n", "memw"):
        return []
    if name == "entry":
        return [f"{x[0]} = enter({x[0]}, {x[1]})"]
    if name.startswith("rur.qacc"):
        shift = 32 * int(name[-1])
        return [f"{x[0]} = to_raw(acc)[{int('_h_' in name)}] >> {shift} & {_MASK}"]
    if name == "rur.accx_0":
        return [f"{x[0]} = accx & {_MASK}"]
    raise Fault(f"the simulator does not know {name}")


def _post(register: str, step) -> str:
    return f"{register} = {register} + {step} & {_MASK}"


def _vector(op: _Op) -> list[str]:
    name, x = op.name[3:], op.operands
    for pattern, build in _VECTOR:
        if re.fullmatch(pattern, name):
            return build(op, name, x)
    raise Fault(f"the simulator does not know ee.{name}")


def _load(op, name, x):
    op.loaded = x[0]
    lines = [f"sar_byte = {x[1]} & 15"] if "usar" in name else []
    return [*lines, f"{x[0]} = line[{x[1]} & -16]", _post(x[1], x[2])]


def _broadcast(op, name, x):
    op.loaded = x[0]
    width = int(name.split(".")[1]) // 8
    value = f"load_vector({x[1]}, {width}).to_bytes({width}, 'little') * {16 // width}"
    return [f"{x[0]} = {value}", *([_post(x[1], x[2])] if len(x) > 2 else [])]


def _store(op, name, x):
    return [f"store_line({x[1]}, {x[0]})", _post(x[1], x[2])]


def _mac(op, name, x):
    """vmulas and vsmulas, with or without a load after them."""
    fused = ".ld." in name
    qx, qy = (x[3], x[4]) if fused and "incp" not in name else (x[2], x[3]) if fused else (x[0], x[1])
    if "accx" in name:
        lines = [f"accx = saturate40(accx + dot({qx}, {qy}))"]
    else:
        scalar = name.startswith("vsmulas")
        term = f"spread[{qx}] * SIGNED[{qy}[{x[-1]}]]" if scalar else f"products({qx}, {qy})"
        lines = [f"acc = acc + {term}", "if acc & SPILL: acc = saturate(acc)"]
    if fused:
        op.loaded = x[0]
        lines += [f"{x[0]} = line[{x[1]} & -16]", _post(x[1], 16 if "incp" in name else x[2])]
    return lines


def _lanewise(op, name, x):
    parts = name.split(".")
    operation = ".".join(parts[:2]) if parts[0] == "vcmp" else parts[0]
    bits = int(next(part for part in parts if re.fullmatch(r"s\d+", part))[1:])
    if "ld" not in parts and "st" not in parts:
        return [f"{x[0]} = lanewise({operation!r}, {bits}, {x[1]}, {x[2]})"]
    lines = [f"result = lanewise({operation!r}, {bits}, {x[3]}, {x[4]})"]
    if "ld" in parts:
        op.loaded = x[0]
        lines.append(f"{x[0]} = line[{x[1]} & -16]")
    else:
        lines.append(f"store_line({x[1]}, {x[0]})")
    return [*lines, _post(x[1], 16), f"{x[2]} = result"]


def _qacc_part(op, name, x):
    half, part = name.split("_")[1].split(".")[:2]
    width, shift = (4, 128) if part == "h" else (16, 0)
    index = "lh".index(half)
    if name.startswith("st"):
        value = f"to_raw(acc)[{index}] >> {shift} & {(1 << 8 * width) - 1}"
        return [f"store_part({x[0]}, {value}, {width})", _post(x[0], x[1])]
    return [f"acc = load_part(acc, {index}, {shift}, load_vector({x[0]}, {width}), {width})", _post(x[0], x[1])]


_VECTOR = [
    (r"(vld\.128|ld\.128\.usar)\.[ix]p", _load),
    (r"vldbc\.(8|16|32)(\.[ix]p)?", _broadcast),
    (r"vst\.128\.[ix]p", _store),
    (r"vs?mulas\.s8\.(qacc|accx)(\.ld\.(ip|xp|incp))?", _mac),
    (r"(vadds|vsubs|vmax|vmin)\.s\d+(\.(ld|st)\.incp)?|vcmp\.(eq|gt|lt)\.s\d+", _lanewise),
    (r"(ld|st)\.qacc_[hl]\.(h\.32|l\.128)\.ip", _qacc_part),
    (r"zero\.qacc", lambda op, name, x: ["acc = ZERO"]),
    (r"zero\.accx", lambda op, name, x: ["accx = 0"]),
    (r"zero\.q", lambda op, name, x: [f"{x[0]} = bytes(16)"]),
    (r"ldqa\.s8\.128\.ip", lambda op, name, x: [f"acc = from_bytes(line[{x[0]} & -16])", _post(x[0], x[1])]),
    (r"mov\.s8\.qacc", lambda op, name, x: [f"acc = from_bytes({x[0]})"]),
    (r"srcmb\.s8\.qacc", lambda op, name, x: [f"{x[0]}, acc = shift_out(acc, {x[1]} & 31)"]),
    (r"srs\.accx", lambda op, name, x: [
        f"accx >>= {x[1]} & 63", f"{x[0]} = min(max(accx, -(1 << 31)), (1 << 31) - 1) & {_MASK}"]),
    (r"(and|or|xor)q", lambda op, name, x: [f"{x[0]} = bitwise({name!r}, {x[1]}, {x[2]})"]),
    (r"notq", lambda op, name, x: [f"{x[0]} = bytes(255 - b for b in {x[1]})"]),
    (r"src\.q", lambda op, name, x: [f"{x[0]} = ({x[1]} + {x[2]})[sar_byte : sar_byte + 16]"]),
    (r"vzip\.\d+", lambda op, name, x: [f"{x[0]}, {x[1]} = interleave({x[0]}, {x[1]}, {int(name[5:]) // 8})"]),
    (r"vunzip\.\d+", lambda op, name, x: [f"{x[0]}, {x[1]} = separate({x[0]}, {x[1]}, {int(name[7:]) // 8})"]),
    (r"movi\.32\.a", lambda op, name, x: [f"{x[1]} = int.from_bytes({x[0]}[{4 * x[2]}:{4 * x[2] + 4}], 'little')"]),
    (r"movi\.32\.q", lambda op, name, x: [
        f"{x[0]} = {x[0]}[:{4 * x[2]}] + {x[1]}.to_bytes(4, 'little') + {x[0]}[{4 * x[2] + 4}:]"]),
]  # fmt: skip


def _ops(code: bytes) -> list[_Op]:
    found, at = [], 0
    while at < len(code):
        entry, values = decode(code, at)
        found.append(_Op(at, entry, values))
        at = found[-1].end
    return found


def _stalls(run: list[_Op], wraps: bool) -> int:
    pairs = list(pairwise(run)) + ([(run[-1], run[0])] if wraps else [])
    return sum(a.loaded is not None and a.loaded in b.reads for a, b in pairs)


def _body(run: list[_Op]) -> list[str]:
    """The run's Python; the four loads that fill QACC in a row become one."""
    lines, i = [], 0
    while i < len(run):
        four = run[i : i + 4]
        names = [f"ee.ld.qacc_{part}.ip" for part in _QACC_LOADS]
        if [op.name for op in four] == names and all(op.values[1] == 16 for op in four[:3]):
            register = four[0].operands[0]
            if all(op.operands[0] == register for op in four):
                lines += [f"acc = load_qacc({register})", _post(register, 48 + four[3].values[1])]
                i += 4
                continue
        lines += run[i].lines
        i += 1
    return lines


def _blocks(ops: list[_Op]) -> dict[int, list[_Op]]:
    starts = {0}
    for op in ops:
        if op.target is not None:
            starts |= {op.target, op.end}
        if op.is_return:
            starts.add(op.end)
    blocks: dict[int, list[_Op]] = {}
    for op in ops:
        if op.at in starts:
            current = blocks[op.at] = []
        current.append(op)
    missing = starts - set(blocks) - {ops[-1].end}
    if missing:
        raise Fault(f"a branch to where no instruction starts: {sorted(missing)}")
    return blocks


def _straight_loops(blocks: dict[int, list[_Op]]) -> set[int]:
    """Starts of loop bodies that are one block."""
    loops = [(run[-1].end, run[-1].target) for run in blocks.values() if run[-1].is_loop]
    return {start for start, end in loops if blocks[start][-1].end == end and not blocks[start][-1].is_branch}


def translate(code: bytes) -> str:
    """The Python source of `run(a0, a1, a2, a3, a4, a5)`."""
    ops = _ops(code)
    blocks = _blocks(ops)
    straight = _straight_loops(blocks)
    ends = {run[-1].target: run[-1].end for run in blocks.values() if run[-1].is_loop and run[-1].end not in straight}
    text = [
        "def run(a0, a1, a2, a3, a4, a5):",
        "    home, stack = a0, None",
        "    pc = n = cycles = lcount = 0",
        "    while True:",
    ]
    pieces = [(at, _block(run, blocks, straight, ends)) for at, run in blocks.items() if at not in straight]
    text += _tree(pieces, "        ")
    return "\n".join(text)


def _tree(pieces: list, indent: str) -> list[str]:
    if len(pieces) == 1:
        return [indent + line for line in pieces[0][1]]
    half = len(pieces) // 2
    return [
        f"{indent}if pc < {pieces[half][0]}:",
        *_tree(pieces[:half], indent + "    "),
        f"{indent}else:",
        *_tree(pieces[half:], indent + "    "),
    ]


def _block(run: list[_Op], blocks: dict, straight: set[int], ends: dict[int, int]) -> list[str]:
    last = run[-1]
    lines = [f"n += {len(run)}; cycles += {len(run) + _stalls(run, False)}", *_body(run)]
    if last.is_return:
        return [*lines, "return leave(a0, a1, a2, n, cycles)"]
    if last.is_loop:
        return lines + _loop(last, blocks, straight)
    if last.is_branch:
        taken = f"pc = {last.target}; cycles += {_TAKEN}"
        if last.name == "j":
            return [*lines, taken]
        condition = _CONDITIONS[last.name].format(*last.operands)
        return [*lines, f"if {condition}: {taken}", f"else: pc = {last.end}"]
    lines.append(f"pc = {last.end}")
    if last.end in ends:
        lines.append(f"if lcount: lcount -= 1; pc = {ends[last.end]}")
    return lines


def _loop(loop: _Op, blocks: dict, straight: set[int]) -> list[str]:
    count = loop.operands[0]
    lines = [f"times = sg({count})" if loop.name == "loopgtz" else f"times = {count}"]
    if loop.name == "loop":
        lines.append("if not times: fault('a loop of 2**32 turns')")
    if loop.end in straight:
        body = blocks[loop.end]
        turn = len(body) + _stalls(body, True)
        lines += [
            "if times > 0:",
            f"    n += {len(body)} * times; cycles += {turn} * times",
            "    for _ in range(times):",
        ]
        lines += ["        " + line for line in _body(body) or ["pass"]]
        return [*lines, f"pc = {loop.target}"]
    return [*lines, f"if times > 0: lcount = times - 1; pc = {loop.end}", f"else: pc = {loop.target}"]


NAMES = {
    "ZERO": lanes.ZERO, "SPILL": lanes.SPILL, "SIGNED": lanes.SIGNED, "spread": lanes.spread,
    "products": lanes.products, "dot": lanes.dot, "saturate": lanes.saturate, "saturate40": lanes.saturate40,
    "shift_out": lanes.shift_out, "from_bytes": lanes.from_bytes, "to_raw": lanes.to_raw, "lanewise": lanes.lanewise,
    "bitwise": lanes.bitwise, "interleave": lanes.interleave, "separate": lanes.separate,
}  # fmt: skip
