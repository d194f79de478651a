"""Answers that Qualtrics exports as CSV, without who gave them.

The file has three header rows: names, texts, and ids of the import. Columns that tell the person
(address, name, e-mail, place) are dropped, and so is whatever is no answer to the instrument;
both are said in the report. What comes out are plain wide records and a codebook: the form that
corpora, human samples and other tools here read.
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from usersim.errors import SurveyFileError
from usersim.simulation.survey import (
    Budget,
    MultipleChoice,
    NumberQuestion,
    OpenText,
    Ranking,
    SurveyQuestion,
    column_of,
)
from usersim.simulation.survey_files.codebooks import codebook_of
from usersim.simulation.survey_files.notes import Note, Notes, SurveyImport

__all__ = ["PERSONAL", "QualtricsAnswers", "read_qualtrics_csv"]

PERSONAL = (
    "IPAddress", "RecipientLastName", "RecipientFirstName", "RecipientEmail", "ExternalReference",
    "LocationLatitude", "LocationLongitude",
)  # fmt: skip
"""Columns that tell the person, under Qualtrics' own names."""
MOST_BYTES = 500_000_000
"""Largest file that is read."""
_HEADERS = 3
_RESPONDENT, _TIME, _STATUS = "ResponseId", "RecordedDate", "Status"
_NO_ANSWERS = ("preview", "test", "spam")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[A-Za-z]{2,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class QualtricsAnswers:
    """Answers of people, as plain records.

    Attributes:
        records: One per respondent: `respondent`, `timestamp`, one entry per column of the
            survey's wide form that was answered, and what was asked to be kept.
        codebook: What the columns mean, for `UserSimulator.from_corpus(codebook=…)`.
        dropped: Columns of the file that were not taken over.
        notes: What else was not taken over: rows, answers that are none of the options.
    """

    records: tuple[Mapping[str, object], ...]
    codebook: Mapping[str, Mapping[str, object]]
    dropped: tuple[str, ...]
    notes: tuple[Note, ...]

    def __str__(self) -> str:
        """Say how much came over, and list what did not."""
        lines = [f"{len(self.records)} respondents, {len(self.codebook) - 2} columns"]
        lines.append(f"dropped: {', '.join(self.dropped) or 'none'}")
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])


def read_qualtrics_csv(
    path: str | Path, instrument: SurveyImport, *, keep: Sequence[str] = ()
) -> QualtricsAnswers:
    """Read answers to an imported instrument, exported with choice texts.

    Args:
        path: The CSV file.
        instrument: What `read_qsf` gave for the same survey.
        keep: Further columns to keep as they are, such as embedded data; also the way to keep
            one that is dropped otherwise.

    Returns:
        Records without personal columns, a codebook, and what was left out.

    Raises:
        SurveyFileError: If it is not such a file, or has no column of the survey.
    """
    notes = Notes()
    with _opened(path) as rows:
        names, ids = _headers(rows, path)
        places, kept, dropped = _columns(names, ids, instrument, keep)
        raw = [cells for cells in rows if cells]
    private = _private(raw, places, keep, names)
    for place in private:
        notes.add(names[place], "most cells are e-mail addresses", "column dropped")
    places = {place: told for place, told in places.items() if place not in private}
    if not places:
        raise SurveyFileError(
            f"{str(path)!r} has no column of survey {instrument.survey.title!r}",
            hint="export with the three header rows (Download data table, CSV, choice text)",
        )
    records = list(_records(raw, names, places, kept, notes))
    return QualtricsAnswers(
        records=tuple(records),
        codebook=codebook_of(instrument.survey),
        dropped=(*dropped, *(names[place] for place in sorted(private))),
        notes=tuple(notes.rows),
    )


@contextmanager
def _opened(path: str | Path) -> Generator[Iterator[list[str]]]:
    """Open a CSV file.

    Yields:
        Its rows.

    Raises:
        SurveyFileError: If it cannot be read.
    """
    try:
        if Path(path).stat().st_size > MOST_BYTES:
            raise SurveyFileError(f"{str(path)!r} has more than {MOST_BYTES} bytes")
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            yield csv.reader(file)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SurveyFileError(f"{str(path)!r} cannot be read as CSV: {error}") from error


def _headers(rows: Iterator[list[str]], path: str | Path) -> tuple[list[str], list[str]]:
    """Return the names and the import ids of the columns.

    Raises:
        SurveyFileError: If there are no three header rows.
    """
    found = list(islice(rows, _HEADERS))
    ids = [_import_id(cell) for cell in found[2]] if len(found) == _HEADERS else []
    if not any(ids) or len({len(row) for row in found}) != 1:
        raise SurveyFileError(
            f"{str(path)!r} has not the three header rows of Qualtrics",
            hint="a plain wide CSV is read with a codebook: docs/how-to/import-your-data.md",
        )
    return found[0], ids


def _import_id(cell: str) -> str:
    try:
        value: object = json.loads(cell)
    except (ValueError, RecursionError):
        return ""
    return str(value.get("ImportId", "")) if isinstance(value, dict) else ""  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]


Place = tuple[SurveyQuestion, str]


def _columns(
    names: Sequence[str], ids: Sequence[str], instrument: SurveyImport, keep: Sequence[str]
) -> tuple[dict[int, Place], dict[int, str], list[str]]:
    """Return the columns that are answers, those that are kept as they are, and the others."""
    places: dict[int, Place] = {}
    kept: dict[int, str] = {}
    dropped: list[str] = []
    for place, (name, told) in enumerate(zip(names, ids, strict=True)):
        found = None if name in PERSONAL else _answer_column(told, instrument)
        if found is not None:
            places[place] = found
        elif name in {_RESPONDENT, _TIME, _STATUS} or name in keep:
            kept[place] = name
        else:
            dropped.append(name)
    return places, kept, dropped


def _answer_column(told: str, instrument: SurveyImport) -> Place | None:
    """Return question and item of an import id such as `QID3_2` or `QID4_TEXT`."""
    number, _, rest = told.partition("_")
    name = instrument.ids.get(number)
    if name is None:
        return None
    question = instrument.survey.question(name)
    single = not question.items[0] or isinstance(question, MultipleChoice)
    if rest in {"", "TEXT"} or (rest.isdecimal() and not question.items[0]):
        return (question, "") if single and not (rest == "TEXT" and question.options) else None
    if rest.isdecimal() and 1 <= int(rest) <= len(question.items):
        return question, question.items[int(rest) - 1]
    return None


def _private(
    rows: Sequence[Sequence[str]],
    places: Mapping[int, Place],
    keep: Sequence[str],
    names: Sequence[str],
) -> set[int]:
    """Return the answer columns that hold e-mail addresses for the most part."""
    found: set[int] = set()
    for place in places:
        cells = [row[place] for row in rows if place < len(row) and row[place].strip()]
        emails = sum(_EMAIL.fullmatch(cell.strip()) is not None for cell in cells)
        if emails * 2 > len(cells) and names[place] not in keep:
            found.add(place)
    return found


def _records(
    rows: Sequence[Sequence[str]],
    names: Sequence[str],
    places: Mapping[int, Place],
    kept: Mapping[int, str],
    notes: Notes,
) -> Iterator[dict[str, object]]:
    strange: Counter[tuple[str, str]] = Counter()
    for number, row in enumerate(rows, start=_HEADERS + 1):
        told = {name: row[place] for place, name in kept.items() if place < len(row)}
        status = told.pop(_STATUS, "")
        if len(row) != len(names) or any(word in status.lower() for word in _NO_ANSWERS):
            reason = f"status {status!r}" if len(row) == len(names) else f"{len(row)} cells"
            notes.add(f"record {number}", reason, "left out")
            continue
        record: dict[str, object] = {
            "respondent": told.pop(_RESPONDENT, "") or f"row-{number}",
            "timestamp": told.pop(_TIME, None) or None,
            **told,
        }
        for place, (question, item) in places.items():
            record |= _answers(row[place].strip(), question, item, strange)
        yield record
    for (column, value), count in strange.most_common():
        notes.add(column, f"{value!r} in {count} records is no answer", "taken as no answer")


def _answers(
    cell: str, question: SurveyQuestion, item: str, strange: Counter[tuple[str, str]]
) -> dict[str, object]:
    """Return the answers that a cell gives; a multiple choice gives one per option."""
    if not cell:
        return {}
    if isinstance(question, MultipleChoice):
        chosen, rest = ({item}, "") if item else _split(cell, question.options)
        if rest:
            strange[question.id, rest] += 1
        told = () if rest else (item,) if item else question.options
        return {column_of(question, o): "yes" if o in chosen else "no" for o in told}
    column = column_of(question, item)
    value = _value(cell, question)
    if value is None:
        strange[column, cell] += 1
        return {}
    return {column: value}


def _value(cell: str, question: SurveyQuestion) -> str | float | None:
    """Return a cell as a label, a number or a text; None if it is no answer to the question."""
    labels = {label.casefold(): label for label in question.labels}
    label = labels.get(cell.casefold())
    if label is not None or isinstance(question, OpenText):
        return label or cell
    if not isinstance(question, NumberQuestion | Ranking | Budget):
        return None
    try:
        return float(cell)
    except ValueError:
        return None


def _split(cell: str, options: Sequence[str]) -> tuple[set[str], str]:
    """Return the options that a cell with commas between them names, and what is left over.

    Example:
        >>> sorted(_split("tea, hot,cake", ["cake", "tea", "tea, hot"])[0])
        ['cake', 'tea, hot']
    """
    chosen: set[str] = set()
    rest = cell
    while rest:
        held = [o for o in options if rest == o or rest.startswith(f"{o},")]
        if not held:
            return chosen, rest
        longest = max(held, key=len)
        chosen.add(longest)
        rest = rest[len(longest) + 1 :].lstrip()
    return chosen, ""
