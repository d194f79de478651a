"""Drafts of codebooks: what the columns of a wide table seem to ask, to be checked by its owner.

A table says what was answered, not what was asked, nor which options nobody chose. So a draft is
never used unseen: it is written to a file with what is doubtful about it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from usersim.corpus.readers.codebook import ID_COLUMNS, column_key
from usersim.corpus.readers.sources import SourceOptions, open_source
from usersim.errors import CorpusFormatError
from usersim.types import number_in, plain_value
from usersim.views import Sheet, printed

__all__ = ["CodebookDraft", "ColumnDraft", "draft_codebook"]

MOST_OPTIONS = 12
"""Different answers beyond which a column is no list of options."""
LONGEST_OPTION = 120
_SCANNED = 60  # distinct answers of a column that are looked at
_SHOWN = 3
MOST_POINTS = 10
"""Highest whole number that is taken as a point of a scale."""
_MISSING = frozenset({-999.0, -99.0, -98.0, -97.0, -9.0, -8.0, -7.0, -1.0})
_TIME = "timestamp"
_SKIP = "skip"
_WRITE = "write what was asked"
_SEPARATORS = ("|", ";")
_TIMES = re.compile(r"\b(?:time ?stamp|date|time|submitted|started|completed|recorded)\b")
_MOMENT = re.compile(r"\d[-/.:]\d")
_PERSONAL = re.compile(
    r"\b(?:e-?mail|ip ?addr(?:ess)?|phone|first ?name|last ?name|full ?name|street|postcode|zip"
    r"|latitude|longitude|token)\b"
)
_BIRTH = re.compile(r"birth|\bdob\b")
_SCALES: tuple[tuple[str, ...], ...] = (
    ("never", "almost never", "rarely", "seldom", "occasionally", "sometimes", "often",
     "frequently", "usually", "very often", "almost always", "always"),
    ("strongly disagree", "disagree", "somewhat disagree", "slightly disagree",
     "neither agree nor disagree", "neutral", "undecided", "slightly agree", "somewhat agree",
     "agree", "strongly agree"),
    ("very dissatisfied", "dissatisfied", "somewhat dissatisfied",
     "neither satisfied nor dissatisfied", "neutral", "somewhat satisfied", "satisfied",
     "very satisfied"),
    ("very unlikely", "unlikely", "somewhat unlikely", "neither likely nor unlikely", "neutral",
     "somewhat likely", "likely", "very likely"),
    ("very poor", "poor", "fair", "average", "good", "very good", "excellent"),
    ("very bad", "bad", "neither good nor bad", "neutral", "good", "very good"),
    ("not at all", "slightly", "a little", "somewhat", "moderately", "quite a bit", "very",
     "a lot", "very much", "extremely"),
    ("none", "very low", "low", "medium", "moderate", "high", "very high"),
    ("not important", "slightly important", "moderately important", "important",
     "very important", "extremely important"),
)  # fmt: skip
"""Usual English answers in their order, from little to much."""


@dataclass(slots=True)
class _Cells:
    """What a column holds."""

    name: str
    filled: int = 0
    answers: dict[str, int] = field(default_factory=dict[str, int])
    more: bool = False

    def add(self, cell: object) -> None:
        """Count a cell."""
        value = plain_value(cell)
        text = value.strip() if isinstance(value, str) else _plain(value)
        if not text:
            return
        self.filled += 1
        if text in self.answers or len(self.answers) < _SCANNED:
            self.answers[text] = self.answers.get(text, 0) + 1
        else:
            self.more = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnDraft:
    """What one column seems to be.

    Attributes:
        column: Its name.
        kind: A kind of question, `id`, `timestamp`, `skip`, or empty where it is no question.
        fields: Its entry in the codebook; empty where it has none.
        answers: The most frequent answers.
        doubt: What its owner should look at; empty where nothing is doubtful.
    """

    column: str
    kind: str
    fields: Mapping[str, object]
    answers: tuple[str, ...]
    doubt: str


def _sheet(found: CodebookDraft) -> Sheet:
    rows = [
        (one.column, one.kind or "no question", ", ".join(one.answers), one.doubt)
        for one in found.columns
    ]
    return Sheet(
        columns=("column", "kind", "answers", "please check"),
        rows=tuple(rows),
        notes=tuple(found.notes),
    )


@printed(_sheet)
@dataclass(frozen=True, slots=True, kw_only=True)
class CodebookDraft:
    """A codebook that was guessed from a table.

    Attributes:
        columns: Every column of the table, in its order.
        respondents: Rows that were looked at.

    Example:
        >>> rows = [{"respondent": n, "Tea?": ("yes", "no")[n % 2]} for n in range(4)]
        >>> draft = draft_codebook(rows)
        >>> draft.codebook["Tea?"]
        {'text': 'Tea?', 'kind': 'choice', 'options': ['no', 'yes']}
        >>> [column.column for column in draft.doubtful]
        ['Tea?']
    """

    columns: tuple[ColumnDraft, ...]
    respondents: int

    @property
    def codebook(self) -> dict[str, dict[str, object]]:
        """The codebook, as `Codebook.read` takes it."""
        return {one.column: dict(one.fields) for one in self.columns if one.fields}

    @property
    def doubtful(self) -> list[ColumnDraft]:
        """The columns that are to be checked."""
        return [one for one in self.columns if one.doubt]

    @property
    def notes(self) -> list[str]:
        """What is doubtful about the whole."""
        said: list[str] = []
        if not any(one.kind == "id" for one in self.columns):
            said.append('no column seems to say who answered: mark one as {"kind": "id"}')
        return said


def draft_codebook(source: object, *, encoding: str | None = None) -> CodebookDraft:
    """Guess what the columns of a wide table mean: one row per respondent.

    The text of a question is the column's name. Few answers that recur are the options of a
    choice, in the order of the alphabet; usual English answers, such as *never* to *always*, are
    a scale in their order, and so are whole numbers from 0 or 1 to at most 10. Other numbers are
    numbers, and other texts are free text. The first column of moments is the time of the answer;
    others are metadata. A column that names a person is skipped.

    Args:
        source: A file, an iterable of rows, or a pandas or polars frame.
        encoding: Of a CSV file that is not UTF-8, such as `"cp1252"`.

    Returns:
        The draft, which says of each column what is to be checked.

    Raises:
        CorpusFormatError: If it cannot be read, holds no row, or says itself what its columns
            mean.

    Example:
        >>> rows = [{"respondent": n, "Tea?": ("yes", "no")[n % 2]} for n in range(4)]
        >>> print(draft_codebook(rows))
        column      kind    answers  please check
        respondent  id      0, 1, 2
        Tea?        choice  yes, no  add options that nobody chose; a scale needs them in order
    """
    records = open_source(source, SourceOptions(encoding=encoding))
    if records.codebook is not None or records.format is not None:
        raise CorpusFormatError(
            f"{records.name} needs no codebook: it was recognized as {records.format!r}",
            hint="load it as it is",
        )
    cells: dict[str, _Cells] = {}
    respondents = 0
    for _, record in records.items:
        if not isinstance(record, Mapping):
            continue
        respondents += 1
        for name, cell in cast("Mapping[str, object]", record).items():
            if name != "_refused":
                cells.setdefault(name, _Cells(name)).add(cell)
    if not cells:
        raise CorpusFormatError(f"{records.name} has no row to draft a codebook from")
    owner = _owner(list(cells.values()), respondents)
    columns = [_column(one, is_id=one is owner) for one in cells.values()]
    return CodebookDraft(columns=tuple(_with_one_time(columns)), respondents=respondents)


def _with_one_time(columns: Sequence[ColumnDraft]) -> list[ColumnDraft]:
    """Return the columns with the first moment as the time; where there are more, all are named."""
    first, *more = [one.column for one in columns if one.kind == _TIME] or [""]
    if not more:
        return list(columns)
    instead = f"the time of the answer, or is it {' or '.join(map(repr, more))}?"
    kept = f"kept as metadata: {first!r} is the time of the answer"
    return [
        one if one.kind != _TIME
        else replace(one, doubt=instead) if one.column == first
        else replace(one, kind="", fields={}, doubt=kept)
        for one in columns
    ]  # fmt: skip


def _owner(columns: Sequence[_Cells], respondents: int) -> _Cells | None:
    """Return the column of the respondent: by a usual name, else a first column of distinct ids."""
    named = {column_key(one.name): one for one in columns}
    found = next((named[name] for name in ID_COLUMNS if name in named), None)
    if found is not None:
        return found
    first = columns[0]
    distinct = first.filled == respondents > 1 and max(first.answers.values(), default=0) == 1
    short = all(len(answer.split()) == 1 for answer in first.answers)
    return first if distinct and short else None


def _column(cells: _Cells, *, is_id: bool) -> ColumnDraft:
    kind, fields, doubt = ("id", {"kind": "id"}, "") if is_id else _guessed(cells)
    most = sorted(cells.answers, key=lambda answer: -cells.answers[answer])[:_SHOWN]
    return ColumnDraft(
        column=cells.name, kind=kind, fields=fields, answers=tuple(most), doubt=doubt
    )


_Guess = tuple[str, dict[str, object], str]
"""Kind of a column, its entry, and what is doubtful."""


def _guessed(cells: _Cells) -> _Guess:
    key = column_key(cells.name).replace("_", " ")
    if _PERSONAL.search(key):
        return _SKIP, {"kind": _SKIP}, "not loaded because it seems to identify the person"
    if not cells.filled:
        return "", {}, "left out because it is empty"
    moments = all(map(_MOMENT.search, cells.answers)) and not _has_numbers(cells)
    if _BIRTH.search(key) and moments:
        return _SKIP, {"kind": _SKIP}, "not loaded because a date of birth identifies the person"
    if _TIMES.search(key) and moments:
        return _TIME, {"kind": _TIME}, ""
    text = " ".join(cells.name.split())
    guess = _answered(cells, {"text": text})
    bare = " " not in text and "?" not in text
    return (*guess[:2], "; ".join(filter(None, [_WRITE * bare, guess[2]])))


def _answered(cells: _Cells, text: dict[str, object]) -> _Guess:
    """Return what the answers of a column make of it."""
    numbers = [number_in(answer) for answer in cells.answers]
    if all(number is not None for number in numbers):
        return _numeric(cells, cast("list[float]", numbers), text)
    several = _several(cells)
    if several:
        return (
            "multi_choice",
            {**text, "kind": "multi_choice", "options": several},
            "add options that nobody chose",
        )
    alike = len(cells.answers) == 1
    if alike or not _is_few(cells):
        doubt = "everybody answered the same" if alike else ""
        return "free_text", {**text, "kind": "free_text"}, doubt
    ordered = _ordered(list(cells.answers))
    if ordered:
        fields = {**text, "kind": "scale", "options": ordered}
        return "scale", fields, "add points of the scale that nobody chose"
    fields = {**text, "kind": "choice", "options": sorted(cells.answers)}
    return "choice", fields, "add options that nobody chose; a scale needs them in order"


def _numeric(cells: _Cells, numbers: Sequence[float], text: dict[str, object]) -> _Guess:
    missing = sorted({n for n in numbers if n in _MISSING}) if max(numbers) >= 0 else []
    left = sorted(number for number in numbers if number not in missing)
    marked = {"missing": [int(one) for one in missing]} if missing else {}
    doubt = f"read as no answer: {', '.join(map(str, marked['missing']))}; " if missing else ""
    whole = all(number.is_integer() for number in left)
    few = not cells.more and cells.filled >= 2 * len(numbers)
    if whole and few and left[0] in {0, 1} and 1 < left[-1] <= MOST_POINTS:
        options = [str(value) for value in range(int(left[0]), int(left[-1]) + 1)]
        fields = {**text, "kind": "scale", "options": options, **marked}
        return "scale", fields, f"{doubt}say what the numbers stand for, and complete the scale"
    if whole and few and len(left) == 2:  # noqa: PLR2004 - two answers are a choice
        fields = {**text, "kind": "choice", "options": [str(int(n)) for n in left], **marked}
        return "choice", fields, f"{doubt}say what the numbers stand for"
    fields = {**text, "kind": "number", **({"integer": True} if whole else {}), **marked}
    return "number", fields, f"{doubt}amounts, or codes of options?" if few else doubt[:-2]


def _has_numbers(cells: _Cells) -> bool:
    """Return whether an answer is a plain number, which is no moment: 1.5 hours."""
    return any(number_in(answer) is not None for answer in cells.answers)


def _several(cells: _Cells) -> list[str]:
    """Return the options of a column whose cells list several, in order; none if it is not one."""
    for separator in _SEPARATORS:
        with_it = sum(n for answer, n in cells.answers.items() if separator in answer)
        parts: dict[str, int] = {}
        for answer, n in cells.answers.items():
            for part in filter(None, map(str.strip, answer.split(separator))):
                parts[part] = parts.get(part, 0) + n
        recurs = sum(parts.values()) >= 2 * len(parts)
        short = max(map(len, parts), default=0) <= LONGEST_OPTION
        if with_it and recurs and short and 1 < len(parts) <= MOST_OPTIONS:
            return sorted(parts)
    return []


def _is_few(cells: _Cells) -> bool:
    """Return whether the answers are few enough, and recur often enough, to be options."""
    few = len(cells.answers) <= MOST_OPTIONS and not cells.more
    recur = cells.filled >= 2 * len(cells.answers)
    return few and recur and max(map(len, cells.answers), default=0) <= LONGEST_OPTION


def _ordered(answers: Sequence[str]) -> list[str]:
    """Return the answers in the order of a usual scale that has all of them; none if none has."""
    for scale in _SCALES:
        places = {answer: scale.index(key) for answer in answers
                  if (key := " ".join(answer.casefold().split())) in scale}  # fmt: skip
        if len(places) == len(answers) > 2:  # noqa: PLR2004
            return sorted(answers, key=places.__getitem__)
    return []


def _plain(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
