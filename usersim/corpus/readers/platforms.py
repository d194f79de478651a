"""Answers as survey platforms export them: LimeSurvey and SurveyMonkey, as CSV.

The header tells the platform. What was asked comes from the header's texts; what could be answered
comes from the answers: a look over the whole file says which columns are one question of several
choices, and which answers recur. A codebook may say it better, column by column.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, cast

from usersim.corpus.readers.codebook import Codebook, column_key
from usersim.corpus.readers.records import LeftOut, Unreadable
from usersim.corpus.readers.text import Table, unreadable
from usersim.delimited import BrokenRecord
from usersim.errors import CorpusFormatError
from usersim.types import number_in
from usersim.types.counting import counted

__all__ = ["Platform", "PlatformTable", "platform_of"]

Platform = Literal["limesurvey", "surveymonkey"]

NOT_SHOWN = "questions that were not shown"
_LIME = frozenset(
    {
        "id", "response id", "submitdate", "date submitted", "lastpage", "last page",
        "startlanguage", "start language", "seed", "startdate", "date started", "datestamp",
        "date last action",
    }
)  # fmt: skip
_LIME_SIGNS = 3  # of its own columns, before a table counts as LimeSurvey's
_LIME_IDS = ("id", "response id")
_LIME_TIMES = ("submitdate", "date submitted", "datestamp", "date last action", "startdate",
               "date started")  # fmt: skip
_NO_TIME = "1980-01-01"  # what LimeSurvey writes where times are not kept
_MONKEY_TIMES = ("date created", "date modified")
_MONKEY = frozenset({"respondent id", "collector id", *_MONKEY_TIMES})
_PERSONAL = frozenset(
    {
        "ipaddr", "ip address", "refurl", "referrer url", "token", "access code", "email",
        "email address", "firstname", "first name", "lastname", "last name", "custom data 1",
    }
)  # fmt: skip
_OTHERS = re.compile(r"other|comment|please specify", re.IGNORECASE)
_BRACKETS = re.compile(r"(?P<question>.+?)\s*\[(?P<part>[^\[\]]*)\](?:\[[^\[\]]*\])?", re.DOTALL)
_TICKED = frozenset({"yes", "y", "1"})
_UNTICKED = frozenset({"no", "n", "0"})
_MOST_OPTIONS = 12
_LONGEST_OPTION = 120
_SCANNED = 60  # distinct answers of a column: beyond the most options, it is no list of them


def platform_of(header: Sequence[str]) -> Platform | None:
    """Return which platform's export a header begins; None if it is none of them."""
    names = {column_key(name) for name in header}
    if {"respondent id", "collector id"} <= names:
        return "surveymonkey"
    return "limesurvey" if len(names & _LIME) >= _LIME_SIGNS else None


@dataclass(slots=True)
class _Column:
    """One answer column: its question, its part of it, and the answers in it."""

    place: int
    question: str
    part: str
    answers: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def other(self) -> bool:
        """Whether answers in it are in the respondent's own words."""
        return bool(_OTHERS.search(self.part))


@dataclass(slots=True)
class PlatformTable:
    """An export, read twice: once for its questions, once for its answers.

    Args:
        table: The file.
        platform: Whose export it is.
    """

    table: Table
    platform: Platform
    _roles: dict[str, int] = field(default_factory=dict[str, int])
    _single: dict[str, _Column] = field(default_factory=dict[str, _Column])
    _several: dict[str, list[_Column]] = field(default_factory=dict[str, list[_Column]])
    _dropped: list[str] = field(default_factory=list[str])
    _inferred: list[str] = field(default_factory=list[str])

    def codebook(self) -> dict[str, Mapping[str, object]]:
        """Return the questions of the file, and who answered and when.

        Raises:
            CorpusFormatError: If the header holds codes instead of questions.
        """
        columns = self._columns()
        for _, cells in self._rows():
            if not isinstance(cells, BrokenRecord):
                self._count(columns, cells)
        self._sort(columns)
        if not self._single and not self._several:
            raise CorpusFormatError(f"{self.table.member.name!r} has no questions")
        book: dict[str, Mapping[str, object]] = {
            "respondent": {"kind": "id"},
            "timestamp": {"kind": "timestamp"},
        }
        for name, column in self._single.items():
            book[name] = {"text": name, **self._space(name, column)}
        for name, parts in self._several.items():
            options = [part.part for part in parts if not part.other]
            book[name] = {"text": name, "kind": "multi_choice", "options": options}
        return book

    def records(self) -> Iterator[tuple[int, object]]:
        """Yield one record per respondent, and what is none."""
        width = len(self.table.header()[0])
        for number, cells in self._rows():
            if isinstance(cells, BrokenRecord):
                yield number, unreadable(cells)
            elif any(cell.strip() for cell in cells[width:]):
                reason = (
                    f"has {counted(len(cells), 'cell')} and the header {counted(width, 'column')}"
                )
                yield number, Unreadable(",".join(cells).encode(), reason)
            elif not any(cell.strip() for cell in cells):
                yield number, LeftOut("blank rows")
            else:
                yield from ((number, one) for one in self._record(cells))

    def described(self, book: Codebook) -> Iterator[tuple[int, object]]:
        """Yield one record per respondent, by the columns that a codebook names.

        Columns of one question, such as `Q2[SQ001]` and `Q2[SQ002]`, are the list of its ticked
        parts where the codebook describes `Q2`.

        Args:
            book: What the columns mean.
        """
        names = self.table.columns()
        known = {column_key(name) for name in book.items}
        parts: dict[str, tuple[str, str]] = {}
        for name in names:
            found = _BRACKETS.fullmatch(name)
            if found is not None and column_key(found["question"]) in known:
                parts[name] = found["question"], found["part"]
        self._dropped = [n for n in names if column_key(n) in _PERSONAL - known]
        for number, record in self.table.records():
            if not isinstance(record, dict):
                yield number, record
                continue
            fields = cast("dict[str, object]", record)
            hidden = sum(value == "N/A" for value in fields.values())
            if hidden:
                yield number, LeftOut(NOT_SHOWN, hidden)
            yield number, self._described(fields, parts)

    def _described(
        self, fields: Mapping[str, object], parts: Mapping[str, tuple[str, str]]
    ) -> dict[str, object]:
        chosen: dict[str, list[str]] = {}
        record: dict[str, object] = {}
        for name, value in fields.items():
            if name in self._dropped:
                continue
            if name not in parts:
                record[name] = None if value == "N/A" else value
            elif str(value).casefold() in _TICKED:
                question, part = parts[name]
                chosen.setdefault(question, []).append(part)
        return {**record, **chosen}

    def notes(self) -> list[str]:
        """Return what was inferred, and what was not read."""
        said: list[str] = []
        if self._inferred:
            said.append(
                "only options that somebody chose are known; list all in a codebook for: "
                + ", ".join(repr(name) for name in self._inferred)
            )
        if self._dropped:
            said.append(f"columns that identify the person are skipped: {', '.join(self._dropped)}")
        return said

    def _rows(self) -> Iterator[tuple[int, list[str] | BrokenRecord]]:
        return self.table.rows(2 if self.platform == "surveymonkey" else 1)

    def _columns(self) -> list[_Column]:
        """Return the answer columns, and remember which hold respondent, time and person."""
        count = 2 if self.platform == "surveymonkey" else 1
        rows = self.table.header(count)
        first, second = rows[0], (rows[1] if len(rows) > 1 else [])
        known = _MONKEY if self.platform == "surveymonkey" else _LIME
        columns: list[_Column] = []
        question = ""
        for place, cell in enumerate(first):
            question = " ".join(cell.split()) or question
            key = column_key(cell)
            if key in _PERSONAL:
                self._dropped.append(question)
                question = ""
            elif key in known:
                self._roles[key] = place
            elif question:
                below = second[place].strip() if place < len(second) else ""
                columns.append(self._column(place, question, below))
        return columns

    def _column(self, place: int, question: str, below: str) -> _Column:
        if self.platform == "surveymonkey":
            return _Column(place, question, " ".join(below.split()))
        found = _BRACKETS.fullmatch(question)
        if found is None:
            return _Column(place, question, "")
        return _Column(place, found["question"], " ".join(found["part"].split()))

    def _count(self, columns: Sequence[_Column], cells: Sequence[str]) -> None:
        for column in columns:
            answer = _at(cells, column.place)
            known = answer in column.answers
            fits = known or len(column.answers) < _SCANNED
            if answer and not self._hidden(answer) and fits:
                column.answers[answer] = column.answers.get(answer, 0) + 1

    def _hidden(self, answer: str) -> bool:
        """Return whether a cell says that its question was not shown."""
        return answer == "N/A" and self.platform == "limesurvey"

    def _sort(self, columns: Sequence[_Column]) -> None:
        """Tell questions of several choices from tables of single ones, by their answers."""
        groups: dict[str, list[_Column]] = {}
        for column in columns:
            groups.setdefault(column.question, []).append(column)
        for question, parts in groups.items():
            choices = [part for part in parts if not part.other]
            if len(choices) > 1 and all(_ticks(part) for part in choices):
                self._several[question] = choices
                others = [part for part in parts if part.other]
                self._single |= {f"{question} [{one.part}]": one for one in others if one.answers}
                continue
            # SurveyMonkey calls the only part of a question "Response" or the like.
            bare = len(parts) == 1 and self.platform == "surveymonkey"
            for part in parts:
                whole = bare or not part.part
                self._single[question if whole else f"{question} [{part.part}]"] = part

    def _space(self, name: str, column: _Column) -> dict[str, object]:
        answers = column.answers
        if answers and all(number_in(answer) is not None for answer in answers):
            return {"kind": "number"}
        total = sum(answers.values())
        few = 1 < len(answers) <= _MOST_OPTIONS and total >= 2 * len(answers)
        if few and max(map(len, answers)) <= _LONGEST_OPTION and not column.other:
            self._inferred.append(name)
            return {"kind": "choice", "options": sorted(answers)}
        return {"kind": "free_text"}

    def _record(self, cells: list[str]) -> Iterator[dict[str, object] | LeftOut | Unreadable]:
        record: dict[str, object] = {
            "respondent": _at(cells, self._first(_LIME_IDS, "respondent id")) or None,
            "timestamp": self._time(cells),
        }
        hidden = 0
        for name, column in self._single.items():
            answer = _at(cells, column.place)
            if self._hidden(answer):
                hidden += 1
                answer = ""
            record[name] = answer or None
        for name, parts in self._several.items():
            chosen = [part.part for part in parts if _ticked(_at(cells, part.place), part)]
            record[name] = chosen or None
        if hidden:
            yield LeftOut(NOT_SHOWN, hidden)
        yield record

    def _first(self, names: Sequence[str], other: str) -> int:
        return next((self._roles[n] for n in (*names, other) if n in self._roles), -1)

    def _time(self, cells: Sequence[str]) -> str | None:
        for name in (*_LIME_TIMES, *_MONKEY_TIMES):
            told = _at(cells, self._roles.get(name, -1))
            if told and not told.startswith(_NO_TIME):
                return told
        return None


def _at(cells: Sequence[str], place: int) -> str:
    return cells[place].strip() if 0 <= place < len(cells) else ""


def _ticks(column: _Column) -> bool:
    """Return whether a column says of one option whether it was chosen."""
    said = {answer.casefold() for answer in column.answers}
    return bool(column.part) and said <= {column.part.casefold(), *_TICKED, *_UNTICKED}


def _ticked(answer: str, column: _Column) -> bool:
    return answer.casefold() in {column.part.casefold(), *_TICKED}
