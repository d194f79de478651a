"""What a simulated population answers, item by item: weighted, with intervals, rectified.

Works on the results of a survey and what is known of people; asks nobody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from usersim.errors import EvaluationError, WeightingError
from usersim.evaluation.bootstrap import Interval
from usersim.survey.estimates import (
    AnswerTable,
    CountBy,
    Covers,
    ItemEstimate,
    Margins,
    Weights,
    estimate,
    misfit,
    rake,
)
from usersim.survey.rectified import RectifiedItem, rectified
from usersim.survey.samples import HumanAnswers, HumanSample, read_human, table_of
from usersim.survey.survey import SurveyResults
from usersim.views import Sheet, printed

__all__ = ["SurveyEstimates", "estimate_survey", "sheet_of", "weigh"]

Attributes = Mapping[str, Mapping[str, str]]

_OTHERS = (
    "not rectified: no id of the human sample is among the simulated people; its figures are "
    "shown beside the simulated ones"
)


def weigh(
    people: Sequence[str],
    attributes: Attributes,
    margins: Margins,
    *,
    start: Sequence[float] | None = None,
    most: float | None = None,
) -> Weights:
    """Weight people so that their attributes have known shares.

    Args:
        people: Their ids, in the order of the weights.
        attributes: What is known of each, by name.
        margins: Share of each category, by attribute.
        start: Weights to begin with; None: all alike.
        most: Largest weight, in mean weights.

    Returns:
        The weights; see `usersim.survey.estimates.rake`.

    Raises:
        WeightingError: If no weights give these shares.
    """
    told = {
        name: [attributes.get(person, {}).get(name, "") for person in people] for name in margins
    }
    for name, categories in told.items():
        unknown = [p for p, category in zip(people, categories, strict=True) if not category]
        if unknown and "" not in margins[name]:
            known = sorted({one for person in people for one in attributes.get(person, {})})
            raise WeightingError(
                f"{len(unknown)} of {len(people)} people have no {name!r}, as {unknown[:3]!r}",
                hint=f"what is known of people: {known[:12]!r}; it must be the same in all of "
                "somebody's rows",
            )
    return rake(told, margins, start=start, most=most)


def sheet_of(found: SurveyEstimates) -> Sheet:
    """Return a row per figure, the item's text beside its first one, and what has no figure."""
    columns = ["item", "answer", f"simulated (95 %, {found.items[0].covers})", "n"]
    columns += ["humans (95 %)", "n of humans"] if found.human is not None else []
    columns += ["rectified (95 %)"] if found.rectified else []
    rows: list[tuple[str, ...]] = []
    last = ""
    for row in found.to_records():
        name = str(row["item"])
        first, last = name != last, name
        text = found.texts.get(name, "")
        cells = [f"{name}: {text}" if first and text else name if first else ""]
        cells += [str(row["figure"]), _figure(row, "simulated"), str(row["n"])]
        if found.human is not None:
            cells += [_figure(row, "humans"), str(row["n_human"])]
        rows.append((*cells, *((_figure(row, "rectified"),) if found.rectified else ())))
    told = [str(one) for one in (found.human, found.weighting) if one is not None]
    if found.human is not None and not found.shared:
        told.append(_OTHERS)
    return Sheet(
        columns=columns,
        rows=rows,
        notes=[
            "simulated answers: a model's, not people's",
            *told,
            *(f"{item}: {reason}" for item, reason in found.left_out.items()),
        ],
    )


def _figure(row: Mapping[str, object], name: str) -> str:
    value, low, high = (cast("float | None", row[f"{name}{end}"]) for end in ("", "_low", "_high"))
    if value is None or low is None or high is None:
        return "–"
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


@printed(sheet_of)
@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyEstimates:
    """What a simulated population answers to every item.

    Attributes:
        items: Estimates from the simulated answers alone.
        rectified: Combined with human answers, by column; empty without them.
        people: Estimates from the human answers alone, by column.
        texts: What was asked, by column.
        human: The human sample, and how much of it was used; None without one.
        shared: Whether somebody of it is among the simulated people. If not, its figures stand
            beside the simulated ones, and nothing is rectified.
        weighting: What raking gave, and what it cost; None without margins.
        left_out: Columns without an estimate, or whose human answers could not be used, and why.
    """

    items: tuple[ItemEstimate, ...]
    rectified: Mapping[str, RectifiedItem]
    people: Mapping[str, ItemEstimate]
    texts: Mapping[str, str]
    human: HumanAnswers | None
    shared: bool = False
    weighting: Weights | None
    left_out: Mapping[str, str]

    def to_records(self) -> list[dict[str, object]]:
        """Return one flat row per figure: an option's share, or a number's mean."""
        return [row for one in self.items for row in self._rows(one)]

    def _rows(self, one: ItemEstimate) -> list[dict[str, object]]:
        figures = list(zip(one.options, one.shares, strict=True))
        if one.mean is not None:
            figures.append(("mean", one.mean))
        own = self.rectified.get(one.item)
        real = self.people.get(one.item)
        alone = [] if real is None else [*real.shares, *([real.mean] if real.mean else [])]
        rows: list[dict[str, object]] = []
        for place, (name, figure) in enumerate(figures):
            # The mean of a scale is not rectified, its shares are.
            better = own.figures[place] if own and place < len(own.figures) else None
            humans = alone[place] if place < len(alone) else None
            rows.append(
                {
                    "item": one.item,
                    "figure": name,
                    **_interval("simulated", figure),
                    "n": one.n,
                    "effective_n": one.effective_n,
                    "covers": one.covers,
                    **_interval("rectified", better.estimate if better else None),
                    **_interval("humans", better.classical if better else humans),
                    "n_human": better.n_human if better else real.n if real else 0,
                    "simulated_answers": True,
                }
            )
        return rows


def _interval(name: str, one: Interval | None) -> dict[str, float | None]:
    ends = (None, None, None) if one is None else (one.value, one.low, one.high)
    return dict(zip((name, f"{name}_low", f"{name}_high"), ends, strict=True))


def estimate_survey(
    results: SurveyResults | Sequence[SurveyResults],
    *,
    attributes: Attributes | None = None,
    margins: Margins | None = None,
    most: float | None = None,
    human_sample: HumanSample | None = None,
    covers: Covers = "people",
    by: CountBy = "probabilities",
    seed: int = 0,
) -> SurveyEstimates:
    """Estimate every item of a survey.

    Args:
        results: Of one survey; several are repeated draws.
        attributes: What is known of respondents, for `margins`.
        margins: Known shares of the population, by attribute; None weights all alike.
        most: Largest weight, in mean weights.
        human_sample: What people really said (or what `read_human` made of it), to stand beside
            the simulated answers; the misfit is measured on it. If some are the same people, by
            their ids, the estimates are also rectified: those asked must then be a random part of
            the population, or the margins' weights make them one.
        covers: What the intervals of the simulated estimates allow for; `misfit` needs humans.
        by: How simulated answers are counted, rectifying included.
        seed: Of the resamples.

    Returns:
        The estimates; an item that allows none is left out, with the reason.

    Raises:
        EvaluationError: If no item can be estimated.
        WeightingError: If no weights give the margins.
    """
    table = table_of(results)
    weighting, weights = None, None
    if margins is not None:
        weighting = weigh(table.respondents, attributes or {}, margins, most=most)
        weights = dict(zip(table.respondents, map(float, weighting.values), strict=True))
        table = table_of(results, weights=weights)
    survey = results.survey if isinstance(results, SurveyResults) else results[0].survey
    told = None
    if human_sample is not None:
        told = read_human(survey, human_sample, weights=weights)
    shared = told is not None and bool(set(told.table.respondents) & set(table.respondents))
    made = _Items(table, None if told is None else told.table, shared, covers, by, seed)
    for item in table.items:
        made.add(item.key)
    if not made.items:
        reasons = "; ".join(dict.fromkeys(made.left_out.values()))
        raise EvaluationError(f"none of {len(table.items)} items can be estimated: {reasons}")
    return SurveyEstimates(
        items=tuple(made.items),
        rectified=made.rectified,
        people=made.people,
        texts={item.key: item.text for item in table.items},
        human=told,
        shared=shared,
        weighting=weighting,
        left_out=made.left_out,
    )


@dataclass(slots=True)
class _Items:
    """Estimates in the making, item after item."""

    table: AnswerTable
    human: AnswerTable | None
    shared: bool
    covers: Covers
    by: CountBy
    seed: int
    items: list[ItemEstimate] = field(default_factory=list[ItemEstimate])
    rectified: dict[str, RectifiedItem] = field(default_factory=dict[str, RectifiedItem])
    people: dict[str, ItemEstimate] = field(default_factory=dict[str, ItemEstimate])
    left_out: dict[str, str] = field(default_factory=dict[str, str])

    def add(self, key: str) -> None:
        """Estimate an item, or say why it cannot be."""
        try:
            one = _estimated(self.table, self.human, key, self.covers, self.by, self.seed)
        except EvaluationError as error:
            self.left_out[key] = _told(error)
            return
        self.items.append(one)
        if self.human is None or not self.human.answered(key).any():
            return
        self.people[key] = estimate(self.human, key, seed=self.seed)
        if not self.shared:
            return
        try:
            (self.rectified[key],) = rectified(self.table, self.human, columns=[key], by=self.by)
        except EvaluationError as error:
            self.left_out[key] = f"not rectified: {_told(error)}"


def _told(error: EvaluationError) -> str:
    return f"{error} ({error.hint})" if error.hint else str(error)


def _estimated(
    table: AnswerTable,
    human: AnswerTable | None,
    column: str,
    covers: Covers,
    by: CountBy,
    seed: int,
) -> ItemEstimate:
    gaps = None
    if human is not None and covers == "misfit":
        gaps = misfit(human.without(column), table.without(column), by=by)
    return estimate(table, column, covers=covers, by=by, gaps=gaps, seed=seed)
