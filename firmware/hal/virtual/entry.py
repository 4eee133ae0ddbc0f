"""Keypad and NFC reader: what the simulator's hands press and hold to the panel."""

from firmware.hal.virtual import wire


class VirtualKeypad:
    def __init__(self, bus):
        self._bus = bus

    def scan(self) -> str:
        return str(self._bus.call(wire.KEYS), "ascii")


class VirtualNfc:
    def __init__(self, bus):
        self._bus = bus

    def poll(self):
        return self._bus.call(wire.NFC_POLL) or None

    def transceive(self, apdu: bytes) -> bytes:
        return self._bus.call(wire.NFC_APDU, apdu)
