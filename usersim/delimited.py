"""Delimited text (CSV, TSV and their kin) by the rules of the csv module.

Encoding and delimiter are recognized from the beginning of a file; quotes are respected while
looking for them, so that a comma inside a quoted header is not a delimiter. Knows text and cells;
knows nothing of what the cells mean.
"""

from __future__ import annotations

import codecs
import csv
import io
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

__all__ = ["BrokenRecord", "Dialect", "read_records", "recognize"]

DELIMITERS = (",", ";", "\t", "|")
_LONGEST_CELL = 32 << 20
_LONGEST_RECORD = 32 << 20
"""Characters; a quote that is never closed would make one record of the rest of a file."""
_SHOWN = 200
_SNIFFED = 20  # records whose width says which delimiter it is
_ROUNDS = 20  # quotes that are never closed, before the rest of a file is one broken record
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a delimited text is written.

    Attributes:
        delimiter: One character.
        encoding: A Python codec. Bytes that it cannot decode survive as lone surrogates.
        announced: Whether the first line is Excel's `sep=;`, which is not a record.
    """

    delimiter: str
    encoding: str = "utf-8-sig"
    announced: bool = False


@dataclass(frozen=True, slots=True)
class BrokenRecord:
    """A record whose quotes or bytes cannot be read.

    Attributes:
        text: Its lines as they stand in the file.
        reason: What is wrong.
    """

    text: str
    reason: str


def recognize(head: bytes, *, encoding: str | None = None) -> Dialect | None:
    r"""Return how a delimited text is written; None if no delimiter makes columns of it.

    Of comma, semicolon, tab and bar the one is taken that cuts the first records into equally
    many cells, the most where several do.

    Args:
        head: The beginning of the file, the longer the surer.
        encoding: A codec, where it is known. UTF-8 otherwise, or what a byte order mark says.

    Returns:
        The dialect.

    Raises:
        LookupError: If there is no such encoding.

    Example:
        >>> recognize(b'id;"age; in years"\n1;40\n').delimiter
        ';'
    """
    codec = encoding or next((name for mark, name in _BOMS if head.startswith(mark)), "utf-8-sig")
    text = codecs.getincrementaldecoder(codec)(_on_errors(codec)).decode(head)
    first = text.partition("\n")[0]
    told = first.strip().strip('"').lower()
    if told.startswith("sep=") and len(told) == len("sep=;"):
        return Dialect(told[-1], codec, announced=True)
    if told == "sep=":  # a tab, stripped
        return Dialect("\t", codec, announced=True)
    ranked = [(_fit(text, mark), mark) for mark in DELIMITERS]
    (agreeing, width), best = max(ranked, key=lambda one: one[0])
    return Dialect(best, codec) if width > 1 and agreeing > 0 else None


def _on_errors(encoding: str) -> str:
    """Return what keeps bytes that cannot be decoded; wide encodings can only mark their place."""
    wide = codecs.lookup(encoding).name.startswith(("utf-16", "utf-32"))
    return "replace" if wide else "surrogateescape"


def _fit(text: str, delimiter: str) -> tuple[float, int]:
    """Return the share of the first records that are as wide as the header, and that width."""
    widths: list[int] = []
    try:
        for cells in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            if cells:
                widths.append(len(cells))
            if len(widths) > _SNIFFED:
                break
    except csv.Error:  # a longer cell than the module takes, or a NUL
        pass
    if not widths or widths[0] == 1:
        return 0.0, 0
    body = widths[1:-1] if len(widths) > 2 else widths[1:]  # noqa: PLR2004 - the last may be cut
    agreeing = sum(width == widths[0] for width in body) / len(body) if body else 1.0
    cut_at_all = any(width > 1 for width in body)
    return (agreeing or 0.01 * cut_at_all), widths[0]


def read_records(handle: IO[bytes], dialect: Dialect) -> Iterator[list[str] | BrokenRecord]:
    """Yield the records of a file, the header first; blank lines are passed over.

    A record may span lines inside quotes, and lines may end with LF, CRLF or CR, in one file too.
    Text behind a closing quote breaks that record alone, and so does a quote that is never closed:
    the lines after its own are read again, and kept where they are as wide as the header.

    Args:
        handle: An open file; it stays open.
        dialect: How it is written.

    Yields:
        Cells, or the record that cannot be read.
    """
    if csv.field_size_limit() < _LONGEST_CELL:
        csv.field_size_limit(min(_LONGEST_CELL, sys.maxsize))
    # Undecodable bytes survive as surrogates, so that only their own record is lost.
    errors = _on_errors(dialect.encoding)
    text = io.TextIOWrapper(handle, dialect.encoding, errors=errors, newline="")
    try:
        yield from _records(text, dialect)
    finally:
        # The caller closes the handle, and may have done so: a record was enough for them.
        with suppress(ValueError):
            text.detach()


def _records(text: io.TextIOWrapper, dialect: Dialect) -> Iterator[list[str] | BrokenRecord]:
    source = _Lines(text)
    if dialect.announced:
        next(source, None)
    reader = csv.reader(source, delimiter=dialect.delimiter, strict=True)
    width = 0
    while True:
        source.begin()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield _broken(error, source)
            continue
        if not cells:
            continue
        width = width or len(cells)
        if source.again and len(cells) != width:
            yield BrokenRecord("".join(source.taken), "follows a quote that is never closed")
        else:
            yield _sound(cells, source.taken)


def _broken(error: csv.Error, source: _Lines) -> BrokenRecord:
    lines = len(source.taken)
    if isinstance(error, _TooLongError) and lines == 1:
        reason = f"is longer than {_LONGEST_RECORD} characters"
        return BrokenRecord(source.taken[0][:_SHOWN], reason)
    if "unexpected end of data" not in str(error) and not isinstance(error, _TooLongError):
        return BrokenRecord("".join(source.taken), f"cannot be read as CSV: {error}")
    first, *rest = source.taken
    if not source.give_back(rest):
        first += "".join(rest)
    return BrokenRecord(first, "opens a quote that is never closed")


class _TooLongError(csv.Error):
    """A record has grown beyond `_LONGEST_RECORD`."""


class _Lines(Iterator[str]):
    """Lines of a file, of which those after an unclosed quote can be read again."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self._length = 0
        self._waiting: deque[str] = deque()
        self._rounds = 0
        self.taken: list[str] = []
        self.again = False

    def begin(self) -> None:
        """Begin a record."""
        self.taken = []
        self._length = 0
        self.again = bool(self._waiting)

    def __next__(self) -> str:
        """Return the next line.

        Raises:
            StopIteration: At the end of the file.
            _TooLongError: If the record has grown too long; the rest of its line is passed over.
        """
        line = self._waiting.popleft() if self._waiting else self._text.readline(_LONGEST_RECORD)
        if not line:
            raise StopIteration
        self.taken.append(line)
        self._length += len(line)
        if self._length >= _LONGEST_RECORD:
            while line and line[-1] not in "\r\n":
                line = self._text.readline(_LONGEST_RECORD)
            raise _TooLongError
        return line

    def give_back(self, lines: Sequence[str]) -> bool:
        """Take lines back to be read again; false when that was done too often to go on."""
        self._rounds += 1
        if self._rounds > _ROUNDS:
            return False
        self._waiting.extendleft(reversed(lines))
        return True


def _sound(cells: list[str], lines: Sequence[str]) -> list[str] | BrokenRecord:
    for cell in cells:
        if not cell.isascii():
            try:
                cell.encode()
            except UnicodeEncodeError as error:
                byte = ord(cell[error.start]) & 0xFF
                return BrokenRecord(
                    "".join(lines),
                    f"byte 0x{byte:02x} in {cell[: error.start][-20:]!r}… is not in the file's "
                    "encoding; name it, for instance cp1252 for an older Excel on Windows",
                )
    return cells
