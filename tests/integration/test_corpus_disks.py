"""Stores on disks that are full or read-only: what can be done is done, the rest is an error."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.fixtures.disks import on_read_only_disk, on_small_disk
from usersim.corpus import Corpus


def rows(user: str, count: int) -> list[dict[str, object]]:
    """Rows of one user."""
    return [
        {"user_id": user, "order": index, "context": "Tea?", "action": f"{user} {index}"}
        for index in range(count)
    ]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store of two people in a folder of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    with Corpus.open(folder / "c.db") as corpus:
        corpus.add([*rows("ada", 5), *rows("bob", 5)])
    return folder / "c.db"


CUT_OFF = """
import os, sys
from usersim.corpus import Corpus, loading
from usersim.errors import CorpusError

loading._BATCH_ROWS = 500
store = sys.argv[1] + "/c.db"

def rows():
    for index in range(200_000):
        yield {"user_id": f"u{index % 5}", "order": index, "context": "c" * 300, "action": "a"}

def load():
    with Corpus.open(store) as corpus:
        try:
            corpus.add(rows())
        except CorpusError as error:
            print("disk is nearly full" in str(error))
        return {one.user_id: one.interactions for one in corpus.users()}

def forget(user, sure):
    with Corpus.open(store) as corpus:
        found = corpus.users()
        same = {one.user_id: one.interactions for one in found} == sure
        print(same, all(one.held_out for one in found))
        try:
            print(corpus.forget(user).interactions == sure.pop(user))
        except CorpusError as error:
            print("disk is full" in str(error), error.hint[:15])

sure = load()
forget("u3", sure)

with open(sys.argv[1] + "/filler", "wb", buffering=0) as filler:  # another program takes the rest
    try:
        while filler.write(bytes(4096)):
            pass
    except OSError:
        pass
forget("u2", dict(sure))
os.unlink(sys.argv[1] + "/filler")
forget("u2", sure)
"""


def test_users_and_forget_work_after_a_load_that_a_full_disk_cut_off(tmp_path: Path) -> None:
    """A load leaves room for both; where another program takes it, people can still be listed."""
    said = on_small_disk(tmp_path, "24m", CUT_OFF).splitlines()
    assert said[:3] == ["True", "True True", "True"]
    assert said[3:5] == ["True True", "True free some space"]
    assert said[5:] == ["True True", "True"]


UNPLACED = """
import sys
from usersim.corpus import Corpus
from usersim.errors import CorpusError

with Corpus.open(sys.argv[1] + "/c.db") as corpus:
    print([(one.user_id, one.train, one.held_out) for one in corpus.users()])
    for use in (lambda: list(corpus.interactions()), lambda: corpus.forget("ada")):
        try:
            print("not refused:", use())
        except CorpusError as error:
            print("is read-only" in str(error))
"""


def test_users_of_a_load_that_was_cut_off_are_told_where_nothing_can_be_written(store) -> None:
    """The parts are computed, not stored; what needs them stored is a clear error."""
    with Corpus.open(store) as corpus, corpus._database.write() as connection:
        connection.exec_driver_sql("UPDATE interactions SET split = 'train'")
        connection.exec_driver_sql("UPDATE users SET placed = false")
    said = on_read_only_disk(store.parent, UNPLACED).splitlines()
    assert said == ["[('ada', 4, 1), ('bob', 4, 1)]", "True", "True"]


READ = """
import sys
from usersim.corpus import Corpus
from usersim.errors import CorpusError

with Corpus.open(sys.argv[1] + "/c.db") as corpus:
    print(len(list(corpus.interactions())), corpus.digest())
    try:
        corpus.add([{"user_id": "eve", "context": "c", "action": "x"}])
    except CorpusError as error:
        print("is read-only" in str(error))
"""


@pytest.mark.parametrize("name", ["c.db", "what? #1%41.db"])
def test_a_store_on_a_read_only_disk_is_read(store: Path, name: str) -> None:
    """No log can be kept there and none is needed; writing is a clear error."""
    with Corpus.open(store) as corpus:
        digest = corpus.digest()
    store.rename(store.with_name(name))
    code = READ.replace("c.db", name)
    assert on_read_only_disk(store.parent, code).split() == ["10", digest, "True"]


def test_a_store_on_a_read_only_disk_is_read_with_its_log(store: Path, tmp_path: Path) -> None:
    """A copy of a store in use has its last rows in the log beside it: they are not passed over."""
    copy = tmp_path / "copy"
    with Corpus.open(store) as corpus:
        corpus.add(rows("cy", 5))
        shutil.copytree(store.parent, copy)
        digest = corpus.digest()
    assert (copy / "c.db-wal").stat().st_size > 0
    assert on_read_only_disk(copy, READ).split() == ["15", digest, "True"]


AS_NOBODY = """
import os, sys
from usersim.corpus import Corpus
with Corpus.open(":memory:"):  # everything is imported that nobody may read
    pass
if os.geteuid() == 0:
    os.setuid(65534)
"""


def test_a_store_in_a_folder_without_permission_is_read() -> None:
    """Whoever may read and not write, reads; also while somebody else has it open."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Corpus.open(folder / "c.db") as corpus:
            corpus.add(rows("ada", 5))
            opened = as_nobody(folder)
            corpus.add(rows("bob", 5))
        closed = as_nobody(folder)
    assert [said.split()[0] for said in (opened, closed)] == ["5", "10"]
    assert [said.split()[-1] for said in (opened, closed)] == ["True", "True"]


def as_nobody(folder: Path) -> str:
    """Read the store in a folder as a user who may not write there."""
    folder.chmod(0o555)
    try:
        done = subprocess.run(
            [sys.executable, "-c", AS_NOBODY + READ, str(folder)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        folder.chmod(0o755)
    assert done.returncode == 0, done.stderr
    return done.stdout
