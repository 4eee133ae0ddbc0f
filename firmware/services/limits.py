"""Wrong PINs and what they cost: per flat and per panel, growing, and not forgotten when the plug is pulled.

On flash a failure is one step of a counter that only grows. Sixteen counters share the flats among them by a keyed
hash (a list of flats typed in vain would hold PINs typed into the wrong field), each keeps the flat that failed most;
one more counts for the whole panel. Value: hours since 2025 (20 bits, pushed on where time alone would not make it
grow), then tag of the flat (8) and failures (4), or the panel's failures (12).
"""

from firmware.access import lockout
from firmware.base.compat import const
from firmware.base.errors import HalError
from firmware.base.log import log
from firmware.crypto.hmac import hmac_sha256

_BUCKETS = const(16)
_PANEL = "pins"
_EPOCH = const(1_735_689_600)
_MOST = const(0xFFFFFFFF)
_MOST_FAILURES = const(15)


class PinLimits:
    """`wait_s` before an attempt, then `failed` or `succeeded`, on flash when they return."""

    def __init__(self, panel):
        self._panel = panel
        self._flats = lockout.Attempts(lockout.PIN)
        self._all = lockout.Attempts(lockout.PANEL, 1)
        self._restored = {}  # (bucket, tag) -> failures before the restart
        self._restored_at = 0

    def load(self) -> None:
        """After the vault has opened: delays that were running run again from their start."""
        now = self._panel.uptime.seconds()
        self._restored_at = now
        failures = self._stored(_PANEL, lockout.PANEL)
        if failures:
            self._all.restore(_PANEL, failures, now)
        for bucket in range(_BUCKETS):
            state = self._stored(_name(bucket), lockout.PIN)
            if state & _MOST_FAILURES:
                self._restored[(bucket, state >> 4)] = state & _MOST_FAILURES

    def wait_s(self, flat: str) -> int:
        """Seconds until a PIN of this flat counts; unknown flats wait as known ones do."""
        now = self._panel.uptime.seconds()
        self._recall(flat, now)
        return max(self._flats.wait_s(flat, now), self._all.wait_s(_PANEL, now))

    def failed(self, flat: str) -> None:
        now = self._panel.uptime.seconds()
        self._recall(flat, now)
        count, everywhere = self._flats.failed(flat, now), self._all.failed(_PANEL, now)
        bucket, tag = self._place(flat)
        state = self._stored(_name(bucket), lockout.PIN)
        if state >> 4 == tag or count > state & _MOST_FAILURES:
            self._store(_name(bucket), tag << 4 | min(count, _MOST_FAILURES))
        self._store(_PANEL, everywhere)
        for failures, rule, what in ((count, lockout.PIN, b"pin"), (everywhere, lockout.PANEL, b"pin panel")):
            if failures == len(rule.delays) and self._panel.vault.in_service:
                self._panel.vault.append("lockout", bytes(8), what)

    def succeeded(self, flat: str) -> None:
        """The flat starts anew; the panel's count only fades with time, or who has one PIN could try all others."""
        self._flats.succeeded(flat)
        bucket, tag = self._place(flat)
        self._restored.pop((bucket, tag), None)
        state = self._stored(_name(bucket), lockout.PIN)
        if state >> 4 == tag and state & _MOST_FAILURES:
            self._store(_name(bucket), tag << 4)

    def _recall(self, flat: str, now: int) -> None:
        if not self._restored:
            return
        if now - self._restored_at >= lockout.PIN.forget_s:
            self._restored.clear()
            return
        failures = self._restored.get(self._place(flat), 0)
        if failures > self._flats.failures(flat):
            self._flats.restore(flat, failures, self._restored_at)

    def _place(self, flat: str) -> tuple:
        keys = self._panel.vault.keys
        if keys is None:
            return 0, 0
        digest = hmac_sha256(keys.link_key, b"menshen pin tries", flat.encode())
        return digest[0] % _BUCKETS, digest[1]

    def _hour(self) -> int:
        now, source = self._panel.board.clock.now()
        return max(0, now - _EPOCH) // 3600 if source else 0

    def _stored(self, name: str, rule) -> int:
        """The 12 bits below the hour; 0 when they are too old to count."""
        value = self._panel.vault.counter(name)
        hour = self._hour()
        return 0 if hour and hour - (value >> 12) > rule.forget_s // 3600 else value & 0xFFF

    def _store(self, name: str, state: int) -> None:
        vault = self._panel.vault
        if not vault.in_service:
            return
        old = vault.counter(name)
        value = self._hour() << 12 | state
        if value <= old:
            value = (old >> 12) + 1 << 12 | state
        try:
            vault.set_counter(name, min(value, _MOST))
        except HalError as error:
            log("limits", str(error))


def _name(bucket: int) -> str:
    return "pin%d" % bucket
