"""Commands for long lists of requests: simulate, runs."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from usersim.cli.answering import telling
from usersim.cli.codes import ExitCode
from usersim.cli.console import console, notes, open_corpus
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
from usersim.cli.tables import Column, JsonOption, WideOption, print_rows
from usersim.corpus import RefusedRows, RunRecord
from usersim.errors import ConfigError
from usersim.simulator.run import Run
from usersim.simulator.running import CHUNK
from usersim.types import RunStatus
from usersim.types.counting import counted

__all__ = [
    "AnswersOption",
    "ChunkOption",
    "RefusedOption",
    "RequestsArgument",
    "RunNameOption",
    "SeedOption",
    "StrictRowsOption",
    "register",
    "tell_refused",
    "tell_run",
]

FIRST = 5
"""Answers that are printed where no file takes them."""
CHARS = 60
"""Longest form of a question or an answer in a list."""


RequestsArgument = Annotated[
    Path | None,
    typer.Argument(
        help="JSONL, CSV or Parquet file of rows without an action; without it, the run "
        "`--name` is resumed from the store.",
        exists=True,
    ),
]
RunNameOption = Annotated[
    str | None, typer.Option(help="Name of the run; default: derived from its requests.")
]
AnswersOption = Annotated[
    Path | None, typer.Option(help="Write answers and failures to this file: .jsonl or .csv.")
]
RefusedOption = Annotated[
    Path | None, typer.Option(help="Write refused rows to this file, to fix.")
]
SeedOption = Annotated[int | None, typer.Option(help="Random seed of the answers.")]
ChunkOption = Annotated[
    int, typer.Option(help="Requests per batch; each batch is committed.", min=1)
]
StrictRowsOption = Annotated[
    bool, typer.Option("--strict", help="Exit with status 3 if a row is refused or fails.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command()(grouped(simulate))
    app.command()(runs)


def simulate(  # noqa: PLR0913 - options of a command
    corpus: CorpusOption,
    requests: RequestsArgument = None,
    *,
    user: Annotated[
        str | None,
        typer.Option(
            "--user", "-u", help="Only this person, who also answers rows without a user_id."
        ),
    ] = None,
    name: RunNameOption = None,
    out: AnswersOption = None,
    refused: RefusedOption = None,
    how: AnsweringOptions,
    seed: SeedOption = None,
    chunk: ChunkOption = CHUNK,
    require_reasoning: RequireReasoningOption = False,
    strict: StrictRowsOption = False,
    dry_run: DryRunOption = False,
    plugs: PlugOptions,
) -> None:
    """Answer a long list of requests; rerun the same command to resume it.

    Raises:
        Exit: If nothing was answered, or something was refused or failed and --strict is given.
    """
    with open_simulator(corpus, user, how, plugs, require_reasoning=require_reasoning) as sim:
        if dry_run:
            cost = sim.dry_run(_needed(requests))
            tell_refused(cost.refused, refused)
            console.print(Text(str(cost)))
            return
        with stages() as progress:
            run = sim.run(
                requests,
                name=name,
                seed=seed,
                chunk=chunk,
                progress=telling(sim, progress),
            )
        tell_refused(run.refused, refused)
        tell_run(run, corpus, out)
        status = run.status
    if not status.done or (strict and (status.failed or len(run.refused))):
        raise typer.Exit(ExitCode.INCOMPLETE)


def _needed(requests: Path | None) -> Path:
    """Return the file of requests.

    Raises:
        ConfigError: If none was given.
    """
    if requests is None:
        raise ConfigError(
            "--dry-run needs a file of requests", hint="usersim simulate REQUESTS.jsonl --dry-run"
        )
    return requests


def tell_refused(rows: RefusedRows, path: Path | None) -> None:
    """Print why rows were refused, and write them to a file where one is given."""
    for line in rows.lines("--refused FILE writes all of them" if path is None else ""):
        notes.print(Text(line, style="yellow"), soft_wrap=True)
    if path is not None:
        written = counted(rows.write(path), "refused row")
        notes.print(Text(f"{written} written to {path}"), soft_wrap=True)


def tell_run(run: Run, corpus: str, out: Path | None) -> None:
    """Print how far a run is, where its answers are, the first of them and every failure."""
    if run.other_users:
        notes.print(Text(f"rows of other people left out: {run.other_users:,}"))
    status = run.status
    console.print(Text(f"run {run.name}: {status}"), soft_wrap=True)
    if out is None and status.done:
        console.print(Text(f"answers are stored in {corpus}; the first ones:"), soft_wrap=True)
        _print_first(run)
    print_reasons(
        (f"row {one.item.row} of {one.item.request.user_id!r}", one.message)
        for one in run.failures()
    )
    if out is not None:
        console.print(Text(f"{counted(run.write(out), 'row')} written to {out}"), soft_wrap=True)
    elif status.done:
        console.print(Text("rerun the command with --out FILE to write all of them"))


def _print_first(run: Run) -> None:
    columns = (Column("row", "right"), Column("user"), Column("answer"))
    rows = [
        {
            "row": item.row,
            "user": item.request.user_id,
            "answer": _cut(answer.action_text),
            "question": _cut(item.request.question.context[-1].content),
        }
        for item, answer in islice(run.answers(), FIRST)
    ]
    print_rows(rows, (*columns, Column("question", drop=1)), wide=False, hint=False)


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= CHARS else line[: CHARS - 1] + "…"


RUNS = (
    Column("run"),
    Column("started"),
    Column("requests", "right", drop=3),
    Column("done", "right"),
    Column("failed", "right"),
    Column("left", "right", drop=2),
    Column("forgotten", "right", drop=4),
    Column("without_reasoning", "right", drop=5),
    Column("state", drop=1),
)


def runs(corpus: CorpusOption, *, as_json: JsonOption = False, wide: WideOption = False) -> None:
    """List the runs of a store, the oldest first, and how far they are."""
    with open_corpus(corpus) as opened:
        rows = [_run(one, one.status, as_json=as_json) for one in opened.runs.all()]
    print_rows(rows, RUNS, as_json=as_json, wide=wide)


def _run(run: RunRecord, status: RunStatus, *, as_json: bool) -> dict[str, object]:
    return {
        "run": run.name,
        "started": run.created if as_json else run.created[:16].replace("T", " "),
        "requests": status.total,
        "done": status.done,
        "failed": status.failed,
        "left": status.left,
        "forgotten": status.forgotten,
        "without_reasoning": status.without_reasoning,
        "state": _state(run),
    }


def _state(run: RunRecord) -> str:
    if run.total is None:
        return "requests incomplete"
    return "resumable" if run.status.left else "complete"
