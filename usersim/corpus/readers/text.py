"""Text sources: JSON Lines, one JSON document, CSV.

Lines are read as bytes and one at a time: a bad line is a refused row, not the end of the file.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import sys
from collections.abc import Iterable, Iterator
from typing import IO, cast

import orjson

from usersim.corpus.readers.records import Unreadable
from usersim.errors import CorpusFormatError

__all__ = ["delimiter_of", "read_csv", "read_document", "read_lines"]

_DELIMITERS = (",", ";", "\t", "|")
_LONGEST_CELL = 1 << 27
_JSON_CELLS = ("[", "{")


def read_lines(handle: Iterable[bytes]) -> Iterator[tuple[int, object]]:
    """Yield the records of JSON Lines with their line numbers; blank lines are passed over."""
    for number, line in enumerate(handle, start=1):
        if number == 1:
            line = line.removeprefix(codecs.BOM_UTF8)  # noqa: PLW2901 - the same line
        if line.strip():
            yield number, _parse(line)


def _parse(line: bytes) -> object:
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
        reason = "is nested too deeply"
    except ValueError as error:  # an integer of thousands of digits
        reason = f"is not JSON that can be read: {error}"
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
            hint="a large corpus is best written as JSON Lines: one object a line",
        )
    return cast("list[object]", record) if isinstance(record, list) else [record]


def delimiter_of(header: str) -> str | None:
    """Return the delimiter that cuts `header` into the most columns; None if none does.

    Example:
        >>> delimiter_of("user_id;question;answer")
        ';'
    """
    counts = {mark: header.count(mark) for mark in _DELIMITERS}
    best = max(counts, key=lambda mark: counts[mark])
    return best if counts[best] else None


def read_csv(handle: IO[bytes], name: str) -> Iterator[tuple[int, object]]:
    """Yield the records of a CSV file with a header; numbers count records, not lines.

    Raises:
        CorpusFormatError: If the header is unusable or a cell cannot be read.
    """
    # Undecodable bytes survive as surrogates, so that only their own record is refused.
    text = io.TextIOWrapper(handle, "utf-8-sig", errors="surrogateescape", newline="")
    try:
        yield from _csv_rows(text, name)
    finally:
        text.detach()  # the caller closes the handle


def _csv_rows(text: io.TextIOWrapper, name: str) -> Iterator[tuple[int, object]]:
    header_line = text.readline()
    delimiter = delimiter_of(header_line) or ","
    columns = next(csv.reader([header_line], delimiter=delimiter))
    if len(set(columns)) != len(columns):
        raise CorpusFormatError(f"{name!r} has the same column twice: {columns!r}")
    if csv.field_size_limit() < _LONGEST_CELL:
        csv.field_size_limit(min(_LONGEST_CELL, sys.maxsize))
    reader = csv.reader(text, delimiter=delimiter)
    try:
        for number, cells in enumerate(reader, start=1):
            if cells:
                yield number, _record(columns, cells, delimiter)
    except csv.Error as error:
        raise CorpusFormatError(
            f"{name!r} cannot be read as CSV near line {reader.line_num + 1}: {error}"
        ) from error


def _record(columns: list[str], cells: list[str], delimiter: str) -> object:
    line = delimiter.join(cells)
    if not line.isascii():
        try:
            line.encode()
        except UnicodeEncodeError as error:
            byte = ord(line[error.start]) & 0xFF
            reason = f"byte 0x{byte:02x} at character {error.start} is not UTF-8"
            return Unreadable(line.encode("utf-8", "surrogateescape"), reason)
    if len(cells) > len(columns):
        reason = f"has {len(cells)} cells and the header {len(columns)} columns"
        return Unreadable(line.encode(), reason)
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
        return value if isinstance(value, list | dict) else cell  # pyright: ignore[reportUnknownVariableType]
    return cell
