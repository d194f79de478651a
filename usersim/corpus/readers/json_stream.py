"""JSON documents read piece by piece, so that a file of gigabytes needs the memory of one item."""

from __future__ import annotations

import importlib
import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import IO, Protocol, TypeVar, cast

from usersim.corpus.readers.archive import Member, guarded
from usersim.corpus.readers.records import TOO_DEEP, Unreadable, too_deep
from usersim.errors import CorpusFormatError

__all__ = ["Event", "beginning", "builder", "events", "items"]

MOST_ITEM = 256 << 20
"""Largest item of a JSON array, and largest text, bytes."""
_T = TypeVar("_T")
Event = tuple[str, str, object]
"""Prefix, event and value, as ijson names them."""


class _Builder(Protocol):
    value: object

    def event(self, event: str, value: object) -> None: ...


class _Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


class _Ijson(Protocol):
    JSONError: type[Exception]
    ObjectBuilder: Callable[[], _Builder]

    def items(self, source: _Readable, prefix: str, *, use_float: bool) -> Iterable[object]: ...

    def parse(self, source: _Readable, *, use_float: bool) -> Iterable[Event]: ...


def _ijson() -> _Ijson:
    # Without type annotations of its own, hence seen through a protocol.
    return cast("_Ijson", importlib.import_module("ijson"))


def builder() -> _Builder:
    """Return what builds a value out of the events of its parts."""
    return _ijson().ObjectBuilder()


def items(member: Member, prefix: str) -> Iterator[object]:
    """Yield the values under a prefix, such as `item` for the elements of an array.

    Raises:
        CorpusFormatError: If the file is no JSON, or ends early.
    """
    with member.open() as file:
        metered = _Metered(file, member.name)
        for item in _sound(_ijson().items(metered, prefix, use_float=True), member.name):
            metered.begin()
            yield Unreadable(b"an item of the file", TOO_DEEP) if too_deep(item) else item


def events(member: Member) -> Iterator[Event]:
    """Yield the events of a whole document.

    Raises:
        CorpusFormatError: If the file is no JSON, or ends early.
    """
    with member.open() as file:
        metered = _Metered(file, member.name)
        for event in _sound(_ijson().parse(metered, use_float=True), member.name):
            metered.begin()
            yield event


class _Metered:
    """A file of which no more than a limit is read for one item.

    Args:
        file: The file.
        name: Its name, for messages.
    """

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file = file
        self._name = name
        self._read = 0

    def begin(self) -> None:
        """Begin the next item."""
        self._read = 0

    def read(self, size: int = -1) -> bytes:
        """Read.

        Raises:
            CorpusFormatError: If it was too much for one item.
        """
        data = self._file.read(size)
        self._read += len(data)
        if self._read > MOST_ITEM:
            raise CorpusFormatError(
                f"{self._name!r} has an item of more than {MOST_ITEM} bytes",
                hint="rows read so far are kept; remove or shorten the item",
            )
        return data


def _sound(found: Iterable[_T], name: str) -> Iterator[_T]:
    try:
        yield from guarded(iter(found), name)
    except (_ijson().JSONError, UnicodeDecodeError) as error:
        raise CorpusFormatError(
            f"{name!r} is not JSON, or was cut off: {error}",
            hint="rows read so far are kept; export or copy the file again",
        ) from error


def beginning(head: bytes) -> dict[str, object]:
    """Return the simple values of a document's beginning by their prefix; lists by their first.

    A key whose value is not simple, or not there yet, is None.

    Example:
        >>> beginning(b'{"name": "Tea", "messages": [{"id": 1, "te')
        {'name': 'Tea', 'messages': None, 'messages.item.id': 1}
    """
    found: dict[str, object] = {}
    body = head.removeprefix(b"\xef\xbb\xbf")
    with suppress(_ijson().JSONError, UnicodeDecodeError):
        for prefix, event, value in _ijson().parse(io.BytesIO(body), use_float=True):
            if event == "map_key":
                name = f"{prefix}.{value}" if prefix else str(value)
                found.setdefault(name, None)
            elif event in {"string", "number", "boolean"} and found.get(prefix) is None:
                found[prefix] = value
    return found
