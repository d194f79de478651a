"""Writing prepared rows into the store, in batches, and placing the users they touched.

Each batch is one transaction. It places the users it brings in, and marks the users it adds
to as not placed; a load ends by computing position and split of every such user. After a kill
the marks remain, and the next opening finishes the work, so a reader never sees half a split.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np
import orjson
from sqlalchemy import Connection, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from usersim.corpus.store.database import IN_CHUNK, Database, in_pieces
from usersim.corpus.store.owners import row_ids
from usersim.corpus.store.prepared_rows import PreparedRow
from usersim.corpus.store.split import Row, place
from usersim.corpus.store.tables import conversations, interactions, users
from usersim.errors import UserForgottenError
from usersim.types import Split

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["RowWriter", "place_users", "planned_splits"]

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
_PLACED_AT_ONCE = 100_000  # rows of one transaction: users may be strewn over the whole table
_FETCHED_AT_ONCE = 1_000
_TALKS_SQLITE = """
SELECT t.user_id, t.name, t.id FROM json_each(?) AS asked CROSS JOIN conversations AS t
ON t.user_id = json_extract(asked.value, '$[0]') AND t.name = json_extract(asked.value, '$[1]')
"""
_TALKS_POSTGRES = """
SELECT t.user_id, t.name, t.id FROM jsonb_array_elements(%s::jsonb) AS asked JOIN conversations AS t
ON t.user_id = (asked ->> 0)::bigint AND t.name = asked ->> 1
"""


class RowWriter:
    """Adds batches of rows and counts what was new.

    Args:
        database: The store.
        train_share: Share of a user's rows that may be learned from.
    """

    def __init__(self, database: Database, *, train_share: float) -> None:
        self._train_share = train_share
        marks = ", ".join([database.mark] * len(_COLUMNS))
        self._insert = (
            f"INSERT INTO interactions ({', '.join(_COLUMNS)}) VALUES ({marks}) "  # noqa: S608 - constants
            "ON CONFLICT (key) DO NOTHING"
        )
        self._database = database
        self._into = sqlite.insert if database.is_sqlite else postgresql.insert
        self._users: dict[str, int] = {}
        self._met: list[NDArray[np.int64]] = []  # hashes of the names that left `_users`
        self._next: dict[int, int] = {}
        self._talks: dict[tuple[int, str], int] = {}
        self._newest: int | None = None

    @property
    def newest_before(self) -> int:
        """Row id of the newest interaction before the first batch; 0 before that is known."""
        return self._newest or 0

    def write(self, connection: Connection, batch: Sequence[PreparedRow]) -> tuple[int, int, int]:
        """Add `batch` in the connection's transaction.

        Args:
            connection: In a transaction that writes.
            batch: Rows, in the order of the source.

        Returns:
            How many rows were new, were in the store before this load, and were duplicates
            within this load.

        Raises:
            UserForgottenError: If somebody of this batch was forgotten after earlier rows of
                theirs were written.
        """
        if self._newest is None:
            self._newest = connection.scalar(select(func.max(interactions.c.id))) or 0
        fresh = {row.key: row for row in batch}
        rows = self._rows(connection, list(fresh.values()))
        if not self._database.is_sqlite:
            rows.sort(key=itemgetter(2))  # two loads of the same rows wait in one order
        kept = connection.exec_driver_sql(self._insert, rows).rowcount
        present = 0
        if kept < len(fresh):
            present = self._older(connection, list(fresh))
        return kept, present, len(batch) - kept - present

    def _rows(
        self, connection: Connection, batch: Sequence[PreparedRow]
    ) -> list[tuple[object, ...]]:
        """Return the rows as the table takes them, each with its place as far as it is known."""
        owners, new = self._owners(connection, dict.fromkeys(row.user_id for row in batch))
        talks = self._conversations(connection, batch, owners)
        places = self._places(batch, owners, new)
        rows: list[tuple[object, ...]] = []
        for row, place_of in zip(batch, places, strict=True):
            owner = owners[row.user_id]
            talk = None if row.conversation is None else talks[owner, row.conversation]
            rows.append((owner, talk, *row[2:], *place_of))
        return rows

    def _places(
        self, batch: Sequence[PreparedRow], owners: dict[str, int], new: set[str]
    ) -> list[tuple[int, str]]:
        """Return the position and split of each row.

        Those of a user who came with this batch are final unless more follows. To what another
        user has, positions count on and everything counts as train: where the source is in
        order, placing then changes the held-out rows alone.
        """
        places: list[tuple[int, str]] = [(0, "train")] * len(batch)
        fresh: dict[str, list[Row]] = {name: [] for name in new}
        counts = self._next
        for index, row in enumerate(batch):
            if row.user_id in fresh:
                fresh[row.user_id].append(Row(index, row.conversation, row.moment, row.order))
            else:
                owner = owners[row.user_id]
                places[index] = (counts[owner], "train")
                counts[owner] += 1
        for name, rows in fresh.items():
            counts[owners[name]] = len(rows)
            for spot in place(rows, train_share=self._train_share):
                places[spot.arrival] = spot[1:]
        return places

    def _owners(
        self, connection: Connection, names: dict[str, None]
    ) -> tuple[dict[str, int], set[str]]:
        """Return the row ids of users, made where new, and who is new.

        They are looked up in every transaction, since a person may be forgotten between two. New
        ones count as placed, the others as not placed.

        Raises:
            UserForgottenError: If somebody was met before and is not the same any more.
        """
        if len(self._users) > _CACHED:
            self._met.append(np.fromiter(map(hash, self._users), np.int64, len(self._users)))
            self._users.clear()
            self._next.clear()
        found = row_ids(connection, list(names), update=True)
        self._check_met(names, found)
        made = self._make(connection, sorted(names.keys() - found.keys()))
        owners = found | made
        if len(owners) < len(names):  # made by another client since they were looked for
            owners |= row_ids(connection, list(names.keys() - owners.keys()), update=True)
        old = [owners[name] for name in names if name not in made]
        for part in in_pieces([owner for owner in old if owner not in self._next]):
            self._count(connection, part)
        for part in in_pieces(old):
            mark = update(users).where(users.c.id.in_(part), users.c.placed.is_(True))
            connection.execute(mark.values(placed=False))
        self._users |= owners
        return owners, set(made)

    def _check_met(self, names: dict[str, None], found: dict[str, int]) -> None:
        """Reject people whose earlier rows are gone.

        Raises:
            UserForgottenError: Naming them.
        """
        gone = {name for name in names if self._users.get(name, found.get(name)) != found.get(name)}
        unknown = [name for name in names if name not in found and name not in self._users]
        if unknown and self._met:
            hashes = np.fromiter(map(hash, unknown), np.int64, len(unknown))
            for met in self._met:
                gone |= {unknown[at] for at in np.flatnonzero(np.isin(hashes, met))}
        if gone:
            raise UserForgottenError(
                gone,
                "their rows were being loaded",
                hint="rows of others loaded so far are kept; remove the person from the source and "
                "load it again to add the others",
            )

    def _make(self, connection: Connection, names: list[str]) -> dict[str, int]:
        """Make users and return their row ids; those that another client just made are left out."""
        if not names:
            return {}
        put = self._into(users).on_conflict_do_nothing().returning(users.c.user_id, users.c.id)
        values = [{"user_id": name, "placed": True, "indexed_upto": 0} for name in names]
        return dict(connection.execute(put, values).all())

    def _count(self, connection: Connection, owners: Sequence[int]) -> None:
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
        unknown = sorted(talk for talk in wanted if talk not in self._talks)
        found = _talk_ids(connection, self._database, unknown)
        new = [talk for talk in unknown if talk not in found]
        if new:
            values = [{"user_id": owner, "name": name} for owner, name in new]
            connection.execute(self._into(conversations).on_conflict_do_nothing(), values)
            found |= _talk_ids(connection, self._database, new)
        self._talks |= found
        return self._talks

    def _older(self, connection: Connection, keys: list[str]) -> int:
        """Return how many of `keys` the store held before this load."""
        total = 0
        for chunk in in_pieces(keys):
            held = select(func.count()).where(
                interactions.c.key.in_(chunk), interactions.c.id <= self.newest_before
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
        with database.write() as connection, database.readable_rows():
            _place(connection, database, waiting, train_share)
        placed += len(waiting)


def planned_splits(database: Database, *, train_share: float) -> dict[str, dict[Split, int]]:
    """Return the parts that users who wait to be placed will have; nothing is written.

    Args:
        database: The store.
        train_share: Share of a user's rows that may be learned from.
    """
    table = interactions.c
    found: dict[str, dict[Split, int]] = {}
    with database.read() as connection:
        waiting = connection.execute(
            select(users.c.id, users.c.user_id).where(users.c.placed.is_(False))
        ).all()
        for owner, name in waiting:
            rows = connection.execute(
                select(table.id, table.conversation_id, table.moment, table.source_order).where(
                    table.user_id == owner
                )
            )
            parts: dict[Split, int] = {"train": 0, "held_out": 0}
            for spot in place((Row(*row) for row in rows), train_share=train_share):
                parts[spot.split] += 1
            found[name] = parts
    return found


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
    query = (
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
        .execution_options(yield_per=_FETCHED_AT_ONCE)
    )
    # Before their rows, as forgetting does: the two cannot wait for each other.
    connection.execute(
        select(users.c.id)
        .where(users.c.id.in_(owners))
        .order_by(users.c.id)
        .with_for_update(key_share=True)
    )
    moved: list[tuple[object, int]] = []
    resplit: list[tuple[object, int]] = []
    for _, group in groupby(connection.execute(query), key=itemgetter(0)):
        mine = list(group)
        now = {row[1]: row[5:] for row in mine}
        for spot in place((Row(*row[1:5]) for row in mine), train_share=train_share):
            position, split = now[spot.arrival]
            if position != spot.position:
                moved.append((spot.position, spot.arrival))
            if split != spot.split:
                resplit.append((spot.split, spot.arrival))
    # Apart, because an index holds the position: most rows keep theirs.
    for column, changes in (("position", moved), ("split", resplit)):
        if changes:
            changes.sort(key=itemgetter(1))  # in the order of the table: each page is met once
            sql = f"UPDATE interactions SET {column} = ? WHERE id = ?"  # noqa: S608 - two constants
            connection.exec_driver_sql(sql.replace("?", database.mark), changes)
    connection.execute(update(users).where(users.c.id.in_(owners)).values(placed=True))


def _talk_ids(
    connection: Connection, database: Database, talks: list[tuple[int, str]]
) -> dict[tuple[int, str], int]:
    """Return the row ids of those conversations that there are, by owner and name.

    They are joined as pairs: a name such as "1" may be everybody's, and a person may have any
    number of conversations.
    """
    if not talks:
        return {}
    pairs = _TALKS_SQLITE if database.is_sqlite else _TALKS_POSTGRES
    rows = connection.exec_driver_sql(pairs, (orjson.dumps(talks).decode(),))
    return {(owner, name): talk for owner, name, talk in rows}
