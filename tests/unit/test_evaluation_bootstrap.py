"""Intervals, win rates, Holm and the number of comparisons."""

from __future__ import annotations

import math

import numpy as np
import pytest

from usersim.errors import EvaluationError
from usersim.evaluation import Resampling, holm, win_rate
from usersim.evaluation.bootstrap import Interval, ratio
from usersim.research import comparisons_needed


def mean_rows(values: np.ndarray) -> np.ndarray:
    """Return statistics whose ratio is the mean."""
    return np.stack([values, np.ones_like(values)], axis=1)


def test_power_table_of_the_method() -> None:
    """The formulas give the published numbers for 54.7 % and 70 %."""
    assert (comparisons_needed(0.547), comparisons_needed(0.547, power=0.8)) == (431, 886)
    assert (comparisons_needed(0.70), comparisons_needed(0.70, power=0.8)) == (21, 47)
    assert comparisons_needed(0.453) == 431
    assert comparisons_needed(0.547, design_effect=2) == 862


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"win_rate": 0.5}, "win rate of 0.5"),
        ({"win_rate": 1.2}, "win rate of 1.2"),
        ({"win_rate": 0.6, "power": 1.0}, "power 1.0"),
        ({"win_rate": 0.6, "alpha": 0.0}, "alpha 0.0"),
        ({"win_rate": 0.6, "design_effect": 0.5}, "got 0.5"),
    ],
)
def test_power_refuses_what_has_no_answer(arguments: dict[str, float], message: str) -> None:
    """Impossible rates and levels raise, naming the value."""
    with pytest.raises(EvaluationError, match=message):
        comparisons_needed(**arguments)


def test_holm_steps_down() -> None:
    """Holm's corrected values never fall below an earlier one and stop at 1; NaN is left out."""
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == pytest.approx([1.0, 1.0])
    corrected = holm([math.nan, 0.02])
    assert math.isnan(corrected[0])
    assert corrected[1] == 0.02


def test_conversations_stay_together() -> None:
    """Every item of a conversation stands equally often in a resample, across equal names."""
    sampling = Resampling.of(["a", "a", "b", "b"], ["c", "c", "c", "d"], resamples=50)
    assert sampling.weights.shape == (50, 3)
    assert list(sampling.cluster) == [0, 0, 1, 2]
    assert sampling.n_users == 2
    draws = sampling.totals(np.eye(4))
    assert (draws[:, 0] == draws[:, 1]).all()


def test_each_resample_has_as_many_users() -> None:
    """With one conversation each, the weights of a resample sum to the number of users."""
    users = [f"u{i}" for i in range(7)]
    sampling = Resampling.of(users, ["c"] * 7, resamples=30)
    assert (sampling.weights.sum(axis=1) == 7).all()


def test_equal_seeds_draw_equal_resamples() -> None:
    """The seed alone decides the resamples."""
    first, same, other = (
        Resampling.of(["a", "b", "c"], ["1", "2", "3"], resamples=20, seed=s).weights
        for s in (1, 1, 2)
    )
    assert (first == same).all()
    assert (first != other).any()


def test_clustering_widens_the_interval() -> None:
    """Items that repeat within a user give a wider interval than as many independent ones."""
    rng = np.random.default_rng(0)
    rows = mean_rows(np.repeat(rng.normal(size=20), 25))
    names = [f"u{i // 25}" for i in range(500)]
    clustered = Resampling.of(names, names).estimate(rows, ratio)
    single = [str(i) for i in range(500)]
    independent = Resampling.of(single, single).estimate(rows, ratio)
    assert clustered.high - clustered.low > 3 * (independent.high - independent.low)
    assert clustered.value == pytest.approx(rows[:, 0].mean())


def test_interval_covers_the_truth() -> None:
    """In 200 simulated corpora of 30 users the 95 % interval holds the true mean 88 to 100 %."""
    rng = np.random.default_rng(1)
    users = [f"u{i // 6}" for i in range(180)]
    talks = [f"c{i // 3}" for i in range(180)]
    covered = 0
    for seed in range(200):
        values = np.repeat(rng.normal(size=30), 6) + np.repeat(rng.normal(size=60), 3)
        rows = mean_rows(values + rng.normal(size=180))
        interval = Resampling.of(users, talks, resamples=300, seed=seed).estimate(rows, ratio)
        covered += not interval.excludes(0.0)
    assert 0.88 <= covered / 200 <= 1.0


def test_p_value_agrees_with_the_interval() -> None:
    """A clear difference has a small p-value, none at all has 1."""
    names = [str(i) for i in range(100)]
    sampling = Resampling.of(names, names, resamples=999)
    rows = mean_rows(np.random.default_rng(0).normal(size=100))
    better = rows + np.array([0.5, 0.0])
    interval, p = sampling.difference(better, rows, ratio)
    assert interval.excludes(0.0)
    assert p == pytest.approx(2 / 1000)
    interval, p = sampling.difference(rows, rows, ratio)
    assert (interval.value, interval.low, interval.high, p) == (0, 0, 0, 1)


def test_nothing_measured_is_nan() -> None:
    """Items that a metric does not apply to leave NaN, not a number."""
    sampling = Resampling.of(["a"], ["c"], resamples=10)
    interval, p = sampling.difference(np.zeros((1, 2)), np.zeros((1, 2)), ratio)
    assert all(math.isnan(v) for v in (interval.value, interval.low, p))
    assert not interval.excludes(0.0)


def test_win_rate_counts_ties_half() -> None:
    """Ties count half in one figure and are left out of the other; NaN is not compared."""
    names = list("abcdef")
    outcome = np.array([1.0, 1, 1, 0, -1, np.nan])
    found = win_rate(outcome, Resampling.of(names, names, resamples=200))
    assert (found.wins, found.ties, found.losses) == (3, 1, 1)
    assert found.all.value == pytest.approx(3.5 / 5)
    assert found.decisive.value == pytest.approx(3 / 4)
    assert found.all.low <= found.all.value <= found.all.high


@pytest.mark.parametrize(
    ("users", "talks", "n", "message"),
    [([], [], 10, "got 0 users"), (["a"], [], 10, "0 conv"), (["a"], ["c"], 0, "got 0")],
)
def test_impossible_resamplings_are_refused(users, talks, n, message) -> None:
    """No items, unequal lengths and no resamples raise."""
    with pytest.raises(EvaluationError, match=message):
        Resampling.of(users, talks, resamples=n)


def test_interval_reads_as_text() -> None:
    """An interval prints its value and both ends."""
    assert str(Interval(0.5, 0.25, 0.75)) == "0.500 [0.250, 0.750]"


def test_an_interval_that_could_not_be_measured_is_not_printed() -> None:
    """Neither `nan` nor brackets around it: the value alone, or a dash."""
    nan = float("nan")
    assert str(Interval(0.2, 0.1, 0.3)) == "0.200 [0.100, 0.300]"
    assert str(Interval(0.2, nan, nan)) == "0.200"
    assert str(Interval(nan, nan, nan)) == "–"
