"""A survey's answers as a file: one row per response, each marked as simulated."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from usersim.errors import SurveyError
from usersim.simulation.survey.results import SurveyResults

__all__ = ["safe_cell", "write_answers"]

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def safe_cell(value: object) -> object:
    """Return a value for a CSV cell; a text that a spreadsheet would compute gets a `'` before it.

    Example:
        >>> safe_cell("=1+1"), safe_cell(-1.0), safe_cell(None)
        ("'=1+1", -1.0, '')
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    if isinstance(value, bool | dict | list | tuple):
        return json.dumps(value, ensure_ascii=False)
    return value


def write_answers(results: SurveyResults, path: str | Path) -> int:
    """Write one row per response; the file appears when it is whole.

    Args:
        results: What came of a survey.
        path: CSV if it ends with `.csv`, otherwise JSON Lines.

    Returns:
        How many rows were written.

    Raises:
        SurveyError: If the file cannot be written.
    """
    target = Path(path)
    put = _put_csv if target.suffix.lower() == ".csv" else _put_lines
    half = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with half.open("w", encoding="utf-8", newline="") as out:
            count = put(out, results.long())
        half.replace(target)
    except OSError as error:
        half.unlink(missing_ok=True)
        raise SurveyError(
            f"the answers cannot be written to {str(path)!r}: {error}",
            hint="they stay in the store: the same call finds them without asking again",
        ) from error
    return count


def _put_csv(out: IO[str], rows: Iterator[dict[str, object]]) -> int:
    first = next(rows)  # a survey has at least one response
    writer = csv.DictWriter(out, list(first))
    writer.writeheader()
    count = 0
    for row in _with(first, rows):
        writer.writerow({name: safe_cell(value) for name, value in row.items()})
        count += 1
    return count


def _with(
    first: dict[str, object], rest: Iterable[dict[str, object]]
) -> Iterator[dict[str, object]]:
    yield first
    yield from rest


def _put_lines(out: IO[str], rows: Iterator[dict[str, object]]) -> int:
    count = 0
    for row in rows:
        out.write(json.dumps(row, ensure_ascii=False) + "\n")
        count += 1
    return count
