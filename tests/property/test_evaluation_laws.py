"""Laws of the metrics, the intervals and the distances, on generated data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from usersim.evaluation import Arm, Resampling, evaluate, holm, win_rate
from usersim.evaluation.bootstrap import ratio
from usersim.evaluation.metrics import (
    ACCURACY,
    BRIER,
    ECE,
    KAPPA,
    LOG_SCORE,
    METRICS,
    RPS,
    Metric,
    style_distance,
)
from usersim.survey.estimates.distances import jensen_shannon, total_variation, wasserstein_1
from usersim.types import Batch, Interaction, Message, Prediction, Scale

OPTIONS = ("a", "b", "c", "d")
SPACE = Scale(OPTIONS)
weights = st.lists(st.floats(0.01, 1.0), min_size=4, max_size=4).map(np.array)
distributions = weights.map(lambda w: w / w.sum())


def item(n: int, action: str, user: str = "u") -> Interaction:
    """Return one held-out scale answer."""
    return Interaction(
        key=f"k{n}",
        user_id=user,
        position=n,
        context=(Message("?"),),
        action=action,
        space=SPACE,
        conversation=f"c{n // 2}",
        split="held_out",
    )


def said(p: np.ndarray) -> Prediction:
    """Return a prediction with the likeliest option as action."""
    return Prediction(
        action=OPTIONS[int(p.argmax())],
        probabilities=dict(zip(OPTIONS, map(float, p), strict=True)),
    )


@pytest.mark.parametrize("metric", [LOG_SCORE, BRIER, RPS], ids=lambda m: m.name)
@given(truth=distributions, other=distributions)
@settings(max_examples=50)
def test_proper_scores_reward_the_truth(metric: Metric, truth, other) -> None:
    """No other distribution is expected to score better than the one that answers come from."""

    def expected(p: np.ndarray) -> float:
        return sum(
            t * metric.value([item(0, option)], [said(p)])
            for option, t in zip(OPTIONS, truth, strict=True)
        )

    gap = expected(truth) - expected(other)
    assert (gap if metric.greater_is_better else -gap) >= -1e-12


@given(p=distributions, action=st.sampled_from(OPTIONS))
@settings(max_examples=50)
def test_bounded_scores_stay_in_bounds(p, action) -> None:
    """RPS and accuracy stay in 0 to 1, Brier in 0 to 2, the log score at or below 0."""
    one, prediction = [item(0, action)], [said(p)]
    assert 0 <= RPS.value(one, prediction) <= 1
    assert 0 <= BRIER.value(one, prediction) <= 2
    assert LOG_SCORE.value(one, prediction) <= 0
    assert ACCURACY.value(one, prediction) in {0.0, 1.0}


@given(st.lists(st.tuples(st.sampled_from(OPTIONS), distributions), min_size=2, max_size=12))
@settings(max_examples=50)
def test_every_metric_ignores_the_order_of_items(rows) -> None:
    """A metric over reordered items is the same, and a permutation of the items' own scores."""
    items = [item(n, action) for n, (action, _) in enumerate(rows)]
    predictions = [said(p) for _, p in rows]
    for metric in METRICS:
        if not metric.applies(items[0]):
            continue
        forwards = metric.value(items, predictions)
        backwards = metric.value(items[::-1], predictions[::-1])
        assert backwards == pytest.approx(forwards, nan_ok=True), metric.name
        own = metric.items(items, predictions)
        reordered = metric.items(items[::-1], predictions[::-1])
        assert own == pytest.approx(reordered[::-1], nan_ok=True), metric.name


@given(seed=st.integers(0, 2**16))
@settings(max_examples=8)
def test_calibrated_draws_have_a_small_ece(seed) -> None:
    """Answers drawn from the predicted probabilities leave only sampling noise in the ECE."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(4), size=800)
    drawn = (rng.random((800, 1)) > p.cumsum(axis=1)[:, :3]).sum(axis=1)
    items = [item(n, OPTIONS[k]) for n, k in enumerate(drawn)]
    calibrated = ECE.value(items, [said(row) for row in p])
    sharpened = [said(np.eye(4)[row.argmax()]) for row in p]
    assert calibrated < 0.1 < ECE.value(items, sharpened)


@given(st.lists(st.sampled_from(OPTIONS), min_size=2, max_size=20))
@settings(max_examples=50)
def test_kappa_stays_below_one(actions) -> None:
    """Quadratic kappa is at most 1, and 1 exactly for the very answers."""
    items = [item(n, a) for n, a in enumerate(actions)]
    same = KAPPA.value(items, [Prediction(action=a) for a in actions])
    shifted = KAPPA.value(items, [Prediction(action=a) for a in actions[1:] + actions[:1]])
    if len(set(actions)) > 1:
        assert same == pytest.approx(1)
        assert shifted <= 1 + 1e-12


@given(seed=st.integers(0, 2**16), users=st.integers(1, 6))
@settings(max_examples=25)
def test_paired_differences_are_antisymmetric(seed, users) -> None:
    """Swapping the arms turns the difference, its interval and the win rate around."""
    rng = np.random.default_rng(seed)
    n = 24
    sampling = Resampling.of(
        [f"u{i % users}" for i in range(n)], [f"c{i // 3}" for i in range(n)], resamples=200, seed=1
    )
    first, second = (np.stack([rng.normal(size=n), np.ones(n)], axis=1) for _ in range(2))
    there, p = sampling.difference(first, second, ratio)
    back, q = sampling.difference(second, first, ratio)
    assert (back.value, back.low, back.high) == pytest.approx(
        (-there.value, -there.high, -there.low)
    )
    assert p == q
    gap = first[:, 0] - second[:, 0]
    won, lost = win_rate(gap, sampling), win_rate(-gap, sampling)
    assert won.all.value + lost.all.value == pytest.approx(1)
    assert (won.wins, won.losses) == (lost.losses, lost.wins)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
@settings(max_examples=50)
def test_holm_is_no_smaller_and_keeps_the_order(p_values) -> None:
    """A corrected p-value is at least the raw one, at most 1, and in the same order."""
    corrected = holm(p_values)
    assert all(raw <= new <= 1 for raw, new in zip(p_values, corrected, strict=True))
    order = np.argsort(p_values, kind="stable")
    assert (np.diff(np.array(corrected)[order]) >= 0).all()


@given(distributions, distributions, distributions)
@settings(max_examples=50)
def test_distances_are_distances(p, q, r) -> None:
    """Distances are symmetric, 0 for equal, in 0 to 1; total variation and W1 obey the triangle."""
    for distance in (total_variation, wasserstein_1, jensen_shannon):
        assert distance(p, p) == pytest.approx(0, abs=1e-12)
        assert distance(p, q) == pytest.approx(distance(q, p))
        assert 0 <= distance(p, q) <= 1
    for distance in (total_variation, wasserstein_1):
        assert distance(p, r) <= distance(p, q) + distance(q, r) + 1e-12
    assert wasserstein_1(p, q) <= total_variation(p, q) + 1e-12


@given(st.text(max_size=40), st.text(max_size=40))
@example("\x08", "0000000000000000000000100203")  # nothing in common, and rounding above 1
@settings(max_examples=50)
def test_style_distance_is_symmetric(first, second) -> None:
    """Style distance is symmetric, 0 for the same text, in 0 to 1."""
    assert style_distance(first, first) == 0
    assert style_distance(first, second) == pytest.approx(style_distance(second, first))
    assert 0 <= style_distance(first, second) <= 1


@given(seed=st.integers(0, 2**16))
@settings(max_examples=10)
def test_evaluation_does_not_depend_on_the_arms_around(seed) -> None:
    """An arm has the same estimates whatever other arms stand beside it, in whatever order."""
    rng = np.random.default_rng(seed)
    items = [item(n, OPTIONS[rng.integers(4)], f"u{n % 3}") for n in range(12)]
    told = {(arm, i.key): said(rng.dirichlet(np.ones(4))) for arm in "AB" for i in items}

    def arm(name: str) -> Arm:
        return Arm(name, lambda asked: Batch(tuple(told[name, i.key] for i in asked)))

    alone = evaluate([arm("A")], items, bootstrap=50)
    among = evaluate([arm("B"), arm("A")], items, bootstrap=50)
    for estimate in alone.estimates:
        other = among.estimate("A", estimate.metric)
        assert other is not None
        assert str(other.interval) == str(estimate.interval)
