"""Where a registry lives: a SQLite file, or a PostgreSQL database that a URL names."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import platformdirs

from host_tools.errors import Usage

_SCHEMES = ("postgresql", "postgres")
_PASSWORD = re.compile(r"(?<=[?&]password=)[^&]*")


@dataclass(frozen=True, repr=False)
class Place:
    """Of `file` and `url` one is there. As a string it has no password in it."""

    file: Path | None = None
    url: str = ""

    @classmethod
    def of(cls, named: Place | Path | str | None) -> Place:
        """Unnamed: MENSHEN_SITE, else a file in the user's data folder. Raises Usage."""
        if isinstance(named, Place):
            return named
        text = str(named or os.environ.get("MENSHEN_SITE") or data_folder() / "site.db")
        scheme, found, _ = text.partition("://")
        if not found:
            return cls(file=Path(text))
        if scheme not in _SCHEMES:
            raise Usage(
                f"A site is a file or postgresql://USER@HOST/DATABASE, and {scheme}:// is neither. Nothing was changed."
            )
        try:
            urlsplit(text).port  # noqa: B018 - a port that is no number raises
        except ValueError as error:
            raise Usage(f"The site's URL cannot be read: {error}. Nothing was changed.") from error
        return cls(url=text)

    def beside(self, site_id: bytes) -> Path:
        """The start of the names of files that outlive the registry.

        They stand beside a SQLite file. For a PostgreSQL database each computer keeps its own in the user's data
        folder, under the site's id, so that another database of the same site finds them.
        """
        if self.file is not None:
            return self.file
        folder = data_folder() / "sites"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder / site_id.hex()

    def __repr__(self) -> str:
        return f"Place({self})"

    def __str__(self) -> str:
        if self.file is not None:
            return str(self.file)
        parts = urlsplit(self.url)
        user, at, host = parts.netloc.rpartition("@")
        query = _PASSWORD.sub("...", "?" + parts.query) if parts.query else ""
        return f"{parts.scheme}://{user.partition(':')[0]}{at}{host}{parts.path}{query}"


def data_folder() -> Path:
    return platformdirs.user_data_path("menshen", appauthor=False)
