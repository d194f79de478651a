"""What the commands share: where they print, and opening a corpus."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from usersim.corpus import Corpus
from usersim.errors import ConfigError
from usersim.terminal import visible

__all__ = ["console", "figures_table", "notes", "open_corpus"]


class SafeConsole(Console):
    """A console that shows what would command the terminal instead of sending it.

    Every command prints through it, so a person's words, a file's name or a server's message can
    neither move the cursor nor reach the clipboard, whoever forgot `visible`. That a text may not
    forge a line is its caller's to see to: see `usersim.terminal.visible`.

    A line of text is not broken at the width of the terminal, which shows it on as many lines as
    it needs: a path or a command can be copied, and a log can be searched.
    """

    def print(
        self,
        *objects: object,
        soft_wrap: bool | None = None,
        **how: Any,  # noqa: ANN401 - passed on
    ) -> None:
        """Print; see `rich.console.Console.print`."""
        lines = all(isinstance(one, str | Text) for one in objects)
        super().print(*objects, soft_wrap=lines if soft_wrap is None else soft_wrap, **how)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Yield segments without a control character but those that rich itself makes.

        Yields:
            What is printed.
        """
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(visible(segment.text, indent=""), segment.style)


console = SafeConsole()
notes = SafeConsole(stderr=True)
"""Progress and errors: standard output stays clean for what was asked."""


def open_corpus(store: str, *, adapters: Path | None = None) -> Corpus:
    """Open an existing corpus.

    Args:
        store: SQLite file or database URL.
        adapters: Folder of its adapters, if it is not the one that belongs to the store.

    Raises:
        ConfigError: If the file does not exist: a command that reads must not make one.
    """
    if "://" not in store and not Path(store).is_file():
        raise ConfigError(
            f"there is no corpus at {store!r}",
            hint="load one first: usersim load people.jsonl --corpus people.usersim.db",
        )
    return Corpus.open(store, adapters=adapters)


FIGURES = {
    "reward": "reward",
    "masked_gain": "masked",
    "spread": "spread",
    "kl": "KL",
    "tokens": "tokens",
    "malformed": "bad",
    "L1": "L1",
    "trace_only_share": "L3",
    "plausibility": "L4",
    "margin": "margin",
    "accuracy": "right",
    "loss": "loss",
}
"""Columns of the table of a synthesizer's training; those that a recipe has are shown."""
WIDTH = 7


def figures_table() -> Callable[[int, int, Mapping[str, float]], None]:
    """Return what prints a line of figures after each step, under one heading."""
    shown: list[str] = []

    def note(step: int, steps: int, figures: Mapping[str, float]) -> None:
        if not shown:
            shown.extend(name for name in FIGURES if name in figures)
            heads = "".join(f"{FIGURES[name]:>{WIDTH}}" for name in shown)
            notes.print(Text(f"{'step':>9}{heads}", style="bold"), soft_wrap=True)
        cells = "".join(
            f"{figures[name]:>{WIDTH}.2f}" if name in figures else " " * WIDTH for name in shown
        )
        notes.print(Text(f"{f'{step}/{steps}':>9}{cells}"), soft_wrap=True)

    return note
