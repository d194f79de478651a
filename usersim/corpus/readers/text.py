"""Text sources: JSON Lines, one JSON document, CSV.

Lines are read as bytes and one at a time: a bad line is a refused row, not the end of the file.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import cast

import orjson

from usersim.corpus.readers.archive import MOST_LINE, LongLine, Member, guarded
from usersim.corpus.readers.records import MOST_DEEP, TOO_DEEP, LeftOut, Unreadable, too_deep
from usersim.delimited import BrokenRecord, Dialect, read_records
from usersim.errors import CorpusFormatError
from usersim.types.counting import counted

__all__ = ["Table", "read_document", "read_lines", "unreadable"]

_JSON_CELLS = ("[", "{")


def read_lines(lines: Iterable[bytes | LongLine]) -> Iterator[tuple[int, object]]:
    """Yield the records of JSON Lines with their line numbers; blank lines are passed over."""
    for number, line in enumerate(lines, start=1):
        if isinstance(line, LongLine):
            yield number, Unreadable(line.beginning, f"is longer than {MOST_LINE} bytes")
            continue
        if number == 1:
            line = line.removeprefix(codecs.BOM_UTF8)  # noqa: PLW2901 - the same line
        if line.strip():
            yield number, _parse(line)


def _parse(line: bytes) -> object:
    value = _loaded(line)
    # Counting is quick, and hardly any row has so many.
    if line.count(b"[") + line.count(b"{") > MOST_DEEP and too_deep(value):
        return Unreadable(line.rstrip(b"\r\n"), TOO_DEEP)
    return value


def _loaded(line: bytes) -> object:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        # Slower and more tolerant: lone surrogates and NaN are read, and judged per field.
        return _parse_odd(line)


def _parse_odd(line: bytes) -> object:
    bare = line.rstrip(b"\r\n")
    try:
        return json.loads(bare.decode())
    except UnicodeDecodeError as error:
        reason = f"byte 0x{bare[error.start]:02x} at position {error.start} is not UTF-8"
    except json.JSONDecodeError as error:
        reason = f"is not JSON: {error.msg} at column {error.colno}"
        if bare == line and error.pos >= len(bare.decode().rstrip()) - 1:
            reason = "ends in the middle of a JSON value: the source may be cut off"
        elif "Unterminated string" in error.msg and bare == line:
            reason = "ends in the middle of a text: the source may be cut off"
    except RecursionError:
        reason = TOO_DEEP
    except ValueError as error:  # an integer of thousands of digits
        reason = f"is not valid JSON: {error}"
    return Unreadable(bare, reason)


def read_document(data: bytes, name: str) -> list[object]:
    """Return the records of one JSON document: an array, or a single object.

    Raises:
        CorpusFormatError: If it is no JSON.
    """
    record = _parse(data.removeprefix(codecs.BOM_UTF8))
    if isinstance(record, Unreadable):
        raise CorpusFormatError(
            f"{name!r} {record.reason}",
            hint="write large corpora as JSON Lines, one object per line",
        )
    return cast("list[object]", record) if isinstance(record, list) else [record]


@dataclass(frozen=True, slots=True)
class Table:
    """A delimited file, read again and again.

    Attributes:
        member: The file.
        dialect: How it is written.
    """

    member: Member
    dialect: Dialect

    def columns(self) -> list[str]:
        """Return the names of the columns; one without a name is called by its place.

        Raises:
            CorpusFormatError: If they cannot be read, or one is there twice.
        """
        header = next(self._records(), None)
        if header is None or isinstance(header, BrokenRecord):
            reason = "is empty" if header is None else f"has a header that {header.reason}"
            raise CorpusFormatError(f"{self.member.name!r} {reason}")
        names = [cell.strip() or f"column {place}" for place, cell in enumerate(header, start=1)]
        if len(set(names)) != len(names):
            raise CorpusFormatError(f"{self.member.name!r} has the same column twice: {names!r}")
        return names

    def header(self, count: int = 1) -> list[list[str]]:
        """Return the first records that can be read, as they stand."""
        rows = (row for row in self._records() if not isinstance(row, BrokenRecord))
        return list(islice(rows, count))

    def rows(self, skip: int = 1) -> Iterator[tuple[int, list[str] | BrokenRecord]]:
        """Yield the records after the header with their numbers, from 1.

        Args:
            skip: How many records are the header.
        """
        yield from enumerate(islice(self._records(), skip, None), start=1)

    def records(self) -> Iterator[tuple[int, object]]:
        """Yield the records as objects, each with its number.

        Raises:
            CorpusFormatError: If the header is unusable.
        """
        columns = self.columns()
        for number, cells in self.rows():
            yield number, _record(columns, cells)

    def _records(self) -> Iterator[list[str] | BrokenRecord]:
        def read() -> Iterator[list[str] | BrokenRecord]:
            with self.member.open() as file:
                yield from read_records(file, self.dialect)

        return guarded(read(), self.member.name)


def unreadable(broken: BrokenRecord) -> Unreadable:
    """Return a record that cannot be read, with its bytes."""
    return Unreadable(broken.text.encode("utf-8", "surrogateescape"), broken.reason)


def _record(columns: list[str], cells: list[str] | BrokenRecord) -> object:
    if isinstance(cells, BrokenRecord):
        return unreadable(cells)
    if not any(cell.strip() for cell in cells):
        return LeftOut("blank rows")
    if len(cells) > len(columns) and any(cell.strip() for cell in cells[len(columns) :]):
        reason = (
            f"has {counted(len(cells), 'cell')} and the header {counted(len(columns), 'column')}"
        )
        return Unreadable(",".join(cells).encode(), reason)
    return {column: _cell(cell) for column, cell in zip(columns, cells, strict=False)}


def _cell(cell: str) -> object:
    """Return the value of a cell: None if blank, lists and objects from their JSON."""
    if not cell:
        return None
    if cell.startswith(_JSON_CELLS):
        try:
            value = json.loads(cell)
        except (ValueError, RecursionError):
            return cell
        if cell.count("[") + cell.count("{") > MOST_DEEP and too_deep(value):
            return cell
        return value if isinstance(value, list | dict) else cell  # pyright: ignore[reportUnknownVariableType]
    return cell
