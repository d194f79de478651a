"""A disk that is full: errors are typed, old files stay, and work goes on when there is room.

A real small file system where this user may mount one, otherwise a limit on the size of files.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.fixtures.disk import full_disk
from tests.soak.attack import Field, check_people, check_store, rows_of, typed
from usersim import Corpus
from usersim.errors import UsersimError
from usersim.files import write_rows


def _mount(folder: Path, kilobytes: int) -> bool:
    """Mount a small file system; tell whether that is allowed."""
    if os.geteuid() != 0:
        return False
    options = f"size={kilobytes}k"
    command = ["mount", "-t", "tmpfs", "-o", options, "usersim-soak", str(folder)]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[Callable[[], None] | None]:
    """Give a folder on a disk of that size, and what makes room on it; None where none can be."""
    folder.mkdir()
    if not _mount(folder, kilobytes):
        yield None
        return

    def widen() -> None:
        command = ["mount", "-o", "remount,size=64m", str(folder)]
        subprocess.run(command, check=True, capture_output=True)

    try:
        yield widen
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True, capture_output=True)


def once(field: Field) -> None:
    """One load and some files on a disk that is too small for them."""
    kilobytes = field.rng.randint(60, 6_000)
    with small_disk(field.folder / "disk", kilobytes) as widen:
        if widen is None:
            _files(field, field.folder / "disk", full=True)
            return
        _store(field, field.folder / "disk", widen)
        field.tally["small disks"] += 1


def _store(field: Field, disk: Path, widen: Callable[[], None]) -> None:
    store = disk / "a.db"
    kept: list[int] = []

    def fill() -> None:
        with Corpus.open(store) as corpus:
            while True:
                start = len(kept) * 500
                corpus.add(rows_of("ada", 500, start))
                kept.append(start)
                corpus.add(rows_of("bob", 50, start))

    error = typed(field, "loads until the disk is full", fill)
    assert error is not None, "an endless load ends by an error alone"
    _files(field, disk, full=False)
    widen()
    with Corpus.open(store) as corpus:
        assert check_people(corpus, ["ada"] if kept else None) >= 500 * len(kept)
        corpus.add(rows_of("cy", 20))
        assert check_people(corpus, ["cy"]) == 20
        for user in [one.user_id for one in corpus.users()]:
            corpus.forget(user)
    check_store(store)


def _files(field: Field, disk: Path, *, full: bool) -> None:
    """Replace files on a full disk: what was there stays whole, or the new one is there whole."""
    for ending in ("csv", "jsonl", "parquet"):
        path = disk / f"a.{ending}"
        try:
            write_rows(path, rows_of("ada", 3), what="rows", error=UsersimError)
        except UsersimError:
            continue  # no room for the first one either
        before = path.read_bytes()
        rows = rows_of("ada", field.rng.choice((10, 2_000, 40_000)))

        def replace(path: Path = path, rows: list = rows) -> None:
            write_rows(path, rows, what="rows", error=UsersimError)

        if full:
            with full_disk(field.rng.randint(0, 4_000)):
                error = typed(field, "files on a full disk", replace)
        else:
            error = typed(field, "files on a full disk", replace)
        assert error is None or path.read_bytes() == before
        assert not [one for one in disk.iterdir() if one.name.endswith(".partial")]
