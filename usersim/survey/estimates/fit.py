"""How near simulated answers come to human ones: per item, between groups, and in all.

Distances are those of `usersim.survey.estimates.distances`; beside each stands what two halves of
the humans themselves come to, since no simulation can be told to be nearer than that. Knows
answer tables; knows nothing of surveys or models.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from usersim.errors import EvaluationError
from usersim.evaluation.bootstrap import FloatArray, Interval, Resampling, basic_interval, divide
from usersim.survey.estimates.correlation import CorrelationGap, correlation_gap
from usersim.survey.estimates.distances import Distances, distances
from usersim.survey.estimates.items import split_half
from usersim.survey.estimates.tables import AnswerTable, CountBy, Item
from usersim.views import Sheet, printed

__all__ = ["GroupGap", "ItemFit", "SurveyFit", "survey_fit"]

LEAST_PEOPLE = 5
"""Fewer answers than this make no distribution."""
_RESAMPLES = 1000
_HALVINGS = 20
_BOUNDS = {
    "total_variation": (0.0, 1.0),
    "score": (-math.inf, 100.0),
    "entropy_ratio": (0.0, math.inf),
    "wasserstein": (0.0, 1.0),
}
_MEANS = ("total_variation", "score", "entropy_ratio")
"""Figures whose mean over items stands for the survey."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemFit:
    """One item, answered by people and by a simulation.

    Attributes:
        item: What was asked.
        n_human: People who answered.
        n_simulated: Simulated respondents who answered.
        human: Weighted share of each option.
        simulated: The same of the simulation.
        distances: Between the two, with the humans' own halves beside.
        intervals: 95 % interval of `total_variation`, `wasserstein`, `score` and `entropy_ratio`,
            by their names in `distances`; resamples respondents.
        same_again: Share of pairs of draws of one simulated respondent with the same answer;
            NaN for a single draw.
    """

    item: Item
    n_human: int
    n_simulated: int
    human: tuple[float, ...]
    simulated: tuple[float, ...]
    distances: Distances
    intervals: Mapping[str, Interval]
    same_again: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupGap:
    """How the simulation fits one group of people, over all items.

    Attributes:
        attribute: What defines the groups.
        category: The group.
        n_human: People in it.
        total_variation: Mean over items.
        floor: The same between halves of these people.
    """

    attribute: str
    category: str
    n_human: int
    total_variation: float
    floor: float


def _sheet(found: SurveyFit) -> Sheet:
    return Sheet(
        title="Simulated answers beside human ones",
        columns=("item", "humans", "simulated", "total variation", "between halves of the humans"),
        rows=[
            (
                one.item.key,
                one.n_human,
                one.n_simulated,
                one.distances.total_variation,
                one.distances.floor,
            )
            for one in found.items
        ],
        notes=[
            f"total variation {found.total_variation}",
            f"between halves of the humans {found.floor:.3f}",
            f"score {found.score} of 100",
            f"entropy ratio {found.entropy_ratio}: below 1 the simulated are too alike",
        ],
    )


@printed(_sheet)
@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyFit:
    """A simulated survey beside the human one.

    Attributes:
        items: Item by item.
        total_variation: Mean over items; the interval resamples respondents.
        score: Mean of `100·(1 − TV/TV_uniform)`.
        floor: Mean total variation between halves of the humans.
        entropy_ratio: Mean of H(simulated) / H(humans); below 1 the simulated are too alike.
        same_again: Mean over items of `ItemFit.same_again`.
        correlation: How far correlations between items are off; None for fewer than two items
            with a mean.
        groups: Fit of each group that both sides know.

    Example:
        >>> from usersim.survey import Survey, SurveyResponse, SurveyResults, YesNo, compare_survey
        >>> survey = Survey(title="Drinks", questions=(YesNo(id="tea", text="Tea?"),))
        >>> people = tuple(f"p{i}" for i in range(20))
        >>> answers = [SurveyResponse(respondent=p, question="tea", value="yes") for p in people]
        >>> simulated = SurveyResults(
        ...     survey=survey, people=people, responses=tuple(answers), seed=0
        ... )
        >>> human = {p: {"tea": "no" if i % 4 == 0 else "yes"} for i, p in enumerate(people)}
        >>> fit = compare_survey(simulated, human).fit
        >>> round(fit.total_variation.value, 2), fit.correlation
        (0.25, None)
    """

    items: tuple[ItemFit, ...]
    total_variation: Interval
    score: Interval
    floor: float
    entropy_ratio: Interval
    same_again: float
    correlation: CorrelationGap | None
    groups: tuple[GroupGap, ...]


def survey_fit(
    human: AnswerTable,
    simulated: AnswerTable,
    *,
    by: CountBy = "answers",
    seed: int = 0,
) -> SurveyFit:
    """Compare simulated with human answers on every item with options that both hold.

    Args:
        human: What people answered.
        simulated: What was simulated, of the same people or of others.
        by: How simulated answers are counted. Answers are what a survey of the simulated people
            shows; probabilities are what the model believes of all of them together.
        seed: Of resamples and halvings.

    Returns:
        The comparison.

    Raises:
        EvaluationError: If no item has answers of enough people on both sides.
    """
    shared = _shared(human, simulated)
    if not shared:
        raise EvaluationError(
            f"no item with options was answered by {LEAST_PEOPLE} people on both sides",
            hint="items are matched by key: check that human and simulated answers are to the same "
            "survey",
        )
    resampled = _resampled(human, simulated, shared, by, seed)
    fits = [
        _item_fit(
            human, simulated, item, by, {name: rows[place] for name, rows in resampled.items()}
        )
        for place, item in enumerate(shared)
    ]
    means = {n: _mean([getattr(f.distances, n) for f in fits]) for n in _MEANS}
    over = {n: _nanmean(resampled[n]) for n in _MEANS}
    numeric = [item.key for item in shared if item.numeric]
    return SurveyFit(
        items=tuple(fits),
        **{n: _within(basic_interval(means[n], over[n]), _BOUNDS[n]) for n in _MEANS},
        floor=_mean([f.distances.floor for f in fits]),
        same_again=_mean([f.same_again for f in fits]),
        correlation=correlation_gap(human, simulated, numeric, seed=seed)
        if len(numeric) > 1
        else None,
        groups=tuple(_groups(human, simulated, shared, by, seed)),
    )


def _shared(human: AnswerTable, simulated: AnswerTable) -> list[Item]:
    """Return the items that can be compared.

    Raises:
        EvaluationError: If an item has other options in the simulation.
    """
    held = {item.key: item for item in simulated.items}
    found: list[Item] = []
    for item in human.items:
        other = held.get(item.key)
        if other is None or not item.options:
            continue
        if other.options != item.options:
            raise EvaluationError(
                f"item {item.key!r} has different options in the simulation: {other.options!r} "
                f"instead of {item.options!r}"
            )
        if min(t.answered(item.key).sum() for t in (human, simulated)) >= LEAST_PEOPLE:
            found.append(item)
    return found


def _item_fit(
    human: AnswerTable,
    simulated: AnswerTable,
    item: Item,
    by: CountBy,
    resampled: Mapping[str, FloatArray],
) -> ItemFit:
    real, guess = human.shares(item.key), simulated.shares(item.key, by=by)
    given = human.draws(item.key)[0]
    counts = np.bincount(given[np.isfinite(given)].astype(int), minlength=len(item.options))
    found = distances(guess, real, counts=counts.tolist(), ordered=item.ordered)
    return ItemFit(
        item=item,
        n_human=int(human.answered(item.key).sum()),
        n_simulated=int(simulated.answered(item.key).sum()),
        human=tuple(real.tolist()),
        simulated=tuple(guess.tolist()),
        distances=found,
        intervals={
            name: _within(basic_interval(getattr(found, name), draws), _BOUNDS[name])
            for name, draws in resampled.items()
        },
        same_again=_same_again(simulated.draws(item.key)),
    )


def _same_again(draws: FloatArray) -> float:
    """Return the share of pairs of draws of one respondent that agree. Shape `(draws, n)`."""
    pairs = [
        (draws[i] == draws[j])[np.isfinite(draws[i]) & np.isfinite(draws[j])]
        for i in range(len(draws))
        for j in range(i)
    ]
    joined = np.concatenate(pairs) if pairs else np.array([])
    return float(joined.mean()) if joined.size else float("nan")


def _within(one: Interval, bounds: tuple[float, float]) -> Interval:
    """Return an interval cut to what its figure can be; NaN stays NaN."""
    return Interval(one.value, *(float(np.clip(end, *bounds)) for end in (one.low, one.high)))


def _mean(values: Sequence[float]) -> float:
    told = [value for value in values if np.isfinite(value)]
    return float(np.mean(told)) if told else float("nan")


def _resampled(
    human: AnswerTable, simulated: AnswerTable, items: Sequence[Item], by: CountBy, seed: int
) -> dict[str, FloatArray]:
    """Return each item's figures in resamples of respondents. Shape `(items, b)` each.

    Where both tables hold the same people, both sides are resampled alike.
    """
    same = human.respondents == simulated.respondents
    of_humans = _counts(human, seed)
    of_simulated = of_humans / human.weights * simulated.weights if same else None
    if of_simulated is None:
        of_simulated = _counts(simulated, seed + 1)
    parts: dict[str, list[FloatArray]] = {name: [] for name in _BOUNDS}
    for item in items:
        q = _shares(human.mass(item.key), of_humans)
        p = _shares(simulated.mass(item.key, by=by), of_simulated)
        tv = np.abs(p - q).sum(axis=1) / 2
        uniform = np.abs(1 / len(item.options) - q).sum(axis=1) / 2
        parts["total_variation"].append(tv)
        parts["score"].append(divide(uniform - tv, uniform) * 100)
        parts["entropy_ratio"].append(divide(_entropies(p), _entropies(q)))
        moved = np.abs(np.cumsum(p - q, axis=1)[:, :-1]).sum(axis=1) / max(len(item.options) - 1, 1)
        parts["wasserstein"].append(moved if item.ordered else np.full_like(moved, np.nan))
    return {name: np.stack(rows) for name, rows in parts.items()}


def _nanmean(rows: FloatArray) -> FloatArray:
    told = np.isfinite(rows)
    return divide(np.where(told, rows, 0.0).sum(axis=0), told.sum(axis=0).astype(np.float64))


def _entropies(p: FloatArray) -> FloatArray:
    return -(p * np.log2(np.where(p > 0, p, 1.0))).sum(axis=1)


def _counts(table: AnswerTable, seed: int) -> FloatArray:
    names = table.respondents
    return Resampling.of(names, names, resamples=_RESAMPLES, seed=seed).weights * table.weights


def _shares(mass: FloatArray, counts: FloatArray) -> FloatArray:
    told = np.isfinite(mass).all(axis=1)
    sums = counts[:, told] @ mass[told]
    return divide(sums, np.repeat(sums.sum(axis=1, keepdims=True), sums.shape[1], axis=1))


def _groups(
    human: AnswerTable, simulated: AnswerTable, items: Sequence[Item], by: CountBy, seed: int
) -> list[GroupGap]:
    found: list[GroupGap] = []
    for attribute, told in human.groups.items():
        other = simulated.groups.get(attribute)
        if other is None:
            continue
        for category in dict.fromkeys(told):
            real = human.keep(_members(human, told, category))
            guess = simulated.keep(_members(simulated, other, category))
            held = [item for item in items if item in _shared(real, guess)]
            if category and held:
                gaps = [_gap(real, guess, item, by) for item in held]
                found.append(
                    GroupGap(
                        attribute=attribute,
                        category=category,
                        n_human=len(real.respondents),
                        total_variation=_mean(gaps),
                        floor=_halves(real, held, seed),
                    )
                )
    return found


def _members(table: AnswerTable, told: Sequence[str], category: str) -> list[str]:
    return [p for p, own in zip(table.respondents, told, strict=True) if own == category]


def _gap(first: AnswerTable, second: AnswerTable, item: Item, by: CountBy) -> float:
    gap = first.shares(item.key) - second.shares(item.key, by=by)
    return float(np.abs(gap).sum() / 2)


def _halves(table: AnswerTable, items: Sequence[Item], seed: int) -> float:
    """Return the mean total variation between random halves of people, over items."""
    gaps: list[float] = []
    for halving in range(_HALVINGS):
        first, second = split_half(table, seed=seed + halving)
        gaps.extend(_gap(first, second, item, "answers") for item in items)
    return _mean(gaps)
