"""Faults of the machine: kill, a full disk, two writers, and memory when everything is refused."""

import json
import signal
import subprocess
import sys
import tracemalloc

import pytest

from usersim.corpus import Corpus
from usersim.errors import CorpusError

ROWS = 20_000
LOAD = """
import sys
from usersim.corpus import Corpus
with Corpus.open(sys.argv[2]) as corpus:
    print(corpus.add(sys.argv[1], progress=lambda done, total: print(done, flush=True)).kept)
"""


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


def start(source, store, **options):
    """Load in a process of its own."""
    command = [sys.executable, "-c", LOAD, str(source), str(store)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def test_a_killed_load_leaves_a_whole_store_that_a_second_load_completes(source, tmp_path):
    """After kill -9 in the middle every reader sees a split, and nothing is added twice."""
    store = tmp_path / "c.db"
    process = start(source, store)
    process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with Corpus.open(store) as corpus, Corpus.open(":memory:") as whole:
        users = corpus.users()
        first = sum(user.interactions for user in users)
        assert 0 < first < ROWS
        assert all(user.held_out for user in users)
        report = corpus.add(source)
        assert (report.kept, report.already_present) == (ROWS - first, first)
        whole.add(source)
        assert corpus.digest() == whole.digest()
        assert list(corpus.interactions(["u7"])) == list(whole.interactions(["u7"]))


def test_two_processes_may_load_at_once(source, tmp_path):
    """Both end well, each row is there once, and their counts add up."""
    store = tmp_path / "c.db"
    both = [start(source, store), start(source, store)]
    kept = []
    for process in both:
        out, err = process.communicate(timeout=300)
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


def test_a_full_disk_is_a_clear_error_and_the_store_stays_whole(source, tmp_path):
    """A limit on the size of files stands for the disk; with space, the load completes."""
    store = tmp_path / "c.db"
    command = [sys.executable, "-c", FULL, str(source), str(store)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    assert "full" in done.stdout, done
    with Corpus.open(store) as corpus:
        report = corpus.add(source)
        assert report.kept + report.already_present == ROWS


def test_a_store_locked_for_too_long_is_a_clear_error(tmp_path, monkeypatch):
    """The message says that another process holds it."""
    import sqlite3

    store = tmp_path / "c.db"
    with Corpus.open(store):
        pass
    monkeypatch.setattr("usersim.corpus.database._SQLITE_PRAGMAS", ("PRAGMA busy_timeout = 50",))
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

    def interrupt(done, total):
        raise KeyboardInterrupt

    with Corpus.open(tmp_path / "c.db") as corpus:
        with pytest.raises(KeyboardInterrupt):
            corpus.add(source, progress=interrupt)
        assert all(user.held_out for user in corpus.users())
        assert corpus.add(source).rows_read == ROWS
