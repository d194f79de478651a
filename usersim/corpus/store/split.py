"""The split of one person's interactions: by time, whole conversations together.

Pure functions over plain values. They see one person at a time, so nobody else's data can
change a split; they know no store.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from typing import NamedTuple

from usersim.types import Split

__all__ = ["Place", "Row", "place"]


class Row(NamedTuple):
    """What decides an interaction's place.

    Attributes:
        arrival: Grows with every row that the store took in.
        conversation: Rows that share it stay together; None is a conversation of its own.
        moment: Seconds since 1970, UTC; None sorts before every known time.
        order: The source's explicit order; None sorts before every given one.
    """

    arrival: int
    conversation: Hashable | None = None
    moment: float | None = None
    order: float | None = None


class Place(NamedTuple):
    """Where an interaction stands in its person's history, and which part it belongs to."""

    arrival: int
    position: int
    split: Split


def place(rows: Iterable[Row], *, train_share: float = 0.8) -> list[Place]:
    """Return the place of each row, oldest first.

    Rows are ordered by time, then by the source's order, then by arrival. Conversations are
    ordered by their oldest row, and the oldest of them that together come nearest to
    `train_share` of the rows are the train part; both parts get at least one conversation. A
    person with fewer than two conversations is all train.

    Args:
        rows: All rows of one person, in any order.
        train_share: Share of the rows that may be learned from, between 0 and 1.

    Returns:
        One place per row, positions 0, 1, 2, ….

    Example:
        >>> [p.split for p in place(Row(i) for i in range(5))]
        ['train', 'train', 'train', 'train', 'held_out']
        >>> [p.split for p in place([Row(0, "a"), Row(1, "a"), Row(2, "b")])]
        ['train', 'train', 'held_out']
    """
    ordered = sorted(rows, key=_age)
    talks = [_conversation(row) for row in ordered]
    learned = _oldest(Counter(talks), train_share * len(ordered))
    return [
        Place(row.arrival, position, "train" if talk in learned else "held_out")
        for position, (row, talk) in enumerate(zip(ordered, talks, strict=True))
    ]


def _age(row: Row) -> tuple[float, float, int]:
    moment = -math.inf if row.moment is None else row.moment
    order = -math.inf if row.order is None else row.order
    return moment, order, row.arrival


def _conversation(row: Row) -> Hashable:
    return ("alone", row.arrival) if row.conversation is None else ("shared", row.conversation)


def _oldest(sizes: Mapping[Hashable, int], target: float) -> set[Hashable]:
    """Return the oldest conversations whose rows together come nearest to `target`."""
    names = list(sizes)
    if len(names) < 2:  # noqa: PLR2004 - one conversation cannot be split
        return set(names)
    total, best, best_distance = 0, 1, math.inf
    for count, name in enumerate(names[:-1], start=1):
        total += sizes[name]
        distance = abs(total - target)
        if distance < best_distance:  # a tie keeps the smaller train part
            best, best_distance = count, distance
    return set(names[:best])
