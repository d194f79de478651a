"""Writing prepared rows into the store, in batches, and placing the users they touched.

Each batch is one transaction. It marks its users as not placed; a load ends by computing
position and split of every such user. After a kill the marks remain, and the next opening
finishes the work, so a reader never sees half a split.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TypeVar

from sqlalchemy import Connection, func, insert, select, update

from usersim.corpus.database import IN_CHUNK, Database
from usersim.corpus.rows import PreparedRow
from usersim.corpus.split import Row, place
from usersim.corpus.tables import conversations, interactions, users

__all__ = ["RowWriter", "place_users"]

_COLUMNS = (
    "user_id",
    "conversation_id",
    "key",
    "moment",
    "source_order",
    "source_id",
    "timestamp",
    "kind",
    "space",
    "action",
    "context",
    "metadata",
    "position",
    "split",
)
_CACHED = 100_000
_PLACED_AT_ONCE = 20_000
_T = TypeVar("_T")


class RowWriter:
    """Adds batches of rows and counts what was new.

    Args:
        database: The store.
    """

    def __init__(self, database: Database) -> None:
        marks = ", ".join([database.mark] * len(_COLUMNS))
        self._insert = (
            f"INSERT INTO interactions ({', '.join(_COLUMNS)}) VALUES ({marks}) "  # noqa: S608 - constants
            "ON CONFLICT (key) DO NOTHING"
        )
        self._users: dict[str, int] = {}
        self._next: dict[int, int] = {}
        self._talks: dict[tuple[int, str], int] = {}
        self._newest: int | None = None

    def write(self, connection: Connection, batch: Sequence[PreparedRow]) -> tuple[int, int, int]:
        """Add `batch` in the connection's transaction.

        Args:
            connection: In a transaction that writes.
            batch: Rows, in the order of the source.

        Returns:
            How many rows were new, were in the store before this load, and were duplicates
            within this load.
        """
        if self._newest is None:
            self._newest = connection.scalar(select(func.max(interactions.c.id))) or 0
        fresh = {row.key: row for row in batch}
        rows = self._rows(connection, list(fresh.values()))
        kept = connection.exec_driver_sql(self._insert, rows).rowcount
        present = 0
        if kept < len(fresh):
            present = self._older(connection, list(fresh))
        return kept, present, len(batch) - kept - present

    def _rows(
        self, connection: Connection, batch: Sequence[PreparedRow]
    ) -> list[tuple[object, ...]]:
        """Return the rows as the table takes them.

        Positions count on from what the user has, and everything counts as train: where the
        source is in order, placing then changes the held-out rows alone.
        """
        owners = self._owners(connection, list(dict.fromkeys(row.user_id for row in batch)))
        talks = self._conversations(connection, batch, owners)
        rows: list[tuple[object, ...]] = []
        counts = self._next
        for row in batch:
            owner = owners[row.user_id]
            position = counts[owner]
            counts[owner] = position + 1
            talk = None if row.conversation is None else talks[owner, row.conversation]
            rows.append((owner, talk, *row[2:], position, "train"))
        return rows

    def _owners(self, connection: Connection, names: list[str]) -> dict[str, int]:
        """Return the row ids of users, made where new, all marked as not placed."""
        if len(self._users) > _CACHED:
            self._users.clear()
            self._next.clear()
        unknown = [name for name in names if name not in self._users]
        found = _ids(connection, unknown)
        new = [name for name in unknown if name not in found]
        if new:
            values = [{"user_id": name, "placed": False, "indexed_upto": 0} for name in new]
            connection.execute(insert(users), values)
            found |= _ids(connection, new)
        self._users |= found
        for chunk in _chunks([found[name] for name in unknown]):
            self._count(connection, chunk)
        owners = {name: self._users[name] for name in names}
        for chunk in _chunks(list(owners.values())):
            mark = update(users).where(users.c.id.in_(chunk), users.c.placed.is_(True))
            connection.execute(mark.values(placed=False))
        return owners

    def _count(self, connection: Connection, owners: list[int]) -> None:
        counted = (
            select(interactions.c.user_id, func.count())
            .where(interactions.c.user_id.in_(owners))
            .group_by(interactions.c.user_id)
        )
        self._next |= dict.fromkeys(owners, 0)
        self._next |= dict(connection.execute(counted).all())

    def _conversations(
        self, connection: Connection, batch: Sequence[PreparedRow], owners: dict[str, int]
    ) -> dict[tuple[int, str], int]:
        """Return the row ids of the batch's conversations, made where new."""
        if len(self._talks) > _CACHED:
            self._talks.clear()
        wanted = {
            (owners[row.user_id], row.conversation) for row in batch if row.conversation is not None
        }
        unknown = sorted(wanted - self._talks.keys())
        found = _talk_ids(connection, unknown)
        new = [talk for talk in unknown if talk not in found]
        if new:
            values = [{"user_id": owner, "name": name} for owner, name in new]
            connection.execute(insert(conversations), values)
            found |= _talk_ids(connection, new)
        self._talks |= found
        return self._talks

    def _older(self, connection: Connection, keys: list[str]) -> int:
        """Return how many of `keys` the store held before this load."""
        newest = self._newest or 0
        total = 0
        for chunk in _chunks(keys):
            held = select(func.count()).where(
                interactions.c.key.in_(chunk), interactions.c.id <= newest
            )
            total += connection.scalar(held) or 0
        return total


def place_users(database: Database, *, train_share: float) -> int:
    """Compute position and split of every user that a load touched.

    Only rows that change are written. Memory grows with the rows of the largest single user
    alone, by their times and orders, not by their texts.

    Args:
        database: The store.
        train_share: Share of a user's rows that may be learned from.

    Returns:
        How many users were placed.
    """
    placed = 0
    while True:
        with database.read() as connection:
            waiting = _waiting(connection)
        if not waiting:
            return placed
        with database.write() as connection:
            _place(connection, database, waiting, train_share)
        placed += len(waiting)


def _waiting(connection: Connection) -> list[int]:
    """Return users that wait to be placed, as many as fit one transaction."""
    ids = select(users.c.id).where(users.c.placed.is_(False)).order_by(users.c.id).limit(IN_CHUNK)
    waiting = list(connection.scalars(ids))
    counted = (
        select(interactions.c.user_id, func.count())
        .where(interactions.c.user_id.in_(waiting))
        .group_by(interactions.c.user_id)
    )
    counts = dict(connection.execute(counted).all())
    chosen: list[int] = []
    rows = 0
    for owner in waiting:
        chosen.append(owner)
        rows += counts.get(owner, 0)
        if rows >= _PLACED_AT_ONCE:
            break
    return chosen


def _place(
    connection: Connection, database: Database, owners: list[int], train_share: float
) -> None:
    table = interactions.c
    rows = connection.execute(
        select(
            table.user_id,
            table.id,
            table.conversation_id,
            table.moment,
            table.source_order,
            table.position,
            table.split,
        )
        .where(table.user_id.in_(owners))
        .order_by(table.user_id)
    ).all()
    changes: list[tuple[object, ...]] = []
    for _, group in groupby(rows, key=lambda row: row[0]):
        mine = list(group)
        now = {row[1]: (row[5], row[6]) for row in mine}
        places = place((Row(*row[1:5]) for row in mine), train_share=train_share)
        changes += [
            (spot.position, spot.split, spot.arrival)
            for spot in places
            if now[spot.arrival] != (spot.position, spot.split)
        ]
    if changes:
        sql = "UPDATE interactions SET position = ?, split = ? WHERE id = ?"
        connection.exec_driver_sql(sql.replace("?", database.mark), changes)
    connection.execute(update(users).where(users.c.id.in_(owners)).values(placed=True))


def _ids(connection: Connection, names: list[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for chunk in _chunks(names):
        rows = connection.execute(
            select(users.c.user_id, users.c.id).where(users.c.user_id.in_(chunk))
        )
        found |= dict(rows.all())
    return found


def _talk_ids(connection: Connection, talks: list[tuple[int, str]]) -> dict[tuple[int, str], int]:
    wanted = set(talks)
    found: dict[tuple[int, str], int] = {}
    for chunk in _chunks(sorted({name for _, name in talks})):
        rows = connection.execute(
            select(conversations.c.user_id, conversations.c.name, conversations.c.id).where(
                conversations.c.name.in_(chunk)
            )
        )
        found |= {(owner, name): talk for owner, name, talk in rows if (owner, name) in wanted}
    return found


def _chunks(items: list[_T]) -> Iterator[list[_T]]:
    for start in range(0, len(items), IN_CHUNK):
        yield items[start : start + IN_CHUNK]
