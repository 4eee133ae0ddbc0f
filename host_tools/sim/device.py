"""A second serial port for programs that want a device file."""

from __future__ import annotations

import contextlib
import os
import tty
from pathlib import Path


class Device:
    """A pseudo-terminal; `link` is made a symlink to its slave side, the device file for others to open."""

    def __init__(self, link: Path) -> None:
        self.master, self._slave = os.openpty()  # the slave is held so that reading never fails between users
        tty.setraw(self._slave)
        os.set_blocking(self.master, False)
        self._link = link
        self._used = False
        link.unlink(missing_ok=True)
        link.symlink_to(os.ttyname(self._slave))

    def read(self) -> bytes:
        self._used = True
        try:
            return os.read(self.master, 65536)
        except BlockingIOError:
            return b""

    def write(self, data: bytes) -> None:
        # Nothing before somebody wrote: it would wait in the terminal for a later user.
        if self._used:
            with contextlib.suppress(BlockingIOError):
                os.write(self.master, data)

    def close(self) -> None:
        self._link.unlink(missing_ok=True)
        os.close(self.master)
        os.close(self._slave)
