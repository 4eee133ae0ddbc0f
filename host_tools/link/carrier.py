"""A byte stream to a panel: a serial device or a socket, by whatever URL pyserial opens, or a broker's (mqtt.py)."""

from __future__ import annotations

from typing import Protocol

import serial

from host_tools.errors import LinkFailed, NoPanel

_BAUD = 115_200
_POLL_S = 0.05


class Carrier(Protocol):
    @property
    def away(self) -> bool:
        """Known not to be there: what is asked now is not answered."""
        ...

    def read(self) -> bytes:
        """What has arrived, after waiting a moment for it; b"" when nothing has. Raises LinkFailed."""
        ...

    def write(self, data: bytes) -> None: ...

    def leave(self, data: bytes) -> bool:
        """For a panel that is away: True when somebody keeps it until it is back."""
        ...

    def close(self) -> None: ...


def open_port(port: str) -> Carrier:
    """Raises NoPanel, Usage."""
    if port.startswith(("mqtt:", "mqtts:")):
        from host_tools.link.mqtt import MqttCarrier  # most sites have no broker

        return MqttCarrier(port)
    return SerialCarrier(port)


class SerialCarrier:
    """`port` is a device file, `socket://HOST:PORT` or another URL of `serial_for_url`."""

    away = False

    def __init__(self, port: str) -> None:
        self.port = port
        try:
            self._serial = serial.serial_for_url(port, baudrate=_BAUD, timeout=_POLL_S, write_timeout=5)
        except (serial.SerialException, OSError, ValueError) as error:
            raise NoPanel(
                f"No panel on {port} ({_reason(error)}). Is it plugged in, or the simulator started?"
            ) from error

    def read(self) -> bytes:
        try:
            return bytes(self._serial.read(max(1, self._serial.in_waiting)))
        except (serial.SerialException, OSError, TypeError) as error:  # TypeError: pyserial, closed under it
            raise self._gone() from error

    def write(self, data: bytes) -> None:
        try:
            self._serial.write(data)
        except (serial.SerialException, OSError) as error:
            raise self._gone() from error

    def leave(self, data: bytes) -> bool:
        return False

    def close(self) -> None:
        self._serial.close()

    def _gone(self) -> LinkFailed:
        return LinkFailed(f"The panel on {self.port} went away. Check the cable or the simulator, then run this again.")


def _reason(error: Exception) -> str:
    cause = error.__context__ if isinstance(error.__context__, OSError) else error
    text = getattr(cause, "strerror", None) or str(cause)
    return text.lower() if text else type(cause).__name__
