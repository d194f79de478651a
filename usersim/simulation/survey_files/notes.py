"""What came of an import: the instrument, and row by row what could not be taken over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from usersim.simulation.survey import Survey

__all__ = ["Note", "Notes", "SurveyImport"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One thing that was not taken over as it is in the source.

    Attributes:
        where: Question, block or element, by its id in the source.
        what: The value concerned.
        done: What was done instead.
    """

    where: str
    what: str
    done: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}: {self.done}"


@dataclass(frozen=True, slots=True)
class Notes:
    """Notes in the making."""

    rows: list[Note] = field(default_factory=list[Note])

    def add(self, where: str, what: str, done: str) -> None:
        """Add a note."""
        self.rows.append(Note(where=where, what=what, done=done))


@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyImport:
    """An imported instrument.

    Attributes:
        survey: The instrument.
        ids: Id in the survey by id in the source, such as `{"QID1": "age"}`.
        notes: What could not be taken over as it was; empty if everything could.
    """

    survey: Survey
    ids: Mapping[str, str]
    notes: tuple[Note, ...]

    def __str__(self) -> str:
        count = f"{len(self.ids)} questions of {self.survey.title!r}; {len(self.notes)} notes"
        return "\n".join([count, *(f"  {note}" for note in self.notes)])
