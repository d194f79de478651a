"""The command `calibrate`: fit what each predictor counts, and show how good that is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from usersim.cli.console import console
from usersim.cli.corpus import CorpusOption
from usersim.cli.options import AnsweringOptions, PlugOptions, grouped, open_simulator
from usersim.cli.progress import stages

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(grouped(calibrate))


def calibrate(
    corpus: CorpusOption,
    user: Annotated[
        str | None, typer.Option("--user", "-u", help="One person; default: everybody.")
    ] = None,
    answers: Annotated[
        int | None, typer.Option(help="Answers to predict, spread over the people; default: 200.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for a report with the reliability diagram.")
    ] = None,
    *,
    how: AnsweringOptions,
    plugs: PlugOptions,
) -> None:
    """Fit how much each predictor counts in closed answers; nothing is trained.

    Repeat it after training, and after loading many more rows. Prints every predictor and the
    pool on people that the weights were not fitted on, and how often each is right.
    """
    with (
        open_simulator(corpus, user, how, plugs) as sim,
        stages() as progress,
    ):
        found = sim.calibrate(answers=answers, out=out, progress=progress)
    console.print(found)
    console.print(found.reliability())
    for line in found.added():
        console.print(Text(line))
    if found.report is not None:
        console.print(Text(f"report: {found.report}"), soft_wrap=True)
    console.print(Text(f"closed answers in {corpus} use these weights from now on"), soft_wrap=True)
