"""Runs test modules under MicroPython: `micropython tests/firmware/run.py FILE...`

Every function named test_* is a test; one that is a coroutine runs under asyncio. A line each, then
'N passed, N failed'; the exit code is 1 when any failed or none was found. `-k TEXT` runs only the tests
whose name holds TEXT. Firmware and test modules are imported from the repository root.
"""

import gc
import sys
import time


def _root() -> str:
    here = __file__.rsplit("/", 1)[0] if "/" in __file__ else "."
    return here + "/../.."


def _module_name(path: str) -> str:
    path = path[:-3] if path.endswith(".py") else path
    start = path.rfind("tests/firmware/")
    if start < 0:
        raise ValueError("not under tests/firmware: " + path)
    return path[start:].replace("/", ".")


def _load(path: str):
    name = _module_name(path)
    module = __import__(name)
    for part in name.split(".")[1:]:
        module = getattr(module, part)
    return module


def _call(function) -> None:
    result = function()
    if hasattr(result, "send"):
        import asyncio

        asyncio.run(result)


def _run_one(label: str, function) -> bool:
    gc.collect()
    start = time.ticks_ms()
    try:
        _call(function)
    except Exception as error:
        print("FAIL %s" % label)
        sys.print_exception(error, sys.stdout)
        return False
    print("ok   %s (%d ms)" % (label, time.ticks_diff(time.ticks_ms(), start)))
    return True


def main(arguments: list) -> int:
    wanted = ""
    if arguments[:1] == ["-k"]:
        wanted, arguments = arguments[1], arguments[2:]
    passed = failed = 0
    for path in arguments:
        module = _load(path)
        short = path.rsplit("/", 1)[-1].replace(".py", "")
        for name in sorted(dir(module)):
            function = getattr(module, name)
            if not name.startswith("test_") or wanted not in name or not callable(function):
                continue
            if _run_one(short + "." + name, function):
                passed += 1
            else:
                failed += 1
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.path.insert(0, _root())
    if ".frozen" not in sys.path:  # MICROPYPATH replaces the default path, and asyncio is frozen
        sys.path.append(".frozen")
    sys.exit(main(sys.argv[1:]))
