"""What grows with the whole store: no everyday call reads all of its interactions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event

from usersim import Corpus
from usersim.config import HistoryConfig
from usersim.simulator.history import Histories
from usersim.types import Question

TEA = Question.of("Tea with milk?")


def rows(user: str) -> Iterator[dict[str, object]]:
    """A few rows of one person, with ids, in conversations."""
    for n in range(6):
        yield {
            "user_id": user,
            "id": f"row{n}",
            "order": n,
            "conversation_id": f"talk{n // 2}",
            "context": f"Tea number {n}?",
            "action": "Yes.",
        }


@contextmanager
def statements(corpus: Corpus) -> Iterator[list[tuple[str, object]]]:
    """Collect what is sent to the store."""
    sent: list[tuple[str, object]] = []

    def note(_connection, _cursor, statement, parameters, _context, many) -> None:
        sent.append((statement, parameters[0] if many and parameters else parameters))

    engine = corpus._database.engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)


def scans(corpus: Corpus, call: Callable[[Corpus], object]) -> list[str]:
    """Return the statements of a call that read all interactions."""
    with statements(corpus) as sent:
        call(corpus)
    found = []
    with corpus._database.read() as connection:
        for statement, parameters in sent:
            if not statement.startswith(("SELECT", "UPDATE", "INSERT INTO interactions")):
                continue
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            if any("SCAN interactions" in row[-1] or row[-1] == "SCAN i" for row in plan):
                found.append(statement)
    assert sent
    return found


@pytest.fixture
def corpus() -> Iterator[Corpus]:
    """A store of a few people."""
    with Corpus.open(":memory:") as opened:
        opened.add(row for user in ("ada", "bob", "cleo") for row in rows(user))
        yield opened


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.fits.state(),
        lambda c: c.history("ada", limit=3),
        lambda c: c.search("ada", TEA, limit=3),
        lambda c: Histories(c, HistoryConfig()).shown("ada", TEA, before=None),
        lambda c: list(c.interactions("ada", split="train")),
        lambda c: c.user_ids(),
        lambda c: c.ordered_users(["ada", "bob"]),
        lambda c: c.browse.people(after="ada"),
        lambda c: c.browse.people(search="ad"),
        lambda c: c.browse.interactions("ada", after=1),
        lambda c: c.browse.acts_in("ada", "Tea number 1?"),
        lambda c: c.add(rows("dan")),
        lambda c: c.add({**row, "action": "No."} for row in rows("ada")),
    ],
    ids=[
        "state",
        "history",
        "search",
        "evidence",
        "one person",
        "user ids",
        "who has an order",
        "page of people",
        "search for people",
        "page of interactions",
        "acts in a context",
        "add a person",
        "add to a person",
    ],
)
def test_everyday_calls_read_only_what_concerns_them(corpus, call) -> None:
    """SQLite's plans of all statements of a call look rows up, and none goes through the table."""
    assert scans(corpus, call) == []


def test_the_check_finds_a_scan(corpus) -> None:
    """A call that counts everything does read everything, and the check says so."""
    assert scans(corpus, lambda c: c.users())


def test_names_of_conversations_are_looked_up_for_their_person(corpus) -> None:
    """A load reads the conversations of its own people, although others have the same names."""
    with statements(corpus) as sent:
        corpus.add(rows("dan"))
    asked = [one for one in sent if "JOIN conversations AS t" in one[0]]
    with corpus._database.read() as connection:
        read = [len(connection.exec_driver_sql(*one).all()) for one in asked]
        plans = [connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {a}", b).all() for a, b in asked]
    assert read
    assert max(read) == 3
    assert all("SEARCH t USING COVERING INDEX" in str(plan) for plan in plans), plans
