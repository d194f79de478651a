"""One survey to people and to their simulation: the fit, who answered, and the pool from both."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.fixtures.people import engine
from usersim import UserSimulator
from usersim.cli.app import app
from usersim.config import HistoryConfig, PipelineConfig, PredictionConfig, SimulationConfig
from usersim.errors import EvaluationError
from usersim.simulator import calibrate_on_survey
from usersim.survey import (
    Budget,
    LikertScale,
    MultipleChoice,
    NumberQuestion,
    OpenText,
    Ranking,
    SingleChoice,
    Survey,
    SurveyResponse,
    SurveyResults,
    YesNo,
    compare_survey,
)
from usersim.survey.estimates import survey_fit
from usersim.survey.files.results import write_answers
from usersim.survey.samples import read_human

LEVELS = ("never", "sometimes", "always")
CONFIG = PipelineConfig(
    history=HistoryConfig(recent=1, evidence=2),
    simulation=SimulationConfig(traces=1, redraws=0),
    prediction=PredictionConfig(predictors=("no_reasoning", "own_scale")),
)
ASKED = Survey(
    title="Things",
    questions=(
        *(
            LikertScale(id=f"thing{n}", text=f"How often do you do thing {n}?", points=LEVELS)
            for n in range(6, 9)
        ),
        YesNo(id="again", text="Will you go on?", show_if='thing6 != "never"'),
        NumberQuestion(id="age", text="Age?"),
    ),
)  # fmt: skip


def people(n: int = 60, seed: int = 0) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """Rows of a store, and what the same people answer to the survey: one inclination shows."""
    random = np.random.default_rng(seed)
    rows: list[dict[str, object]] = []
    human: list[dict[str, object]] = []
    for person in range(n):
        inclination = random.normal()

        def level(inclination: float = inclination) -> int:
            felt = inclination + 0.6 * random.normal()
            return int(felt > -0.5) + int(felt > 0.5)

        for question in range(6):
            own_row: dict[str, object] = {"user_id": f"p{person:03}", "order": question}
            own_row |= {"action": LEVELS[level()], "action_type": "scale", "options": list(LEVELS)}
            own_row["context"] = f"How often do you do thing {question}?"
            own_row["metadata"] = {"town": "north" if person % 2 else "south"}
            rows.append(own_row)
        own: dict[str, object] = {"respondent": f"p{person:03}", "age": 20 + person}
        own |= {f"thing{n}": LEVELS[level()] for n in range(6, 9)}
        own["again"] = "" if own["thing6"] == "never" else ("yes" if level() else "no")
        human.append(own)
    return rows, human


def simulated(human: list[dict[str, object]], *, flip: float, seed: int = 1) -> SurveyResults:
    """Answers like the human ones, of which a share is drawn anew."""
    random = np.random.default_rng(seed)
    found: list[SurveyResponse] = []
    for row in human:
        for question in ASKED.all_questions:
            value = row[question.id]
            if question.type == "likert" and random.random() < flip:
                value = LEVELS[int(random.integers(3))]
            if value == "":
                told: Mapping[str, object] = {"skipped": "show_if is false"}
            else:
                told = {"value": value}
            found.append(
                SurveyResponse(respondent=str(row["respondent"]), question=question.id, **told)
            )
    return SurveyResults(
        survey=ASKED,
        people=tuple(str(row["respondent"]) for row in human),
        responses=tuple(found),
        seed=0,
        provenance={"engine": "toy", "adapter": "ada", "adapter digest": "0123456789abcdef",
                    "predictors": ["panel", "reasoning"]},
    )  # fmt: skip


def test_the_comparison_is_that_of_the_fit_with_everything_named() -> None:
    """Its figures are those of `survey_fit`; n, who answered and what is missing stand beside."""
    _, human = people()
    results = simulated(human, flip=0.5)
    groups = {str(row["respondent"]): {"half": str(place % 2)} for place, row in enumerate(human)}
    found = compare_survey(results, human, groups=groups)
    again = survey_fit(found.human.table, found.simulated)
    assert str(found.fit.items) == str(again.items)  # a figure that is not defined equals none
    told = found.to_dict()
    assert [row["item"] for row in told["items"]] == ["thing6", "thing7", "thing8", "again"]
    for row, one in zip(told["items"], found.fit.items, strict=True):
        assert row["total_variation"] == one.distances.total_variation
        assert row["total_variation_low"] <= row["total_variation"] <= row["total_variation_high"]
        assert (row["wasserstein"] is None) is not one.item.ordered
        assert row["n_simulated"] == row["n_human"]
    assert told["n_shared"] == told["n_human"] == 60
    assert [one["category"] for one in told["groups"]] == ["0", "1"]
    assert told["answered_by"] == [
        "engine toy, adapter ada 0123456789ab, predictors panel + reasoning"
    ]
    assert told["left_out"] == {
        "age": "not compared: a number; `usersim survey estimate --human` shows both means"
    }
    said = str(found)
    for part in ("thing6", "between halves of the humans", "answered by: engine toy", "half 0",
                 "correlations of 6 pairs", "60 of them among the humans"):  # fmt: skip
        assert part in said
    json.dumps(told)


def test_equal_answers_fit_perfectly_and_worse_ones_worse() -> None:
    """No distance where every answer is the same; with each share of noise more of it."""
    _, human = people()
    values = [
        compare_survey(simulated(human, flip=flip), human).fit.total_variation.value
        for flip in (0.0, 0.5, 1.0)
    ]
    assert values[0] == 0.0
    assert values[0] < values[1] < values[2]


def test_who_answered_survives_the_file(tmp_path: Path) -> None:
    """`survey run --out` writes it in each row, and it is read back."""
    from usersim.survey.files import read_answers

    _, human = people(6)
    results = simulated(human, flip=0.0)
    write_answers(results, tmp_path / "a.jsonl")
    back = read_answers(tmp_path / "a.jsonl", ASKED)
    assert back.answered_by == results.answered_by
    assert "predictors panel + reasoning" in back.answered_by


@pytest.fixture(scope="module")
def asked() -> Iterator[tuple[UserSimulator, list[dict[str, object]]]]:
    """People in a store, a model that knows nothing of them, and their answers to the survey."""
    rows, human = people()
    with UserSimulator.from_corpus(rows, engine=engine(), config=CONFIG, progress=False) as sim:
        yield sim, human


def test_the_pool_is_fitted_on_human_answers_and_measured_on_others(
    asked: tuple[UserSimulator, list[dict[str, object]]],
) -> None:
    """Closed answers alone, as they were asked; each person by weights of the other people."""
    sim, human = asked
    stranger = {"respondent": "nobody", "thing6": "never"}
    sample = read_human(ASKED, [*human, stranger])
    found = calibrate_on_survey(sim.respondents(), ASKED, sample, progress=False)
    went_on = sum(row["again"] != "" for row in human)
    assert found.people == 60
    assert found.answers == 3 * 60 + went_on
    assert (found.known, found.unknown) == (0, 1)
    texts = {one.context[-1].content for one in found.calibration.evaluation.interactions}
    assert texts == {one.text for one in ASKED.all_questions if one.id != "age"}
    folds = {one.user_id for one in found.calibration.evaluation.interactions}
    assert len(folds) == 60
    told = found.to_dict()
    assert told["log_score"]["the pool"] > told["log_score"]["the pool, not calibrated"]
    json.dumps(told)
    assert "weights that were fitted on the others" in str(found)
    assert sim.respond(
        "How often do you do thing 6?", user_id="p000", options=list(LEVELS), kind="scale"
    ).trace.calibrated


def test_an_answer_that_the_store_already_has_is_left_out(
    asked: tuple[UserSimulator, list[dict[str, object]]],
) -> None:
    """It would stand in the prompt that predicts it."""
    sim, _ = asked
    known = Survey(
        title="Known",
        questions=(
            LikertScale(id="old", text="How often do you do thing 0?", points=LEVELS),
            LikertScale(id="new", text="How often do you do thing 9?", points=LEVELS),
        ),
    )
    rows = [{"respondent": f"p{n:03}", "old": "never", "new": LEVELS[n % 3]} for n in range(20)]
    found = calibrate_on_survey(sim.respondents(), known, read_human(known, rows), progress=False)
    assert (found.known, found.answers) == (20, 20)
    assert "20 answers to questions that the store has" in str(found)


def test_too_few_people_are_refused(
    asked: tuple[UserSimulator, list[dict[str, object]]],
) -> None:
    """With four people there is nobody left to measure on; strangers do not count."""
    sim, human = asked
    sample = read_human(ASKED, [*human[:4], {"respondent": "nobody", "thing6": "never"}])
    with pytest.raises(EvaluationError, match="4 of 5"):
        calibrate_on_survey(sim.respondents(), ASKED, sample, progress=False)


def test_every_type_of_question_can_stand_in_a_calibration(
    asked: tuple[UserSimulator, list[dict[str, object]]],
) -> None:
    """Choices, ticks and scales are calibrated on; ranks, amounts, numbers and texts are not."""
    sim, _ = asked
    survey = Survey(
        title="All",
        questions=(
            SingleChoice(id="one", text="Which?", options=("a", "b"), refusal=("no idea",)),
            MultipleChoice(id="some", text="Some?", options=("a", "b"), refusal=("no idea",)),
            Ranking(id="rank", text="Rank {{ one }}", options=("a", "b")),
            Budget(id="sum", text="Spend", options=("a", "b"), refusal=("no idea",)),
            OpenText(id="why", text="Why {{ rank }}?"),
            YesNo(id="yes", text="After {{ sum }}?"),
        ),
    )
    row = {"one": "a", "some_1": "yes", "some_2": "no", "rank_1": 2, "rank_2": 1, "sum_1": 30,
           "sum_2": 70, "yes": "yes"}  # fmt: skip
    rows = [{"respondent": f"p{n:03}", **row} for n in range(10)]
    rows[0]["one"] = "no idea"
    found = calibrate_on_survey(sim.respondents(), survey, read_human(survey, rows), progress=False)
    spaces = [one.context[-1].content for one in found.calibration.evaluation.interactions]
    # Whose text needs an answer that was refused is asked less; of ticks each option is asked.
    assert found.answers == 9 + 20 + 10
    assert any("After a: 30; b: 70?" in text for text in spaces)


def test_compare_prints_the_fit_and_writes_a_report(tmp_path: Path) -> None:
    """From files: the table, JSON, a page; --calibrate without a store is refused."""
    _, human = people(30)
    write_answers(simulated(human, flip=0.5), tmp_path / "answers.jsonl")
    ASKED.save(tmp_path / "things.json")
    folder = tmp_path / "saved"
    folder.mkdir()
    for place, row in enumerate(human):
        lines = [",".join(row), ",".join(str(value) for value in row.values())]
        (folder / f"{place}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    told = ["survey", "compare", str(tmp_path / "answers.jsonl")]
    told += ["-i", str(tmp_path / "things.json"), "--human", str(folder)]
    out = CliRunner().invoke(app, [*told, "--out", str(tmp_path / "r" / "fit.html")])
    assert out.exit_code == 0, out.output
    for part in (
        "thing6",
        "30 simulated respondents",
        "answered by: engine toy",
        "human sample: 30",
    ):
        assert part in out.stdout
    page = (tmp_path / "r" / "fit.html").read_text(encoding="utf-8")
    assert "engine toy, adapter ada" in page
    found = json.loads(CliRunner().invoke(app, [*told, "--json"]).stdout)
    assert found["n_human"] == 30
    refused = CliRunner().invoke(app, [*told, "--calibrate"])
    assert "--calibrate needs --corpus" in str(refused.exception)
    wrong = CliRunner().invoke(app, [*told, "--out", str(tmp_path / "fit.txt")])
    assert "fit.txt' must end with .html" in str(wrong.exception)
    (tmp_path / "empty").mkdir()
    none = CliRunner().invoke(app, [*told[:-1], str(tmp_path / "empty")])
    assert "has no .csv or .jsonl file" in str(none.exception)


def test_compare_calibrates_the_weights_of_a_store(tmp_path: Path) -> None:
    """Before and after, on people left out, as JSON; nothing else is printed there."""
    rows, human = people(6)
    store = str(tmp_path / "people.usersim.db")
    UserSimulator.from_corpus(rows, store=store, engine=engine(), progress=False).close()
    write_answers(simulated(human, flip=0.5), tmp_path / "answers.jsonl")
    ASKED.save(tmp_path / "things.json")
    (tmp_path / "human.jsonl").write_text("\n".join(map(json.dumps, human)), encoding="utf-8")
    told = ["survey", "compare", str(tmp_path / "answers.jsonl")]
    told += ["-i", str(tmp_path / "things.json"), "--human", str(tmp_path / "human.jsonl")]
    told += ["-c", store, "--calibrate", "--engine", "scripted", "--json"]
    out = CliRunner().invoke(app, told)
    assert out.exit_code == 0, out.output
    found = json.loads(out.stdout)
    assert {one["attribute"] for one in found["groups"]} <= {"town"}
    assert found["calibration"]["people"] == 6
    assert found["calibration"]["weights"]
    assert found["calibration"]["before"]["items"]
