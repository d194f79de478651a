"""Commands for surveys: survey run, survey check, survey elicitation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from usersim.cli import survey_estimates, survey_files
from usersim.cli.console import console, notes, stages
from usersim.cli.corpus import CorpusOption
from usersim.cli.simulate import (
    AdapterOption,
    BaseUrlOption,
    EngineOption,
    ModelOption,
    PresetOption,
    open_simulator,
    telling,
)
from usersim.config import DEFAULT_PRESET
from usersim.errors import SurveyFileError
from usersim.simulation.survey import Mode, Survey, SurveyResults
from usersim.simulation.survey.files import write_answers
from usersim.simulation.survey_files import TABLES, check_ending, spss_problems, write_table
from usersim.simulator import compare_elicitation
from usersim.simulator.running import CHUNK

__all__ = ["register"]

SHOWN = 5
"""Failures that are printed; all of them are in the file."""

InstrumentArgument = Annotated[
    Path, typer.Argument(help="The instrument: a YAML or JSON file.", show_default=False)
]
SeedOption = Annotated[int | None, typer.Option(help="Reproduces answers and orders.")]
ChunkOption = Annotated[
    int, typer.Option(help="Questions asked at once, between two commits.", min=1)
]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    group = typer.Typer(help="Put a survey to the people of a store.", no_args_is_help=True)
    for command in (run, check, elicitation):
        group.command()(command)
    survey_files.register(group)
    survey_estimates.register(group)
    app.add_typer(group, name="survey")


def run(  # noqa: PLR0913, PLR0917 - options of a command
    instrument: InstrumentArgument,
    corpus: CorpusOption,
    user: Annotated[
        list[str] | None,
        typer.Option("--user", "-u", help="Only this person; may be given more than once."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Write one row per answer here: .csv, .jsonl (which the other survey commands "
            "read) or .parquet; or one per respondent: .sav (SPSS)."
        ),
    ] = None,
    mode: Annotated[
        Mode, typer.Option(help="Score the options at once, or after an answer in own words.")
    ] = "direct",
    name: Annotated[
        str | None, typer.Option(help="Name of the runs; default: made of what they ask.")
    ] = None,
    adapter: AdapterOption = "default",
    model: ModelOption = "embedded",
    engine: EngineOption = "auto",
    base_url: BaseUrlOption = None,
    preset: PresetOption = DEFAULT_PRESET,
    seed: SeedOption = None,
    chunk: ChunkOption = CHUNK,
    *,
    memory: Annotated[
        bool, typer.Option(help="Let respondents have their earlier answers before them.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count requests and tokens; ask and store nothing.")
    ] = False,
) -> None:
    """Put a survey to people; the same command goes on where it was interrupted."""
    survey = Survey.load(instrument)
    if out is not None:
        check_table(survey, out)
    with open_simulator(corpus, None, model, engine, preset, base_url, adapter=adapter) as sim:
        people = sim.respondents(user, name=name, seed=seed, chunk=chunk)
        if dry_run:
            console.print(Text(str(people.dry_run(survey, mode=mode, memory=memory))))
            return
        with stages() as progress:
            results = survey.run(people, mode=mode, memory=memory, progress=telling(sim, progress))
        _tell(results)
        if out is not None:
            console.print(Text(_written(results, out)))


def check_table(survey: Survey, out: Path) -> None:
    """Check that the answers can be written to a file, before anybody is asked.

    Raises:
        SurveyFileError: If its ending is unknown, or it cannot hold the survey's names.
        MissingDependencyError: If what writes such a file is not installed.
    """
    if check_ending(out, (".jsonl", *TABLES)) == ".sav" and (problems := spss_problems(survey)):
        raise SurveyFileError(
            f"{str(out)!r} cannot be written: {'; '.join(problems)}",
            hint="change the ids in the instrument, or write .jsonl, .csv or .parquet",
        )


def _written(results: SurveyResults, out: Path) -> str:
    """Write the answers; return what was written."""
    if out.suffix.lower() in {".csv", ".jsonl"}:
        return f"{write_answers(results, out)} rows written to {out}"
    write_table(results, out, "long")
    return f"{len(results.people)} simulated respondents written to {out}"


def _tell(results: SurveyResults) -> None:
    """Print how many answers there are, and why others are missing."""
    answers = results.responses
    counts = {
        "answered": sum(one.answered for one in answers),
        "refused": sum(one.refused for one in answers),
        "skipped": sum(one.skipped is not None for one in answers),
        "failed": sum(one.failed is not None for one in answers),
    }
    said = ", ".join(f"{n} {word}" for word, n in counts.items())
    console.print(
        Text(f"{results.survey.title}: {len(results.people)} simulated respondents, items: {said}")
    )
    if without := sum(one.reasoning_failed for one in answers):
        notes.print(Text(f"answered without readable reasoning: {without}", style="yellow"))
    for one in results.failures[:SHOWN]:
        notes.print(Text(f"{one.question} of {one.respondent}: {one.message}", style="yellow"))
    if len(results.failures) > SHOWN:
        notes.print(Text(f"… and {len(results.failures) - SHOWN} more; --out FILE has all of them"))


def check(instrument: InstrumentArgument) -> None:
    """Read an instrument and say what is in it, or everything that is wrong with it."""
    survey = Survey.load(instrument)
    table = Table(title=Text(survey.title))
    for heading in ("section", "question", "type", "items", "asked if"):
        table.add_column(heading, overflow="fold")
    for section in survey.all_sections:
        for question in section.questions:
            conditions = " and ".join(one.text for one in survey.conditions[question.id])
            cells = (section.id, question.id, question.type, str(len(question.items)), conditions)
            table.add_row(*map(Text, cells))
    console.print(table)
    said = f"{len(survey.all_questions)} questions, digest {survey.digest[:12]}"
    if problems := spss_problems(survey):
        listed = "; ".join(problems)
        said += f": no problems but for SPSS, no .sav can be written: {listed}"
    else:
        said += ": no problems"
    console.print(Text(said))


def elicitation(  # noqa: PLR0913, PLR0917 - options of a command
    corpus: CorpusOption,
    limit: Annotated[
        int | None, typer.Option(help="Held-out answers in all, spread over the people.")
    ] = None,
    adapter: AdapterOption = "default",
    model: ModelOption = "embedded",
    engine: EngineOption = "auto",
    base_url: BaseUrlOption = None,
    preset: PresetOption = DEFAULT_PRESET,
    seed: SeedOption = None,
    chunk: ChunkOption = CHUNK,
) -> None:
    """Measure both ways of eliciting an answer on held-out closed answers of a store."""
    with open_simulator(corpus, None, model, engine, preset, base_url, adapter=adapter) as sim:
        people = sim.respondents(seed=seed, chunk=chunk)
        with stages() as progress:
            measured = compare_elicitation(people, limit=limit, progress=telling(sim, progress))
    console.print(Text(str(measured)))
