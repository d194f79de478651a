"""What the store says of runs: frozen records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from usersim.types import RunItem, RunStatus

__all__ = ["AnswerRow", "FailureRow", "RunRecord"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """A run and how far it is.

    Attributes:
        id: Row id.
        name: Its name.
        fingerprint: Identity of its settings and requests.
        settings: What the fingerprint is made of, field by field.
        created: When it was started, UTC, ISO 8601.
        total: Items that were stored at its beginning; None until all of them are.
        status: How far it is.
    """

    id: int
    name: str
    fingerprint: str
    settings: Mapping[str, object]
    created: str
    total: int | None
    status: RunStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerRow:
    """An item that was answered.

    Attributes:
        item: What was asked of whom.
        record: The answer and its trace, as plain data.
    """

    item: RunItem
    record: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureRow:
    """An item that could not be answered.

    Attributes:
        item: What was asked of whom.
        error: Class name of the error.
        message: What happened.
        text: The text that could not be used, whole.

    Example:
        >>> from usersim import UserSimulator
        >>> from usersim.engines.scripted import ScriptedEngine
        >>> rows = [{"user_id": "ada", "context": "Tea?", "action": "Yes."}]
        >>> engine = ScriptedEngine(lambda *_: "")
        >>> with UserSimulator.from_corpus(rows, engine=engine, config="tiny") as sim:
        ...     run = sim.run([("ada", "Milk?")], progress=False)
        ...     [(failure.item.row, failure.error) for failure in run.failures()]
        [(1, 'TranscriptError')]
    """

    item: RunItem
    error: str
    message: str
    text: str
