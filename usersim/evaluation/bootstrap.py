"""Intervals by a two-level cluster bootstrap, and corrections for many arms.

Users are drawn with replacement, then, within each drawn user, conversations. Items of one
conversation stay together: they are not independent, and an interval that treats them so is too
narrow. Knows arrays; knows nothing of metrics or arms.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isnan

import numpy as np
from numpy.typing import NDArray

from usersim.errors import EvaluationError
from usersim.types.counting import counted
from usersim.views import in_words, printed

__all__ = [
    "FloatArray",
    "Interval",
    "Resampling",
    "WinRate",
    "basic_interval",
    "divide",
    "holm",
    "ratio",
    "win_rate",
]

FloatArray = NDArray[np.float64]
Finish = Callable[[FloatArray], FloatArray]
"""Turns totals of shape `(..., m)` into values of shape `(...)`."""

_LEVEL = 0.95


@printed(in_words)
@dataclass(frozen=True, slots=True)
class Interval:
    """A value with its 95 % percentile interval; all three are NaN where nothing was measured.

    Example:
        >>> gap = Interval(value=0.2, low=0.1, high=0.3)
        >>> gap.excludes(0.0)
        True
    """

    value: float
    low: float
    high: float

    def excludes(self, point: float) -> bool:
        """Return whether `point` lies outside the interval."""
        return bool(self.low > point or self.high < point)

    def __str__(self) -> str:
        """Say the value, and the interval if there is one: few people may give none."""
        if isnan(self.value):
            return "–"
        if isnan(self.low) or isnan(self.high):
            return f"{self.value:.3f}"
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True, slots=True)
class WinRate:
    """How often one arm beats another on the same items.

    Attributes:
        all: Share of items won, a tie counting half.
        decisive: Share won of the items that are no tie; NaN where every item is one.
        wins: Items won.
        ties: Items on which both score the same.
        losses: Items lost.

    Example:
        >>> resampling = Resampling.of(["ada", "bob", "eve"], ["c1", "c2", "c3"], resamples=100)
        >>> found = win_rate(np.array([1.0, 0.0, 1.0]), resampling)  # differences, arm - baseline
        >>> round(found.all.value, 2), found.decisive.value
        (0.83, 1.0)
    """

    all: Interval
    decisive: Interval
    wins: int
    ties: int
    losses: int


@dataclass(frozen=True, eq=False)
class Resampling:
    """The resamples of one evaluation, shared by all arms and metrics, so differences are paired.

    Attributes:
        cluster: Conversation of each item, as an index. Shape `(n,)`.
        weights: How often each conversation stands in each resample. Shape `(b, c)`.
        n_users: Distinct users.

    Notes:
        Shapes: n = items, c = conversations, b = resamples, m = statistics of a metric.
        A user drawn k times gets k independent draws of their C conversations, which together
        are one multinomial draw of k·C: so no loop runs over resamples.
        With a single user only conversations vary, and the interval speaks of that user alone.
        Source: Davison and Hinkley, Bootstrap Methods and their Application, section 3.8.

    Example:
        >>> resampling = Resampling.of(["ada", "ada", "bob"], ["c1", "c2", "c3"], resamples=200)
        >>> sums = np.stack([np.array([1.0, 0.0, 1.0]), np.ones(3)], axis=1)
        >>> round(resampling.estimate(sums, ratio).value, 3)
        0.667
    """

    cluster: NDArray[np.intp]
    weights: FloatArray
    n_users: int

    @classmethod
    def of(
        cls,
        users: Sequence[str],
        conversations: Sequence[str],
        *,
        resamples: int = 2000,
        seed: int = 0,
    ) -> Resampling:
        """Draw the resamples.

        Args:
            users: Whose each item is. Shape `(n,)`.
            conversations: Conversation of each item, distinguished within a user. Shape `(n,)`.
            resamples: How many; the interval's ends need some hundreds.
            seed: Equal seeds draw equal resamples.

        Returns:
            The resampling.

        Raises:
            EvaluationError: If there are no items, lengths differ or `resamples` is below 1.
        """
        if not users or len(users) != len(conversations):
            raise EvaluationError(
                "a bootstrap needs items, one conversation each; got "
                f"{counted(len(users), 'user')} "
                f"and {counted(len(conversations), 'conversation')}"
            )
        if resamples < 1:
            raise EvaluationError(f"a bootstrap needs at least one resample, got {resamples!r}")
        pairs = list(zip(users, conversations, strict=True))
        index = {pair: i for i, pair in enumerate(dict.fromkeys(pairs))}
        owned: dict[str, list[int]] = {}
        for (user, _), i in index.items():
            owned.setdefault(user, []).append(i)
        rng = np.random.default_rng(seed)
        drawn = rng.multinomial(len(owned), np.full(len(owned), 1 / len(owned)), size=resamples)
        if len(owned) == len(index):  # one conversation each: nothing is drawn within people
            drawn = drawn.astype(np.float64)
            return cls(np.array([index[pair] for pair in pairs], dtype=np.intp), drawn, len(owned))
        weights = np.empty((resamples, len(index)))
        for place, clusters in enumerate(owned.values()):
            size = len(clusters)
            weights[:, clusters] = rng.multinomial(drawn[:, place] * size, np.full(size, 1 / size))
        return cls(np.array([index[pair] for pair in pairs], dtype=np.intp), weights, len(owned))

    def totals(self, statistics: FloatArray) -> FloatArray:
        """Return the sum over items in each resample.

        Args:
            statistics: Per item. Shape `(n, m)`.

        Returns:
            Shape `(b, m)`.
        """
        sums = np.zeros((self.weights.shape[1], statistics.shape[1]))
        np.add.at(sums, self.cluster, statistics)
        return self.weights @ sums

    def estimate(self, statistics: FloatArray, finish: Finish) -> Interval:
        """Return the value of `finish` on all items, with its interval."""
        return _interval(finish(statistics.sum(axis=0)), finish(self.totals(statistics)))

    def difference(
        self, first: FloatArray, second: FloatArray, finish: Finish
    ) -> tuple[Interval, float]:
        """Return `finish(first) − finish(second)` on the same resamples, and a p-value.

        The p-value is two-sided, from the same resamples as the interval, so the two agree:
        `2·(1 + min(#(d ≤ 0), #(d ≥ 0))) / (b + 1)`, at most 1.

        Args:
            first: Statistics per item. Shape `(n, m)`.
            second: Statistics of the other arm. Shape `(n, m)`.
            finish: Totals to value.

        Returns:
            Difference with interval, and its p-value (NaN where nothing was measured).
        """
        value = finish(first.sum(axis=0)) - finish(second.sum(axis=0))
        draws = finish(self.totals(first)) - finish(self.totals(second))
        draws = draws[np.isfinite(draws)]
        if not draws.size:
            return _interval(value, draws), float("nan")
        tail = min(int((draws <= 0).sum()), int((draws >= 0).sum()))
        return _interval(value, draws), min(1.0, 2 * (1 + tail) / (draws.size + 1))


def _interval(value: FloatArray, draws: FloatArray) -> Interval:
    finite = draws[np.isfinite(draws)]
    if not finite.size:
        return Interval(float(value), float("nan"), float("nan"))
    low, high = np.quantile(finite, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return Interval(float(value), float(low), float(high))


def basic_interval(value: float, draws: FloatArray) -> Interval:
    """Return a value with its basic bootstrap interval, `2·value − quantiles` of the draws.

    A distance of two samples is too large on the average, and once more in every resample:
    a percentile interval would lie above the value itself. This one undoes the second excess.

    Args:
        value: Of all data.
        draws: Of each resample. Shape `(b,)`.

    Returns:
        The interval; NaN where nothing was measured.

    Example:
        >>> basic_interval(0.2, np.array([0.2, 0.3, 0.4])).high
        0.2

    Notes:
        Source: Davison and Hinkley, Bootstrap Methods and their Application, section 5.2.
    """
    finite = draws[np.isfinite(draws)]
    if not finite.size or not np.isfinite(value):
        return Interval(value, float("nan"), float("nan"))
    high, low = (2 * value - q for q in np.quantile(finite, ((1 - _LEVEL) / 2, (1 + _LEVEL) / 2)))
    return Interval(value, min(float(low), value), max(float(high), value))


def divide(above: FloatArray, below: FloatArray) -> FloatArray:
    """Return `above / below`, elementwise; NaN where `below` is 0."""
    nothing: FloatArray = np.full(np.shape(below), np.nan)
    return np.divide(above, below, out=nothing, where=np.asarray(below) != 0)


def ratio(totals: FloatArray) -> FloatArray:
    """Return first over second of `(..., 2)` totals; NaN where the second is 0."""
    return divide(totals[..., 0], totals[..., 1])


def win_rate(outcomes: FloatArray, resampling: Resampling) -> WinRate:
    """Return how often the first of two arms wins.

    Args:
        outcomes: Per item +1 won, 0 tie, −1 lost, NaN not compared: the sign of a paired
            difference, or a judge's verdict. Shape `(n,)`.
        resampling: The resamples of the same items.

    Returns:
        Win rates, ties counted half and decisive-only, with intervals.

    Example:
        >>> resampling = Resampling.of(["ada", "ada", "bob"], ["c1", "c2", "c3"], resamples=100)
        >>> found = win_rate(np.array([1.0, 0.0, 1.0]), resampling)
        >>> found.wins, found.ties, found.losses
        (2, 1, 0)
    """
    compared = np.isfinite(outcomes)
    won = (compared & (outcomes > 0)).astype(np.float64)
    lost = (compared & (outcomes < 0)).astype(np.float64)
    tied = compared.astype(np.float64) - won - lost
    return WinRate(
        all=resampling.estimate(np.stack([won + tied / 2, won + tied + lost], axis=1), ratio),
        decisive=resampling.estimate(np.stack([won, won + lost], axis=1), ratio),
        wins=int(won.sum()),
        ties=int(tied.sum()),
        losses=int(lost.sum()),
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number by Holm's step-down procedure.

    Args:
        p_values: One per arm; NaN stays NaN and is not counted.

    Returns:
        Corrected values in the same order.

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]

    Notes:
        Source: Holm, A simple sequentially rejective multiple test procedure, 1979.
    """
    order = sorted((p, i) for i, p in enumerate(p_values) if not np.isnan(p))
    corrected = [float("nan")] * len(p_values)
    running = 0.0
    for rank, (p, i) in enumerate(order):
        running = max(running, min(1.0, p * (len(order) - rank)))
        corrected[i] = running
    return corrected
