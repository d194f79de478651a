"""Codebooks as files and lists: JSON, CSV, and their entries by column."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from usersim.delimited import BrokenRecord, Dialect, read_records, recognize
from usersim.errors import CorpusFormatError
from usersim.types import normalized

__all__ = ["codebook_entries", "json_value"]


def codebook_entries(
    source: Mapping[str, object] | Sequence[object] | str | Path,
) -> dict[str, object]:
    """Return the fields of each column, as they are given.

    Args:
        source: A dict, a list of fields with their column, or a JSON or CSV file.

    Raises:
        CorpusFormatError: If it cannot be read, or names a column twice or not at all.
    """
    if isinstance(source, Mapping):
        return dict(source)
    if isinstance(source, str | Path):
        return _file_entries(Path(source))
    return _by_column(source, "the codebook")


def _file_entries(path: Path) -> dict[str, object]:
    name = f"the codebook {str(path)!r}"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CorpusFormatError(f"{name} cannot be read: {error.strerror or error}") from error
    body = data.removeprefix(b"\xef\xbb\xbf").lstrip()
    if body.startswith((b"{", b"[")):
        try:
            value = json_value(body.decode(), name)
        except UnicodeDecodeError as error:
            raise CorpusFormatError(f"{name} cannot be read: it is not UTF-8: {error}") from error
        if isinstance(value, list):
            return _by_column(cast("list[object]", value), name)
        if isinstance(value, dict):
            return cast("dict[str, object]", value)
    return _by_column(_table(data, name), name)


def _table(data: bytes, name: str) -> list[object]:
    """Return the rows of a codebook that is a table.

    Raises:
        CorpusFormatError: If it is not a table.
    """
    dialect = recognize(data) or Dialect(",")
    records = read_records(io.BytesIO(data), dialect)
    header = next(records, None)
    if header is None or isinstance(header, BrokenRecord):
        reason = "it is empty" if header is None else header.reason
        raise CorpusFormatError(f"{name} cannot be read: {reason}")
    names = [normalized(cell).casefold() for cell in header]
    rows: list[object] = []
    for cells in records:
        if isinstance(cells, BrokenRecord):
            raise CorpusFormatError(f"{name}: the line {cells.text[:80]!r} {cells.reason}")
        rows.append({name: cell for name, cell in zip(names, cells, strict=False) if cell})
    return rows


def _by_column(rows: Sequence[object], name: str) -> dict[str, object]:
    """Return the entries of a list by their column.

    Raises:
        CorpusFormatError: If one names no column, or two name the same.
    """
    entries: dict[str, object] = {}
    for row in rows:
        fields = dict(cast("Mapping[str, object]", row)) if isinstance(row, Mapping) else {}
        column = fields.pop("column", None)
        if not isinstance(column, str):
            raise CorpusFormatError(
                f"{name} has a row without a column: {row!r}",
                hint="the header must be: column,text,kind,options,codes",
            )
        if column in entries:
            raise CorpusFormatError(f"{name} has the column {column!r} twice")
        entries[column] = fields
    return entries


def json_value(text: str, what: str) -> object:
    """Return the value of a JSON text.

    Raises:
        CorpusFormatError: If it is none, or has a key twice.
    """

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise CorpusFormatError(f"{what} has the key {twice!r} twice")
        return found

    try:
        return json.loads(text, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise CorpusFormatError(f"{what} cannot be read as JSON: {error}") from error
