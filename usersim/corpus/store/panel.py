"""Who answered what, counted over the whole store: the table that a panel model is fitted to.

Knows rows and their texts; knows nothing of models. Texts of questions repeat from person to
person, so each distinct one is read once.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import orjson
from sqlalchemy import select

from usersim.corpus.store.database import Database
from usersim.corpus.store.spaces import space_from_json
from usersim.corpus.store.tables import interactions, users
from usersim.errors import CorpusError
from usersim.types import FreeText, Message, Panel, PanelQuestion, Question, cell_value

__all__ = ["read_panel"]

_PAGE = 20_000
_TEXT_CHARS = 1_000
_Row = tuple[Any, ...]


@dataclass
class _Table:
    """The panel while it is being read."""

    weight: str | None
    people: dict[str, int] = field(default_factory=dict[str, int])
    weights: list[float] = field(default_factory=list[float])
    places: dict[str, int] = field(default_factory=dict[str, int])
    questions: list[PanelQuestion] = field(default_factory=list[PanelQuestion])
    seen: dict[tuple[str, str, str | None], int | None] = field(
        default_factory=dict[tuple[str, str, str | None], int | None]
    )
    # Of each answer: person, question and value, as plain numbers, since there may be millions.
    rows: array[int] = field(default_factory=lambda: array("q"))
    columns: array[int] = field(default_factory=lambda: array("q"))
    values: array[float] = field(default_factory=lambda: array("d"))

    def add(self, row: _Row) -> None:
        user_id, context, kind, space, action, metadata = row[1:]
        place = self._place(context, kind, space)
        if place is None:
            return
        person = self.people.get(user_id)
        if person is None:
            person = self.people[user_id] = len(self.people)
            self.weights.append(_weight(user_id, metadata, self.weight))
        spaces = self.questions[place].space
        self.rows.append(person)
        self.columns.append(place)
        self.values.append(cell_value(spaces, spaces.parse(action)))

    def _place(self, context: str, kind: str, space: str | None) -> int | None:
        texts = (context, kind, space)
        if texts not in self.seen:
            self.seen[texts] = self._new(context, kind, space)
        return self.seen[texts]

    def _new(self, context: str, kind: str, space: str | None) -> int | None:
        fields = cast("dict[str, object]", orjson.loads(space)) if space else {}
        made = space_from_json(kind, fields)
        if isinstance(made, FreeText):
            return None
        items = cast("list[dict[str, str]]", orjson.loads(context))
        asked = Question(tuple(Message(item["content"]) for item in items), made)
        if asked.key not in self.places:
            self.places[asked.key] = len(self.questions)
            text = items[-1]["content"] if items else ""
            self.questions.append(PanelQuestion(asked.key, made, text[-_TEXT_CHARS:]))
        return self.places[asked.key]

    def done(self) -> Panel:
        answers = np.full((len(self.people), len(self.questions)), np.nan)
        # Of two answers to one question the later one counts.
        answers[np.asarray(self.rows), np.asarray(self.columns)] = self.values
        return Panel(tuple(self.people), tuple(self.questions), answers, np.array(self.weights))


def read_panel(database: Database, *, weight: str | None = None, shared_by: int = 1) -> Panel:
    """Return everybody's answers of the train split to closed questions and numbers.

    Args:
        database: The store.
        weight: Field of the metadata that holds how many people a person stands for; None counts
            everybody once.
        shared_by: Leave out questions that fewer people answered.

    Raises:
        CorpusError: If a person has no usable weight where one is asked for, or a row is damaged.
    """
    table = _Table(weight)
    with database.readable_rows():
        for row in _rows(database):
            table.add(row)
    panel = table.done()
    enough = np.isfinite(panel.answers).sum(axis=0) >= shared_by
    if enough.all():
        return panel
    kept = tuple(q for q, wanted in zip(panel.questions, enough, strict=True) if wanted)
    return Panel(panel.people, kept, panel.answers[:, enough], panel.weights)


def _rows(database: Database) -> Iterator[_Row]:
    """Yield (id, person, context, kind, space, action, metadata) by row id, page by page."""
    columns = (
        interactions.c.id,
        users.c.user_id,
        interactions.c.context,
        interactions.c.kind,
        interactions.c.space,
        interactions.c.action,
        interactions.c.metadata,
    )
    query = (
        select(*columns)
        .select_from(interactions.join(users))
        .where(interactions.c.split == "train", interactions.c.kind != FreeText().kind)
        .order_by(interactions.c.id)
        .limit(_PAGE)
    )
    after = -1
    while True:
        with database.read() as connection:
            page = connection.execute(query.where(interactions.c.id > after)).all()
        yield from page
        if len(page) < _PAGE:
            return
        after = page[-1][0]


def _weight(user_id: str, metadata: str | None, name: str | None) -> float:
    """Return a person's weight, read from their first row.

    Raises:
        CorpusError: If it is missing or is not a positive number.
    """
    if name is None:
        return 1.0
    fields = cast("dict[str, object]", orjson.loads(metadata)) if metadata else {}
    value = fields.get(name)
    try:
        number = float(cast("str", value))
    except (TypeError, ValueError):
        number = math.nan
    if not 0 < number < math.inf:
        raise CorpusError(
            f"user {user_id!r} has the weight {value!r} in metadata field {name!r}; "
            "a weight must be a positive number",
            hint="correct it in the source and load it again, or remove the weights",
        )
    return number
