"""Answers exported by Qualtrics: nothing personal comes in, answers do, the rest is said."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fixtures.qsf import instrument
from usersim.corpus import Corpus
from usersim.errors import SurveyFileError
from usersim.survey.files import PERSONAL, read_qsf, read_qualtrics_csv

IMPORTED = read_qsf(instrument(), refusals=["don't know"], scales=["Q9"])
COLUMNS = {
    "StartDate": "startDate", "Status": "status", "IPAddress": "ipAddress",
    "RecordedDate": "recordedDate", "ResponseId": "_recordId", "RecipientEmail": "recipientEmail",
    "RecipientFirstName": "recipientFirstName", "LocationLatitude": "locationLatitude",
    "Q1": "QID1", "Q2.a": "QID2", "Q2.a_4_TEXT": "QID2_4_TEXT", "Q3_1": "QID3_1", "Q3_2": "QID3_2",
    "Q4": "QID4_TEXT", "Q5": "QID5_TEXT", "Q7_1": "QID7_1", "country": "country",
}  # fmt: skip
ADA = ["d", "IP Address", "10.1.2.3", "2026-01-02 10:00:00", "R_1", "ada@example.org", "Ada",
       "52.1", "Yes", "Black,Other", "mine", "good", "bad", "3", "because", "2", "NL"]  # fmt: skip
BOB = ["d", "IP Address", "10.1.2.4", "2026-01-02 11:00:00", "R_2", "bob@example.org", "Bob",
       "52.2", "Don't know", "", "", "fair", "great", "x", "", "", "BE"]  # fmt: skip
EVE = [*BOB[:1], "Survey Preview", *BOB[2:4], "R_3", *BOB[5:]]


def written(tmp_path: Path, *rows: list[str], columns: dict[str, str] | None = None) -> Path:
    """The rows as Qualtrics writes them."""
    used = columns or COLUMNS
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(used)
    writer.writerow([f"text of {name}" for name in used])
    writer.writerow([json.dumps({"ImportId": told}) for told in used.values()])
    writer.writerows(rows)
    path = tmp_path / "answers.csv"
    path.write_text(out.getvalue(), encoding="utf-8-sig")
    return path


def test_answers_come_in_and_nothing_personal_does(tmp_path: Path) -> None:
    """No cell of a personal column is left anywhere; the report names what was dropped."""
    found = read_qualtrics_csv(written(tmp_path, ADA, BOB, EVE), IMPORTED)
    ada, bob = found.records
    assert ada == {
        "respondent": "R_1", "timestamp": "2026-01-02 10:00:00", "Q1": "Yes", "Q2_a_1": "yes",
        "Q2_a_2": "no", "Q2_a_3": "no", "Q2_a_4": "yes", "Q3_1": "good", "Q3_2": "bad", "Q4": 3.0,
        "Q5": "because", "Q7_1": 2.0,
    }  # fmt: skip
    assert bob == {
        "respondent": "R_2", "timestamp": "2026-01-02 11:00:00", "Q1": "Don't know", "Q3_1": "fair",
    }  # fmt: skip
    text = json.dumps(found.records)
    for secret in ("10.1.2", "example.org", "52.1", "Ada", "NL"):
        assert secret not in text
    assert set(PERSONAL) & set(COLUMNS) <= set(found.dropped)
    said = str(found)
    assert "IPAddress" in said
    assert "Survey Preview" in said
    assert "'great' in 1 record" in said
    assert "'x' in 1 record" in said


def test_columns_are_kept_only_by_name(tmp_path: Path) -> None:
    """Embedded data come in where they are asked for."""
    found = read_qualtrics_csv(written(tmp_path, ADA), IMPORTED, keep=["country"])
    assert found.records[0]["country"] == "NL"
    assert "country" not in found.dropped


def test_a_text_question_that_holds_addresses_is_dropped(tmp_path: Path) -> None:
    """People are asked for their e-mail in a question, too."""
    row = list(ADA)
    row[14] = "ada@example.org"
    found = read_qualtrics_csv(written(tmp_path, row), IMPORTED)
    assert "Q5" not in found.records[0]
    assert "Q5" in found.dropped


def test_records_and_codebook_are_a_corpus(tmp_path: Path) -> None:
    """The wide reader takes them as they are, refusing nothing."""
    found = read_qualtrics_csv(written(tmp_path, ADA, BOB), IMPORTED)
    with Corpus.open(":memory:") as corpus:
        report = corpus.add(found.records, format="survey_wide", codebook=found.codebook)
        rows = list(corpus.interactions(["R_1"]))
    assert not report.refused
    assert {row.action for row in rows} >= {"Yes", "good", 3.0, "because"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no header row"),
        ("x,y\na,b\n1,2\nYes,No\n", "no column of survey"),
        ('A\nB\n"{""ImportId"": ""QID99""}"\nx\n', "no column of survey"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    """With what is missing."""
    path = tmp_path / "x.csv"
    path.write_text(text)
    with pytest.raises(SurveyFileError, match=message):
        read_qualtrics_csv(path, IMPORTED)


@given(content=st.binary(max_size=200))
@settings(max_examples=60)
def test_any_bytes_after_the_headers_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    """Nothing but a typed error comes out."""
    path = written(tmp_path_factory.mktemp("q"), ADA)
    path.write_bytes(path.read_bytes() + content)
    try:
        found = read_qualtrics_csv(path, IMPORTED)
    except SurveyFileError:
        return
    assert found.records[0]["respondent"] == "R_1"
