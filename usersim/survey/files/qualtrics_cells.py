"""What the cells of one respondent in a Qualtrics export say, question by question.

The rules, all of which can be set:

- *Blank* is not a valid answer.
- *Missing codes* (`-99` by default) are no answer: seen, and left unanswered.
- *Several options in columns of their own*: a cell that names its option, by label, variable name
  or recode value, or is 1, is `yes`. Beside a ticked option a blank, 0 or missing code is `no`.
  Where none is ticked there is not a valid answer (`unticked="no"`: all are `no`).
- *Labels* are matched up to white space, invisible characters and entities; a recode value counts
  where the file holds codes.
- *Numbers* outside their range, NaN and infinity are no answers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from usersim.errors import ActionError
from usersim.survey.files.notes import Column
from usersim.survey.questions import (
    Budget,
    MultipleChoice,
    NumberQuestion,
    OpenText,
    Ranking,
    SurveyQuestion,
    space_of,
)
from usersim.survey.responses import column_of
from usersim.survey.survey import Survey
from usersim.types import ValueReader, normalized, number_in

__all__ = ["MISSING", "CellReader", "Unticked", "ValuesAs", "values_as"]

ValuesAs = Literal["auto", "labels", "codes"]
"""Whether cells hold labels or recode values; `auto`: to be found out."""
Unticked = Literal["unanswered", "no"]
"""What it means that none of several options was ticked."""
MISSING: tuple[str | float, ...] = ("-99",)
"""What Qualtrics writes for a question that was seen and not answered, where it is told to."""
_TICKED = {"1", "true", "yes", "checked", "selected", "x"}
_NOT_TICKED = {"", "0", "false", "no", "unchecked", "not selected"}


@dataclass(slots=True)
class CellReader:
    """Reads the cells of respondents, and counts what is none of the answers.

    Attributes:
        survey: The instrument.
        how: Whether cells hold labels or codes.
        missing: Cells that are no answer.
        unticked: What it means that no option was ticked.
        strange: Cells that are no answers, by column.
        ambiguous: Cells that are one option's label and another one's code, by column.
        in_range: Missing codes that could be numbers of their question, by column.
        told: Cells that are not blank.
    """

    survey: Survey
    how: ValuesAs
    missing: tuple[str | float, ...] = MISSING
    unticked: Unticked = "unanswered"
    strange: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    ambiguous: dict[tuple[str, str], None] = field(default_factory=dict[tuple[str, str], None])
    in_range: Counter[str] = field(default_factory=Counter[str])
    told: int = 0
    _readers: dict[tuple[str, str], ValueReader] = field(
        default_factory=dict[tuple[str, str], ValueReader]
    )
    _questions: dict[str, SurveyQuestion] = field(default_factory=dict[str, SurveyQuestion])

    def __post_init__(self) -> None:
        self._questions = {one.id: one for one in self.survey.all_questions}

    def answers(self, cells: Iterable[tuple[Column, str]]) -> dict[str, object]:
        """Return the answers that a respondent's cells give, by the survey's columns."""
        found: dict[str, object] = {}
        ticks: dict[str, list[tuple[Column, str]]] = {}
        for column, cell in cells:
            question = self._questions[column.question]
            self.told += bool(cell.strip())
            if isinstance(question, MultipleChoice):
                ticks.setdefault(question.id, []).append((column, cell.strip()))
            elif (value := self._value(question, column, cell)) is not None:
                found[column_of(question, column.item)] = value
        for name, own in ticks.items():
            question = self._questions[name]
            assert isinstance(question, MultipleChoice), "only those are collected"
            found |= self._several(question, own)
        return found

    def _value(self, question: SurveyQuestion, column: Column, cell: str) -> object:
        """Return a cell as a label, a number or a text; None if it is not a valid answer."""
        if not cell.strip():
            return None
        name = column_of(question, column.item)
        if self._is_missing(cell):
            if _could_be(question, cell):
                self.in_range[name] += 1
            return None
        if self.how == "auto" and _is_ambiguous(question, column, cell):
            self.ambiguous[name, cell.strip()] = None
            return None
        try:
            return self._reader(question, column)(cell)
        except ActionError:
            self.strange[name, cell.strip()] += 1
            return None

    def _is_missing(self, cell: str) -> bool:
        number = number_in(cell)
        return any(
            normalized(cell) == normalized(str(one))
            or (number is not None and number_in(one) == number)
            for one in self.missing
        )

    def _reader(self, question: SurveyQuestion, column: Column) -> ValueReader:
        key = (question.id, column.item)
        if key not in self._readers:
            codes = {**column.names, **column.codes} if self.how != "labels" else column.names
            coded = self.how == "codes" or bool(column.names)
            closed = question.labels and not _is_open(question)
            self._readers[key] = ValueReader(
                space_of(question), codes=codes if closed else None, coded=coded
            )
        return self._readers[key]

    def _several(
        self, question: MultipleChoice, cells: Sequence[tuple[Column, str]]
    ) -> dict[str, object]:
        """Return `yes` or `no` for each option, where there is an answer at all."""
        chosen: set[str] = set()
        for column, cell in cells:
            if not cell or self._is_missing(cell):
                continue
            if column.item:
                ticked = self._ticked(column, cell)
                if ticked is None:
                    self.strange[column_of(question, column.item), cell] += 1
                elif ticked:
                    chosen.add(column.item)
                continue
            listed, rest = self._split(question, column, cell)
            if rest:
                self.strange[question.id, rest] += 1
                return {}
            chosen |= listed
        if not chosen and self.unticked == "unanswered":
            return {}
        asked = {column.item for column, _ in cells}
        told = question.options if "" in asked else [o for o in question.options if o in asked]
        return {column_of(question, one): "yes" if one in chosen else "no" for one in told}

    def _ticked(self, column: Column, cell: str) -> bool | None:
        """Return whether a cell says that its option was chosen; None if it says something else."""
        word = normalized(cell).casefold()
        own = {normalized(column.item).casefold()}
        own |= {normalized(k).casefold() for k, v in column.names.items() if v == column.item}
        if word in own:
            return True
        number = number_in(word)
        codes = {number_in(code) for code, label in column.codes.items() if label == column.item}
        if number == 0.0 and 0.0 not in codes:
            return False
        if number is not None and number in {1.0, *codes}:
            return True
        if word in _TICKED:
            return True
        return False if word in _NOT_TICKED else None

    def _split(self, question: MultipleChoice, column: Column, cell: str) -> tuple[set[str], str]:
        """Return the options that a cell names, with commas between them, and what is left."""
        names: dict[str, str] = {}
        if self.how != "codes":
            names |= {label: label for label in question.options} | dict(column.names)
        if self.how != "labels":
            names = {**column.codes, **names}
        return split_options(cell, names)


def split_options(cell: str, names: Mapping[str, str]) -> tuple[set[str], str]:
    """Return the options that a cell with commas between them names, and what is left over.

    Args:
        cell: The whole cell.
        names: Option by the name that stands for it.

    Example:
        >>> named = {one: one for one in ("cake", "tea", "tea, hot")}
        >>> sorted(split_options("tea, hot,Cake", named)[0])
        ['cake', 'tea, hot']
    """
    forms = {normalized(name).casefold(): option for name, option in names.items()}
    chosen: set[str] = set()
    rest = normalized(cell)
    while rest:
        folded = rest.casefold()
        held = [form for form in forms if folded == form or folded.startswith(f"{form},")]
        if not held:
            return chosen, rest
        longest = max(held, key=len)
        chosen.add(forms[longest])
        rest = rest[len(longest) + 1 :].lstrip()
    return chosen, ""


def _is_open(question: SurveyQuestion) -> bool:
    return isinstance(question, OpenText | NumberQuestion | Ranking | Budget)


def _is_ambiguous(question: SurveyQuestion, column: Column, cell: str) -> bool:
    """Return whether a cell is one option's label and another one's code."""
    if _is_open(question):
        return False
    number = number_in(cell)
    coded = {label for code, label in column.codes.items() if number_in(code) == number is not None}
    try:
        label = ValueReader(space_of(question), codes=column.names, coded=True)(cell)
    except ActionError:
        return False
    return bool(coded - {label})


def _could_be(question: SurveyQuestion, cell: str) -> bool:
    """Return whether a missing code could be a number of its question."""
    if not isinstance(question, NumberQuestion) or question.low is None:
        return False
    try:
        space_of(question).parse(cell)
    except ActionError:
        return False
    return True


def values_as(survey: Survey, columns: Iterable[tuple[Column, Sequence[str]]]) -> ValuesAs:
    """Return whether cells are labels or codes, by those that can be but one of them.

    Args:
        survey: The instrument.
        columns: Each with its cells.

    Returns:
        `auto` where no cell says so, or cells contradict each other.
    """
    labels = codes = 0
    questions = {one.id: one for one in survey.all_questions}
    for column, cells in columns:
        question = questions[column.question]
        if _is_open(question) or isinstance(question, MultipleChoice):
            continue
        named = {normalized(one).casefold() for one in (*question.labels, *column.names)}
        coded = {number_in(code) for code in column.codes}
        for cell in {normalized(cell).casefold() for cell in cells} - {""}:
            is_label, is_code = cell in named, number_in(cell) in coded - {None}
            labels += is_label and not is_code
            codes += is_code and not is_label
    if bool(labels) == bool(codes):
        return "auto"
    return "labels" if labels else "codes"
