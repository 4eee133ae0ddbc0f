"""`python -m host_tools.sim --state DIR`: simulates the panel whose filesystem lies in DIR/vfs."""

from __future__ import annotations

import argparse
from pathlib import Path

from host_tools.sim.daemon import serve


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m host_tools.sim", description=__doc__)
    parser.add_argument("--state", type=Path, required=True, help="directory of its filesystem, flash and logs")
    parser.add_argument("--blocks", type=int, default=1048, help="4 KB blocks of its vault flash (default 1048)")
    parser.add_argument("--heap", default="8M", help="MicroPython's heap (default 8M, as a board's PSRAM)")
    parser.add_argument("--fed", action="store_true", help="no camera: frames come over the link")
    parser.add_argument("--tty", action="store_true", help="also make the device file DIR/tty")
    parser.add_argument("--until-eof", action="store_true", help="end with standard input")
    args = parser.parse_args()
    serve(args.state.resolve(), args.heap, args.blocks, tty=args.tty, until_eof=args.until_eof, fed=args.fed)


if __name__ == "__main__":
    main()
