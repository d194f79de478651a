"""Answers as arrays: who answered which item, in one or several draws, with which weight.

One form for people and for simulations of them, so that both are measured by the same functions.
Knows numbers; knows nothing of surveys, models or files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from usersim.errors import EvaluationError
from usersim.evaluation.bootstrap import FloatArray, divide

__all__ = ["AnswerTable", "CountBy", "Item"]

CountBy = Literal["answers", "probabilities"]
"""Whether a distribution counts the answers given or adds up the options' probabilities."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One column of answers.

    Attributes:
        key: Its name, unique in the table.
        text: What was asked.
        options: What could be answered, in order; empty for a number.
        ordered: Whether the options are a scale.
        start: Number of the first option of a scale.
        codes: Numbers of a scale's options, rising; empty: they count from `start`.
        stem: What was asked, without the row or option that it is about.
        part: The row or option; empty where the question has one answer.
        ticks: Whether it says of one of several options whether it was chosen.
    """

    key: str
    text: str = ""
    options: tuple[str, ...] = ()
    ordered: bool = False
    start: int = 1
    codes: tuple[float, ...] = ()
    stem: str = ""
    part: str = ""
    ticks: bool = False

    @property
    def points(self) -> FloatArray:
        """Numbers of the options, for means. Shape `(options,)`."""
        counted = np.arange(len(self.options), dtype=np.float64) + self.start
        return np.array(self.codes, dtype=np.float64) if self.codes else counted

    @property
    def length(self) -> float:
        """How far the last point of a scale is from its first."""
        return float(self.points[-1] - self.points[0])

    @property
    def scaled(self) -> bool:
        """Whether it has a mean that says something: a number or a scale."""
        return self.ordered or not self.options

    @property
    def numeric(self) -> bool:
        """Whether its values can be correlated: as `scaled`, or one of two options."""
        return self.ordered or len(self.options) in {0, 2}


@dataclass(frozen=True, kw_only=True, eq=False)
class AnswerTable:
    """Answers of some respondents to some items.

    Attributes:
        items: The columns.
        respondents: Who answered, each once.
        values: Place of the chosen option from 0, or the number; NaN: no answer.
            Shape `(draws, respondents, items)`.
        weights: One per respondent, above 0. Shape `(respondents,)`.
        groups: Each respondent's category, by attribute.
        probabilities: Of each option, by the item's key; NaN where there are none.
            Shape `(respondents, options)` each.
        simulated: Whether a model answered.

    Example:
        >>> tea = Item(key="tea", options=("no", "yes"))
        >>> table = AnswerTable.of([tea], {"ada": [{"tea": "yes"}], "bob": [{"tea": "no"}]})
        >>> table.respondents, table.values.shape
        (('ada', 'bob'), (1, 2, 1))
        >>> table.values[0, :, 0].tolist()  # places of the chosen options
        [1.0, 0.0]
    """

    items: tuple[Item, ...]
    respondents: tuple[str, ...]
    values: FloatArray
    weights: FloatArray
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    probabilities: Mapping[str, FloatArray] = field(default_factory=dict[str, FloatArray])
    simulated: bool = False

    def __post_init__(self) -> None:
        people, items = len(self.respondents), len(self.items)
        if len(set(self.respondents)) != people:
            raise EvaluationError("the table has a respondent twice; merge their answers")
        if self.values.ndim != 3 or self.values.shape[1:] != (people, items):  # noqa: PLR2004 - draws, respondents, items
            raise EvaluationError(
                f"values of shape {self.values.shape!r} for {people} respondents and {items} items"
            )
        if self.weights.shape != (people,) or not (self.weights > 0).all():
            raise EvaluationError("a weight above 0 for each respondent")

    @classmethod
    def of(
        cls,
        items: Sequence[Item],
        answers: Mapping[str, Sequence[Mapping[str, str | float]]],
        *,
        weights: Mapping[str, float] | None = None,
        groups: Mapping[str, Mapping[str, str]] | None = None,
        probabilities: Mapping[str, Mapping[str, Mapping[str, float]]] | None = None,
        simulated: bool = False,
    ) -> AnswerTable:
        """Make a table from plain answers.

        Args:
            items: The columns.
            answers: For each respondent a mapping from item to answer, one for each draw.
            weights: Of each respondent; None: all 1.
            groups: Categories of each respondent, by attribute.
            probabilities: Of each respondent by item and option.
            simulated: Whether a model answered.

        Returns:
            The table.

        Raises:
            EvaluationError: If an answer is none of its item's options.

        Example:
            >>> tea = Item(key="tea", options=("no", "yes"))
            >>> table = AnswerTable.of([tea], {"ada": [{"tea": "yes"}], "bob": [{"tea": "no"}]})
            >>> table.shares("tea").tolist()
            [0.5, 0.5]
        """
        people = tuple(answers)
        draws = max((len(one) for one in answers.values()), default=0)
        values = np.full((max(draws, 1), len(people), len(items)), np.nan)
        for row, person in enumerate(people):
            for draw, given in enumerate(answers[person]):
                for column, item in enumerate(items):
                    values[draw, row, column] = _code(item, given.get(item.key), person)
        names = dict.fromkeys(name for one in (groups or {}).values() for name in one)
        told = groups or {}
        return cls(
            items=tuple(items),
            respondents=people,
            values=values,
            weights=np.array([(weights or {}).get(p, 1.0) for p in people], dtype=np.float64),
            groups={n: tuple(told.get(p, {}).get(n, "") for p in people) for n in names},
            probabilities=_probabilities(items, people, probabilities or {}),
            simulated=simulated,
        )

    def item(self, key: str) -> Item:
        """Return a column's description.

        Raises:
            EvaluationError: If there is no such column.
        """
        return self.items[self._place(key)]

    def answered(self, key: str) -> NDArray[np.bool_]:
        """Return who answered an item in at least one draw. Shape `(respondents,)`."""
        return np.isfinite(self.draws(key)).sum(axis=0) > 0

    def mass(self, key: str, *, by: CountBy = "answers") -> FloatArray:
        """Return each respondent's distribution over an item's options, averaged over draws.

        Args:
            key: An item with options.
            by: Counted answers, or the options' probabilities where the table holds them.

        Returns:
            Rows that sum to 1; NaN where there is no answer. Shape `(respondents, options)`.

        Raises:
            EvaluationError: If there is no such item, or it has no options.
        """
        item = self.item(key)
        if not item.options:
            raise EvaluationError(f"item {key!r} is a number and has no options to count")
        if by == "probabilities" and key in self.probabilities:
            return self.probabilities[key]
        given = self.draws(key)
        hits = (given[:, :, None] == np.arange(len(item.options))).sum(axis=0).astype(np.float64)
        draws = hits.sum(axis=1, keepdims=True)
        return divide(hits, np.repeat(draws, hits.shape[1], axis=1))

    def draws(self, key: str) -> FloatArray:
        """Return every draw of one item; NaN: no answer. Shape `(draws, respondents)`."""
        return self.values[:, :, self._place(key)]

    def means(self, key: str) -> FloatArray:
        """Return each respondent's value, averaged over draws; NaN: none. Shape `(n,)`."""
        given = self.draws(key)
        told = np.isfinite(given)
        return divide(np.where(told, given, 0.0).sum(axis=0), told.sum(axis=0).astype(np.float64))

    def shares(self, key: str, *, by: CountBy = "answers") -> FloatArray:
        """Return the weighted share of each option; NaN if nobody answered. Shape `(K,)`."""
        mass = self.mass(key, by=by)
        own = np.where(np.isfinite(mass.sum(axis=1)), self.weights, 0.0)
        totals = np.full(mass.shape[1], float(own.sum()))
        return divide(own @ np.nan_to_num(mass), totals)

    def keep(self, respondents: Sequence[str]) -> AnswerTable:
        """Return the table of some respondents, in the order given.

        Raises:
            EvaluationError: If one of them is not in the table.
        """
        place = {person: row for row, person in enumerate(self.respondents)}
        if unknown := [person for person in respondents if person not in place]:
            raise EvaluationError(f"the table has no respondents {unknown[:5]!r}")
        rows = [place[person] for person in respondents]
        return replace(
            self,
            respondents=tuple(respondents),
            values=self.values[:, rows],
            weights=self.weights[rows],
            groups={name: tuple(told[r] for r in rows) for name, told in self.groups.items()},
            probabilities={key: told[rows] for key, told in self.probabilities.items()},
        )

    def without(self, key: str) -> AnswerTable:
        """Return the table without one item."""
        held = [place for place, item in enumerate(self.items) if item.key != key]
        return replace(
            self, items=tuple(self.items[p] for p in held), values=self.values[:, :, held]
        )

    def _place(self, key: str) -> int:
        for place, item in enumerate(self.items):
            if item.key == key:
                return place
        raise EvaluationError(
            f"the table has no item {key!r}", hint=f"it has: {[i.key for i in self.items]!r}"
        )


def _code(item: Item, value: str | float | None, person: str) -> float:
    """Return an answer as a number: the option's place, or the number itself.

    Raises:
        EvaluationError: If it is neither.
    """
    if value is None:
        return float("nan")
    if not item.options:
        try:
            return float(value)
        except ValueError:
            raise EvaluationError(
                f"{value!r} of {person!r} to item {item.key!r} is not a number"
            ) from None
    if value not in item.options:
        raise EvaluationError(
            f"{value!r} of {person!r} is not an option of item {item.key!r}",
            hint=f"options: {list(item.options)!r}",
        )
    return float(item.options.index(str(value)))


def _probabilities(
    items: Sequence[Item],
    people: Sequence[str],
    told: Mapping[str, Mapping[str, Mapping[str, float]]],
) -> dict[str, FloatArray]:
    found: dict[str, FloatArray] = {}
    for item in items:
        rows = np.full((len(people), len(item.options)), np.nan)
        for row, person in enumerate(people):
            given = told.get(person, {}).get(item.key)
            if given and item.options:
                p = np.array([given.get(o, 0.0) for o in item.options], dtype=np.float64)
                if p.sum() > 0:
                    rows[row] = p / p.sum()
        if np.isfinite(rows).any():
            found[item.key] = rows
    return found
