"""Lock, door contact, exit button, tamper switch, buzzer and light."""

from firmware.hal.virtual import wire


class _Input:
    def __init__(self, bus):
        self._bus = bus

    def _bit(self, mask: int) -> bool:
        return bool(self._bus.call(wire.INPUTS)[0] & mask)


class VirtualDoor(_Input):
    def closed(self) -> bool:
        return self._bit(wire.DOOR_CLOSED)


class VirtualExitButton(_Input):
    def pressed(self) -> bool:
        return self._bit(wire.EXIT_PRESSED)


class VirtualTamper(_Input):
    def open(self) -> bool:
        return self._bit(wire.CASE_OPEN)


class VirtualFire(_Input):
    def alarm(self) -> bool:
        return self._bit(wire.FIRE)


class VirtualLock:
    def __init__(self, bus):
        self._bus = bus

    def release(self, on: bool) -> None:
        self._bus.call(wire.LOCK, b"\x01" if on else b"\x00")


class VirtualBuzzer:
    def __init__(self, bus):
        self._bus = bus

    def tone(self, name: str) -> None:
        self._bus.call(wire.BUZZER, name.encode())


class VirtualLight:
    def __init__(self, bus):
        self._bus = bus

    def show(self, name: str) -> None:
        self._bus.call(wire.LIGHT, name.encode())
