"""These files are MicroPython's: tests/test_firmware.py runs them there, CPython must not import them."""

collect_ignore_glob = ["*.py"]
