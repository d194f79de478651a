"""A run's parts: what is asked of whom, and how far the run is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from usersim.types.interactions import Question
from usersim.views import in_words, printed

__all__ = ["RunItem", "RunRequest", "RunStatus"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """One question to one person, as a run keeps it.

    Attributes:
        user_id: Who is to answer.
        question: What is asked, and what an answer may be.
        before: Position of the observed interaction that is asked again: only what came before
            it is shown; None for a new question.
        metadata: What else the caller said about it; comes back with the answer.
    """

    user_id: str
    question: Question
    before: int | None = None
    metadata: Mapping[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True, slots=True, kw_only=True)
class RunItem:
    """One request in its run.

    Attributes:
        place: Place among the requests that were stored, from 0.
        row: Row of the source that was given, from 1, as refused rows are numbered.
        request: What is asked of whom.

    Example:
        >>> from usersim import UserSimulator
        >>> rows = [{"user_id": "ada", "context": "Tea?", "action": "Yes."}]
        >>> with UserSimulator.from_corpus(rows, engine="scripted") as sim:
        ...     run = sim.run([("ada", "Milk?"), ("eve", "Tea?"), ("ada", "Now?")], progress=False)
        ...     [(item.place, item.row, item.request.user_id) for item, _ in run.answers()]
        [(0, 1, 'ada'), (1, 3, 'ada')]
    """

    place: int
    row: int
    request: RunRequest


@printed(in_words)
@dataclass(frozen=True, slots=True, kw_only=True)
class RunStatus:
    """How far a run is.

    Attributes:
        done: Items that were answered.
        failed: Items that could not be answered; they are not asked again.
        left: Items not asked yet, or being asked.
        forgotten: Items of people who were forgotten since; nothing of them is kept.
        without_reasoning: Those of `done` whose traces could not be read: closed questions that
            were answered without reasoning.

    Example:
        >>> status = RunStatus(done=7, failed=1, left=2)
        >>> status.total, str(status)
        (10, '7 done, 1 failed, 2 left of 10')
        >>> str(RunStatus(done=7, failed=0, left=0, forgotten=3))
        '7 done, 0 failed, 0 left, 3 forgotten of 10'
        >>> str(RunStatus(done=7, failed=1, left=2, without_reasoning=3))
        '7 done (3 without readable reasoning), 1 failed, 2 left of 10'
    """

    done: int
    failed: int
    left: int
    forgotten: int = 0
    without_reasoning: int = 0

    @property
    def total(self) -> int:
        """Items in all, those of forgotten people included."""
        return self.done + self.failed + self.left + self.forgotten

    def __str__(self) -> str:
        """Say it in one line."""
        gone = f", {self.forgotten} forgotten" if self.forgotten else ""
        without = self.without_reasoning
        noted = f" ({without} without readable reasoning)" if without else ""
        return (
            f"{self.done} done{noted}, {self.failed} failed, {self.left} left{gone} of {self.total}"
        )
