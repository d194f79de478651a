"""The statements that create the newest schema, and what SQLite keeps of them.

Knows how the tables of `tables` are written in SQL; runs nothing in a store.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import cache

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateIndex, CreateTable, ExecutableDDLElement

from usersim.corpus.store.tables import SCHEMA_VERSION, SEARCH_TABLE, metadata

__all__ = ["SCHEMA_SQL", "SEARCH_SQL", "as_created", "statements"]

SEARCH_SQL = f"CREATE VIRTUAL TABLE {SEARCH_TABLE} USING fts5(owner, text)"
"""Creates the search index of a SQLite store."""

SCHEMA_SQL = "SELECT type, name, tbl_name, sql FROM sqlite_schema"
"""Reads everything that a SQLite store is made of."""


_VERSION_TABLE = (
    "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
    "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
)


@cache
def statements(dialect_name: str) -> tuple[str, ...]:
    """Return what creates the schema in an empty database, with its version as alembic notes it.

    Args:
        dialect_name: `"sqlite"` or `"postgresql"`.
    """
    dialect = sqlite.dialect() if dialect_name == "sqlite" else postgresql.dialect()
    tables = metadata.sorted_tables
    indexes = [index for table in tables for index in table.indexes]
    made: list[ExecutableDDLElement] = [
        *(CreateTable(table) for table in tables),
        *(CreateIndex(index) for index in sorted(indexes, key=lambda one: str(one.name))),
    ]
    return (
        *(str(one.compile(dialect=dialect)).strip() for one in made),
        *([SEARCH_SQL] if dialect_name == "sqlite" else []),
        _VERSION_TABLE,
        f"INSERT INTO alembic_version VALUES ('{SCHEMA_VERSION}')",  # noqa: S608 - a constant
    )


@cache
def as_created() -> frozenset[tuple[str, str, str, str | None]]:
    """Return what `SCHEMA_SQL` reads from a SQLite store that `statements` has just created."""
    with closing(sqlite3.connect(":memory:")) as connection:
        for statement in statements("sqlite"):
            connection.execute(statement)
        return frozenset(connection.execute(SCHEMA_SQL))
