"""Wi-Fi as a station, and the time from the network. network.json on the panel is what its image was built with: ssid,
password, ntp (an IPv4 address); what the site sets over the link comes after it.

Nothing here waits: the radio connects by itself, and an NTP answer is picked up when it is there.
"""

import json
import os
import socket
import struct

import network

from firmware.base.compat import const
from firmware.base.errors import HalError
from firmware.base.ticks import ticks_add, ticks_diff, ticks_ms

_MAX_BYTES = const(1024)
_NTP_PORT = const(123)
_NTP_UNIX = const(2_208_988_800)  # NTP counts from 1900
_ASK_EVERY_MS = const(3_600_000)
_ASK_AGAIN_MS = const(15_000)
_CLIENT = const(0x23)  # version 4, mode 3
_SERVER_MODE = const(4)


def read_settings(root: str) -> dict:
    """The file's texts; {} where there is none, or it is damaged."""
    try:
        with open(root + "/network.json") as file:
            stored = json.loads(file.read(_MAX_BYTES))
    except (OSError, ValueError):
        return {}
    if not isinstance(stored, dict):
        return {}
    return {name: value for name, value in stored.items() if isinstance(value, str)}


class Station:
    """The board's api.Network; the time comes along where a server is named. Call `poll` every few seconds."""

    def __init__(self, clock):
        self._clock = clock
        self._wifi = self._ntp = None

    def join(self, ssid: str, password: str, ntp: str) -> None:
        if self._wifi:
            self._wifi.leave()
        self._wifi = Wifi(ssid, password)
        self._ntp = NtpTime(ntp, self._wifi, self._clock) if ntp else None

    def up(self) -> bool:
        return self._wifi is not None and self._wifi.up()

    def address(self) -> str:
        return self._wifi.address() if self._wifi else ""

    def poll(self) -> None:
        if self._ntp:
            self._ntp.poll()


class Wifi:
    def __init__(self, ssid: str, password: str = ""):
        self._wlan = network.WLAN(network.STA_IF)
        try:
            self._wlan.active(True)
            self._wlan.connect(ssid, password)
        except OSError as error:
            raise HalError("the radio does not start: %s" % error)

    def leave(self) -> None:
        try:
            self._wlan.disconnect()
        except OSError:
            pass  # it had not joined

    def up(self) -> bool:
        return self._wlan.isconnected()

    def address(self) -> str:
        return self._wlan.ifconfig()[0] if self.up() else ""


class NtpTime:
    """Keeps `clock` right: call `poll` every few seconds."""

    def __init__(self, host: str, wifi, clock):
        self._address = socket.getaddrinfo(host, _NTP_PORT)[0][-1]
        self._wifi = wifi
        self._clock = clock
        self._socket = None
        self._cookie = b""
        self._due = ticks_ms()

    def poll(self) -> None:
        try:
            if self._socket:
                self._receive()
            if ticks_diff(ticks_ms(), self._due) >= 0 and self._wifi.up():
                self._ask()
        except OSError:
            self._close()  # asked again when due

    def _ask(self) -> None:
        self._close()
        self._due = ticks_add(ticks_ms(), _ASK_AGAIN_MS)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        # The server returns these bytes: an answer without them is to no question of ours.
        self._cookie = os.urandom(8)
        self._socket.sendto(bytes([_CLIENT]) + bytes(39) + self._cookie, self._address)

    def _receive(self) -> None:
        try:
            answer = self._socket.recv(64)
        except OSError:
            return  # nothing there yet
        unix = parse_ntp(answer, self._cookie)
        if unix:
            self._close()
            self._due = ticks_add(ticks_ms(), _ASK_EVERY_MS)
            self._clock.correct(unix)

    def _close(self) -> None:
        if self._socket:
            self._socket.close()
            self._socket = None


def parse_ntp(answer: bytes, cookie: bytes) -> int:
    """Unix seconds of a server's answer (RFC 5905, figure 8) to the request that carried `cookie`, or 0."""
    if len(answer) < 48 or answer[0] & 7 != _SERVER_MODE or answer[0] >> 6 == 3 or not 1 <= answer[1] <= 15:
        return 0  # not from a server, or from one that says it has no time itself
    if answer[24:32] != cookie:
        return 0
    seconds = struct.unpack(">I", answer[40:44])[0]
    if seconds < 0x80000000:
        seconds += 1 << 32  # the era that begins in 2036
    return seconds - _NTP_UNIX
