"""Rows of plain cells as a Parquet file. Knows pyarrow, and imports it when it is needed."""

from __future__ import annotations

import errno
import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Protocol, cast

from usersim.errors import MissingDependencyError

__all__ = ["parquet_rows", "put_parquet", "require_arrow"]


class _Schema(Protocol):
    @property
    def metadata(self) -> Mapping[bytes, bytes] | None: ...


class _Table(Protocol):
    @property
    def schema(self) -> _Schema: ...
    def replace_schema_metadata(self, metadata: Mapping[bytes, bytes]) -> _Table: ...


class _Tables(Protocol):
    def from_pylist(self, rows: Sequence[Mapping[str, object]]) -> _Table: ...


class _Metadata(Protocol):
    num_rows: int


class _Parquet(Protocol):
    """`pyarrow.parquet`: the part of it used here, typed."""

    def write_table(self, table: _Table, where: IO[bytes]) -> None: ...
    def read_metadata(self, where: str) -> _Metadata: ...


def require_arrow() -> tuple[_Tables, _Parquet]:
    """Return pyarrow's tables and its Parquet module.

    Raises:
        MissingDependencyError: If it is not installed.
    """
    try:
        arrow = importlib.import_module("pyarrow")
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise MissingDependencyError("pyarrow", extra="parquet", why="a Parquet file") from None
    return cast("_Tables", arrow.Table), cast("_Parquet", parquet)


def put_parquet(half: Path, rows: Sequence[Mapping[str, object]], mark: bytes | None) -> None:
    """Write rows into a file; `mark` goes into its metadata, under `usersim`."""
    tables, parquet = require_arrow()
    table = tables.from_pylist(rows)
    if mark is not None:
        held = dict(table.schema.metadata or {})
        table = table.replace_schema_metadata({**held, b"usersim": mark})
    with half.open("wb") as out:
        parquet.write_table(table, out)


def parquet_rows(half: Path) -> int:
    """Return how many rows a Parquet file says it has; that stands at its end, so it is whole.

    Raises:
        OSError: If it cannot be read.
    """
    _, parquet = require_arrow()
    try:
        return parquet.read_metadata(str(half)).num_rows
    except ValueError as error:  # pyarrow's own errors are ValueErrors
        raise OSError(errno.EIO, f"it cannot be read back: {error}") from error
