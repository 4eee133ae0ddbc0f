"""Run under MicroPython: starts the filesystem image argv[1] as an ESP32-S3 would, on the fakes of its modules.

The image becomes `/`, so that nothing of the PC's files is in reach; then /boot.py and /main.py run.
"""

import os
import sys

from tests.firmware import esp32_fakes as fakes
from tests.host_tools.mount_vfs import Memory

with open(sys.argv[1], "rb") as _file:
    _image = _file.read()
chip = fakes.install()
chip.partitions = [fakes.Partition("vault", 1, 0x40, 1048), fakes.Partition("vfs", 1, 0x81, 1)]
os.mount(os.VfsLfs2(Memory(_image)), "/flash")
os.umount("/")
os.mount(os.VfsLfs2(Memory(_image)), "/")
os.umount("/flash")
os.chdir("/")
sys.path[:] = ["", ".frozen", "/lib"]
for _name in [name for name in sys.modules if name.startswith(("tests", "firmware"))]:
    if "esp32_fakes" not in _name:
        del sys.modules[_name]
for _name in ("boot.py", "main.py"):
    with open(_name) as _file:
        _source = _file.read()
    exec(compile(_source, _name, "exec"), {"__name__": "__main__"})
