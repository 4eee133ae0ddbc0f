# What a board's ROM and start-up do before main.py: the unix port gets this text as its -c argument.
# The panel's filesystem becomes `/`, so that paths mean the same as on a board, and nothing of the PC is in
# reach. machine.reset(), which the unix port lacks, ends the process; the relay starts it again.
import os
import sys

import machine


class _Machine:
    def __getattr__(self, name):
        return getattr(_builtin, name)

    def reset(self):
        _system("kill -9 $PPID")


_builtin, _system = machine, os.system
sys.modules["machine"] = _Machine()
_vfs = os.VfsPosix(os.getenv("MENSHEN_VFS"))
os.umount("/")
os.mount(_vfs, "/")
os.chdir("/")
_start = [_name for _name in os.getenv("MENSHEN_START").split() if _name in os.listdir()]
print("ROM: virtual panel")  # not before: with this line the relay lets Ctrl-C through
del machine, os, sys, _vfs
while _start:
    with open(_start[0]) as _file:
        _code = compile(_file.read(), _start.pop(0), "exec")
    exec(_code)
