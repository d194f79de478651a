"""The command `survey compare`: simulated answers beside human ones, and the pool from both."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from usersim.cli.answering import telling
from usersim.cli.console import console, notes, open_corpus
from usersim.cli.options import AnsweringOptions, PlugOptions, grouped, open_simulator
from usersim.cli.progress import stages
from usersim.cli.survey.files import InstrumentOption
from usersim.cli.survey.weights import MissingOption, human_rows, missing_values
from usersim.cli.tables import Column, JsonOption, WideOption, print_json, print_rows
from usersim.corpus import Corpus
from usersim.errors import ConfigError, SurveyFileError
from usersim.files import make_folder
from usersim.simulator import SurveyCalibration, calibrate_on_survey
from usersim.survey import Survey
from usersim.survey.comparison import SurveyComparison, compare_survey
from usersim.survey.estimates import CountBy
from usersim.survey.files import read_answers
from usersim.survey.population import attributes_of
from usersim.survey.report import write_survey_report
from usersim.survey.samples import HumanAnswers, read_human

__all__ = ["register"]


def register(group: typer.Typer) -> None:
    """Add the command to `group`."""
    group.command()(grouped(compare))


def compare(  # noqa: PLR0913 - options of a command
    answers: Annotated[
        list[Path],
        typer.Argument(
            help="File of answers from `survey run --out`: .jsonl; repeat it for several draws."
        ),
    ],
    instrument: InstrumentOption,
    human: Annotated[
        Path,
        typer.Option(
            help="Answers of real people: .csv or .jsonl, one row per person, columns as in wide "
            "results; or a folder of such files, as the form of `survey export --to html` saves."
        ),
    ],
    missing: MissingOption = None,
    corpus: Annotated[
        str | None,
        typer.Option(
            "--corpus",
            "-c",
            help="The store whose metadata give each person's groups; --calibrate needs it.",
        ),
    ] = None,
    by: Annotated[
        CountBy, typer.Option(help="Count the answers, or sum their probabilities.")
    ] = "answers",
    out: Annotated[
        Path | None, typer.Option(help="Also write a report to this .html file.")
    ] = None,
    *,
    how: AnsweringOptions,
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate",
            help="Fit what each predictor counts on these human answers, as `usersim calibrate` "
            "does on those of the store; asks the model.",
        ),
    ] = False,
    as_json: JsonOption = False,
    wide: WideOption = False,
    plugs: PlugOptions,
) -> None:
    """Print how near simulated answers come to human ones, with intervals.

    With --calibrate the store's weights are fitted on these human answers; the fit that is printed
    is on people they were not fitted on.

    Raises:
        ConfigError: If --calibrate is given without a store.
        SurveyFileError: If the report has another ending than .html.
    """
    if calibrate and corpus is None:
        raise ConfigError(
            "--calibrate needs --corpus: the store whose weights are fitted",
            hint="pass the store that the survey was run on: --corpus people.usersim.db",
        )
    if out is not None and out.suffix.lower() != ".html":
        raise SurveyFileError(f"{str(out)!r} must end with .html", hint="the report is a page")
    with nullcontext() if corpus is None else open_corpus(corpus) as store:
        survey = Survey.load(instrument)
        results = [read_answers(path, survey) for path in answers]
        sample = read_human(survey, human_rows(human), missing=missing_values(missing))
        asked = {person for run in results for person in run.people}
        groups = None if store is None else _groups(store, {*asked, *sample.table.respondents})
    found = compare_survey(results, sample, groups=groups, by=by)
    fitted = None
    if not as_json:
        _print(found, wide=wide)
    if calibrate and corpus is not None:
        with open_simulator(corpus, None, how, plugs) as sim:
            people = sim.respondents()
            with stages() as progress:
                fitted = calibrate_on_survey(
                    people, survey, sample, progress=telling(sim, progress)
                )
    if as_json:
        print_json({**found.to_dict(), **({} if fitted is None else _calibrated(fitted))})
    elif fitted is not None:
        _print_calibrated(fitted, corpus or "")
    if out is not None:
        _report(found, out, survey, answers, human, fitted)
        notes.print(Text(f"report: {out}"), soft_wrap=True)


def _groups(store: Corpus, people: set[str]) -> dict[str, dict[str, str]]:
    held = [one.user_id for one in store.users() if one.user_id in people]
    return attributes_of(store, held)


def _print(found: SurveyComparison, *, wide: bool) -> None:
    sheet = found.sheet()
    columns = [
        Column(name, "right" if place else "left", drop=place if place > 3 else 0)  # noqa: PLR2004 - the first four always stand there
        for place, name in enumerate(sheet.columns)
    ]
    rows = [dict(zip(sheet.columns, row, strict=True)) for row in sheet.rows]
    print_rows(rows, columns, wide=wide)
    for note in sheet.notes:
        console.print(Text(note), soft_wrap=True)


def _calibrated(fitted: SurveyCalibration) -> dict[str, object]:
    return {"calibration": fitted.to_dict()}


def _print_calibrated(fitted: SurveyCalibration, corpus: str) -> None:
    console.print(fitted.calibration)
    console.print(Text(str(fitted)), soft_wrap=True)
    console.print(Text(f"closed answers in {corpus} use these weights from now on"), soft_wrap=True)


def _report(
    found: SurveyComparison,
    out: Path,
    survey: Survey,
    answers: list[Path],
    human: Path,
    fitted: SurveyCalibration | None,
) -> None:
    make_folder(out.parent, what="the report", error=SurveyFileError)
    people: HumanAnswers = found.human
    write_survey_report(
        found.simulated,
        out,
        human=people.table,
        title=survey.title,
        provenance={
            "command": "usersim survey compare",
            "answers": ", ".join(map(str, answers)),
            "answered by": "; ".join(found.answered_by) or "not said in the file of answers",
            "human answers": human,
            "human sample": people,
            "instrument": survey.digest[:12],
            **({} if fitted is None else {"calibration": fitted}),
        },
    )
