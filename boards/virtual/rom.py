# What a board's ROM and start-up do before main.py: the unix port is started with this text as its -c argument.
# The panel's filesystem becomes `/`, so that paths mean the same as on a board and nothing of the PC is in reach.
import os
import sys

print("ROM: virtual panel, rst:0x1 (POWERON)")
_start = os.getenv("MENSHEN_START").split(",")
_vfs = os.VfsPosix(os.getenv("MENSHEN_VFS"))
os.umount("/")
os.mount(_vfs, "/")
os.chdir("/")
_start = [name for name in _start if name in os.listdir("/")]
del os, sys, _vfs
while _start:
    with open(_start[0]) as _file:
        _code = compile(_file.read(), _start.pop(0), "exec")
    exec(_code)
