"""The requests of a run, read once into a temporary file: checked, counted, hashed.

A request is a row of the row format without its action. What is asked may come from a generator
that cannot be read twice, and a run is told by what it asks; so the list is known before the
store is touched. Memory is flat: beyond 64 KiB the file is on disk.
"""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import cast

import orjson

from usersim.config import CorpusConfig
from usersim.corpus.readers import LeftOut, Unreadable, open_source
from usersim.corpus.report import RefusedRow, RefusedRows
from usersim.corpus.store.prepared_rows import PreparedQuestion, Tally
from usersim.corpus.store.rows import RowChecker
from usersim.corpus.store.spaces import space_from_json
from usersim.corpus.store.values import RowError, dump_json
from usersim.errors import CorpusError
from usersim.types import Message, Question, Role, RunItem, RunRequest

__all__ = ["AskedRow", "Requests", "item_of", "read_requests", "request_of"]

_IN_MEMORY = 1 << 16
_ROW = "row"
"""Field of a stored request."""
_PEOPLE = 10_000


@dataclass(frozen=True, slots=True)
class AskedRow:
    """A row with what the row format cannot say.

    Attributes:
        row: The row, not checked yet.
        before: Position of the observed interaction that is asked again.
    """

    row: object
    before: int | None


class Requests:
    """Checked requests, in order; made by `read_requests`.

    Attributes:
        refused: Rows that cannot be asked, with the reasons.
        tally: Rows of other people, cut messages and the like.

    Example:
        >>> from usersim import Corpus
        >>> with Corpus.open(":memory:") as corpus:
        ...     report = corpus.add([{"user_id": "ada", "context": "Tea?", "action": "Yes."}])
        ...     rows = [{"user_id": "ada", "context": "Milk?"}, {"user_id": "eve"}]
        ...     asked = corpus.requests(rows)
        >>> len(asked), [one.user_id for one in asked], len(asked.refused)
        (1, ['ada'], 1)
    """

    def __init__(self) -> None:
        self.refused = RefusedRows()
        self.tally = Tally()
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - lives as long as the requests
        self._hash = sha256()
        self._count = 0
        weakref.finalize(self, self._file.close)

    def add(self, asked: Mapping[str, object], row: int) -> None:
        """Append a request in the form in which the store keeps it.

        Its row is kept beside it where rows were left out before, and is no part of the digest:
        the same questions are the same run, whatever stood between them.

        Args:
            asked: The request as plain data.
            row: Its row in the source, from 1.

        Raises:
            CorpusError: If the temporary file cannot grow.
        """
        line = dump_json(asked)
        kept = line if row == self._count + 1 else dump_json({**asked, _ROW: row})
        try:
            self._file.write(kept + b"\n")
        except OSError as error:
            raise CorpusError(
                f"the requests cannot be written to a temporary file: {error}",
                hint="free some space, or set TMPDIR to a folder on another disk",
            ) from error
        self._hash.update(line + b"\n")
        self._count += 1

    @property
    def digest(self) -> str:
        """SHA-256 over the requests and their order."""
        return self._hash.hexdigest()

    def __len__(self) -> int:
        """Return how many there are."""
        return self._count

    def lines(self) -> Iterator[bytes]:
        """Yield the requests as the store keeps them; one reader at a time.

        Yields:
            Canonical JSON.
        """
        self._file.seek(0)
        for line in self._file:
            yield line[:-1]

    def __iter__(self) -> Iterator[RunRequest]:
        """Iterate over the requests; one reader at a time.

        Yields:
            Each of them.
        """
        for line in self.lines():
            yield request_of(line)


def read_requests(
    source: object,
    config: CorpusConfig,
    *,
    user_id: str | None,
    known: Callable[[str], bool],
) -> Requests:
    """Read requests to their end; those that cannot be asked are refused one by one.

    Args:
        source: A path (as `Corpus.add` reads), or an iterable of rows and `AskedRow`.
        config: Longest message.
        user_id: Only this person's; also whose the rows are that name nobody.
        known: Whether the corpus holds a person.

    Returns:
        The requests.
    """
    requests = Requests()
    known = _remembered(known)
    checker = RowChecker(config, user_id=user_id, tally=requests.tally)
    records = open_source(source)
    for number, record in records.items:
        if isinstance(record, LeftOut):  # a blank row of a spreadsheet
            continue
        asked = record if isinstance(record, AskedRow) else AskedRow(record, None)
        row = asked.row
        try:
            prepared = _prepared(row, checker, known, table=records.kind == "table")
        except RowError as error:
            requests.refused.add(_refused(number, error, row))
            continue
        if prepared is not None:
            requests.add(_fields(prepared, asked.before), number)
    return requests


def _remembered(known: Callable[[str], bool]) -> Callable[[str], bool]:
    """Return `known` with a bounded memory: rows mostly come person by person."""
    return lru_cache(maxsize=_PEOPLE)(known)


def _prepared(
    row: object, checker: RowChecker, known: Callable[[str], bool], *, table: bool
) -> PreparedQuestion | None:
    """Return a row checked; None if it is another person's.

    Raises:
        RowError: If it cannot be asked.
    """
    if isinstance(row, Unreadable):
        raise RowError("", row.row["_raw"], row.reason)
    if not isinstance(row, Mapping):
        raise RowError("", row, f"is not an object but a {type(row).__name__}")
    fields = cast("Mapping[str, object]", row)
    if table:
        fields = {name: value for name, value in fields.items() if value != ""}
    prepared = checker.question(fields)
    if prepared is not None and not known(prepared.user_id):
        raise RowError("user_id", prepared.user_id, "is not in the corpus")
    return prepared


def _refused(number: int, error: RowError, row: object) -> RefusedRow:
    if isinstance(row, Unreadable):
        whole: Mapping[str, object] = row.row
    elif isinstance(row, Mapping):
        whole = cast("Mapping[str, object]", row)
    else:
        whole = {"_raw": row}
    return RefusedRow(
        number=number, field=error.field, value=error.value, reason=error.reason, row=whole
    )


def _fields(prepared: PreparedQuestion, before: int | None) -> dict[str, object]:
    fields: dict[str, object] = {
        "user_id": prepared.user_id,
        "context": orjson.loads(prepared.context),
        "kind": prepared.kind,
    }
    if prepared.space is not None:
        fields["space"] = orjson.loads(prepared.space)
    if before is not None:
        fields["before"] = before
    if prepared.metadata is not None:
        fields["metadata"] = orjson.loads(prepared.metadata)
    return fields


def item_of(place: int, line: bytes | str) -> RunItem:
    """Return a stored request with its place and its row; without one, none was left out before."""
    fields = cast("dict[str, object]", orjson.loads(line))
    row = cast("int", fields.get(_ROW, place + 1))
    return RunItem(place=place, row=row, request=_request(fields))


def request_of(line: bytes | str) -> RunRequest:
    """Return the request that the store keeps as `line`."""
    return _request(cast("dict[str, object]", orjson.loads(line)))


def _request(fields: Mapping[str, object]) -> RunRequest:
    messages = cast("list[dict[str, str | None]]", fields["context"])
    context = tuple(
        Message(str(one["content"]), cast("Role", one["role"]), one["name"]) for one in messages
    )
    space = space_from_json(
        str(fields["kind"]), cast("Mapping[str, object]", fields.get("space", {}))
    )
    return RunRequest(
        user_id=str(fields["user_id"]),
        question=Question(context, space),
        before=cast("int | None", fields.get("before")),
        metadata=cast("Mapping[str, object]", fields.get("metadata", {})),
    )
