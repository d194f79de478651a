"""How far a long call is: bars in a terminal, lines in a notebook, a log, or the caller's own.

Knows stages and counts; knows nothing of what is done in them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from usersim.errors import ArgumentError

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

__all__ = ["Progress", "clock", "show_progress", "staged"]

logger = logging.getLogger(__name__)

Progress: TypeAlias = Callable[[str, int, int | None], None]
"""Called with (stage, done, total); `total` is None where it is not known."""

QUIET_SECONDS = 1.0
"""A call that ends sooner shows nothing."""
REDRAW_SECONDS = 0.5
"""How often a notebook's lines are drawn again."""


@contextmanager
def show_progress(progress: Progress | bool, call: str) -> Generator[Progress]:  # noqa: FBT001 - as the caller gave it
    """Give what a long call reports its progress to; begin and end of each stage are logged too.

    Args:
        progress: As the caller gave it: True shows progress in a terminal and in a notebook,
            False nowhere; a function is called with (stage, done, total) instead.
        call: The public function, for the error.

    Yields:
        The callback for (stage, done, total).

    Raises:
        ArgumentError: If `progress` is something else.
    """
    if not isinstance(progress, bool) and not callable(progress):
        raise ArgumentError(
            f"{call}: progress is {progress!r}",
            hint="True shows it, False does not, and a function is called with "
            "(stage, done, total)",
        )
    log = _Log()
    if callable(progress):
        yield _both(log, progress)
        return
    view = _view() if progress else None
    if view is None:
        yield log
        return
    try:
        yield _both(log, view)
    finally:
        view.close()


def staged(stage: str, progress: Progress | None) -> Progress | None:
    """Return `progress` for work that is one stage to the caller, whatever it calls itself.

    Example:
        >>> answered = staged("answer", lambda stage, done, total: print(stage, done, total))
        >>> answered("generate", 1, 2)
        answer 1 2
    """
    return (lambda _, done, total: progress(stage, done, total)) if progress else None


def _both(first: Progress, second: Progress) -> Progress:
    def report(stage: str, done: int, total: int | None) -> None:
        first(stage, done, total)
        second(stage, done, total)

    return report


class _View(Protocol):
    def __call__(self, stage: str, done: int, total: int | None) -> None: ...
    def close(self) -> None: ...


def _view() -> _View | None:
    """Return what shows progress to a person; None where nobody looks on."""
    from rich.console import Console

    console = Console(stderr=True)
    if console.is_jupyter:
        return _Lines()
    return _Terminal(console) if console.is_terminal else None


class _Log:
    """Logs when a stage begins and ends."""

    def __init__(self) -> None:
        self._begun: dict[str, float] = {}

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        if stage not in self._begun:
            self._begun[stage] = time.perf_counter()
            if done != total:
                logger.info("%s: %d of %s", stage, done, "?" if total is None else total)
                return
        if done == total:
            logger.info(
                "%s: %d done in %.1f s", stage, done, time.perf_counter() - self._begun[stage]
            )


class _Terminal:
    """One bar per stage, from the first second on."""

    def __init__(self, console: object) -> None:
        self._console = console
        self._bars: Bars | None = None
        self._tasks: dict[str, TaskID] = {}
        self._start = time.perf_counter()
        self._last: dict[str, tuple[int, int | None]] = {}

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        self._last[stage] = (done, total)
        if self._bars is None:
            if time.perf_counter() - self._start < QUIET_SECONDS:
                return
            self._bars = _bars(self._console)
            self._bars.start()
        for name, (at, of) in self._last.items():
            if name not in self._tasks:
                self._tasks[name] = self._bars.add_task(name, total=of)
            self._bars.update(self._tasks[name], completed=at, total=of)
        self._last.clear()

    def close(self) -> None:
        """Leave the bars as they are."""
        if self._bars is not None:
            self._bars.stop()


def _bars(console: object) -> Bars:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bars

    assert isinstance(console, Console), "made by _view"
    return Bars(
        TextColumn("{task.description:<24}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("elapsed"),
        TimeElapsedColumn(),
        TextColumn("remaining"),
        TimeRemainingColumn(),
        console=console,
    )


class _Lines:
    """One line per stage in a notebook's output, drawn again in place.

    Not rich's own display: in a notebook it needs ipywidgets, and a front end that has them.
    """

    def __init__(self) -> None:
        self._stages: dict[str, tuple[int, int | None, float, float]] = {}
        self._handle: Any = None
        self._start = time.perf_counter()
        self._drawn = 0.0

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        now = time.perf_counter()
        begun = self._stages[stage][2] if stage in self._stages else now
        self._stages[stage] = (done, total, begun, now)
        if now - self._start >= QUIET_SECONDS and now - self._drawn >= REDRAW_SECONDS:
            self._draw()

    def close(self) -> None:
        """Leave the last state there."""
        if self._handle is not None:
            self._draw()

    def _draw(self) -> None:
        from IPython.display import display  # pyright: ignore[reportUnknownVariableType]

        text = "\n".join(_line(name, *state) for name, state in self._stages.items())
        shown = {"text/plain": text, "text/html": f"<pre>{escape(text)}</pre>"}
        if self._handle is None:
            # IPython's handle, which is not typed.
            self._handle = display(shown, raw=True, display_id=True)
        else:
            self._handle.update(shown, raw=True)
        self._drawn = time.perf_counter()


def _line(stage: str, done: int, total: int | None, begun: float, now: float) -> str:
    """Return a stage in one line.

    Example:
        >>> _line("score", 10, 40, 0.0, 30.0)
        'score: 10 of 40, elapsed 0:30, remaining 1:30'
    """
    elapsed = now - begun
    said = f"{stage}: {done} of {'?' if total is None else total}, elapsed {clock(elapsed)}"
    if total is None or not 0 < done < total:
        return said
    return f"{said}, remaining {clock(elapsed * (total - done) / done)}"


def clock(seconds: float | None) -> str:
    """Return a duration as a clock shows it.

    Example:
        >>> clock(84), clock(3723), clock(None)
        ('1:24', '1:02:03', '-:--')
    """
    if seconds is None:
        return "-:--"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
