"""What a report folder of `usersim evaluate` holds, read back: scores per item, and the command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from pydantic import BaseModel, RootModel, ValidationError

from usersim.errors import EvaluationError
from usersim.evaluation.metrics import METRICS

__all__ = [
    "PREDICTIONS",
    "PROVENANCE",
    "ItemScores",
    "read_kinds",
    "read_provenance",
    "read_scores",
]

PREDICTIONS = "predictions.jsonl"
PROVENANCE = "command.json"


_AGAIN = "rewrite the report with `usersim evaluate`"


class _Scores(BaseModel):
    """What a line of predictions says of one arm: the part that is read back."""

    scores: dict[str, float | None]


class _Row(BaseModel):
    """A line of predictions: the part that is read back."""

    key: str
    user_id: str
    conversation: str
    kind: str = ""
    arms: dict[str, _Scores]


class _Provenance(RootModel[dict[str, object]]):
    """What a report says of its making."""


_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemScores:
    """One held-out answer.

    Attributes:
        user_id: Whose.
        conversation: Where it stands.
        scores: By arm.
    """

    user_id: str
    conversation: str
    scores: Mapping[str, float]


def read_scores(folder: str | Path, metric: str) -> dict[str, ItemScores]:
    """Return the items of a report by key, each with every arm's score.

    Args:
        folder: The `--out` folder of `usersim evaluate`.
        metric: Name of a metric that is the mean of its items' scores.

    Raises:
        EvaluationError: If there are no predictions, none has the metric, or it is a ratio of
            sums, which item scores do not give again.
    """
    if any(one.name == metric and not one.averages for one in METRICS):
        raise EvaluationError(
            f"{metric!r} is not the mean of its items' scores, so it cannot be recomputed from a "
            "report",
            hint=f"choose one of {[one.name for one in METRICS if one.averages]!r}",
        )
    found: dict[str, ItemScores] = {}
    known: set[str] = set()
    for line in filter(None, _text(Path(folder), PREDICTIONS).split("\n")):
        row = _read(_Row, line, Path(folder, PREDICTIONS))
        scores: dict[str, float] = {}
        for arm, told in row.arms.items():
            known |= set(told.scores)
            value = told.scores.get(metric)
            if value is not None and np.isfinite(value):
                scores[arm] = value
        if scores:
            found[row.key] = ItemScores(
                user_id=row.user_id, conversation=row.conversation, scores=scores
            )
    if not found:
        raise EvaluationError(
            f"{str(folder)!r} has no score per item of {metric!r}",
            hint=f"its metrics: {sorted(known)!r}",
        )
    return found


def read_kinds(folder: str | Path) -> set[str]:
    """Return the kinds of the answers of a report: `scale`, `free_text`.

    Args:
        folder: The `--out` folder of `usersim evaluate`.

    Raises:
        EvaluationError: If there are no predictions, or they are damaged.
    """
    lines = filter(None, _text(Path(folder), PREDICTIONS).split("\n"))
    return {_read(_Row, line, Path(folder, PREDICTIONS)).kind for line in lines}


def read_provenance(folder: str | Path) -> dict[str, object]:
    """Return what a report says of its making: command, engines, versions.

    Raises:
        EvaluationError: If the folder holds no finished report.
    """
    return _read(_Provenance, _text(Path(folder), PROVENANCE), Path(folder, PROVENANCE)).root


def _read(model: type[_Model], text: str, path: Path) -> _Model:
    """Return a piece of a report's file.

    Raises:
        EvaluationError: If it is damaged.
    """
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise EvaluationError(
            f"{str(path)!r} is damaged: {place}{': ' * bool(place)}{first['msg']}", hint=_AGAIN
        ) from None


def _text(folder: Path, name: str) -> str:
    try:
        return (folder / name).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise EvaluationError(
            f"{str(folder / name)!r} is damaged: it is not UTF-8", hint=_AGAIN
        ) from error
    except OSError as error:
        raise EvaluationError(
            f"no report in {str(folder)!r}: {name}: {error.strerror or error}",
            hint="pass the --out folder of `usersim evaluate`",
        ) from error
