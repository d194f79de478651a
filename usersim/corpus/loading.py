"""One load: records to rows to batches to the store, with a report.

Memory is flat: one batch of rows at a time, bounded by count and by size.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import cast

from sqlalchemy import Connection

from usersim.config import CorpusConfig
from usersim.corpus.readers import (
    Codebook,
    LeftOut,
    Made,
    Records,
    RowMaker,
    SourceOptions,
    Unreadable,
    UnusableRow,
    open_source,
    row_maker,
)
from usersim.corpus.readers.frames import is_frame
from usersim.corpus.report import SHOWN_GROUPS, LoadReport, RefusedRow, RefusedRows
from usersim.corpus.store.database import Database
from usersim.corpus.store.prepared_rows import PreparedRow, Tally
from usersim.corpus.store.rows import RowChecker
from usersim.corpus.store.values import RowError
from usersim.corpus.store.writer import RowWriter
from usersim.errors import CorpusFormatError, RefusedRowsError
from usersim.types import DateOrder
from usersim.types.counting import counted
from usersim.views import Progress

__all__ = ["Load", "LoadOptions", "scanned"]

_BATCH_ROWS = 8_000
_BATCH_CHARS = 8_000_000
_DATE_ORDER = (
    "dates like 05/01/2024 are read only if the date order is set: dmy (day first) or "
    "mdy (month first)"
)
_ROW_FIELDS = frozenset({"context", "action"})
_NO_ROWS = "has neither of the fields context and action"
_WIDE = "if it has a row per respondent and a column per question, it needs a codebook"
_DRAFT = f"{_WIDE}: usersim.corpus.draft_codebook(source).codebook is a draft of one, to be checked"
_CLI_DRAFT = f"{_WIDE}: `usersim survey codebook` drafts one, to be checked"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """How a source is to be read; see `Corpus.add`."""

    format: str = "auto"
    user_id: str | None = None
    keep_others: bool = False
    person: str | None = None
    codebook: Codebook | None = None
    date_order: DateOrder | None = None
    strict: bool = False
    progress: Progress | None = None


@dataclass(slots=True)
class _Counts:
    read: int = 0
    kept: int = 0
    present: int = 0
    merged: int = 0
    batch: list[PreparedRow] = field(default_factory=list[PreparedRow])
    chars: int = 0


class Load:
    """One load into one store.

    Args:
        database: The store.
        config: Longest message and action.
        options: How the source is to be read.
    """

    def __init__(self, database: Database, config: CorpusConfig, options: LoadOptions) -> None:
        self._database = database
        self._options = options
        self._tally = Tally()
        self._refused = RefusedRows()
        self._counts = _Counts()
        self._writer = RowWriter(database, train_share=config.train_share)
        self._notes: list[str] = []
        self._checker = RowChecker(
            config,
            user_id=options.user_id,
            keep_others=options.keep_others,
            tally=self._tally,
            date_order=options.date_order,
        )

    @property
    def newest_before(self) -> int:
        """Row id of the newest interaction before the load; rows of the load are above it."""
        return self._writer.newest_before

    def run(self, records: Records) -> LoadReport:
        """Read `records` to their end.

        Args:
            records: An opened source.

        Returns:
            What was kept and what was refused.

        Raises:
            RefusedRowsError: If `strict` and a row was refused; then nothing was kept.
        """
        started = time.perf_counter()
        whole = self._database.write() if self._options.strict else nullcontext(None)
        with _collector_paused(), whole as connection:
            name = self._read(records, connection)
            if self._options.strict and len(self._refused):
                first = "\n".join(map(str, self._refused.groups()[:SHOWN_GROUPS]))
                raise RefusedRowsError(
                    f"{len(self._refused)} of {counted(self._counts.read, 'row')} of "
                    f"{records.name} cannot be used, so nothing was loaded:\n{first}",
                    hint="fix them, or load with strict=False and read report.refused",
                    cli_hint="fix them, or load without --strict; --refused FILE writes them",
                )
        return self._report(records.name, name, time.perf_counter() - started)

    def _read(self, records: Records, connection: Connection | None) -> str:
        first, items = _peeked(records.items)
        name, make = row_maker(
            records.format or self._options.format,
            first,
            codebook=records.codebook or self._options.codebook,
            person=self._options.person,
            user_id=self._options.user_id,
        )
        wide = name == "rows" and first is not None and _ROW_FIELDS.isdisjoint(first)
        if wide and records.kind == "table":
            raise CorpusFormatError(f"{records.name} {_NO_ROWS}", hint=_DRAFT, cli_hint=_CLI_DRAFT)
        done = 0
        for number, record in items:
            done += 1
            self._record(number, record, make)
            counts = self._counts
            if len(counts.batch) >= _BATCH_ROWS or counts.chars >= _BATCH_CHARS:
                self._flush(connection)
            if done % _BATCH_ROWS == 0:
                self._tell(done, records.total)
        self._made(done, make.finish())
        self._flush(connection)
        self._tell(done, records.total)
        self._notes = [*records.notes(), *make.notes()]
        if wide and self._counts.read == len(self._refused):
            self._notes.append(f"{records.name} {_NO_ROWS}: {_WIDE}")
        if "timestamp" in self._tally.unread_fields and self._options.date_order is None:
            self._notes.append(_DATE_ORDER)
        return name

    def _record(self, number: int, record: object, make: RowMaker) -> None:
        if isinstance(record, LeftOut):
            self._tally.left_out[record.reason] += record.count
            return
        if not isinstance(record, dict):
            self._refuse_piece(number, record)
            return
        fields = cast("dict[str, object]", record)
        if "context" in fields and "action" in fields:  # a row already; refusals of any format too
            self._row(number, fields)
            return
        try:
            self._made(number, make(fields))
        except RowError as error:  # no rows can be made of the record
            self._refuse(number, error, fields)

    def _made(self, number: int, rows: Iterator[Made]) -> None:
        for row in rows:
            if row is None:
                self._tally.unanswered += 1
            elif isinstance(row, LeftOut):
                self._tally.left_out[row.reason] += row.count
            elif isinstance(row, UnusableRow):
                self._refuse(number, RowError(row.field, row.value, row.reason), row.row)
            else:
                self._row(number, row)

    def _row(self, number: int, row: Mapping[str, object]) -> None:
        try:
            prepared = self._checker.check(row)
        except RowError as error:
            self._refuse(number, error, row)
            return
        counts = self._counts
        counts.read += 1
        if prepared is not None:
            counts.batch.append(prepared)
            counts.chars += len(prepared.context)

    def _refuse_piece(self, number: int, record: object) -> None:
        if isinstance(record, Unreadable):
            self._refuse(number, RowError("", record.row["_raw"], record.reason), record.row)
            return
        reason = f"is not an object but a {type(record).__name__}"
        self._refuse(number, RowError("", record, reason), {"_raw": record})

    def _refuse(self, number: int, error: RowError, row: Mapping[str, object]) -> None:
        self._counts.read += 1
        self._refused.add(
            RefusedRow(
                number=number, field=error.field, value=error.value, reason=error.reason, row=row
            )
        )

    def _flush(self, connection: Connection | None) -> None:
        counts = self._counts
        if not counts.batch:
            return
        self._database.check_room(counts.chars)
        if connection is not None:
            result = self._writer.write(connection, counts.batch)
        else:
            with self._database.write() as own:
                result = self._writer.write(own, counts.batch)
        kept, present, merged = result
        counts.kept += kept
        counts.present += present
        counts.merged += merged
        counts.batch = []
        counts.chars = 0

    def _tell(self, done: int, total: int | None) -> None:
        if self._options.progress is not None:
            self._options.progress("read rows", done, total)

    def _report(self, source: str, name: str, seconds: float) -> LoadReport:
        counts, tally = self._counts, self._tally
        return LoadReport(
            source=source,
            format=name,
            rows_read=counts.read,
            kept=counts.kept,
            already_present=counts.present,
            merged=counts.merged,
            refused=self._refused,
            other_users=tally.other_users,
            unanswered=tally.unanswered,
            truncated_messages=tally.truncated_messages,
            replaced_characters=tally.replaced_characters,
            left_out=dict(tally.left_out),
            unknown_fields=dict(tally.unknown_fields),
            unread_fields=dict(tally.unread_fields),
            notes=tuple(self._notes),
            conversations=dict(tally.conversations),
            seconds=seconds,
        )


@contextmanager
def _collector_paused() -> Generator[None, None, None]:
    """Pause the cyclic collector: a load makes millions of objects and no cycles among them.

    Searching them for cycles cost a third of a load's time. The collector runs on afterwards
    if it ran before.
    """
    was_running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_running:
            gc.enable()


def _peeked(
    items: Iterator[tuple[int, object]],
) -> tuple[Mapping[str, object] | None, Iterator[tuple[int, object]]]:
    """Return the first object among the first records, and all records."""
    seen: list[tuple[int, object]] = []
    for item in items:
        seen.append(item)
        if isinstance(item[1], dict):
            return cast("dict[str, object]", item[1]), chain(seen, items)
        if len(seen) >= _BATCH_ROWS:
            break
    return None, chain(seen, items)


def scanned(source: object, how: SourceOptions) -> Codebook | None:
    """Return the codebook, after a look over a source that can be read twice where it needs one."""
    book = how.codebook
    twice = isinstance(source, str | Path | Sequence) or is_frame(source)
    if book is None or not book.needs_scan or not twice:
        return book
    records = open_source(cast("object", source), how)
    if records.codebook is not None or records.format is not None:
        return book
    return book.scanned(record for _, record in records.items)
