"""Stores that came from elsewhere or were damaged: what they are asked ends by a typed error."""

from __future__ import annotations

import random
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

from tests.fixtures.runs import fill, simulator, work
from tests.soak.attack import Field, typed
from usersim import Corpus, Question

JUNK = (None, "", "x", "\x00", b"\xff", -1, 0, 2**62, 1.5, "[", "{}", "[]", "null", '{"a": 1}',
        "=1", "ada", "a" * 5_000, "NaN")  # fmt: skip


@cache
def whole() -> Path:
    """A store with people, a run, answers and an adapter's record."""
    path = Path(tempfile.mkdtemp(prefix="usersim-soak-")) / "a.db"
    fill(path)
    with simulator(path) as sim:
        work(sim, 20)
        sim.respond("Tea?", user_id="ada")
    with Corpus.open(path) as corpus:
        corpus.ledger.put_adapter(
            name="ada-1", path=str(path.parent / "adapters" / "ada-1"), digest="0" * 64,
            base_model="m", user_ids=["ada"], manifest={"name": "ada"},
        )  # fmt: skip
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return path


def damaged(path: Path, rng: random.Random) -> str:
    """Damage a store's file; return how."""
    data = bytearray(path.read_bytes())
    kind = rng.choice(("flip", "flip", "page", "cut", "swap", "head", "rows", "rows", "schema"))
    page = 4096
    if kind == "flip":
        for _ in range(rng.choice((1, 10, 100, 1_000))):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif kind == "page":
        at = page * rng.randrange(len(data) // page)
        data[at : at + page] = rng.choice((bytes(page), rng.randbytes(page)))
    elif kind == "cut":
        del data[rng.randrange(len(data)) :]
    elif kind == "swap":
        one, two = (page * rng.randrange(len(data) // page) for _ in range(2))
        data[one : one + page], data[two : two + page] = (
            data[two : two + page], data[one : one + page],
        )  # fmt: skip
    elif kind == "head":
        data[rng.randrange(100)] = rng.randrange(256)
    else:
        return _by_sql(path, rng, rows=kind == "rows")
    path.write_bytes(data)
    return kind


def _by_sql(path: Path, rng: random.Random, *, rows: bool) -> str:
    with sqlite3.connect(path) as connection, suppress(sqlite3.Error):
        names = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '%fts%'"
        table = rng.choice([name for (name,) in connection.execute(names)])
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info('{table}')")]
        column = rng.choice(columns)
        connection.execute("PRAGMA writable_schema = ON")
        if rows:
            value = rng.choice(JUNK)
            some = rng.choice(("1", "rowid % 3 = 0", "rowid = 1"))
            connection.execute(f'UPDATE "{table}" SET "{column}" = ? WHERE {some}', (value,))
        else:
            change = rng.choice((
                f'DROP TABLE "{table}"',
                f'ALTER TABLE "{table}" DROP COLUMN "{column}"',
                f'ALTER TABLE "{table}" RENAME COLUMN "{column}" TO "{column}_x"',
                f'CREATE TRIGGER evil AFTER INSERT ON "{table}" BEGIN DELETE FROM users; END',
                f'DELETE FROM "{table}"',
                f'INSERT INTO "{table}" DEFAULT VALUES',
            ))  # fmt: skip
            connection.execute(change)
    connection.close()
    return "rows" if rows else "schema"


def everything(path: Path) -> list[Callable[[], object]]:
    """Whatever can be asked of a store."""

    def with_corpus(ask: Callable[[Corpus], object]) -> Callable[[], object]:
        def case() -> None:
            with Corpus.open(path) as corpus:
                ask(corpus)

        return case

    def answers() -> None:
        with simulator(path) as sim:
            work(sim, None)
            run = sim.corpus.runs.find("r")
            assert run is None or list(sim.corpus.runs.answers(run.id)) is not None

    def respond() -> None:
        with simulator(path) as sim:
            sim.respond("Tea?", user_id="ada")

    return [
        with_corpus(lambda c: list(c.users())),
        with_corpus(lambda c: list(c.interactions())),
        with_corpus(lambda c: c.history("ada", limit=3)),
        with_corpus(lambda c: c.digest()),
        with_corpus(lambda c: c.export(path.with_name("out.jsonl"))),
        with_corpus(lambda c: [c.runs.status(one.id) for one in c.runs.all()]),
        with_corpus(lambda c: [list(c.runs.failures(one.id)) for one in c.runs.all()]),
        with_corpus(lambda c: list(c.ledger.responses("ada"))),
        with_corpus(lambda c: c.ledger.adapters()),
        with_corpus(lambda c: c.search("ada", Question.of("Tea with milk?"), limit=3)),
        with_corpus(lambda c: c.add([{"user_id": "eve", "context": "Tea?", "action": "Yes."}])),
        answers,
        respond,
        with_corpus(lambda c: c.forget("bob")),
    ]


def once(field: Field) -> None:
    """One damaged store, asked everything."""
    path = field.folder / "a.db"
    shutil.copyfile(whole(), path)
    how = damaged(path, field.rng)
    for case in everything(path):
        typed(field, f"questions to stores damaged by {how}", case)
    field.tally["damaged stores"] += 1
