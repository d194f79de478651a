"""Load, run, read, train, forget and load again, by processes of their own, all at once.

Whatever the order in which the processes meet, nothing may ever stand under another name.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from tests.fixtures.children import Nursery
from tests.fixtures.crowd import PEOPLE, ROLES, check, row
from usersim.corpus import Corpus

ROUNDS = {"load": 12, "forget": 40, "read": 25, "run": 10, "respond": 30}
SEED = 20260101


CLIENT = "import sys; from tests.fixtures.crowd import main; main(*sys.argv[1:])"


def crowd(store: str, children: Nursery) -> Counter[str]:
    """Let one process of each role loose on a store; return what happened, by kind."""
    with Corpus.open(store) as corpus:
        corpus.add([row(name, index) for name in PEOPLE for index in range(8)])
    clients = {role: children.start(CLIENT, role, store, SEED, ROUNDS[role]) for role in ROLES}
    for client in clients.values():
        client.stdout.readline()  # ready, or nothing where it could not begin
    for client in clients.values():
        client.stdin.write("go\n")
        client.stdin.flush()
    seen: Counter[str] = Counter()
    for role, client in clients.items():
        out, said = client.communicate()
        assert client.returncode == 0, f"{role} (seed {SEED}): {said}"
        seen += Counter({f"{role}: {kind}": n for kind, n in json.loads(out).items()})
    return seen


RIGHT = {
    "conversations": """SELECT u.user_id, c.name FROM conversations c
        JOIN users u ON u.id = c.user_id""",
    "requests": "SELECT u.user_id, i.request FROM run_items i JOIN users u ON u.id = i.user_id",
    "answers": "SELECT u.user_id, r.record FROM responses r JOIN users u ON u.id = r.user_id",
    "traces": """SELECT u.user_id, c.reasoning FROM candidates c
        JOIN interactions i ON i.key = c.interaction_key JOIN users u ON u.id = i.user_id""",
    "adapters": """SELECT u.user_id, a.name FROM adapters a
        LEFT JOIN adapter_users l ON l.adapter_id = a.id LEFT JOIN users u ON u.id = l.user_id""",
}
"""Whose each row is, and a text of it that says whose it is."""


def check_store(store: str) -> None:
    """Check every row of every table that belongs to somebody."""
    with Corpus.open(store) as corpus:
        for item in corpus.interactions():
            check(item)
        with corpus._database.read() as connection:
            for what, query in RIGHT.items():
                for name, text in connection.exec_driver_sql(query):
                    assert name is not None, (what, text)
                    said = text.partition('"user_id":')[2] or text.partition('"by":')[2] or text
                    assert said.strip('" ').startswith(name), (what, name, text)
            left = connection.exec_driver_sql("SELECT count(*) FROM trainings").scalar()
        assert left == 0
        assert all(run.status.left == 0 for run in corpus.runs.all())
        for name in PEOPLE:
            if corpus.holds(name):
                corpus.forget(name)
        assert not {user.user_id for user in corpus.users()} & set(PEOPLE)
        assert corpus.finish_forgetting().nothing


def test_nothing_ever_stands_under_another_name(tmp_path: Path, children: Nursery) -> None:
    """Five processes on one SQLite file."""
    store = str(tmp_path / "c.db")
    seen = crowd(store, children)
    check_store(store)
    assert seen["forget: forgotten"] > 0, seen


@pytest.mark.postgres
def test_nothing_ever_stands_under_another_name_on_postgres(
    postgres: str, children: Nursery
) -> None:
    """Five processes on one PostgreSQL database, where writers do not wait for each other."""
    seen = crowd(postgres, children)
    check_store(postgres)
    assert seen["forget: forgotten"] > 0, seen
