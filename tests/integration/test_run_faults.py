"""Runs cut off at any moment: kill -9, a full disk, an engine that goes away, several clients."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from tests.fixtures.children import Nursery
from tests.fixtures.people import engine
from tests.fixtures.runs import asked_users, fill, outcome, simulator, work
from usersim.corpus import Corpus

N = 200
CHUNK = 16

KILLED = """
import os, signal, sys
from tests.fixtures.people import engine
from tests.fixtures.runs import simulator, work
from usersim.corpus.runs import runs

store, where = sys.argv[1], sys.argv[2]

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

asked = 0
def reply(request, index):
    global asked
    asked += 1
    if where == "asking" and asked == 70:
        die()
    return "A quiet day calls for tea.\\n</think>"

if where == "filling":  # some transactions of items are in, others are not
    runs._STORED_AT_ONCE = 30
    put = runs._new_item
    runs._new_item = lambda run, place, *rest: die() if place == 100 else put(run, place, *rest)
if where == "storing":  # items are closed, their answers are not in yet
    response_row, stored = runs.rows.response_row, []
    def put(answer, owner):
        stored.append(answer)
        return die() if len(stored) == 70 else response_row(answer, owner)
    runs.rows.response_row = put
with simulator(store, engine(reasoning=reply)) as sim:
    late = 64 if where == "between" else 1_000
    work(sim, 200, chunk=16, progress=lambda _stage, done, _total: done >= late and die())
"""

CLIENT = """
import sys
from tests.fixtures.people import engine
from tests.fixtures.runs import asked_users, simulator, work

asked, waits_at = 0, int(sys.argv[3])

def reply(request, index):
    global asked
    asked += 1
    if asked == waits_at:
        print("asking", flush=True)
        sys.stdin.readline()
    return "A quiet day calls for tea.\\n</think>"

model = engine(reasoning=reply)
with simulator(sys.argv[1], model) as sim:
    run = work(sim, 400, chunk=16, lease=float(sys.argv[2]))
    print(len(asked_users(model)), run.status.left)
"""

FULL = """
import resource, sys
from tests.fixtures.runs import simulator, work
from usersim.errors import CorpusError
with simulator(sys.argv[1]) as sim:
    size = 450_000
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    try:
        work(sim, 400, chunk=16)
    except CorpusError as error:
        print(error)
"""


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store of four people."""
    path = tmp_path / "c.db"
    fill(path)
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> list[tuple[object, ...]]:
    """What an uninterrupted run gives."""
    path = tmp_path_factory.mktemp("whole") / "c.db"
    fill(path)
    with simulator(path) as sim:
        return outcome(work(sim, N))


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL")
@pytest.mark.parametrize(
    ("where", "done"), [("filling", 0), ("asking", 64), ("storing", 64), ("between", 64)]
)
def test_a_killed_run_goes_on_and_ends_the_same(
    store: Path, where, done, whole, children: Nursery
) -> None:
    """After kill -9 wherever it was: finished chunks stay, nothing is asked or stored twice."""
    killed = children.run(KILLED, store, where)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    with Corpus.open(store) as corpus:
        record = corpus.runs.find("r")
        assert record.status.done == done
        assert (record.total is None) == (where == "filling")
    model = engine()
    with simulator(store, model) as sim:
        run = work(sim, N)
        assert outcome(run) == whole
        assert len(list(sim.corpus.ledger.responses(run_id=run.id))) == N
    assert len(asked_users(model)) == N - done


def test_a_full_disk_is_a_clear_error_and_nothing_is_half_written(
    store: Path, children: Nursery
) -> None:
    """A limit on the size of files stands for the disk; with space, the run completes."""
    full = children.run(FULL, store)
    assert "full" in full.stdout, full.stderr
    with Corpus.open(store) as corpus:
        record = corpus.runs.find("r")
        answers = list(corpus.runs.answers(record.id))
        assert 0 < record.status.done < 400
        assert record.status.done == len(answers) == len(list(corpus.ledger.responses()))
        before = record.status.done
    model = engine()
    with simulator(store, model) as sim:
        assert work(sim, 400).status.done == 400
    assert len(asked_users(model)) == 400 - before


def share(store: str | Path, children: Nursery) -> None:
    """Let two client processes work on one run and check that their work was disjoint."""
    both = [children.start(CLIENT, store, 300.0, 1) for _ in range(2)]
    for client in both:  # each holds its first items before either goes on
        assert client.stdout.readline() == "asking\n"
    for client in both:
        client.stdin.write("go on\n")
        client.stdin.flush()
    counts = []
    for client in both:
        out, said = client.communicate()
        assert client.returncode == 0, said
        asked, left = out.split()
        counts.append(int(asked))
        assert left == "0"
    assert sum(counts) == 400
    assert min(counts) >= 16
    check(store)


def check(store: str | Path) -> None:
    """One answer for each item, in order, whoever gave it."""
    with simulator(store) as sim:
        run = work(sim, None)
        assert run.status.done == run.status.total == 400
        assert [place for place, *_ in outcome(run)] == list(range(400))
        assert len(list(sim.corpus.ledger.responses(run_id=run.id))) == 400


def take_over(store: str | Path, children: Nursery) -> None:
    """Kill a client in the middle of its fourth chunk; another one ends the run."""
    killed = children.start(CLIENT, store, 1.0, 3 * 16 + 5)
    assert killed.stdout.readline() == "asking\n"
    other = children.start(CLIENT, store, 1.0, 0)
    with Corpus.open(store) as corpus:
        while corpus.runs.find("r").status.done < 100:  # two clients are at work
            time.sleep(0.01)
        killed.kill()
        killed.communicate()
    out, said = other.communicate()
    assert other.returncode == 0, said
    asked, left = map(int, out.split())
    assert asked == 400 - 3 * 16
    assert left == 0
    check(store)


def test_two_clients_share_a_run(store: Path, children: Nursery) -> None:
    """Two processes on one SQLite file: every request is asked by one of them alone."""
    share(store, children)


def test_a_killed_clients_work_is_taken_over(store: Path, children: Nursery) -> None:
    """The claims of a client that was killed run out, and the other one asks them."""
    take_over(store, children)


@pytest.mark.postgres
def test_two_clients_share_a_run_on_postgres(postgres: str, children: Nursery) -> None:
    """Two processes on one PostgreSQL database: every request is asked by one of them alone."""
    fill(postgres)
    share(postgres, children)


@pytest.mark.postgres
def test_a_killed_clients_work_is_taken_over_on_postgres(postgres: str, children: Nursery) -> None:
    """The claims of a client that was killed run out, and the other one asks them."""
    fill(postgres)
    take_over(postgres, children)


@pytest.mark.postgres
def test_a_run_is_the_same_in_both_stores(postgres: str, whole) -> None:
    """Items, answers and failures come back alike, text that a store would mind included."""
    fill(postgres)
    with simulator(postgres) as sim:
        assert outcome(work(sim, N)) == whole
        odd = sim.run([("ada", "NUL\x00 and half a pair \ud83d?"), ("bob", "🫖")], name="odd")
        assert odd.status.done == 2
        contexts = [item.request.question.context[0].content for item, _ in odd.answers()]
        assert contexts == ["NUL\ufffd and half a pair \ufffd?", "🫖"]
    with simulator(postgres, engine(action="")) as sim:
        failed = sim.run([("ada", "Fails?")], name="fails")
        (failure,) = failed.failures()
        assert failure.error == "ActionError"
        assert [one.name for one in sim.corpus.runs.all()] == ["r", "odd", "fails"]
        assert sim.corpus.forget("ada").run_items == N // 4 + 2
        assert json.dumps(sim.corpus.runs.find("r").settings["seed"]) == "0"
