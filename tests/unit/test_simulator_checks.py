"""Checks beside the figures: the faithfulness index of three arms, and a judge of drawn answers."""

from __future__ import annotations

import math

import pytest

from tests.fixtures.people import engine
from usersim.errors import EvaluationError
from usersim.evaluation import Arm, Evaluation, evaluate
from usersim.simulator.checks import (
    check_sections,
    faithfulness_of,
    judgments_of,
    refuse_selector,
)
from usersim.types import Batch, FreeText, Interaction, Message, Prediction

PEOPLE = 6


def item(n: int) -> Interaction:
    """One held-out answer of one of six people."""
    return Interaction(
        key=f"k{n}",
        user_id=f"u{n % PEOPLE}",
        position=n,
        context=(Message(f"Question {n}?"),),
        action="Tea.",
        space=FreeText(),
        conversation=f"c{n}",
        split="held_out",
    )


def arm(name: str, log_likelihood: float | None, text: str = "", **detail: object) -> Arm:
    """An arm that predicts the same of everything."""
    made = Prediction(action=text, log_likelihood=log_likelihood, n_tokens=1, detail=detail)
    return Arm(name, lambda asked: Batch((made,) * len(asked)))


def measured(*arms: Arm) -> Evaluation:
    """An evaluation of `arms` on twelve answers; the first arm is the baseline."""
    items = [item(n) for n in range(2 * PEOPLE)]
    return evaluate(arms, items, metrics=[], bootstrap=50, baseline=arms[0].name)


def faithful(own: Arm, swapped: Arm, none: Arm):
    """The index of three arms."""
    return faithfulness_of(measured(own, swapped, none), own="own", swapped="swapped", none="none")


def test_the_index_is_what_a_swap_costs_over_what_the_trace_gives() -> None:
    """Own -1, swapped -2 and none -3 nats give one half."""
    found = faithful(
        arm("own", -1.0, reasonings=["so"]),
        arm("swapped", -2.0, donor="k9"),
        arm("none", -3.0),
    )
    assert found is not None
    assert found.index.value == pytest.approx(0.5)
    assert found.n_items == 2 * PEOPLE
    (section,) = check_sections(found, [])
    assert "U = 0.5" in section.paragraphs[1]


def test_items_without_a_trace_or_a_donor_are_left_out() -> None:
    """Nothing can be swapped there; with no item left there is no index."""
    swapped, none = arm("swapped", -2.0, donor="k9"), arm("none", -3.0)
    assert faithful(arm("own", -1.0, reasonings=[]), swapped, none) is None
    own = arm("own", -1.0, reasonings=["so"])
    assert faithful(own, arm("swapped", -2.0, donor=None), none) is None
    assert faithful(own, swapped, arm("none", None)) is None
    assert faithfulness_of(measured(own), own="own", swapped="swapped", none="none") is None


def test_a_judge_compares_the_arms_that_wrote_with_the_baseline() -> None:
    """An arm that wrote nothing is left out, and stages are told by the arm's name."""
    evaluation = measured(arm("base", -1.0, "Tea!"), arm("wrote", -1.0, "Beer."), arm("mute", -1.0))
    told: set[str] = set()
    (found,) = judgments_of(
        evaluation,
        engine(action="1"),
        selected_by=[],
        progress=lambda stage, *_: told.add(stage),
    )
    assert (found.arm, found.baseline, found.n_judged) == ("wrote", "base", 2 * PEOPLE)
    # It always takes the first: a tie in every pair, and its liking is reported.
    assert found.win_rate.all.value == 0.5
    assert found.first_place.value == 1.0
    assert told == {"judge wrote"}
    (section,) = check_sections(None, [found])
    assert section.rows[0][:2] == ("wrote", "base")
    assert not any(math.isnan(float(cell.split()[0])) for cell in section.rows[0][2:5])


def test_a_judge_that_selected_the_traces_is_refused() -> None:
    """Only selection by a judge is a taste; a score is none."""
    one = engine()
    assert refuse_selector(one, one, "loglik_gain") == []
    with pytest.raises(EvaluationError, match="also selected the traces"):
        refuse_selector(one, one, "judge_listwise")
