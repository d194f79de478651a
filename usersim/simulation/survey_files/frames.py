"""Results as tables: a row per answer (long) or per respondent (wide), as a frame, CSV or Parquet.

Every table has a column `simulated` that is true in every row, and files carry the mark a second
time where the format has room for it. Knows results and files; knows nothing of models.
"""

from __future__ import annotations

import csv
import importlib
import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, cast

from usersim.errors import MissingDependencyError, SurveyFileError, boundary
from usersim.simulation.survey import SurveyResults
from usersim.simulation.survey.files import safe_cell

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Shape", "plain_rows", "to_csv", "to_frame", "to_parquet", "written"]

Shape = Literal["long", "wide"]
"""A row per answer, or a row per respondent."""

_MARK = "usersim"


class _Table(Protocol):
    @property
    def schema(self) -> _Schema: ...
    def replace_schema_metadata(self, metadata: Mapping[bytes, bytes]) -> _Table: ...


class _Schema(Protocol):
    @property
    def metadata(self) -> Mapping[bytes, bytes] | None: ...


def plain_rows(
    results: SurveyResults,
    shape: Shape = "long",
    *,
    codes: bool = False,
    weights: Mapping[str, float] | None = None,
) -> Iterator[dict[str, object]]:
    """Yield rows of plain cells: mappings and tuples as JSON text.

    Args:
        results: What was simulated.
        shape: A row per answer or per respondent.
        codes: In wide rows the numbers of answers in place of their labels.
        weights: Of each respondent, for a column `weight`; None makes no such column.

    Yields:
        Rows, all with the same columns, `simulated` the last.

    Raises:
        SurveyFileError: If `shape` is unknown, or a respondent has no weight.
    """
    if shape not in {"long", "wide"}:
        raise SurveyFileError(f"shape {shape!r} is neither 'long' nor 'wide'")
    if weights is not None and (missing := set(results.people) - set(weights)):
        raise SurveyFileError(f"no weight for {sorted(missing)[:5]!r}")
    rows = results.long() if shape == "long" else results.wide(codes=codes)
    for row in rows:
        cells = {name: _cell(value) for name, value in row.items() if name != "simulated"}
        if weights is not None:
            cells["weight"] = weights[str(row["respondent"])]
        yield {**cells, "simulated": True}


def to_frame(
    results: SurveyResults,
    shape: Shape = "long",
    *,
    codes: bool = False,
    weights: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Return results as a pandas frame; its `attrs` say that they are simulated.

    Args:
        results: What was simulated.
        shape: A row per answer or per respondent.
        codes: In wide frames the numbers of answers in place of their labels.
        weights: Of each respondent, for a column `weight`.

    Returns:
        The frame.

    Raises:
        MissingDependencyError: If pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError:
        raise MissingDependencyError("pandas", extra="report", why="a frame") from None
    frame = pd.DataFrame(list(plain_rows(results, shape, codes=codes, weights=weights)))
    frame.attrs = {"simulated": True, "survey": results.survey.title}
    return frame


def to_csv(
    results: SurveyResults,
    path: str | Path,
    shape: Shape = "long",
    *,
    codes: bool = False,
    weights: Mapping[str, float] | None = None,
) -> Path:
    """Write results as CSV (UTF-8); texts that a spreadsheet would compute begin with `'`.

    Args:
        results: What was simulated.
        path: The file; replaced if it is there.
        shape: A row per answer or per respondent.
        codes: In wide tables the numbers of answers in place of their labels.
        weights: Of each respondent, for a column `weight`.

    Returns:
        The file.

    Raises:
        SurveyFileError: If it cannot be written.
    """
    rows = list(plain_rows(results, shape, codes=codes, weights=weights))
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: safe_cell(value) for name, value in row.items()} for row in rows)
    # A lone surrogate, which some corpora hold, has no UTF-8: it becomes a question mark.
    return written(path, out.getvalue().encode("utf-8", "replace"))


def to_parquet(
    results: SurveyResults,
    path: str | Path,
    shape: Shape = "long",
    *,
    codes: bool = False,
    weights: Mapping[str, float] | None = None,
) -> Path:
    """Write results as Parquet; the file's own metadata say that they are simulated.

    Args:
        results: What was simulated.
        path: The file; replaced if it is there.
        shape: A row per answer or per respondent.
        codes: In wide tables the numbers of answers in place of their labels.
        weights: Of each respondent, for a column `weight`.

    Returns:
        The file.

    Raises:
        MissingDependencyError: If pyarrow is not installed.
        SurveyFileError: If it cannot be written.
    """
    try:
        arrow = importlib.import_module("pyarrow")
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise MissingDependencyError("pyarrow", extra="parquet", why="a Parquet file") from None
    rows = _of_one_kind(list(plain_rows(results, shape, codes=codes, weights=weights)))
    told = {"simulated": True, "survey": results.survey.title, "digest": results.survey.digest}
    out = io.BytesIO()
    with boundary(SurveyFileError, f"writing {str(path)!r} as Parquet"):
        table = cast("_Table", arrow.Table.from_pylist(rows))
        held = dict(table.schema.metadata or {})
        marked = table.replace_schema_metadata({**held, _MARK.encode(): json.dumps(told).encode()})
        parquet.write_table(marked, out)
    return written(path, out.getvalue())


def written(path: str | Path, content: bytes) -> Path:
    """Write a file so that a reader sees the old one or the whole new one.

    Raises:
        SurveyFileError: If it cannot be written.
    """
    target = Path(path)
    partial = target.with_name(target.name + ".partial")
    try:
        partial.write_bytes(content)
        os.replace(partial, target)  # noqa: PTH105 - the atomic call, by its own name
    except OSError as error:
        raise SurveyFileError(
            f"{str(path)!r} cannot be written: {error}",
            hint="choose a folder that is there and can be written",
        ) from error
    return target


def _cell(value: object) -> object:
    if isinstance(value, Mapping):
        return json.dumps(dict(cast("Mapping[str, object]", value)), ensure_ascii=False)
    if isinstance(value, tuple | list):
        return json.dumps(list(cast("Sequence[object]", value)), ensure_ascii=False)
    return value


def _of_one_kind(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """Return rows whose columns hold one kind each: text where a column mixes text and numbers."""
    mixed = {
        name
        for name in rows[0]
        if len({isinstance(row[name], str) for row in rows if row[name] is not None}) > 1
    }
    numbers = {
        name
        for name in rows[0]
        if any(isinstance(row[name], float) for row in rows) and name not in mixed
    }
    return [{n: _as_kind(v, n in mixed, n in numbers) for n, v in row.items()} for row in rows]


def _as_kind(value: object, text: bool, number: bool) -> object:  # noqa: FBT001 - a column's kind
    if value is None:
        return None
    if text:
        return value if isinstance(value, str) else f"{value:g}"
    return float(cast("float", value)) if number else value
