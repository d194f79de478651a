"""How far a command is: bars in a terminal, a line now and then anywhere else."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
)
from rich.progress import Progress as Bars
from rich.text import Text

from usersim.cli.console import notes
from usersim.views import Progress, clock

__all__ = ["Lines", "Times", "stages"]

LINE_SECONDS = 30.0
"""Time between two lines where there is no terminal."""


class _Rate(ProgressColumn):
    """How many a second, or a minute where a second is too short; of the last steps."""

    def render(self, task: Task) -> Text:
        """Return the rate; nothing before it is known."""
        speed = task.finished_speed or task.speed
        if not speed:
            return Text("")
        return Text(f"{speed:.1f}/s" if speed >= 1 else f"{speed * 60:.1f}/min")


class Times(ProgressColumn):
    """Time passed and time left, each with its name."""

    max_refresh = 0.5

    def render(self, task: Task) -> Text:
        """Return the times; the rest is not guessed before something is done."""
        elapsed = (task.finished_time if task.finished else task.elapsed) or 0.0
        found = round(task.fields.get("found", 0))
        total = None if task.total is None else round(task.total)
        left = _left(elapsed, round(task.completed), total, found)
        return Text(f"elapsed {clock(elapsed)}, remaining {clock(left)}")


def _left(elapsed: float, done: int, total: int | None, found: int) -> float | None:
    """Return how long the rest takes at the pace so far; None before there is one.

    Args:
        elapsed: Seconds since the stage began.
        done: How far it is.
        total: How far it goes; None if that is not known.
        found: How far it was when it began, by an earlier run: that took no time of this one.
    """
    if total is None or (done <= found and done < total):
        return None
    return elapsed * (total - done) / (done - found) if done < total else 0.0


def _bars() -> Bars:
    return Bars(
        TextColumn("{task.description:<24}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        Times(),
        console=notes,
    )


class Lines:
    """Says how far stages are in lines: each stage when it ends, and now and then before.

    Args:
        write: Prints a line.
        now: A clock, seconds.
        quiet: Seconds before the first line.

    Example:
        >>> passed = iter([0.0, 40.0, 60.0])
        >>> lines = Lines(print, now=lambda: next(passed))
        >>> lines.report("score", 0, 30)
        score: 0 of 30, elapsed 0:00, remaining -:--
        >>> lines.report("score", 20, 30)
        score: 20 of 30, elapsed 0:40, remaining 0:20
        >>> lines.report("score", 30, 30)
        score: 30 of 30, elapsed 1:00
    """

    def __init__(
        self,
        write: Callable[[str], None],
        *,
        now: Callable[[], float] = time.monotonic,
        quiet: float = 0.0,
    ) -> None:
        self._write = write
        self._now = now
        self._lock = threading.Lock()
        self._next: float | None = None if quiet else float("-inf")
        self._quiet = quiet
        self._stage = ""
        self._open = False
        self._began = 0.0
        self._found = 0
        self._done = 0
        self._total: int | None = None

    def report(self, stage: str, done: int, total: int | None) -> None:
        """Note how far a stage is."""
        with self._lock:
            now, whole = self._now(), done == total
            if stage == self._stage and whole and not self._open:
                return
            if stage != self._stage or not self._open:
                self._stage, self._began, self._found = stage, now, done
            self._done, self._total, self._open = done, total, not whole
            self._say(now)

    def tick(self) -> None:
        """Say how far the current stage is, if that was not said for `LINE_SECONDS`."""
        with self._lock:
            if self._open:
                self._say(self._now())

    def _say(self, now: float) -> None:
        if self._next is None:
            self._next = now + self._quiet
        if now < self._next and (self._open or self._quiet):
            return
        self._next = now + LINE_SECONDS
        passed = now - self._began
        counted = f"{self._done:,}" if self._total is None else f"{self._done} of {self._total}"
        line = f"{self._stage}: {counted}, elapsed {clock(passed)}"
        if self._open and self._total is not None:
            left = _left(passed, self._done, self._total, self._found)
            line += f", remaining {clock(left)}"
        self._write(line)


@contextmanager
def stages(*, quiet: bool = False) -> Generator[Progress]:
    """Show how far each stage is, with time passed and time left: bars in a terminal, else lines.

    Args:
        quiet: In lines, say nothing of what takes less than `LINE_SECONDS`.

    Yields:
        The callback for (stage, done, total).
    """
    if notes.is_terminal:
        with _bars() as bars:
            tasks: dict[str, TaskID] = {}

            def show(stage: str, done: int, total: int | None) -> None:
                if stage not in tasks:
                    tasks[stage] = bars.add_task(stage, total=total, found=done)
                # Also for a stage that begins as done: only an update ends its clock.
                bars.update(tasks[stage], completed=done, total=total)

            yield show
        return
    lines = Lines(
        lambda line: notes.print(Text(line), soft_wrap=True), quiet=LINE_SECONDS if quiet else 0.0
    )
    ended = threading.Event()

    def tick() -> None:
        # A step may take minutes without a word from the stage.
        while not ended.wait(1.0):
            lines.tick()

    thread = threading.Thread(target=tick, name="usersim-progress", daemon=True)
    thread.start()
    try:
        yield lines.report
    finally:
        ended.set()
        thread.join()
