"""One decision out of several frames of one attempt.

A handle wins when `needed` of the attempt's frames score at least `threshold` for it, or one frame at least
`strong`.

What this does to the false match rate needs no assumption on how frames depend on each other. Let p be the
chance that a stranger's frame reaches `threshold` for a given handle, and q that it reaches `strong`. Over n
frames the expected number of frames at the threshold is n p, so the chance of `needed` or more is at most n p
/ needed (Markov), and of any strong frame at most n q: an attempt falsely matches with at most n p / needed +
n q, however alike its frames are. Taking the first frame above the threshold instead would allow up to n p.
Two of three frames: at most 1.5 p + 3 q; if the frames were independent it would be about 3 p^2 + 3 q, if
they were identical p.
"""

from firmware.base.compat import const

NEVER = const(16385)  # a `strong` that no cosine reaches


class Vote:
    """Scores are cosines in Q14. `frames` is the most frames an attempt may look at before it fails."""

    def __init__(self, threshold: int, strong: int = NEVER, needed: int = 2, frames: int = 3):
        if not (1 <= needed <= frames and threshold <= strong):
            raise ValueError("needed <= frames, threshold <= strong")
        self.threshold = threshold
        self.strong = strong
        self.needed = needed
        self.frames = frames
        self.reset()

    def reset(self) -> None:
        self.seen = 0
        self._hits = {}

    @property
    def over(self) -> bool:
        """No further frame can count, or none could still change the outcome."""
        most = max(self._hits.values()) if self._hits else 0
        left = self.frames - self.seen
        return left <= 0 or (self.strong >= NEVER and most + left < self.needed)

    def push(self, handle, score: int):
        """One frame's best handle (or None) and score; returns the handle that has won now, or None."""
        if self.over:
            return None
        self.seen += 1
        if handle is None or score < self.threshold:
            return None
        self._hits[handle] = self._hits.get(handle, 0) + 1
        return handle if score >= self.strong or self._hits[handle] >= self.needed else None
