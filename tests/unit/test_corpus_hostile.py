"""Corpus files that cost little to write and would cost much to read."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from pathlib import Path

import pytest

from usersim import Corpus
from usersim.corpus.readers import archive, json_stream
from usersim.errors import CorpusFormatError

ROW = {"user_id": "ada", "context": "Tea?", "action": "Yes."}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that a small file reaches."""
    monkeypatch.setattr(archive, "MOST_LINE", 10_000)
    monkeypatch.setattr("usersim.corpus.readers.text.MOST_LINE", 10_000)
    monkeypatch.setattr("usersim.corpus.readers.mail.MOST_LINE", 10_000)
    monkeypatch.setattr("usersim.corpus.readers.whatsapp.MOST_LINE", 10_000)
    monkeypatch.setattr("usersim.delimited._LONGEST_RECORD", 10_000)
    monkeypatch.setattr(archive, "MOST_WHOLE", 100_000)
    monkeypatch.setattr(json_stream, "MOST_ITEM", 200_000)
    monkeypatch.setattr(archive, "_RATIO_FROM", 1_000_000)


@pytest.fixture
def corpus():
    """An empty store."""
    with Corpus.open(":memory:") as opened:
        yield opened


def test_a_line_that_is_too_long_is_one_refused_row(corpus: Corpus, tmp_path: Path) -> None:
    """The others are kept, packed or not, and the reason names the limit."""
    lines = [json.dumps(ROW), json.dumps({**ROW, "action": "x" * 20_000}), json.dumps({**ROW})]
    text = "\n".join([*lines, json.dumps({**ROW, "context": "Now?"})]) + "\n"
    for name, content in {"a.jsonl": text.encode(), "b.gz": gzip.compress(text.encode())}.items():
        path = tmp_path / name
        path.write_bytes(content)
        report = corpus.add(path)
        assert report.rows_read == 4
        (refused,) = report.refused
        assert (refused.number, refused.reason) == (2, "is longer than 10000 bytes")
    assert [user.interactions for user in corpus.users()] == [2]


def test_a_line_of_a_table_that_is_too_long_is_one_refused_row(
    corpus: Corpus, tmp_path: Path
) -> None:
    """Quoted or not; what follows it is read."""
    for cell in ("x" * 30_000, '"' + "y" * 30_000 + '"'):
        path = tmp_path / "a.csv"
        path.write_text(
            f"user_id,context,action\nada,Tea?,Yes.\nada,Tea?,{cell}\nbo,Tea?,No.\n", "utf-8"
        )
        report = corpus.add(path)
        (refused,) = report.refused
        assert "longer than 10000 characters" in refused.reason
    assert [user.user_id for user in corpus.users()] == ["ada", "bo"]


def test_a_quote_that_is_never_closed_holds_no_file_in_memory(
    corpus: Corpus, tmp_path: Path
) -> None:
    """Its own line is refused; the lines after it are read as rows, far beyond the limit."""
    path = tmp_path / "a.csv"
    rows = "".join(f"u{n},Tea?,Yes number {n}.\n" for n in range(2_000))
    path.write_text(f'user_id,context,action\nada,Tea?,"Yes\n{rows}', "utf-8")
    report = corpus.add(path)
    assert (report.kept, len(report.refused)) == (2_000, 1)


def test_a_packed_file_that_unpacks_without_end_is_given_up(corpus: Corpus, tmp_path: Path) -> None:
    """A few kilobytes cannot become gigabytes; the memory stays that of a line."""
    path = tmp_path / "a.jsonl.gz"
    with gzip.open(path, "wb") as file:
        file.write(json.dumps(ROW).encode() + b"\n{")
        for _ in range(50):
            file.write(b" " * 1_000_000)
    tracemalloc.start()
    with pytest.raises(CorpusFormatError, match="more than 200 times as many"):
        corpus.add(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20_000_000


@pytest.mark.parametrize("start", ["{\n", "[\n"])
def test_a_document_that_is_one_huge_value_is_given_up(
    corpus: Corpus, tmp_path: Path, start: str
) -> None:
    """A single object is read in one piece up to a size, an item of an array up to another."""
    path = tmp_path / "a.json.gz"
    value = "".join(f"{n:06}" for n in range(50_000))
    body = f'"a": "{value}"' if start == "{\n" else f'{{"a": "{value}"}}'
    path.write_bytes(gzip.compress((start + body).encode()))
    with pytest.raises(CorpusFormatError, match=r"in one piece|an item of more than 200000"):
        corpus.add(path)


def test_rows_nested_without_end_are_refused_rows(corpus: Corpus, tmp_path: Path) -> None:
    """Where the parser reads them, and where it gives up."""
    path = tmp_path / "a.jsonl"
    deep = ["[" * depth + "]" * depth for depth in (100, 240, 300, 900, 1_100, 4_000)]
    lines = [f'{{"user_id": "ada", "context": "Tea?", "action": {one}}}' for one in deep]
    more = [f'{{"user_id": "ada", "context": "Tea?", "action": "y", "m": {one}}}' for one in deep]
    path.write_text("\n".join([json.dumps(ROW), *lines, *more]), encoding="utf-8")
    report = corpus.add(path)
    assert report.kept >= 1
    assert len(report.refused) + report.kept + report.merged == 13
    assert str(report)
    report.refused.write(tmp_path / "refused.jsonl")
