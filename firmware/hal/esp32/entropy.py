"""Random bytes for keys, from several sources mixed by SHA-256: one good source makes the output good.

- The chip's generator behind os.urandom. It is a true one while the radio or the SAR converter runs (ESP32-S3 technical
  reference manual, "Random Number Generator"), else pseudo-random: so the radio is switched on while seeding.
- Noise of the SAR converter on one of its inputs: the low bits of readings of an open or driven pin.
- The jitter between the processor's clock and the duration of those conversions.
"""

import hashlib
import os
import time

import network
from machine import ADC, Pin, unique_id

from firmware.base.compat import const
from firmware.base.errors import HalError

_READINGS = const(256)
_SETTLE_MS = const(20)
_REPEATS = const(41)  # NIST SP 800-90B, 4.4.1, for one bit of entropy a reading and a false alarm in 2**40


class Entropy:
    """Call it for `n` bytes. `adc_pin` is of ADC1 or ADC2 and used for nothing else at the time, or None."""

    def __init__(self, adc_pin=None):
        self._adc = ADC(Pin(adc_pin)) if adc_pin is not None else None
        self._counter = 0
        self._last = b""
        self._pool = hashlib.sha256(b"menshen entropy v1" + unique_id()).digest()
        self._seed()

    def __call__(self, n: int) -> bytes:
        out = b""
        while len(out) < n:
            self._counter += 1
            fresh = self._random(32)
            count = self._counter.to_bytes(4, "little")
            jitter = time.ticks_cpu().to_bytes(8, "little")
            out += hashlib.sha256(b"out" + self._pool + count + fresh).digest()
            self._pool = hashlib.sha256(b"next" + self._pool + count + fresh + jitter).digest()
        return out[:n]

    def _seed(self) -> None:
        radio = network.WLAN(network.STA_IF)
        was_on = radio.active()
        try:
            radio.active(True)
            time.sleep_ms(_SETTLE_MS)
            self._pool = hashlib.sha256(self._pool + self._random(64) + self._noise()).digest()
        finally:
            if not was_on:
                radio.active(False)

    def _noise(self) -> bytes:
        """Timing and low bits of conversions; stirs the pool only: what it brings is not counted on."""
        noise = bytearray()
        for _ in range(_READINGS):
            start = time.ticks_cpu()
            low = self._adc.read_u16() & 0xFF if self._adc else 0
            noise.append((low ^ time.ticks_diff(time.ticks_cpu(), start)) & 0xFF)
        return bytes(noise)

    def _random(self, n: int) -> bytes:
        """A generator that repeats itself is broken: HalError rather than keys that can be guessed."""
        fresh = os.urandom(n)
        if fresh == self._last or _stuck(fresh):
            raise HalError("the random generator repeats itself")
        self._last = fresh
        return fresh


def _stuck(data: bytes) -> bool:
    """Whether one bit value runs for too long (the repetition count test)."""
    run, last = 0, -1
    for byte in data:
        for place in range(8):
            bit = byte >> place & 1
            run = run + 1 if bit == last else 1
            last = bit
            if run >= _REPEATS:
                return True
    return False
