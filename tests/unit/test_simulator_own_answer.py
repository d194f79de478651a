"""A question that the person answered before: the answer on record counts, and is named."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

import pytest

from tests.fixtures.people import engine
from tests.unit.test_simulator_counted import HOURS, LEVELS, SPORT, SPORTS, people
from usersim import Answer, Question, UserSimulator
from usersim.config import HistoryConfig, PipelineConfig, PredictionConfig, SimulationConfig
from usersim.prediction import Pool, PoolWeights
from usersim.types import Predictor

WITHOUT: tuple[Predictor, ...] = ("panel", "others", "own_scale")
CONFIG = PipelineConfig(
    history=HistoryConfig(recent=1, evidence=2),
    simulation=SimulationConfig(traces=1, redraws=0),
    prediction=PredictionConfig(predictors=("own_answer", *WITHOUT)),
)
THING = "How often do you do thing 3?"


def load(rows: list[dict[str, object]]) -> UserSimulator:
    """Return a simulator in memory with a scripted model."""
    return UserSimulator.from_corpus(
        rows, engine=engine(action="42"), config=CONFIG, progress=False
    )


@pytest.fixture(scope="module")
def sim() -> Iterator[UserSimulator]:
    """A hundred people with planted answers."""
    with load(people(100, signal=1.0)) as made:
        yield made


def named(answer: Answer) -> set[str]:
    """Return which predictors an answer was pooled from."""
    return {one.predictor for one in answer.trace.predictors}


@pytest.mark.parametrize(
    ("context", "kind", "options"),
    [(THING, "scale", LEVELS), (HOURS, "number", None), (SPORT, "multi_choice", SPORTS)],
)
def test_the_answer_on_record_becomes_likelier(
    sim: UserSimulator, context: str, kind: str, options: list[str] | None
) -> None:
    """Of every person and kind, the earlier answer is likelier with it than without, and said."""
    asked = Question(context, options=options, kind=kind)
    repeated = 0
    for person in sim.users[:20]:
        rows = [one for one in sim.corpus.interactions([person]) if one.question.key == asked.key]
        (before,) = [one.action for one in rows]
        of = {"user_id": person, "store": False}
        answer = sim.respond(asked, **of)  # type: ignore[arg-type]
        blind = sim.respond(asked, **of, predictors=list(WITHOUT))  # type: ignore[arg-type]
        assert "own_answer" in named(answer)
        assert "own_answer" not in named(blind)
        assert "what the person answered to this question before" in answer.trace.origin
        p, q = answer.probabilities, blind.probabilities
        if kind == "number":
            nearest = min(p, key=lambda name: abs(float(name) - float(str(before))))
            assert p[nearest] > q[nearest] or p[nearest] > 0.5
            repeated += abs(float(str(answer.action)) - float(str(before))) <= 2
        else:
            chosen = [str(before)] if kind == "scale" else list(before)  # type: ignore[arg-type]
            assert all(p[option] > q[option] for option in chosen)
            repeated += answer.action in (before, tuple(chosen))
    assert repeated >= 14, "people mostly answer as they did before"


def test_who_never_answered_it_is_predicted_as_before(sim: UserSimulator) -> None:
    """A new question, and one that only others answered, know no earlier answer."""
    new = sim.respond("Is it cold?", user_id="p000", options=LEVELS, kind="scale", store=False)
    assert "own_answer" not in named(new)


def test_only_what_may_be_known_is_an_earlier_answer() -> None:
    """The held-out answer itself never counts; of two earlier ones the newer one does."""
    rows = people(30, signal=1.0)
    asked = {"user_id": "p001", "context": "Again?", "options": LEVELS, "action_type": "scale"}
    early = [{**asked, "order": -2, "action": "never"}, {**asked, "order": -1, "action": "always"}]
    held = {**asked, "order": 99, "action": "sometimes", "user_id": "p002"}
    with load([*rows, *early, held]) as sim:
        known = sim.respond(
            "Again?", user_id="p001", options=LEVELS, kind="scale", predictors=["own_answer"]
        )
        assert max(known.probabilities, key=known.probabilities.__getitem__) == "always"
        assert known.probabilities["always"] == pytest.approx(0.8)
        (one,) = [i for i in sim.corpus.interactions(["p002"]) if i.context[-1].content == "Again?"]
        assert one.split == "held_out"
        assert "own_answer" not in named(sim.respond(one, user_id="p002"))


def test_a_pool_that_was_fitted_without_repeats_still_knows_them() -> None:
    """Weights of a corpus in which nothing was asked twice keep the prior's for earlier answers."""
    fitted = Pool({"scale, known": PoolWeights(weights={"panel": 1.0}, answers=9)}, fitted=True)
    said: dict[Predictor, dict[str, float]] = {
        "panel": {"no": 0.5, "yes": 0.5}, "own_answer": {"no": 0.2, "yes": 0.8}
    }  # fmt: skip
    assert fitted.combine("scale, known", said).probabilities["yes"] == pytest.approx(0.8)
    assert "own_answer" in get_args(Predictor)
