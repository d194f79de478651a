"""When a run is measured, when it stops, when it has diverged."""

from __future__ import annotations

import math

import pytest

from usersim.training.schedule import (
    ActionEvaluation,
    best_evaluation,
    diverged,
    evaluation_steps,
    learning_rate_factor,
    stalled,
)


def evaluations(*values: float) -> list[ActionEvaluation]:
    """Return evaluations at steps 1, 2, ..."""
    return [
        ActionEvaluation(step=step, action_logprob=value, action_logprob_alone=0.0)
        for step, value in enumerate(values, 1)
    ]


@pytest.mark.parametrize(("steps", "count"), [(1, 4), (3, 4), (10, 4), (100, 7)])
def test_the_last_step_is_always_measured_and_no_step_lies_outside(steps: int, count: int):
    """There are at most as many evaluations as were asked for."""
    found = evaluation_steps(steps, count)
    assert max(found) == steps
    assert min(found) >= 1
    assert len(found) <= count


def test_the_earliest_of_equally_good_states_is_the_best():
    """A longer training that brings nothing is not preferred."""
    best = best_evaluation(evaluations(-2.0, -1.0, -1.0))
    assert best is not None
    assert best.step == 2
    assert best_evaluation([]) is None


def test_two_planned_evaluations_without_improvement_stop_a_run():
    """One is not enough, and an improvement starts the count anew."""
    assert not stalled(evaluations(-1.0, -2.0), {1, 2, 3})
    assert stalled(evaluations(-1.0, -2.0, -1.5), {1, 2, 3})
    assert not stalled(evaluations(-1.0, -2.0, -0.5), {1, 2, 3})


def test_evaluations_out_of_plan_do_not_count():
    """A run that the clock interrupted stops where an uninterrupted one does."""
    assert not stalled(evaluations(-1.0, -2.0, -1.5), {1, 3})


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number_is_divergence_at_once(bad: float):
    """One is enough."""
    assert diverged([2.0, bad])


def test_an_exploding_loss_is_told_from_a_noisy_one():
    """The moving mean counts, so one outlier is forgiven and a rise is not."""
    calm = [2.0] * 8
    assert not diverged([])
    assert not diverged([*calm, 20.0])
    assert diverged([*calm, 8.0, 9.0, 10.0, 11.0, 12.0])


def test_the_learning_rate_rises_then_falls_and_is_never_zero_within_the_run():
    """Peak after 5 % of the steps, cosine to (nearly) zero at the end."""
    factors = [learning_rate_factor(step, 100) for step in range(100)]
    assert factors.index(max(factors)) == 5
    assert factors[:6] == sorted(factors[:6])
    assert factors[5:] == sorted(factors[5:], reverse=True)
    assert min(factors) > 0
    assert factors[5] == 1.0
