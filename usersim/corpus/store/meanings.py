"""What a driver's error means for the store, and what to do next."""

from __future__ import annotations

from sqlalchemy.exc import IntegrityError, OperationalError

from usersim.errors import CorpusError

__all__ = ["BUSY_SECONDS", "MALFORMED", "meaning"]

BUSY_SECONDS = 60
"""How long a client of a SQLite store waits for another that writes."""
MALFORMED = "database disk image is malformed"
"""What SQLite says of damage."""

# What a driver says, what it means, what to do. First match wins.
_MEANINGS = (
    (
        "file is not a database",
        "is not a database",
        "use the .usersim.db file that `usersim load` creates",
    ),
    (
        MALFORMED,
        "is damaged",
        "restore a backup, or load the sources into a new store",
    ),
    (
        "readonly database",
        "cannot be written: it is read-only",
        "make the file and its folder writable, or copy the store elsewhere",
    ),
    (
        "database or disk is full",
        "cannot grow: the disk is full",
        "free some space and repeat the call; rows that were stored are not added twice",
    ),
    (
        "disk i/o error",
        "cannot be read or written: the disk reports an error or is full",
        "check space and permissions and repeat the call; nothing is added twice",
    ),
    (
        "unable to open database file",
        "cannot be opened",
        "check that the folder exists and that you may write to it",
    ),
    (
        "deadlock detected",
        "was changed by two clients in a deadlock",
        "repeat the call; nothing is added twice",
    ),
    (
        "database is locked",
        f"was locked by another process for more than {BUSY_SECONDS} s",
        "repeat the call when the other process is done; nothing is added twice",
    ),
)


def meaning(name: str, error: Exception, said: str) -> CorpusError:
    """Return an error that says what a driver's error means.

    Args:
        name: Of the store.
        error: As the driver raised it.
        said: Its message, without secrets.
    """
    for words, means, hint in _MEANINGS:
        if words in said.lower():
            return CorpusError(f"the store {name!r} {means} ({said})", hint=hint)
    if isinstance(error, IntegrityError):
        return CorpusError(
            f"the store {name!r} has no such interaction or user: {said}",
            hint="store traces with the corpus that holds their interactions",
        )
    if isinstance(error, OperationalError) and "://" in name:
        return CorpusError(
            f"the server of {name!r} does not answer: {said.strip()}",
            hint="check that it runs, and the host, user and database of the URL",
        )
    return CorpusError(f"the store {name!r} failed: {said}")
