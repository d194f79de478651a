"""Files are whole or not there; cells are never computed; what was written is read back."""

from __future__ import annotations

import csv
import json
import os
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fixtures.disk import full_disk
from usersim.errors import CorpusError, MissingDependencyError
from usersim.files import (
    csv_text,
    escape_cell,
    file_digest,
    replacing,
    sync_tree,
    unescape_cell,
    write_bytes,
    write_rows,
    write_text,
)
from usersim.files.rows import _lines

ROWS = [{"user": "ada", "n": 1}, {"user": "bo", "n": None}]
SAYS = {"what": "the answers", "error": CorpusError}


def names(folder: Path) -> list[str]:
    """What a folder holds, hidden files too."""
    return sorted(path.name for path in folder.iterdir())


# ---------------------------------------------------------------------- whole or not there


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_full_disk_keeps_the_old_file_and_leaves_nothing_beside_it(
    tmp_path: Path, ending: str
) -> None:
    """Whatever the form, the error is typed and names the file, and the old content stays."""
    path = tmp_path / f"a.{ending}"
    path.write_text("old", encoding="utf-8")
    rows = [{"text": f"{n} " * 2_000} for n in range(100)]
    with (
        full_disk(1_000),
        pytest.raises(CorpusError, match=rf"the answers cannot be written to '.*a\.{ending}'"),
    ):
        write_rows(path, rows, **SAYS)
    assert path.read_text(encoding="utf-8") == "old"
    assert names(tmp_path) == [path.name]


@pytest.mark.parametrize("failure", [KeyboardInterrupt, RuntimeError])
def test_what_fails_while_a_file_is_filled_passes_and_leaves_the_old_file(
    tmp_path: Path, failure: type[BaseException]
) -> None:
    """Also Ctrl-C: the error is not changed, and no half of a file stays."""
    path = tmp_path / "a.txt"
    path.write_text("old", encoding="utf-8")

    def fail() -> None:
        with replacing(path, **SAYS) as half:
            half.write_text("new", encoding="utf-8")
            raise failure

    with pytest.raises(failure):
        fail()
    assert path.read_text(encoding="utf-8") == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_check_that_finds_something_else_keeps_the_old_file(tmp_path: Path) -> None:
    """What cannot be read back is not moved into place."""

    def check(half: Path) -> None:
        raise OSError(5, "3 rows can be read back of 4 written")

    path = tmp_path / "a.txt"
    path.write_text("old", encoding="utf-8")
    with (
        pytest.raises(CorpusError, match="3 rows can be read back of 4"),
        replacing(path, check=check, **SAYS) as half,
    ):
        half.write_text("new", encoding="utf-8")
    assert path.read_text(encoding="utf-8") == "old"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize(("form", "quoted"), [("csv", True), ("jsonl", False)])
def test_rows_whose_end_is_lost_are_counted_short(tmp_path: Path, form: str, quoted: bool) -> None:
    """What is read back of a file that lost its end is less than what was written."""
    path = tmp_path / f"a.{form}"
    write_rows(path, [{"a": 'two\nlines, "quoted"'}, {"a": "b"}], **SAYS)
    whole = path.read_bytes()
    assert _lines(path, quoted) == 2 + quoted
    for lost in (1, 2, 5):
        path.write_bytes(whole[:-lost])
        assert _lines(path, quoted) < 2 + quoted


def test_the_content_is_on_the_disk_before_the_name_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is synced, then moved, then its folder is synced."""
    order: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def noted_fsync(descriptor: int) -> None:
        kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        order.append(f"sync {kind}")
        fsync(descriptor)

    def noted_replace(self: Path, target: Path) -> Path:
        order.append("move")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    write_bytes(tmp_path / "a", b"x", **SAYS)
    assert order == ["sync file", "move", "sync folder"]


def test_permissions_stay_and_links_are_followed(tmp_path: Path) -> None:
    """A file that only its owner may read stays so, and a link still leads to the file."""
    real = tmp_path / "real.txt"
    real.write_text("old", encoding="utf-8")
    real.chmod(0o600)
    link = tmp_path / "link.txt"
    link.symlink_to(real)
    write_text(link, "new", **SAYS)
    assert link.is_symlink()
    assert real.read_text(encoding="utf-8") == "new"
    assert stat.S_IMODE(real.stat().st_mode) == 0o600


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    """What is no regular file, such as /dev/stdout in a pipe, gets the rows directly."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    got: list[str] = []
    reader = threading.Thread(target=lambda: got.append(path.read_text(encoding="utf-8")))
    reader.start()
    with replacing(path, **SAYS) as half:
        half.write_text("tea", encoding="utf-8")
    reader.join()
    assert got == ["tea"]
    assert names(tmp_path) == ["pipe"]


@pytest.mark.parametrize("path", ["no/a.csv", "folder"])
def test_a_place_that_cannot_be_written_is_a_typed_error(tmp_path: Path, path: str) -> None:
    """A folder that is not there, and a folder in the file's place."""
    (tmp_path / "folder").mkdir()
    with pytest.raises(CorpusError, match="cannot be written to") as caught:
        write_rows(tmp_path / path, ROWS, hint="somewhere else", **SAYS)
    assert caught.value.hint == "somewhere else"
    assert names(tmp_path) == ["folder"]


def test_a_long_name_is_written(tmp_path: Path) -> None:
    """A name of the greatest length leaves room for the file beside it."""
    path = tmp_path / ("é" * 120 + ".csv")
    assert write_rows(path, ROWS, **SAYS) == 2
    assert names(tmp_path) == [path.name]


def test_parquet_without_pyarrow_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is written."""
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingDependencyError, match="pyarrow"):
        write_rows(tmp_path / "a.parquet", ROWS, **SAYS)
    assert names(tmp_path) == []


def test_a_tree_is_synced_and_a_digest_is_of_the_content(tmp_path: Path) -> None:
    """Files in folders in folders, broken links passed over."""
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (inner / "c").write_bytes(b"")
    (inner / "gone").symlink_to("nowhere")
    sync_tree(tmp_path)
    assert file_digest(inner / "c").startswith("e3b0c44298fc1c14")


# ---------------------------------------------------------------------- rows


def test_every_form_reads_back(tmp_path: Path) -> None:
    """Counts are right, None is an empty cell, and a Parquet column has one kind."""
    parquet = pytest.importorskip("pyarrow.parquet")
    mixed = [{"v": 1.5, "p": {"a": 1}}, {"v": "tea", "p": None}, {"v": True, "p": [1]}]
    for ending in ("csv", "jsonl", "parquet"):
        assert write_rows(tmp_path / f"a.{ending}", mixed, mark={"k": 1}, **SAYS) == 3
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [
            ["v", "p"], ["1.5", '{"a":1}'], ["tea", ""], ["true", "[1]"],
        ]  # fmt: skip
    lines = (tmp_path / "a.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == mixed
    table = parquet.read_table(tmp_path / "a.parquet")
    assert table["v"].to_pylist() == ["1.5", "tea", "true"]
    assert table.schema.metadata[b"usersim"] == b'{"k":1}'


def test_no_rows_make_a_heading_or_an_empty_file(tmp_path: Path) -> None:
    """With columns a heading alone, without them nothing."""
    assert write_rows(tmp_path / "a.csv", [], columns=["x"], **SAYS) == 0
    assert (tmp_path / "a.csv").read_text(encoding="utf-8") == "x\n"
    assert write_rows(tmp_path / "b.csv", [], **SAYS) == 0
    assert write_rows(tmp_path / "b.jsonl", [], **SAYS) == 0


def test_the_form_may_be_named(tmp_path: Path) -> None:
    """JSON Lines in a file that is called otherwise."""
    assert write_rows(tmp_path / "a.csv", ROWS, form="jsonl", **SAYS) == 2
    assert (tmp_path / "a.csv").read_text(encoding="utf-8").startswith('{"user"')


@pytest.mark.parametrize("text", ["one\rtwo", "one\ntwo", "one\r\ntwo", "\r", 'say "no",\r'])
def test_a_line_end_in_a_cell_makes_no_further_row(tmp_path: Path, text: str) -> None:
    """One response stays one row, for readers that take a lone carriage return for a line end."""
    assert write_rows(tmp_path / "a.csv", [{"a": text, "b": 1}], **SAYS) == 1
    with (tmp_path / "a.csv").open(encoding="utf-8") as file:  # universal line ends
        rows = list(csv.reader(file))
    assert len(rows) == 2
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        assert unescape_cell(list(csv.reader(file))[1][0]) == text


@pytest.mark.parametrize(
    "text", ["=1+1", "+1+1", "-1+1", "@x", "\t=1", "\r=1", "\n=1", "＝1", "'=1", '=HYPERLINK("x")']
)
def test_a_text_that_would_be_computed_is_escaped(text: str) -> None:
    """With one quote before it, in cells and in headings."""
    assert escape_cell(text) == f"'{text}"
    assert csv_text([{text: text}]).count("'") >= 2


@pytest.mark.parametrize("text", ["-1", "+2.5", "-1e-3", ".5", "-.5", "", "tea", "'tea'", "a=1"])
def test_numbers_and_plain_texts_stay(text: str) -> None:
    """A negative number is a number, also where it is a text."""
    assert escape_cell(text) == text
    assert csv_text([{"a": -1.5, "b": float("nan"), "c": None}]) == "a,b,c\n-1.5,,\n"


@given(st.text(alphabet="'=+-@\t\r\n1.eaé＝ ", max_size=6))
def test_escaping_is_undone(text: str) -> None:
    """For every text, and what comes out begins as no formula unless it is a number."""
    cell = escape_cell(text)
    assert unescape_cell(cell) == text
    if cell[:1] in set("=+-@\t\r\n＝"):
        float(cell)


def test_a_lone_surrogate_is_written(tmp_path: Path) -> None:
    """As an escape in JSON Lines, as a question mark in CSV."""
    rows = [{"a": "x\ud800"}]
    write_rows(tmp_path / "a.jsonl", rows, **SAYS)
    write_rows(tmp_path / "a.csv", rows, **SAYS)
    assert json.loads((tmp_path / "a.jsonl").read_bytes()) == {"a": "x\ud800"}
    assert (tmp_path / "a.csv").read_text(encoding="utf-8") == "a\nx?\n"
