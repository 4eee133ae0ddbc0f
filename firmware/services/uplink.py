"""The way out to the site's broker, where one is set: the network's settings, the connection, and what waits for it.

The settings (Wi-Fi, broker, login, certificate) are sealed in the vault, go with it, and are told to nobody.

A panel that was away catches up before a face may open the door: from the start, and from each later connection, faces
wait until the broker has handed over what it kept (`holding`), at most `hold_s` seconds. Keypad and cards never wait. A
broker that cannot be reached, or plays for time, keeps faces waiting for those seconds after a start, and for no more
than a tenth of the time after that.

The connection's task is not the supervisor's: nothing that happens to it concerns the door.
"""

import asyncio
import json
from binascii import a2b_base64, b2a_base64, hexlify

from firmware.base.compat import const
from firmware.base.errors import BadRequest, EraseFailed, HalError, VaultCorrupt
from firmware.base.log import log
from firmware.base.ticks import ticks_add, ticks_diff, ticks_ms

_NAME = b"network "
_SETTLE_MS = const(500)  # before new settings are taken up: the answer to the command comes first
_REST = const(9)  # times as long as faces waited, they do not wait again
_DEFAULTS = {
    "ssid": "",
    "wifi_password": "",
    "ntp": "",
    "host": "",  # none: no broker
    "port": 1883,
    "tls": False,
    "name": "",  # in the broker's certificate
    "ca": b"",  # DER
    "user": "",
    "password": "",
    "hold_s": 60,
}
_SECRET = ("wifi_password", "password", "ca")
_ADDRESSES = ("ntp", "host")


class Uplink:
    """A port of the link's server, whatever the settings; `tend` is called in each round of the supervisor."""

    def __init__(self, panel):
        self._panel = panel
        self._values = dict(_DEFAULTS)
        self._port = self._task = None
        self._due = None
        self._held_since = None
        self._rests_until_s = 0

    # A port of the link's server

    def read(self) -> bytes:
        return self._port.read() if self._port else b""

    def write(self, data: bytes) -> None:
        if self._port:
            self._port.write(data)

    # Settings

    def load(self) -> None:
        """From the vault, once it is open; what cannot be read is as if it had never been set."""
        try:
            stored = json.loads(str(self._panel.vault.read_list(_NAME), "utf-8") or "{}")
            stored["ca"] = a2b_base64(stored.get("ca", ""))
        except (VaultCorrupt, ValueError, TypeError, AttributeError) as error:
            log("network", "the settings cannot be read (%s)" % type(error).__name__)
            return
        for name, default in _DEFAULTS.items():
            if isinstance(stored.get(name), type(default)):
                self._values[name] = stored[name]
        self._due = ticks_ms()
        if self._values["host"]:
            self._hold()

    def change(self, wanted: dict) -> None:
        """All or nothing; what is not named stays as it is."""
        values = dict(self._values)
        values.update(wanted)
        for name in _ADDRESSES:
            if values[name] and not _is_address(values[name]):
                raise BadRequest("%s must be an IPv4 address: looking up a name would stop the panel" % name)
        if values["tls"]:
            _context(values["ca"])
        stored = dict(values)
        stored["ca"] = str(b2a_base64(values["ca"]), "ascii").strip()
        try:
            self._panel.vault.put_list(_NAME, json.dumps(stored).encode())
        except EraseFailed as error:  # stored; the block of the older settings is out of use
            log("vault", str(error))
        self._values = values
        self._due = ticks_add(ticks_ms(), _SETTLE_MS)

    def told(self) -> dict:
        """What may be told of it."""
        answer = {name: value for name, value in self._values.items() if name not in _SECRET}
        answer["up"] = self._panel.board.network.up()
        answer["address"] = self._panel.board.network.address()
        port = self._port if self._due is None else None  # that of older settings is about to go
        answer["connected"] = port is not None and port.connected
        answer["drained"] = port is not None and port.drained
        answer["problem"] = port.problem if port else ""
        answer["holding"] = self.holding
        return answer

    # Work

    @property
    def holding(self) -> bool:
        """Faces wait: the broker may have kept something that forbids them."""
        return self._held_since is not None

    def tend(self) -> None:
        now = ticks_ms()
        if self._due is not None and ticks_diff(now, self._due) >= 0:
            self._due = None
            self._take_up()
        if self._port:
            self._port.tend()
        if self.holding and (self._caught_up or ticks_diff(now, self._held_since) >= self._values["hold_s"] * 1000):
            self._let_go(now)

    @property
    def _caught_up(self) -> bool:
        return self._port.drained if self._port else self._due is None

    def _take_up(self) -> None:
        values, network = self._values, self._panel.board.network
        if self._task:
            self._task.cancel()
            self._task = self._port = None
        if values["ssid"]:
            try:
                network.join(values["ssid"], values["wifi_password"], values["ntp"])
            except HalError as error:
                log("network", str(error))
        if not values["host"]:
            return
        from firmware.link.mqtt import Login, MqttPort  # most panels have no broker

        keys = self._panel.vault.keys
        panel_id = str(hexlify(keys.panel_id), "ascii")
        base = "menshen/%s/%s/" % (str(hexlify(keys.label[:8]), "ascii"), panel_id)
        try:
            context = _context(values["ca"]) if values["tls"] else None
        except BadRequest as error:
            log("network", str(error))
            return
        login = Login(
            values["host"],
            values["port"],
            context,
            values["name"] or values["host"],
            panel_id,
            values["user"],
            values["password"],
            base,
        )
        self._port = MqttPort(login, self._panel.board.entropy, self._hold)
        self._task = asyncio.create_task(self._port.run())

    def _hold(self) -> None:
        """Faces wait from here on, if they have not waited too long before."""
        resting = self._panel.uptime.seconds() < self._rests_until_s
        if not self.holding and not resting and self._values["hold_s"]:
            self._held_since = ticks_ms()
            self._panel.hold_faces()

    def _let_go(self, now: int) -> None:
        if not self._caught_up:
            log("network", "faces wait no longer")
        took_s = ticks_diff(now, self._held_since) // 1000
        self._held_since = None
        self._rests_until_s = self._panel.uptime.seconds() + _REST * took_s
        self._panel.release_faces()


def _context(ca: bytes):
    """A TLS context that trusts this one authority."""
    try:
        import ssl
    except ImportError:
        raise BadRequest("this panel's MicroPython was built without TLS")
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=ca)
    except (OSError, ValueError):
        raise BadRequest("this is no certificate of an authority, in DER")
    return context


def _is_address(text: str) -> bool:
    parts = text.split(".")
    return len(parts) == 4 and all([part.isdigit() and len(part) < 4 and int(part) < 256 for part in parts])
