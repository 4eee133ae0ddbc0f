"""What happened at the door lately: RAM only, gone at power-off, without identities or scores.

The audit log in the vault is for the record; this is for the person who watches an attempt (a technician aiming the
camera, the demo): stage times, box and landmarks, hint, outcome.
"""

_KEEP = 32


class Events:
    """A short ring; `since` numbers grow for ever, so that a reader misses nothing silently."""

    def __init__(self):
        self._events = []
        self._next = 0

    def add(self, kind: str, **fields) -> None:
        fields["seq"] = self._next
        fields["kind"] = kind
        self._next += 1
        self._events.append(fields)
        if len(self._events) > _KEEP:
            self._events.pop(0)

    def since(self, seq: int, limit: int) -> tuple:
        """(events from `seq` on, at most `limit`; the number to ask from next)."""
        found = [event for event in self._events if event["seq"] >= seq][:limit]
        return found, found[-1]["seq"] + 1 if found else self._next
