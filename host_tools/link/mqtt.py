"""Panels behind an MQTT broker: `mqtt://HOST[:PORT]/menshen/SITE/PANEL` or `mqtts://...`.

The topics are told in firmware/link/mqtt.py.

One connection carries the links to as many panels as one likes. How this host logs in stands in a file of its user's
(`menshen fleet login`), never in a port's URL or in the registry.
"""

from __future__ import annotations

import json
import os
import queue
import secrets
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import paho.mqtt.client as paho
import platformdirs
from paho.mqtt.enums import CallbackAPIVersion

from host_tools.errors import LinkFailed, NoPanel, Usage

PORTS = {"mqtt": 1883, "mqtts": 8883}
_KEEP_ALIVE_S = 30
_CONNECT_S = 10.0
_STATE_S = 1.0  # how long a retained state may take behind the subscription
_POLL_S = 0.05
_MOST_WAITING = 256  # frames of one panel that nobody has read
_DOWN, _UP, _STATE = "down", "up", "state"


@dataclass(frozen=True)
class Address:
    """A broker, and below `base` one panel's topics; an empty `base` names the broker alone."""

    scheme: str
    host: str
    port: int
    base: str = ""

    @classmethod
    def of(cls, url: str) -> Address:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise Usage(f"{url} is no broker: {error}.") from error
        if parts.scheme not in PORTS or not parts.hostname or parts.username or parts.query or parts.fragment:
            raise Usage(f"{url} is no broker. Say mqtt://HOST[:PORT] or mqtts://HOST[:PORT].")
        base = parts.path.strip("/")
        if any(sign in base for sign in "+#"):
            raise Usage(f"{url} names more than one panel.")
        return cls(parts.scheme, parts.hostname, port or PORTS[parts.scheme], base)

    @property
    def broker(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"

    def of_panel(self, site_id: bytes, panel_id: bytes) -> str:
        """The URL of one panel's port."""
        return f"{self.broker}/menshen/{site_id.hex()}/{panel_id.hex()}"


@dataclass(frozen=True)
class Login:
    """`ca`: the certificate, PEM, of the authority that signed the broker's; "" for the system's own."""

    user: str = ""
    password: str = ""
    ca: str = ""

    @classmethod
    def stored(cls) -> Login:
        """This user's, or none. Raises Usage."""
        path = login_file()
        if not path.exists():
            return cls()
        try:
            fields = json.loads(path.read_text(encoding="utf-8"))
            return cls(*(str(fields.get(name, "")) for name in ("user", "password", "ca")))
        except (OSError, ValueError, AttributeError) as error:
            raise Usage(f"The broker's login in {path} cannot be read. Run: menshen fleet login.") from error

    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=self.ca or None)

    def store(self) -> Path:
        path = login_file()
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(path.name + ".new")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump(vars(self), file)
        new.replace(path)
        return path


def login_file() -> Path:
    named = os.environ.get("MENSHEN_BROKER_LOGIN")
    return Path(named) if named else platformdirs.user_config_path("menshen", appauthor=False) / "broker.json"


class Broker:
    """A connection to a broker, kept up by itself; safe to use from several threads.

    `on_state(base, online)` is called, on the connection's own thread, for each panel that comes or goes.
    """

    def __init__(
        self, address: Address, login: Login | None = None, on_state: Callable[[str, bool], object] | None = None
    ) -> None:
        self.address = address
        self.states: dict[str, bool] = {}
        self._on_state = on_state
        self._changed = threading.Condition()
        self._listeners: dict[str, list[queue.Queue[bytes]]] = {}
        self._filters: list[str] = []
        self._watched_at = 0.0
        self._granted: set[int] = set()
        self._refusal = ""
        login = login if login is not None else Login.stored()
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=f"menshen-{secrets.token_hex(6)}", protocol=paho.MQTTv311
        )
        self._client.on_connect = self._connected
        self._client.on_subscribe = self._subscribed
        self._client.on_message = self._arrived
        self._client.max_queued_messages_set(10_000)
        self._client.max_inflight_messages_set(200)
        self._client.reconnect_delay_set(1, 30)
        if login.user:
            self._client.username_pw_set(login.user, login.password)
        self._open(login)

    def _open(self, login: Login) -> None:
        where = self.address.broker
        try:
            if self.address.scheme == "mqtts":
                self._client.tls_set_context(login.context())
            self._client.connect(self.address.host, self.address.port, _KEEP_ALIVE_S)
        except (OSError, ValueError) as error:
            raise NoPanel(f"The broker {where} cannot be reached ({_reason(error)}).") from error
        self._client.loop_start()
        with self._changed:
            self._changed.wait_for(lambda: self._client.is_connected() or self._refusal, _CONNECT_S)
            if self._refusal or not self._client.is_connected():
                self.close()
                why = self._refusal or "no answer"
                raise NoPanel(f"The broker {where} does not let this host in ({why}). See: menshen fleet login.")

    @property
    def connected(self) -> bool:
        return bool(self._client.is_connected())

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def watch(self, base: str) -> None:
        """Hears the panel with these topics, or with "+" as its last part all of a site. Raises LinkFailed."""
        self._subscribe(f"{base}/{_UP}", f"{base}/{_STATE}")
        self._watched_at = time.monotonic()

    def wait_state(self, base: str) -> bool | None:
        """Whether the panel is there; None when the broker has never heard of it."""
        with self._changed:
            left = self._watched_at + _STATE_S - time.monotonic()
            self._changed.wait_for(lambda: base in self.states, max(left, 0.0))
            return self.states.get(base)

    def listen(self, base: str) -> queue.Queue[bytes]:
        """What the panel says from now on."""
        heard: queue.Queue[bytes] = queue.Queue(_MOST_WAITING)
        with self._changed:
            self._listeners.setdefault(base, []).append(heard)
        return heard

    def forget(self, base: str, heard: queue.Queue[bytes]) -> None:
        with self._changed:
            left = [listener for listener in self._listeners.get(base, []) if listener is not heard]
            self._listeners[base] = left
            if not left:
                del self._listeners[base]

    def send(self, base: str, data: bytes, wait_s: float = 0.0) -> None:
        """To the panel, at least once. With `wait_s` returns when the broker has it. Raises LinkFailed."""
        sent = self._client.publish(f"{base}/{_DOWN}", data, qos=1)
        try:
            if wait_s:
                sent.wait_for_publish(wait_s)
            if sent.rc != paho.MQTT_ERR_SUCCESS or (wait_s and not sent.is_published()):
                raise self._gone()
        except (RuntimeError, ValueError) as error:
            raise self._gone() from error

    def _subscribe(self, *filters: str) -> None:
        code, number = self._client.subscribe([(name, 1) for name in filters])
        with self._changed:
            self._filters += filters
            done = code == paho.MQTT_ERR_SUCCESS and self._changed.wait_for(
                lambda: number in self._granted or self._refusal, _CONNECT_S
            )
            self._granted.discard(number or 0)
        if not done or self._refusal:
            raise self._gone()

    def _gone(self) -> LinkFailed:
        why = self._refusal or "the connection is lost"
        return LinkFailed(f"The broker {self.address.broker} does not carry this ({why}). Run the command again.")

    # On the connection's thread.

    def _connected(self, client: paho.Client, _userdata: Any, _flags: Any, code: Any, _properties: Any) -> None:
        with self._changed:
            self._refusal = str(code).lower() if code.is_failure else ""
            if self._filters and not code.is_failure:  # a new session knows nothing of them
                client.subscribe([(name, 1) for name in self._filters])
            self._changed.notify_all()

    def _subscribed(self, _client: paho.Client, _userdata: Any, number: int, codes: Any, _properties: Any) -> None:
        with self._changed:
            if any(code.is_failure for code in codes):
                self._refusal = "this host has no right to the topics"
            self._granted.add(number)
            self._changed.notify_all()

    def _arrived(self, _client: paho.Client, _userdata: Any, message: paho.MQTTMessage) -> None:
        base, _, what = message.topic.rpartition("/")
        if what == _STATE:
            online = message.payload == b"online"
            with self._changed:
                self.states[base] = online
                self._changed.notify_all()
            if self._on_state:
                self._on_state(base, online)
            return
        with self._changed:
            listeners = list(self._listeners.get(base, ()))
        for heard in listeners:
            try:
                heard.put_nowait(bytes(message.payload) + b"\r\n")
            except queue.Full:  # nobody reads: what is lost here is asked for again
                continue


class MqttCarrier:
    """One panel's link over a broker; with `broker` over a connection that others share."""

    def __init__(self, port: str, broker: Broker | None = None) -> None:
        self.port = port
        address = Address.of(port)
        if not address.base:
            raise Usage(f"{port} names a broker and no panel. See: menshen panel list.")
        self._base = address.base
        self._own = None if broker else Broker(address)
        self._broker = broker or self._own or Broker(address)
        try:
            if self._own:
                self._own.watch(self._base)
            self._heard = self._broker.listen(self._base)
            self._state = self._broker.wait_state(self._base)
        except BaseException:
            if self._own:
                self._own.close()
            raise

    @property
    def away(self) -> bool:
        return self._state is not True

    def read(self) -> bytes:
        if not self._broker.connected:
            raise LinkFailed(f"The broker of {self.port} went away. Run this again when it is back.")
        try:
            return self._heard.get(timeout=_POLL_S)
        except queue.Empty:
            return b""

    def write(self, data: bytes) -> None:
        self._broker.send(self._base, data)

    def leave(self, data: bytes) -> bool:
        if self._state is None:  # for a panel that was never there the broker keeps nothing
            return False
        self._broker.send(self._base, data, _CONNECT_S)
        return True

    def close(self) -> None:
        self._broker.forget(self._base, self._heard)
        if self._own:
            self._own.close()


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate does not hold: {error.verify_message}"
    text = getattr(error, "strerror", None) or str(error)
    return text.lower() if text else type(error).__name__
