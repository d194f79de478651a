"""How a store is named: a path, SQLite in memory, a URL of SQLite or PostgreSQL.

Knows URLs, files and what a secret is in them; opens nothing.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, quote_plus, unquote, urlsplit

from sqlalchemy import make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError

from usersim.errors import CorpusError, MissingDependencyError

__all__ = ["FULL", "READ_ONLY", "Address", "beside", "is_store"]

READ_ONLY = "attempt to write a readonly database"
"""Why a store cannot be written, in SQLite's words."""
FULL = "database or disk is full"
"""The other reason, in SQLite's words."""

_SCHEMES = frozenset({"sqlite", "postgresql", "postgres"})
_SQLITE = b"SQLite format 3\x00"
_SMALLEST_LOG = 65_536  # bytes that a store needs beside it to be opened for writing
_SECRETS = ("password", "sslpassword")
"""Parameters of PostgreSQL that are nobody else's business."""
_HIDDEN = "***"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a store is.

    Attributes:
        url: What the driver gets.
        name: The same for people: path or URL, without a password.
        file: File of a SQLite store; None for any other.
        secrets: Texts that no message may hold.
        unwritable: Why it can only be read; empty if it can be written.
    """

    url: URL
    name: str
    file: Path | None
    secrets: tuple[str, ...] = ()
    unwritable: str = ""

    @classmethod
    def of(cls, url_or_path: str | Path) -> Address:
        """Return the address that a caller means.

        Args:
            url_or_path: A path, `":memory:"`, or an SQLAlchemy URL of SQLite or PostgreSQL.

        Raises:
            CorpusError: If it is none of these.
            MissingDependencyError: If PostgreSQL is named and its driver is not installed.
        """
        text = str(url_or_path)
        if isinstance(url_or_path, Path) or "://" not in text:
            return _sqlite(URL.create("sqlite", database=text))
        try:
            url = make_url(text)
        except (ArgumentError, ValueError):  # also of a port that is no number
            raise CorpusError(
                "the store's URL cannot be read",
                hint="write it as postgresql://user@host:5432/database",
            ) from None
        if url.get_backend_name() == "sqlite":
            return _sqlite(url)
        return _postgres(url)

    @property
    def is_sqlite(self) -> bool:
        """True for SQLite, False for PostgreSQL."""
        return self.url.get_backend_name() == "sqlite"

    @property
    def in_memory(self) -> bool:
        """True for SQLite without a file."""
        return self.is_sqlite and self.file is None

    def without_secrets(self, text: str) -> str:
        """Return `text` with every secret hidden."""
        for secret in self.secrets:
            text = text.replace(secret, _HIDDEN)
        return text


def _sqlite(url: URL) -> Address:
    url = url.set(drivername="sqlite+pysqlite")
    if url.database in {None, "", ":memory:"}:
        return Address(url, ":memory:", None)
    name = url.database or ""
    file = Path(unquote(urlsplit(name).path) if name.startswith("file:") else name)
    why = _why_unwritable(url, file)
    return Address(_read_only(file) if why else url, name, file, unwritable=why)


def _postgres(url: URL) -> Address:
    if url.get_backend_name() not in {"postgresql", "postgres"}:
        raise CorpusError(
            f"a store in {url.get_backend_name()!r} is not supported",
            hint="give a path (SQLite) or a URL postgresql://user@host/database",
        )
    if importlib.util.find_spec("psycopg") is None:
        raise MissingDependencyError("psycopg", extra="postgres", why="a store in PostgreSQL")
    url = url.set(drivername="postgresql+psycopg")
    given = [(name, value) for name in _SECRETS for value in _values(url, name)]
    shown = url.update_query_dict({name: _HIDDEN for name, _ in given})
    secrets = [value for _, value in given]
    if url.password:
        secrets.append(str(url.password))
    # As it was given, and as it stands in a URL.
    texts = {form for one in secrets for form in (one, quote(one, safe=""), quote_plus(one))}
    ordered = sorted(texts - {""}, key=len, reverse=True)
    name = shown.render_as_string(hide_password=True).replace(quote(_HIDDEN, safe=""), _HIDDEN)
    return Address(url, name, None, secrets=tuple(ordered))


def _values(url: URL, name: str) -> tuple[str, ...]:
    value = url.query.get(name, ())
    return (value,) if isinstance(value, str) else value


def is_store(source: object) -> bool:
    """Return whether `source` names a database, and not a file of rows.

    Example:
        >>> is_store("postgresql://ada@localhost/people"), is_store("people.jsonl")
        (True, False)
    """
    if not isinstance(source, str | Path):
        return False
    scheme, there, _ = str(source).partition("://")
    if isinstance(source, str) and there:
        return scheme.partition("+")[0] in _SCHEMES
    try:
        with Path(source).open("rb") as file:
            return file.read(len(_SQLITE)) == _SQLITE
    except OSError:  # whoever opens it says why it cannot be read
        return False


def beside(file: Path, ending: str) -> Path:
    """Return the file that SQLite keeps beside a store."""
    return file.with_name(f"{file.name}{ending}")


def _why_unwritable(url: URL, file: Path) -> str:
    if url.query.get("mode") == "ro":
        return READ_ONLY
    if not file.exists():
        return ""
    # A log is kept beside the file, so the folder must be writable too, and have room for one.
    folder = file.resolve().parent
    if not (os.access(file, os.W_OK) and os.access(folder, os.W_OK)):
        return READ_ONLY
    full = shutil.disk_usage(folder).free < _SMALLEST_LOG
    return FULL if full and not beside(file, "-wal").exists() else ""


def _read_only(file: Path) -> URL:
    """Return how to open a store that may not be written.

    One that nobody has open has no log beside it. Such a one is taken as it lies: SQLite could
    not make the shared memory that its log needs.
    """
    more = {"mode": "ro", "uri": "true"}
    if not any(beside(file, ending).exists() for ending in ("-wal", "-shm")):
        more["immutable"] = "1"
    name = f"file:{quote(str(file.resolve()))}"
    return URL.create("sqlite+pysqlite", database=name, query=more)
