"""What readers hand on: numbered records, some of which could not be read."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

__all__ = ["Records", "Unreadable"]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A piece of a source that is no record.

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
    """

    name: str
    kind: Literal["json", "table"]
    items: Iterator[tuple[int, object]]
    total: int | None = None
