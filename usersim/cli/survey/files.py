"""Commands for the files of surveys: survey codebook, import, export and report."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.text import Text

from usersim.cli.console import console
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
from usersim.corpus import draft_codebook
from usersim.errors import ConfigError, SurveyFileError
from usersim.files import json_line, write_bytes, write_text
from usersim.survey import Survey, SurveyResults
from usersim.survey.files import (
    Shape,
    SurveyExport,
    check_ending,
    read_answers,
    read_qsf,
    read_qualtrics_csv,
    weight_column,
    write_form,
    write_qsf,
    write_table,
)
from usersim.survey.files.frames import WEIGHT
from usersim.survey.files.qualtrics_cells import MISSING, Unticked, ValuesAs
from usersim.survey.report import write_survey_report
from usersim.survey.samples import read_human, table_of
from usersim.types import DateOrder
from usersim.types.counting import counted

__all__ = ["InstrumentOption", "register"]

Program = Literal["qsf", "html"]
"""What a survey itself is exported for."""
InstrumentOption = Annotated[
    Path, typer.Option("--instrument", "-i", help="The survey: a YAML or JSON file.")
]


def register(group: typer.Typer) -> None:
    """Add the commands to `group`."""
    group.command()(codebook)
    group.command("import")(import_)
    group.command()(export)
    group.command()(report)


def codebook(
    table: Annotated[
        Path, typer.Argument(help="Answers with a row per respondent: CSV, Parquet or JSON Lines.")
    ],
    out: Annotated[Path, typer.Option(help="Write the draft to this .json file.")],
    encoding: Annotated[
        str | None, typer.Option(help="Encoding of a CSV file that is not UTF-8, such as cp1252.")
    ] = None,
    *,
    force: Annotated[bool, typer.Option(help="Replace the file if it exists.")] = False,
) -> None:
    """Draft a codebook from a table of answers, for you to check and complete.

    Question texts are the names of the columns, and options are the answers that somebody chose.

    Raises:
        ConfigError: If the file exists.
    """
    if out.exists() and not force:
        raise ConfigError(
            f"{str(out)!r} exists, and may hold your corrections",
            hint="choose another file, or pass --force",
        )
    draft = draft_codebook(table, encoding=encoding)
    text = json.dumps(draft.codebook, indent=2, ensure_ascii=False) + "\n"
    write_text(out, text, what="the codebook", error=SurveyFileError)
    console.print(draft)
    checked = counted(len(draft.doubtful), "column")
    where = f"{shlex.quote(str(table))} --codebook {shlex.quote(str(out))}"
    console.print(
        Text(f"written to {out}; check {checked}, then run: usersim load {where}"), soft_wrap=True
    )


def import_(  # noqa: PLR0913, PLR0917 - options of a command
    source: Annotated[Path, typer.Argument(help="A Qualtrics survey: .qsf.")],
    out: Annotated[Path, typer.Option(help="Write the survey to this file: .yaml or .json.")],
    refusal: Annotated[
        list[str] | None,
        typer.Option(help="A label that counts as a refusal, such as `Don't know`."),
    ] = None,
    scale: Annotated[
        list[str] | None,
        typer.Option(help="Export tag of a single-choice question to import as a scale."),
    ] = None,
    answers: Annotated[
        Path | None, typer.Option(help="CSV file of answers exported from Qualtrics.")
    ] = None,
    records: Annotated[
        Path | None,
        typer.Option(help="Write the answers, without personal data, to this .jsonl file."),
    ] = None,
    codebook: Annotated[
        Path | None, typer.Option(help="Write the codebook of the answers to this .json file.")
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(help="Another column of the answers to keep; may be repeated."),
    ] = None,
    values: Annotated[
        ValuesAs,
        typer.Option(help="Whether cells hold labels or recode values; auto detects it."),
    ] = "auto",
    missing: Annotated[
        list[str] | None,
        typer.Option(help="A cell value that means no answer; may be repeated. Default: -99."),
    ] = None,
    unticked: Annotated[
        Unticked,
        typer.Option(help="Meaning of a multiple choice without any ticked option."),
    ] = "unanswered",
    date_order: Annotated[
        DateOrder | None, typer.Option(help="Order of day and month in dates such as 02/01/2025.")
    ] = None,
    encoding: Annotated[
        str | None,
        typer.Option(help="Encoding of the answers file, such as cp1252; default: UTF-8."),
    ] = None,
    *,
    tests: Annotated[bool, typer.Option(help="Keep previews, test responses and spam.")] = False,
) -> None:
    """Import an instrument, and people's answers to it; say what could not be taken over.

    Raises:
        ConfigError: If only one of `answers` and `records` is given.
        SurveyFileError: If a file cannot be written.
    """
    if (answers is None) != (records is None):
        raise ConfigError("--answers and --records must be used together: input and output")
    found = read_qsf(source, refusals=refusal or (), scales=scale or ())
    found.survey.save(out)
    console.print(Text(f"{found}\nwritten to {out}"))
    if answers is None or records is None:
        return
    people = read_qualtrics_csv(
        answers,
        found,
        keep=keep or (),
        values=values,
        missing=MISSING if missing is None else missing,
        unticked=unticked,
        date_order=date_order,
        tests=tests,
        encoding=encoding,
    )
    lines = b"".join(map(json_line, people.records))
    write_bytes(records, lines, what="the answers", error=SurveyFileError)
    if codebook is not None:
        text = json.dumps(people.codebook, indent=2)
        write_text(codebook, text, what="the codebook", error=SurveyFileError)
    console.print(Text(f"{people}\nwritten to {records}"))


def export(  # noqa: PLR0913 - options of a command
    source: Annotated[
        Path,
        typer.Argument(
            help="File of answers from `survey run --out`: .jsonl. With --to: the survey, a YAML "
            "or JSON file."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="File to write: .csv, .parquet or .sav (SPSS). With --to: .qsf or .html."
        ),
    ],
    instrument: Annotated[
        Path | None,
        typer.Option("--instrument", "-i", help="The survey that the answers are to."),
    ] = None,
    to: Annotated[
        Program | None,
        typer.Option(
            help="Export the survey itself: qsf, which Qualtrics imports, or html, a form that "
            "works without a network and saves answers for --human."
        ),
    ] = None,
    shape: Annotated[
        Shape, typer.Option(help="One row per answer, or one per respondent.")
    ] = "wide",
    margins: MarginsOption = None,
    corpus: GroupsOption = None,
    most: MostOption = None,
    *,
    codes: Annotated[
        bool, typer.Option(help="In wide tables: write codes instead of labels.")
    ] = False,
    optional: Annotated[
        bool, typer.Option("--optional", help="With --to html: questions may be left blank.")
    ] = False,
) -> None:
    """Write simulated answers as a table, or the survey itself as a Qualtrics file or a form.

    Every row of a table is marked as simulated. What Qualtrics cannot hold is listed.

    Raises:
        ConfigError: If options of the one are given for the other.
    """
    if to is not None:
        answers_only = {"--instrument": instrument, "--margins": margins, "--corpus": corpus}
        if given := [name for name, value in answers_only.items() if value is not None]:
            raise ConfigError(
                f"{given[0]} is for answers; with --to {to} the survey itself is exported",
                hint=f"usersim survey export {source} --to {to} --out {out}",
            )
        survey = Survey.load(source)
        done = (
            write_qsf(survey, out)
            if to == "qsf"
            else write_form(survey, out, required=not optional)
        )
        console.print(Text(str(done)), soft_wrap=True)
        if reread := _reread(done):
            console.print(Text(f"to import it again: {reread}"), soft_wrap=True)
        return
    if instrument is None:
        raise ConfigError(
            f"--instrument is missing: the survey that the answers in {str(source)!r} are to",
            hint="pass --instrument FILE; to export a survey itself, pass --to qsf or --to html",
        )
    weighting = Weighting(margins, corpus, most)
    check_ending(out)
    results = read_answers(source, Survey.load(instrument))
    made = weighting.weights([results])
    write_table(results, out, shape, codes=codes, weights=None if made is None else made[1])
    said = counted(len(results.people), "simulated respondent")
    console.print(Text(f"{said} written to {out}"))
    if made is not None:
        wide = shape == "wide" or out.suffix.lower() == ".sav"
        column = weight_column(results.survey) if wide else WEIGHT
        console.print(Text(f"weights in column {column!r}: {made[0]}"))


def _reread(done: SurveyExport) -> str:
    """Return the command that reads an export back; empty if the file says everything."""
    told = [
        *(("--refusal", one) for one in done.refusals),
        *(("--scale", one) for one in done.scales),
    ]
    if done.path.suffix.lower() != ".qsf" or not told:
        return ""
    words = ["usersim", "survey", "import", str(done.path), "--out", "FILE"]
    return shlex.join([*words, *(word for pair in told for word in pair)])


def report(  # noqa: PLR0913, PLR0917 - options of a command
    answers: Annotated[
        list[Path],
        typer.Argument(
            help="File of answers from `survey run --out`; repeat it for several draws."
        ),
    ],
    instrument: InstrumentOption,
    out: Annotated[Path, typer.Option(help="Report to write: .html.")],
    human: HumanOption = None,
    missing: MissingOption = None,
    margins: MarginsOption = None,
    corpus: GroupsOption = None,
    most: MostOption = None,
    title: Annotated[
        str | None, typer.Option(help="Title of the report; default: the survey's title.")
    ] = None,
) -> None:
    """Write a page of simulated answers, beside human ones where there are any."""
    weighting = Weighting(margins, corpus, most)
    survey = Survey.load(instrument)
    results: list[SurveyResults] = [read_answers(path, survey) for path in answers]
    made = weighting.weights(results)
    weights = None if made is None else made[1]
    people = None
    if human is not None:
        sample = human_rows(human)
        people = read_human(survey, sample, weights=weights, missing=missing_values(missing))
    told = {"command": "usersim survey report", "answers": ", ".join(map(str, answers))}
    page = write_survey_report(
        table_of(results, weights=weights),
        out,
        human=None if people is None else people.table,
        title=title or survey.title,
        weighting="" if made is None else str(made[0]),
        provenance={
            **told,
            "human answers": human or "none",
            **({"human sample": people} if people is not None else {}),
            "instrument": survey.digest[:12],
        },
    )
    if people is not None:
        console.print(Text(str(people)))
    console.print(Text(f"written to {page}"))
