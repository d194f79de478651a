"""Codebooks: what the columns of a survey ask, and what their cells stand for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import cast

from usersim.corpus.readers.codebook_files import codebook_entries, json_value
from usersim.corpus.store.spaces import LIMITS, new_space
from usersim.corpus.store.values import RowError
from usersim.errors import ActionError, CorpusFormatError
from usersim.types import (
    ActionSpace,
    ActionValue,
    ValueReader,
    lookalikes,
    normalized,
    number_in,
    plain_value,
)
from usersim.types.counting import counted

__all__ = ["ID_COLUMNS", "Codebook", "CodebookItem", "column_key"]

ID_COLUMNS = (
    "user_id", "respondent_id", "respondent id", "respondentid", "respondent", "participant",
    "participant_id", "participant id", "response id", "responseid", "response_id", "caseid",
    "case_id", "subject", "subject_id", "id",
)  # fmt: skip
_KINDS = ("scale", "choice", "number", "multi_choice", "free_text")
_CLOSED = ("scale", "choice", "multi_choice")
_ROLES = ("id", "timestamp")
_SKIP = "skip"
_CODES = ("codes", "labels", "value_labels", "values")
_SEPARATOR = "|"
_SCANNED = 200  # distinct cells of a column, more than any list of options has


@dataclass(frozen=True, slots=True)
class CodebookItem:
    """One question of a codebook.

    Attributes:
        column: Its column in the table.
        order: Its place in the codebook.
        text: What was asked.
        space: What could be answered.
        read: From a cell to an answer.
        limits: Bounds of a number, as the row format has them.
        missing: Cells that are no answer, beside blank ones.
        has_codes: Whether the codebook says what codes stand for.
    """

    column: str
    order: int
    text: str
    space: ActionSpace
    read: ValueReader
    limits: Mapping[str, object]
    missing: tuple[object, ...]
    has_codes: bool

    @property
    def options(self) -> tuple[str, ...]:
        """The options of a closed question."""
        return getattr(self.space, "options", ())

    def asked(self) -> dict[str, object]:
        """Return the question in the row format."""
        return {
            "context": [{"role": "user", "name": "survey", "content": self.text}],
            "action_type": self.space.kind,
            "options": list(self.options) or None,
            **self.limits,
        }

    def answer(self, cell: object) -> ActionValue | None:
        """Return what a cell stands for; None if it is marked as missing.

        Raises:
            ActionError: If it is not an answer to the question.
        """
        return self.read(cell)


@dataclass(frozen=True, slots=True)
class Codebook:
    """What the columns of a survey mean.

    Attributes:
        items: Questions by column, in the codebook's order.
        id_column: Column of the respondent; None if it goes by a usual name.
        time_column: Column of the time; None if there is none.
        skipped: Columns that are not loaded.
        notes: What was settled while it was read.

    Example:
        >>> book = Codebook.read({"q1": {"text": "Tea?", "options": {"1": "yes", "2": "no"}}})
        >>> book.items["q1"].space.options
        ('yes', 'no')
    """

    items: Mapping[str, CodebookItem]
    id_column: str | None = None
    time_column: str | None = None
    skipped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @classmethod
    def read(cls, source: Mapping[str, object] | Sequence[object] | str | Path) -> Codebook:
        """Read a codebook from a dict or a list, or from a JSON or CSV file.

        A dict maps a column to its fields; a list holds the fields with the column under
        `column`; a CSV file has a row per column and the fields as its header.

        - `text`: what was asked.
        - `kind`: `scale`, `choice`, `multi_choice`, `number` or `free_text`; `id` marks the
          respondent's column, `timestamp` the time, and `skip` a column that is not loaded.
        - `options`: the labels in their order; a mapping is taken as `codes`.
        - `codes`: what cells stand for: a mapping from code to label, a list of labels whose codes
          are 1, 2, …, or the codes of `options` in their order.
        - `missing`: values that are no answer, such as `[-99]`.
        - `coded`: whether a cell is a code even where it equals another option's label.
        - `low`, `high`, `unit`, `integer`: what a number may be.

        In a CSV file lists are separated by `|`, and codes are JSON or `1=no|2=yes`. `labels`,
        `value_labels` and `values` are other words for `codes`.

        Raises:
            CorpusFormatError: If it cannot be read, naming the column.
        """
        entries = codebook_entries(source)
        items: dict[str, CodebookItem] = {}
        roles: dict[str, str] = {}
        skipped: list[str] = []
        notes: list[str] = []
        for order, (column, entry) in enumerate(entries.items()):
            if not isinstance(entry, Mapping):
                raise CorpusFormatError(f"codebook column {column!r}: {entry!r} is not an object")
            fields = cast("Mapping[str, object]", entry)
            kind = fields.get("kind")
            if kind in _ROLES:
                if roles.setdefault(str(kind), column) != column:
                    raise CorpusFormatError(
                        f"codebook columns {roles[str(kind)]!r} and {column!r} are both of kind "
                        f"{kind!r}",
                        hint="keep one; a column that is not in the codebook becomes metadata",
                    )
                continue
            if kind == _SKIP:
                skipped.append(column)
                continue
            item = _item(column, order, fields)
            if item is None:
                notes.append(f"{column}: skipped, because it has only one option")
            else:
                items[column] = item
        if skipped:
            notes.append(f"columns that the codebook skips: {', '.join(skipped)}")
        return cls(
            items, roles.get("id"), roles.get("timestamp"), tuple(skipped), notes=tuple(notes)
        )

    @property
    def needs_scan(self) -> bool:
        """Whether a look at all cells must say if those of a column are codes by position."""
        return any(_may_be_coded(item) for item in self.items.values())

    def scanned(self, records: Iterable[object]) -> Codebook:
        """Return the codebook with the codes that its columns turn out to hold.

        A column whose cells are all whole numbers from 1 to the number of its options, none of
        which is itself a number, holds codes by position. Nothing else is implied.

        Args:
            records: All records of the table.
        """
        open_items = [item for item in self.items.values() if _may_be_coded(item)]
        cells: dict[str, set[object]] = {item.column: set() for item in open_items}
        for record in records:
            if isinstance(record, dict):
                fields = cast("dict[str, object]", record)
                for item in open_items:
                    found = cells[item.column]
                    if len(found) < _SCANNED:
                        found.update(_pieces(self.cell(fields, item.column), item))
        items, notes = dict(self.items), list(self.notes)
        for item in open_items:
            codes = _by_position(cells[item.column], item)
            if codes:
                items[item.column] = _with_codes(item, codes)
                named = ", ".join(f"{code} = {label!r}" for code, label in codes.items())
                notes.append(f"{item.column}: numbers are read as positions of options: {named}")
        return replace(self, items=items, notes=tuple(notes))

    def cell(self, record: Mapping[str, object], column: str) -> object:
        """Return the cell of a column, whose name may differ in white space; None if blank."""
        value = record.get(column)
        if value is None and column not in record:
            place = _columns(tuple(record)).get(column_key(column))
            return None if place is None else record[place]
        return value

    def respondent(self, record: Mapping[str, object]) -> object:
        """Return the respondent's id in `record`; None if there is none."""
        if self.id_column is not None:
            return self.cell(record, self.id_column)
        places = _columns(tuple(record))
        named = (record[places[name]] for name in ID_COLUMNS if name in places)
        return next((value for value in named if value is not None), None)

    def time(self, record: Mapping[str, object]) -> object:
        """Return the time in `record`; None if there is none."""
        return None if self.time_column is None else self.cell(record, self.time_column)

    def names_respondents(self, record: Mapping[str, object]) -> bool:
        """Return whether a table with the columns of `record` says who answered."""
        names = ID_COLUMNS if self.id_column is None else (column_key(self.id_column),)
        return not _columns(tuple(record)).keys().isdisjoint(names)

    def absent(self, columns: Iterable[str]) -> list[str]:
        """Return the codebook's questions that are none of a table's columns."""
        present = _columns(tuple(columns))
        return [column for column in self.items if column_key(column) not in present]

    def others(self, record: Mapping[str, object]) -> dict[str, object]:
        """Return what `record` says beside questions, respondent, time and skipped columns."""
        roles = (self.id_column, self.time_column)
        names = _others(tuple(record), (*self.items, *self.skipped), roles)
        return {name: record[name] for name in names if record[name] is not None}


def column_key(name: str) -> str:
    """Return a column's name in the form in which names are compared."""
    return _column_key(name)


@lru_cache(maxsize=4096)
def _column_key(name: str) -> str:
    return normalized(name).casefold()


@lru_cache(maxsize=64)
def _columns(names: tuple[str, ...]) -> dict[str, str]:
    """Return the columns of a table by the form in which names are compared; the first wins."""
    found: dict[str, str] = {}
    for name in names:
        found.setdefault(column_key(name), name)
    return found


@lru_cache(maxsize=64)
def _others(
    names: tuple[str, ...], columns: tuple[str, ...], roles: tuple[str | None, ...]
) -> list[str]:
    """Return the columns of a table that no codebook column or role names."""
    named = [*columns, "_refused", *(role for role in roles if role is not None)]
    known = {*map(column_key, named), *(() if roles[0] else ID_COLUMNS)}
    return [name for name in names if column_key(name) not in known]


def _may_be_coded(item: CodebookItem) -> bool:
    numbers = any(number_in(option) is not None for option in item.options)
    return bool(item.options) and not item.has_codes and not numbers


def _pieces(cell: object, item: CodebookItem) -> list[object]:
    """Return the values of a cell, each as it would be read; none where it is blank."""
    value = plain_value(cell)
    if isinstance(value, str) and item.space.kind == "multi_choice":
        value = [part for part in value.replace(",", _SEPARATOR).split(_SEPARATOR) if part.strip()]
    values = cast("list[object]", value) if isinstance(value, list) else [value]
    left: list[object] = []
    for one in values:
        number = number_in(one)
        blank = one is None or (isinstance(one, str) and not one.strip())
        if not blank and not isinstance(one, dict | list):
            left.append(one if number is None else number)
    return left


def _by_position(cells: set[object], item: CodebookItem) -> dict[str, str]:
    missing = {number_in(plain_value(one)) for one in item.missing}
    found = cells - missing - set(item.missing)
    codes = {float(code): label for code, label in enumerate(item.options, start=1)}
    if not found or not found <= codes.keys():
        return {}
    return {str(int(code)): label for code, label in codes.items()}


def _with_codes(item: CodebookItem, codes: Mapping[str, str]) -> CodebookItem:
    read = ValueReader(item.space, codes=codes, missing=item.missing)
    return replace(item, read=read, has_codes=True)


def _item(column: str, order: int, fields: Mapping[str, object]) -> CodebookItem | None:
    """Return the question of a column; None if it leaves nothing to choose.

    Raises:
        CorpusFormatError: If it is not a question, naming the column.
    """
    text = fields.get("text") or fields.get("question")
    if not isinstance(text, str) or not text.strip():
        raise CorpusFormatError(f"codebook column {column!r} has no text", hint='add "text": "…"')
    options, codes = _labels(column, fields)
    kind = fields.get("kind") or ("choice" if options else "free_text")
    if kind not in _KINDS:
        raise CorpusFormatError(f"codebook column {column!r}: kind {kind!r} is not one of {_KINDS}")
    if kind in _CLOSED and len(options) == 1:
        return None
    if kind in _CLOSED and (alike := lookalikes(options)):
        raise CorpusFormatError(
            f"codebook column {column!r}: the options {alike[0]!r} are identical",
            hint="options are compared without invisible characters and doubled white space",
        )
    limits = {name: fields[name] for name in LIMITS if fields.get(name) is not None}
    missing = tuple(_listed(fields.get("missing"), column, "missing"))
    coded = str(fields.get("coded", "")).strip().casefold() in {"true", "1", "yes"}
    try:
        space, _ = new_space(str(kind), options, tuple(limits.get(name) for name in LIMITS))
        read = ValueReader(space, codes=codes, missing=missing, coded=coded)
    except RowError as error:
        raise CorpusFormatError(f"codebook column {column!r}: {error.reason}") from None
    except ActionError as error:
        raise CorpusFormatError(f"codebook column {column!r}: {error}") from None
    text = text.replace("\r\n", "\n")
    return CodebookItem(column, order, text, space, read, limits, missing, has_codes=bool(codes))


def _labels(
    column: str, fields: Mapping[str, object]
) -> tuple[tuple[str, ...], dict[str, str] | None]:
    """Return the options of a column, and what its codes stand for; None if none are given.

    Raises:
        CorpusFormatError: If they have another shape, or do not fit each other.
    """
    given: object = next((fields[name] for name in _CODES if fields.get(name)), None)
    options = fields.get("options")
    if isinstance(options, Mapping) or _is_pairs(options):
        given, options = given or cast("object", options), None
    labels = [_label(one) for one in _listed(options, column, "options")]
    if given is None:
        return tuple(labels), None
    named = _named_codes(_parsed(given, column), labels, column)
    return tuple(labels or dict.fromkeys(named.values())), named


def _named_codes(given: object, labels: list[str], column: str) -> dict[str, str]:
    """Return the label of each code.

    Raises:
        CorpusFormatError: If codes have another shape, or are not as many as the options.
    """
    if isinstance(given, Mapping):
        pairs = cast("Mapping[object, object]", given).items()
        return {_code(code): _label(label) for code, label in pairs}
    if not isinstance(given, list | tuple):
        raise CorpusFormatError(
            f"codebook column {column!r}: codes must be an object or a list; got {given!r}"
        )
    listed = cast("Sequence[object]", given)
    if not labels or [_label(one) for one in listed] == labels:
        return {str(code): _label(one) for code, one in enumerate(listed, start=1)}
    if len(listed) != len(labels):
        raise CorpusFormatError(
            f"codebook column {column!r}: {counted(len(listed), 'code')} for "
            f"{counted(len(labels), 'option')}"
        )
    return {_code(code): label for code, label in zip(listed, labels, strict=True)}


def _label(value: object) -> str:
    plain = plain_value(value)
    return _code(plain) if isinstance(plain, float) else str(plain)


def _code(raw: object) -> str:
    plain = plain_value(raw)
    whole = isinstance(plain, float) and plain.is_integer()
    return str(int(plain)) if isinstance(plain, float) and whole else str(plain).strip()


def _is_pairs(value: object) -> bool:
    """Return whether this is a list of codes and labels in one text: `1=no|2=yes`."""
    if not isinstance(value, str) or "=" not in value:
        return False
    return all(number_in(part.partition("=")[0]) is not None for part in value.split(_SEPARATOR))


def _parsed(given: object, column: str) -> object:
    """Return codes as an object or a list, whatever text a table gives them as."""
    if not isinstance(given, str):
        return given
    if _is_pairs(given):
        pairs = (part.partition("=") for part in given.split(_SEPARATOR))
        return {code.strip(): label.strip() for code, _, label in pairs}
    if given.lstrip().startswith(("{", "[")):
        return json_value(given, f"codebook column {column!r}: codes")
    return _listed(given, column, "codes")


def _listed(value: object, column: str, field: str) -> list[object]:
    """Return a list of values, given as a list, as a text with bars, or as a single value.

    Raises:
        CorpusFormatError: If it is none of these.
    """
    if value is None or value == "":
        return []
    if isinstance(value, str):
        return [part.strip() for part in value.split(_SEPARATOR) if part.strip()]
    if isinstance(value, list | tuple | set):
        return list(cast("Iterable[object]", value))
    if field == "missing" and isinstance(value, int | float):
        return [value]
    raise CorpusFormatError(f"codebook column {column!r}: {field} {value!r} is not a list")
