"""Which adapter answers: the option that chooses it, and the line that names it."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from usersim.cli.console import notes
from usersim.simulator import UserSimulator
from usersim.simulator.face import LOADING
from usersim.views import Progress

__all__ = ["AdapterOption", "tell_adapter", "telling"]

AdapterOption = Annotated[
    str,
    typer.Option(
        help="Trained adapter that answers. default: the newest one in the store that fits the "
        "model, a person's own before a shared one; none: the base model; or a name that "
        "`usersim adapters` lists, or a folder.",
    ),
]


def tell_adapter(sim: UserSimulator) -> None:
    """Print which adapter answers, once it is verified."""
    notes.print(Text(f"adapter: {sim.describe_adapter()}"))


def telling(sim: UserSimulator, progress: Progress) -> Progress:
    """Return `progress`; with the first answers it also prints which adapter gives them."""
    told: list[str] = []

    def report(stage: str, done: int, total: int | None) -> None:
        if not told and stage != LOADING:
            told.append(stage)
            tell_adapter(sim)
        progress(stage, done, total)

    return report
