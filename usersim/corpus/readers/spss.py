"""SPSS files (`.sav`, `.zsav`) through pyreadstat: values, labels and missing values.

The file brings its own codebook: a variable with a label is a question, its value labels are the
options in the order of their codes, and its user-missing values are no answer. What has no label,
such as weights, is kept as metadata.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

from usersim.corpus.readers.codebook import ID_COLUMNS, column_key
from usersim.errors import CorpusFormatError, MissingDependencyError, boundary
from usersim.types import number_in, plain_value

__all__ = ["MISSING", "SpssFile", "is_spss"]

MISSING = "(missing)"
"""Stands for every value that the file's author marked as missing."""
_TIMES = ("timestamp", "recordeddate", "enddate", "submitdate", "startdate", "datestamp", "date")
"""Names of times, that of the answer itself first."""
_TIME: Mapping[str, object] = {"kind": "timestamp"}
_CELLS = 2_000_000  # of a batch
_LEAST_ROWS = 500
_MOST_POINTS = 21
"""Points of a scale of which only some are labeled, such as 0 to 10 with labeled ends."""
_MAGIC = (b"$FL2", b"$FL3")


class _Meta(Protocol):
    column_names: list[str]
    column_names_to_labels: Mapping[str, str | None]
    variable_value_labels: Mapping[str, Mapping[object, str]]
    variable_measure: Mapping[str, str]
    missing_ranges: Mapping[str, list[Mapping[str, object]]]
    readstat_variable_types: Mapping[str, str]
    original_variable_types: Mapping[str, str]
    number_rows: int | None


class _Pyreadstat(Protocol):
    def read_sav(self, path: str, **how: object) -> tuple[Mapping[str, object], _Meta]: ...


def is_spss(head: bytes) -> bool:
    """Return whether a file is one of SPSS, by its first bytes."""
    return head.startswith(_MAGIC)


def _library() -> _Pyreadstat:
    try:
        return cast("_Pyreadstat", importlib.import_module("pyreadstat"))
    except ImportError:
        raise MissingDependencyError("pyreadstat", extra="spss", why="an SPSS file") from None


@dataclass(slots=True)
class SpssFile:
    """One file, read again and again.

    Args:
        path: Where it is.
    """

    path: Path
    _meta: _Meta | None = None

    @property
    def meta(self) -> _Meta:
        """What the file says about its variables.

        Raises:
            MissingDependencyError: If pyreadstat is not installed.
            CorpusFormatError: If the file cannot be read.
        """
        if self._meta is None:
            _, self._meta = self._read(metadataonly=True)
        return self._meta

    def codebook(self) -> dict[str, Mapping[str, object]]:
        """Return the codebook that the file brings along."""
        times = [name for name in self.meta.column_names if _is_time(name, self.meta)]
        found = {name: _entry(name, self.meta) for name in self.meta.column_names
                 if name not in times}  # fmt: skip
        book = {name: entry for name, entry in found.items() if entry is not None}
        if times:  # the other times become metadata
            book[min(times, key=lambda name: _TIMES.index(column_key(name)))] = _TIME
        return book

    def records(self) -> Iterator[dict[str, object]]:
        """Yield the rows, a batch of them in memory at a time.

        Yields:
            Values by variable; `MISSING` for those that the file's author marked as missing.
        """
        names = self.meta.column_names
        rows = max(_LEAST_ROWS, _CELLS // max(len(names), 1))
        offset = 0
        while True:
            columns, _ = self._read(row_offset=offset, row_limit=rows)
            values = [self._column(name, columns[name]) for name in names]
            for row in zip(*values, strict=True):
                yield dict(zip(names, row, strict=True))
            count = len(values[0]) if values else 0
            if count < rows:
                return
            offset += count

    def _column(self, name: str, cells: object) -> list[object]:
        ranges = self.meta.missing_ranges.get(name, [])
        values = cast("list[object]", plain_value(cells))
        if not ranges:
            return values
        return [MISSING if v is not None and _inside(v, ranges) else v for v in values]

    def _read(self, **how: object) -> tuple[Mapping[str, object], _Meta]:
        library = _library()
        with boundary(CorpusFormatError, f"reading {str(self.path)!r} as an SPSS file"):
            return library.read_sav(str(self.path), user_missing=True, output_format="dict", **how)


def _is_dated(name: str, meta: _Meta) -> bool:
    return "DATE" in str(meta.original_variable_types.get(name)).upper()


def _is_time(name: str, meta: _Meta) -> bool:
    """Return whether a variable says when somebody answered."""
    return _is_dated(name, meta) and column_key(name) in _TIMES


def _entry(name: str, meta: _Meta) -> Mapping[str, object] | None:
    """Return what a variable asks; None if it is no question."""
    text = (meta.column_names_to_labels.get(name) or "").strip()
    labels = meta.variable_value_labels.get(name, {})
    if (not text and not labels) or column_key(name) in ID_COLUMNS:
        return None
    ranges = meta.missing_ranges.get(name, [])
    answers = {code: str(label) for code, label in labels.items() if not _inside(code, ranges)}
    entry: dict[str, object] = {"text": text or name, "missing": [MISSING]}
    if len(answers) > 1:
        codes = _points(answers)
        ordered = meta.variable_measure.get(name) in {"ordinal", "scale"}
        kind = "scale" if ordered or len(codes) > len(answers) else "choice"
        return {**entry, "kind": kind, "codes": codes, "coded": True}
    is_text = meta.readstat_variable_types.get(name) == "string"
    return {**entry, "kind": "free_text" if is_text or _is_dated(name, meta) else "number"}


def _points(answers: Mapping[object, str]) -> dict[str, str]:
    """Return the label of every code, in order; points between labeled ends are named by code."""
    numbers = {number_in(code): label for code, label in answers.items()}
    if None in numbers:
        return {str(code): label for code, label in answers.items()}
    known = {cast("float", number): label for number, label in numbers.items()}
    low, high = min(known), max(known)
    whole = all(number.is_integer() for number in known)
    if whole and len(known) < high - low + 1 <= _MOST_POINTS:
        points = [float(point) for point in range(int(low), int(high) + 1)]
    else:
        points = sorted(known)
    named = {_code(point): known.get(point, _code(point)) for point in points}
    twice = {label for label in named.values() if list(named.values()).count(label) > 1}
    return {code: f"{label} ({code})" if label in twice else label for code, label in named.items()}


def _inside(code: object, ranges: list[Mapping[str, object]]) -> bool:
    """Return whether a value is in one of the ranges that its user marked as missing."""
    number = number_in(code)
    for one in ranges:
        low, high = number_in(one["lo"]), number_in(one["hi"])
        if code in {one["lo"], one["hi"]}:
            return True
        if number is not None and low is not None and high is not None and low <= number <= high:
            return True
    return False


def _code(number: float) -> str:
    return str(int(number)) if number.is_integer() else repr(number)
