"""Shrunken linear discriminants of some items, from one person's known answers.

How the known answers go together is worked out once for all that the person is asked: of a person
with hundreds of them it is nearly the whole cost of a prediction.

Knows categories and counts; knows nothing of questions, options or how settings are chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from usersim.prediction.contingency import Basis, PanelItems
from usersim.prediction.solving import cholesky_solver

if TYPE_CHECKING:
    from usersim.prediction.contingency import Codes, Columns, Floats

__all__ = ["Discriminant", "KnownAnswers", "Moments", "PanelRow"]

SLOPE_PRIOR = 3.0
"""People whose weight a flat relation of score and feature has."""
RIDGE = 1e-3
LEAST_EIGENVALUE = 0.05
"""Correlations over different people need not fit together: negative eigenvalues are raised."""


class PanelRow(NamedTuple):
    """One person of a panel.

    Attributes:
        codes: Their categories, -1 where missing. Shape `(n_items,)`.
        weight: Their weight.
    """

    codes: Codes
    weight: float


@dataclass(frozen=True, slots=True)
class Moments:
    """Counts of a panel without one person, and the marginals that follow from them.

    Attributes:
        counts: Weighted count of each category. Shape `(n_columns,)`.
        marginal: Share of each category within its item. Shape `(n_columns,)`.
        smoothed: The same, smoothed toward equal shares. Shape `(n_columns,)`.
    """

    counts: Floats
    marginal: Floats
    smoothed: Floats
    _pairs: Floats
    _own: Floats  # 1 where the person who is left out has the category
    _weight: float

    @classmethod
    def of(
        cls, items: PanelItems, pairs: Floats, *, smoothing: float, without: PanelRow | None = None
    ) -> Moments:
        """Return the marginals of pair counts.

        Args:
            items: The items.
            pairs: Weighted count of every pair of categories, of everybody. It is not copied: the
                counts of a large panel take much memory. Shape `(n_columns, n_columns)`.
            smoothing: Answers that are added to each category.
            without: Who is left out.
        """
        own, weight = np.zeros(len(pairs)), 0.0
        if without is not None:
            own, weight = items.one_hot(without.codes[None])[0], without.weight
        counts = np.diag(pairs) - weight * own
        present = np.maximum(counts, 0.0)
        totals = np.add.reduceat(present, items.start[:-1])[items.owner]
        sizes = np.diff(items.start)[items.owner]
        return cls(
            counts,
            # Features are centered where the people are; with nobody there they do not matter.
            np.where(totals > 0, present / np.maximum(totals, RIDGE), 1.0 / sizes),
            (present + smoothing) / (totals + smoothing * sizes),
            pairs,
            own,
            weight,
        )

    def pairs(self, rows: Columns, columns: Columns) -> Floats:
        """Return the weighted count of pairs of categories. Shape `(len(rows), len(columns))`."""
        found = self._pairs[np.ix_(rows, columns)]
        found -= self._weight * np.outer(self._own[rows], self._own[columns])
        return found


class KnownAnswers:
    """What one person answered, and how these answers go together over the panel.

    Args:
        items: All items.
        codes: The person's categories. Shape `(n_items,)`.
        own: Items that are known.
        moments: Counts without the person.
    """

    def __init__(
        self, items: PanelItems, codes: Codes, own: Sequence[int], moments: Moments
    ) -> None:
        self.items = items
        self.moments = moments
        self.basis = Basis.of(items, own, moments.marginal)
        sizes = [items.items[i].size for i in own]
        self.starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
        chosen = items.start[list(own)] + codes[list(own)]
        matrix, owner = self.basis.matrix, self.basis.owner
        self.z = matrix[np.searchsorted(self.basis.columns, chosen)].sum(axis=0)  # (f,)
        block = moments.pairs(self.basis.columns, self.basis.columns)
        both = np.add.reduceat(np.add.reduceat(block, self.starts, axis=0), self.starts, axis=1)
        n = both[np.ix_(owner, owner)]
        self._correlation = matrix.T @ block @ matrix / np.maximum(n, 1.0)
        self.solver = lru_cache(maxsize=1)(self._solver_at)

    def _solver_at(self, shrinkage: float) -> Callable[[Floats], Floats]:
        shrunken = (1 - shrinkage) * self._correlation
        np.fill_diagonal(shrunken, 1.0 + RIDGE)
        return cholesky_solver(shrunken, least_eigenvalue=LEAST_EIGENVALUE)


class Discriminant:
    """Scores of the categories of some items, given one person's answers to others.

    Args:
        places: Items to be predicted; none of them is known.
        known: The person's answers.
    """

    def __init__(self, places: Sequence[int], known: KnownAnswers) -> None:
        items, basis = known.items, known.basis
        cross = known.moments.pairs(items.columns(places), basis.columns)  # (k, c)
        self._known = known
        self._sums = cross @ basis.matrix  # (k, f)
        self._counts = np.add.reduceat(cross, known.starts, axis=1)[:, basis.owner]  # (k, f)
        self._prior = _linear_means(items, places, self._sums, self._counts)

    def scores(self, shrinkage: float, support: float) -> Floats:
        """Return `μ_k' S⁻¹ z − ½ μ_k' S⁻¹ μ_k` of each category of the predicted items.

        Args:
            shrinkage: Correlations off the diagonal are multiplied by one minus it.
            support: People whose weight each prior class mean has.

        Returns:
            Shape `(k,)`, in the order of `items.columns(places)`.
        """
        means = self._means(support)
        solved = self._known.solver(shrinkage)(means.T)  # (f, k)
        return self._known.z @ solved - 0.5 * np.einsum("kf,fk->k", means, solved)

    def parts(self, shrinkage: float, support: float) -> Floats:
        """Return what each known item adds to each category's score.

        The score is split by the features of the items; `−½ μ_k' S⁻¹ μ_k` belongs to none.

        Returns:
            Shape `(k, len(own))`.
        """
        known = self._known
        solved = known.solver(shrinkage)(self._means(support).T)  # (f, k)
        features = (known.z[:, None] * solved).T  # (k, f)
        starts = np.flatnonzero(np.diff(known.basis.owner, prepend=-1))
        return np.add.reduceat(features, starts, axis=1)

    def _means(self, support: float) -> Floats:
        return (self._sums + support * self._prior) / (self._counts + support)  # (k, f)


def _linear_means(items: PanelItems, places: Sequence[int], sums: Floats, counts: Floats) -> Floats:
    """Return class means on a straight line over an ordered item's score; 0 for another item.

    A panel of thirty people has few in each class, but all of them tell the slope.
    """
    prior = np.zeros_like(sums)
    row = 0
    for place in places:
        item = items.items[place]
        span = slice(row, row + item.size)
        row += item.size
        if not item.ordered:
            continue
        score = np.linspace(-1.0, 1.0, item.size)[:, None]
        total = np.maximum(counts[span].sum(axis=0), RIDGE)
        mean = (counts[span] * score).sum(axis=0) / total
        spread = (counts[span] * (score - mean) ** 2).sum(axis=0) / total
        covariance = (sums[span] * (score - mean)).sum(axis=0) / total
        prior[span] = covariance / (spread + SLOPE_PRIOR / total) * (score - mean)
    return prior
