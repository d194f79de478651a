"""Commands for surveys: survey run, survey check, survey elicitation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from usersim.cli.answering import telling
from usersim.cli.codes import ExitCode
from usersim.cli.console import console, notes
from usersim.cli.corpus import CorpusOption
from usersim.cli.failures import print_reasons
from usersim.cli.options import (
    AnsweringOptions,
    DryRunOption,
    PlugOptions,
    RequireReasoningOption,
    grouped,
    open_simulator,
)
from usersim.cli.progress import stages
from usersim.cli.survey import compare, estimates, files
from usersim.cli.tables import Column, JsonOption, WideOption, print_rows
from usersim.errors import SurveyFileError
from usersim.simulator import compare_elicitation
from usersim.simulator.running import CHUNK
from usersim.survey import Mode, Survey, SurveyResults
from usersim.survey.files import TABLES, check_ending, spss_problems, write_table
from usersim.survey.files.results import write_answers
from usersim.terminal import visible
from usersim.types.counting import counted

__all__ = ["register"]

InstrumentArgument = Annotated[
    Path, typer.Argument(help="The survey: a YAML or JSON file.", show_default=False)
]
SeedOption = Annotated[int | None, typer.Option(help="Random seed of answers and orders.")]
ChunkOption = Annotated[
    int, typer.Option(help="Questions per batch; each batch is committed.", min=1)
]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    group = typer.Typer(
        help="Ask the people of a store a survey, and analyze the answers.", no_args_is_help=True
    )
    group.command()(grouped(run))
    group.command()(check)
    group.command()(grouped(elicitation))
    files.register(group)
    estimates.register(group)
    compare.register(group)
    app.add_typer(group, name="survey")


def run(  # noqa: PLR0913 - options of a command
    instrument: InstrumentArgument,
    corpus: CorpusOption,
    user: Annotated[
        list[str] | None,
        typer.Option("--user", "-u", help="Only this person; may be repeated."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Write one row per answer to this file: .csv, .jsonl (which the other survey "
            "commands "
            "read) or .parquet; or one per respondent: .sav (SPSS)."
        ),
    ] = None,
    mode: Annotated[
        Mode, typer.Option(help="Score the options directly, or after a free answer.")
    ] = "direct",
    name: Annotated[
        str | None, typer.Option(help="Name of the runs; default: derived from the survey.")
    ] = None,
    *,
    how: AnsweringOptions,
    seed: SeedOption = None,
    chunk: ChunkOption = CHUNK,
    require_reasoning: RequireReasoningOption = False,
    memory: Annotated[bool, typer.Option(help="Show respondents their earlier answers.")] = False,
    dry_run: DryRunOption = False,
    plugs: PlugOptions,
) -> None:
    """Put a survey to people; rerun the same command to resume it.

    Raises:
        Exit: If nothing was answered.
    """
    survey = Survey.load(instrument)
    if out is not None:
        check_table(survey, out)
    with open_simulator(corpus, None, how, plugs, require_reasoning=require_reasoning) as sim:
        people = sim.respondents(user, name=name, seed=seed, chunk=chunk)
        if dry_run:
            console.print(Text(str(people.dry_run(survey, mode=mode, memory=memory))))
            return
        with stages() as progress:
            results = survey.run(people, mode=mode, memory=memory, progress=telling(sim, progress))
        _tell(results)
        if out is not None:
            console.print(Text(_written(results, out)), soft_wrap=True)
        else:
            said = f"answers are stored in {corpus}; rerun with --out FILE to write them"
            console.print(Text(said), soft_wrap=True)
    if results.failures and all(one.value is None for one in results.responses):
        raise typer.Exit(ExitCode.INCOMPLETE)


def check_table(survey: Survey, out: Path) -> None:
    """Check that the answers can be written to a file, before anybody is asked.

    Raises:
        SurveyFileError: If its ending is unknown, or it cannot hold the survey's names.
        MissingDependencyError: If what writes such a file is not installed.
    """
    if check_ending(out, (".jsonl", *TABLES)) == ".sav" and (problems := spss_problems(survey)):
        raise SurveyFileError(
            f"{str(out)!r} cannot be written: {'; '.join(problems)}",
            hint="change the ids in the survey file, or write .jsonl, .csv or .parquet",
        )


def _written(results: SurveyResults, out: Path) -> str:
    """Write the answers; return what was written."""
    if out.suffix.lower() in {".csv", ".jsonl"}:
        return f"{counted(write_answers(results, out), 'row')} written to {out}"
    write_table(results, out, "long")
    return f"{counted(len(results.people), 'simulated respondent')} written to {out}"


def _tell(results: SurveyResults) -> None:
    """Print how many answers there are, and why others are missing."""
    answers = results.responses
    counts = {
        "answered": sum(one.answered for one in answers),
        "refused": sum(one.refused for one in answers),
        "skipped": sum(one.skipped is not None for one in answers),
        "failed": sum(one.failed is not None for one in answers),
    }
    said = ", ".join(f"{n:,} {word}" for word, n in counts.items())
    respondents = counted(len(results.people), "simulated respondent")
    console.print(
        Text(f"{visible(results.survey.title)}: {respondents}, items: {said}"), soft_wrap=True
    )
    if without := sum(one.reasoning_failed for one in answers):
        notes.print(Text(f"answered without readable reasoning: {without}", style="yellow"))
    print_reasons(
        (f"{one.question} of {one.respondent!r}", one.message) for one in results.failures
    )


QUESTIONS = (
    Column("section", drop=2),
    Column("question"),
    Column("type"),
    Column("items", "right", drop=1),
    Column("asked_if"),
)


def check(
    instrument: InstrumentArgument, *, as_json: JsonOption = False, wide: WideOption = False
) -> None:
    """Read an instrument and say what is in it, or everything that is wrong with it."""
    survey = Survey.load(instrument)
    rows = [
        {
            "section": section.id,
            "question": question.id,
            "type": question.type,
            "items": len(question.items),
            "asked_if": " and ".join(one.text for one in survey.conditions[question.id]) or None,
            "text": question.text,
        }
        for section in survey.all_sections
        for question in section.questions
    ]
    print_rows(rows, QUESTIONS, as_json=as_json, wide=wide, title=survey.title)
    if not as_json:
        said = f"{counted(len(survey.all_questions), 'question')}, digest {survey.digest[:12]}"
        if problems := spss_problems(survey):
            listed = "; ".join(problems)
            said += f": no problems but for SPSS, no .sav can be written: {listed}"
        else:
            said += ": no problems"
        console.print(Text(said), soft_wrap=True)


def elicitation(
    corpus: CorpusOption,
    limit: Annotated[
        int | None, typer.Option(help="Total number of held-out answers, spread over the people.")
    ] = None,
    *,
    how: AnsweringOptions,
    seed: SeedOption = None,
    chunk: ChunkOption = CHUNK,
    plugs: PlugOptions,
) -> None:
    """Measure both ways of eliciting an answer on held-out closed answers of a store."""
    with open_simulator(corpus, None, how, plugs) as sim:
        people = sim.respondents(seed=seed, chunk=chunk)
        with stages() as progress:
            measured = compare_elicitation(people, limit=limit, progress=telling(sim, progress))
    console.print(Text(str(measured)))
