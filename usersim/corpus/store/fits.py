"""What is fitted over everybody in a store: panel models, and the weights of predictors.

Kept as bytes that the caller can read, beside the rows they were fitted to. Everybody is in them,
so forgetting anybody deletes them all; they are fitted again when they are next needed.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from sqlalchemy import Connection, delete, func, insert, select

from usersim.corpus.store.database import Database
from usersim.corpus.store.tables import fits, interactions, users

__all__ = ["FitKind", "Fits", "drop_fits", "state_of"]

FitKind = Literal["panel", "pool"]


def state_of(connection: Connection) -> str:
    """Return what tells the rows of a store apart: it changes when rows come or go.

    Row ids are never given twice, and rows go only with their person, so the newest ids and the
    number of people tell.
    """
    newest = connection.scalar(select(func.max(interactions.c.id)))
    people, last = connection.execute(select(func.count(), func.max(users.c.id))).one()
    return f"{newest or 0}-{people}-{last or 0}"


def drop_fits(connection: Connection) -> int:
    """Delete everything that was fitted, and return how many that were."""
    count = connection.scalar(select(func.count()).select_from(fits)) or 0
    connection.execute(delete(fits))
    return count


class Fits:
    """Panel models and pools of one store.

    Args:
        database: The store.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def state(self) -> str:
        """Return what changes when rows come or go; what was fitted holds for one state."""
        with self._database.read() as connection:
            return state_of(connection)

    def get(self, kind: FitKind, key: str, *, state: str | None = None) -> bytes | None:
        """Return what was fitted; None if nothing was, or to other rows.

        Args:
            kind: What it is.
            key: Identity of the settings.
            state: Only if it was fitted to these rows; None takes it whatever came since.
        """
        query = select(fits.c.data).where(fits.c.kind == kind, fits.c.key == key)
        if state is not None:
            query = query.where(fits.c.state == state)
        with self._database.read() as connection:
            return connection.scalar(query)

    def put(self, kind: FitKind, key: str, *, state: str, data: bytes) -> bool:
        """Keep what was fitted, in place of what was fitted under this key before.

        Returns:
            False, and nothing is kept, if rows came or went meanwhile: somebody who is in it may
            have been forgotten.
        """
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with self._database.write() as connection:
            if state_of(connection) != state:
                return False
            connection.execute(delete(fits).where(fits.c.kind == kind, fits.c.key == key))
            connection.execute(
                insert(fits).values(kind=kind, key=key, state=state, created=now, data=data)
            )
        return True
