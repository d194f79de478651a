"""The line that names which adapter answers."""

from __future__ import annotations

from rich.text import Text

from usersim.cli.console import notes
from usersim.simulator import UserSimulator
from usersim.simulator.face import LOADING
from usersim.views import Progress

__all__ = ["tell_adapter", "telling"]


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
