"""The connection to a store: SQLite file, SQLite in memory, or PostgreSQL by URL.

Knows drivers, pragmas, transactions and how a driver's errors read; knows no table.
"""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry, StaticPool
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from usersim.corpus.store.address import Address, beside
from usersim.corpus.store.meanings import BUSY_SECONDS, MALFORMED, meaning
from usersim.errors import ActionError, CorpusError

__all__ = ["IN_CHUNK", "Database", "in_pieces"]

IN_CHUNK = 500
"""Most values in one IN list: far below the limit of every driver."""

_T = TypeVar("_T")

_LOG_SECONDS = 5
_RESERVE = 2_000_000  # bytes that loads leave free
_UNREADABLE = (ActionError, AttributeError, KeyError, OverflowError, TypeError, ValueError)
"""What comes of JSON that is cut, numbers that are words, and the like."""
_SQLITE_PRAGMAS = (
    f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}",
    "PRAGMA foreign_keys = ON",
    "PRAGMA secure_delete = ON",
    "PRAGMA trusted_schema = OFF",  # nothing in a store that came from elsewhere runs functions
    "PRAGMA cell_size_check = ON",  # damage is noticed where it is read
    "PRAGMA synchronous = NORMAL",  # with WAL: no corruption, at worst the last commit is lost
    "PRAGMA wal_autocheckpoint = 8192",  # 32 MiB: pages that a load rewrites are copied once
    "PRAGMA cache_size = -32768",  # 32 MiB: the key index of a million rows stays warm
)


class Database:
    """One store's engine, with transactions that say what went wrong.

    A SQLite file that cannot be written, or whose folder cannot, is opened read-only.

    Args:
        url_or_path: A path, `":memory:"`, or an SQLAlchemy URL of SQLite or PostgreSQL.

    Raises:
        CorpusError: If it is none of these.
        MissingDependencyError: If PostgreSQL is named and its driver is not installed.
    """

    def __init__(self, url_or_path: str | Path) -> None:
        self._address = Address.of(url_or_path)
        # One shared connection holds a store in memory, so its transactions take turns.
        self._turn: AbstractContextManager[object] = (
            threading.RLock() if self._address.in_memory else nullcontext()
        )
        self.engine = self._make()

    def _make(self) -> Engine:
        url = self._address.url
        if not self.is_sqlite:
            return create_engine(url)
        if self._address.in_memory:
            engine = create_engine(
                url, poolclass=StaticPool, connect_args={"check_same_thread": False}
            )
        else:
            engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        event.listen(engine, "handle_error", _explain_unreadable)
        return engine

    @property
    def name(self) -> str:
        """Path or URL, without a password."""
        return self._address.name

    @property
    def is_sqlite(self) -> bool:
        """True for SQLite, False for PostgreSQL."""
        return self._address.is_sqlite

    @property
    def file(self) -> Path | None:
        """File of a SQLite store; None for any other."""
        return self._address.file

    @property
    def read_only(self) -> bool:
        """True if it can only be read."""
        return bool(self._address.unwritable)

    @property
    def mark(self) -> str:
        """Placeholder of a value in the driver's own SQL."""
        return "?" if self.is_sqlite else "%s"

    @contextmanager
    def read(self) -> Generator[Connection, None, None]:
        """Open a transaction that only reads.

        Yields:
            The connection.
        """
        with (
            self._turn,
            self._explained(),
            self.readable_rows(),
            self.engine.connect() as connection,
        ):
            yield connection
            connection.rollback()

    @contextmanager
    def readable_rows(self) -> Generator[None, None, None]:
        """Say of rows that cannot be made into what they stand for that the store is damaged.

        What the store holds was written by us, and checked before; so whatever is wrong with it
        by now happened to the file. `read` includes this.

        Yields:
            Nothing.

        Raises:
            CorpusError: In place of what a damaged row leads to.
        """
        try:
            yield
        except _UNREADABLE as error:
            raise CorpusError(
                f"the store {self.name!r} is damaged: a row cannot be read "
                f"({type(error).__name__}: {error})",
                hint="restore a backup, or load the sources into a new store",
            ) from error

    @contextmanager
    def write(self) -> Generator[Connection, None, None]:
        """Open a transaction that writes; it is kept if the block ends well, or not at all.

        SQLite takes its write lock at the beginning, so two writers wait for each other
        instead of failing in the middle.

        Yields:
            The connection.

        Raises:
            CorpusError: If the store is open read-only.
        """
        self._check_writable()
        with self._turn, self._explained(), self.engine.connect() as raw:
            connection = raw.execution_options(usersim_write=True)
            with connection.begin():
                yield connection

    def _check_writable(self) -> None:
        """Refuse to write into what is open read-only.

        Raises:
            CorpusError: If it is.
        """
        if self.read_only:
            meant = meaning(self.name, OSError(), self._address.unwritable)
            raise meant

    def check_room(self, more: int) -> None:
        """Refuse to add to a store while there is still room to read, place and forget what it has.

        Moving the log into the file may take as much again as the log has.

        Args:
            more: Bytes of what is to be added.

        Raises:
            CorpusError: If the disk is nearly full.
        """
        if self.file is None:
            return
        free = shutil.disk_usage(self.file.resolve().parent).free
        needed = self._log_bytes() + 3 * more + _RESERVE
        if free < needed:
            raise CorpusError(
                f"the store {self.name!r} cannot grow: the disk is nearly full ({free:,} bytes "
                f"free, {needed:,} needed)",
                hint="free some space and repeat the call; rows that were stored are not added "
                "twice",
            )

    def _log_bytes(self) -> int:
        if self.file is None:
            return 0
        log = beside(self.file, "-wal")
        return log.stat().st_size if log.exists() else 0

    @contextmanager
    def remake(self) -> Generator[Connection, None, None]:
        """Open a transaction that may rebuild tables: as `write`, with foreign keys off.

        With them on, dropping a SQLite table deletes what refers to its rows. They are checked
        before the transaction is kept. On PostgreSQL tables are altered, and this is `write`.

        Yields:
            The connection.

        Raises:
            CorpusError: If a row refers to one that is not there.
        """
        if not self.is_sqlite:
            with self.write() as connection:
                yield connection
            return
        self._check_writable()
        with self._turn, self._explained(), self.engine.connect() as raw:
            connection = raw.execution_options(usersim_write=True)
            # The pragma does nothing inside a transaction, so it goes past SQLAlchemy.
            driver = connection.connection.cursor()
            driver.execute("PRAGMA foreign_keys = OFF")
            try:
                with connection.begin():
                    yield connection
                    self._check_references(connection)
            finally:
                driver.execute("PRAGMA foreign_keys = ON")
                driver.close()

    def _check_references(self, connection: Connection) -> None:
        lost = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
        if lost is not None:
            raise CorpusError(
                f"the store {self.name!r} is damaged: a row of {lost[0]!r} refers to a missing row "
                f"of {lost[2]!r}",
                hint="restore a backup, or load the sources into a new store",
            )

    def journal(self) -> None:
        """Set write-ahead logging, so that readers and one writer work at the same time.

        SQLite answers "locked" at once, without its busy timeout, when two processes do this
        to a new file in the same moment; so it is tried again for a while.
        """
        if self.file is None or self.read_only:
            return
        for attempt in Retrying(
            retry=retry_if_exception(_is_locked),
            stop=stop_after_delay(BUSY_SECONDS),
            wait=wait_random_exponential(multiplier=0.01, max=0.5),
            reraise=True,
        ):
            with attempt, self._explained(), self.readable_rows():
                self._set_wal()

    def _set_wal(self) -> None:
        connection = self.engine.raw_connection()
        try:
            mode = connection.cursor().execute("PRAGMA journal_mode").fetchone()
            if mode != ("wal",):
                connection.cursor().execute("PRAGMA journal_mode = WAL")
        finally:
            connection.close()

    def empty_log(self) -> int:
        """Move the write-ahead log into the file and empty it: deleted text leaves it too.

        That waits for a reader in the middle of a transaction only a little: it may be long.

        Returns:
            How many bytes the log still has, because somebody reads; 0 if it is empty.
        """
        if self.file is None:
            return 0
        self._check_writable()
        with self._explained(), self.readable_rows():
            connection = self.engine.raw_connection()
            try:
                cursor = connection.cursor()
                cursor.execute(f"PRAGMA busy_timeout = {_LOG_SECONDS * 1000}")
                busy, *_ = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                cursor.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
            finally:
                connection.close()
        return max(self._log_bytes(), 1) if busy else 0

    def vacuum(self, tables: Sequence[str]) -> None:
        """Rewrite tables without their deleted rows, on PostgreSQL; each is locked meanwhile.

        SQLite overwrites rows when they are deleted.
        """
        if self.is_sqlite:
            return
        with self._explained(), self.engine.connect() as raw:
            connection = raw.execution_options(isolation_level="AUTOCOMMIT")
            for table in tables:
                connection.exec_driver_sql(f"VACUUM (FULL) {table}")

    def close(self) -> None:
        """Give back every connection."""
        self.engine.dispose()

    @contextmanager
    def _explained(self) -> Generator[None, None, None]:
        """Turn a driver's error into one that says what it means for the store."""
        try:
            yield
        except (DBAPIError, sqlite3.Error) as error:
            said = str(error.orig if isinstance(error, DBAPIError) else error)
            meant = meaning(self.name, error, self._address.without_secrets(said))
            if self._address.without_secrets(str(error)) != str(error):
                raise meant from None  # a traceback would show it
            raise meant from error


def in_pieces(items: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """Yield pieces of `items` that fit one IN list."""
    for start in range(0, len(items), IN_CHUNK):
        yield items[start : start + IN_CHUNK]


def _is_locked(error: BaseException) -> bool:
    return isinstance(error, CorpusError) and "database is locked" in str(error)


def _prepare_sqlite(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
    # The driver's own transactions leave DDL outside; `_begin_sqlite` opens them instead.
    connection.isolation_level = None
    for pragma in _SQLITE_PRAGMAS:
        connection.execute(pragma)


def _explain_unreadable(context: ExceptionContext) -> None:
    """Name damage by its name: Python's driver fails to decode what SQLite says of it.

    Raises:
        DatabaseError: In place of the failure to decode.
    """
    if isinstance(context.original_exception, UnicodeDecodeError):
        raise sqlite3.DatabaseError(MALFORMED) from context.original_exception


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("usersim_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
