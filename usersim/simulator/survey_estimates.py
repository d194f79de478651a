"""What a simulated population answers, item by item: weighted, with intervals, rectified.

Works on the results of a survey and what is known of people; asks nobody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from usersim.errors import EvaluationError, WeightingError
from usersim.evaluation.bootstrap import Interval
from usersim.evaluation.surveys import (
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
from usersim.simulation.survey import SurveyResults
from usersim.simulator.rectified import RectifiedItem, check_shared, rectified
from usersim.simulator.survey_tables import HumanSample, human_table, table_of
from usersim.views import Sheet, printed

__all__ = ["SurveyEstimates", "estimate_survey", "weigh"]

Attributes = Mapping[str, Mapping[str, str]]


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
        The weights; see `usersim.evaluation.surveys.rake`.

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


def _sheet(found: SurveyEstimates) -> Sheet:
    rows = found.to_records()
    columns = ["item", "answer", f"simulated (95 %, {found.items[0].covers})", "n"]
    if found.rectified:
        columns += ["rectified (95 %)", "humans alone (95 %)"]
    kinds = ("simulated", "rectified", "humans")
    cells = [
        [str(row["item"]), str(row["figure"]), *(_figure(row, kind) for kind in kinds)]
        for row in rows
    ]
    notes = ["simulated answers: a model's, not people's"]
    if found.weighting is not None:
        notes.append(str(found.weighting))
    notes += [f"{item}: {reason}" for item, reason in found.left_out.items()]
    return Sheet(
        columns=columns,
        rows=[
            (*own[:3], str(row["n"]), *(own[3:] if found.rectified else ()))
            for own, row in zip(cells, rows, strict=True)
        ],
        notes=notes,
    )


def _figure(row: Mapping[str, object], name: str) -> str:
    value, low, high = (cast("float | None", row[f"{name}{end}"]) for end in ("", "_low", "_high"))
    return "–" if value is None else f"{value:.3f} [{low:.3f}, {high:.3f}]"


@printed(_sheet)
@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyEstimates:
    """What a simulated population answers to every item.

    Attributes:
        items: Estimates from the simulated answers alone.
        rectified: Combined with human answers, by column; empty without them.
        weighting: What raking gave, and what it cost; None without margins.
        left_out: Columns without an estimate, or whose human answers could not be used, and why.
    """

    items: tuple[ItemEstimate, ...]
    rectified: Mapping[str, RectifiedItem]
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
        rows: list[dict[str, object]] = []
        for place, (name, figure) in enumerate(figures):
            # The mean of a scale is not rectified, its shares are.
            better = own.figures[place] if own and place < len(own.figures) else None
            rows.append(
                {
                    "item": one.item,
                    "figure": name,
                    **_interval("simulated", figure),
                    "n": one.n,
                    "effective_n": one.effective_n,
                    "covers": one.covers,
                    **_interval("rectified", better.estimate if better else None),
                    **_interval("humans", better.classical if better else None),
                    "n_human": better.n_human if better else 0,
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
    by: CountBy = "answers",
    seed: int = 0,
) -> SurveyEstimates:
    """Estimate every item of a survey.

    Args:
        results: Of one survey; several are repeated draws.
        attributes: What is known of respondents, for `margins`.
        margins: Known shares of the population, by attribute; None weights all alike.
        most: Largest weight, in mean weights.
        human_sample: What some of the same people really said, by their ids: the estimates are
            then also rectified, and the misfit is measured on it. Those asked must be a random
            part of the population, or the margins' weights make them one.
        covers: What the intervals of the simulated estimates allow for; `misfit` needs humans.
        by: How simulated answers are counted, rectifying included.
        seed: Of the resamples.

    Returns:
        The estimates; an item that allows none is left out, with the reason.

    Raises:
        EvaluationError: If no item can be estimated, or nobody of the sample is among them.
        WeightingError: If no weights give the margins.
    """
    table = table_of(results)
    weighting, weights = None, None
    if margins is not None:
        weighting = weigh(table.respondents, attributes or {}, margins, most=most)
        weights = dict(zip(table.respondents, map(float, weighting.values), strict=True))
        table = table_of(results, weights=weights)
    survey = results.survey if isinstance(results, SurveyResults) else results[0].survey
    human = None
    if human_sample is not None:
        human = human_table(survey, human_sample, weights=weights)
        check_shared(table, human)
    items: list[ItemEstimate] = []
    better: dict[str, RectifiedItem] = {}
    left_out: dict[str, str] = {}
    for item in table.items:
        try:
            items.append(_estimated(table, human, item.key, covers, by, seed))
        except EvaluationError as error:
            left_out[item.key] = _told(error)
            continue
        if human is not None and human.answered(item.key).any():
            try:
                (better[item.key],) = rectified(table, human, columns=[item.key], by=by)
            except EvaluationError as error:
                left_out[item.key] = f"not rectified: {_told(error)}"
    if not items:
        reasons = "; ".join(dict.fromkeys(left_out.values()))
        raise EvaluationError(f"none of {len(table.items)} items can be estimated: {reasons}")
    return SurveyEstimates(
        items=tuple(items), rectified=better, weighting=weighting, left_out=left_out
    )


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
