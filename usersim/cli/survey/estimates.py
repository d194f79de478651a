"""The command for what a simulated population answers: survey estimate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from usersim.cli.console import console, notes
from usersim.cli.survey.files import InstrumentOption
from usersim.cli.survey.weights import (
    GroupsOption,
    HumanOption,
    MarginsOption,
    MissingOption,
    MostOption,
    Weighting,
    human_rows,
    missing_values,
)
from usersim.cli.tables import Column, JsonOption, WideOption, print_json, print_rows
from usersim.errors import SurveyFileError
from usersim.files import write_rows
from usersim.survey import Survey
from usersim.survey.estimates import CountBy, Covers
from usersim.survey.estimation import SurveyEstimates, estimate_survey, sheet_of
from usersim.survey.files import check_ending, read_answers
from usersim.survey.samples import read_human

__all__ = ["register"]


def register(group: typer.Typer) -> None:
    """Add the command to `group`."""
    group.command()(estimate)


def estimate(  # noqa: PLR0913, PLR0917 - options of a command
    answers: Annotated[
        list[Path],
        typer.Argument(
            help="File of answers from `survey run --out`; repeat it for several draws."
        ),
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
            help="What the intervals cover: other draws, other people, or a model as wrong as it "
            "was on other items."
        ),
    ] = "people",
    by: Annotated[
        CountBy, typer.Option(help="Count the answers, or sum their probabilities.")
    ] = "probabilities",
    out: Annotated[
        Path | None, typer.Option(help="Also write the estimates to this .csv file.")
    ] = None,
    *,
    as_json: JsonOption = False,
    wide: WideOption = False,
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
    if as_json:
        print_json(found.to_records())
    else:
        _print(found, wide=wide)
    if out is not None:
        _write(found, out)
        notes.print(Text(f"written to {out}"), soft_wrap=True)


def _print(found: SurveyEstimates, *, wide: bool) -> None:
    """Print a row per figure, and what has none."""
    sheet = sheet_of(found)
    columns = [
        Column("item"),
        Column("asked", drop=len(sheet.columns)),
        Column("answer"),
        *(Column(name, "right") for name in sheet.columns[2:]),
    ]
    rows: list[dict[str, object]] = []
    for cells in sheet.rows:
        row = dict(zip(sheet.columns, cells, strict=True))
        item, _, asked = str(row["item"]).partition(": ")
        rows.append({**row, "item": item or rows[-1]["item"], "asked": asked})
    print_rows(rows, columns, wide=wide)
    for note in sheet.notes:
        item = note.partition(":")[0]
        where = notes if item in found.left_out else console
        where.print(Text(note, style="yellow" if item in found.left_out else ""))


def _write(found: SurveyEstimates, out: Path) -> None:
    """Write a row per figure; the file appears when it is whole."""
    write_rows(out, found.to_records(), what="the figures", error=SurveyFileError)
