"""The heap's figures, the same on every board."""

import gc


class Heap:
    def __init__(self):
        self._peak = 0

    def figures(self) -> dict:
        used = gc.mem_alloc()
        self._peak = max(self._peak, used)
        return {"heap_used": used, "heap_free": gc.mem_free(), "heap_peak": self._peak}
