"""Numbers and multiple choices of whole corpora: pooled, calibrated, surveyed, exported."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.fixtures.people import engine
from usersim import UserSimulator
from usersim.config import HistoryConfig, PipelineConfig, PredictionConfig, SimulationConfig
from usersim.survey import NumberQuestion, Survey

LEVELS = ["never", "sometimes", "always"]
SPORTS = ["chess", "running", "swimming"]
HOURS, SPORT = "How many hours a week do you move?", "Which of these do you do?"
CONFIG = PipelineConfig(
    history=HistoryConfig(recent=1, evidence=2),
    simulation=SimulationConfig(traces=1, redraws=0),
    prediction=PredictionConfig(predictors=("panel", "others", "own_scale")),
)
TEST = 60
"""People whose number and multiple choice are not in the store."""


def people(n: int, *, signal: float, seed: int = 0) -> list[dict[str, object]]:
    """Return people whose inclination shows in scales, and as planted in the other answers.

    Args:
        n: How many.
        signal: How much of a number and of a multiple choice is the inclination; 0: nothing.
        seed: Of everything.
    """
    random = np.random.default_rng(seed)
    rows: list[dict[str, object]] = []
    for person in range(n):
        inclination = random.normal()
        own = {"user_id": f"p{person:03}"}
        for question in range(6):
            felt = inclination + 0.6 * random.normal()
            rows.append(
                own
                | {
                    "order": question and question + 2,  # the last of eight are held out
                    "context": f"How often do you do thing {question}?",
                    "action": LEVELS[int(felt > -0.5) + int(felt > 0.5)],
                    "action_type": "scale",
                    "options": LEVELS,
                }
            )
        moved, leaning = signal * inclination + (1 - signal) * random.normal(size=2)
        hours = max(round(8 + 4 * moved + random.normal()), 0)
        rows.append(own | {"order": 1, "context": HOURS, "action": hours, "action_type": "number"})
        odds = 2.0 * leaning * np.array([-1.0, 1.0, 1.0]) + np.array([0.0, 0.0, -1.0])
        chosen = random.random(3) < 1 / (1 + np.exp(-odds))
        rows.append(
            own
            | {
                "order": 2,
                "context": SPORT,
                "action": [s for s, yes in zip(SPORTS, chosen, strict=True) if yes],
                "action_type": "multi_choice",
                "options": SPORTS,
            }
        )
    return rows


def split(
    rows: list[dict[str, object]],
) -> tuple[list[dict[str, object]], dict[tuple[str, str], object]]:
    """Return what is loaded, and the planted answers of the first people, which are not."""
    left_out = {f"p{i:03}" for i in range(TEST)}
    kept, truth = [], {}
    for row in rows:
        if row["user_id"] in left_out and row["context"] in (HOURS, SPORT):
            truth[str(row["user_id"]), str(row["context"])] = row["action"]
        else:
            kept.append(row)
    return kept, truth


@pytest.fixture(scope="module", params=[1.0, 0.0], ids=["planted", "unrelated"])
def measured(request: pytest.FixtureRequest) -> dict[str, float]:
    """What the pool gains over the others' answers, on people whose answers were kept back."""
    kept, truth = split(people(300, signal=request.param))
    gains: dict[str, list[float]] = {"number": [], "error": [], "multi_choice": []}
    with UserSimulator.from_corpus(
        kept, engine=engine(action="42"), config=CONFIG, progress=False
    ) as sim:
        for (person, context), action in truth.items():
            kind = "number" if context == HOURS else "multi_choice"
            options = SPORTS if kind == "multi_choice" else None
            answer = sim.respond(context, user_id=person, kind=kind, options=options)
            others = next(s for s in answer.trace.predictors if s.predictor == "others")
            if kind == "number":
                names = list(answer.probabilities)
                place = int(np.argmin([abs(float(name) - action) for name in names]))
                pooled, marginal = (
                    float(np.log(p[names[place]]))
                    for p in (answer.probabilities, others.probabilities)
                )
                gains["number"].append(pooled - marginal)
                sums = np.cumsum(list(others.probabilities.values()))
                median = float(names[int(np.searchsorted(sums, 0.5))])
                gains["error"].append(abs(median - action) - abs(answer.action - action))
            else:
                for option in SPORTS:
                    yes = option in action
                    pooled, marginal = (
                        float(np.log(p[option] if yes else 1 - p[option]))
                        for p in (answer.probabilities, others.probabilities)
                    )
                    gains["multi_choice"].append(pooled - marginal)
    return {"signal": request.param, **{name: float(np.mean(g)) for name, g in gains.items()}}


def test_the_pool_finds_what_was_planted_and_loses_nothing_where_nothing_was(
    measured: dict[str, float],
) -> None:
    """Log score of numbers and options, and the error of the number, against the marginal."""
    least = {"number": 0.1, "error": 0.3, "multi_choice": 0.05}
    for name, gain in least.items():
        assert measured[name] > (gain if measured["signal"] else -0.02), (name, measured)


@pytest.fixture
def sim(tmp_path: Path) -> Iterator[UserSimulator]:
    """A hundred people with planted answers."""
    with UserSimulator.from_corpus(
        people(100, signal=1.0),
        store=tmp_path / "s.db",
        engine=engine(action="42"),
        config=CONFIG,
        progress=False,
    ) as made:
        yield made


def test_calibration_fits_weights_of_numbers_and_multiple_choices(sim: UserSimulator) -> None:
    """Both kinds get weights of their own, measured as scales of ranges and as yes or no."""
    found = sim.calibrate(answers=500, progress=False)
    groups = found.pool.groups
    assert groups["number, known"].answers == 100
    assert groups["multi_choice, known"].answers == 3 * 100
    scores = {
        name: found.evaluation.estimate(name, "log_score").interval.value  # pyright: ignore[reportOptionalMemberAccess]
        for name in ("others", "the pool")
    }
    assert scores["the pool"] > scores["others"]
    answer = sim.respond(HOURS, user_id="p000", kind="number")
    assert answer.trace.calibrated
    assert {s.predictor for s in answer.trace.predictors} == {"panel", "others"}
    assert "of these options" not in answer.trace.origin


def test_calibration_counts_what_the_simulator_draws(tmp_path: Path) -> None:
    """With a model among the predictors its draws are counted, and its weight is fitted."""
    config = CONFIG.model_copy(
        update={"prediction": PredictionConfig(predictors=("panel", "reasoning"))}
    )
    with UserSimulator.from_corpus(
        people(30, signal=1.0), engine=engine(action="7"), config=config, progress=False
    ) as sim:
        found = sim.calibrate(answers=150, progress=False)
        answer = sim.respond(HOURS, user_id="p000", kind="number")
    assert found.failures == ()
    assert set(found.pool.groups["number, known"].weights) == {"panel", "reasoning"}
    said = {s.predictor: s.probabilities for s in answer.trace.predictors}
    assert max(said["reasoning"].values()) > 0.5


def test_a_question_that_nobody_else_answered_is_left_to_the_simulator(
    sim: UserSimulator,
) -> None:
    """No panel, no pool: the simulator's own number, as before."""
    answer = sim.respond("How many cups a day?", user_id="p000", kind="number")
    assert answer.action == 42.0
    assert answer.trace.predictors == ()


def test_a_survey_draws_numbers_from_the_pool(sim: UserSimulator) -> None:
    """Numbers of a simulated population spread as the others' do, and go with the person."""
    survey = Survey(title="Sport", questions=(NumberQuestion(id="hours", text=HOURS),))
    found = sim.survey(survey, progress=False)
    values = [float(one.value) for one in found.responses if one.question == "hours"]
    assert len(set(values)) > 3
    assert all(one.probabilities for one in found.responses)


def test_a_run_exports_the_probabilities(sim: UserSimulator, tmp_path: Path) -> None:
    """Rows of a run hold the ranges of a number in order, and each option's own probability."""
    rows = [
        {"user_id": "p001", "context": HOURS, "action_type": "number"},
        {"user_id": "p001", "context": SPORT, "action_type": "multi_choice", "options": SPORTS},
    ]
    run = sim.run(rows, progress=False)
    path = tmp_path / "run.jsonl"
    run.write(path)
    first, second = (json.loads(line) for line in path.read_text().splitlines())
    assert list(map(float, first["probabilities"])) == sorted(map(float, first["probabilities"]))
    assert list(second["probabilities"]) == SPORTS
    assert sum(first["probabilities"].values()) == pytest.approx(1)
