"""What the commands share: printing, progress, errors, and opening a corpus or a simulator."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console, ConsoleOptions, RenderableType
from rich.highlighter import JSONHighlighter
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.segment import Segment
from rich.text import Text

from usersim.corpus import Corpus
from usersim.errors import ConfigError
from usersim.terminal import visible, visible_json
from usersim.views import StageProgress

__all__ = [
    "console",
    "figures_table",
    "notes",
    "open_corpus",
    "print_json",
    "rows_progress",
    "stages",
]


class SafeConsole(Console):
    """A console that shows what would command the terminal instead of sending it.

    Every command prints through it, so a person's words, a file's name or a server's message can
    neither move the cursor nor reach the clipboard, whoever forgot `visible`. That a text may not
    forge a line is its caller's to see to: see `usersim.terminal.visible`.
    """

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


def print_json(text: str) -> None:
    """Print JSON on many lines; what is piped on is exact, and commands no terminal."""
    pretty = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    console.print(JSONHighlighter()(Text(visible_json(pretty))), soft_wrap=True)


class _Rate(ProgressColumn):
    """How many a second, or a minute where a second is too short; of the last steps."""

    def render(self, task: Task) -> Text:
        """Return the rate; nothing before it is known."""
        speed = task.finished_speed or task.speed
        if not speed:
            return Text("")
        return Text(f"{speed:.1f}/s" if speed >= 1 else f"{speed * 60:.1f}/min")


def _bars() -> Progress:
    return Progress(
        TextColumn("{task.description:<24}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=notes,
    )


@contextmanager
def stages() -> Generator[StageProgress]:
    """Show one bar per stage, with time passed and time left.

    Yields:
        The callback for (stage, done, total).
    """
    with _bars() as bars:
        tasks: dict[str, TaskID] = {}

        def report(stage: str, done: int, total: int | None) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            # Also for a stage that begins as done: only an update ends its clock.
            bars.update(tasks[stage], completed=done, total=total)
            if not notes.is_terminal and done == total:
                notes.print(Text(f"{stage}: {done} of {total}"))

        yield report


FIGURES = {
    "reward": "reward",
    "masked_gain": "gain",
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
"""Columns of the table of a synthesiser's training; those that a recipe has are shown."""
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


@contextmanager
def rows_progress() -> Generator[Callable[[int, int | None], None]]:
    """Show how many rows were read.

    Yields:
        The callback for (rows, rows in all or None).
    """
    with _bars() as bars:
        task = bars.add_task("read rows", total=None)

        def report(done: int, total: int | None) -> None:
            bars.update(task, completed=done, total=total)

        yield report
