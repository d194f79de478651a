"""What came of an import or export of an instrument, and what was lost on the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from usersim.survey.survey import Survey
from usersim.types.counting import counted

__all__ = ["Column", "Note", "Notes", "SurveyExport", "SurveyImport", "listed"]

_SHOWN = 4
"""Places of a note that are named; the others are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One thing that was not taken over as it is in the source.

    Attributes:
        where: Question, section, block or element, by its id in the source.
        what: The attribute or value concerned.
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

    _rows: dict[Note, None] = field(default_factory=dict[Note, None])

    @property
    def rows(self) -> list[Note]:
        """The notes in the order in which they were added."""
        return list(self._rows)

    def add(self, where: str, what: str, done: str) -> None:
        """Add a note, once."""
        self._rows[Note(where=where, what=what, done=done)] = None


def listed(notes: Sequence[Note]) -> list[str]:
    """Return notes as lines; what is the same in many places is one line.

    Example:
        >>> many = [Note(where=f"QID{n}", what="a timer", done="left out") for n in range(1, 8)]
        >>> listed(many)
        ['QID1, QID2, QID3, QID4 and 3 more: a timer: left out']
    """
    places: dict[tuple[str, str], list[str]] = {}
    for note in notes:
        places.setdefault((note.what, note.done), []).append(note.where)
    lines: list[str] = []
    for (what, done), where in places.items():
        more = f" and {len(where) - _SHOWN} more" if len(where) > _SHOWN else ""
        lines.append(f"{', '.join(where[:_SHOWN])}{more}: {what}: {done}")
    return lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """What one column of an export answers.

    Attributes:
        question: Id in the survey.
        item: Option or row; empty where the question has one answer, and where one cell lists all
            chosen options.
        names: Other names that an export has for labels, such as variable names.
        codes: Label by the number that a numeric export writes.
    """

    question: str
    item: str = ""
    names: Mapping[str, str] = field(default_factory=dict[str, str])
    codes: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyImport:
    """An imported instrument.

    Attributes:
        survey: The instrument.
        ids: Ids in the survey by id in the source, such as `{"QID1": ("age",)}`; a grid may become
            several questions.
        columns: What each column of an export answers, by its import id, such as `QID3_4`.
        headers: The same by the name that an export gives a column, such as `Q3_4`; names that two
            columns would have are left out.
        asked: Questions of the source that ask something; timers and captchas do not.
        notes: What could not be taken over as it was; empty if everything could.

    Example:
        >>> from tempfile import mkdtemp
        >>> from usersim.survey import SingleChoice
        >>> from usersim.survey.files import read_qsf, write_qsf
        >>> tea = SingleChoice(id="tea", text="Which tea?", options=("green", "black"))
        >>> written = write_qsf(Survey(title="Tea", questions=(tea,)), f"{mkdtemp()}/tea.qsf")
        >>> found = read_qsf(written.path)
        >>> found.survey.title, found.asked, list(found.headers)
        ('Tea', 1, ['tea'])
    """

    survey: Survey
    ids: Mapping[str, tuple[str, ...]]
    columns: Mapping[str, Column]
    headers: Mapping[str, Column]
    asked: int
    notes: tuple[Note, ...]

    def __str__(self) -> str:
        """Say how much came over, and list what did not."""
        count = (
            f"{len(self.ids)} of {self.asked} questions of {self.survey.title!r}; "
            f"{counted(len(self.notes), 'note')}"
        )
        return "\n".join([count, *(f"  {line}" for line in listed(self.notes))])


@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyExport:
    """An instrument that was written for another program.

    Attributes:
        path: The file.
        title: Of the survey.
        questions: How many questions it asks.
        notes: What the other program cannot hold as it was; empty if it holds everything.
        refusals: Labels that are refusals, which the file cannot say; for `read_qsf(refusals=)`.
        scales: Ids of questions that are scales, which the file cannot say; for
            `read_qsf(scales=)`.

    Example:
        >>> from tempfile import mkdtemp
        >>> from usersim.survey import YesNo
        >>> from usersim.survey.files import write_qsf
        >>> survey = Survey(title="Drinks", questions=(YesNo(id="tea", text="Tea?"),))
        >>> written = write_qsf(survey, f"{mkdtemp()}/drinks.qsf")
        >>> written.path.name, written.questions
        ('drinks.qsf', 1)
    """

    path: Path
    title: str
    questions: int
    notes: tuple[Note, ...] = ()
    refusals: tuple[str, ...] = ()
    scales: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Say what was written, and list what could not be."""
        count = (
            f"{counted(self.questions, 'question')} of {self.title!r} written to {self.path}; "
            f"{counted(len(self.notes), 'note')}"
        )
        return "\n".join([count, *(f"  {line}" for line in listed(self.notes))])
