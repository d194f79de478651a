"""A process is killed at any moment: what it told is there, and doing it again ends the same."""

from __future__ import annotations

import json
import time
from functools import cache

from tests.fixtures.runs import fill, outcome, simulator, work
from tests.soak.attack import Field, check_people, check_store, rows_of
from usersim import Corpus

LOAD = """
import sys
from usersim import Corpus
print("begun", flush=True)
with Corpus.open(sys.argv[1]) as corpus:
    corpus.add(sys.argv[2])
print("done", flush=True)
"""
RUN = """
import sys
from tests.fixtures.runs import simulator, work
print("begun", flush=True)
with simulator(sys.argv[1]) as sim:
    work(sim, 60, chunk=4)
print("done", flush=True)
"""
EXPORT = """
import sys
from usersim import Corpus
with Corpus.open(sys.argv[1]) as corpus:
    print("begun", flush=True)
    for _ in range(40):
        corpus.export(sys.argv[2])
print("done", flush=True)
"""


def kill(field: Field, code: str, *arguments: object, within: float) -> bool:
    """Run code and kill it at a random moment; tell whether it had finished by then."""
    child = field.children.start(code, *arguments)
    assert child.stdout.readline() == "begun\n"
    time.sleep(field.rng.random() ** 2 * within)
    child.kill()
    said, _ = child.communicate()
    return "done" in said


def load(field: Field) -> None:
    """A load of three people."""
    people = ("ada", "bob", "cy")
    source = field.folder / "rows.jsonl"
    rows = [row for user in people for row in rows_of(user, 400)]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    store = field.folder / "a.db"
    done = kill(field, LOAD, store, source, within=1.5)
    if store.exists():
        with Corpus.open(store) as corpus:
            assert check_people(corpus) == 1_200 or not done
        check_store(store)
    with Corpus.open(store) as corpus:
        corpus.add(source)
        assert check_people(corpus) == 1_200
        digest = corpus.digest()
    with Corpus.open(":memory:") as other:
        other.add(source)
        assert other.digest() == digest
    field.tally["loads killed" if not done else "loads finished before the kill"] += 1


@cache
def _whole() -> tuple[tuple[object, ...], ...]:
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "a.db"
        fill(store)
        with simulator(store) as sim:
            return tuple(outcome(work(sim, 60)))


def run(field: Field) -> None:
    """A run of sixty requests, killed several times."""
    store = field.folder / "a.db"
    fill(store)
    for _ in range(field.rng.randint(1, 3)):
        done = kill(field, RUN, store, within=2.0)
        check_store(store)
        field.tally["runs killed" if not done else "runs finished before the kill"] += 1
    with simulator(store) as sim:
        again = work(sim, 60)
        assert again.status.left == again.status.failed == 0
        assert tuple(outcome(again)) == _whole()


def export(field: Field) -> None:
    """An export that replaces a file: the old one or the new one is there, whole."""
    store, out = field.folder / "a.db", field.folder / "out.jsonl"
    with Corpus.open(store) as corpus:
        corpus.add(rows_of("ada", 300))
        corpus.export(out)
    whole = out.read_bytes()
    out.write_bytes(b"old\n")
    kill(field, EXPORT, store, out, within=1.0)
    assert out.read_bytes() in (whole, b"old\n")
    field.tally["exports killed"] += 1


def once(field: Field) -> None:
    """One kill."""
    field.rng.choice((load, run, export))(field)
