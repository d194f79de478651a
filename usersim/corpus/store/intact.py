"""Whether a SQLite store is made as usersim makes one, and holds nothing that acts by itself.

A store may come from anywhere. A trigger in it would run whenever we write, a view or a foreign
table could stand in for one of ours, a changed reference would leave rows that forgetting should
take along. So what is in the file is compared with what our schema says before it is used.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

from sqlalchemy import Connection, Table, UniqueConstraint
from sqlalchemy.dialects import sqlite

from usersim.corpus.store.ddl import SCHEMA_SQL, SEARCH_SQL, as_created
from usersim.corpus.store.tables import SEARCH_TABLE, metadata
from usersim.errors import CorpusSchemaError

__all__ = ["check_intact", "check_passive", "is_as_created"]

_SEARCH_PARTS = frozenset(
    f"{SEARCH_TABLE}_{part}" for part in ("config", "content", "data", "docsize", "idx")
)
_VERSION = "alembic_version"
_EXTRAS = re.compile(
    r"\b(CHECK|COLLATE|CONFLICT|DEFAULT|DEFERRABLE|GENERATED|STRICT|WITHOUT)\b", re.IGNORECASE
)
"""Words of SQLite's table definitions that none of ours has, and that its pragmas do not show."""
_HINT = (
    "nothing in it was executed; have its rows exported as JSON Lines (Corpus.export) and load "
    "them into a new store"
)


class _Shape(NamedTuple):
    """What of a table decides how it behaves."""

    lasting: bool  # ids are never given twice
    columns: frozenset[tuple[str, str, bool, int]]  # name, type, not null, place in the key
    references: frozenset[tuple[str, str, str, str, str]]  # from, table, to, on update, on delete
    indexes: frozenset[tuple[bool, tuple[str, ...]]]  # unique, columns


def is_as_created(connection: Connection) -> bool:
    """Return whether a SQLite store has the newest schema to the letter, and nothing besides.

    Most stores do, and need no closer look; one that was upgraded is written differently.
    """
    return frozenset(map(tuple, connection.exec_driver_sql(SCHEMA_SQL))) == as_created()


def check_passive(connection: Connection, name: str) -> None:
    """Refuse a store of any version that holds something that acts or stands in for a table.

    Args:
        connection: To a SQLite store.
        name: Of the store, for messages.

    Raises:
        CorpusSchemaError: Naming what it holds.
    """
    found = connection.exec_driver_sql(SCHEMA_SQL).all()
    odd: list[str] = []
    for kind, thing, table, sql in found:
        if kind in {"trigger", "view"}:
            odd.append(f"{kind} {thing!r} on {table!r}" if kind == "trigger" else f"view {thing!r}")
        elif kind == "table" and _is_virtual(sql) and (thing, sql) != (SEARCH_TABLE, SEARCH_SQL):
            odd.append(f"virtual table {thing!r}")
        elif kind == "table" and thing in metadata.tables and _EXTRAS.search(sql or ""):
            odd.append(f"table {thing!r} with a rule of its own")
        elif kind == "index" and sql and not _is_plain(connection, thing):
            odd.append(f"index {thing!r} that computes something")
    _refuse(odd, name)


def check_intact(connection: Connection, name: str) -> None:
    """Refuse a store of the present version whose tables are not those of our schema.

    Args:
        connection: To a SQLite store, checked by `check_passive`.
        name: Of the store, for messages.

    Raises:
        CorpusSchemaError: Naming what differs.
    """
    found = connection.exec_driver_sql("SELECT name FROM sqlite_schema WHERE type = 'table'")
    tables = set(found.scalars())
    ours = {*metadata.tables, _VERSION, SEARCH_TABLE, *_SEARCH_PARTS}
    odd = [f"table {one!r}" for one in sorted(tables - ours) if not one.startswith("sqlite_")]
    odd += [f"no table {one!r}" for one in sorted(ours - tables)]
    odd += [
        f"table {one!r} with other columns, references or indexes"
        for one, shape in _expected().items()
        if one in tables and _shape(connection, one) != shape
    ]
    _refuse(odd, name)


def _refuse(odd: Iterable[str], name: str) -> None:
    some = ", ".join(list(odd)[:5])
    if some:
        raise CorpusSchemaError(
            f"the store {name!r} was changed by another program: it contains {some}", hint=_HINT
        )


def _is_virtual(sql: str | None) -> bool:
    return (sql or "").lstrip().upper().startswith("CREATE VIRTUAL")


def _is_plain(connection: Connection, index: str) -> bool:
    """Return whether an index is over columns alone, and over all rows."""
    parts = connection.exec_driver_sql("SELECT cid, coll FROM pragma_index_xinfo(?)", (index,))
    partial = connection.exec_driver_sql(
        "SELECT count(*) FROM sqlite_schema AS s, pragma_index_list(s.tbl_name) AS i "
        "WHERE s.name = ? AND i.name = ? AND i.partial",
        (index, index),
    ).scalar()
    return not partial and all(cid != -2 and coll == "BINARY" for cid, coll in parts)  # noqa: PLR2004 - SQLite's mark of an expression


def _shape(connection: Connection, table: str) -> _Shape:
    columns = connection.exec_driver_sql(
        'SELECT name, type, "notnull", pk, hidden, dflt_value FROM pragma_table_xinfo(?)', (table,)
    )
    references = connection.exec_driver_sql(
        'SELECT "from", "table", "to", on_update, on_delete FROM pragma_foreign_key_list(?)',
        (table,),
    )
    made = connection.exec_driver_sql(
        "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?", (table,)
    ).scalar()
    indexes = connection.exec_driver_sql(
        "SELECT name, \"unique\" FROM pragma_index_list(?) WHERE origin != 'pk'", (table,)
    ).all()
    return _Shape(
        lasting="AUTOINCREMENT" in str(made).upper(),
        columns=frozenset(
            (name, kind, bool(needed), key if not hidden and default is None else -1)
            for name, kind, needed, key, hidden, default in columns
        ),
        references=frozenset((row[0], row[1], row[2], row[3], row[4]) for row in references),
        indexes=frozenset(
            (
                bool(unique),
                tuple(
                    connection.exec_driver_sql(
                        "SELECT name FROM pragma_index_info(?) ORDER BY seqno", (index,)
                    ).scalars()
                ),
            )
            for index, unique in indexes
        ),
    )


@cache
def _expected() -> dict[str, _Shape]:
    return {name: _shape_of(table) for name, table in metadata.tables.items()}


def _shape_of(table: Table) -> _Shape:
    dialect = sqlite.dialect()
    keys = [column.name for column in table.primary_key.columns]
    unique = [one for one in table.constraints if isinstance(one, UniqueConstraint)]
    return _Shape(
        lasting=bool(table.dialect_options["sqlite"]["autoincrement"]),
        columns=frozenset(
            (
                column.name,
                str(column.type.compile(dialect)),
                not column.nullable,
                keys.index(column.name) + 1 if column.name in keys else 0,
            )
            for column in table.columns
        ),
        references=frozenset(
            (
                key.parent.name,
                key.column.table.name,
                key.column.name,
                key.onupdate or "NO ACTION",
                key.ondelete or "NO ACTION",
            )
            for key in table.foreign_keys
        ),
        indexes=frozenset(
            [
                *((True, tuple(column.name for column in one.columns)) for one in unique),
                *(
                    (bool(index.unique), tuple(column.name for column in index.columns))
                    for index in table.indexes
                ),
            ]
        ),
    )
