"""Faults of the machine: kill, a full disk, two writers, and memory when everything is refused."""

import json
import signal
import tracemalloc

import pytest

from tests.fixtures.children import Nursery
from usersim.corpus import Corpus, loading
from usersim.errors import CorpusError

ROWS, BATCH = 4_000, 1_600
LOAD = f"""
import sys
from usersim.corpus import Corpus, loading

loading._BATCH_ROWS = {BATCH}
waits = True

def wait(stage, done, total):
    global waits
    if waits:
        print("a batch is in", flush=True)
        sys.stdin.readline()
    waits = False

with Corpus.open(sys.argv[2]) as corpus:
    print(corpus.add(sys.argv[1], progress=wait).kept)
"""


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch):
    """A load of several batches need not be a large one."""
    monkeypatch.setattr(loading, "_BATCH_ROWS", BATCH)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A file of several batches."""
    path = tmp_path_factory.mktemp("source") / "rows.jsonl"
    with path.open("w", encoding="utf-8") as out:
        for index in range(ROWS):
            row = {
                "user_id": f"u{index % 50}",
                "order": index,
                "context": "c",
                "action": f"a{index}",
            }
            out.write(json.dumps(row) + "\n")
    return path


def test_a_killed_load_leaves_a_whole_store_that_a_second_load_completes(
    source, tmp_path, children: Nursery
):
    """After kill -9 in the middle every reader sees a split, and nothing is added twice."""
    store = tmp_path / "c.db"
    process = children.start(LOAD, source, store)
    assert process.stdout.readline() == "a batch is in\n"
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    with Corpus.open(store) as corpus, Corpus.open(":memory:") as whole:
        users = corpus.users()
        first = sum(user.interactions for user in users)
        assert first == BATCH
        assert all(user.held_out for user in users)
        report = corpus.add(source)
        assert (report.kept, report.already_present) == (ROWS - first, first)
        whole.add(source)
        assert corpus.digest() == whole.digest()
        assert list(corpus.interactions(["u7"])) == list(whole.interactions(["u7"]))


def test_two_processes_may_load_at_once(source, tmp_path, children: Nursery):
    """Both end well, each row is there once, and their counts add up."""
    store = tmp_path / "c.db"
    both = [children.start(LOAD, source, store) for _ in range(2)]
    for process in both:  # both are in the middle before either goes on
        assert process.stdout.readline() == "a batch is in\n"
    for process in both:
        process.stdin.write("go on\n")
        process.stdin.flush()
    kept = []
    for process in both:
        out, err = process.communicate()
        assert process.returncode == 0, err
        kept.append(int(out.split()[-1]))
    assert sum(kept) == ROWS
    with Corpus.open(store) as corpus:
        positions = [item.position for item in corpus.interactions(["u3"])]
        assert positions == list(range(ROWS // 50))


FULL = """
import resource, sys
from usersim.corpus import Corpus
from usersim.errors import CorpusError
with Corpus.open(sys.argv[2]) as corpus:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
    try:
        corpus.add(sys.argv[1])
    except CorpusError as error:
        print(error)
"""


def test_a_full_disk_is_a_clear_error_and_the_store_stays_whole(
    source, tmp_path, children: Nursery
):
    """A limit on the size of files stands for the disk; with space, the load completes."""
    store = tmp_path / "c.db"
    done = children.run(FULL, source, store)
    assert "full" in done.stdout, done
    with Corpus.open(store) as corpus:
        assert sum(user.interactions for user in corpus.users()) < ROWS
        report = corpus.add(source)
        assert report.kept + report.already_present == ROWS


def test_a_store_locked_for_too_long_is_a_clear_error(tmp_path, monkeypatch):
    """The message says that another process holds it."""
    import sqlite3

    store = tmp_path / "c.db"
    with Corpus.open(store):
        pass
    monkeypatch.setattr(
        "usersim.corpus.store.database._SQLITE_PRAGMAS", ("PRAGMA busy_timeout = 50",)
    )
    holder = sqlite3.connect(store, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    locked = pytest.raises(CorpusError, match="was locked by another process")
    with Corpus.open(store) as corpus, locked:
        corpus.add([{"user_id": "a", "context": "c", "action": "x"}])
    holder.close()


def test_a_load_whose_every_row_is_refused_needs_little_memory(tmp_path):
    """Fifty megabytes of refusals stay out of memory, and can be written out."""

    def bad():
        for index in range(8_000):
            yield {"user_id": "a", "context": "x" * 6_000, "n": index}

    with Corpus.open(tmp_path / "c.db") as corpus:
        tracemalloc.start()
        report = corpus.add(bad())
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert len(report.refused) == 8_000
    assert peak < 20_000_000
    assert report.refused.write(tmp_path / "refused.jsonl") == 8_000


def test_ctrl_c_leaves_a_whole_store(source, tmp_path):
    """An interrupted load keeps whole batches; the same corpus object goes on."""

    def interrupt(stage, done, total):
        raise KeyboardInterrupt

    with Corpus.open(tmp_path / "c.db") as corpus:
        with pytest.raises(KeyboardInterrupt):
            corpus.add(source, progress=interrupt)
        assert all(user.held_out for user in corpus.users())
        assert corpus.add(source).rows_read == ROWS
