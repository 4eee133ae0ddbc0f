"""`python -m host_tools.xtensa_asm < lines`: one instruction a line in, `BYTES WORD` (decimal, hex) a line out.

Empty lines and comments are skipped. A line that cannot be is told on stderr, and the exit code is 1.
"""

from __future__ import annotations

import sys

from host_tools.xtensa_asm import AsmError, encode_line


def main() -> int:
    failed = False
    for number, line in enumerate(sys.stdin, 1):
        if not line.split("#")[0].split("//")[0].strip():
            continue
        try:
            length, word = encode_line(line, number)
        except AsmError as error:
            print(error, file=sys.stderr)
            failed = True
        else:
            print(f"{length} {word:0{2 * length}x}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
