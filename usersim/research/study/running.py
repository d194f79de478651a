"""Running the cells of a study: what is finished is kept, what is missing is measured.

A cell's folder says what it was begun with before anything is measured, and which arms are
finished after the report stands. A killed run resumes where it stopped; a folder that another plan
made is never mixed with this one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from usersim.errors import ConfigError, EvaluationError, UsersimError
from usersim.evaluation import ArmName
from usersim.files import make_folder, write_text
from usersim.research.study.cells import Cell

__all__ = ["CellState", "StudyRun", "run_cells", "seconds_of", "states_of"]

Measure = Callable[[Cell, Path], None]
"""Measures a cell and writes its report into the folder; called again, it resumes."""
Note = Callable[[Cell, "CellState"], None]
CellState = Literal["done", "started", "left", "failed"]

_STATE = "cell.json"
_LOCK = "study.lock"


class _Begun(BaseModel):
    """What a cell's folder says of it."""

    model_config = ConfigDict(extra="forbid")

    key: str
    settings: dict[str, object]
    done: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRun:
    """What became of the cells.

    Attributes:
        done: Cells whose report stands.
        failed: Cells that ended with an error, with it.
    """

    done: tuple[Cell, ...]
    failed: tuple[tuple[Cell, UsersimError], ...]


def states_of(cells: Sequence[Cell], out: Path) -> dict[str, CellState]:
    """Return how far each cell is, by its name; changes nothing.

    Raises:
        ConfigError: If the folder of a cell was made with other settings.
        EvaluationError: If what a folder says of its cell is damaged.
    """
    return {cell.name: _state(cell, out) for cell in cells}


def run_cells(
    cells: Sequence[Cell],
    out: Path,
    measure: Measure,
    *,
    note: Note = lambda _cell, _state: None,
) -> StudyRun:
    """Measure every cell that is not finished.

    A cell that ends with an error of usersim is reported, and the others are measured; the same
    call tries it again.

    Args:
        cells: What is to be measured.
        out: Folder of the study, made if it does not exist.
        measure: Measures one cell.
        note: Called with each cell and its state, before (`started`) and after it is measured.

    Raises:
        ConfigError: If another process runs this study, or a folder was made with other settings.
    """
    make_folder(out, what="the study", error=EvaluationError)
    try:
        with FileLock(out / _LOCK, timeout=0):
            return _run(cells, out, measure, note)
    except Timeout:
        raise ConfigError(
            f"another process runs the study in {str(out)!r}",
            hint="wait for it, or choose another folder",
        ) from None


def _run(cells: Sequence[Cell], out: Path, measure: Measure, note: Note) -> StudyRun:
    states = states_of(cells, out)  # other settings are refused before anything is measured
    done: list[Cell] = []
    failed: list[tuple[Cell, UsersimError]] = []
    for cell in cells:
        if states[cell.name] != "done":
            note(cell, "started")
            try:
                _measured(cell, out, measure)
            except UsersimError as error:
                failed.append((cell, error))
                note(cell, "failed")
                continue
        done.append(cell)
        note(cell, "done")
    return StudyRun(done=tuple(done), failed=tuple(failed))


def _measured(cell: Cell, out: Path, measure: Measure) -> None:
    folder = cell.folder(out)
    make_folder(folder, what="a cell of the study", error=EvaluationError)
    before = _read(folder / _STATE)
    spent = before.seconds if before is not None else 0.0
    _write(cell, folder, done=(), seconds=spent)
    began = time.monotonic()
    finished: tuple[ArmName, ...] = ()
    try:
        measure(cell, folder)
        finished = cell.arms
    finally:  # an interruption counts too; a kill loses its time, and nothing else
        _write(cell, folder, done=finished, seconds=spent + time.monotonic() - began)


def seconds_of(cell: Cell, out: Path) -> float:
    """Return how long a cell took in all its runs, seconds; 0 if it was never begun."""
    begun = _read(cell.folder(out) / _STATE)
    return begun.seconds if begun is not None else 0.0


def _write(cell: Cell, folder: Path, *, done: Sequence[str], seconds: float) -> None:
    told = {
        "key": cell.key,
        "settings": cell.settings.model_dump(mode="json"),
        "done": list(done),
        "seconds": round(seconds, 1),
    }
    text = json.dumps(told, indent=2) + "\n"
    write_text(folder / _STATE, text, what="the state of a cell", error=EvaluationError)


def _state(cell: Cell, out: Path) -> CellState:
    begun = _read(cell.folder(out) / _STATE)
    if begun is None:
        return "left"
    if begun.key != cell.key:
        now = cell.settings.model_dump(mode="json")
        other = sorted(name for name in now if now[name] != begun.settings.get(name))
        changed = ", ".join(f"{n}={begun.settings.get(n)!r} is now {now[n]!r}" for n in other)
        raise ConfigError(
            f"{cell.name} was measured with other settings in {str(cell.folder(out))!r}: {changed}",
            hint="choose another folder for the study, or delete this one",
        )
    return "done" if set(cell.arms) <= set(begun.done) else "started"


def _read(path: Path) -> _Begun | None:
    """Return what a folder says of its cell; None if it says nothing.

    Raises:
        EvaluationError: If it is damaged.
    """
    if not path.exists():
        return None
    try:
        return _Begun.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError, UnicodeDecodeError) as error:
        raise EvaluationError(
            f"{str(path)!r} is damaged: {error}", hint="delete the folder of this cell"
        ) from error
