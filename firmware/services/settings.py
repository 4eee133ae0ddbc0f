"""What the site may set on this panel, kept as JSON beside the firmware; what cannot be read falls to the default."""

import json
import os

from firmware.base.errors import BadRequest

# name: (default, least, most); a flag is 0 or 1
FIELDS = {
    "face": (1, 0, 1),  # 0: the camera stays off, cards and PINs go on
    "claim": (1, 0, 1),  # 1: the flat number comes before the face (one to few); 0: one to many
    "open_s": (5, 1, 30),  # how long the lock stays released
    "door": (0, 0, 31),  # this panel's door, a bit of a resident's rights
    "utc_offset_min": (480, -720, 840),
    "lockdown": (0, 0, 1),
    "second": (0, 0, 7),  # what does not suffice alone: 1 a face, 2 a PIN, 4 a card; 7: always two of them
    "passback_min": (0, 0, 1440),  # for so long nobody comes in again by the same credential; 0: at once
    "lock": (0, 0, 2),  # which of door.locks.KINDS is wired
    "exposure": (0, -2, 2),  # of the camera, darker to brighter
    "face_least": (0, 0, 240),  # where this panel hangs: faces narrower than this are too far away, 0: any will do
    "face_most": (0, 0, 320),  # and wider ones too near
    "uid_only": (0, 0, 1),  # 1: cards without a key open by their UID, which anybody near can read and copy
}
# Settings that are lists: (most items, least, most)
LISTS = {
    "holidays": (48, 0, 65535),  # local days since 1 January 1970
}
_FILE = "settings.json"
_MAX_BYTES = 2048


class Settings:
    """Read as attributes of `values`; changed only through `change`, all or nothing, on flash before in RAM."""

    def __init__(self, root: str):
        # Relative below "/": the unix port renames no absolute path in a mounted directory.
        self._path = root + "/" + _FILE if root else _FILE
        self.values = {name: field[0] for name, field in FIELDS.items()}
        for name in LISTS:
            self.values[name] = []
        for name, value in self._stored().items():
            if _fits(name, value):
                self.values[name] = _plain(value)

    def __getitem__(self, name: str):
        return self.values[name]

    def change(self, wanted: dict) -> None:
        for name, value in wanted.items():
            if not _fits(name, value):
                raise BadRequest("%s cannot be set so" % name)
        values = dict(self.values)
        for name, value in wanted.items():
            values[name] = _plain(value)
        temporary = self._path + ".new"
        with open(temporary, "w") as file:
            json.dump(values, file)
        os.rename(temporary, self._path)
        self.values = values

    def _stored(self) -> dict:
        try:
            with open(self._path) as file:
                stored = json.loads(file.read(_MAX_BYTES))
        except (OSError, ValueError):
            return {}
        return stored if isinstance(stored, dict) else {}


def _fits(name: str, value) -> bool:
    if name in LISTS:
        most, low, high = LISTS[name]
        return isinstance(value, list) and len(value) <= most and all(_within(item, low, high) for item in value)
    field = FIELDS.get(name)
    return field is not None and _within(value, field[1], field[2])


def _within(value, low: int, high: int) -> bool:
    return isinstance(value, (int, bool)) and low <= value <= high


def _plain(value):
    return [int(item) for item in value] if isinstance(value, list) else int(value)
