"""Weights that make respondents look like a population whose margins are known: raking.

Knows categories and shares; knows nothing of questions or of who answered. Why this is our own
code: docs/adr/0018-survey-statistics.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from usersim.errors import EmptyCellError, ImpossibleMarginsError, WeightingError
from usersim.evaluation.bootstrap import FloatArray
from usersim.types.counting import counted
from usersim.views import in_words, printed

__all__ = ["Margins", "Weights", "effective_n", "rake"]

Margins = Mapping[str, Mapping[str, float]]
"""Share of each category, by attribute; the shares of an attribute sum to 1."""

_SUM_TOLERANCE = 1e-3
_ROUNDING = 1e-9
_Codes = NDArray[np.intp]


@printed(in_words)
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Weights:
    """One weight per respondent, and what it costs.

    Attributes:
        values: Weights with mean 1, in the respondents' order. Shape `(n,)`.
        rounds: Passes over all margins.
        gap: Largest absolute difference of a weighted share from its margin.
        trimmed: Respondents whose weight was cut to the largest one allowed.

    Example:
        >>> weights = Weights(values=np.array([0.5, 0.5, 2.0]), rounds=1, gap=0.0, trimmed=0)
        >>> round(weights.design_effect, 2), round(weights.effective_n, 2)
        (1.5, 2.0)
    """

    values: FloatArray
    rounds: int
    gap: float
    trimmed: int

    @property
    def effective_n(self) -> float:
        """Respondents that would say as much without weights."""
        return effective_n(self.values)

    @property
    def design_effect(self) -> float:
        """`n / effective_n`: how much larger weights make the variance of a mean."""
        return len(self.values) / self.effective_n

    @property
    def largest(self) -> float:
        """The largest weight, in units of the mean weight."""
        return float(self.values.max())

    def __str__(self) -> str:
        return (
            f"{counted(len(self.values), 'respondent')} weigh as much as {self.effective_n:.0f} "
            f"(design effect {self.design_effect:.2f}); largest weight {self.largest:.2f}; "
            f"margins met to {self.gap:.1e} after {counted(self.rounds, 'round')}; "
            f"{self.trimmed} trimmed"
        )


def effective_n(weights: FloatArray) -> float:
    """Return `(Σw)² / Σw²`: the number of respondents that weights leave.

    Args:
        weights: Not negative, at least one above 0. Shape `(n,)`.

    Returns:
        From 1 to n.

    Notes:
        Source: Kish, Survey Sampling, 1965, section 11.7.
    """
    return float(weights.sum() ** 2 / (weights**2).sum())


def rake(
    categories: Mapping[str, Sequence[str]],
    margins: Margins,
    *,
    start: Sequence[float] | FloatArray | None = None,
    most: float | None = None,
    tolerance: float = 1e-9,
    rounds: int = 1000,
) -> Weights:
    """Return the weights nearest to `start` under which respondents have the margins' shares.

    Iterative proportional fitting: one margin after the other is met exactly, until all hold.
    The result is `start` times one factor per category, and among all weights that meet the
    margins it has the least relative entropy to `start`.

    Args:
        categories: Each respondent's category, by attribute. n per attribute.
        margins: Share of each category, by attribute.
        start: Weights to begin with, as from a sampling design; None: all alike. Shape `(n,)`.
        most: Largest weight, in units of the mean; larger ones are cut in every round, after
            which margins hold only as far as `Weights.gap` says. None cuts nothing.
        tolerance: Largest difference of a share from its margin.
        rounds: Passes over the margins before it gives up.

    Returns:
        The weights.

    Raises:
        EmptyCellError: If a category has a share and no respondents, or respondents and no share.
        ImpossibleMarginsError: If a margin's shares do not sum to 1, or margins contradict
            each other among these respondents.
        WeightingError: If there is nothing to weight, or `start` or `most` cannot be used.

    Example:
        >>> sex = ["f", "f", "f", "m"]
        >>> rake({"sex": sex}, {"sex": {"f": 0.5, "m": 0.5}}).values.round(3).tolist()
        [0.667, 0.667, 0.667, 2.0]

    Notes:
        Source: Deming and Stephan, On a least squares adjustment of a sampled frequency table,
        1940; entropy: Ireland and Kullback, Contingency tables with given marginals, 1968.
    """
    first = _start(categories, margins, start, most)
    coded = [_coded(name, categories[name], shares) for name, shares in margins.items()]
    values = first
    gaps: list[FloatArray] = []
    gap, done = float("inf"), 0
    while gap > tolerance and done < rounds:
        done += 1
        for codes, shares in coded:
            values = values * (shares / _shares(values, codes, len(shares)))[codes]
        values = _cut(values / values.mean(), most)
        gaps = [np.abs(_shares(values, c, len(s)) - s) for c, s in coded]
        gap = float(max(off.max() for off in gaps))
    if gap <= tolerance or most is not None:
        cut = 0 if most is None else int((values >= most * (1 - _ROUNDING)).sum())
        return Weights(values=values, rounds=done, gap=gap, trimmed=cut)
    worst = {name: float(off.max()) for name, off in zip(margins, gaps, strict=True)}
    name = max(worst, key=lambda key: worst[key])
    raise ImpossibleMarginsError(
        f"after {rounds} rounds margin {name!r} is still off by {worst[name]:.2g}: the margins "
        "contradict each other for these respondents",
        hint="this happens if some combinations have no respondents: merge categories or drop a "
        "margin",
    )


def _cut(values: FloatArray, most: float | None) -> FloatArray:
    """Return weights with mean 1, none above `most`: what is cut off is shared by all."""
    while most is not None and values.max() > most * (1 + _ROUNDING):
        values = np.minimum(values, most)
        values = values / values.mean()
    return values


def _start(
    categories: Mapping[str, Sequence[str]],
    margins: Margins,
    start: Sequence[float] | FloatArray | None,
    most: float | None,
) -> FloatArray:
    """Return the first weights, everything checked that needs no arithmetic.

    Raises:
        WeightingError: As `rake` says.
    """
    if not margins:
        raise WeightingError("raking needs at least one margin")
    if missing := sorted(set(margins) - set(categories)):
        raise WeightingError(
            f"respondents have no attribute {missing!r}", hint=f"they have: {sorted(categories)!r}"
        )
    sizes = {len(categories[name]) for name in margins}
    if start is not None:
        sizes.add(len(start))
    if len(sizes) != 1 or sizes == {0}:
        raise WeightingError(f"raking needs one category per respondent; got {sorted(sizes)!r}")
    if most is not None and not most > 1:
        raise WeightingError(
            "the largest weight is a multiple of the mean weight and must be greater than 1, "
            f"got {most!r}"
        )
    first = np.ones(sizes.pop()) if start is None else np.asarray(start, dtype=np.float64)
    if not np.isfinite(first).all() or (first <= 0).any():
        raise WeightingError(
            "starting weights must be finite and greater than 0; leave out respondents without one"
        )
    return first


def _coded(
    name: str, categories: Sequence[str], shares: Mapping[str, float]
) -> tuple[_Codes, FloatArray]:
    """Return each respondent's category as a number, and the share of each.

    Raises:
        EmptyCellError: As `rake` says.
        ImpossibleMarginsError: If the shares are no distribution.
    """
    targets = np.array(list(shares.values()), dtype=np.float64)
    if not np.isfinite(targets).all() or (targets < 0).any():
        raise ImpossibleMarginsError(f"margin {name!r} has a share below 0: {dict(shares)!r}")
    if abs(float(targets.sum()) - 1) > _SUM_TOLERANCE:
        raise ImpossibleMarginsError(
            f"the shares of margin {name!r} sum to {targets.sum():g} instead of 1",
            hint="divide percentages by 100, and counts by their sum",
        )
    found = {category: categories.count(category) for category in dict.fromkeys(categories)}
    wanted = {category for category, share in shares.items() if share > 0}
    if empty := sorted(wanted - set(found)):
        raise EmptyCellError(
            f"margin {name!r} has shares for {empty!r}, where there are no respondents",
            hint="add such respondents, or merge the category with another in margin and data",
        )
    if strange := sorted(str(category) for category in set(found) - wanted):
        raise EmptyCellError(
            f"margin {name!r} has no share for {strange!r}, where there are respondents",
            hint="remove these respondents with a filter, or add a share for the category",
        )
    order = {category: place for place, category in enumerate(shares)}
    codes = np.array([order[category] for category in categories], dtype=np.intp)
    held = targets > 0
    place = np.cumsum(held) - 1
    return place[codes], targets[held] / targets.sum()


def _shares(values: FloatArray, codes: _Codes, size: int) -> FloatArray:
    return np.bincount(codes, weights=values, minlength=size) / values.sum()
