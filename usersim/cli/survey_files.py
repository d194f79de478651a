"""Commands for the files of surveys: survey import, survey export, survey report."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from usersim.cli.console import console
from usersim.errors import ConfigError, SurveyFileError
from usersim.evaluation import write_survey_report
from usersim.files import json_line, write_bytes, write_text
from usersim.simulation.survey import Survey, SurveyResults
from usersim.simulation.survey_files import (
    Shape,
    check_ending,
    read_answers,
    read_qsf,
    read_qualtrics_csv,
    write_table,
)
from usersim.simulator.survey_tables import human_table, table_of

__all__ = ["InstrumentOption", "human_rows", "register"]

InstrumentOption = Annotated[
    Path, typer.Option("--instrument", "-i", help="The instrument: a YAML or JSON file.")
]


def register(group: typer.Typer) -> None:
    """Add the commands to `group`."""
    group.command("import")(import_)
    group.command()(export)
    group.command()(report)


def import_(
    source: Annotated[Path, typer.Argument(help="A Qualtrics instrument: .qsf.")],
    out: Annotated[Path, typer.Option(help="Write the instrument here: .yaml or .json.")],
    refusal: Annotated[
        list[str] | None, typer.Option(help="A label that is a refusal, as `Don't know`.")
    ] = None,
    scale: Annotated[
        list[str] | None, typer.Option(help="Export tag of a single choice that is a scale.")
    ] = None,
    answers: Annotated[
        Path | None, typer.Option(help="People's answers as Qualtrics exports them: CSV.")
    ] = None,
    records: Annotated[
        Path | None, typer.Option(help="Write the answers here, without who gave them: .jsonl.")
    ] = None,
    codebook: Annotated[
        Path | None, typer.Option(help="Write the answers' codebook here: .json.")
    ] = None,
    keep: Annotated[
        list[str] | None, typer.Option(help="A further column of the answers to keep.")
    ] = None,
) -> None:
    """Import an instrument, and people's answers to it; say what could not be taken over.

    Raises:
        ConfigError: If only one of `answers` and `records` is given.
        SurveyFileError: If a file cannot be written.
    """
    if (answers is None) != (records is None):
        raise ConfigError("--answers and --records belong together: what is read, and where to")
    found = read_qsf(source, refusals=refusal or (), scales=scale or ())
    found.survey.save(out)
    console.print(Text(f"{found}\nwritten to {out}"))
    if answers is None or records is None:
        return
    people = read_qualtrics_csv(answers, found, keep=keep or ())
    lines = b"".join(map(json_line, people.records))
    write_bytes(records, lines, what="the answers", error=SurveyFileError)
    if codebook is not None:
        text = json.dumps(people.codebook, indent=2)
        write_text(codebook, text, what="the codebook", error=SurveyFileError)
    console.print(Text(f"{people}\nwritten to {records}"))


def export(
    answers: Annotated[Path, typer.Argument(help="What `survey run --out` wrote: .jsonl.")],
    instrument: InstrumentOption,
    out: Annotated[Path, typer.Option(help="The file: .csv, .parquet or .sav (SPSS).")],
    shape: Annotated[Shape, typer.Option(help="A row per answer, or per respondent.")] = "wide",
    *,
    codes: Annotated[
        bool, typer.Option(help="In wide tables the numbers of answers, not labels.")
    ] = False,
) -> None:
    """Write simulated answers as a table; every row is marked as simulated."""
    check_ending(out)
    results = read_answers(answers, Survey.load(instrument))
    write_table(results, out, shape, codes=codes)
    console.print(Text(f"{len(results.people)} simulated respondents written to {out}"))


def report(
    answers: Annotated[
        list[Path], typer.Argument(help="What `survey run --out` wrote; several are draws.")
    ],
    instrument: InstrumentOption,
    out: Annotated[Path, typer.Option(help="The page: .html.")],
    human: Annotated[
        Path | None,
        typer.Option(help="People's answers: .csv or .jsonl, one row each, as wide results."),
    ] = None,
    title: Annotated[str | None, typer.Option(help="Heading; default: the survey's.")] = None,
) -> None:
    """Write a page of simulated answers, beside human ones where there are any."""
    survey = Survey.load(instrument)
    results: list[SurveyResults] = [read_answers(path, survey) for path in answers]
    told = {"command": "usersim survey report", "answers": ", ".join(map(str, answers))}
    page = write_survey_report(
        table_of(results),
        out,
        human=None if human is None else human_table(survey, human_rows(human)),
        title=title or survey.title,
        provenance={**told, "human answers": human or "none", "instrument": survey.digest[:12]},
    )
    console.print(Text(f"written to {page}"))


def human_rows(path: Path) -> list[Mapping[str, object]]:
    """Return the rows of a human sample.

    Raises:
        SurveyFileError: If it cannot be read.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            if path.suffix.lower() == ".csv":
                return list(csv.DictReader(file))
            rows = [json.loads(line) for line in file if line.strip()]
            if strange := [row for row in rows if not isinstance(row, Mapping)]:
                raise SurveyFileError(f"{str(path)!r} has a row that is no object: {strange[0]!r}")
            return rows
    except (OSError, ValueError, csv.Error) as error:
        raise SurveyFileError(f"{str(path)!r} cannot be read: {error}") from error
