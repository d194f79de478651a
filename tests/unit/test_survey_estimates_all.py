"""Every item of a survey estimated: weighted, rectified, from Python and from the command."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from usersim import Corpus
from usersim.cli.app import app
from usersim.errors import (
    ConfigError,
    EmptyCellError,
    EvaluationError,
    SurveyFileError,
    WeightingError,
)
from usersim.survey import (
    LikertScale,
    NumberQuestion,
    Survey,
    SurveyResponse,
    SurveyResults,
    YesNo,
    codes_of,
)
from usersim.survey.estimation import estimate_survey
from usersim.survey.files.results import write_answers

SURVEY = Survey(
    title="Tea",
    questions=(
        YesNo(id="tea", text="Tea?"),
        LikertScale(id="joy", text="Joy?", low="none", high="much", points=3),
        NumberQuestion(id="cups", text="Cups?", low=0, high=9),
    ),
)
PEOPLE = [f"p{n:02d}" for n in range(40)]
SEX = {person: {"sex": "f" if n % 4 else "m"} for n, person in enumerate(PEOPLE)}


def results() -> SurveyResults:
    """Men take tea, women do not; nobody was asked for cups."""
    responses = []
    for n, person in enumerate(PEOPLE):
        for question, value in (
            ("tea", "yes" if SEX[person]["sex"] == "m" else "no"),
            ("joy", SURVEY.question("joy").labels[n % 3]),
        ):
            responses.append(
                SurveyResponse(
                    respondent=person, question=question, value=value,
                    code=codes_of(SURVEY.question(question))[value], probabilities={value: 1.0},
                )
            )  # fmt: skip
        responses.append(SurveyResponse(respondent=person, question="cups", skipped="not asked"))
    return SurveyResults(survey=SURVEY, people=tuple(PEOPLE), responses=tuple(responses), seed=0)


def asked() -> list[dict[str, object]]:
    """What the first twenty really said: every second one takes tea."""
    return [{"respondent": p, "tea": "yes" if n % 2 else "no"} for n, p in enumerate(PEOPLE[:20])]


def test_items_are_weighted_rectified_or_left_out_with_a_reason() -> None:
    """Ten men become half, twenty real answers correct the simulation, cups have no answers."""
    found = estimate_survey(
        results(), attributes=SEX, margins={"sex": {"f": 0.5, "m": 0.5}}, human_sample=asked()
    )
    tea, joy = found.items
    assert [tea.item, joy.item] == ["tea", "joy"]
    assert tea.shares[1].value == pytest.approx(0.5)
    assert found.weighting.effective_n == pytest.approx(30)
    assert "nobody answered" in found.left_out["cups"]
    assert list(found.rectified) == ["tea"]
    rows = found.to_records()
    assert [(row["item"], row["figure"]) for row in rows][:3] == [
        ("tea", "no"), ("tea", "yes"), ("joy", "1"),
    ]  # fmt: skip
    assert rows[1]["humans"] == pytest.approx(1 / 3)  # ten women of fifteen people's weight
    assert rows[-1]["figure"] == "mean"
    assert rows[-1]["rectified"] is None
    plain = estimate_survey(results())
    assert plain.items[0].shares[1].value == pytest.approx(0.25)
    assert plain.weighting is None


def test_weights_are_no_misfit() -> None:
    """Humans who say what was simulated leave none, whatever the weights: both sides have them."""
    questions = tuple(YesNo(id=f"q{n}", text=f"{n}?") for n in range(7))
    survey = Survey(title="Seven", questions=questions)
    said = {p: "yes" if SEX[p]["sex"] == "m" else "no" for p in PEOPLE}
    responses = tuple(
        SurveyResponse(
            respondent=p, question=q.id, value=said[p], code=codes_of(q)[said[p]],
            probabilities={said[p]: 1.0},
        )
        for p in PEOPLE
        for q in questions
    )  # fmt: skip
    whole = SurveyResults(survey=survey, people=tuple(PEOPLE), responses=responses, seed=0)
    human = [{"respondent": p, **{q.id: said[p] for q in questions}} for p in PEOPLE]
    how = {"attributes": SEX, "margins": {"sex": {"f": 0.3, "m": 0.7}}, "human_sample": human}
    people, misfit = (
        estimate_survey(whole, **how, covers=covers).items[0].shares[1]
        for covers in ("people", "misfit")
    )
    assert people.value == misfit.value == pytest.approx(0.7)
    assert (misfit.low, misfit.high) == pytest.approx((people.low, people.high), abs=0.01)


def test_what_cannot_be_estimated_raises() -> None:
    """Margins nobody is in, intervals that need what is not there."""
    with pytest.raises(EmptyCellError, match="'x'"):
        estimate_survey(results(), attributes=SEX, margins={"sex": {"f": 0.5, "x": 0.5}})
    with pytest.raises(WeightingError, match=r"40 of 40.*'age'") as caught:
        estimate_survey(results(), attributes=SEX, margins={"age": {"young": 0.5, "old": 0.5}})
    assert "'sex'" in caught.value.hint
    with pytest.raises(EvaluationError, match="none of 3 items can be estimated"):
        estimate_survey(results(), covers="misfit")


def test_a_sample_of_other_people_stands_beside_and_rectifies_nothing() -> None:
    """Its shares are those of the sample, whatever the margins weight; a note says why."""
    strangers = [{"respondent": f"q{n}", "tea": "yes" if n < 15 else "no"} for n in range(20)]
    found = estimate_survey(
        results(), attributes=SEX, margins={"sex": {"f": 0.5, "m": 0.5}}, human_sample=strangers
    )
    rows = found.to_records()
    assert [(row["figure"], row["humans"], row["n_human"]) for row in rows][:2] == [
        ("no", pytest.approx(0.25), 20), ("yes", pytest.approx(0.75), 20),
    ]  # fmt: skip
    assert rows[0]["simulated"] == pytest.approx(0.5)
    assert not found.rectified
    assert "not rectified: no id of the human sample is among the simulated people" in str(found)


def run(*arguments: object) -> str:
    """Run the command; its errors are raised."""
    given = ["survey", "estimate", *map(str, arguments)]
    result = CliRunner().invoke(app, given, catch_exceptions=False, env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    return result.output


def test_the_command_prints_and_writes_the_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From files alone, the groups from the store; what does not belong together is refused."""
    monkeypatch.chdir(tmp_path)
    SURVEY.save("tea.json")
    write_answers(results(), "a.jsonl")
    Path("m.json").write_text('{"sex": {"f": 0.5, "m": 0.5}}', encoding="utf-8")
    Path("h.jsonl").write_text("\n".join(map(json.dumps, asked())), encoding="utf-8")
    with Corpus.open("people.db") as corpus:
        corpus.add(
            {"user_id": p, "context": "Cup?", "action": "Yes.", "metadata": SEX[p]}
            for p in PEOPLE
            for _ in range(2)
        )
    how = ("a.jsonl", "-i", "tea.json")
    assert "0.250 [" in run(*how)
    weighted = ("--margins", "m.json", "-c", "people.db")
    printed = run(*how, *weighted, "--human", "h.jsonl", "--out", "f.csv")
    assert "0.500 [" in printed
    assert "40 respondents weigh as much as 30" in printed
    assert "cups: nobody answered" in printed
    with Path("f.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[1]["item"] == "tea"
    assert float(rows[1]["simulated"]) == pytest.approx(0.5)
    assert float(rows[1]["rectified_low"]) < float(rows[1]["rectified"])
    with pytest.raises(ConfigError, match="must be used together"):
        run(*how, "--margins", "m.json")
    with pytest.raises(ConfigError, match="--most 2 trims the weights"):
        run(*how, "--most", 2)
    with pytest.raises(SurveyFileError, match=r"must end with one of \.csv"):
        run(*how, "--out", "f.parquet")
    Path("m.json").write_text('{"sex": [1]}', encoding="utf-8")
    with pytest.raises(ConfigError, match="cannot be read"):
        run(*how, *weighted)
