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
from usersim.evaluation.report.plots_survey import survey_plots
from usersim.evaluation.surveys import AnswerTable, SurveyFit, survey_fit
from usersim.files import make_folder, write_text

__all__ = ["write_survey_report"]


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
) -> Path:
    """Write the page.

    Args:
        simulated: What was simulated.
        path: The HTML file; its folder is made, the file replaced.
        human: What people answered to the same items; None writes the page without them.
        title: Heading of the page.
        provenance: Command, model, seeds.

    Returns:
        The file.

    Raises:
        MissingDependencyError: If matplotlib is not installed.
        EvaluationError: If it cannot be written, or no item has human answers beside simulated.
    """
    fit = survey_fit(human, simulated) if human is not None else None
    text = (
        page_environment()
        .get_template("survey.html.jinja")
        .render(
            title=title,
            simulated=simulated,
            human=human,
            fit=fit,
            summary=_summary(fit) if fit is not None else [],
            plots=survey_plots(human, simulated),
            provenance={key: str(value) for key, value in provenance.items()},
        )
    )
    target = Path(path)
    hint = "choose a folder that can be written"
    make_folder(target.parent, what="the report", error=EvaluationError, hint=hint)
    return write_text(target, text, what="the report", error=EvaluationError, hint=hint)


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
            _Row(name="Correlation strength", value=f"{fit.correlation.strength:.2f}", interval="",
                 floor="", reading="above 1 the simulated are more of a piece than people are")
        )  # fmt: skip
    return rows


def _row(name: str, one: Interval, floor: float | None, reading: str) -> _Row:
    digits = 0 if name.endswith("score") else 3
    return _Row(
        name=name,
        value=f"{one.value:.{digits}f}",
        interval=f"[{one.low:.{digits}f}, {one.high:.{digits}f}]",
        floor="" if floor is None else f"{floor:.3f}",
        reading=reading,
    )
