"""Every statement in the source is understood by PostgreSQL as well: nobody writes SQL for SQLite alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import postgres_server
import psycopg
import pytest

from host_tools.site import Site, dialect

ROOT = Path(__file__).resolve().parents[2]
OWN = {"sqlite.py", "postgres.py"}  # each speaks to one database only
CALLS = {"execute", "row", "rows"}


def statements() -> Iterator[tuple[str, str]]:
    """(where, text) of each literal that is given to the registry."""
    for path in sorted((ROOT / "host_tools").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            called = node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""
            if called in CALLS and path.name not in OWN and isinstance(node, ast.Call) and node.args:
                text = node.args[0]
                if isinstance(text, ast.Constant) and isinstance(text.value, str):
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", text.value


def test_every_statement_is_understood_by_postgresql(postgres: postgres_server.Server, data_home: Path) -> None:
    database = postgres.new_database()
    Site.open(postgres.url(database)).close()
    found = list(statements())
    assert len(found) > 60
    wrong = []
    with psycopg.connect(postgres.url(database), autocommit=True, cursor_factory=psycopg.ClientCursor) as db:
        db.execute("SET search_path = menshen")
        for where, text in found:
            query, _ = dialect.query(text)
            values = _Nothing() if "%(" in query else (None,) * query.count("%s")
            try:
                db.execute(f"EXPLAIN {query}".encode(), values)
            except psycopg.Error as error:
                wrong.append(f"{where}: {error}")
    assert not wrong, "\n".join(wrong)


class _Nothing(dict):  # type: ignore[type-arg]
    def __missing__(self, key: str) -> None:
        return None


def test_the_marks_of_a_query_are_translated_and_its_texts_are_not() -> None:
    assert dialect.query("SELECT '?:a%' || ? FROM t WHERE a LIKE '%''?' AND b = ?")[0] == (
        "SELECT '?:a%%' || %s FROM t WHERE a LIKE '%%''?' AND b = %s"
    )
    assert dialect.query("SELECT ?1, ?2, ?1") == ("SELECT %(p1)s, %(p2)s, %(p1)s", True)
    assert dialect.query("SELECT a::text, :name % 2") == ("SELECT a::text, %(name)s %% 2", False)


@pytest.mark.parametrize(
    ("written", "taken"),
    [
        ("CREATE TABLE t (id INTEGER PRIMARY KEY, b BLOB) STRICT;", "IDENTITY PRIMARY KEY, b bytea)"),
        ("ALTER TABLE t ADD COLUMN b BLOB DEFAULT x'00ff';", "DEFAULT '\\x00ff'::bytea"),
        ("ALTER TABLE t ADD COLUMN n TEXT;", 'n text COLLATE "C"'),
    ],
)
def test_the_schema_is_translated(written: str, taken: str) -> None:
    assert taken in "".join(dialect.schema(written))
