"""Ingest: `Corpus.add` against a raw `sqlite3` `executemany` of the same prepared rows.

Run as `python benchmarks/bench_ingest.py [--rows 200000] [--repeats 3] [--no-memory]
[--by-time]`. Rows stand user by user, as exports mostly do; with `--by-time` they stand as a
log would have them, every user's rows strewn over the whole file.
The raw side gets rows that are parsed, checked, hashed and placed already, a table with the
same columns and indexes, the same pragmas, and batches of the same size: a floor that no
loader into this schema can pass. Both sides alternate in one run; medians count.
Peak memory is taken in processes of their own, at 100,000 and 1,000,000 rows.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from usersim.corpus import Corpus

BATCH = 8_000
USERS = 2_000
WORDS = [f"word{index}" for index in range(500)]
SCALE = ["never", "seldom", "sometimes", "often", "always"]
PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    "PRAGMA secure_delete = ON",
    "PRAGMA wal_autocheckpoint = 8192",
    "PRAGMA cache_size = -32768",
)


def write_corpus(path: Path, rows: int, *, by_time: bool = False) -> None:
    """Write a synthetic corpus: chats and survey answers, user by user or in order of time."""
    rng = random.Random(0)
    with path.open("w", encoding="utf-8") as out:
        for index in range(rows):
            user, order = divmod(index, max(1, rows // USERS))
            if by_time:
                order, user = divmod(index, USERS)
            out.write(json.dumps(synthetic_row(rng, user, order)) + "\n")


def synthetic_row(rng: random.Random, user: int, order: int) -> dict[str, object]:
    """Return one row; half are free text after two messages, half a scale of five."""
    row: dict[str, object] = {
        "user_id": f"user{user}",
        "timestamp": f"2025-01-{order % 28 + 1:02d}T10:00:00Z",
        "order": order,
    }
    question = {"role": "user", "name": "survey", "content": " ".join(rng.choices(WORDS, k=30))}
    if order % 2:
        row |= {"context": [question], "action": rng.choice(SCALE), "action_type": "scale"}
        row |= {"options": SCALE, "metadata": {"item": f"q{order}"}}
        return row
    reply = {"role": "assistant", "name": "bot", "content": " ".join(rng.choices(WORDS, k=30))}
    row |= {"context": [question, reply], "action": " ".join(rng.choices(WORDS, k=15))}
    row |= {"action_type": "free_text", "options": None, "metadata": {"item": f"q{order}"}}
    return row


def prepared(store: Path) -> tuple[list[str], str, list[tuple[object, ...]]]:
    """Return DDL, INSERT statement and rows of a filled store, in the order of arrival."""
    with sqlite3.connect(store) as connection:
        ddl = [
            sql
            for (sql,) in connection.execute(
                "SELECT sql FROM sqlite_master WHERE tbl_name = 'interactions' AND sql NOT NULL"
            )
        ]
        cursor = connection.execute("SELECT * FROM interactions ORDER BY id")
        names = [column[0] for column in cursor.description]
        marks = ", ".join("?" * len(names))
        insert = f"INSERT INTO interactions ({', '.join(names)}) VALUES ({marks})"
        rows = cursor.fetchall()
    connection.close()
    return ddl, insert, rows


def time_raw(folder: Path, ddl: list[str], insert: str, rows: list[tuple[object, ...]]) -> float:
    """Return the seconds that sqlite3 itself takes."""
    path = fresh(folder / "raw.db")
    connection = sqlite3.connect(path)
    for statement in (*PRAGMAS, *ddl):
        connection.execute(statement)
    started = time.perf_counter()
    for start in range(0, len(rows), BATCH):
        connection.executemany(insert, rows[start : start + BATCH])
        connection.commit()
    seconds = time.perf_counter() - started
    connection.close()
    return seconds


def time_corpus(folder: Path, source: Path) -> float:
    """Return the seconds that `Corpus.add` takes: read, check, hash, write, place."""
    with Corpus.open(fresh(folder / "corpus.db")) as corpus:
        started = time.perf_counter()
        corpus.add(source)
        return time.perf_counter() - started


def fresh(path: Path) -> Path:
    """Return `path` with nothing there."""
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    return path


def peak_memory(rows: int, folder: Path) -> float:
    """Return the peak memory of loading `rows` rows in a process of its own, MiB."""
    source = folder / f"rows{rows}.jsonl"
    write_corpus(source, rows)
    command = [sys.executable, __file__, "--load", str(source), str(fresh(folder / "memory.db"))]
    out = subprocess.run(command, check=True, capture_output=True, text=True)
    source.unlink()
    return float(out.stdout)


def load_only(source: str, store: str) -> None:
    """Load one file and print this process's peak memory, MiB."""
    with Corpus.open(store) as corpus:
        corpus.add(source)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def compare(rows: int, repeats: int, folder: Path, *, by_time: bool) -> None:
    """Print medians and the ratio of both sides."""
    source = folder / "corpus.jsonl"
    write_corpus(source, rows, by_time=by_time)
    time_corpus(folder, source)
    ddl, insert, values = prepared(folder / "corpus.db")
    raw: list[float] = []
    ours: list[float] = []
    for _ in range(repeats):
        raw.append(time_raw(folder, ddl, insert, values))
        ours.append(time_corpus(folder, source))
    floor, own = statistics.median(raw), statistics.median(ours)
    print(f"{rows} rows, {source.stat().st_size / 1e6:.0f} MB of JSON Lines, {repeats} repeats")
    print(f"raw executemany  {floor:6.2f} s  {rows / floor:9.0f} rows/s")
    print(f"Corpus.add       {own:6.2f} s  {rows / own:9.0f} rows/s")
    print(f"ratio of speeds  {floor / own:6.2f}    (target: at least 0.40)")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--no-memory", action="store_true", help="leave out the memory part")
    parser.add_argument("--by-time", action="store_true", help="rows of all users mixed")
    parser.add_argument("--load", nargs=2, metavar=("SOURCE", "STORE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.load:
        load_only(*options.load)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        compare(options.rows, options.repeats, folder, by_time=options.by_time)
        if not options.no_memory:
            small, large = peak_memory(100_000, folder), peak_memory(1_000_000, folder)
            print(
                f"peak memory      {small:6.0f} MiB at 100,000 rows, {large:.0f} MiB at 1,000,000"
            )


if __name__ == "__main__":
    main()
