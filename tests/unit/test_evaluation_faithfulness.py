"""The faithfulness index: a ratio of means, or nothing at all."""

from __future__ import annotations

import math

import numpy as np
import pytest

from usersim.errors import EvaluationError
from usersim.evaluation import Faithfulness, faithfulness_index

NAMES = [f"u{i // 4}" for i in range(40)]
TALKS = [f"c{i // 2}" for i in range(40)]


def index(own, swapped, none, **how) -> Faithfulness:
    """The index over ten people."""
    how = {"users": NAMES, "conversations": TALKS, "resamples": 200} | how
    return faithfulness_index(own, swapped, none, **how)


def noise(mean: float, seed: int) -> np.ndarray:
    """Log-likelihoods around `mean`."""
    return mean + np.random.default_rng(seed).normal(scale=0.2, size=40)


def test_the_index_is_a_ratio_of_means() -> None:
    """It equals the formula on the means, and its interval holds the share that was put in."""
    own, swapped, none = noise(-1, 0), noise(-2, 1), noise(-3, 2)
    found = index(own, swapped, none)
    by_hand = (own.mean() - swapped.mean()) / (own.mean() - none.mean())
    assert found.index.value == pytest.approx(by_hand)
    assert found.index.low < by_hand < found.index.high
    assert found.index.low < 0.5 < found.index.high
    assert found.swap_cost.value == pytest.approx((own - swapped).mean())
    assert found.trace_gain.value == pytest.approx((own - none).mean())
    assert (found.defined, found.n_items, found.n_users) == (True, 40, 10)
    assert str(found).startswith("U = 0.")
    assert "less likely" not in str(found)


@pytest.mark.parametrize(("swapped", "value"), [(-1.0, 0.0), (-3.0, 1.0), (-5.0, 2.0)])
def test_ends_of_the_scale(swapped: float, value: float) -> None:
    """A swap that costs nothing is 0, one down to no trace is 1, one that misleads is more."""
    found = index([-1.0] * 40, [swapped] * 40, [-3.0] * 40)
    assert (found.index.value, found.index.low, found.index.high) == (value, value, value)


def test_a_denominator_around_zero_is_undefined() -> None:
    """Where the own trace gives nothing that can be told from 0, no number is printed."""
    rng = np.random.default_rng(3)
    own = rng.normal(size=40)
    found = index(own, own - 1, own + rng.normal(scale=0.5, size=40))
    assert found.trace_gain.low < 0 < found.trace_gain.high
    assert not found.defined
    assert math.isnan(found.index.low)
    assert math.isnan(found.index.high)
    assert str(found).startswith("undefined: the gain of the own trace")
    assert not index([-1.0] * 40, [-2.0] * 40, [-1.0] * 40).defined


def test_one_conversation_leaves_no_interval_and_no_index() -> None:
    """An interval over one conversation has no width, so it excludes nothing."""
    found = index([-1.0, -1.0], [-2.0, -2.0], [-3.0, -3.0], users=["a", "a"],
                  conversations=["c", "c"])  # fmt: skip
    assert not found.defined


def test_a_trace_that_harms_is_said_to() -> None:
    """With a denominator below 0 the index stands, with the caution beside it."""
    found = index([-3.0] * 40, [-2.0] * 40, [-1.0] * 40)
    assert found.index.value == 0.5
    assert "the own trace makes the answer less likely" in str(found)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"own": [-1.0]}, r"'own' have shape \(1,\) for 40 items"),
        ({"none": [[-1.0]] * 40}, r"'none' have shape \(40, 1\)"),
        ({"swapped": [-1.0] * 39 + [math.nan]}, "'swapped' of item 39 is nan"),
        ({"none": [-math.inf] + [-1.0] * 39}, "'none' of item 0 is -inf"),
        ({"conversations": ["c"]}, "40 users and 1 conversation"),
    ],
)
def test_what_is_no_number_per_item_is_refused(changes, message) -> None:
    """Other lengths and values that are not finite raise, naming array and item."""
    values = {"own": [-1.0] * 40, "swapped": [-2.0] * 40, "none": [-3.0] * 40} | changes
    with pytest.raises(EvaluationError, match=message):
        index(values.pop("own"), values.pop("swapped"), values.pop("none"), **values)
