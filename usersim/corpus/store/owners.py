"""Whose row is it: people by name, resolved inside the transaction that uses the row id.

A person may be forgotten, and even loaded again, between any two transactions of another client.
So a row id that is held across transactions may only be compared with what a name stands for now;
it is never written with on the strength of an older look. Ids are never given twice, which makes
the comparison conclusive.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, select

from usersim.corpus.store.database import in_pieces
from usersim.corpus.store.tables import interactions, users
from usersim.errors import UserNotFoundError
from usersim.types.counting import counted

__all__ = ["missing_interactions", "row_ids", "still_there", "user_row_id"]

_NAMED = 20_000


def user_row_id(connection: Connection, user_id: str) -> int:
    """Return the row id of a user, who stays until the transaction ends.

    Raises:
        UserNotFoundError: If there is none; names similar ones.
    """
    found = row_ids(connection, [user_id]).get(user_id)
    if found is not None:
        return found
    names = connection.scalars(select(users.c.user_id).limit(_NAMED)).all()
    close = difflib.get_close_matches(str(user_id), names, n=3)
    like = f"did you mean {' or '.join(map(repr, close))}?" if close else ""
    raise UserNotFoundError(
        f"no user {user_id!r} in the corpus ({counted(len(names), 'user')})",
        hint=like or "`usersim users` lists them",
    )


def row_ids(
    connection: Connection, names: Sequence[str], *, lock: bool = False, update: bool = False
) -> dict[str, int]:
    """Return the row ids of those people that the store holds.

    Args:
        connection: In a transaction.
        names: Their ids.
        lock: Keep them from being forgotten until the transaction ends. SQLite has one writer at
            a time anyway; on PostgreSQL their rows are locked, in one order for all clients.
        update: Lock them for a change of their own row.
    """
    found: dict[str, int] = {}
    for part in in_pieces(sorted(names)):
        query = select(users.c.user_id, users.c.id).where(users.c.user_id.in_(part))
        if lock or update:
            query = query.order_by(users.c.id).with_for_update(read=not update, key_share=True)
        found |= dict(connection.execute(query).all())
    return found


def still_there(connection: Connection, owner: int) -> bool:
    """Return whether the person of a row id was not forgotten since it was looked up."""
    return connection.scalar(select(users.c.id).where(users.c.id == owner)) is not None


def missing_interactions(connection: Connection, keys: Iterable[str]) -> set[str]:
    """Return those keys that belong to no interaction; the others stay until the transaction ends.

    An interaction goes when its person is forgotten, and with it the right to keep what was made
    from it meanwhile.
    """
    wanted = set(keys)
    held: set[str] = set()
    for part in in_pieces(sorted(wanted)):
        query = select(interactions.c.key).where(interactions.c.key.in_(part))
        locked = query.order_by(interactions.c.id).with_for_update(read=True, key_share=True)
        held.update(connection.scalars(locked))
    return wanted - held
