"""The templates that may open this door, in memory, and the integer comparison with a face seen now.

Scores are cosines in Q14 (16384 = identical direction). Nothing here knows persons: a handle is the random
name of a record.
"""

from array import array

from firmware.base.compat import const
from firmware.base.errors import BadRequest, ModelMismatch, NotFound, VaultFull
from firmware.base.integers import isqrt

DIMENSIONS = const(128)
NO_SCORE = const(-16385)
_CONTENDERS = const(16)
_SCALE_BITS = const(38)  # a template's scale: 2**38 / its length in 1/256
_MARGIN = const(4)


def length_q8(square: int) -> int:
    """The length of a vector in 1/256, from its squared length."""
    return isqrt(square << 16)


def cosine_q14(dot: int, length_a: int, length_b: int) -> int:
    """`length_a`, `length_b` from length_q8; a vector of length zero matches nothing."""
    product = length_a * length_b
    return (dot << 30) // product if product else NO_SCORE


class Gallery:
    """A fixed table of up to `capacity` handles with up to `per_handle` templates of 128 int8 each.

    `dots(probe, table, start, count, out)` fills `out` with the dot products of int8 `probe` and `count`
    consecutive templates from byte `start` of `table` (firmware.biometrics.dot, or a board's faster one).

    `scan(probe, table, scales, counts, per_row, margin, out)`, where the board has one (firmware/nn/s3/match.py),
    compares with the whole table at once: a template scores (dot << 9) * scale >> 32, a row the best of its
    templates, and the rows that come within `margin` of the second best are worth an exact look.
    """

    def __init__(self, model_id: bytes, dots, capacity: int = 512, per_handle: int = 4, scan=None):
        self.model_id = bytes(model_id)
        self.per_handle = per_handle
        self._dots = dots
        self._row_bytes = per_handle * DIMENSIONS
        self._table = bytearray(capacity * self._row_bytes)
        self._blank = bytes(self._row_bytes)
        self._lengths = [0] * (capacity * per_handle)
        self._counts = bytearray(capacity)
        self._rows = {}
        self._free = list(range(capacity - 1, -1, -1))
        self._out = array("i", (0 for _ in range(per_handle)))
        self._scan = scan
        if scan is not None:
            self._scales = array("i", (0 for _ in range(capacity * per_handle)))
            self._handles = [None] * capacity
            self._found = array("i", (0 for _ in range(_CONTENDERS)))

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, handle) -> bool:
        return handle in self._rows

    def handles(self) -> list:
        return list(self._rows)

    def add(self, handle: bytes, model_id: bytes, templates) -> None:
        """Takes over copies of the templates, in place of any the handle had. Nothing changes when an error
        is raised."""
        self._check_model(model_id)
        if not 1 <= len(templates) <= self.per_handle:
            raise BadRequest("a face has 1 to %d templates" % self.per_handle)
        lengths = [self._length(template) for template in templates]
        if not all(lengths):
            raise BadRequest("a template cannot be all zero")
        if handle not in self._rows and not self._free:
            raise VaultFull("the gallery is full")
        self.remove(handle)
        row = self._free.pop()
        for i, template in enumerate(templates):
            at = row * self._row_bytes + i * DIMENSIONS
            self._table[at : at + DIMENSIONS] = template
            self._lengths[row * self.per_handle + i] = lengths[i]
            if self._scan is not None:
                self._scales[row * self.per_handle + i] = (1 << _SCALE_BITS) // lengths[i]
        if self._scan is not None:
            self._handles[row] = handle
        self._counts[row] = len(templates)
        self._rows[handle] = row

    def remove(self, handle: bytes) -> bool:
        """Zeroes the handle's templates; False when there were none."""
        row = self._rows.pop(handle, None)
        if row is None:
            return False
        at = row * self._row_bytes
        self._table[at : at + self._row_bytes] = self._blank
        for i in range(row * self.per_handle, (row + 1) * self.per_handle):
            self._lengths[i] = 0
        self._counts[row] = 0
        self._free.append(row)
        return True

    def clear(self) -> None:
        for handle in self.handles():
            self.remove(handle)

    def match(self, probe, model_id: bytes, candidates=None) -> tuple:
        """The best two handles for an int8[128] `probe`: (handle, score, second handle, its score).

        `candidates` are the handles to compare with (those of the claimed flat), None for all; those that are
        not in the gallery are skipped. A missing place is None with NO_SCORE.
        """
        self._check_model(model_id)
        length = self._length(probe)
        best = second = None
        score = second_score = NO_SCORE
        for handle in self._contenders(probe, length) if candidates is None else set(candidates):
            row = self._rows.get(handle)
            if row is None:
                continue
            found = self._row_score(probe, length, row)
            if found > score:
                best, score, second, second_score = handle, found, best, score
            elif found > second_score:
                second, second_score = handle, found
        return best, score, second, second_score

    def score(self, probe, model_id: bytes, handle: bytes) -> int:
        """The best score of one handle's templates."""
        self._check_model(model_id)
        if handle not in self._rows:
            raise NotFound("no such handle in the gallery")
        return self._row_score(probe, self._length(probe), self._rows[handle])

    def _contenders(self, probe, length: int):
        """All handles, or of a table that `scan` can judge those that may be the best or the second best.

        A score of `scan` is the cosine times length / 2, within 2: what lies a Q14 step and that error below the second
        best cannot come out above it.
        """
        if self._scan is None:
            return self._rows
        found = self._found
        margin = (length >> 15) + 1 + _MARGIN
        count = self._scan(probe, self._table, self._scales, self._counts, self.per_handle, margin, found)
        return [self._handles[row] for row in found[:count]] if count <= _CONTENDERS else self._rows

    def _row_score(self, probe, length: int, row: int) -> int:
        count = self._counts[row]
        self._dots(probe, self._table, row * self._row_bytes, count, self._out)
        first = row * self.per_handle
        return max(cosine_q14(self._out[i], length, self._lengths[first + i]) for i in range(count))

    def _length(self, vector) -> int:
        if len(vector) != DIMENSIONS:
            raise BadRequest("a template has %d bytes" % DIMENSIONS)
        self._dots(vector, vector, 0, 1, self._out)
        return length_q8(self._out[0])

    def _check_model(self, model_id) -> None:
        if bytes(model_id) != self.model_id:
            raise ModelMismatch("made by another embedder: enrol again")
