"""What browsing gives back: pages and their rows as frozen records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from usersim.corpus.ledger.records import ResponseRecord
from usersim.types import RunItem

__all__ = ["ItemRow", "Page", "PersonRow", "StoreCounts", "StoredAnswer"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """A piece of a list.

    Attributes:
        items: Its rows, in the list's order.
        before: What to give as `before` for the page before this one; None on the first.
        after: What to give as `after` for the next page; None on the last.
    """

    items: tuple[T, ...]
    before: str | int | None
    after: str | int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreCounts:
    """How much a store holds."""

    people: int
    interactions: int
    candidates: int
    runs: int
    answers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonRow:
    """One person in a list.

    Attributes:
        user_id: Who.
        interactions: How many are observed.
        answers: How many were simulated.
    """

    user_id: str
    interactions: int
    answers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemRow:
    """One request of a run, and what came of it.

    Attributes:
        item: What was asked of whom.
        state: `open`, `done` or `failed`.
        answer_id: Row id of the answer; None where there is none.
        record: The answer and its trace, as plain data; empty where there is none.
        error: Class name of a failed item's error; of one that is done, what its answer had to do
            without; empty otherwise.
        message: What happened.
        text: The text that could not be used.
    """

    item: RunItem
    state: str
    answer_id: int | None
    record: Mapping[str, object]
    error: str
    message: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAnswer:
    """An answer with where it comes from.

    Attributes:
        response: The answer.
        run: Name of its run; None if it was asked outside of one.
        item: Its request; None outside of a run.
    """

    response: ResponseRecord
    run: str | None
    item: RunItem | None
