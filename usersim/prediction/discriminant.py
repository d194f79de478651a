"""Shrunken linear discriminants of some items, from one person's known answers.

Knows categories and counts; knows nothing of questions, options or how settings are chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from usersim.prediction.contingency import Basis, PanelItems
from usersim.prediction.solving import cholesky_solver

if TYPE_CHECKING:
    from usersim.prediction.contingency import Codes, Floats

__all__ = ["Discriminant", "Moments"]

SLOPE_PRIOR = 3.0
"""People whose weight a flat relation of score and feature has."""
RIDGE = 1e-3
LEAST_EIGENVALUE = 0.05
"""Correlations over different people need not fit together: negative eigenvalues are raised."""


class Moments(NamedTuple):
    """Counts of a panel, and the marginals that follow from them.

    Attributes:
        pairs: Weighted count of every pair of categories. Shape `(n_columns, n_columns)`.
        marginal: Share of each category within its item. Shape `(n_columns,)`.
        smoothed: The same, smoothed toward equal shares. Shape `(n_columns,)`.
    """

    pairs: Floats
    marginal: Floats
    smoothed: Floats

    @classmethod
    def of(cls, items: PanelItems, pairs: Floats, *, smoothing: float) -> Moments:
        """Return the marginals of pair counts.

        Args:
            items: The items.
            pairs: Weighted count of every pair of categories.
            smoothing: Answers that are added to each category.
        """
        counts = np.maximum(np.diag(pairs), 0.0)
        totals = np.add.reduceat(counts, items.start[:-1])[items.owner]
        sizes = np.diff(items.start)[items.owner]
        return cls(
            pairs,
            # Features are centered where the people are; with nobody there they do not matter.
            np.where(totals > 0, counts / np.maximum(totals, RIDGE), 1.0 / sizes),
            (counts + smoothing) / (totals + smoothing * sizes),
        )


class Discriminant:
    """Scores of the categories of some items, given one person's answers to others.

    Args:
        items: All items.
        places: Items to be predicted; none of them in `own`.
        codes: The person's categories. Shape `(n_items,)`.
        own: Items that are known.
        moments: Counts without the person.
    """

    def __init__(
        self,
        items: PanelItems,
        places: Sequence[int],
        codes: Codes,
        own: Sequence[int],
        moments: Moments,
    ) -> None:
        basis = Basis.of(items, own, moments.marginal)
        chosen = items.start[list(own)] + codes[list(own)]
        starts = np.concatenate([[0], np.cumsum([items.items[i].size for i in own])[:-1]])
        block = moments.pairs[np.ix_(basis.columns, basis.columns)]
        both = np.add.reduceat(np.add.reduceat(block, starts, axis=0), starts, axis=1)
        n = both[np.ix_(basis.owner, basis.owner)]
        cross = moments.pairs[np.ix_(items.columns(places), basis.columns)]  # (k, c)
        self.owner = basis.owner
        self._z = basis.matrix[np.searchsorted(basis.columns, chosen)].sum(axis=0)  # (f,)
        self._correlation = basis.matrix.T @ block @ basis.matrix / np.maximum(n, 1.0)
        self._sums = cross @ basis.matrix  # (k, f)
        self._counts = np.add.reduceat(cross, starts, axis=1)[:, basis.owner]  # (k, f)
        self._prior = _linear_means(items, places, self._sums, self._counts)
        self._solver = lru_cache(maxsize=1)(self._solver_at)

    def scores(self, shrinkage: float, support: float) -> Floats:
        """Return `μ_k' S⁻¹ z − ½ μ_k' S⁻¹ μ_k` of each category of the predicted items.

        Args:
            shrinkage: Correlations off the diagonal are multiplied by one minus it.
            support: People whose weight each prior class mean has.

        Returns:
            Shape `(k,)`, in the order of `items.columns(places)`.
        """
        means = self._means(support)
        solved = self._solver(shrinkage)(means.T)  # (f, k)
        return self._z @ solved - 0.5 * np.einsum("kf,fk->k", means, solved)

    def parts(self, shrinkage: float, support: float) -> Floats:
        """Return what each known item adds to each category's score.

        The score is split by the features of the items; `−½ μ_k' S⁻¹ μ_k` belongs to none.

        Returns:
            Shape `(k, len(own))`.
        """
        solved = self._solver(shrinkage)(self._means(support).T)  # (f, k)
        features = (self._z[:, None] * solved).T  # (k, f)
        starts = np.flatnonzero(np.diff(self.owner, prepend=-1))
        return np.add.reduceat(features, starts, axis=1)

    def _means(self, support: float) -> Floats:
        return (self._sums + support * self._prior) / (self._counts + support)  # (k, f)

    def _solver_at(self, shrinkage: float) -> Callable[[Floats], Floats]:
        shrunken = (1 - shrinkage) * self._correlation
        np.fill_diagonal(shrunken, 1.0 + RIDGE)
        return cholesky_solver(shrunken, least_eigenvalue=LEAST_EIGENVALUE)


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
