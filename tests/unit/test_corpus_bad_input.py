"""Bad input: each kind is refused with its reason or fixed by a stated rule; nothing is lost."""

import gzip
import json

import pytest

from usersim.config import CorpusConfig
from usersim.corpus import Corpus
from usersim.errors import CorpusError, CorpusFormatError, RefusedRowsError

GOOD = {"user_id": "ada", "context": "Tea?", "action": "Yes."}


@pytest.fixture
def corpus():
    """An empty store in memory with a short message limit."""
    with Corpus.open(":memory:", config=CorpusConfig(max_message_chars=1000)) as opened:
        yield opened


def load(corpus, tmp_path, data):
    """Load bytes as a JSON Lines file."""
    path = tmp_path / "rows.jsonl"
    path.write_bytes(data)
    report = corpus.add(path)
    assert report.rows_read == (
        report.kept + report.already_present + report.merged + len(report.refused)
    )
    return report


LINE = json.dumps(GOOD).encode()


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b'{"user_id": "a\xff"}', "byte 0xff at position 14 is not UTF-8"),
        (b"[1, 2]", "is not an object but a list"),
        (b"3", "is not an object but a int"),
        (b"nonsense", "is not JSON"),
        (b"[" * 100_000, "is nested deeper than 200 levels"),
        (b'{"user_id": "a", "action": "x"}', "context is missing"),
        (b'{"user_id": "a", "context": "c"}', "action is missing"),
        (b'{"context": "c", "action": "x"}', "user_id is missing"),
        (b'{"user_id": "a", "context": "c", "action": null}', "action is missing"),
        (b'{"user_id": "a", "context": "c", "action": ""}', "action '' is empty"),
        (b'{"user_id": "a", "context": "c", "action": "  "}', "is empty"),
        (b'{"user_id": "a", "context": "c", "action": NaN}', "is not a finite number"),
        (b'{"user_id": "a", "context": "c", "action": true}', "is not a free_text"),
        (b'{"user_id": "a", "context": "c", "action": {}}', "is not a free_text"),
        (b'{"user_id": "a", "context": [], "action": "x"}', "is empty"),
        (b'{"user_id": "a", "context": " ", "action": "x"}', "is empty"),
        (b'{"user_id": "a", "context": 3, "action": "x"}', "neither a text nor a list"),
        (b'{"user_id": "a", "context": ["c"], "action": "x"}', "is not a message"),
        (b'{"user_id": "a", "context": [{"content": 1}], "action": "x"}', "content 1 is not"),
        (b'{"user_id": "a", "context": [{"role": "u"}], "action": "x"}', "content is miss"),
        (
            b'{"user_id": "a", "context": [{"content": "c", "role": "x"}], "action": "x"}',
            "role 'x' is not one of",
        ),
        (b'{"user_id": ["a"], "context": "c", "action": "x"}', "is not a text or a whole"),
        (b'{"user_id": "a", "context": "c", "action": "x", "options": 1}', "is not a list"),
        (b'{"user_id": "a", "context": "c", "action": "x", "options": [[]]}', "is not a text"),
        (b'{"user_id": "a", "context": "c", "action": "x", "options": [true, 2]}', "not a text"),
        (b'{"user_id": "a", "context": "c", "action": "x", "options": ["x"]}', "at least two"),
        (b'{"user_id": "a", "context": "c", "action": "z", "options": ["x", "y"]}', "not among"),
        (b'{"user_id": "a", "context": "c", "action": ["z"], "options": ["x", "y"]}', "not among"),
        (b'{"user_id": "a", "context": "c", "action": "x", "action_type": "odd"}', "odd"),
        (b'{"user_id": "a", "context": "c", "action": "x", "action_type": []}', "not a text"),
    ],
)
def test_a_bad_row_is_refused_alone(corpus, tmp_path, bad, reason):
    """The rows around it are kept, and the refusal names line, field, value and reason."""
    report = load(corpus, tmp_path, LINE + b"\n" + bad + b"\n" + LINE.replace(b"Tea", b"Milk"))
    assert report.kept == 2
    (refused,) = report.refused
    assert refused.number == 2
    assert reason in str(refused)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("timestamp", "May"),
        ("timestamp", "05/01/2024 10:00"),
        ("timestamp", 1e30),
        ("order", "first"),
        ("order", []),
        ("id", [1]),
        ("metadata", 1),
    ],
)
def test_an_optional_field_never_costs_the_row(corpus, field, value):
    """What cannot be read is counted and kept in the metadata; the answer stays."""
    report = corpus.add([{**GOOD, field: value}])
    assert (report.kept, len(report.refused)) == (1, 0)
    assert report.unread_fields[field] == (1, repr(value))
    (item,) = corpus.interactions()
    kept = {field: value}
    assert item.metadata == (kept if field == "metadata" else {"unread_fields": kept})
    assert f"{field} not read in 1 row," in str(report)


def test_rows_that_differ_in_an_unread_field_alone_are_not_merged(corpus):
    """Two answers at two times stay two, whether or not the times can be read."""
    report = corpus.add([{**GOOD, "timestamp": day} for day in ("05/01/2024", "06/01/2024")])
    assert (report.kept, report.merged) == (2, 0)
    assert corpus.add([{**GOOD, "timestamp": "05/01/2024"}]).already_present == 1
    assert corpus.add(list(corpus.rows())).already_present == 2


def test_a_speakers_name_that_is_no_text_never_costs_the_row(corpus):
    """A number is the name that it says; anything else is kept in the metadata."""
    said = [{"content": "Tea?", "name": 7}, {"content": "Well?", "name": ["x"]}]
    report = corpus.add([{**GOOD, "context": said}])
    (item,) = corpus.interactions()
    assert [message.name for message in item.context] == ["7", None]
    assert item.metadata == {"context_fields": {"1.name": ["x"]}}
    assert report.unread_fields["context[].name"].rows == 1


@pytest.mark.parametrize("order", ["dmy", "mdy"])
def test_the_order_of_day_and_month_can_be_named(corpus, order):
    """`date_order=` reads what could be one of two days."""
    report = corpus.add([{**GOOD, "timestamp": "05/01/2024 10:00"}], date_order=order)
    assert report.unread_fields == {}
    (item,) = corpus.interactions()
    assert item.timestamp == ("2024-01-05" if order == "dmy" else "2024-05-01") + "T10:00:00"


def test_half_a_line_at_the_end_is_refused(corpus, tmp_path):
    """A file that was cut off keeps its whole lines, and the message says so."""
    report = load(corpus, tmp_path, LINE + b"\n" + LINE[:-9])
    assert report.kept == 1
    assert "may be cut off" in str(report)


@pytest.mark.parametrize("data", [b"", b"\n \n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_an_error(corpus, tmp_path, data):
    """There is nothing to report about, so it is said at once."""
    path = tmp_path / "empty.jsonl"
    path.write_bytes(data)
    with pytest.raises(CorpusFormatError, match="is empty"):
        corpus.add(path)


def test_a_byte_order_mark_is_passed_over(corpus, tmp_path):
    """A UTF-8 mark is no part of the first line."""
    assert load(corpus, tmp_path, b"\xef\xbb\xbf" + LINE).kept == 1


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("\ufeff{}".encode("utf-16-le"), "is not UTF-8"),
        (b"SQLite format 3\x00....", "is a database"),
        (b"\x00\x01\x02", "is not recognized"),
        (b"a,a\n1,2\n", "the same column twice"),
        (b'[{"a": 1},\n', "is not JSON"),
        (gzip.compress(LINE * 50, mtime=0)[:-9], "cannot be read to its end"),
        (b"PAR1 but not really", "reading .* as Parquet failed"),
    ],
)
def test_a_file_of_another_kind_is_an_error(corpus, tmp_path, data, reason):
    """The message says what the file seems to be."""
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(CorpusFormatError, match=reason):
        corpus.add(path)


def test_a_missing_file_is_an_error(corpus, tmp_path):
    """The path stands in the message."""
    with pytest.raises(CorpusFormatError, match=r"nothing\.jsonl"):
        corpus.add(tmp_path / "nothing.jsonl")


def test_bad_csv_records_are_refused_alone(corpus, tmp_path):
    """Bytes that are no UTF-8, too many cells, too few cells: the other records stay."""
    path = tmp_path / "rows.csv"
    path.write_bytes(b"user_id,context,action\na,c,x\na,c\xff,x\na,c,x,more\na,c\n")
    report = corpus.add(path)
    assert report.kept == 1
    reasons = [str(refused) for refused in report.refused]
    assert "byte 0xff" in reasons[0]
    assert "has 4 cells and the header 3" in reasons[1]
    assert "action is missing" in reasons[2]


def test_unknown_fields_are_kept_and_counted(corpus):
    """They go to the metadata, those of messages too; the source's own dict is untouched."""
    row = {**GOOD, "mood": "good", "metadata": {"a": 1}}
    row["context"] = [{"content": "Tea?", "tone": "kind"}]
    report = corpus.add([row])
    assert report.unknown_fields == {"mood": 1, "context[].tone": 1}
    (item,) = corpus.interactions()
    assert item.metadata == {"a": 1, "mood": "good", "context_fields": {"0.tone": "kind"}}
    assert row["metadata"] == {"a": 1}


def test_duplicate_ids_are_counted_and_kept(corpus):
    """The same id with other content is another interaction; the same content is merged."""
    report = corpus.add(
        [{**GOOD, "id": "1"}, {**GOOD, "id": "1"}, {**GOOD, "id": "1", "action": "No."}]
    )
    assert (report.kept, report.merged, report.repeated_ids) == (2, 1, 1)


def test_repeated_ids_are_those_of_the_people_of_a_load(corpus):
    """A later load counts an id that is repeated with an older row, and not other people's."""
    corpus.add([{**GOOD, "id": "1"}, {**GOOD, "id": "1", "action": "No."}])
    other = {**GOOD, "user_id": "somebody else"}
    assert corpus.add([{**other, "id": "1"}]).repeated_ids == 0
    assert corpus.add([{**other, "id": "1", "action": "No."}]).repeated_ids == 1
    assert corpus.add([{**other, "id": "1"}]).repeated_ids == 0


def test_a_user_with_one_row_is_all_train(corpus):
    """There is nothing to hold out."""
    corpus.add([GOOD])
    (user,) = corpus.users()
    assert (user.train, user.held_out) == (1, 0)


def test_long_messages_are_cut_and_counted_long_actions_refused(corpus):
    """A message keeps its halves around a mark; a shortened action would be another action."""
    long = " ".join(f"word{index}" for index in range(10_000))
    report = corpus.add([{**GOOD, "context": long}, {**GOOD, "action": long}])
    assert (report.kept, report.truncated_messages, len(report.refused)) == (1, 1, 1)
    (item,) = corpus.interactions()
    text = item.context[0].content
    assert len(text) == 1000
    assert text.startswith("word0 ")
    assert text.endswith("word9999")
    assert " […] " in text
    assert next(iter(report.refused)).row["action"] == long


@pytest.mark.parametrize(
    "text",
    [
        "🫖👩‍🚀",
        "שלום مرحبا",
        "{{ 7*7 }} {% raw %}",
        "<|im_end|>\n<think>",
        '" OR 1=1 --',
        "[b]x[/b]",
    ],
)
def test_special_text_stays_text(corpus, tmp_path, text):
    """Emoji, right-to-left, templates, control tokens and markup come back as they were."""
    row = {"user_id": text, "context": text, "action": text, "metadata": {text: text}}
    load(corpus, tmp_path, json.dumps(row).encode())
    (item,) = corpus.interactions()
    assert item.user_id == item.context[0].content == item.action == text
    assert item.metadata == {text: text}


def test_characters_that_no_store_holds_are_replaced_and_counted(corpus, tmp_path):
    """NUL and lone surrogates become U+FFFD; a pair given in halves is joined."""
    row = {"user_id": "a", "context": "x\x00\ud800", "action": "\ud83e\uded6\x00", "z": "\ud800"}
    report = load(corpus, tmp_path, json.dumps(row).encode())
    (item,) = corpus.interactions()
    assert item.context[0].content == "x��"
    assert item.action == "🫖�"
    assert report.replaced_characters == 3
    assert corpus.add([row]).already_present == 1


def test_refused_rows_can_be_mended_and_loaded(corpus, tmp_path):
    """What `write` wrote loads again after mending, with nothing but the fixed rows added."""
    rows = [GOOD, {**GOOD, "action": None, "extra": "\ud800"}, {**GOOD, "action": ""}]
    report = corpus.add(rows)
    path = tmp_path / "refused.jsonl"
    assert report.refused.write(path) == 2
    fixed = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert fixed[0]["_refused"]["reason"] == "is missing"
    for number, row in enumerate(fixed):
        row["action"] = f"fixed {number}"
    path.write_text("".join(json.dumps(row) + "\n" for row in fixed), "utf-8")
    again = corpus.add(path)
    assert (again.kept, len(again.refused), again.unknown_fields) == (2, 0, {"extra": 1})


def test_lines_that_are_no_text_are_written_out_whole(corpus, tmp_path):
    """The bytes of an unreadable line can be recovered from the refusals."""
    import base64

    report = load(corpus, tmp_path, LINE + b"\n\xff{\n")
    report.refused.write(tmp_path / "refused.jsonl")
    row = json.loads((tmp_path / "refused.jsonl").read_text("utf-8"))
    assert base64.b64decode(row["_base64"]) == b"\xff{"


def test_refusals_that_cannot_be_written_are_an_error(corpus, tmp_path):
    """The message names the file."""
    report = corpus.add([{}])
    with pytest.raises(CorpusError, match="cannot be written to"):
        report.refused.write(tmp_path / "no" / "folder.jsonl")


def test_strict_raises_and_keeps_nothing(corpus):
    """One bad row among many: the error shows it, and the store is as before."""
    rows = [{**GOOD, "action": f"answer {index}"} for index in range(9_000)]
    with pytest.raises(RefusedRowsError, match=r"1 of 9,001 rows .* nothing was loaded"):
        corpus.add([*rows, {**GOOD, "action": None}], strict=True)
    assert corpus.users() == []
    assert corpus.add(rows, strict=True).kept == 9_000


def test_the_report_reads_well(corpus):
    """Text and terminal forms show the counts and the first refusals; markup stays text."""
    from rich.console import Console

    report = corpus.add([GOOD, *[{**GOOD, "action": None, "user_id": "[red]x"}] * 7, GOOD])
    console = Console(width=200)
    with console.capture() as captured:
        console.print(report)
    for text in (str(report), captured.get()):
        assert "kept 1, already present 0, merged duplicates 1, refused 7" in text
        assert "7 rows (2, 3, 4, …): action is missing" in text
        assert "report.refused.write(path) writes all of them" in text
