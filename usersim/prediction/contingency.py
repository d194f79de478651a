"""Pairwise contingency tables of a panel: everything the panel model needs to know of it.

All answers become categorical *items*: a choice or a scale is one item, a number is cut into
ordered bins, a multiple choice is one yes-or-no item per option. The weighted counts of every
pair of categories, `G = T' W T` with T the one-hot answers, are sufficient for means, pairwise
correlations and class means, and one person can be taken out again by a rank-one update.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from usersim.types import MultiChoice, Number, Panel, PanelQuestion, Scale

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Codes = NDArray[np.int16]
    Columns = NDArray[np.int64]

__all__ = ["MAX_CATEGORIES", "Basis", "PanelItems", "count_pairs", "make_items"]

MAX_CATEGORIES = 4_000
"""Categories of all items together; the pair counts then take 128 MB."""
MAX_BINS = 7
"""Ordered bins that a number is cut into, at the panel's quantiles."""
MAX_OPTIONS = 52
"""Options of a multiple choice: more do not fit one exact float."""
_PEOPLE = 2_048
_FLAT = 1e-9


@dataclass(frozen=True, slots=True)
class PanelItem:
    """One categorical variable.

    Attributes:
        question: Index of the panel's question.
        size: Categories.
        ordered: Whether they have an order.
        option: Of a multiple choice, the option that is chosen or not; else None.
        edges: Of a number, the upper edges of all bins but the last.
        values: Of a number, the typical value of each bin: the median of its answers, and one of
            them.
    """

    question: int
    size: int
    ordered: bool
    option: int | None = None
    edges: tuple[float, ...] = ()
    values: tuple[float, ...] = ()

    def codes(self, cells: Floats) -> Codes:
        """Return the category of each cell, -1 where there is no answer. Shape as `cells`."""
        known = np.isfinite(cells)
        filled = np.where(known, cells, 0.0)
        if self.edges or self.values:
            found = np.searchsorted(np.asarray(self.edges), filled, side="left")
        elif self.option is not None:
            found = (filled.astype(np.int64) >> self.option) & 1
        else:
            found = filled.astype(np.int64)
        return np.where(known, found, -1).astype(np.int16)


@dataclass(frozen=True)
class PanelItems:
    """The items of a panel, and where their categories stand in one flat row.

    Attributes:
        items: In order.
        left_out: Indices of questions that were left out: nobody answered them, they have too many
            options, or they would pass `MAX_CATEGORIES`.
    """

    items: tuple[PanelItem, ...]
    left_out: tuple[int, ...] = ()

    @cached_property
    def start(self) -> NDArray[np.int64]:
        """First column of each item, and one past the last. Shape `(n_items + 1,)`."""
        return np.concatenate([[0], np.cumsum([item.size for item in self.items])]).astype(np.int64)

    @cached_property
    def owner(self) -> NDArray[np.int64]:
        """Item of each column. Shape `(n_columns,)`."""
        return np.repeat(np.arange(len(self.items)), [item.size for item in self.items])

    @cached_property
    def of_question(self) -> dict[int, tuple[int, ...]]:
        """Items of each question."""
        found: dict[int, tuple[int, ...]] = {}
        for place, item in enumerate(self.items):
            found[item.question] = (*found.get(item.question, ()), place)
        return found

    def columns(self, places: Sequence[int]) -> NDArray[np.int64]:
        """Return the columns of the items at `places`, in that order."""
        if not len(places):
            return np.zeros(0, dtype=np.int64)
        spans = [np.arange(self.start[i], self.start[i + 1], dtype=np.int64) for i in places]
        return np.concatenate(spans)

    def encode(self, answers: Floats) -> Codes:
        """Return the categories of a table of cells. Shape `(n, n_items)`."""
        table = np.full((len(answers), len(self.items)), -1, dtype=np.int16)
        for place, item in enumerate(self.items):
            table[:, place] = item.codes(answers[:, item.question])
        return table

    def one_hot(self, codes: Codes) -> Floats:
        """Return one-hot rows; all zero where a person did not answer. Shape `(n, n_columns)`."""
        hot = np.zeros((len(codes), int(self.start[-1])))
        rows, places = np.nonzero(codes >= 0)
        hot[rows, self.start[places] + codes[rows, places]] = 1.0
        return hot


def make_items(panel: Panel, *, limit: int = MAX_CATEGORIES) -> PanelItems:
    """Turn a panel's questions into items, those with the most answers first in claim.

    Args:
        panel: Who answered what.
        limit: Categories of all items together.
    """
    answered = np.isfinite(panel.answers).sum(axis=0)
    kept: dict[int, list[PanelItem]] = {}
    used = 0
    for index in sorted(range(len(panel.questions)), key=lambda i: (-answered[i], i)):
        own = _items_of(panel.questions[index], index, panel.answers[:, index])
        size = sum(item.size for item in own)
        if own and used + size <= limit:
            kept[index] = own
            used += size
    left_out = tuple(i for i in range(len(panel.questions)) if i not in kept)
    return PanelItems(tuple(item for index in sorted(kept) for item in kept[index]), left_out)


def _items_of(question: PanelQuestion, index: int, cells: Floats) -> list[PanelItem]:
    values = cells[np.isfinite(cells)]
    if not len(values):
        return []
    space = question.space
    if isinstance(space, Number):
        return _binned(index, values)
    if not isinstance(space, MultiChoice):
        return [PanelItem(index, len(space.options), ordered=isinstance(space, Scale))]
    if len(space.options) > MAX_OPTIONS:
        return []
    return [PanelItem(index, 2, ordered=True, option=k) for k in range(len(space.options))]


def _binned(index: int, values: Floats) -> list[PanelItem]:
    inner = np.quantile(values, np.arange(1, MAX_BINS) / MAX_BINS, method="inverted_cdf")
    edges = np.unique(inner)
    edges = edges[edges < values.max()]
    if not len(edges):
        return []
    place = np.searchsorted(edges, values, side="left")
    typical = [
        float(np.quantile(values[place == b], 0.5, method="inverted_cdf"))
        for b in range(len(edges) + 1)
    ]
    return [
        PanelItem(
            index,
            len(edges) + 1,
            ordered=True,
            edges=tuple(edges.tolist()),
            values=tuple(typical),
        )
    ]


def count_pairs(items: PanelItems, codes: Codes, weights: Floats) -> Floats:
    """Return the weighted count of every pair of categories. Shape `(n_columns, n_columns)`.

    Args:
        items: The items.
        codes: Categories, -1 where missing. Shape `(n, n_items)`.
        weights: One per person. Shape `(n,)`.
    """
    size = int(items.start[-1])
    total = np.zeros((size, size))
    for first in range(0, len(codes), _PEOPLE):
        hot = items.one_hot(codes[first : first + _PEOPLE])
        total += hot.T @ (weights[first : first + _PEOPLE, None] * hot)
    return total


@dataclass(frozen=True)
class Basis:
    """Numeric features of some items: what a discriminant sees of an answer.

    An ordered item gives its score from -1 to 1 and the square of it, an unordered one each
    category. Features are centered and scaled under the items' own marginals, so that a missing
    answer, 0, is the mean answer.

    Attributes:
        owner: For each feature, the place of its item among those given. Shape `(f,)`.
        matrix: Value of each feature at each category. Shape `(c, f)`.
        columns: The items' columns. Shape `(c,)`.
    """

    owner: NDArray[np.int64]
    matrix: Floats
    columns: NDArray[np.int64]

    @classmethod
    def of(cls, items: PanelItems, places: Sequence[int], marginal: Floats) -> Basis:
        """Return the features of the items at `places`.

        Args:
            items: All items.
            places: Which of them.
            marginal: Probability of each category within its item. Shape `(n_columns,)`.
        """
        columns = items.columns(places)
        sizes = [items.items[i].size for i in places]
        raw_parts = [_scores(items.items[i]) for i in places]
        owner = np.repeat(np.arange(len(places)), [part.shape[1] for part in raw_parts])
        matrix = np.zeros((len(columns), len(owner)))
        row = feature = 0
        for size, part in zip(sizes, raw_parts, strict=True):
            p = marginal[columns[row : row + size]]
            centered = part - p @ part
            spread = np.sqrt(p @ centered**2)
            scaled = np.where(spread > _FLAT, centered / np.maximum(spread, _FLAT), 0.0)
            matrix[row : row + size, feature : feature + part.shape[1]] = scaled
            row += size
            feature += part.shape[1]
        return cls(owner, matrix, columns)


def _scores(item: PanelItem) -> Floats:
    if not item.ordered:
        return np.eye(item.size)
    score = np.linspace(-1.0, 1.0, item.size)[:, None]
    return score if item.size < 3 else np.hstack([score, score**2])  # noqa: PLR2004 - a square of two points is flat
