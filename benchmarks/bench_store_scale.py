"""A store of millions of interactions: load rate, size, memory, and the queries of every command.

    python benchmarks/bench_store_scale.py [--interactions 1000000] [--postgres | --url URL]

Rows come from a generator: half are closed questions that everybody is asked, half free text in
conversations of ten. A person has 1,000 rows, the first ten people 5,000, so that their histories
are also searched by words. The store is a SQLite file in a temporary folder, a database of a
PostgreSQL server that is started for it (`--postgres`, fsync off), or an empty database (`--url`).

Loading, queries and the panel run in processes of their own. The rate is printed for each tenth
of the load, the peak memory after each. A query is a call of the product's own function, several
times: the first call, the median of the others, and of their CPU time in this process (on a busy
machine the only one that says something, and for SQLite all there is).
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.bench_explorer import fill_run
from tests.fixtures.postgres import database, server
from usersim import Corpus
from usersim.config import HistoryConfig
from usersim.corpus.store.database import Database
from usersim.simulator.history import Histories
from usersim.types import Question

OWN = 1_000
"""Rows of a person."""
LONG, LONG_OWN = 10, 5_000
"""So many people have a longer history, of so many rows."""
ANSWERED = 100
"""One simulated answer for so many interactions."""
REPEATS = 5
SCALE = ["never", "seldom", "sometimes", "often", "always"]
WORDS = ("river", "letter", "quiet", "window", "often", "friend", "late", "train", "music", "rain")
QUESTION = Question.of("How often did you take the late train to the river this year?")


def text(person: int, n: int, words: int) -> str:
    """Return made-up words, some of them in few rows only."""
    said = (WORDS[(person * 7 + n * k + k * k) % len(WORDS)] for k in range(words))
    return f"{' '.join(said)} place{(person * 31 + n) % 5003}"


def rows(interactions: int) -> Iterator[dict[str, object]]:
    """Yield the rows, person by person."""
    left, person = interactions, 0
    while left > 0:
        own = min(LONG_OWN if person < LONG else OWN, left)
        for n in range(own):
            yield row(person, n)
        left -= own
        person += 1


def row(person: int, n: int) -> dict[str, object]:
    """Return one row: in turn a closed question that everybody gets, and free text."""
    one: dict[str, object] = {"user_id": name_of(person), "order": n, "id": f"row{n}"}
    if n % 2 and n < OWN:
        asked = {"role": "user", "name": "survey", "content": f"Question {n}: {text(0, n, 20)}?"}
        value = SCALE[(person * n + n) % len(SCALE)]
        return {**one, "context": [asked], "action": value, "options": SCALE}
    asked = {"role": "user", "name": None, "content": text(person, n, 30)}
    one["conversation_id"] = f"talk{n // 20}"
    return {**one, "context": [asked], "action": text(person, n + 1, 15)}


def name_of(person: int) -> str:
    """Return a person's id."""
    return f"user{person:07}"


def people_of(interactions: int) -> int:
    """Return how many people so many interactions belong to."""
    return LONG + max((interactions - LONG * LONG_OWN) // OWN, 0)


def peak() -> float:
    """Return this process's peak memory, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def load(store: str, interactions: int) -> None:
    """Load the rows; print what each tenth took."""
    tenth = interactions // 10
    marks = [(0, time.perf_counter(), time.process_time())]

    def note(_stage: str, done: int, _total: int | None) -> None:
        if done - marks[-1][0] < tenth:
            return
        marks.append((done, time.perf_counter(), time.process_time()))
        (before, wall, cpu), (now, later, used) = marks[-2:]
        print(
            f"  {now:>11,} rows: {(now - before) / (later - wall):8,.0f} rows/s, "
            f"{(now - before) / (used - cpu):8,.0f} a CPU second of the client, "
            f"peak memory {peak():.0f} MiB",
            flush=True,
        )

    with Corpus.open(store) as corpus:
        started = time.perf_counter()
        report = corpus.add(rows(interactions), progress=note)
        whole = time.perf_counter() - started
        assert report.kept == interactions, report
        print(
            f"  the whole load: {whole:.0f} s, of which {whole - report.seconds:.1f} s at its end"
        )
        print(f"  size: {size(corpus._database) / 2**30:.2f} GiB")  # noqa: SLF001 - both kinds


def size(store: Database) -> int:
    """Return the bytes of a store on disk."""
    if store.file is not None:
        return sum(one.stat().st_size for one in store.file.parent.glob(f"{store.file.name}*"))
    with store.read() as connection:
        found = connection.exec_driver_sql("SELECT pg_database_size(current_database())")
        return int(found.scalar() or 0)


def queries(store: str, interactions: int) -> None:
    """Time the calls that the commands make."""
    people = people_of(interactions)
    long, typical, last = name_of(3), name_of(people // 2), name_of(people - 1)
    corpus = Corpus.open(store)
    answers = interactions // ANSWERED
    fill_run(corpus, "long", answers, [name_of(n) for n in range(people)])
    (run,) = corpus.runs.all()
    shown = Histories(corpus, HistoryConfig())
    deep = name_of(people - 60)
    asked = row(people // 2, 7)["context"]
    more = count(int(time.time()) * 1_000)  # people whom no earlier run added

    def add() -> object:
        new = f"new{next(more)}"
        return corpus.add({**row(1, n), "user_id": new} for n in range(100))

    calls: dict[str, Callable[[], object]] = {
        "respond: state of the fits": corpus.fits.state,
        "respond: a person's history": lambda: corpus.history(typical, limit=2_000),
        "respond: a long history (2,000 of it)": lambda: corpus.history(long, limit=2_000),
        "respond: search by words": lambda: corpus.search(long, QUESTION, limit=200),
        "respond: history and evidence": lambda: shown.shown(typical, QUESTION, before=None),
        "respond: the same of a long history": lambda: shown.shown(long, QUESTION, before=None),
        "train: all of one person": lambda: list(corpus.interactions(typical, split="train")),
        "train: all of ten people": lambda: list(
            corpus.interactions([name_of(people - n) for n in range(1, 11)], split="train")
        ),
        "train: whether one person has an order": lambda: corpus.ordered_users(typical),
        "train: who has an order": corpus.ordered_users,
        "users: their ids": corpus.user_ids,
        "users: everybody": corpus.users,
        "explore: counts": corpus.browse.counts,
        "explore: list of people": corpus.browse.people,
        "explore: list of people, deep": lambda: corpus.browse.people(after=deep),
        "explore: search for a person": lambda: corpus.browse.people(search=last[-6:]),
        "explore: a page of interactions": lambda: corpus.browse.interactions(typical, after=500),
        "explore: what a person did in a context": lambda: corpus.browse.acts_in(typical, asked),
        "explore: list of runs": corpus.runs.all,
        "explore: a page of answers": lambda: corpus.browse.items(run.id),
        "explore: a page of answers, deep": lambda: corpus.browse.items(run.id, after=answers - 60),
        "explore: a person's answers": lambda: corpus.browse.answers(typical),
        "load: 100 more rows": add,
    }
    print(f"  {'ms':42}     first    median   CPU of this process")
    for name, call in calls.items():
        (first, _), *others = (timed(call) for _ in range(REPEATS + 1))
        wall, cpu = (median(times) for times in zip(*others, strict=True))
        print(f"  {name:42} {first:9.1f} {wall:9.1f} {cpu:9.1f}", flush=True)
    wall, cpu = timed(lambda: corpus.forget(last))
    print(f"  {'forget: one person':42} {wall:9.1f} {'':9} {cpu:9.1f}")
    print(f"  peak memory of these: {peak():.0f} MiB")
    corpus.close()


def panel(store: str) -> None:
    """Read the panel, as the first closed question after a change of the store does."""
    with Corpus.open(store) as corpus:
        before = peak()
        wall, cpu = (one / 1e3 for one in timed(lambda: corpus.panel(shared_by=2)))
        print(
            f"  the panel, read once: {wall:.1f} s, {cpu:.1f} s CPU, "
            f"memory {before:.0f} to {peak():.0f} MiB"
        )


def timed(call: Callable[[], object]) -> tuple[float, float]:
    """Return how long a call takes, and the CPU time of this process, ms."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return 1e3 * (time.perf_counter() - wall), 1e3 * (time.process_time() - cpu)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--interactions", type=int, default=1_000_000)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--postgres", action="store_true", help="start a server for it")
    where.add_argument("--url", help="an empty PostgreSQL database")
    parser.add_argument("--part", nargs=2, metavar=("PART", "STORE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    n = options.interactions
    if options.part:
        part, store = options.part
        {"load": load, "queries": queries, "panel": lambda s, _: panel(s)}[part](store, n)
        return
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if options.postgres:
            store = database(stack.enter_context(server()))
        else:
            store = options.url or str(folder / "c.db")
        kind = "SQLite" if store.endswith(".db") else "PostgreSQL"
        print(f"{kind}, {n:,} interactions of {people_of(n):,} people", flush=True)
        for part in ("load", "queries", "panel"):
            command = [sys.executable, __file__, "--interactions", str(n), "--part", part, store]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
