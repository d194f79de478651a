"""Predictions as callers meet them: pooled answers, calibration, what is chosen and told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.fixtures.people import engine
from usersim import Corpus, UserSimulator
from usersim.cli.app import app
from usersim.config import HistoryConfig, PipelineConfig, PredictionConfig, SimulationConfig
from usersim.errors import ArgumentError, ConfigError, EvaluationError
from usersim.prediction import Observation
from usersim.simulator.calibrating import ObservedAnswer, calibrate

LEVELS = ["never", "sometimes", "always"]
CONFIG = PipelineConfig(
    history=HistoryConfig(recent=1, evidence=2), simulation=SimulationConfig(traces=1, redraws=0)
)
NO_MODEL = CONFIG.model_copy(
    update={"prediction": PredictionConfig(predictors=("panel", "others", "own_scale"))}
)


def survey(people: int, questions: int = 6, seed: int = 0) -> list[dict[str, object]]:
    """Return answers of people who each have one inclination that shows in every answer."""
    random = np.random.default_rng(seed)
    rows: list[dict[str, object]] = []
    for person in range(people):
        inclination = random.normal()
        for question in range(questions):
            felt = inclination + 0.6 * random.normal()
            level = int(felt > -0.5) + int(felt > 0.5)
            rows.append(
                {
                    "user_id": f"p{person:03}",
                    "order": question,
                    "context": f"How often do you do thing {question}?",
                    "action": LEVELS[level],
                    "action_type": "scale",
                    "options": LEVELS,
                }
            )
    return rows


@pytest.fixture
def sim(tmp_path: Path) -> Iterator[UserSimulator]:
    """Eighty people in a store, with predictors that need no model."""
    with UserSimulator.from_corpus(
        survey(80), store=tmp_path / "s.db", engine=engine(), config=NO_MODEL, progress=False
    ) as made:
        yield made


def test_a_closed_answer_is_pooled_and_says_where_it_comes_from(sim: UserSimulator) -> None:
    """Shares add up to one, and the trace says that nothing was calibrated yet."""
    answer = sim.respond(
        "How often do you do thing 0?", user_id="p000", options=LEVELS, kind="scale"
    )
    trace = answer.trace
    assert {one.predictor for one in trace.predictors} <= {"panel", "others", "own_scale"}
    assert sum(one.share for one in trace.predictors) == pytest.approx(1)
    assert sum(answer.probabilities.values()) == pytest.approx(1)
    assert not trace.calibrated
    assert "not calibrated" in trace.origin
    assert "the reasoning was not used" in trace.origin


def test_calibration_is_kept_used_and_measured_on_other_people(sim: UserSimulator) -> None:
    """The fitted pool answers from then on, also after the store is opened again."""
    found = sim.calibrate(answers=80, progress=False)
    assert found.evaluation.n_users > 20
    scores = {
        name: found.evaluation.estimate(name, "log_score").interval.value  # pyright: ignore[reportOptionalMemberAccess]
        for name in ("others", "panel", "the pool")
    }
    assert scores["the pool"] > scores["others"]
    rows = found.reliability().rows
    assert sum(int(str(row[-1])) for row in rows if row[-1] != "–") == len(
        found.evaluation.interactions
    )
    ask = {"user_id": "p000", "options": LEVELS, "kind": "scale", "seed": 1}
    answer = sim.respond("How often do you do thing 0?", **ask)  # pyright: ignore[reportArgumentType]
    assert answer.trace.calibrated
    with UserSimulator.open(sim.corpus.name, engine=engine(), config=NO_MODEL) as again:
        second = again.respond("How often do you do thing 0?", **ask)  # pyright: ignore[reportArgumentType]
    assert second.trace.calibrated
    assert second.probabilities == answer.probabilities


def test_forgetting_anybody_forgets_the_calibration(sim: UserSimulator) -> None:
    """Weights were fitted on everybody's answers: they go with each of them."""
    sim.calibrate(answers=40, progress=False)
    sim.corpus.forget("p001")
    with UserSimulator.open(sim.corpus.name, engine=engine(), config=NO_MODEL) as again:
        answer = again.respond("Thing?", user_id="p000", options=LEVELS, kind="scale")
    assert not answer.trace.calibrated


def test_predictors_are_chosen_by_name(sim: UserSimulator) -> None:
    """Only the named ones speak; an unknown one is an error that lists them."""
    context = "How often do you do thing 1?"
    ask = {"user_id": "p000", "options": LEVELS, "kind": "scale"}
    only = sim.respond(context, predictors=["others"], **ask)  # pyright: ignore[reportArgumentType]
    assert [one.predictor for one in only.trace.predictors] == ["others"]
    with pytest.raises(ArgumentError, match="predictors must be a list of names"):
        sim.respond(context, predictors=["crowd"], **ask)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ArgumentError, match="predictors must be a list of names"):
        sim.respond(context, predictors=[], **ask)  # pyright: ignore[reportArgumentType]


def test_one_person_with_open_answers_alone_cannot_be_calibrated() -> None:
    """It is said that there is no closed answer."""
    rows = [{"user_id": "ada", "context": f"Why {n}?", "action": "So."} for n in range(4)]
    with (
        UserSimulator.from_corpus(rows, engine=engine(), config=NO_MODEL, progress=False) as sim,
        pytest.raises(EvaluationError, match="no closed answers to calibrate on"),
    ):
        sim.calibrate(progress=False)


def test_the_command_prints_weights_and_reliability(tmp_path: Path) -> None:
    """`usersim calibrate` shows every predictor, the pool, and how often it is right."""
    store = tmp_path / "s.db"
    with Corpus.open(store) as corpus:
        corpus.add(survey(40))
    printed = CliRunner().invoke(
        app, ["calibrate", "-c", str(store), "--answers", "20", "--engine", "scripted"]
    )
    assert printed.exit_code == 0, printed.output
    parts = ("Chance", "panel", "the pool", "Reliability", "use these weights from now on")
    for part in (*parts, "the reasoning added"):
        assert part in printed.output
    said = " ".join(printed.output.split())
    assert re.search(r"weights of scale questions that many others answered \(\d+ answers\):", said)
    assert "weights of scale questions that nobody else answered" in said
    assert "_" not in said.replace(str(store), "")


def test_what_predictors_add_is_measured_against_a_pool_without_them(sim: UserSimulator) -> None:
    """Predictors that were not asked leave no row; a pool without a good one is worse."""
    found = sim.calibrate(answers=80, progress=False)
    assert found.added() == ()
    assert "the pool without reasoning" not in found.evaluation.arms
    observed = [
        ObservedAnswer(
            one,
            Observation(
                person=one.user_id,
                group="scale, known",
                predictors={
                    "others": dict.fromkeys(LEVELS, 1 / 3),
                    "reasoning": {o: 0.8 if o == one.action else 0.1 for o in LEVELS},
                    "no_reasoning": dict.fromkeys(LEVELS, 1 / 3),
                },
                truth=str(one.action),
            ),
        )
        for one in found.evaluation.interactions
    ]
    told = calibrate(observed, [], simulator="m", seed=0).added()
    assert len(told) == 2
    assert all(one.endswith("a gain.") for one in told)
    assert "80 answers" in told[0]


def test_a_question_that_no_named_predictor_can_answer_fails_alone(sim: UserSimulator) -> None:
    """Others of the batch are answered, and what failed names person, reason and next step."""
    ask = {"user_id": "p000", "predictors": ["panel"]}
    known, new = "How often do you do thing 1?", "How often do you do a new thing?"
    found = sim.respond_many([new, known], options=[LEVELS] * 2, kind=["scale"] * 2, **ask)  # pyright: ignore[reportArgumentType]
    assert found.items[0] is None
    assert found.items[1] is not None
    (failure,) = found.failures
    assert (failure.index, failure.item) == (0, "p000")
    assert "nobody else answered it" in failure.message
    with pytest.raises(ConfigError, match="nobody else answered it") as raised:
        sim.respond(new, options=LEVELS, kind="scale", **ask)  # pyright: ignore[reportArgumentType]
    assert "'no_reasoning'" in str(raised.value.hint)


def test_reasoning_that_cannot_be_read_leaves_the_model_without_it() -> None:
    """Asked for reasoning alone, the model answers without, and the answer says so."""
    with UserSimulator.from_corpus(
        survey(3),
        engine=engine(reasoning=lambda *_: ""),
        config=CONFIG,
        progress=False,
    ) as sim:
        answer = sim.respond(
            "A new thing?", user_id="p000", options=LEVELS, kind="scale", predictors=["reasoning"]
        )
    assert [one.predictor for one in answer.trace.predictors] == ["no_reasoning"]
    assert "without reasoning" in answer.trace.origin
