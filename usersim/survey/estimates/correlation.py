"""Whether simulated answers hang together as people's do: correlations between items.

A simulation can have every share right and still mix up who thinks what. Knows answer tables;
knows nothing of surveys or models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from usersim.evaluation.bootstrap import FloatArray, Interval, Resampling, basic_interval, divide
from usersim.survey.estimates.items import split_half
from usersim.survey.estimates.tables import AnswerTable

__all__ = ["CorrelationGap", "correlation_gap", "correlations"]

LEAST_PAIRS = 10
"""Fewer people who answered both items make no correlation."""
_Pairs = tuple[NDArray[np.intp], NDArray[np.intp]]
_RESAMPLES = 300
_HALVINGS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrelationGap:
    """How far correlations between items are off.

    Attributes:
        gap: Mean over pairs of items of |r simulated − r human|; the interval resamples
            respondents.
        floor: The same between two halves of the humans.
        strength: Mean |r| simulated over mean |r| human: above 1 the simulated people are more
            of a piece than people are.
        n_pairs: Pairs of items.

    Example:
        >>> from usersim.survey.estimates.tables import Item
        >>> scale = ("1", "2", "3", "4", "5")
        >>> items = [Item(key=key, options=scale) for key in ("tea", "milk")]
        >>> def table(milk):
        ...     answers = {f"p{i}": [{"tea": scale[i % 5], "milk": milk[i % 5]}] for i in range(40)}
        ...     return AnswerTable.of(items, answers)
        >>> found = correlation_gap(table(scale), table(scale[::-1]), ["tea", "milk"])
        >>> round(found.gap.value, 2), found.n_pairs
        (2.0, 1)
    """

    gap: Interval
    floor: float
    strength: float
    n_pairs: int


def correlations(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Return weighted Pearson correlations over the people who answered both items.

    Args:
        values: NaN: no answer. Shape `(n, items)`.
        weights: Not negative. Shape `(n,)`.

    Returns:
        Symmetric; NaN with fewer than `LEAST_PAIRS` people or without variation.
        Shape `(items, items)`.

    Example:
        >>> x = np.arange(20.0)
        >>> correlations(np.stack([x, -x], axis=1), np.ones(20)).round(3).tolist()
        [[1.0, -1.0], [-1.0, 1.0]]
    """
    told = np.isfinite(values).astype(np.float64)
    x = np.where(told > 0, values, 0.0)
    center = (weights @ x) / np.maximum(weights @ told, 1e-300)
    x = (x - center) * told  # correlations do not change, and sums stay small
    w = weights[:, None]
    n = told.T @ (told * w)
    safe = np.where(n > 0, n, 1.0)
    mean = x.T @ (told * w) / safe  # of the row's item, among those who answered the column's
    square = (x**2).T @ (told * w) / safe
    cross = x.T @ (x * w) / safe
    variance = square - mean**2
    spread = np.sqrt(np.maximum(variance * variance.T, 0.0))
    people = told.T @ (told * (w > 0))
    usable = (people >= LEAST_PAIRS) & (spread > 1e-12 * (1 + square))
    r = divide(cross - mean * mean.T, np.where(usable, spread, 0.0))
    return np.clip(r, -1.0, 1.0)


def correlation_gap(
    human: AnswerTable, simulated: AnswerTable, keys: Sequence[str], *, seed: int = 0
) -> CorrelationGap | None:
    """Compare correlations between items of two tables.

    Args:
        human: What people answered.
        simulated: What was simulated.
        keys: Items with a mean.
        seed: Of resamples and halvings.

    Returns:
        The comparison; None where no pair of items can be correlated on both sides.
    """
    real, guess = _values(human, keys), _values(simulated, keys)
    first, second = correlations(real, human.weights), correlations(guess, simulated.weights)
    upper = np.triu_indices(len(keys), k=1)
    both = np.isfinite(first[upper]) & np.isfinite(second[upper])
    if not both.any():
        return None
    pairs = (upper[0][both], upper[1][both])
    value = _gap(first, second, pairs)
    same = human.respondents == simulated.respondents
    of_humans = _counts(human, seed)
    of_simulated = of_humans if same else _counts(simulated, seed + 1)
    draws = [
        _gap(
            correlations(real, counts * human.weights),
            correlations(guess, others * simulated.weights),
            pairs,
        )
        for counts, others in zip(of_humans, of_simulated, strict=True)
    ]
    found = basic_interval(value, np.array(draws))
    below = float(np.abs(first[pairs]).mean())
    return CorrelationGap(
        gap=Interval(value, max(found.low, 0.0), found.high),
        floor=_floor(human, keys, pairs, seed),
        strength=float(np.abs(second[pairs]).mean()) / below if below > 0 else float("nan"),
        n_pairs=int(both.sum()),
    )


def _values(table: AnswerTable, keys: Sequence[str]) -> FloatArray:
    """Return one draw of each respondent: a mean of draws would correlate too much."""
    return np.stack([table.draws(key)[0] for key in keys], axis=1)


def _gap(first: FloatArray, second: FloatArray, pairs: _Pairs) -> float:
    gaps = np.abs(first[pairs] - second[pairs])
    told = gaps[np.isfinite(gaps)]
    return float(told.mean()) if told.size else float("nan")


def _counts(table: AnswerTable, seed: int) -> FloatArray:
    names = table.respondents
    return Resampling.of(names, names, resamples=_RESAMPLES, seed=seed).weights


def _floor(human: AnswerTable, keys: Sequence[str], pairs: _Pairs, seed: int) -> float:
    gaps: list[float] = []
    for halving in range(_HALVINGS):
        halves = split_half(human, seed=seed + halving)
        first, second = (correlations(_values(h, keys), h.weights) for h in halves)
        gaps.append(_gap(first, second, pairs))
    told = [gap for gap in gaps if np.isfinite(gap)]
    return float(np.mean(told)) if told else float("nan")
