"""What tests do to a registry's place behind its back, be it a file or a PostgreSQL database."""

from __future__ import annotations

import os
from pathlib import Path

import psycopg


def lose(place: str | os.PathLike[str]) -> None:
    """The registry is gone or ruined; what stands beside it is not."""
    if "://" in str(place):
        with psycopg.connect(str(place), autocommit=True) as db:
            db.execute("DROP SCHEMA menshen CASCADE")
        return
    Path(place).write_bytes(b"ruined")
    for suffix in ("-wal", "-shm"):
        Path(f"{place}{suffix}").unlink(missing_ok=True)


def content(place: str | os.PathLike[str]) -> bytes:
    """All that is stored: the file's bytes, or every row of every table as text, where bytes are written in hex."""
    if "://" not in str(place):
        return b"".join(
            Path(f"{place}{suffix}").read_bytes() for suffix in ("", "-wal") if Path(f"{place}{suffix}").exists()
        )
    with psycopg.connect(str(place)) as db:
        tables = [row[0] for row in db.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'menshen'")]
        rows = [row[0] for table in tables for row in db.execute(f"SELECT t::text FROM menshen.{table} t".encode())]
    return "\n".join(rows).encode()
