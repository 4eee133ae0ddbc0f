"""Run under MicroPython: mounts the filesystem image in argv[1] as an ESP32 does, and prints what is in it as JSON."""

import json
import os
import sys


class Memory:
    """esp32.Partition's block protocol over a buffer."""

    def __init__(self, data):
        self._data = bytearray(data)

    def readblocks(self, block, buf, offset=0):
        at = block * 4096 + offset
        buf[:] = self._data[at : at + len(buf)]

    def writeblocks(self, block, buf, offset=None):
        if offset is None:
            self.ioctl(6, block)
        at = block * 4096 + (offset or 0)
        for i, value in enumerate(buf):
            self._data[at + i] &= value

    def ioctl(self, operation, argument):
        if operation == 4:
            return len(self._data) // 4096
        if operation == 5:
            return 4096
        if operation == 6:
            self._data[argument * 4096 : argument * 4096 + 4096] = b"\xff" * 4096
            return 0


def tree(folder):
    found = {}
    for entry in os.ilistdir(folder):
        path = folder + "/" + entry[0]
        if entry[1] & 0x4000:
            found.update(tree(path))
        else:
            found[path] = os.stat(path)[6]
    return found


def main() -> None:
    with open(sys.argv[1], "rb") as file:
        device = Memory(file.read())
    os.mount(os.VfsLfs2(device), "/flash")
    print(json.dumps(tree("/flash")))
    with open("/flash/settings.json.new", "w") as file:
        file.write("{}")
    os.rename("/flash/settings.json.new", "/flash/settings.json")


if __name__ == "__main__":
    main()
