"""Commands for long lists of requests: simulate, runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from usersim.cli.answering import AdapterOption, telling
from usersim.cli.console import console, notes, open_corpus, stages
from usersim.cli.corpus import CorpusOption
from usersim.cli.simulate import (
    BaseUrlOption,
    EngineOption,
    ModelOption,
    PresetOption,
    open_simulator,
)
from usersim.config import DEFAULT_PRESET
from usersim.corpus import RefusedRows, RunRecord
from usersim.errors import ConfigError
from usersim.simulator.running import CHUNK
from usersim.terminal import visible

__all__ = ["register"]

SHOWN = 5
"""Refused rows that are printed; all of them are written where `--refused` says."""


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    for command in (simulate, runs):
        app.command()(command)


def simulate(  # noqa: PLR0913, PLR0917 - options of a command
    corpus: CorpusOption,
    requests: Annotated[
        Path | None,
        typer.Argument(
            help="JSONL, CSV or Parquet file of rows without an action; without it the run "
            "`--name` goes on as the store holds it.",
            exists=True,
        ),
    ] = None,
    user: Annotated[
        str | None,
        typer.Option("--user", "-u", help="Only this person; answers rows that name nobody."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the run; default: made of what it asks.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write answers and failures here: .jsonl or .csv.")
    ] = None,
    refused: Annotated[
        Path | None, typer.Option(help="Write rows that cannot be asked here, to be mended.")
    ] = None,
    adapter: AdapterOption = "default",
    model: ModelOption = "embedded",
    engine: EngineOption = "auto",
    base_url: BaseUrlOption = None,
    preset: PresetOption = DEFAULT_PRESET,
    seed: Annotated[int | None, typer.Option(help="Reproduces the answers.")] = None,
    chunk: Annotated[
        int, typer.Option(help="Requests asked at once, between two commits.", min=1)
    ] = CHUNK,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count requests and tokens; ask and store nothing.")
    ] = False,
) -> None:
    """Answer a long list of requests; the same command goes on where it was interrupted."""
    with open_simulator(corpus, user, model, engine, preset, base_url, adapter=adapter) as sim:
        if dry_run:
            cost = sim.dry_run(_needed(requests))
            _tell_refused(cost.refused, refused)
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
        _tell_refused(run.refused, refused)
        if run.other_users:
            notes.print(Text(f"rows of other people left out: {run.other_users}"))
        console.print(Text(f"run {visible(run.name)}: {run.status}"))
        if out is not None:
            console.print(Text(f"{run.write(out)} rows written to {out}"))


def _needed(requests: Path | None) -> Path:
    """Return the file of requests.

    Raises:
        ConfigError: If none was given.
    """
    if requests is None:
        raise ConfigError(
            "there are no requests to count", hint="usersim simulate REQUESTS.jsonl --dry-run"
        )
    return requests


def _tell_refused(rows: RefusedRows, path: Path | None) -> None:
    for row, _ in zip(rows, range(SHOWN), strict=False):
        notes.print(Text(str(row), style="yellow"))
    if path is not None:
        notes.print(Text(f"{rows.write(path)} refused rows written to {path}"))
    elif len(rows) > SHOWN:
        notes.print(Text(f"… and {len(rows) - SHOWN} more; --refused FILE writes all of them"))


def runs(corpus: CorpusOption) -> None:
    """List the runs of a store, the oldest first, and how far they are."""
    table = Table("run", "begun", "requests", "done", "failed", "left", "forgotten", "state")
    with open_corpus(corpus) as opened:
        for one in opened.runs.all():
            status = one.status
            numbers = (
                status.total,
                status.done,
                status.failed,
                status.left,
                status.forgotten,
            )
            table.add_row(Text(visible(one.name)), one.created, *map(str, numbers), _state(one))
    console.print(table)


def _state(run: RunRecord) -> str:
    if run.total is None:
        return "requests incomplete"
    return "to be continued" if run.status.left else "complete"
