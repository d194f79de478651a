"""What a source is, told by its content: the first bytes of a file, the type of an object."""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Iterable, Iterator, Sized
from pathlib import Path
from typing import IO, TypeVar, cast

from usersim.corpus.readers.frames import is_frame, read_frame, read_parquet
from usersim.corpus.readers.records import Records
from usersim.corpus.readers.text import delimiter_of, read_csv, read_document, read_lines
from usersim.errors import CorpusFormatError

__all__ = ["open_source"]

_T = TypeVar("_T")

_HEAD = 1 << 16
_BUFFER = 1 << 20
_KNOWN = "known are JSON Lines, JSON, CSV and Parquet, each also compressed by gzip"
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)


def open_source(source: object) -> Records:
    """Open a path, a pandas or polars frame, or an iterable of dicts.

    Args:
        source: The source; a text is a path.

    Returns:
        Its records, to be read once.

    Raises:
        CorpusFormatError: If it is none of these or its content is unknown.
    """
    if isinstance(source, str | Path):
        return _open_file(Path(source))
    if is_frame(source):
        return read_frame(source)
    if isinstance(source, dict | bytes) or not isinstance(source, Iterable):
        raise CorpusFormatError(
            f"{type(cast('object', source)).__name__!r} is not a source",
            hint="give a path, an iterable of dicts, a pandas or polars frame, or a Corpus",
        )
    rows = cast("Iterable[object]", source)
    total = len(rows) if isinstance(rows, Sized) else None
    return Records("an iterable of rows", "json", enumerate(rows, start=1), total)


def _open_file(path: Path) -> Records:
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise CorpusFormatError(
            f"{str(path)!r} cannot be read: {error.strerror or error}",
            hint="check the path; a relative one starts at the working directory",
        ) from error
    if head.startswith(b"\x1f\x8b"):
        head = b"".join(_guarded(_compressed_head(path), str(path)))
    if head.startswith(b"PAR1"):
        return read_parquet(path)
    _check_text(head, path)
    body = head.removeprefix(codecs.BOM_UTF8).lstrip()
    if _is_document(body):
        data = b"".join(_guarded(_lines(path), str(path)))
        records = read_document(data, str(path))
        return Records(str(path), "json", enumerate(records, start=1), len(records))
    if body[:1] in {b"{", b"["} or path.name.endswith((".jsonl", ".jsonl.gz", ".ndjson")):
        return Records(str(path), "json", read_lines(_guarded(_lines(path), str(path))))
    first = body.partition(b"\n")[0].decode("utf-8", "replace")
    if delimiter_of(first) is None:
        raise CorpusFormatError(f"the content of {str(path)!r} is not recognised", hint=_KNOWN)
    return Records(str(path), "table", _guarded(_csv_records(path), str(path)))


def _check_text(head: bytes, path: Path) -> None:
    if not head.removeprefix(codecs.BOM_UTF8).strip():
        raise CorpusFormatError(f"{str(path)!r} is empty", hint=_KNOWN)
    if head.startswith(b"SQLite format 3\x00"):
        raise CorpusFormatError(
            f"{str(path)!r} is a database, not a text",
            hint="if it is a corpus, open it: corpus.add(Corpus.open(path))",
        )
    if head.startswith(_UTF16):
        raise CorpusFormatError(
            f"{str(path)!r} is not UTF-8: its first bytes {head[:2]!r} announce UTF-16 or UTF-32",
            hint="save it as UTF-8",
        )


def _is_document(body: bytes) -> bool:
    """Return whether this is one JSON value over several lines, or an array of objects."""
    first, newline, rest = body.partition(b"\n")
    bare = first.strip()
    if bare.startswith(b"["):
        inside = bare[1:].lstrip() or rest.lstrip()
        alone = not newline or not rest.strip()
        return inside.startswith(b"{") and (alone or not bare.endswith(b"]"))
    return bare == b"{" and bool(newline)


def _handle(path: Path) -> IO[bytes]:
    file = path.open("rb", buffering=_BUFFER)
    compressed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    if not compressed:
        return file
    file.close()
    return cast("IO[bytes]", gzip.open(path, "rb"))


def _compressed_head(path: Path) -> Iterator[bytes]:
    with gzip.open(path, "rb") as file:
        yield file.read(_HEAD)


def _lines(path: Path) -> Iterator[bytes]:
    with _handle(path) as file:
        yield from file


def _csv_records(path: Path) -> Iterator[tuple[int, object]]:
    with _handle(path) as file:
        yield from read_csv(file, str(path))


def _guarded(items: Iterator[_T], name: str) -> Iterator[_T]:
    """Yield `items`; a damaged file becomes a typed error.

    Raises:
        CorpusFormatError: If the file cannot be read to its end.
    """
    try:
        yield from items
    except (OSError, EOFError, zlib.error) as error:
        raise CorpusFormatError(
            f"{name!r} cannot be read to its end: {error}",
            hint="what was read so far is kept; mend the file and load it again",
        ) from error
