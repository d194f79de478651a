"""A checked row on its way into the store, and the count of what happened to the others."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["PreparedQuestion", "PreparedRow", "Tally", "UnreadField"]

_NAMED_FIELDS = 100  # most unknown fields that a report names


class PreparedRow(NamedTuple):
    """A row as the store takes it; JSON is text already."""

    user_id: str
    conversation: str | None
    key: str
    moment: float | None
    order: float | None
    source_id: str | None
    timestamp: str | None
    kind: str
    space: str | None
    action: str
    context: str
    metadata: str | None


class PreparedQuestion(NamedTuple):
    """A row without its action; JSON is text already."""

    user_id: str
    kind: str
    space: str | None
    context: str
    metadata: str | None


class UnreadField(NamedTuple):
    """An optional field that could not be read in some rows, which were kept all the same.

    Attributes:
        rows: How many rows.
        example: The first value.
    """

    rows: int
    example: str


@dataclass(slots=True)
class Tally:
    """What happened to the rows of a load beside being kept or refused."""

    truncated_messages: int = 0
    replaced_characters: int = 0
    unanswered: int = 0
    other_users: int = 0
    unknown_fields: Counter[str] = field(default_factory=Counter[str])
    unread_fields: dict[str, UnreadField] = field(default_factory=dict[str, UnreadField])
    left_out: Counter[str] = field(default_factory=Counter[str])
    conversations: Counter[str] = field(default_factory=Counter[str])

    def unknown(self, name: str) -> None:
        """Count a field that the row format does not know."""
        if name in self.unknown_fields or len(self.unknown_fields) < _NAMED_FIELDS:
            self.unknown_fields[name] += 1
        else:
            self.unknown_fields["(others)"] += 1

    def unread(self, name: str, value: object) -> None:
        """Count an optional field that cannot be read."""
        known = self.unread_fields.get(name)
        self.unread_fields[name] = (
            UnreadField(1, repr(value)) if known is None else known._replace(rows=known.rows + 1)
        )
