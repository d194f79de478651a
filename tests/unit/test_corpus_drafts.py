"""Codebooks that are drafted from a table: what is guessed, what is doubted, and what is done."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from usersim import Corpus, UserSimulator
from usersim.cli.app import app
from usersim.corpus import draft_codebook
from usersim.errors import CorpusError, CorpusFormatError

LIKERT = ("Agree", "Strongly agree", "Disagree", "Strongly disagree")
N = 40


def column(name: str, cells: list[object]) -> list[dict[str, object]]:
    """A table of respondents and one question."""
    return [{"respondent": f"r{n}", name: cells[n % len(cells)]} for n in range(N)]


@pytest.mark.parametrize(
    ("cells", "kind", "more"),
    [
        (["yes", "no"], "choice", {"options": ["no", "yes"]}),
        (list(LIKERT), "scale", {"options": [LIKERT[i] for i in (3, 2, 0, 1)]}),
        ([1, 2, 4, 5], "scale", {"options": ["1", "2", "3", "4", "5"]}),
        (["1", "2", "-99", "3"], "scale", {"options": ["1", "2", "3"], "missing": [-99]}),
        ([0, 1], "choice", {"options": ["0", "1"]}),
        ([21, 35, 44, 67, 80], "number", {"integer": True}),
        ([1.5, 2.25], "number", {}),
        (["tea; milk", "milk", "tea"], "multi_choice", {"options": ["milk", "tea"]}),
        ([f"Reason {n}" for n in range(N)], "free_text", {}),
        (["the same"], "free_text", {}),
    ],
)
def test_each_kind_of_column_is_recognized(cells, kind, more) -> None:
    """A column of a known kind is drafted as that kind, with its options in order."""
    draft = draft_codebook(column("What now?", cells))
    entry = draft.codebook["What now?"]
    assert entry == {"text": "What now?", "kind": kind, **more}
    assert draft.codebook["respondent"] == {"kind": "id"}


def test_columns_that_name_people_and_empty_ones_are_left_out_and_named() -> None:
    """Personal and empty columns are not in the codebook, and the draft says why."""
    rows = [{"id": n, "E-mail": f"p{n}@example.org", "Nothing": "", "Tea?": "yn"[n % 2]}
            for n in range(6)]  # fmt: skip
    draft = draft_codebook(rows)
    assert set(draft.codebook) == {"id", "E-mail", "Tea?"}
    assert [one.kind for one in draft.columns] == ["id", "skip", "", "choice"]
    assert {one.column for one in draft.doubtful} == {"E-mail", "Nothing", "Tea?"}


def test_a_column_of_distinct_words_in_front_is_the_respondent() -> None:
    """Without a usual name, a first column of distinct ids says who answered; else a note asks."""
    named = draft_codebook([{"Kürzel": f"k{n}", "Tea?": "yn"[n % 2]} for n in range(6)])
    assert named.codebook["Kürzel"] == {"kind": "id"}
    assert named.notes == []
    nobody = draft_codebook([{"Tea?": "yn"[n % 2]} for n in range(6)])
    assert "who answered" in nobody.notes[0]
    assert "who answered" in str(nobody)


def test_a_bare_code_as_name_asks_for_the_question() -> None:
    """The text of `q1` is not a question: its owner is asked to write it."""
    draft = draft_codebook(column("q1", ["yes", "no"]))
    assert draft.doubtful[0].doubt.startswith("write what was asked; ")


def test_a_frame_and_a_file_give_the_same_draft(tmp_path: Path) -> None:
    """A data frame, a CSV file and rows are drafted alike."""
    rows = column("Tea?", ["yes", "no", "perhaps"])
    path = tmp_path / "answers.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    found = [draft_codebook(one).codebook for one in (rows, pd.DataFrame(rows), path)]
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("source", [[], [{}]])
def test_nothing_to_draft_from_is_an_error(source) -> None:
    """A source without a column is refused."""
    with pytest.raises(CorpusFormatError):
        draft_codebook(source)


def test_a_table_is_drafted_and_loaded_by_the_command_line(tmp_path: Path) -> None:
    """Loading names the codebook that is missing; the drafted one loads every answer."""
    table, book = tmp_path / "answers.csv", tmp_path / "book.json"
    store = str(tmp_path / "people.usersim.db")
    lines = ["respondent,Tea?,How often?"]
    lines += [
        f"r{n},{('yes', 'no')[n % 2]},{('never', 'often', 'always')[n % 3]}" for n in range(N)
    ]
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    run = CliRunner().invoke
    refused = run(app, ["load", str(table), "--corpus", store])
    assert isinstance(refused.exception, CorpusFormatError)
    assert "usersim survey codebook" in refused.exception.cli_hint
    drafted = run(app, ["survey", "codebook", str(table), "--out", str(book)])
    assert drafted.exit_code == 0, drafted.output
    assert json.loads(book.read_text("utf-8"))["How often?"]["options"] == [
        "never", "often", "always",
    ]  # fmt: skip
    loaded = run(app, ["load", str(table), "--codebook", str(book), "--corpus", store])
    assert loaded.exit_code == 0, loaded.output
    with Corpus.open(store) as corpus:
        assert sum(one.interactions for one in corpus.users()) == 2 * N
    again = run(app, ["survey", "codebook", str(table), "--out", str(book)])
    assert again.exit_code != 0


def test_rows_without_context_or_action_say_what_they_may_be() -> None:
    """Wide rows that are dicts are refused one by one, with a note that names the codebook."""
    with Corpus.open(":memory:") as corpus:
        report = corpus.add(column("Tea?", ["yes", "no"]))
    assert (report.kept, len(report.refused)) == (0, N)
    assert any("codebook" in note for note in report.notes)
    with pytest.raises(CorpusError, match="needs a codebook"):
        UserSimulator.from_corpus(pd.DataFrame(column("Tea?", ["yes", "no"])), engine="scripted")


def test_of_several_times_the_first_is_that_of_the_answer_and_the_others_are_named() -> None:
    """One column counts as the time, and each of them says so; nothing is chosen in silence."""
    rows = [{"id": n, "Started": f"2026-01-{n + 1:02} 09:00", "Tea?": "yn"[n % 2],
             "Submitted": f"2026-01-{n + 1:02} 10:00"} for n in range(20)]  # fmt: skip
    draft = draft_codebook(rows)
    assert draft.codebook["Started"] == {"kind": "timestamp"}
    assert "Submitted" not in draft.codebook
    doubts = {one.column: one.doubt for one in draft.columns}
    assert doubts["Started"] == "the time of the answer, or is it 'Submitted'?"
    assert "'Started' is the time of the answer" in doubts["Submitted"]
    with Corpus.open(":memory:") as corpus:
        corpus.add(rows, codebook=draft.codebook)
        first = next(corpus.interactions(["0"]))
    assert first.timestamp == "2026-01-01 09:00"
    assert first.metadata["Submitted"] == "2026-01-01 10:00"


def test_what_a_draft_leaves_out_as_personal_is_not_stored() -> None:
    """An e-mail address that the draft leaves out is nowhere in the corpus, and a note says so."""
    rows = [{"id": n, "E-mail": f"p{n}@example.org", "City": "Bonn", "Tea?": "yn"[n % 2]}
            for n in range(6)]  # fmt: skip
    draft = draft_codebook(rows)
    assert draft.codebook["E-mail"] == {"kind": "skip"}
    with Corpus.open(":memory:") as corpus:
        report = corpus.add(rows, codebook=draft.codebook)
        assert "example.org" not in str(list(corpus.interactions()))
    assert "columns that the codebook skips: E-mail" in report.notes


@pytest.mark.parametrize(
    "column", ["Date of birth", "birthdate", "date-of-birth", "Birthday", "DOB"]
)
def test_a_birth_date_is_not_the_time_of_the_answer(column: str) -> None:
    """It comes first in many tables; skipped as personal, it leaves the time to the submission."""
    rows = [{"id": n, column: f"19{60 + n}-02-03", "Submitted": f"2026-01-{n + 1:02} 10:00",
             "Tea?": "yn"[n % 2]} for n in range(20)]  # fmt: skip
    codebook = draft_codebook(rows).codebook
    assert codebook[column] == {"kind": "skip"}
    assert codebook["Submitted"] == {"kind": "timestamp"}
    born = [{"id": n, "Year of birth": 1960 + n, "Tea?": "yn"[n % 2]} for n in range(20)]
    assert draft_codebook(born).codebook["Year of birth"]["kind"] == "number"
    party = [
        {"id": n, "How was your birthday party?": "fun" if n % 2 else "dull"} for n in range(20)
    ]
    assert draft_codebook(party).codebook["How was your birthday party?"]["kind"] == "choice"


def test_a_question_about_time_is_not_the_time_of_the_answer() -> None:
    """Moments are a timestamp; amounts of time are an answer, whatever the column is called."""
    rows = [{"id": n, "Submitted": f"2026-01-{n + 1:02} 10:00", "How much time?": n * 7.5}
            for n in range(20)]  # fmt: skip
    draft = draft_codebook(rows)
    assert draft.codebook["Submitted"] == {"kind": "timestamp"}
    assert draft.codebook["How much time?"]["kind"] == "number"
