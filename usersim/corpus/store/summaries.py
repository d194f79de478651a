"""The people of a store in a list: how much there is of each, and how it is split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, Select, func, select

from usersim.corpus.store.database import Database, in_pieces
from usersim.corpus.store.tables import interactions, users
from usersim.corpus.store.writer import planned_splits
from usersim.types import Split

__all__ = ["UserSummary", "repeated_ids", "summaries"]

_PAGE = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class UserSummary:
    """One user of a corpus.

    Attributes:
        user_id: Who.
        interactions: How many there are.
        train: How many may be learned from.
        held_out: How many are kept for measuring.
        kinds: Kinds of action, sorted.

    Example:
        >>> from usersim import Corpus
        >>> rows = [{"user_id": "ada", "context": f"{i}?", "action": "Yes."} for i in range(5)]
        >>> with Corpus.open(":memory:") as corpus:
        ...     report = corpus.add(rows)
        ...     corpus.users()[0]
        UserSummary(user_id='ada', interactions=5, train=4, held_out=1, kinds=('free_text',))
    """

    user_id: str
    interactions: int
    train: int
    held_out: int
    kinds: tuple[str, ...]


def summaries(database: Database, *, unplaced: float | None = None) -> list[UserSummary]:
    """Return every user, sorted by id.

    Args:
        database: The store.
        unplaced: Share of a user's rows that may be learned from, to compute the parts of users
            who are not placed yet; None where all are.
    """
    planned: Mapping[str, Mapping[Split, int]] = {}
    if unplaced is not None:
        planned = planned_splits(database, train_share=unplaced)
    table = interactions.c
    query = (
        select(users.c.user_id, table.kind, table.split, func.count())
        .join(users)
        .group_by(users.c.user_id, table.kind, table.split)
    )
    counts: dict[str, dict[Split, int]] = {}
    kinds: dict[str, set[str]] = {}
    with database.read() as connection:
        for name, kind, split, count in connection.execute(query):
            parts = counts.setdefault(name, {"train": 0, "held_out": 0})
            parts[split] += count
            kinds.setdefault(name, set()).add(kind)
        counts |= {name: dict(parts) for name, parts in planned.items() if name in counts}
        return [
            UserSummary(
                user_id=name,
                interactions=sum(parts.values()),
                train=parts["train"],
                held_out=parts["held_out"],
                kinds=tuple(sorted(kinds[name])),
            )
            for name, parts in sorted(counts.items())
        ]


def repeated_ids(database: Database, after: int) -> int:
    """Return how many ids of the source stand with more than one interaction of a user.

    Args:
        database: The store.
        after: Only of users who have rows with a row id above this one, so that adding to a large
            store does not read all of it.
    """
    table = interactions.c
    repeated = (
        select(table.source_id)
        .where(table.source_id.is_not(None))
        .group_by(table.user_id, table.source_id)
        .having(func.count() > 1)
    )
    with database.read() as connection:
        if not after:
            return _counted(connection, repeated)
        # Looked up first, and each once here: both databases read the whole table otherwise.
        new = select(table.user_id).where(table.id > after).execution_options(yield_per=_PAGE)
        owners = sorted(set(connection.scalars(new)))
        return sum(
            _counted(connection, repeated.where(table.user_id.in_(part)))
            for part in in_pieces(owners)
        )


def _counted(connection: Connection, query: Select[tuple[str | None]]) -> int:
    return connection.scalar(select(func.count()).select_from(query.subquery())) or 0
