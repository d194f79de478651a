"""Power is lost: whatever was not synced may be on the disk, may not, or may be there in parts.

A library that is loaded into the process notes what is synced and ends it at a chosen write (see
`power.c`); from that and from what stands in the folder, images of the disk are made as they could
be found afterwards. Needs a C compiler and Linux.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from tests.fixtures.children import ROOT
from tests.soak.attack import Field, check_people, check_store, rows_of
from usersim import Corpus

PAGE = 4096
Case = Callable[[Field, Path, int, int], None]
SOURCE = Path(__file__).with_name("power.c")

LOAD = """
import sys
from tests.soak.attack import rows_of
from usersim import Corpus
with Corpus.open(sys.argv[1] + "/a.db") as corpus:
    print("open", flush=True)
    for n in range(6):
        corpus.add(rows_of("ada", 60, 60 * n))
        corpus.add(rows_of("bob", 20, 20 * n))
        print("kept", n, flush=True)
"""
FORGET = """
import sys
from usersim import Corpus
with Corpus.open(sys.argv[1] + "/a.db") as corpus:
    corpus.forget("ada")
    print("forgotten", flush=True)
"""
WRITE = """
import sys
from tests.soak.attack import rows_of
from usersim.errors import CorpusError
from usersim.files import write_rows
for ending in ("csv", "jsonl"):
    write_rows(f"{sys.argv[1]}/a.{ending}", rows_of("ada", 300), what="rows", error=CorpusError)
    print("written", ending, flush=True)
"""


@cache
def library() -> Path | None:
    """The library that is loaded, built once; None where it cannot be."""
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        return None
    path = Path(tempfile.mkdtemp(prefix="usersim-power-")) / "power.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(path), str(SOURCE), "-ldl"]
    subprocess.run(command, check=True, capture_output=True)
    return path


def lose(code: str, disk: Path, step: int) -> tuple[list[str], Path]:
    """Run code in a process that ends at its `step`-th write; return what it said and what is kept.

    What is in the folder before counts as being on the disk.
    """
    kept = disk.with_name("kept")
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir()
    (kept / f"names-{disk.stat().st_ino}").write_text(_names(disk), encoding="utf-8")
    for file in disk.iterdir():
        shutil.copyfile(file, kept / str(file.stat().st_ino))
    environment = {
        **os.environ,
        "LD_PRELOAD": str(library()),
        "POWER_ROOT": str(disk),
        "POWER_KEPT": str(kept),
        "POWER_STEP": str(step),
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [sys.executable, "-c", code, str(disk)],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode in {0, 137}, done.stderr[-2_000:]
    return done.stdout.splitlines(), kept


def _names(folder: Path) -> str:
    return "".join(f"{one.stat().st_ino} {one.name}\n" for one in folder.iterdir())


def image(disk: Path, kept: Path, rng: random.Random, to: Path) -> None:
    """Make one image: names and pages as they were synced, as they stood, or some of each."""
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir()
    share = rng.choice((0.0, 0.0, 0.5, 0.9, 1.0))  # of the unsynced, how much reached the disk
    listed = (kept / f"names-{disk.stat().st_ino}").read_text(encoding="utf-8").splitlines()
    synced = {name: inode for inode, _, name in (line.partition(" ") for line in listed)}
    now = {one.name: str(one.stat().st_ino) for one in disk.iterdir()}
    names = {name: (now if rng.random() < share else synced).get(name) for name in {*synced, *now}}
    contents = {inode: disk / name for name, inode in now.items()}
    for name, inode in names.items():
        if inode is None:
            continue
        had = kept / inode
        durable = had.read_bytes() if had.exists() else b""
        current = contents[inode].read_bytes() if inode in contents else durable
        (to / name).write_bytes(_mixed(durable, current, share, rng))


def _mixed(durable: bytes, current: bytes, share: float, rng: random.Random) -> bytes:
    length = len(current) if rng.random() < share else len(durable)
    pages: list[bytes] = []
    for at in range(0, length, PAGE):
        page = (current if rng.random() < share else durable)[at : at + PAGE]
        pages.append(page.ljust(min(PAGE, length - at), b"\0"))
    return b"".join(pages)[:length]


# ---------------------------------------------------------------------- what must hold


def load(field: Field, disk: Path, step: int, images: int) -> None:
    """Of a load the store is whole, and what is in it is a beginning of what was loaded."""
    told, kept = lose(LOAD, disk, step)
    for _ in range(images):
        found = field.folder / "image"
        image(disk, kept, field.rng, found)
        field.tally["losses of power: stores looked at"] += 1
        if not (found / "a.db").exists():
            assert "kept 0" not in told, "a store that was filled is gone"
            continue
        with Corpus.open(found / "a.db") as corpus:
            check_people(corpus)
            corpus.add([row for user in ("ada", "bob") for row in rows_of(user, 120)])
            check_people(corpus)
        check_store(found / "a.db")


def forget(field: Field, disk: Path, step: int, images: int) -> None:
    """Whoever was forgotten does not come back."""
    with Corpus.open(disk / "a.db") as corpus:
        corpus.add([row for user in ("ada", "bob") for row in rows_of(user, 80)])
    told, kept = lose(FORGET, disk, step)
    for _ in range(images):
        found = field.folder / "image"
        image(disk, kept, field.rng, found)
        field.tally["losses of power: stores looked at"] += 1
        if "forgotten" in told:
            for file in found.iterdir():
                assert b" for ada?" not in file.read_bytes(), f"text of ada in {file.name}"
        with Corpus.open(found / "a.db") as corpus:
            check_people(corpus)
            names = {one.user_id for one in corpus.users()}
            assert "bob" in names
            assert "ada" not in names or "forgotten" not in told
        check_store(found / "a.db")


def write(field: Field, disk: Path, step: int, images: int) -> None:
    """A file is the old one or the new one, and the new one once its writing was told."""
    for ending in ("csv", "jsonl"):
        (disk / f"a.{ending}").write_text("old\n", encoding="utf-8")
    told, kept = lose(WRITE, disk, step)
    for _ in range(images):
        found = field.folder / "image"
        image(disk, kept, field.rng, found)
        field.tally["losses of power: files looked at"] += 2
        for ending, lines in (("csv", 301), ("jsonl", 300)):
            content = (found / f"a.{ending}").read_text(encoding="utf-8")
            whole = content.count("\n") == lines and content.endswith("\n")
            assert whole or (content == "old\n" and f"written {ending}" not in told), content[:200]


CASES = (load, forget, write)


@cache
def steps_of(case: Case) -> int:
    """How many writes a case has, when nothing ends it."""
    with tempfile.TemporaryDirectory() as folder:
        disk = Path(folder) / "disk"
        disk.mkdir()
        field = Field(random.Random(0), Path(folder), None)  # type: ignore[arg-type]
        case(field, disk, 0, 0)
        return int((Path(folder) / "kept" / "steps").read_text(encoding="utf-8"))


def lost(field: Field, case: Case, steps: Sequence[int], images: int) -> None:
    """Lose power in one case, at each of some steps."""
    for step in steps:
        disk = field.folder / "disk"
        shutil.rmtree(disk, ignore_errors=True)
        disk.mkdir()
        case(field, disk, step, images)
        field.tally["losses of power"] += 1


def once(field: Field) -> None:
    """One loss at a random moment, looked at as several images."""
    if library() is None:
        field.tally["losses of power: no C compiler"] += 1
        return
    case = field.rng.choice(CASES)
    lost(field, case, [field.rng.randint(1, steps_of(case) + 1)], images=6)
