"""What every attack gets, and how a case is judged."""

from __future__ import annotations

import random
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.fixtures.children import Nursery
from usersim import Corpus
from usersim.errors import UsersimError

__all__ = ["Attack", "Field", "check_people", "check_store", "patience", "rows_of", "typed"]

DEAR = 120
"""Seconds after which a case counts as one that costs too much; thousands of times the usual."""


@dataclass(frozen=True)
class Field:
    """Where an attack takes place.

    Attributes:
        rng: Every choice comes from it, so that a seed repeats an attack.
        folder: An empty folder of its own.
        children: Makes processes that can be killed.
        postgres: Makes an empty PostgreSQL database; None where there is no server.
        tally: What was tried, and what came of it.
    """

    rng: random.Random
    folder: Path
    children: Nursery
    postgres: Callable[[], str] | None = None
    tally: Counter[str] = field(default_factory=Counter)


Attack = Callable[[Field], None]
"""Makes one case, or a handful; raises if something held that must not hold, or did not."""


@contextmanager
def patience(what: str, seconds: int = DEAR) -> Iterator[None]:
    """Give a case up that costs too much.

    Raises:
        AssertionError: If it took longer than `seconds`.
    """

    def late(*_: object) -> None:
        raise AssertionError(f"{what} took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def typed(field: Field, what: str, case: Callable[[], object]) -> UsersimError | None:
    """Run a case that may succeed or raise one of our errors, and nothing else."""
    with patience(what):
        try:
            case()
        except UsersimError as error:
            field.tally[f"{what}: typed error"] += 1
            return error
    field.tally[f"{what}: read"] += 1
    return None


# ---------------------------------------------------------------------- people and their rows


def rows_of(user: str, count: int, start: int = 0) -> list[dict[str, object]]:
    """Rows of one person, whose every text names them: a row under another name shows."""
    return [
        {
            "user_id": user,
            "order": n,
            "conversation_id": f"{user}-{n // 5}",
            "context": f"Question {n} for {user}?",
            "action": f"Answer {n} of {user}.",
        }
        for n in range(start, start + count)
    ]


def check_people(corpus: Corpus, users: Sequence[str] | None = None) -> int:
    """Check that no row stands under another person's name; return how many there are."""
    count = 0
    for row in corpus.interactions(users):
        count += 1
        assert row.action_text.endswith(f" of {row.user_id}."), (row.user_id, row.action_text)
        assert row.context[0].content.endswith(f" for {row.user_id}?"), row.user_id
    return count


def check_store(path: Path) -> None:
    """Check a SQLite file by its own means."""
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()
