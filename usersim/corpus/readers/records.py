"""What readers hand on: numbered records, some of which could not be read."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, cast

if TYPE_CHECKING:
    from usersim.corpus.readers.codebook import Codebook

__all__ = [
    "MOST_CONTEXT",
    "MOST_DEEP",
    "TOO_DEEP",
    "LeftOut",
    "Records",
    "Unreadable",
    "UnusableRow",
    "too_deep",
]

MOST_DEEP = 200
"""Deepest nesting of a record; what computes with it goes down level by level."""
MOST_CONTEXT = 100
"""Messages before a turn that are kept as its context, the newest. Each turn of a conversation
has its own, so without a limit a long one would be stored as often as it has turns."""
TOO_DEEP = f"is nested deeper than {MOST_DEEP} levels"


def too_deep(value: object) -> bool:
    """Tell whether a value is nested deeper than a record may be; without recursion.

    Example:
        >>> too_deep({"context": [{"content": "Tea?"}]})
        False
    """
    level = [value]
    for _ in range(MOST_DEEP + 1):
        level = [inner for one in level for inner in _parts(one)]
        if not level:
            return False
    return True


def _parts(value: object) -> list[object]:
    """Return the parts of a value that have parts themselves."""
    if isinstance(value, dict):
        parts = cast("dict[object, object]", value).values()
    elif isinstance(value, list | tuple):
        parts = cast("list[object]", value)
    else:
        return []
    return [one for one in parts if isinstance(one, dict | list | tuple)]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something in a source that is not an interaction and is counted in the report.

    Attributes:
        reason: What it is, in the plural: "system lines".
        count: How many.
    """

    reason: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class UnusableRow:
    """A row that its reader could not bring into the row format.

    Attributes:
        row: What can be said of it in the row format, to be fixed and loaded again.
        field: What is wrong: a field or a column.
        value: What stands there.
        reason: Why it cannot be used; reads on after "field value".
    """

    row: Mapping[str, object]
    field: str
    value: object
    reason: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A piece of a source that is not a record.

    Attributes:
        raw: The piece as it stands in the source.
        reason: Why it cannot be read.
    """

    raw: bytes
    reason: str

    @property
    def row(self) -> dict[str, object]:
        """The piece as a row that loses nothing: its text, and its bytes if it is not text."""
        text = self.raw.decode("utf-8", "backslashreplace")
        row: dict[str, object] = {"_raw": text}
        if text.encode() != self.raw:
            row["_base64"] = base64.b64encode(self.raw).decode()
        return row


@dataclass(frozen=True, slots=True)
class Records:
    """An opened source.

    Attributes:
        name: What the report calls it.
        kind: `json` records are objects with types, `table` records are cells of text.
        items: (number from 1, record); read once.
        total: How many records there are, where that is known before reading.
        format: What the source is, where that is more than the shape of its records.
        notes: What was settled on the way; called after the last record.
        codebook: What its columns mean, where the source says so itself.
    """

    name: str
    kind: Literal["json", "table"]
    items: Iterator[tuple[int, object]]
    total: int | None = None
    format: str | None = None
    notes: Callable[[], list[str]] = field(default=list[str])
    codebook: Codebook | None = None
