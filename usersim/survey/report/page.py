"""The page of a simulated survey: one self-contained file, marked as simulated.

Every text is escaped; the page loads nothing, and its own policy forbids it to.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from usersim.errors import EvaluationError
from usersim.evaluation.bootstrap import Interval
from usersim.evaluation.report.page import page_environment
from usersim.files import make_folder, write_text
from usersim.survey.estimates import (
    AnswerTable,
    Item,
    ItemEstimate,
    SurveyFit,
    estimate,
    survey_fit,
)
from usersim.survey.report.plots import survey_plots

__all__ = ["write_survey_report"]

_GAP = "\N{NO-BREAK SPACE}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Figure:
    """One figure of an item: the share of an option, or a mean; simulated and of people."""

    label: str
    simulated: str
    people: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _ItemTable:
    """All figures of an item, with the answers behind them."""

    key: str
    text: str
    n_simulated: int
    n_people: int
    figures: tuple[_Figure, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    name: str
    value: str
    interval: str
    floor: str
    reading: str


def write_survey_report(
    simulated: AnswerTable,
    path: str | Path,
    *,
    human: AnswerTable | None = None,
    title: str,
    provenance: Mapping[str, object],
    weighting: str = "",
) -> Path:
    """Write the page.

    Args:
        simulated: What was simulated.
        path: The HTML file; its folder is made, the file replaced.
        human: What people answered to the same items; None writes the page without them.
        title: Heading of the page.
        provenance: Command, model, seeds.
        weighting: How the tables' weights were made; empty if all count alike.

    Returns:
        The file.

    Raises:
        MissingDependencyError: If matplotlib is not installed.
        EvaluationError: If it cannot be written, or no item has human answers beside simulated.
    """
    fit = survey_fit(human, simulated) if human is not None else None
    text = (
        page_environment("usersim.survey.report")
        .get_template("survey.html.jinja")
        .render(
            title=title,
            simulated=simulated,
            human=human,
            fit=fit,
            summary=_summary(fit) if fit is not None else [],
            plots=survey_plots(human, simulated),
            tables=[_table(item, simulated, human) for item in simulated.items],
            weighting=weighting,
            provenance={key: str(value) for key, value in provenance.items()},
        )
    )
    target = Path(path)
    hint = "choose a folder that can be written"
    make_folder(target.parent, what="the report", error=EvaluationError, hint=hint)
    return write_text(target, text, what="the report", error=EvaluationError, hint=hint)


def _table(item: Item, simulated: AnswerTable, human: AnswerTable | None) -> _ItemTable:
    """Return the figures of an item; a side without answers has none."""
    guess, real = _estimate(simulated, item), _estimate(human, item)
    names = [*item.options, *(["mean"] if item.scaled else [])]
    sides = [_figures(one, len(names)) for one in (guess, real)]
    return _ItemTable(
        key=item.key,
        text=item.text,
        n_simulated=guess.n if guess else 0,
        n_people=real.n if real else 0,
        figures=tuple(
            _Figure(label=name, simulated=sides[0][place], people=sides[1][place])
            for place, name in enumerate(names)
        ),
    )


def _estimate(table: AnswerTable | None, item: Item) -> ItemEstimate | None:
    if table is None or all(one.key != item.key for one in table.items):
        return None
    return estimate(table, item.key) if table.answered(item.key).any() else None


def _figures(found: ItemEstimate | None, size: int) -> list[str]:
    if found is None:
        return ["–"] * size
    shares = [f"{100 * one.value:.0f}{_GAP}% [{100 * one.low:.0f},{_GAP}{100 * one.high:.0f}]"
              for one in found.shares]  # fmt: skip
    if found.mean is None:
        return shares
    mean = found.mean
    return [*shares, f"{mean.value:.2f} [{mean.low:.2f},{_GAP}{mean.high:.2f}]"]


def _summary(fit: SurveyFit) -> list[_Row]:
    rows = [
        _row("Total variation", fit.total_variation, fit.floor,
             "share of people who would have to answer differently, mean over items"),
        _row("SimBench score", fit.score, None,
             "100 is perfect, 0 no better than the uniform answer"),
        _row("Entropy ratio", fit.entropy_ratio, None,
             "below 1 the simulated people are too much alike"),
    ]  # fmt: skip
    if not math.isnan(fit.same_again):
        rows.append(
            _Row(name="Same again", value=f"{fit.same_again:.2f}", interval="", floor="",
                 reading="share of repeated draws of one respondent that agree")
        )  # fmt: skip
    if fit.correlation is not None:
        rows.append(
            _row("Correlation gap", fit.correlation.gap, fit.correlation.floor,
                 f"mean difference of correlations over {fit.correlation.n_pairs} pairs of items")
        )  # fmt: skip
        rows.append(
            _Row(name="Correlation strength", value=_plain(fit.correlation.strength), interval="",
                 floor="", reading="above 1 the simulated are more of a piece than people are")
        )  # fmt: skip
    return rows


def _plain(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2f}"


def _row(name: str, one: Interval, floor: float | None, reading: str) -> _Row:
    digits = 0 if name.endswith("score") else 3
    known = math.isfinite(one.low) and math.isfinite(one.high)
    return _Row(
        name=name,
        value=f"{one.value:.{digits}f}" if math.isfinite(one.value) else "–",
        interval=f"[{one.low:.{digits}f}, {one.high:.{digits}f}]" if known else "",
        floor="" if floor is None or math.isnan(floor) else f"{floor:.3f}",
        reading=reading,
    )
