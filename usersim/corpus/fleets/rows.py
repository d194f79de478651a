"""What the store says of fleets: frozen records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = ["FleetKind", "FleetRecord", "FleetStatus", "FleetTask", "TaskState"]

FleetKind = Literal["train", "reconstruct", "simulate"]
"""What is done for each person."""
TaskState = Literal["waiting", "running", "done", "failed"]


@dataclass(frozen=True, slots=True)
class FleetStatus:
    """How far a fleet is; its tasks are people.

    Attributes:
        done: People whose task is done.
        failed: People whose task failed and is not tried again.
        waiting: People whose task nobody has taken yet, or will be tried again.
        running: People whose task a worker has.
        forgotten: People who were forgotten since; nothing of theirs is kept.

    Example:
        >>> status = FleetStatus(done=7, failed=1, waiting=2)
        >>> status.total, str(status)
        (10, '7 done, 1 failed, 2 waiting, 0 running of 10')
    """

    done: int = 0
    failed: int = 0
    waiting: int = 0
    running: int = 0
    forgotten: int = 0

    @property
    def left(self) -> int:
        """People whose task is not over."""
        return self.waiting + self.running

    @property
    def total(self) -> int:
        """People in all, those who were forgotten included."""
        return self.done + self.failed + self.left + self.forgotten

    def __str__(self) -> str:
        """Say it in one line."""
        gone = f", {self.forgotten} forgotten" if self.forgotten else ""
        return (
            f"{self.done} done, {self.failed} failed, {self.waiting} waiting, "
            f"{self.running} running{gone} of {self.total}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetRecord:
    """A fleet in the store.

    Attributes:
        id: Row id.
        name: Its name: the same work under the same name is the same fleet.
        kind: What is done for each person.
        settings: What the work depends on, field by field.
        created: When it was started, UTC, ISO 8601.
        complete: Whether all of its tasks are stored.
        driver: Who drives it, as `machine:process`; empty if nobody does.
        status: How far it is.

    Example:
        >>> from usersim import Corpus
        >>> with Corpus.open(":memory:") as corpus:
        ...     record = corpus.fleets.begin("october", "train", {"model": "embedded"})
        >>> record.name, record.complete, record.driver
        ('october', False, '')
    """

    id: int
    name: str
    kind: FleetKind
    settings: Mapping[str, object]
    created: str
    complete: bool
    driver: str
    status: FleetStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetTask:
    """One person's task.

    Attributes:
        place: Its place in the fleet, from 0.
        user_id: The person.
        state: Whether it waits, runs, is done or failed.
        attempts: How often it was begun.
        seconds: How long the attempt that ended it took; None before one did.
        error: Class name of what ended the last attempt; empty if nothing did.
        message: What happened.
        result: What it made, as plain data.
    """

    place: int
    user_id: str
    state: TaskState
    attempts: int
    seconds: float | None
    error: str
    message: str
    result: Mapping[str, object]
