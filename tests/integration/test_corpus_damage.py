"""Stores damaged by chance: every use of one ends well, or in an error that says so."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.fixtures.damage import damaged, uses, whole_store
from usersim.corpus import Corpus
from usersim.errors import UsersimError

DAMAGES = 40


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> bytes:
    """A store with something of everything."""
    return whole_store(tmp_path_factory.mktemp("whole") / "c.db").read_bytes()


def test_the_whole_store_may_be_used(whole: bytes, tmp_path: Path) -> None:
    """What is tried on damaged stores works on one that is not."""
    (tmp_path / "c.db").write_bytes(whole)
    with Corpus.open(tmp_path / "c.db") as corpus:
        for _, use in uses(corpus):
            use()


@pytest.mark.parametrize("seed", range(DAMAGES))
def test_a_damaged_store_ends_in_typed_errors(whole: bytes, tmp_path: Path, seed: int) -> None:
    """Bytes, texts, pages or the end of it: whatever anybody does then, foreign errors are none."""
    (tmp_path / "c.db").write_bytes(damaged(whole, random.Random(seed)))
    try:
        corpus = Corpus.open(tmp_path / "c.db")
    except UsersimError:
        return
    with corpus:
        for _, use in uses(corpus):
            with suppress(UsersimError):
                use()


WRONG = {
    "interactions": "UPDATE interactions SET context = '[{\"role\": 1}]'",
    "actions": "UPDATE interactions SET action = 'x', kind = 'number'",
    "kinds": "UPDATE interactions SET kind = 'dance'",
    "parts": "UPDATE interactions SET split = 'none'",
    "moments": "UPDATE interactions SET moment = 'noon'; UPDATE users SET placed = 0",
    "traces": "UPDATE candidates SET seed = '1}', components = '{'",
    "decisions": "UPDATE selections SET verdicts = '[1]'",
    "adapters": "UPDATE adapters SET manifest = x'ff'",
    "runs": "UPDATE runs SET config = '{'",
    "requests": "UPDATE run_items SET request = '{}'",
    "answers": "UPDATE responses SET record = '7'",
    "booleans": "UPDATE users SET placed = 7",
    "text that is none": "UPDATE users SET user_id = CAST(x'ff' AS TEXT) WHERE user_id = 'ada'",
}


def test_whatever_is_wrong_in_whichever_column_ends_in_typed_errors(
    whole: bytes, tmp_path: Path
) -> None:
    """Each column of each table in turn holds what nobody wrote: no use ends in a foreign error."""
    path = tmp_path / "c.db"
    path.write_bytes(whole)
    with sqlite3.connect(path) as connection:
        tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '%\\_fts%'"
        places = [
            (table, row[1])
            for (table,) in connection.execute(tables + " ESCAPE '\\'").fetchall()
            for row in connection.execute(f"PRAGMA table_info('{table}')")
        ]
    connection.close()
    assert ("interactions", "context") in places
    foreign: list[str] = []
    for table, column in places:
        path.write_bytes(whole)
        with sqlite3.connect(path) as connection, suppress(sqlite3.Error):
            # Some rows only: what is compared or sorted then meets both.
            change = f'UPDATE "{table}" SET "{column}" = ? WHERE rowid % 3 = 1'
            connection.execute(change, (b"\xff",))
        connection.close()
        foreign += [f"{table}.{column}: {told}" for told in _foreign(path)]
    assert not foreign, "\n".join(foreign)


def _foreign(path: Path) -> Iterator[str]:
    """Yield the errors of others that any use of a store ends in."""
    try:
        corpus = Corpus.open(path)
    except UsersimError:
        return
    with corpus:
        for name, use in uses(corpus):
            try:
                use()
            except UsersimError:
                continue
            except Exception as error:  # noqa: BLE001 - what is looked for
                yield f"{name}: {type(error).__name__}: {error}"


@pytest.mark.parametrize("sql", WRONG.values(), ids=WRONG.keys())
def test_rows_that_cannot_be_read_are_damage(whole: bytes, tmp_path: Path, sql: str) -> None:
    """A file that SQLite finds in order may hold rows that nobody of us wrote."""
    (tmp_path / "c.db").write_bytes(whole)
    with sqlite3.connect(tmp_path / "c.db") as connection:
        connection.executescript(sql)
    connection.close()
    with Corpus.open(tmp_path / "c.db") as corpus:
        for _, use in uses(corpus):
            with suppress(UsersimError):
                use()
