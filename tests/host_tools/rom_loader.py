"""An ESP32-S3 in download mode behind a TCP port: the ROM loader's serial protocol, and the stub's after it was "run".

Protocol: esptool's documentation, "Serial Protocol". The flash is NOR: erasing sets sectors, writing clears bits.
"""

from __future__ import annotations

import contextlib
import hashlib
import socket
import struct
import threading
import zlib
from typing import Any

SECTOR = 4096
SPI = 0x60002000
SPI_USR2, SPI_W0 = SPI + 0x20, SPI + 0x58
SPI_RUN = 1 << 18
RDID, READ_SFDP = 0x9F, 0x5A
SIZE_IDS = {4: 0x16, 8: 0x17, 16: 0x18}


class DownloadMode:
    """`flash` is the chip's memory. Knobs: `chip_id`; `worn`, sectors that do not erase; `drop_after`, commands until
    the cable is pulled."""

    def __init__(self, flash_mb: int = 8, chip_id: int = 9) -> None:
        self.flash = bytearray(b"\xff" * (flash_mb << 20))
        self.flash_mb, self.chip_id = flash_mb, chip_id
        self.security_flags = 0
        self.crypt_count = 0
        self.worn: set[int] = set()
        self.lossy = False
        self.drop_after = -1
        self.commands: list[int] = []
        self.writes: list[tuple[int, int]] = []
        self.resets = 0
        self._stub = False
        self._registers: dict[int, int] = {}
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = f"socket://127.0.0.1:{self._server.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)  # wakes the thread, which close alone does not
        self._thread.join()
        self._server.close()

    # The wire

    def _serve(self) -> None:
        while True:
            try:
                self._line, _ = self._server.accept()
            except OSError:
                return
            self._line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._stub = False
            with self._line, contextlib.suppress(OSError):
                self._talk()

    def _talk(self) -> None:
        buffer = b""
        while True:
            got = self._line.recv(65536)
            if not got:
                return
            buffer += got
            while (end := buffer.find(b"\xc0", buffer.find(b"\xc0") + 1)) > 0:
                start = buffer.find(b"\xc0")
                frame, buffer = buffer[start + 1 : end], buffer[end + 1 :]
                if frame and not self._handle(frame.replace(b"\xdb\xdc", b"\xc0").replace(b"\xdb\xdd", b"\xdb")):
                    return

    def _send(self, payload: bytes) -> None:
        self._line.sendall(b"\xc0" + payload.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc") + b"\xc0")

    def _reply(self, op: int, data: bytes = b"", value: int = 0, error: int = 0) -> None:
        status = bytes([1 if error else 0, error]) + (b"" if self._stub else b"\0\0")
        self._send(struct.pack("<BBHI", 1, op, len(data) + len(status), value) + data + status)

    def _handle(self, frame: bytes) -> bool:
        if len(frame) == 4 and self._stub:
            return True  # the host acknowledges flash data
        _, op, size, checksum = struct.unpack_from("<BBHI", frame)
        data = frame[8 : 8 + size]
        self.commands.append(op)
        if self.drop_after == 0:
            return False
        self.drop_after -= 1
        action = getattr(self, f"_op_{op:02x}", None)
        if action is None:
            self._reply(op, error=5)
        else:
            action(data, checksum)
        return True

    # Commands of the ROM

    def _op_08(self, data: bytes, _: int) -> None:  # SYNC
        for _repeat in range(8):
            self._reply(0x08, value=0 if self._stub else 0x20120707)

    def _op_14(self, data: bytes, _: int) -> None:  # GET_SECURITY_INFO
        self._reply(0x14, struct.pack("<IB7BII", self.security_flags, self.crypt_count, *[0] * 7, self.chip_id, 0))

    def _op_09(self, data: bytes, _: int) -> None:  # WRITE_REG
        for at in range(0, len(data), 16):
            address, value, mask, _delay = struct.unpack_from("<IIII", data, at)
            self._registers[address] = self._registers.get(address, 0) & ~mask | value & mask
        if self._registers.get(SPI, 0) & SPI_RUN:
            self._run_spi()
        self._reply(0x09)

    def _run_spi(self) -> None:
        command = self._registers.get(SPI_USR2, 0) & 0xFF
        answers = {RDID: 0xEF | 0x40 << 8 | SIZE_IDS[self.flash_mb] << 16, READ_SFDP: 0x50444653}
        self._registers[SPI_W0] = answers.get(command, 0)
        self._registers[SPI] &= ~SPI_RUN

    def _op_0a(self, data: bytes, _: int) -> None:  # READ_REG
        self._reply(0x0A, value=self._registers.get(struct.unpack("<I", data)[0], 0))

    def _op_05(self, data: bytes, _: int) -> None:  # MEM_BEGIN
        self._reply(0x05)

    def _op_07(self, data: bytes, checksum: int) -> None:  # MEM_DATA
        self._reply(0x07, error=0 if _checksum(data[16:]) == checksum & 0xFF else 7)

    def _op_06(self, data: bytes, _: int) -> None:  # MEM_END: runs what was loaded
        self._reply(0x06)
        if struct.unpack("<II", data)[1]:
            self._stub = True
            self._send(b"OHAI")

    def _op_0b(self, data: bytes, _: int) -> None:  # SPI_SET_PARAMS
        self._reply(0x0B)

    def _op_13(self, data: bytes, _: int) -> None:  # SPI_FLASH_MD5
        address, size, _a, _b = struct.unpack("<IIII", data)
        digest = hashlib.md5(self.flash[address : address + size])
        self._reply(0x13, digest.digest() if self._stub else digest.hexdigest().encode())

    # Writing

    def _op_02(self, data: bytes, _: int) -> None:  # FLASH_BEGIN
        size, _blocks, _block, self._at = struct.unpack_from("<IIII", data)
        self._begin(size, None)
        self._reply(0x02)

    def _op_03(self, data: bytes, checksum: int) -> None:  # FLASH_DATA
        self._program(data[16:])
        self._reply(0x03, error=0 if _checksum(data[16:]) == checksum & 0xFF else 7)

    def _op_04(self, data: bytes, _: int) -> None:  # FLASH_END
        self._reply(0x04)

    def _op_10(self, data: bytes, _: int) -> None:  # FLASH_DEFL_BEGIN
        size, _blocks, _block, self._at = struct.unpack_from("<IIII", data)
        self._begin(size, zlib.decompressobj())
        self._reply(0x10)

    def _op_11(self, data: bytes, checksum: int) -> None:  # FLASH_DEFL_DATA
        self._program(self._inflate.decompress(data[16:]))
        self._reply(0x11, error=0 if _checksum(data[16:]) == checksum & 0xFF else 7)

    def _op_12(self, data: bytes, _: int) -> None:  # FLASH_DEFL_END
        self._reply(0x12)

    def _begin(self, size: int, inflate: Any) -> None:
        self._inflate, self._left = inflate, size
        if size:
            self.writes.append((self._at, size))
            self._erase(self._at, -(-size // SECTOR) * SECTOR)

    def _program(self, data: bytes) -> None:
        data = data[: self._left]  # the last block is padded
        self._left -= len(data)
        if self.lossy and data:
            data = data[:-1] + bytes([data[-1] & 0x7F])
        old = int.from_bytes(self.flash[self._at : self._at + len(data)], "little")
        new = old & int.from_bytes(data, "little")
        self.flash[self._at : self._at + len(data)] = new.to_bytes(len(data), "little")
        self._at += len(data)

    def _erase(self, address: int, size: int) -> None:
        for sector in range(address // SECTOR, (address + size) // SECTOR):
            if sector not in self.worn:
                self.flash[sector * SECTOR : (sector + 1) * SECTOR] = b"\xff" * SECTOR

    # Commands of the stub alone

    def _op_d1(self, data: bytes, _: int) -> None:  # ERASE_REGION
        self._erase(*struct.unpack("<II", data))
        self._reply(0xD1)

    def _op_d2(self, data: bytes, _: int) -> None:  # READ_FLASH
        address, size, block, _in_flight = struct.unpack("<IIII", data)
        self._reply(0xD2)
        content = bytes(self.flash[address : address + size])
        for at in range(0, size, block):
            self._send(content[at : at + block])
        self._send(hashlib.md5(content).digest())


def _checksum(data: bytes) -> int:
    value = 0xEF
    for byte in data:
        value ^= byte
    return value
