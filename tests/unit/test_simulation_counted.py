"""Numbers and multiple choices in the pool: counted draws, and one answer from probabilities."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from tests.fixtures.people import HOBBIES, YEARS, engine, question
from usersim.config import SimulationConfig
from usersim.prediction import Pool, PoolWeights
from usersim.simulation import Answer, RespondItem, respond
from usersim.simulation.counted import counted_draws, decided
from usersim.simulation.streaming import stream_answer
from usersim.types import Predictor

AGES = {"20": 0.2, "40": 0.5, "70": 0.3}
LIKES = {"reading": 0.8, "walking": 0.1, "music": 0.6}


def age(**fields) -> RespondItem:
    """A number that other people answered."""
    return RespondItem(
        user_id="ada",
        question=question("How old are you?", YEARS),
        predictors={"panel": AGES},
        group="number, known",
        combine=partial(Pool().combine, "number, known"),
        edges=(30.0, 50.0),
        **fields,
    )


def hobbies(**fields) -> RespondItem:
    """A multiple choice that other people answered."""
    return RespondItem(
        user_id="ada",
        question=question("What do you like?", HOBBIES),
        predictors={"panel": LIKES},
        group="multi_choice, known",
        combine=partial(Pool().combine_each, "multi_choice, known"),
        **fields,
    )


def test_a_draw_at_an_edge_belongs_to_the_range_below() -> None:
    """Draws are counted as the panel cuts its numbers, and each range keeps a little."""
    found = counted_draws(YEARS, [30.0, 31.0, 99.0], list(AGES), edges=(30.0, 50.0))
    assert found == pytest.approx({"20": 4 / 12, "40": 4 / 12, "70": 4 / 12})


def test_drawn_answers_are_as_frequent_as_their_probabilities() -> None:
    """Over many seeds a number falls in each range, and an option is chosen, as often as told."""
    ages = [decided(YEARS, AGES, seed=seed) for seed in range(4_000)]
    for value, p in AGES.items():
        assert np.mean([one == float(value) for one in ages]) == pytest.approx(p, abs=0.03)
    sets = [decided(HOBBIES, LIKES, seed=seed) for seed in range(4_000)]
    for option, p in LIKES.items():
        assert np.mean([option in one for one in sets]) == pytest.approx(p, abs=0.03)  # type: ignore[operator]


def test_a_pooled_number_is_the_median_and_says_where_it_comes_from() -> None:
    """The panel outweighs one draw; both are told with their shares, which add up to one."""
    (answer,) = respond(
        engine(action="99"), [age()], config=SimulationConfig(traces=1, redraws=0)
    ).items
    assert answer.action == 40.0
    assert sum(answer.probabilities.values()) == pytest.approx(1)
    assert answer.probabilities["70"] > AGES["70"]
    assert {one.predictor for one in answer.trace.predictors} == {"panel", "reasoning"}
    assert sum(one.share for one in answer.trace.predictors) == pytest.approx(1)
    assert "judged by the panel" in answer.trace.origin


def test_a_pooled_multiple_choice_takes_what_is_likelier_than_not() -> None:
    """Every option is pooled by itself: two are above one half, and the draws move each."""
    (answer,) = respond(
        engine(action="walking"), [hobbies()], config=SimulationConfig(traces=1, redraws=0)
    ).items
    assert answer.action == ("reading", "music")
    assert answer.probabilities["walking"] > LIKES["walking"]
    assert answer.probabilities["music"] < LIKES["music"]
    assert sum(one.share for one in answer.trace.predictors) == pytest.approx(1)


@pytest.mark.parametrize("made", [age, hobbies])
def test_unreadable_draws_leave_the_answer_to_the_other_predictors(made) -> None:
    """A model that writes neither a number nor an option fails nothing: it has no share."""
    (answer,) = respond(
        engine(action="whatever you say"), [made()], config=SimulationConfig(traces=1, redraws=1)
    ).items
    assert [one.predictor for one in answer.trace.predictors] == ["panel"]
    assert "the reasoning was not used" in answer.trace.origin
    assert answer.trace.redraws == 2


@pytest.mark.parametrize("made", [age, hobbies])
def test_a_model_that_is_not_asked_is_not_run(made) -> None:
    """Without the simulator among the predictors nothing is drawn."""
    model = engine()
    (answer,) = respond(model, [made(asked=frozenset())], config=SimulationConfig()).items
    assert not model.requests
    assert [one.predictor for one in answer.trace.predictors] == ["panel"]


@pytest.mark.parametrize("made", [age, hobbies])
def test_a_stream_gives_the_pooled_answer(made) -> None:
    """The action comes in one piece, after the pool, with the same predictors as a batch has."""
    config = SimulationConfig(traces=1, redraws=0)
    action = "99" if made is age else "walking"
    (batched,) = respond(engine(action=action), [made()], config=config).items
    pieces, stream = [], stream_answer(engine(action=action), made(), config=config)
    while True:
        try:
            pieces.append(next(stream))
        except StopIteration as end:
            answer: Answer = end.value
            break
    assert [one.text for one in pieces if one.part == "action"] == [answer.action_text]
    assert answer.probabilities == pytest.approx(batched.probabilities)
    assert answer.action == batched.action


def test_a_stored_number_has_its_ranges_in_order() -> None:
    """A store sorts names; what is read back is sorted by value, and views show it."""
    item = age(asked=frozenset[Predictor]())
    wide = {"9": 0.2, "40": 0.5, "100": 0.3}
    (answer,) = respond(
        engine(), [RespondItem(**{**_fields(item), "predictors": {"panel": wide}})]
    ).items
    stored = answer.to_dict()
    stored["trace"]["probabilities"] = dict(sorted(stored["trace"]["probabilities"].items()))
    again = Answer.from_dict(stored)
    assert list(again.probabilities) == ["9", "40", "100"]
    assert again == answer
    page = again._repr_html_()
    assert page.index("<td>9<") < page.index("<td>40<") < page.index("<td>100<")


def _fields(item: RespondItem) -> dict[str, object]:
    return {name: getattr(item, name) for name in RespondItem.__dataclass_fields__}


def test_weights_of_a_multiple_choice_pool_each_option() -> None:
    """A doubled weight sharpens every option away from one half, and not against the others."""
    pool = Pool({"multi_choice, known": PoolWeights(weights={"panel": 2.0, "others": 0.0})})
    found = pool.combine_each("multi_choice, known", {"panel": LIKES, "others": LIKES})
    for option, p in LIKES.items():
        assert found.probabilities[option] == pytest.approx(p**2 / (p**2 + (1 - p) ** 2))
    assert found.shares[0].predictor == "panel"
    assert found.shares[0].share == pytest.approx(1)
