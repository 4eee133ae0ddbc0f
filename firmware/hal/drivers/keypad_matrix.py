"""A matrix keypad without diodes: 4 rows by 3 or 4 columns, the contract of hal.api.Keypad.

A key counts when it has been down for DEBOUNCE_MS and again only after it has been up as long. Keys may overlap, as
quick typing does; where three corners of a rectangle are down the fourth seems so too, and then no key counts until the
rectangle is gone. Call `sample` from a timer where `scan` may come late: it does not allocate.
"""

from firmware.base.compat import const
from firmware.base.ticks import ticks_diff, ticks_ms

DEBOUNCE_MS = const(20)
KEYS_3 = "123456789*0#"
KEYS_4 = "123A456B789C*0#D"
_KNOWN = "0123456789*#"
_QUEUE = const(16)


class MatrixKeypad:
    """`rows` as machine.Pin, open drain; `columns` as machine.Pin, inputs with pull-up; `keys` row by row.

    Letters, which a 4x4 keypad has, are scanned like all others and reported to nobody.
    """

    def __init__(self, rows, columns, keys: str = "", ticks=ticks_ms):
        self._rows = tuple(rows)
        self._columns = tuple(columns)
        self._keys = keys or (KEYS_4 if len(self._columns) == 4 else KEYS_3)
        if len(self._keys) != len(self._rows) * len(self._columns):
            raise ValueError("%d keys do not fit the matrix" % len(self._keys))
        self._ticks = ticks
        self._masks = bytearray(len(self._rows))
        self._down = bytearray(len(self._keys))  # 1: known to be down
        self._changed = [None] * len(self._keys)  # since when the reading differs from that
        self._queue = bytearray(_QUEUE)
        self._queued = 0
        for row in self._rows:
            row(1)

    def scan(self) -> str:
        self.sample()
        count, self._queued = self._queued, 0
        return "".join([self._keys[self._queue[i]] for i in range(count) if self._keys[self._queue[i]] in _KNOWN])

    def sample(self, _=None) -> None:
        """Looks at the keys once; machine.Timer's callback as well."""
        self._read()
        if self._ghosts():
            return
        now = self._ticks()
        width = len(self._columns)
        for key in range(len(self._down)):
            reading = self._masks[key // width] >> key % width & 1
            if reading == self._down[key]:
                self._changed[key] = None
            elif self._changed[key] is None:
                self._changed[key] = now
            elif ticks_diff(now, self._changed[key]) >= DEBOUNCE_MS:
                self._changed[key] = None
                self._down[key] = reading
                if reading and self._queued < _QUEUE:
                    self._queue[self._queued] = key
                    self._queued += 1

    def _read(self) -> None:
        for i in range(len(self._rows)):
            self._rows[i](0)
            mask = 0
            for j in range(len(self._columns)):
                if not self._columns[j]():
                    mask |= 1 << j
            self._rows[i](1)
            self._masks[i] = mask

    def _ghosts(self) -> bool:
        """Whether two rows have two columns in common."""
        masks = self._masks
        for i in range(len(masks)):
            for j in range(i):
                common = masks[i] & masks[j]
                if common & (common - 1):
                    return True
        return False
