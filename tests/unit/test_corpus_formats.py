"""Sources and formats: what `Corpus.add` reads, and what it makes of it."""

import gzip
import json
import sys

import pytest

from usersim.corpus import Corpus
from usersim.errors import CorpusFormatError, MissingDependencyError
from usersim.types import Message, Scale

ROWS = [
    {
        "user_id": "ada",
        "timestamp": f"2025-01-0{day}",
        "order": day,
        "context": [
            {"role": "user", "name": "survey", "content": f"Do you like tea number {day}?"}
        ],
        "action": answer,
        "action_type": "scale",
        "options": ["no", "maybe", "yes"],
        "metadata": {"item": day},
    }
    for day, answer in enumerate(["no", "yes", "maybe", "yes", "no"], start=1)
]


@pytest.fixture
def corpus():
    """An empty store in memory."""
    with Corpus.open(":memory:") as opened:
        yield opened


def jsonl(path, rows):
    """Write rows as JSON Lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def as_csv(path):
    """Write ROWS as CSV with JSON in its cells."""
    import csv

    with path.open("w", newline="", encoding="utf-8-sig") as out:
        writer = csv.DictWriter(out, ROWS[0], delimiter=";")
        writer.writeheader()
        for row in ROWS:
            cells = {k: json.dumps(v) if isinstance(v, list | dict) else v for k, v in row.items()}
            writer.writerow(cells)
    return path


def as_parquet(path):
    """Write ROWS as Parquet."""
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.Table.from_pylist(ROWS), path)
    return path


def as_gzip(path):
    """Write ROWS as compressed JSON Lines under a name that says nothing."""
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in ROWS).encode()))
    return path


def sources(tmp_path):
    """Every kind of source, holding the same rows."""
    import pandas
    import polars

    lines = jsonl(tmp_path / "rows.jsonl", ROWS)
    array = tmp_path / "array"
    array.write_text(json.dumps(ROWS, indent=1), "utf-8")
    return {
        "jsonl": lines,
        "array": array,
        "gzip": as_gzip(tmp_path / "packed"),
        "csv": as_csv(tmp_path / "rows.csv"),
        "parquet": as_parquet(tmp_path / "table"),
        "pandas": pandas.DataFrame(ROWS),
        "polars": polars.DataFrame(ROWS),
        "dicts": ROWS,
        "generator": (row for row in ROWS),
    }


def test_every_kind_of_source_gives_the_same_corpus(tmp_path):
    """The identity of an interaction does not depend on the file format it came in."""
    digests = {}
    for name, source in sources(tmp_path).items():
        with Corpus.open(":memory:") as opened:
            report = opened.add(source)
            assert (report.rows_read, report.kept, report.format) == (5, 5, "rows"), (name, report)
            digests[name] = opened.digest()
    assert len(set(digests.values())) == 1, digests


def test_another_corpus_is_a_source(corpus):
    """A corpus loads into another with equal keys, and a second time adds nothing."""
    corpus.add(ROWS)
    with Corpus.open(":memory:") as other:
        assert other.add(corpus).kept == 5
        assert other.add(corpus).already_present == 5
        assert other.digest() == corpus.digest()


def test_rows_become_typed_interactions(corpus):
    """Space, value, context, metadata and place come back as they were given."""
    corpus.add(ROWS)
    first = next(corpus.interactions())
    assert first.space == Scale(("no", "maybe", "yes"))
    assert first.action == "no"
    assert first.context == (Message("Do you like tea number 1?", "user", "survey"),)
    assert (first.position, first.timestamp, first.metadata) == (0, "2025-01-01", {"item": 1})
    assert first.conversation == first.key


def test_the_action_type_is_implied(corpus):
    """Options make a choice, a number a number, a list a multiple choice, the rest free text."""
    base = {"user_id": "ada", "context": "Tell."}
    corpus.add(
        [
            {**base, "action": "a", "options": ["a", "b"]},
            {**base, "action": 3.5},
            {**base, "action": ["b", "a"], "options": ["a", "b"]},
            {**base, "action": "words"},
        ]
    )
    found = [(item.space.kind, item.action) for item in corpus.interactions()]
    assert found == [
        ("choice", "a"),
        ("number", 3.5),
        ("multi_choice", ("a", "b")),
        ("free_text", "words"),
    ]


def test_conversations_come_from_the_row_or_its_metadata(corpus):
    """The report says which field named the conversations."""
    base = {"user_id": "ada", "context": "Tell.", "order": 1}
    report = corpus.add(
        [
            {**base, "action": "1", "conversation_id": "c1"},
            {**base, "action": "2", "metadata": {"meeting": "m1"}},
            {**base, "action": "3"},
        ]
    )
    assert report.conversations == {
        "conversation_id": 1,
        "metadata.meeting": 1,
        "each row its own": 1,
    }
    assert [item.conversation for item in corpus.interactions()][:2] == ["c1", "m1"]


def test_only_one_users_rows_are_kept_when_asked(corpus):
    """`user_id=` filters rows that name users, and names rows that do not."""
    rows = [*ROWS, {**ROWS[0], "user_id": "bob"}, {"context": "Who?", "action": "Me."}]
    report = corpus.add(rows, user_id="ada")
    assert (report.kept, report.other_users, report.rows_read) == (6, 1, 7)
    assert [user.user_id for user in corpus.users()] == ["ada"]


CHAT = {
    "id": "c1",
    "timestamp": "2025-02-01",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello", "name": "ada"},
        {"role": "assistant", "content": [{"type": "text", "text": "Hi."}]},
        {"role": "user", "content": "Tea?", "name": "ada"},
        {"role": "assistant", "content": None, "tool_calls": []},
        {"role": "assistant", "content": "Yes."},
    ],
}


def test_chat_turns_of_the_person_become_actions(corpus):
    """One interaction per turn, the messages before it as context, one conversation."""
    report = corpus.add([CHAT], user_id="u1")
    assert (report.format, report.kept) == ("messages", 2)
    first, second = corpus.interactions()
    assert (first.action, second.action) == ("Hello", "Tea?")
    assert first.conversation == second.conversation == "c1"
    assert [message.name for message in second.context] == [None, "u1", None]
    assert [message.role for message in second.context] == ["system", "user", "assistant"]


def test_the_person_of_a_chat_may_be_a_name_or_the_assistant(corpus):
    """`person=` takes a role or a name; a name is also the user's id."""
    corpus.add([{"messages": CHAT["messages"]}], person="ada")
    corpus.add([CHAT], person="assistant", user_id="bot")
    actions = {user.user_id: user.interactions for user in corpus.users()}
    assert actions == {"ada": 2, "bot": 2}


def test_a_chat_that_grows_adds_only_what_is_new(corpus):
    """A chat without an id keeps its identity when turns are appended."""
    short = {"messages": CHAT["messages"][:3], "user_id": "ada"}
    corpus.add([short])
    report = corpus.add([{"messages": CHAT["messages"], "user_id": "ada"}])
    assert (report.kept, report.already_present) == (1, 1)


def test_sharegpt_takes_the_human_side(corpus):
    """`from`/`value` turns are read; a first turn has a neutral opening as its context."""
    talk = {"conversations": [{"from": "human", "value": "Hey"}, {"from": "gpt", "value": "Yo"}]}
    report = corpus.add([talk], user_id="ada")
    (only,) = corpus.interactions()
    assert (report.format, only.action) == ("sharegpt", "Hey")
    assert only.context[0].role == "system"


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"messages": "no"}, "is not a list of messages"),
        ({"messages": ["no"]}, "is not a message"),
        ({"messages": [{"content": "x"}]}, "role is missing"),
        ({"messages": [{"role": "user", "content": 1}]}, "content 1 is not a text"),
        ({"messages": [{"role": "user", "content": "x"}]}, "user_id is missing"),
        ({"messages": [{"role": "assistant", "content": "x"}], "user_id": "a"}, "does not speak"),
    ],
)
def test_a_chat_of_the_wrong_shape_is_refused(corpus, record, reason):
    """The whole record is refused, with the field and the reason."""
    report = corpus.add([record])
    assert report.rows_read == len(report.refused) == 1
    assert reason in str(next(iter(report.refused)))


CODEBOOK = {
    "who": {"kind": "id"},
    "when": {"kind": "timestamp"},
    "q1": {"text": "Tea?", "kind": "scale", "codes": {"1": "no", "2": "yes"}},
    "q2": {"text": "Age?", "kind": "number", "low": 0, "high": 120, "integer": True},
    "q3": {"text": "Which?", "kind": "multi_choice", "options": ["cup", "pot"]},
}


def test_a_wide_survey_gives_a_row_per_answer(corpus):
    """Codes are decoded, blanks skipped and counted, other columns kept as metadata."""
    import pandas

    table = pandas.DataFrame(
        {
            "who": [7, 8],
            "when": ["2025-01-01", "2025-01-02"],
            "q1": [2.0, None],
            "q2": [44, 200],
            "q3": ["cup|pot", "cup"],
            "city": ["Bonn", "Ulm"],
        }
    )
    report = corpus.add(table, codebook=CODEBOOK)
    assert (report.format, report.kept, report.unanswered) == ("survey_wide", 4, 1)
    assert "outside the range" in str(next(iter(report.refused)))
    items = list(corpus.interactions(["7"]))
    assert [item.action for item in items] == ["yes", 44.0, ("cup", "pot")]
    assert items[0].metadata == {"column": "q1", "city": "Bonn"}


@pytest.mark.parametrize("kind", ["id", "timestamp"])
def test_a_role_of_two_columns_is_an_error(corpus, kind):
    """Which of two columns says who or when is not guessed: both are named."""
    book = {**CODEBOOK, "first": {"kind": kind}, "then": {"kind": kind}}
    book = {name: entry for name, entry in book.items() if name not in {"who", "when"}}
    with pytest.raises(CorpusFormatError, match=f"'first' and 'then' are both of kind {kind!r}"):
        corpus.add([{"first": 1, "then": 2, "q1": 1}], codebook=book)


def test_a_codebook_may_be_a_csv_file(tmp_path, corpus):
    """Options are separated by bars, codes are JSON."""
    book = tmp_path / "book.csv"
    book.write_text(
        'column,text,kind,options,codes\nq1,Tea?,scale,no|yes,"{""1"": ""no"", ""2"": ""yes""}"\n'
    )
    table = tmp_path / "table.csv"
    table.write_text("respondent,q1\nr1,2\nr2,\n")
    report = corpus.add(table, codebook=book)
    assert (report.kept, report.unanswered) == (1, 1)
    assert next(corpus.interactions()).action == "yes"


@pytest.mark.parametrize(
    ("book", "reason"),
    [
        ({}, "no question"),
        ({"q": 1}, "is not an object"),
        ({"q": {}}, "has no text"),
        ({"q": {"text": "t", "codes": 1}}, "codes must be an object or a list; got 1"),
        ({"q": {"text": "t", "options": 1}}, "options 1 is not a list"),
        ({"q": {"text": "t", "kind": "odd"}}, "kind 'odd' is not one of"),
        ({"q": {"text": "t", "options": ["a", "a\u200b"]}}, "are identical"),
        ({"q": {"text": "t", "options": ["a", "b"], "codes": [1, 2, 3]}}, "3 codes for 2 options"),
        ({"q": {"text": "t", "options": ["a", "b"], "codes": {"1": "c"}}}, "'c', which is not"),
        ([{"text": "t"}], "a row without a column"),
        ([{"column": "q", "text": "t"}, {"column": "q", "text": "u"}], "'q' twice"),
        ("/no/such/book", "cannot be read"),
    ],
)
def test_a_bad_codebook_is_an_error(corpus, book, reason):
    """The message names the column and what is wrong."""
    with pytest.raises(CorpusFormatError, match=reason):
        corpus.add([{"q": 1}], codebook=book)


def test_a_long_survey_is_recognized(tmp_path, corpus):
    """Question and answer columns, options separated by bars."""
    path = tmp_path / "long.csv"
    path.write_text("user_id,question,answer,options\na,Tea?,yes,no|yes\na,Milk?,,\na,,yes,\n")
    report = corpus.add(path)
    assert (report.format, report.kept, report.unanswered) == ("survey_long", 1, 1)
    assert next(corpus.interactions()).space.kind == "choice"
    assert "question is missing" in str(next(iter(report.refused)))


def test_a_wide_survey_without_a_codebook_is_an_error(corpus):
    """The hint shows what a codebook looks like."""
    with pytest.raises(CorpusFormatError, match="needs a codebook"):
        corpus.add([{"q1": 1}], format="survey_wide")


def test_an_unknown_format_is_an_error(corpus):
    """The message lists the formats."""
    with pytest.raises(CorpusFormatError, match="'xml'"):
        corpus.add(ROWS, format="xml")


@pytest.mark.parametrize("source", [3, b"bytes", {"a": 1}])
def test_what_is_no_source_is_an_error(corpus, source):
    """A single dict, bytes or a number are refused with what is expected."""
    with pytest.raises(CorpusFormatError, match="is not a source"):
        corpus.add(source)


@pytest.mark.parametrize("package", ["pyarrow"])
def test_a_missing_extra_is_named(tmp_path, corpus, monkeypatch, package):
    """Without pyarrow a Parquet file names the extra to install."""
    path = as_parquet(tmp_path / "t.parquet")
    monkeypatch.setitem(sys.modules, f"{package}.parquet", None)
    with pytest.raises(MissingDependencyError, match="pyarrow") as caught:
        corpus.add(path)
    assert "usersim-recon[parquet]" in caught.value.hint


def test_progress_is_told(corpus):
    """The callback gets the records done and, for a list, how many there are."""
    told = []
    corpus.add(ROWS, progress=lambda *at: told.append(at))
    assert told[-1] == ("read rows", 5, 5)
