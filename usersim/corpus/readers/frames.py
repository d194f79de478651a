"""Tables in memory and on disk: Parquet, pandas, polars. Their libraries are loaded on use."""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol, cast

from usersim.corpus.readers.records import Records
from usersim.errors import CorpusFormatError, MissingDependencyError, boundary

__all__ = ["is_frame", "read_frame", "read_parquet"]

_BATCH = 2_000


class _ParquetBatch(Protocol):
    def to_pylist(self) -> list[dict[str, object]]: ...


class _ParquetMetadata(Protocol):
    num_rows: int


class _ParquetFile(Protocol):
    metadata: _ParquetMetadata

    def iter_batches(self, batch_size: int) -> Iterable[_ParquetBatch]: ...

    def close(self) -> None: ...


class _PandasFrame(Protocol):
    iloc: _PandasRows

    def to_dict(self, orient: str) -> list[dict[object, object]]: ...


class _PandasRows(Protocol):
    def __getitem__(self, rows: slice) -> _PandasFrame: ...


class _PolarsFrame(Protocol):
    def iter_rows(self, *, named: bool, buffer_size: int) -> Iterator[dict[str, object]]: ...


def is_frame(source: object) -> bool:
    """Return whether `source` is a pandas or polars frame, without importing either."""
    kind = type(source)
    package = kind.__module__.partition(".")[0]
    return kind.__name__ == "DataFrame" and package in {"pandas", "polars"}


def read_frame(source: object) -> Records:
    """Open a pandas or polars frame."""
    package = type(source).__module__.partition(".")[0]
    rows = len(cast("list[object]", source))
    if package == "pandas":
        items = _pandas_rows(cast("_PandasFrame", source), rows)
    else:
        frame = cast("_PolarsFrame", source)
        items = (_plain(row) for row in frame.iter_rows(named=True, buffer_size=_BATCH))
    return Records(f"a {package} frame", "json", enumerate(items, start=1), rows)


def _pandas_rows(frame: _PandasFrame, rows: int) -> Iterator[dict[str, object]]:
    for start in range(0, rows, _BATCH):
        for row in frame.iloc[start : start + _BATCH].to_dict("records"):
            yield _plain(row)


def read_parquet(path: Path) -> Records:
    """Open a Parquet file; it is read in batches.

    Raises:
        MissingDependencyError: If pyarrow is not installed.
    """
    try:
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise MissingDependencyError("pyarrow", extra="parquet", why="a Parquet file") from None
    with boundary(CorpusFormatError, f"reading {str(path)!r} as Parquet"):
        file = cast("_ParquetFile", parquet.ParquetFile(str(path)))
    items = enumerate(_parquet_rows(file, path), start=1)
    return Records(str(path), "json", items, file.metadata.num_rows)


def _parquet_rows(file: _ParquetFile, path: Path) -> Iterator[dict[str, object]]:
    batches = iter(file.iter_batches(batch_size=_BATCH))
    try:
        while True:
            with boundary(CorpusFormatError, f"reading {str(path)!r} as Parquet"):
                batch = next(batches, None)
                rows = None if batch is None else batch.to_pylist()
            if rows is None:
                return
            for row in rows:
                yield _plain(row)
    finally:
        file.close()


def _plain(row: dict[object, object] | dict[str, object]) -> dict[str, object]:
    return {str(name): _value(value) for name, value in row.items()}


def _value(value: object) -> object:
    """Return a plain value: numpy's as Python's, what stands for "missing" as None."""
    if isinstance(value, float):
        return None if math.isnan(value) else float(value)
    if isinstance(value, dict):
        return {str(k): _value(v) for k, v in cast("dict[object, object]", value).items()}
    if isinstance(value, list | tuple):
        return [_value(item) for item in cast("list[object]", value)]
    to_list = getattr(value, "tolist", None)  # numpy arrays and scalars
    if callable(to_list):
        return _value(to_list())
    return None if type(value).__name__ in {"NAType", "NaTType"} else value
