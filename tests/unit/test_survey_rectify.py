"""Rectified estimates: validity by simulation, cost of a useless simulation, errors."""

from __future__ import annotations

import math

import numpy as np
import pytest

from usersim.errors import EvaluationError
from usersim.survey.estimates import Rectified, rectify_mean, rectify_shares
from usersim.survey.estimates.rectify import t_quantile

SHARES = np.array([0.5, 0.3, 0.15, 0.05])
RUNS = 400
LOWEST = 0.95 - 3.3 * math.sqrt(0.95 * 0.05 / RUNS)
"""True coverage of 95 % falls below this in fewer than one of 2,000 tests."""


def world(rng: np.random.Generator, kind: str, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what n people answer and what a simulation of that kind says of each."""
    chosen = rng.choice(4, n, p=SHARES)
    truth = np.eye(4)[chosen]
    noise = rng.dirichlet(np.ones(4), n)
    if kind == "good":
        return truth, 0.8 * truth + 0.2 * noise
    if kind == "biased":
        return truth, 0.5 * truth + 0.5 * np.array([0, 0, 0.1, 0.9])
    if kind == "guessing":
        return truth, np.eye(4)[np.where(rng.random(n) < 0.7, chosen, rng.choice(4, n))]
    if kind == "wrong":
        return truth, (1 - truth) / 3
    return truth, noise


def runs(kind: str, n: int, others: int = 600, seed: int = 0) -> list[tuple[Rectified, ...]]:
    """Return many studies of the same kind."""
    rng = np.random.default_rng([seed, n])
    found: list[tuple[Rectified, ...]] = []
    for _ in range(RUNS):
        human, paired = world(rng, kind, n)
        found.append(rectify_shares(human, paired, world(rng, kind, others)[1]))
    return found


@pytest.mark.parametrize("kind", ["good", "biased", "guessing", "wrong", "useless"])
@pytest.mark.parametrize("n", [25, 150])
def test_intervals_hold_the_true_share_whatever_the_simulation_does(kind: str, n: int) -> None:
    """Coverage of each share, the rare one included, is 95 % within what chance allows."""
    found = runs(kind, n)
    for option, share in enumerate(SHARES):
        inside = [r[option].estimate.low <= share <= r[option].estimate.high for r in found]
        assert np.mean(inside) >= LOWEST, (kind, n, option)


def test_a_biased_simulation_alone_is_far_off() -> None:
    """What is rectified there is worth rectifying: the plain simulated share misses by 0.4."""
    found = runs("biased", 150)
    assert np.mean([r[3].simulated for r in found]) - SHARES[3] > 0.4


@pytest.mark.parametrize("kind", ["useless", "wrong"])
@pytest.mark.parametrize(("n", "cost"), [(25, 1.03), (150, 1.01)])
def test_a_useless_simulation_costs_next_to_nothing(kind: str, n: int, cost: float) -> None:
    """Mean widths and errors are those of the humans alone, to a few per cent."""
    found = [one for r in runs(kind, n) for one in r]
    ours = np.mean([r.estimate.high - r.estimate.low for r in found])
    alone = np.mean([r.classical.high - r.classical.low for r in found])
    assert ours / alone <= cost
    truth = np.tile(SHARES, RUNS)
    error = np.mean((np.array([r.estimate.value for r in found]) - truth) ** 2)
    plain = np.mean((np.array([r.classical.value for r in found]) - truth) ** 2)
    assert math.sqrt(error / plain) <= cost


def test_a_good_simulation_is_worth_many_humans_and_says_how_many() -> None:
    """The error shrinks as the effective number of humans says."""
    found = runs("good", 150)
    told = np.mean([r[0].effective_n for r in found])
    error = np.mean([(r[0].estimate.value - 0.5) ** 2 for r in found])
    assert told > 450
    assert 0.25 / error == pytest.approx(told, rel=0.25)
    assert all(sum(one.estimate.value for one in r) == pytest.approx(1) for r in found)


def test_weights_move_the_target_and_coverage_follows() -> None:
    """People drawn with unequal chances, weighted by their inverse: the true share is covered."""
    rng = np.random.default_rng(4)
    inside: list[bool] = []
    for _ in range(RUNS):
        group = rng.random(3000) < 0.5
        y = (rng.random(3000) < np.where(group, 0.8, 0.3)).astype(float)
        guess = np.clip(0.6 * y + 0.3 + rng.normal(0, 0.2, 3000), 0, 1)
        chance = np.where(group, 0.09, 0.03)
        drawn = rng.random(3000) < chance
        rows = np.stack([1 - y, y], axis=1), np.stack([1 - guess, guess], axis=1)
        found = rectify_shares(
            rows[0][drawn], rows[1][drawn], rows[1][~drawn], human_weights=1 / chance[drawn],
            simulated_weights=1 / (1 - chance[~drawn]),
        )  # fmt: skip
        inside.append(found[1].estimate.low <= 0.55 <= found[1].estimate.high)
    assert np.mean(inside) >= LOWEST


def test_means_of_numbers_are_covered_and_narrower() -> None:
    """Skewed incomes with a shifted simulation: valid, and narrower than humans alone."""
    rng = np.random.default_rng(5)
    inside: list[bool] = []
    widths: list[float] = []
    for _ in range(RUNS):
        y = rng.gamma(4, 10, 80 + 800)
        guess = 0.8 * y + 15 + rng.normal(0, 6, len(y))
        found = rectify_mean(y[:80], guess[:80], guess[80:])
        inside.append(found.estimate.low <= 40 <= found.estimate.high)
        widths.append(
            (found.estimate.high - found.estimate.low)
            / (found.classical.high - found.classical.low)
        )
    assert np.mean(inside) >= LOWEST
    assert np.mean(widths) < 0.6


def test_a_thin_share_says_so_and_spans_the_classical_interval() -> None:
    """Where fewer than five humans gave an answer, their variance is not believed."""
    rng = np.random.default_rng(6)
    human, paired = world(rng, "good", 20)
    rare = rectify_shares(human, paired, world(rng, "good", 500)[1])[3]
    assert rare.thin
    assert math.isnan(rare.effective_n)
    assert rare.estimate.low <= rare.classical.low
    assert rare.estimate.high >= rare.classical.high


@pytest.mark.parametrize("constant", [0.25, 0.0])
def test_a_constant_simulation_is_not_used(constant: float) -> None:
    """Nothing varies, so nothing is learned and nothing breaks."""
    human, _ = world(np.random.default_rng(7), "good", 50)
    found = rectify_shares(human, np.full((50, 4), constant), np.full((90, 4), constant))
    assert [r.tuning for r in found] == [0.0] * 4
    assert [r.estimate.value for r in found] == pytest.approx([r.classical.value for r in found])


@pytest.mark.parametrize(
    ("human", "paired", "others", "message"),
    [
        ((9, 2), (9, 2), (50, 2), "9 human answers"),
        ((50, 2), (50, 2), (3, 2), "3 simulated"),
        ((50, 2), (40, 2), (50, 2), "different people"),
        ((50, 2), (50, 2), (50, 3), "different people"),
    ],
)
def test_too_few_or_unlike_answers_raise(
    human: tuple[int, int], paired: tuple[int, int], others: tuple[int, int], message: str
) -> None:
    """The message has the numbers."""
    with pytest.raises(EvaluationError, match=message):
        rectify_shares(np.zeros(human), np.zeros(paired), np.zeros(others))


def test_missing_values_and_bad_weights_raise() -> None:
    """NaN answers and weights of another length are refused."""
    rows = np.eye(2)[np.arange(40) % 2]
    with pytest.raises(EvaluationError, match="finite"):
        rectify_shares(np.full((40, 2), np.nan), rows, rows)
    with pytest.raises(EvaluationError, match="40 weights"):
        rectify_shares(rows, rows, rows, human_weights=np.ones(3))


@pytest.mark.parametrize("freedom", [5, 8, 30, 400])
def test_t_quantiles_are_those_of_scipy(freedom: int) -> None:
    """The closed formula agrees with an independent implementation to three digits."""
    stats = pytest.importorskip("scipy.stats")
    assert t_quantile(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), abs=5e-4)
