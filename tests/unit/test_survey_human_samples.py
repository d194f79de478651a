"""Human samples: labels before codes, missing values by name, columns that match nothing."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from usersim.cli.app import app
from usersim.cli.survey.weights import human_rows
from usersim.errors import EvaluationError, SurveyFileError
from usersim.survey import (
    LikertScale,
    MultipleChoice,
    NumberQuestion,
    Ranking,
    SingleChoice,
    Survey,
    SurveyResponse,
    SurveyResults,
    YesNo,
)
from usersim.survey.estimates import Item
from usersim.survey.files.results import write_answers
from usersim.survey.samples import human_table, read_human

SURVEY = Survey(
    title="T",
    questions=(
        SingleChoice(id="kids", text="Children?", options=("0", "1", "2", "3 or more")),
        LikertScale(id="trust", text="Trust?", points=tuple(map(str, range(11)))),
        LikertScale(id="nps", text="Recommend?", points=11, start=0, low="no", high="yes"),
        YesNo(id="tea", text="Tea?", refusal=("don't know",)),
        SingleChoice(id="town", text="Town?", options=("small", "R&D\u00a0city")),
        MultipleChoice(id="own", text="Own?", options=("car", "bike")),
        NumberQuestion(id="age", text="Age?", low=0, high=120, refusal=("no answer",)),
        Ranking(id="rank", text="Rank", options=("north", "south")),
    ),
)


def given(column: str, *values: object, missing: tuple[object, ...] = ()) -> list[object]:
    """What is read of one column: labels, or numbers; None for no answer."""
    rows = [{"respondent": f"p{n}", column: value} for n, value in enumerate(values)]
    rows.append({"respondent": "last", "kids": "1", "nps": 3})
    table = human_table(SURVEY, rows, missing=missing)
    place = [item.key for item in table.items].index(column)
    item: Item = table.items[place]
    told = table.values[0, : len(values), place]
    return [
        None if math.isnan(one) else item.options[int(one)] if item.options else float(one)
        for one in told
    ]


@pytest.mark.parametrize(
    ("column", "value", "label"),
    [
        ("kids", 1, "1"), ("kids", "1", "1"), ("kids", "1.0", "1"), ("kids", 1.0, "1"),
        ("kids", 0, "0"), ("kids", np.int64(2), "2"), ("kids", "3 OR MORE", "3 or more"),
        ("trust", 7, "7"), ("trust", "10.0", "10"), ("nps", 0, "0"), ("nps", "7", "7"),
        ("tea", 1, "yes"), ("tea", 0, "no"), ("tea", "true", "yes"), ("tea", False, "no"),
        ("tea", "Yes ", "yes"), ("tea", -1, None), ("tea", "don't know", None),
        ("town", 2, "R&D\u00a0city"), ("town", "R&amp;D city", "R&D\u00a0city"),
        ("own_1", "yes", "yes"), ("own_1", 1, "yes"), ("own_1", "0", "no"), ("own_2", True, "yes"),
        ("age", "42", 42.0), ("age", -1, None),
        ("age", "no answer", None), ("age", "", None), ("age", math.nan, None),
        ("rank_1", "2", 2.0),
    ],
)  # fmt: skip
def test_a_label_wins_over_a_code_and_numbers_are_one_however_written(
    column: str, value: object, label: object
) -> None:
    """Codes count where labels are no numbers; refusals and blanks are no answers."""
    assert given(column, value) == [label]


@pytest.mark.parametrize(
    ("column", "value"),
    [("kids", 7), ("trust", "11"), ("age", 130), ("age", "inf"), ("rank_1", 3), ("town", "large")],
)
def test_what_is_out_of_range_is_an_error_that_says_how_to_name_it_missing(
    column: str, value: object
) -> None:
    """Or no answer at all, where the value is listed as missing."""
    with pytest.raises(
        EvaluationError, match=f"is not a valid answer to '{column.partition('_')[0]}'"
    ) as e:
        given(column, value)
    assert "missing" in e.value.hint
    assert given(column, value, missing=(value,)) == [None]


def test_a_code_that_is_another_options_label_is_an_error() -> None:
    """The instrument's own codes say that 1 is `2`: nobody can tell."""
    question = SingleChoice(id="q", text="?", options=("1", "2"), codes={"1": 2, "2": 1})
    survey = Survey(title="T", questions=(question,))
    with pytest.raises(EvaluationError, match="ambiguous"):
        human_table(survey, [{"respondent": "a", "q": 1}])


def test_columns_that_match_nothing_are_named_and_the_others_counted() -> None:
    """A misspelled column does not vanish."""
    found = read_human(
        SURVEY,
        [{"user_id": "a", "TEA": "yes", " tea ": "yes", "agee": 3, "nps": "-99"}],
        missing=[-99],
    )
    assert found.matched == ("nps", "tea")
    assert found.unmatched == ("TEA", "agee")
    assert "age" in found.absent
    assert found.missing == 1
    assert str(found) == (
        "human sample: 1 people, 2 of 10 columns of the survey, 1 cells marked as missing\n"
        "not in the survey, and not used: TEA, agee"
    )
    with pytest.raises(EvaluationError, match=r"\['respondent', 'teaa'\]"):
        read_human(SURVEY, [{"respondent": "a", "teaa": "yes"}])
    with pytest.raises(EvaluationError, match="row 1 of the human sample has respondent None"):
        read_human(SURVEY, [{"person": "a", "tea": "yes"}])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("respondent,tea,tea\na,yes,no\n", "duplicate columns: .*'tea'"),
        ("respondent,tea\na\n", "row 2 .* has 1 cell,"),
        ('respondent,tea\na,"yes\n', "cannot be read"),
        ("", "no header"),
    ],
)
def test_a_human_sample_that_cannot_be_read_says_why(
    tmp_path: Path, content: str, message: str
) -> None:
    """By row or column."""
    path = tmp_path / "h.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(SurveyFileError, match=message):
        human_rows(path)


def simulated(folder: Path) -> None:
    """Twenty simulated people and an instrument."""
    SURVEY.save(folder / "s.json")
    responses = tuple(
        SurveyResponse(respondent=f"p{n:02d}", question="tea", value="yes" if n % 2 else "no")
        for n in range(20)
    )
    people = tuple(one.respondent for one in responses)
    results = SurveyResults(survey=SURVEY, people=people, responses=responses, seed=0)
    write_answers(results, folder / "a.jsonl")


def test_the_command_shows_human_shares_beside_simulated_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too few to rectify, they stand there all the same, with what was not used."""
    monkeypatch.chdir(tmp_path)
    simulated(tmp_path)
    lines = [f"p{n:02d};{'yes' if n else '-99'};{n}" for n in range(5)]
    Path("h.csv").write_text("respondent;tea;agee\n" + "\n".join(lines), encoding="utf-8")
    told = ["survey", "estimate", "a.jsonl", "-i", "s.json", "--human", "h.csv", "--missing", "-99"]
    found = CliRunner().invoke(app, told, catch_exceptions=False, env={"COLUMNS": "160"})
    assert found.exit_code == 0, found.output
    assert re.search(r"^tea +Tea\? +", found.output, re.MULTILINE)
    assert "1.000 [0.398, 1.000]" in found.output
    assert "nan" not in found.output
    assert "human sample: 5 people, 1 of 10 columns of the survey, 1 cells" in found.output
    assert "not in the survey, and not used: agee" in found.output
    assert "not rectified" in found.output


def test_the_report_says_what_of_the_human_sample_was_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the page and in the terminal."""
    monkeypatch.chdir(tmp_path)
    simulated(tmp_path)
    rows = [
        {"respondent": f"h{n}", "tea": n % 2, "town": "x" if n < 0 else "small"} for n in range(9)
    ]
    Path("h.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    told = ["survey", "report", "a.jsonl", "-i", "s.json", "--human", "h.jsonl", "--out", "r.html"]
    found = CliRunner().invoke(app, told, catch_exceptions=False)
    assert "human sample: 9 people, 2 of 10 columns" in found.output
    page = Path("r.html").read_text(encoding="utf-8")
    assert "2 of 10 columns" in page
    assert not re.search(r"\bnan\b", page)
