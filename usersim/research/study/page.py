"""The page of a study, as HTML and as Markdown, and its figures as CSV and JSON.

The main comparison stands first. Every text is escaped; the page loads nothing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from usersim.errors import EvaluationError
from usersim.evaluation import caution, title_of
from usersim.evaluation.bootstrap import Interval
from usersim.evaluation.report.page import page_environment
from usersim.evaluation.verdict import FEW_PEOPLE
from usersim.files import csv_text, make_folder, write_text
from usersim.research.study.cells import Cell
from usersim.research.study.figures import ArmFigures, Figures, SetFigures
from usersim.research.study.plots import study_forest
from usersim.research.study.running import CellState, seconds_of
from usersim.types.counting import counted

__all__ = ["write_study_page"]

_HINT = "choose a writable folder"
_FIELDS = ("comparison", "arm", "against", "set", "metric", "unit", "difference", "low", "high")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """A table of the page: heading, what has to be known to read it, columns and cells."""

    heading: str
    note: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def write_study_page(
    figures: Figures,
    cells: Sequence[Cell],
    states: Mapping[str, CellState],
    out: Path,
    *,
    provenance: Mapping[str, object],
    errors: Mapping[str, str] = {},
) -> Path:
    """Write `study.html`, `study.md`, `study.csv` and `study.json`.

    Args:
        figures: What was found so far.
        cells: Every cell of the study.
        states: How far each is, by its name.
        out: Folder of the study.
        provenance: Command and versions.
        errors: Why cells failed, by name.

    Returns:
        The HTML page.

    Raises:
        MissingDependencyError: If matplotlib is not installed.
        EvaluationError: If a file cannot be written.
    """
    tables = [*map(_arms_table, figures.sets), _cells_table(cells, states, errors, out)]
    plot = study_forest(figures.contrasts)
    main = [str(one) for one in figures.main]
    further = [str(one) for one in figures.contrasts if one not in figures.main]
    open_ = sum(states[cell.name] != "done" for cell in cells)
    unfinished = (
        f"{counted(open_, 'cell')} of {len(cells)} not finished: the figures are of the others."
        if open_
        else ""
    )
    told = {key: str(value) for key, value in provenance.items()}
    page = (
        page_environment("usersim.research.study")
        .get_template("study.html.jinja")
        .render(
            plan=figures.plan,
            comparison=_compared(figures),
            main=main,
            further=further,
            unfinished=unfinished,
            caution=caution(min((one.people for one in figures.contrasts), default=FEW_PEOPLE)),
            plot=plot,
            tables=tables,
            provenance=told,
        )
    )
    records = figures.to_records()
    files = {
        "study.csv": csv_text(records, list(records[0]) if records else list(_FIELDS)),
        "study.json": json.dumps(records, indent=2) + "\n",
        "study.md": _markdown(figures, main, further, unfinished, tables, told),
        "study.html": page,
    }
    if plot is not None:
        files["forest.svg"] = plot.svg
    target = make_folder(out, what="the study", error=EvaluationError, hint=_HINT)
    for name, text in files.items():
        write_text(target / name, text, what="the study", error=EvaluationError, hint=_HINT)
    return target / "study.html"


def _compared(figures: Figures) -> str:
    main = figures.plan.main
    return f"{title_of(main.arm)} against {title_of(main.against)}"


def _arms_table(one: SetFigures) -> _Table:
    if one.metric is None:
        return _Table(heading=one.name, note="No seed is finished yet.", columns=(), rows=())
    missing = f" Not finished: seeds {', '.join(map(str, one.missing))}." if one.missing else ""
    note = (
        f"{one.metric.label}, {one.metric.unit}, mean over answers and "
        f"{counted(len(one.seeds), 'seed')}; differences to {one.baseline}, paired, with 95 % "
        "intervals over people, conversations and seeds; p corrected by Holm over the arms. Arms "
        f"that reason average over K = {one.traces} traces, and a likelihood rises with K whatever "
        f"the traces say.{missing}{_left_out(one)}"
    )
    return _Table(
        heading=one.name,
        note=note,
        columns=("arm", one.metric.label, f"less {one.baseline}", "p, Holm", "by seed"),
        rows=tuple(map(_arm_row, one.arms)),
    )


def _left_out(one: SetFigures) -> str:
    if not one.without:
        return ""
    names = ", ".join(one.without)
    return f" Without a likelihood of texts, and compared on closed answers alone: {names}."


def _arm_row(arm: ArmFigures) -> tuple[str, ...]:
    if arm.against is None:
        return (arm.title, _signed(arm.value), "–", "–", "–")
    seeds = ", ".join(map(_signed, arm.against.by_run))
    p = "–" if math.isnan(arm.p_holm) else f"{arm.p_holm:.3f}"
    return (arm.title, _signed(arm.value), _interval(arm.against.difference), p, seeds)


def _cells_table(
    cells: Sequence[Cell], states: Mapping[str, CellState], errors: Mapping[str, str], out: Path
) -> _Table:
    rows = tuple(
        (
            cell.name,
            states[cell.name],
            f"{seconds_of(cell, out) / 60:.1f}",
            cell.settings.model or "",
            cell.settings.recon_model or "the same",
            f"{cell.source.name}/seed-{cell.seed}/report.html"
            if states[cell.name] == "done"
            else "",
            *([errors.get(cell.name, "")] if errors else []),
        )
        for cell in cells
    )
    columns = ("cell", "state", "minutes", "model", "traces by", "report")
    columns += ("error",) if errors else ()
    note = (
        "One evaluation each; its report has every metric, K = 1, 4 and 16 up to the K that was "
        "drawn, leakage figures and examples."
    )
    return _Table(heading="Cells", note=note, columns=columns, rows=rows)


def _markdown(
    figures: Figures,
    main: Sequence[str],
    further: Sequence[str],
    unfinished: str,
    tables: Sequence[_Table],
    provenance: Mapping[str, str],
) -> str:
    lines = [f"# {figures.plan.title}", ""]
    lines += [figures.plan.description, ""] if figures.plan.description else []
    lines += [f"**{unfinished}**", ""] if unfinished else []
    lines += [f"## Main comparison: {_compared(figures)}", ""]
    lines += [f"- {one}" for one in main] or ["- No set is finished yet."]
    if further:
        lines += ["", "## Further comparisons", "", *(f"- {one}" for one in further)]
    if figures.contrasts:
        lines += ["", "![Every comparison, pooled over seeds](forest.svg)"]
    for table in tables:
        lines += ["", f"## {table.heading}", "", table.note, ""]
        if table.columns:
            lines.append(_row(table.columns))
            lines.append(_row(["---"] * len(table.columns)))
            lines += [_row(row) for row in table.rows]
    lines += ["", "## How it was made", "", *(f"- {k}: {v}" for k, v in provenance.items())]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    safe = (" ".join(cell.replace("|", "\\|").split()) for cell in cells)
    return f"| {' | '.join(safe)} |"


def _signed(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:+.3f}".replace("-", "−")


def _interval(gap: Interval) -> str:
    return f"{_signed(gap.value)} [{_signed(gap.low)}, {_signed(gap.high)}]"
