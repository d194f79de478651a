"""A question that the person answered before: the answer on record counts, and is named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from tests.fixtures.people import engine
from tests.unit.test_simulator_counted import HOURS, LEVELS, SPORT, SPORTS, people
from usersim import Answer, Question, UserSimulator
from usersim.config import HistoryConfig, PipelineConfig, PredictionConfig, SimulationConfig
from usersim.errors import ConfigError
from usersim.prediction import Observation, Pool, PoolWeights, fit_pool, own_answer
from usersim.types import Choice, Predictor

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
    """The held-out answer itself never counts; of several earlier ones each does."""
    rows = people(30, signal=1.0)
    asked = {"user_id": "p001", "context": "Again?", "options": LEVELS, "action_type": "scale"}
    early = [
        {**asked, "order": n, "action": "always" if n > -4 else "never"} for n in (-4, -3, -2, -1)
    ]
    held = {**asked, "order": 99, "action": "sometimes", "user_id": "p002"}
    with load([*rows, *early, held]) as sim:
        known = sim.respond(
            "Again?", user_id="p001", options=LEVELS, kind="scale", predictors=["own_answer"]
        )
        assert max(known.probabilities, key=known.probabilities.__getitem__) == "always"
        away = (3 * (1 / 3) + 0.0) / 4  # of "always" to "never" on three points; of "never" nothing
        assert known.probabilities["never"] == pytest.approx((1 + 0.25 * away) / 4.25)
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


def test_one_person_who_changed_their_mind_does_not_silence_earlier_answers() -> None:
    """A weight is told by the answers that have an earlier one, against twenty such answers."""

    def seen(n: int, truth: str, earlier: str = "") -> Observation:
        said: dict[Predictor, dict[str, float]] = {"panel": {"no": 0.4, "yes": 0.6}}
        if earlier:
            said["own_answer"] = own_answer(Choice(("no", "yes")), [earlier])
        return Observation(person=str(n), group="choice, known", predictors=said, truth=truth)

    many = [seen(n, "yes" if n % 5 < 3 else "no") for n in range(200)]
    for changed, low, high in ((1, 0.7, 1.0), (40, 0.0, 0.4)):
        pool = fit_pool([*many, *(seen(n, "no", "yes") for n in range(changed))], intervals=False)
        assert low <= pool.groups["choice, known"].weights["own_answer"] < high


def test_a_run_is_not_taken_up_with_other_predictors(tmp_path: Path) -> None:
    """Answers of a run are those of the predictors that are asked for, or the run is refused."""
    rows, asked = people(12, signal=1.0), [{"user_id": "p000", "context": "Cold?"}]
    store = tmp_path / "s.db"
    with UserSimulator.from_corpus(
        rows, store=store, engine=engine(action="42"), config=CONFIG, progress=False
    ) as sim:
        sim.run(asked, name="cold", progress=False)
    other = CONFIG.model_copy(update={"prediction": PredictionConfig(predictors=WITHOUT)})
    with (
        UserSimulator.open(store, engine=engine(action="42"), config=other) as sim,
        pytest.raises(ConfigError, match=r"predictors was .*own_answer"),
    ):
        sim.run(asked, name="cold", progress=False)
