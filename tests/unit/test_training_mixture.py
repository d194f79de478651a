"""The reasoning weight w."""

from __future__ import annotations

import numpy as np
import pytest

from usersim.errors import NoTrainingDataError, TrainingError
from usersim.training import fit_reasoning_weight


def objective(w: float, drawn: np.ndarray, alone: np.ndarray) -> float:
    """Return the log-likelihood of all items, written as in the formula."""
    return float(np.log(w * np.exp(drawn).mean(axis=1) + (1 - w) * np.exp(alone)).sum())


@pytest.mark.parametrize("seed", range(5))
def test_w_maximizes_the_likelihood(seed: int):
    """No weight on a fine grid is better than the fitted one."""
    random = np.random.default_rng(seed)
    alone = random.normal(-2, 1, 60)
    drawn = alone[:, None] + random.normal(-0.1, 1, (60, 3))
    w = fit_reasoning_weight(drawn, alone).w
    grid = np.linspace(0, 1, 1001)
    assert abs(w - grid[np.argmax([objective(v, drawn, alone) for v in grid])]) < 2e-3


def test_reasoning_that_always_hurts_gets_no_weight_and_the_words_say_so():
    """The weight is exactly 0, and so is the gain."""
    found = fit_reasoning_weight(np.full((30, 2), -3.0), np.full(30, -1.0))
    assert (found.w, found.low, found.high, found.gain) == (0.0, 0.0, 0.0, 0.0)
    assert found.summary.startswith("The reasoning does not help here (w = 0.00")


def test_reasoning_that_always_helps_gets_all_weight():
    """The weight is exactly 1, and the gain is the difference of the log-likelihoods."""
    found = fit_reasoning_weight(np.full((30, 2), -1.0), np.full(30, -3.0))
    assert found.w == 1.0
    assert found.gain == pytest.approx(2.0)
    assert found.summary.startswith("The reasoning helps here")


def test_a_few_items_leave_it_open():
    """The interval reaches from no weight to much, and the words do not pretend."""
    found = fit_reasoning_weight([[-1.0], [-3.0], [-1.0]], [-2.0, -1.0, -1.5])
    assert found.low < 0.05 < found.w
    assert "is unclear" in found.summary


def test_a_draw_that_makes_the_action_impossible_forbids_w_of_one():
    """Minus infinity is a legal log-probability."""
    found = fit_reasoning_weight([[-np.inf]] + [[-0.5]] * 20, [-1.0] * 21)
    assert 0 < found.w < 1
    assert np.isfinite(found.gain)


def test_extreme_ratios_do_not_overflow():
    """Log-probabilities of whole long texts differ by hundreds of nats."""
    found = fit_reasoning_weight([[-10.0], [-2000.0]], [-900.0, -900.0])
    assert found.w == pytest.approx(0.5, abs=1e-3)


def test_the_same_seed_gives_the_same_interval():
    """The bootstrap is reproducible."""
    random = np.random.default_rng(0)
    data = random.normal(-2, 1, (40, 3)), random.normal(-2, 1, 40)
    found = fit_reasoning_weight(*data, seed=3)
    assert fit_reasoning_weight(*data, seed=3) == found
    other = fit_reasoning_weight(*data, seed=4)
    assert other.w == found.w
    assert other != found


@pytest.mark.parametrize(
    ("drawn", "alone", "error", "match"),
    [
        ([], [], NoTrainingDataError, "at least one validation item"),
        ([[-1.0]], [-1.0, -2.0], TrainingError, r"shapes \(1, 1\) and \(2,\)"),
        ([-1.0], [-1.0], TrainingError, r"expected \(n, K\)"),
        ([[np.nan]], [-1.0], TrainingError, "NaN"),
        ([[-1.0]], [-np.inf], TrainingError, "infinity"),
    ],
)
def test_input_that_cannot_be_meant_is_refused(drawn, alone, error, match):
    """Each refusal names what is wrong."""
    with pytest.raises(error, match=match):
        fit_reasoning_weight(drawn, alone)
