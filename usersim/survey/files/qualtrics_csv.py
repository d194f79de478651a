"""Answers that Qualtrics exports as CSV, without who gave them.

A full export has three header rows: names, texts, and import ids, by which columns find their
questions whatever they are called. Without the ids columns are matched by their names. Columns that
identify the person (address, name, e-mail, place) are dropped, as is whatever is not an answer to
the survey; the report lists both. What comes out are plain wide records and a codebook: the
form that corpora, human samples and other tools here read.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from usersim.delimited import BrokenRecord, Dialect, read_records, recognize
from usersim.errors import SurveyFileError
from usersim.survey.files.codebooks import codebook_of
from usersim.survey.files.notes import Column, Note, Notes, SurveyImport, listed
from usersim.survey.files.qualtrics_cells import (
    MISSING,
    CellReader,
    Unticked,
    ValuesAs,
    values_as,
)
from usersim.types import DateOrder, normalized, number_in, read_moment
from usersim.types.counting import counted

__all__ = ["PERSONAL", "QualtricsAnswers", "read_qualtrics_csv"]

PERSONAL = (
    "IPAddress", "RecipientLastName", "RecipientFirstName", "RecipientEmail", "ExternalReference",
    "LocationLatitude", "LocationLongitude",
)  # fmt: skip
"""Columns that identify the person, under Qualtrics' own names."""
MOST_BYTES = 500_000_000
"""Largest file that is read."""
_HEAD = 200_000
"""Bytes by which delimiter and encoding are recognized."""
_RESPONDENT = ("ResponseId", "ResponseID")
_TIMES = ("RecordedDate", "EndDate", "StartDate")
_STATUS, _FINISHED = "Status", "Finished"
_NO_ANSWERS = ("preview", "test", "spam")
_NO_ANSWER_BITS = 1 | 2 | 8
"""Of a status code: survey preview, survey test, spam."""
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[A-Za-z]{2,}")
_SLASHED = re.compile(r"\s*(\d{1,2})[/-](\d{1,2})[/-]\d{2,4}\b")
_PAIR = re.compile(r"""["'](\w+)["']\s*:\s*["']([^"']*)["']""")
_MONTHS = 12
_EXAMPLES = 20
"""Cells that are no answers and are named one by one; the others are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QualtricsAnswers:
    """Answers of people, as plain records.

    Attributes:
        records: One per respondent: `respondent`, `timestamp`, one entry per column of the
            survey's wide form that was answered, and what was asked to be kept.
        codebook: What the columns mean, for `UserSimulator.from_corpus(codebook=…)`.
        dropped: Columns of the file that were not imported.
        numeric: Whether the file holds codes instead of labels.
        notes: What else was not imported: rows, answers that are none of the options.

    Example:
        >>> found = QualtricsAnswers(
        ...     records=({"respondent": "R_1", "tea": "green"},), dropped=("IPAddress",),
        ...     codebook={"tea": {"text": "Which tea?"}}, numeric=False, notes=(),
        ... )
        >>> found.records[0]["tea"], found.dropped
        ('green', ('IPAddress',))
    """

    records: tuple[Mapping[str, object], ...]
    codebook: Mapping[str, Mapping[str, object]]
    dropped: tuple[str, ...]
    numeric: bool
    notes: tuple[Note, ...]

    def __str__(self) -> str:
        """Say how much came over, and list what did not."""
        answered = {name for record in self.records for name in record} & set(self.codebook)
        some = len(answered - {"respondent", "timestamp"})
        said = f"{some} of {len(self.codebook) - 2} columns have answers"
        lines = [
            f"{counted(len(self.records), 'respondent')}, {said}",
            f"dropped: {', '.join(self.dropped) or 'none'}",
        ]
        return "\n".join([*lines, *(f"  {line}" for line in listed(self.notes))])


def read_qualtrics_csv(  # noqa: PLR0913 - each rule of reading can be set
    path: str | Path,
    instrument: SurveyImport,
    *,
    keep: Sequence[str] = (),
    values: ValuesAs = "auto",
    missing: Sequence[str | float] = MISSING,
    unticked: Unticked = "unanswered",
    date_order: DateOrder | None = None,
    tests: bool = False,
    encoding: str | None = None,
) -> QualtricsAnswers:
    """Read answers to an imported instrument.

    Args:
        path: The CSV file, exported with choice texts or with numeric values.
        instrument: What `read_qsf` gave for the same survey.
        keep: Further columns to keep as they are, such as embedded data; also the way to keep
            one that is dropped otherwise.
        values: Whether cells are `labels` or `codes` (recode values); `auto` finds out by the
            columns `Status` and `Finished`, or else by the cells themselves.
        missing: Cells that are no answer: what the export writes for questions that were seen
            and not answered.
        unticked: What it means that no option of a multiple choice was ticked: no answer, or
            `no` to each of them. In either case a blank, 0 or missing cell beside a ticked
            option is `no`.
        date_order: How dates such as `02/01/2025` are written; None finds out by dates that can
            be read one way only.
        tests: Whether previews, test responses and spam are kept.
        encoding: Of the file; None takes UTF-8, or what a byte order mark says.

    Returns:
        Records without personal columns, a codebook, and what was left out.

    Raises:
        SurveyFileError: If it is not such a file, has no column of the survey, or cells may be
            labels as well as codes.
    """
    notes = Notes()
    with _opened(path, encoding) as rows:
        head, body = _headers(rows, path, instrument, notes)
        raw = list(_sound(body, len(head.names), notes))
    private = _private(raw, head, keep)
    for place in private:
        notes.add(head.names[place], "most of its cells are e-mail addresses", "column dropped")
    places = {place: told for place, told in head.places.items() if place not in private}
    if not places:
        raise SurveyFileError(
            f"{str(path)!r} has no column of survey {instrument.survey.title!r}",
            hint="export with the three header rows (Download data table, CSV)",
        )
    how = values if values != "auto" else _coded(raw, head, places, instrument)
    if how == "codes":
        notes.add("file", "numeric values", "read as recode values")
    reader = CellReader(
        survey=instrument.survey, how=how, missing=tuple(missing), unticked=unticked
    )
    if not tests:
        raw = list(_answered(raw, head.status, notes))
    kept = {place: name for place, name in enumerate(head.names) if name in keep}
    records = list(_records(raw, head, places, kept, reader, _order(raw, head, date_order), notes))
    if reader.ambiguous:
        column, cell = next(iter(reader.ambiguous))
        raise SurveyFileError(
            f"{cell!r} in column {column!r} of {str(path)!r} is the label of one option and the "
            "recode value of another, and the file does not say which one is meant",
            hint="pass values='labels' or values='codes'",
            cli_hint="pass --values labels or --values codes",
        )
    read = {*places, *kept, *head.known}
    return QualtricsAnswers(
        records=tuple(records),
        codebook=codebook_of(instrument.survey),
        dropped=tuple(name for place, name in enumerate(head.names) if place not in read),
        numeric=how == "codes",
        notes=tuple(notes.rows),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    """The columns of a file.

    Attributes:
        names: Their names.
        places: What each answers, by place.
        respondent: Place of the respondent's id; None if there is none.
        time: Place of the time.
        status: Place of the status.
        finished: Place of whether the survey was finished.
    """

    names: list[str]
    places: Mapping[int, Column]
    respondent: int | None = None
    time: int | None = None
    status: int | None = None
    finished: int | None = None

    @property
    def known(self) -> set[int]:
        """Places that are used beside the answers."""
        return {place for place in (self.respondent, self.time, self.status) if place is not None}


@contextmanager
def _opened(
    path: str | Path, encoding: str | None
) -> Generator[Iterator[list[str] | BrokenRecord]]:
    """Open a CSV file.

    Yields:
        Its records.

    Raises:
        SurveyFileError: If it cannot be read.
    """
    try:
        if Path(path).stat().st_size > MOST_BYTES:
            raise SurveyFileError(f"{str(path)!r} has more than {MOST_BYTES} bytes")
        with Path(path).open("rb") as file:
            dialect = recognize(file.read(_HEAD), encoding=encoding) or Dialect(",")
            file.seek(0)
            yield read_records(file, dialect)
    except (OSError, UnicodeError, LookupError) as error:
        raise SurveyFileError(f"{str(path)!r} cannot be read as CSV: {error}") from error


def _headers(
    rows: Iterator[list[str] | BrokenRecord],
    path: str | Path,
    instrument: SurveyImport,
    notes: Notes,
) -> tuple[_Head, Iterator[list[str] | BrokenRecord]]:
    """Return what the columns are, and the rows that follow the headers.

    Raises:
        SurveyFileError: If there is no header.
    """
    names = next(rows, None)
    if not isinstance(names, list):
        raise SurveyFileError(
            f"{str(path)!r} has no header row",
            hint="a plain wide CSV is read with a codebook: docs/how-to/import-your-data.md",
        )
    names = [name.strip() for name in names]
    second, third = next(rows, None), next(rows, None)
    told = [_import_ids(cell) for cell in third] if isinstance(third, list) else []
    waiting = [row for row in (second, third) if row is not None and not _is_header(row)]
    if isinstance(second, list) and _is_header(second) and len(second) == len(names):
        # Older exports call their own columns V1 to V10, and say in the second row which they are.
        names = [
            text.strip() if re.fullmatch(r"V\d+", name) else name
            for name, text in zip(names, second, strict=True)
        ]
    places: dict[int, Column] = {}
    if any(told) and len(told) == len(names):
        waiting = []
        for place, ids in enumerate(told):
            known = [instrument.columns[one] for one in ids if one in instrument.columns]
            if known:
                places[place] = known[0]
    else:
        places = {
            place: instrument.headers[name]
            for place, name in enumerate(names)
            if name in instrument.headers
        }
        notes.add("file", "no import ids in a third header row", "columns matched by their names")
    for place in [place for place in places if names[place] in PERSONAL]:
        del places[place]
    head = _Head(
        names=names,
        places=places,
        respondent=_place(names, _RESPONDENT),
        time=_place(names, _TIMES),
        status=_place(names, (_STATUS,)),
        finished=_place(names, (_FINISHED,)),
    )
    return head, _chained(waiting, rows)


def _chained(
    first: Sequence[list[str] | BrokenRecord], rest: Iterator[list[str] | BrokenRecord]
) -> Iterator[list[str] | BrokenRecord]:
    yield from first
    yield from rest


def _is_header(row: list[str] | BrokenRecord) -> bool:
    """Return whether a row says what columns are called instead of answering."""
    if isinstance(row, BrokenRecord):
        return False
    ours = {name.lower() for name in (*_RESPONDENT, *_TIMES, _FINISHED)}
    return bool(ours & {re.sub(r"\W", "", cell).lower() for cell in row})


def _place(names: Sequence[str], wanted: Sequence[str]) -> int | None:
    return next((names.index(name) for name in wanted if name in names), None)


def _import_ids(cell: str) -> list[str]:
    """Return the ids that `{"ImportId": "QID1_2"}` may stand for, the likeliest first.

    Older exports write single quotes and dashes; newer ones name the choice of a column apart.
    """
    told = dict(_PAIR.findall(cell)) if cell.strip().startswith("{") else {}
    found = told.get("ImportId", "")
    if not found.startswith("QID") and not re.match(r"\d+_QID", found):
        return [found] if found else []
    choice = told.get("choiceId", "")
    return [*([f"{found}_{choice}"] if choice else []), found, found.replace("-", "_")]


def _sound(
    rows: Iterator[list[str] | BrokenRecord], width: int, notes: Notes
) -> Iterator[list[str]]:
    """Yield the rows that are as wide as the header; the others are noted."""
    for number, row in enumerate(rows, start=1):
        if isinstance(row, BrokenRecord):
            notes.add(f"record {number}", row.reason, "left out")
        elif len(row) != width:
            notes.add(
                f"record {number}", f"{counted(len(row), 'cell')} instead of {width}", "left out"
            )
        elif any(cell.strip() for cell in row):
            yield row


def _private(rows: Sequence[Sequence[str]], head: _Head, keep: Sequence[str]) -> set[int]:
    """Return the answer columns that hold e-mail addresses for the most part."""
    found: set[int] = set()
    for place in head.places:
        cells = [row[place] for row in rows if row[place].strip()]
        emails = sum(_EMAIL.fullmatch(cell.strip()) is not None for cell in cells)
        if emails * 2 > len(cells) and head.names[place] not in keep:
            found.add(place)
    return found


def _coded(
    rows: Sequence[Sequence[str]],
    head: _Head,
    places: Mapping[int, Column],
    instrument: SurveyImport,
) -> ValuesAs:
    """Return whether a file holds labels or codes; `auto` where nothing says so.

    The cells say it where some can be but one of both. Where all can be both, as on scales from 0
    to 10, the columns that Qualtrics adds do: `Status` and `Finished`.
    """
    columns = [(column, [row[place] for row in rows]) for place, column in places.items()]
    found = values_as(instrument.survey, columns)
    for place in (head.status, head.finished) if found == "auto" else ():
        told = {row[place].strip() for row in rows} - {""} if place is not None else set[str]()
        if told:
            return "codes" if all(cell.isdecimal() for cell in told) else "labels"
    return found


@dataclass(slots=True)
class _Times:
    """Reads the times of a file.

    Attributes:
        order: How dates with slashes are written; None if that is not known.
        unread: Cells that say no time, counted.
    """

    order: DateOrder | None
    unread: Counter[str] = field(default_factory=Counter[str])

    def __call__(self, cell: str) -> str | None:
        if not cell:
            return None
        moment = read_moment(cell, date_order=self.order)
        if moment is None:
            self.unread[cell] += 1
            return None
        return moment.text

    def note(self, column: str, notes: Notes) -> None:
        """Say which times of a column could not be read."""
        for cell, _ in self.unread.most_common(1):
            records = counted(self.unread.total(), "record")
            done = "answers kept without a time"
            if _SLASHED.match(cell):
                done += "; set the date order: dmy (day first) or mdy (month first)"
            notes.add(column, f"times such as {cell!r} in {records} cannot be read", done)


def _order(rows: Sequence[Sequence[str]], head: _Head, told: DateOrder | None) -> DateOrder | None:
    """Return the order of day and month that dates which can be read one way only show."""
    if told is not None or head.time is None:
        return told
    dates = [match for row in rows if (match := _SLASHED.match(row[head.time]))]
    day_first = any(int(match[1]) > _MONTHS for match in dates)
    month_first = any(int(match[2]) > _MONTHS for match in dates)
    return None if day_first == month_first else "dmy" if day_first else "mdy"


def _records(
    rows: Sequence[Sequence[str]],
    head: _Head,
    places: Mapping[int, Column],
    kept: Mapping[int, str],
    reader: CellReader,
    order: DateOrder | None,
    notes: Notes,
) -> Iterator[dict[str, object]]:
    times = _Times(order)
    seen: set[str] = set()
    for number, row in enumerate(rows, start=1):
        person = "" if head.respondent is None else row[head.respondent].strip()
        person = person or f"row-{number}"
        if person in seen:
            notes.add(f"record {number}", f"respondent {person!r} again", "left out")
            continue
        seen.add(person)
        time = "" if head.time is None else row[head.time].strip()
        cells = [(column, row[place]) for place, column in places.items()]
        yield {
            "respondent": person,
            "timestamp": times(time),
            **{name: row[place] for place, name in kept.items()},
            **reader.answers(cells),
        }
    times.note(head.names[head.time or 0], notes)
    shown = reader.strange.most_common()
    for (column, value), count in shown[:_EXAMPLES]:
        notes.add(
            column,
            f"{value!r} in {counted(count, 'record')} is not a valid answer",
            "treated as missing",
        )
    if rest := shown[_EXAMPLES:]:
        total = sum(count for _, count in rest)
        further = counted(
            total, "other cell is not a valid answer", "other cells are not valid answers"
        )
        notes.add("file", further, "treated as missing")
    if reader.told and reader.strange.total() > reader.told / 2:
        what = (
            f"{reader.strange.total()} of {reader.told} cells are not valid answers to this survey"
        )
        notes.add(
            "file", what, "treated as missing; check that the file is an export of this survey"
        )
    for column, count in reader.in_range.items():
        what = f"a missing code in {counted(count, 'record')}, which could also be an answer"
        notes.add(column, what, "treated as missing")


def _answered(
    rows: Sequence[Sequence[str]], place: int | None, notes: Notes
) -> Iterator[Sequence[str]]:
    """Yield the rows of people; previews, tests and spam are noted."""
    for number, row in enumerate(rows, start=1):
        status = "" if place is None else row[place].strip()
        if _is_no_answer(status):
            notes.add(f"record {number}", f"status {status!r}", "left out")
        else:
            yield row


def _is_no_answer(status: str) -> bool:
    number = number_in(status)
    if number is not None:
        return bool(int(number) & _NO_ANSWER_BITS)
    return any(word in normalized(status).lower() for word in _NO_ANSWERS)
