"""Tables as people have them: codebooks, codes, missing values, CSV of every kind, SPSS."""

from __future__ import annotations

import datetime
import decimal
import json
import sys
from pathlib import Path

import numpy as np
import pandas
import polars
import pyreadstat
import pytest

from usersim.corpus import Codebook, Corpus
from usersim.errors import ConfigError, CorpusFormatError, MissingDependencyError

TEA = {"id": {"kind": "id"}, "tea": {"text": "Tea?", "options": ["never", "at times", "daily"]}}


@pytest.fixture
def corpus():
    """An empty store in memory."""
    with Corpus.open(":memory:") as opened:
        yield opened


def answers(corpus):
    """Return what every person did, in order."""
    return [(item.user_id, item.action) for item in corpus.interactions()]


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    """Write a text as it is, line ends included."""
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    "said",
    [
        {"codes": {"1": "never", "2": "at times", "3": "daily"}},
        {"codes": ["never", "at times", "daily"]},
        {"labels": ["never", "at times", "daily"]},
        {"value_labels": {1: "never", 2.0: "at times", "3.0": "daily"}},
        {"options": {"1": "never", "2": "at times", "3": "daily"}},
        {"options": ["never", "at times", "daily"], "codes": [1, 2, 3]},
        {"options": "never|at times|daily", "codes": "1|2|3"},
        {"options": "1=never|2=at times|3=daily"},
        {"codes": '{"1": "never", "2": "at times", "3": "daily"}'},
    ],
)
def test_codes_may_be_a_list_or_a_mapping(corpus, said):
    """Value labels in every form that a codebook gives them mean the same answers."""
    book = {"id": {"kind": "id"}, "tea": {"text": "Tea?", "kind": "scale", **said}}
    rows = [{"id": "a", "tea": 1}, {"id": "b", "tea": "2.0"}, {"id": "c", "tea": np.float64(3)}]
    report = corpus.add(rows, codebook=book)
    assert len(report.refused) == 0, str(report)
    assert answers(corpus) == [("a", "never"), ("b", "at times"), ("c", "daily")]


def test_codes_that_are_not_counted_from_one_are_named_beside_the_options(corpus):
    """A list of codes as long as the options pairs them, in their order."""
    book = {**TEA, "tea": {**TEA["tea"], "codes": [0, 5, 9]}}
    corpus.add([{"id": "a", "tea": 5}, {"id": "b", "tea": "0"}], codebook=book)
    assert answers(corpus) == [("a", "at times"), ("b", "never")]


def test_whole_columns_of_positions_are_read_as_codes_and_noted(corpus, tmp_path):
    """Numbers from 1 to the number of options, and nothing else in the column, are positions."""
    table = write(tmp_path / "t.csv", "id,tea\na,1\nb,3\nc,\n")
    report = corpus.add(table, codebook=TEA)
    assert answers(corpus) == [("a", "never"), ("b", "daily")]
    assert report.unanswered == 1
    assert report.notes == (
        "tea: numbers are read as positions of options: 1 = 'never', 2 = 'at times', 3 = 'daily'",
    )


@pytest.mark.parametrize(
    "cells",
    [[0, 1, 2], [1, 4], [1, "daily"], [1, 2.5]],
    ids=["from zero", "beyond the options", "with labels", "no whole number"],
)
def test_a_position_is_never_guessed(corpus, cells):
    """Where a column is not all positions, its numbers are refused and its labels kept."""
    rows = [{"id": f"p{place}", "tea": cell} for place, cell in enumerate(cells)]
    report = corpus.add(rows, codebook=TEA)
    assert [action for _, action in answers(corpus)] == [c for c in cells if c == "daily"]
    assert {refused.field for refused in report.refused} == {"tea"}
    assert report.notes == ()


def test_number_labels_win_over_positions(corpus):
    """1, "1" and "1.0" are the option "1" of a scale from 0 to 10."""
    book = {"id": {"kind": "id"}, "q": {"text": "Trust?", "options": [str(n) for n in range(11)]}}
    corpus.add(
        [{"id": "a", "q": 1}, {"id": "b", "q": "1.0"}, {"id": "c", "q": "10"}], codebook=book
    )
    assert answers(corpus) == [("a", "1"), ("b", "1"), ("c", "10")]


def test_a_code_that_equals_another_label_is_refused_until_the_codebook_says_codes(corpus):
    """An ambiguous cell is refused with both readings; `coded` settles the column."""
    codes = {"1": "0", "2": "1", "3": "2"}
    book = {"id": {"kind": "id"}, "q": {"text": "Children?", "codes": codes}}
    report = corpus.add([{"id": "a", "q": 1}, {"id": "b", "q": 3}], codebook=book)
    assert answers(corpus) == [("b", "2")]
    assert "is ambiguous" in str(report)
    corpus.add([{"id": "a", "q": 1}], codebook={**book, "q": {**book["q"], "coded": True}})
    assert answers(corpus)[0] == ("a", "0")


def test_missing_codes_are_no_answers_and_counted(corpus):
    """What the codebook lists as missing is neither an answer nor a refused row."""
    book = {
        "id": {"kind": "id"},
        "n": {"text": "How many?", "kind": "number", "missing": [-99, "refused"]},
        "tea": {**TEA["tea"], "missing": -99},
    }
    rows = [{"id": "a", "n": -99.0, "tea": "-99"}, {"id": "b", "n": "refused", "tea": "daily"}]
    report = corpus.add(rows, codebook=book)
    assert answers(corpus) == [("b", "daily")]
    assert report.left_out == {"answers marked as missing": 3}


def test_a_refused_cell_can_be_mended_and_loaded(corpus, tmp_path):
    """The refusal names the column and holds the question, so that the answer alone is mended."""
    report = corpus.add([{"id": "a", "tea": "weekly"}], codebook=TEA)
    (refused,) = report.refused
    assert (refused.field, refused.value) == ("tea", "weekly")
    assert corpus.add([{**refused.row, "action": "daily"}]).kept == 1
    assert answers(corpus) == [("a", "daily")]


def test_columns_match_up_to_white_space_and_case(corpus):
    """A header with a line break is the codebook's column; one that is not there is noted."""
    book = {**TEA, "How old are you?": {"text": "Age?", "kind": "number"}, "gone": TEA["tea"]}
    rows = [{"ID": "a", "Tea ": "daily", "How old\nare you?": "34", "city": "Ulm"}]
    report = corpus.add(rows, codebook=book)
    assert answers(corpus) == [("a", "daily"), ("a", 34.0)]
    assert next(corpus.interactions()).metadata == {"column": "tea", "city": "Ulm"}
    assert "columns of the codebook that are missing in the table: gone" in report.notes


def test_a_table_that_names_nobody_is_one_error(corpus):
    """It is said once, with the columns, instead of once per answer."""
    with pytest.raises(
        CorpusFormatError, match=r"no column identifies the respondent.*'nr'"
    ) as caught:
        corpus.add([{"nr": 1, "tea": "daily"}], codebook={"tea": TEA["tea"]})
    assert "kind" in caught.value.hint


def test_one_option_is_nothing_to_choose(corpus):
    """Such a column is not read, and the report says so; the others are."""
    book = {**TEA, "consent": {"text": "I agree.", "options": ["yes"]}}
    report = corpus.add([{"id": "a", "tea": "daily", "consent": "yes"}], codebook=book)
    assert report.kept == 1
    assert any(note.startswith("consent: ") for note in report.notes)


@pytest.mark.parametrize(
    "text",
    [
        'column,text,kind,options\nid,,id,\nq,"How do\nyou feel?",choice,good|bad\n',
        'column;text;kind;options\r\nid;;id;\r\nq;"How do\r\nyou feel?";choice;good|bad\r\n',
        '\ufeffsep=;\ncolumn;text;kind;options\nid;;id;\nq;"How do\nyou feel?";;good|bad\n',
        "Column,Text,Kind,Options\nid,,id,\nq,How do\u2028you feel?,choice,good|bad\n",
    ],
    ids=["comma", "semicolon", "announced", "line separator"],
)
def test_a_codebook_is_read_by_the_rules_of_csv(tmp_path, text):
    """Line breaks in quotes, U+2028, delimiters, byte order marks: the text stays one text."""
    book = Codebook.read(write(tmp_path / "book.csv", text))
    assert book.id_column == "id"
    assert book.items["q"].text.split() == ["How", "do", "you", "feel?"]
    assert book.items["q"].options == ("good", "bad")


def test_a_codebook_may_be_a_list(tmp_path):
    """A JSON array of columns is read as well as an object, and a key twice is an error."""
    fields = [{"column": "q", "text": "Well?", "options": ["a", "b"]}]
    path = write(tmp_path / "book.json", json.dumps(fields))
    assert list(Codebook.read(path).items) == list(Codebook.read(fields).items) == ["q"]
    write(path, '{"q": {"text": "Well?"}, "q": {"text": "Ill?"}}')
    with pytest.raises(CorpusFormatError, match="key 'q' twice"):
        Codebook.read(path)


def test_a_csv_file_is_read_by_its_quotes(corpus, tmp_path):
    """A header of two lines, delimiters in quotes, mixed line ends: every row is kept."""
    text = 'id;"How old;\nare you?";tea\r\n1;34;daily\n2;41;never\r3;;"at times"'
    book = {**TEA, "How old; are you?": {"text": "Age?", "kind": "number"}}
    report = corpus.add(write(tmp_path / "t.csv", text), codebook=book)
    assert answers(corpus) == [
        ("1", "daily"), ("1", 34.0), ("2", "never"), ("2", 41.0), ("3", "at times"),
    ]  # fmt: skip
    assert (len(report.refused), report.unanswered) == (0, 1)


def test_blank_rows_and_columns_of_a_spreadsheet_are_passed_over_and_counted(corpus, tmp_path):
    """Trailing delimiters are no cells, unnamed columns are no error."""
    text = "user_id,question,answer,,\na,Tea?,yes,,\n,,,,\n,,,,\nb,Tea?,no,,\n"
    report = corpus.add(write(tmp_path / "t.csv", text))
    assert answers(corpus) == [("a", "yes"), ("b", "no")]
    assert (report.left_out, len(report.refused)) == ({"blank rows": 2}, 0)


def test_an_encoding_is_chosen_by_name(corpus, tmp_path):
    """Without it a record of cp1252 is refused with the way out; with it it is read."""
    table = write(tmp_path / "t.csv", "user_id,question,answer\na,Tee?,nö\nb,Tee?,ja\n", "cp1252")
    report = corpus.add(table)
    assert (report.kept, len(report.refused)) == (1, 1)
    assert "cp1252" in str(report)
    corpus.add(table, encoding="cp1252")
    assert ("a", "nö") in answers(corpus)
    with pytest.raises(ConfigError, match="'klingon'"):
        corpus.add(table, encoding="klingon")


def test_excels_unicode_text_is_read(corpus, tmp_path):
    """UTF-16 with tabs, as Excel saves it."""
    corpus.add(write(tmp_path / "t.txt", "user_id\tquestion\tanswer\na\tTee?\tnö\n", "utf-16"))
    assert answers(corpus) == [("a", "nö")]


def test_an_unclosed_quote_costs_its_own_row(corpus, tmp_path):
    """The rows after it are read, and the row itself is refused with the reason."""
    text = 'user_id,question,answer\na,Tea?,"yes\nb,Tea?,no\nc,Tea?,yes\n'
    report = corpus.add(write(tmp_path / "t.csv", text))
    assert answers(corpus) == [("b", "no"), ("c", "yes")]
    assert "never closed" in str(report)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("1714557600", "2024-05-01T10:00:00+00:00"),
        ("2024-05-01 10:00:00 UTC", "2024-05-01T10:00:00+00:00"),
        ("2024/05/01 10:00:00 AM GMT+1", "2024-05-01T10:00:00+01:00"),
        ("2024-05-01 10:00:00", "2024-05-01 10:00:00"),
    ],
)
def test_times_of_forms_and_tools_are_read(corpus, tmp_path, given, text):
    """Epochs, UTC in words and Google Forms."""
    table = write(tmp_path / "t.csv", f"user_id,question,answer,timestamp\n1,Tea?,yes,{given}\n")
    report = corpus.add(table)
    assert (report.kept, report.unread_fields) == (1, {})
    assert next(corpus.interactions()).timestamp == text


def test_a_time_that_could_be_two_days_is_reported_with_the_way_out(corpus, tmp_path):
    """The row is kept, and the note says what has to be named, in the words of both surfaces."""
    table = write(tmp_path / "t.csv", "user_id,question,answer,timestamp\n1,Tea?,yes,05/01/2024\n")
    report = corpus.add(table)
    assert (report.kept, report.unread_fields["timestamp"].rows) == (1, 1)
    assert any("date order" in note and "dmy" in note for note in report.notes)


def test_values_of_frames_say_what_they_say(corpus, tmp_path):
    """Dates, Decimals, numpy scalars and nullable integers load like plain values."""
    row = {"user_id": ["a"], "context": ["Paid?"], "action_type": ["number"]}
    paid = polars.DataFrame(
        {**row, "action": [decimal.Decimal("3.50")], "timestamp": [datetime.date(2024, 5, 1)]}
    )
    paid.write_parquet(tmp_path / "t.parquet")
    assert corpus.add(paid).kept == 1
    assert corpus.add(tmp_path / "t.parquet").already_present == 1
    corpus.add([{"user_id": np.int64(7), "context": "Many?", "action": np.int64(3)}])
    gaps = pandas.DataFrame({"id": ["b", "c"], "q": pandas.array([1, None], dtype="Int64")})
    report = corpus.add(gaps, codebook={"q": {"text": "Where?", "options": ["1", "2"]}})
    assert report.unanswered == 1
    found = {item.user_id: (item.action, item.timestamp) for item in corpus.interactions()}
    assert found == {"a": (3.5, "2024-05-01"), "7": (3.0, None), "b": ("1", None)}


def sav(path: Path) -> Path:
    """Write an SPSS file with labels, ranges of missing values, weights and dates."""
    frame = pandas.DataFrame(
        {
            "caseid": [1.0, 2.0, 3.0],
            "tea": [1.0, 2.0, 9.0],
            "trust": [0.0, 10.0, 4.0],
            "cups": [3.0, np.nan, -5.0],
            "why": ["warm", "", "calm"],
            "weight": [1.0, 0.5, 2.0],
            "date": [datetime.date(2024, 5, 1)] * 3,
        }
    )
    pyreadstat.write_sav(
        frame,
        str(path),
        column_labels={
            "tea": "Do you like tea?", "trust": "Do you trust?", "cups": "How many cups?",
            "why": "Why?",
        },
        variable_value_labels={
            "tea": {1.0: "yes", 2.0: "no", 9.0: "don't know"},
            "trust": {0.0: "not at all", 10.0: "fully"},
        },
        missing_ranges={"tea": [9.0], "cups": [{"lo": -99.0, "hi": -1.0}]},
        variable_measure={"tea": "nominal", "trust": "ordinal"},
    )  # fmt: skip
    return path


def test_an_spss_file_brings_its_codebook(corpus, tmp_path):
    """Value labels, half-labeled scales, missing values and ranges, texts, times, weights."""
    report = corpus.add(sav(tmp_path / "survey.sav"))
    assert report.format == "spss"
    found = {(item.user_id, str(item.metadata["column"])): item for item in corpus.interactions()}
    assert {key: item.action for key, item in found.items()} == {
        ("1", "tea"): "yes", ("1", "trust"): "not at all", ("1", "cups"): 3.0, ("1", "why"): "warm",
        ("2", "tea"): "no", ("2", "trust"): "fully",
        ("3", "trust"): "4", ("3", "why"): "calm",
    }  # fmt: skip
    tea, trust = found["1", "tea"], found["1", "trust"]
    assert (tea.space.kind, tea.space.options) == ("choice", ("yes", "no"))
    assert (trust.space.kind, len(trust.space.options)) == ("scale", 11)
    assert tea.context[0].content == "Do you like tea?"
    assert (tea.timestamp, tea.metadata["weight"]) == ("2024-05-01", 1.0)
    assert report.left_out == {"answers marked as missing": 2}
    assert report.unanswered == 2


def test_a_codebook_says_more_about_an_spss_file(corpus, tmp_path):
    """Columns that the caller describes are read as described; the others by the file."""
    book = {"weight": {"text": "Weight?", "kind": "number"}, "why": {"kind": "id"}}
    corpus.add(sav(tmp_path / "survey.sav"), codebook=book)
    kinds = {item.metadata["column"]: item.space.kind for item in corpus.interactions(["warm"])}
    assert kinds == {"tea": "choice", "trust": "scale", "cups": "number", "weight": "number"}


def test_of_several_times_in_an_spss_file_the_end_counts_wherever_it_stands(corpus, tmp_path):
    """Qualtrics writes three: when it was recorded counts, the others are metadata."""
    frame = pandas.DataFrame({"caseid": [1.0], "RecordedDate": [datetime.date(2024, 5, 3)],
                              "StartDate": [datetime.date(2024, 5, 1)], "tea": [1.0]})  # fmt: skip
    labels = {"tea": "Tea?", "StartDate": "Start Date", "RecordedDate": "Recorded Date"}
    pyreadstat.write_sav(frame, str(tmp_path / "t.sav"), column_labels=labels)
    corpus.add(tmp_path / "t.sav")
    (item,) = corpus.interactions()
    assert item.timestamp == "2024-05-03"
    assert item.metadata["StartDate"] == "2024-05-01"


def test_a_codebook_may_skip_a_column_of_an_spss_file(corpus, tmp_path):
    """What the caller's codebook skips is neither a question nor metadata."""
    report = corpus.add(
        sav(tmp_path / "survey.sav"),
        codebook={name: {"kind": "skip"} for name in ("why", "weight")},
    )
    items = list(corpus.interactions())
    assert {item.metadata["column"] for item in items} == {"tea", "trust", "cups"}
    assert all("weight" not in item.metadata for item in items)
    assert "columns that the codebook skips: why, weight" in report.notes


def test_a_damaged_spss_file_and_a_missing_library_are_errors(corpus, tmp_path, monkeypatch):
    """The first names the file, the second the extra to install."""
    path = tmp_path / "broken.sav"
    path.write_bytes(b"$FL2 and nothing more")
    with pytest.raises(CorpusFormatError, match=r"broken\.sav"):
        corpus.add(path)
    monkeypatch.setitem(sys.modules, "pyreadstat", None)
    with pytest.raises(MissingDependencyError) as caught:
        corpus.add(path)
    assert "usersim-recon[spss]" in caught.value.hint


LIME = (
    '"id","submitdate","lastpage","startlanguage","seed","ipaddr","Do you like tea?",'
    '"Which kinds? [Green]","Which kinds? [Black]","Which kinds? [Other]","How many cups?",'
    '"Agreed? [It is warm]","Why?"\n'
    '"1","2024-05-01 10:00:00","3","en","7","10.0.0.1","Daily","Yes","No","","3","Yes","calm"\n'
    '"2","1980-01-01 00:00:00","3","en","8","10.0.0.2","Never","No","No","mate","N/A","So so","?"\n'
    '"3","","2","en","9","10.0.0.3","Daily","","","","","",""\n'
    '"4","2024-05-02 10:00:00","3","en","9","10.0.0.4","Never","Yes","Yes","","2","So so",""\n'
    '"5","2024-05-02 10:00:00","3","en","9","10.0.0.5","Never","Yes","Yes","","2","Yes",""\n'
)
MONKEY = (
    "Respondent ID,Collector ID,Date Created,IP Address,Email Address,Do you like tea?,"
    "Which kinds?,,,How warm?,\n"
    ",,,,,Response,Green,Black,Other (please specify),Pot,Cup\n"
    "11,9,2024-05-01 10:00:00,10.0.0.1,a@x.org,Daily,Green,,,Hot,Warm\n"
    '12,9,2024-05-01 11:00:00,10.0.0.2,b@x.org,Never,Green,Black,"mate, cold",Hot,Hot\n'
    "13,9,2024-05-01 12:00:00,10.0.0.3,c@x.org,Daily,,,,Warm,Warm\n"
    "14,9,2024-05-01 12:00:00,10.0.0.3,d@x.org,Never,,,,Warm,Hot\n"
)


def test_limesurvey_is_read_without_a_codebook(corpus, tmp_path):
    """Choices, several choices, numbers and texts; not who or where somebody was."""
    report = corpus.add(write(tmp_path / "results.csv", "\ufeff" + LIME))
    assert report.format == "limesurvey"
    rows = {(item.user_id, item.context[0].content): item for item in corpus.interactions()}
    assert rows["1", "Do you like tea?"].action == "Daily"
    assert rows["1", "Which kinds?"].action == ("Green",)
    assert rows["4", "Which kinds?"].action == ("Green", "Black")
    assert ("3", "Which kinds?") not in rows
    assert rows["1", "How many cups?"].action == 3.0
    assert rows["2", "Agreed? [It is warm]"].action == "So so"
    assert rows["2", "Which kinds? [Other]"].action == "mate"
    assert (rows["1", "Why?"].timestamp, rows["2", "Why?"].timestamp) == (
        "2024-05-01 10:00:00",
        None,
    )
    assert report.left_out == {"questions that were not shown": 1}
    assert any("ipaddr" in note for note in report.notes)
    assert any("'Do you like tea?'" in note for note in report.notes)
    assert "10.0.0" not in str([item.metadata for item in rows.values()])


def test_limesurveys_codes_are_read_with_a_codebook(corpus, tmp_path):
    """Where the header holds codes, the codebook says what they ask and what cells mean."""
    text = (
        "id,submitdate,lastpage,startlanguage,ipaddr,Q1,Q2[SQ001],Q2[SQ002]\n"
        "1,2024-05-01 10:00:00,3,en,10.0.0.1,A1,Y,\n"
        "2,2024-05-01 10:00:00,3,en,10.0.0.2,N/A,Y,Y\n"
    )
    kinds = {"SQ001": "green", "SQ002": "black"}
    book = {
        "Q1": {"text": "Tea?", "codes": {"A1": "yes", "A2": "no"}},
        "Q2": {"text": "Which?", "kind": "multi_choice", "codes": kinds},
        "submitdate": {"kind": "timestamp"},
    }
    report = corpus.add(write(tmp_path / "results.csv", text), codebook=book)
    assert report.format == "limesurvey"
    assert answers(corpus) == [("1", "yes"), ("1", ("green",)), ("2", ("green", "black"))]
    assert report.left_out == {"questions that were not shown": 1}
    assert "10.0.0" not in str([item.metadata for item in corpus.interactions()])
    assert next(corpus.interactions()).timestamp == "2024-05-01 10:00:00"


def test_surveymonkey_is_read_with_both_header_rows(corpus, tmp_path):
    """The second row names the options; several choices are one answer, a matrix one per row."""
    report = corpus.add(write(tmp_path / "export.csv", MONKEY))
    assert report.format == "surveymonkey"
    rows = {(item.user_id, item.context[0].content): item for item in corpus.interactions()}
    assert rows["11", "Do you like tea?"].action == "Daily"
    assert rows["11", "Which kinds?"].action == ("Green",)
    assert rows["12", "Which kinds?"].action == ("Green", "Black")
    assert rows["12", "Which kinds? [Other (please specify)]"].action == "mate, cold"
    assert ("13", "Which kinds?") not in rows
    assert rows["12", "How warm? [Cup]"].action == "Hot"
    assert rows["11", "Do you like tea?"].timestamp == "2024-05-01 10:00:00"
    assert "@" not in str([item.metadata for item in rows.values()])
    assert any("Email Address" in note for note in report.notes)


def test_a_row_of_a_platform_that_is_too_long_is_refused(corpus, tmp_path):
    """Cells without a column are not dropped in silence, and "N/A" is an answer where it can be."""
    text = MONKEY.replace("Daily", "N/A") + "15,9,,,,Never,,,,Warm,Hot,more\n"
    report = corpus.add(write(tmp_path / "export.csv", text))
    assert "has 12 cells and the header 11 columns" in str(report)
    rows = {(item.user_id, item.context[0].content): item for item in corpus.interactions()}
    assert rows["11", "Do you like tea?"].action == "N/A"
    assert {user for user, _ in rows} == {"11", "12", "13", "14"}


def test_a_codebook_names_all_options_of_a_platforms_question(corpus, tmp_path):
    """What the caller describes is read as described, with options that nobody chose."""
    book = {"Do you like tea?": {"text": "Tea?", "options": ["Daily", "Never", "At times"]}}
    corpus.add(write(tmp_path / "export.csv", MONKEY), codebook=book)
    item = next(i for i in corpus.interactions(["11"]) if i.context[0].content == "Tea?")
    assert item.space.options == ("Daily", "Never", "At times")
