"""Run under MicroPython: starts the filesystem image argv[1] as an ESP32-S3 would, on the fakes of its modules.

The image becomes `/`, so that nothing of the PC's files is in reach; then /boot.py and /main.py run. The vault's flash
is the file argv[2], made where it is not there, and outlives the process. The pins argv[3:] are tied to ground.
"""

import os
import sys

from tests.firmware import esp32_fakes as fakes
from tests.host_tools.mount_vfs import Memory

with open(sys.argv[1], "rb") as _file:
    _image = _file.read()


class Vault(fakes.Partition):
    """A partition whose content is on disk as soon as it is on the chip."""

    def __init__(self, path):
        super().__init__("vault", 1, 0x40, 1048)
        try:
            with open(path, "rb") as file:
                file.readinto(self.memory)
        except OSError:
            with open(path, "wb") as file:
                file.write(self.memory)
        self._disk = open(path, "r+b", buffering=0)  # noqa: SIM115, as long as the process

    def writeblocks(self, block, buf, offset=None):
        super().writeblocks(block, buf, offset)
        self._save(block)

    def _erase(self, start, size):
        super()._erase(start, size)
        self._save(start // fakes.SECTOR)

    def _save(self, block):
        at = block * fakes.SECTOR
        self._disk.seek(at)
        self._disk.write(self.memory[at : at + fakes.SECTOR])


class Told(list):
    def append(self, code):
        print("Ctrl-C opens the REPL" if code == 3 else "Ctrl-C does nothing")


chip = fakes.install()
chip.partitions = [Vault(sys.argv[2]), fakes.Partition("vfs", 1, 0x81, 1)]
chip.kbd_intr = Told()
for _pin in sys.argv[3:]:
    chip.levels[int(_pin)] = 0
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
