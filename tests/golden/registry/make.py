"""Writes version-N.sql, a registry of this code's schema, before a migration is added that makes it an older one.

Run at the root: python -m tests.golden.registry.make. It brings the newest dump up to date and adds a row to each table
that is still empty; where a table does not take such a row, add one by hand.
"""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path

from host_tools.errors import RegistryConflict
from host_tools.site.registry import Registry
from host_tools.site.schema import TABLES

FOLDER = Path(__file__).parent
NAMED = {"panel_id": b"panel-01", "handle": b"resid-01", "id": 1}
OF_KIND = {"INTEGER": 1, "TEXT": "sample", "BLOB": b"sample"}


def load(dump: Path, file: Path) -> None:
    db = sqlite3.connect(file)
    db.executescript(dump.read_text("utf-8"))
    db.close()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "site.db"
        load(max(FOLDER.glob("version-*.sql"), key=lambda path: int(path.stem.partition("-")[2])), file)
        registry = Registry(file)
        for table in TABLES:
            if not registry.rows(f"SELECT 1 FROM {table}"):
                columns = registry.rows(f"PRAGMA table_info({table})")
                row = {column["name"]: NAMED.get(column["name"], OF_KIND[column["type"]]) for column in columns}
                marks = ", ".join("?" * len(row))
                try:
                    with registry.transaction() as db:
                        db.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))
                except RegistryConflict as error:
                    print(f"{table} stays empty: {error}")
        version = registry.version()
        registry.close()
        db = sqlite3.connect(file)
        text = "\n".join([*db.iterdump(), f"PRAGMA user_version = {version};", ""])
        db.close()
    (FOLDER / f"version-{version}.sql").write_text(text, "utf-8")
    print(f"version-{version}.sql")


if __name__ == "__main__":
    main()
