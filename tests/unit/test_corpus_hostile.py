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
    with pytest.raises(
        CorpusFormatError, match=r"single value of more than 100000|an item of more than 200000"
    ):
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


def test_a_long_conversation_is_not_stored_once_for_each_of_its_turns(
    corpus: Corpus, tmp_path: Path
) -> None:
    """Each turn keeps the newest hundred messages before it."""
    spoken = [
        {"role": "user" if n % 2 == 0 else "assistant", "content": f"W{n}"} for n in range(240)
    ]
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"messages": spoken, "user_id": "ada"}), encoding="utf-8")
    assert corpus.add(path, person="user").kept == 120
    last = list(corpus.interactions(["ada"]))[-1]
    assert last.action == "W238"
    assert [one.content for one in last.context] == [f"W{n}" for n in range(138, 238)]


def mail(number: int, body: str, **headers: str) -> str:
    """One mail of a mailbox."""
    lines = {"From": "Ada <a@x.test>", "Date": "Mon, 1 Jan 2024 00:00:00 +0000",
             "Message-ID": f"<{number}@x>", "Content-Type": "text/plain", **headers}  # fmt: skip
    told = "\n".join(f"{name.replace('_', '-')}: {value}" for name, value in lines.items())
    return f"From a@b Mon Jan  1 00:00:00 2024\n{told}\n\n{body}\n\n"


@pytest.mark.parametrize(
    "bad",
    [
        mail(2, "Two.", From="(" * 30_000),
        mail(2, "Two.", Content_Type='multipart/mixed; boundary="b"').replace(
            "Two.", "--b\nContent-Type: multipart/mixed; boundary=c\n\n" * 800
        ),
        mail(2, "<a " * 20_000, Content_Type="text/html"),
        mail(2, "\n" * 50_000),
    ],
    ids=["header", "parts", "page", "lines"],
)
def test_a_mail_that_cannot_be_read_stands_alone(corpus: Corpus, tmp_path: Path, bad: str) -> None:
    """Nested comments, parts within parts and tags that never end cost one mail, not the box."""
    path = tmp_path / "a.mbox"
    path.write_text(mail(1, "One.") + bad + mail(3, "Three."), encoding="utf-8")
    assert corpus.add(path, person="a@x.test", user_id="ada").kept == 2


def test_a_thread_has_one_root_however_long_it_is(corpus: Corpus, tmp_path: Path) -> None:
    """Mails of one thread share their conversation; the context is the newest twenty."""
    box = [mail(0, "Zero.")]
    box += [mail(n, f"Number {n}.", In_Reply_To=f"<{n - 1}@x>") for n in range(1, 300)]
    path = tmp_path / "a.mbox"
    path.write_text("".join(box), encoding="utf-8")
    assert corpus.add(path, person="a@x.test", user_id="ada").kept == 300
    rows = list(corpus.interactions(["ada"]))
    assert len({row.conversation for row in rows}) == 1
    assert max(len(row.context) for row in rows) == 20
