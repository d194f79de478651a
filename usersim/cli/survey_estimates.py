"""The command for what a simulated population answers: survey estimate."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, cast

import typer
from rich.table import Table
from rich.text import Text

from usersim.cli.console import console, notes
from usersim.cli.survey_files import InstrumentOption
from usersim.cli.survey_weights import (
    GroupsOption,
    HumanOption,
    MarginsOption,
    MissingOption,
    MostOption,
    Weighting,
    human_rows,
    missing_values,
)
from usersim.errors import SurveyFileError
from usersim.evaluation.surveys import CountBy, Covers
from usersim.files import write_rows
from usersim.simulation.survey import Survey
from usersim.simulation.survey_files import check_ending, read_answers
from usersim.simulator.survey_estimates import SurveyEstimates, estimate_survey
from usersim.simulator.survey_tables import items_of, read_human

__all__ = ["register"]


def register(group: typer.Typer) -> None:
    """Add the command to `group`."""
    group.command()(estimate)


def estimate(  # noqa: PLR0913, PLR0917 - options of a command
    answers: Annotated[
        list[Path], typer.Argument(help="What `survey run --out` wrote; several are draws.")
    ],
    instrument: InstrumentOption,
    human: HumanOption = None,
    missing: MissingOption = None,
    margins: MarginsOption = None,
    corpus: GroupsOption = None,
    most: MostOption = None,
    covers: Annotated[
        Covers,
        typer.Option(
            help="What intervals allow for: other draws, other people, or a model as wrong as it "
            "was on other items."
        ),
    ] = "people",
    by: Annotated[
        CountBy, typer.Option(help="Count the answers, or add up the probabilities.")
    ] = "answers",
    out: Annotated[Path | None, typer.Option(help="Also write the figures here: .csv.")] = None,
) -> None:
    """Print what the simulated population answers, with intervals; with --human also rectified."""
    weighting = Weighting(margins, corpus, most)
    if out is not None:
        check_ending(out, (".csv",))
    survey = Survey.load(instrument)
    results = [read_answers(path, survey) for path in answers]
    sample = None
    if human is not None:
        sample = read_human(survey, human_rows(human), missing=missing_values(missing))
    found = estimate_survey(
        results,
        attributes=weighting.attributes(results),
        margins=weighting.margins,
        most=most,
        human_sample=sample,
        covers=covers,
        by=by,
    )
    _print(found, survey)
    if out is not None:
        _write(found, out)
        console.print(Text(f"written to {out}"))


def _print(found: SurveyEstimates, survey: Survey) -> None:
    """Print a row per figure, and what has none."""
    console.print(_table(found, survey))
    console.print(Text("simulated answers: a model's, not people's"))
    for said in (found.human, found.weighting):
        if said is not None:
            console.print(Text(str(said)))
    for item, reason in found.left_out.items():
        notes.print(Text(f"{item}: {reason}", style="yellow"))


def _table(found: SurveyEstimates, survey: Survey) -> Table:
    """Return a row per figure; a text stands beside the first figure of its item."""
    texts = {column: item.text for column, (_, _, item) in items_of(survey).items()}
    table = Table()
    table.add_column("item", overflow="fold", ratio=3)
    table.add_column("answer", overflow="fold", ratio=2)
    table.add_column(f"simulated (95 %, {found.items[0].covers})", no_wrap=True)
    table.add_column("n", justify="right", no_wrap=True)
    if found.human is not None:
        table.add_column("humans (95 %)", no_wrap=True)
        table.add_column("n", justify="right", no_wrap=True)
    if found.rectified:
        table.add_column("rectified (95 %)", no_wrap=True)
    last = ""
    for row in found.to_records():
        name = str(row["item"])
        first, last = name != last, name
        if first and table.row_count:
            table.add_section()
        cells = [f"{name}: {texts[name]}" if first else "", row["figure"]]
        cells += [_figure(row, "simulated"), row["n"]]
        if found.human is not None:
            cells += [_figure(row, "humans"), row["n_human"]]
        if found.rectified:
            cells.append(_figure(row, "rectified"))
        table.add_row(*(Text(str(cell)) for cell in cells))
    return table


def _figure(row: Mapping[str, object], name: str) -> str:
    value, low, high = (cast("float | None", row[f"{name}{end}"]) for end in ("", "_low", "_high"))
    if value is None or low is None or high is None:
        return "–"
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


def _write(found: SurveyEstimates, out: Path) -> None:
    """Write a row per figure; the file appears when it is whole."""
    write_rows(out, found.to_records(), what="the figures", error=SurveyFileError)
