"""Rows as CSV, JSON Lines or Parquet, read back before the file is moved into its place.

Knows cells and lines; knows nothing of what the rows are about.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Literal, cast

import orjson

from usersim.errors import UsersimError
from usersim.files.parquet import parquet_rows, put_parquet, require_arrow
from usersim.files.whole import DISK_HINT, expect, replacing

__all__ = [
    "Form",
    "Row",
    "csv_text",
    "escape_cell",
    "form_of",
    "json_line",
    "unescape_cell",
    "write_rows",
]

Row = Mapping[str, object]
Form = Literal["csv", "jsonl", "parquet"]

_FORMS: Mapping[str, Form] = {".csv": "csv", ".parquet": "parquet"}
_COMPUTED = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
"""How a text begins that a spreadsheet may compute, also after quotes that were put there before.
The last four are the full-width forms of the first four: some spreadsheets compute them too."""
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def write_rows(
    path: str | Path,
    rows: Iterable[Row],
    *,
    what: str,
    error: type[UsersimError],
    form: Form | None = None,
    columns: Sequence[str] = (),
    mark: Row | None = None,
    hint: str = DISK_HINT,
) -> int:
    """Write rows as CSV, Parquet or JSON Lines, and read back how many there are.

    CSV and JSON Lines are written row by row, whatever their number.

    Args:
        path: The file.
        rows: Each with the same columns; in JSON Lines each may have its own.
        what: What is written, for messages.
        error: Raised in place of an `OSError`.
        form: By default CSV if `path` ends with `.csv`, Parquet if with `.parquet`, otherwise
            JSON Lines.
        columns: Columns of a CSV file; by default those of the first row. A row may lack some.
        mark: What a Parquet file says of itself, in its metadata under `usersim`.
        hint: Of the error.

    Returns:
        How many rows were written.

    Raises:
        UsersimError: Of class `error`, if the file cannot be written.
        MissingDependencyError: If it is Parquet and pyarrow is not installed.
    """
    shape = form or form_of(path)
    if shape == "parquet":
        require_arrow()  # before anything is written
    lines = 0

    def check(half: Path) -> None:
        found = parquet_rows(half) if shape == "parquet" else _lines(half, shape == "csv")
        expect(found, lines, "rows")

    with replacing(path, what=what, error=error, hint=hint, check=check) as half:
        if shape == "parquet":
            table = _of_one_kind(list(rows))
            lines = len(table)
            put_parquet(half, table, None if mark is None else json_line(mark).strip())
        else:
            with half.open("wb") as out:
                for line in _csv_lines(rows, columns) if shape == "csv" else map(json_line, rows):
                    out.write(line)
                    lines += 1
    heading = shape == "csv" and lines > 0
    return lines - heading


def form_of(path: str | Path) -> Form:
    """Return the form of rows that a file's ending names; JSON Lines where it names none.

    Example:
        >>> form_of("answers.CSV"), form_of("answers")
        ('csv', 'jsonl')
    """
    return _FORMS.get(Path(path).suffix.lower(), "jsonl")


def csv_text(rows: Iterable[Row], columns: Sequence[str] = ()) -> str:
    r"""Return rows as CSV, with escaped cells and a heading.

    Args:
        rows: Each with the same columns.
        columns: The columns; by default those of the first row.

    Example:
        >>> csv_text([{"user": "ada", "said": "=1+1"}, {"user": "bo", "said": "one\rtwo"}])
        'user,said\nada,\'=1+1\nbo,"one\rtwo"\n'
    """
    return b"".join(_csv_lines(rows, columns)).decode()


def json_line(row: Row) -> bytes:
    r"""Return a row as a line of JSON; a lone surrogate stays, as an escape.

    Example:
        >>> json_line({"a": "é", "b": None}).decode()
        '{"a":"é","b":null}\n'
    """
    try:
        return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError:
        return json.dumps(row, separators=(",", ":")).encode() + b"\n"


def escape_cell(text: str) -> str:
    r"""Return a text as a CSV cell that no spreadsheet computes.

    A text gets one `'` before it if it begins with `=`, `+`, `-`, `@` (or the full-width form of
    one of these), a tab, a carriage return or a line feed, also behind quotes `'`, unless it is a
    plain number. The rule can be undone: see `unescape_cell`.

    Example:
        >>> escape_cell("=1+1"), escape_cell("-12.5"), escape_cell("- milk"), escape_cell("tea")
        ("'=1+1", '-12.5', "'- milk", 'tea')
    """
    return f"'{text}" if _COMPUTED.match(text) and not _NUMBER.fullmatch(text) else text


def unescape_cell(cell: str) -> str:
    """Return the text that `escape_cell` made a cell of.

    Example:
        >>> [unescape_cell(escape_cell(text)) for text in ("=1", "'=1", "-1", "'-1", "'tea'")]
        ['=1', "'=1", '-1', "'-1", "'tea'"]
    """
    return cell[1:] if cell.startswith("'") and _COMPUTED.match(cell) else cell


def _csv_lines(rows: Iterable[Row], columns: Sequence[str]) -> Iterator[bytes]:
    every = iter(rows)
    if not columns:
        first = next(every, None)
        if first is None:
            return
        every = chain((first,), every)
        columns = list(first)
    line = io.StringIO()
    # With this ending the csv module also quotes a cell that holds a lone carriage return or line
    # feed; readers of the file would take it for the end of the row.
    writer = csv.writer(line, lineterminator="\r\n")

    def encoded(cells: Iterable[object]) -> bytes:
        writer.writerow(cells)
        text = line.getvalue().removesuffix("\r\n")
        line.seek(0)
        line.truncate()
        return f"{text}\n".encode("utf-8", "replace")

    yield encoded(escape_cell(name) for name in columns)
    for row in every:
        yield encoded(_cell(row.get(name)) for name in columns)


def _cell(value: object) -> object:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool | Mapping | list | tuple):
        return _json_text(cast("object", value))
    return value if isinstance(value, int | float) else escape_cell(str(value))


def _json_text(value: object) -> str:
    return json_line(cast("Row", value)).decode().removesuffix("\n")


def _lines(file: Path, quoted: bool) -> int:  # noqa: FBT001 - the format
    """Return how many whole rows a file holds; in CSV a quoted cell may hold line ends."""
    count = 0
    inside = False
    with file.open("rb") as lines:
        for line in lines:
            inside ^= quoted and line.count(b'"') % 2 == 1
            count += not inside and line.endswith(b"\n")
    return count


def _of_one_kind(rows: list[Row]) -> list[Row]:
    """Return rows whose columns hold one kind each: text where a column mixes text and numbers.

    What has parts becomes JSON, as in a CSV file.
    """
    names = list(rows[0]) if rows else []
    rows = [{name: _plain(value) for name, value in row.items()} for row in rows]
    mixed = {
        name
        for name in names
        if len({isinstance(row[name], str) for row in rows if row[name] is not None}) > 1
    }
    numbers = {
        name
        for name in names
        if name not in mixed and any(isinstance(row[name], float) for row in rows)
    }
    return [{n: _as_kind(v, n in mixed, n in numbers) for n, v in row.items()} for row in rows]


def _plain(value: object) -> object:
    parts = isinstance(value, Mapping | list | tuple)
    return _json_text(cast("object", value)) if parts else value


def _as_kind(value: object, text: bool, number: bool) -> object:  # noqa: FBT001 - a column's kind
    if value is None:
        return None
    if text:
        return value if isinstance(value, str) else str(_cell(value))
    return float(cast("float", value)) if number else value
