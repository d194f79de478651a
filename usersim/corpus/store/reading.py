"""Reading interactions back: queries, and rows as the types that the stages know.

Long reads go page by page, each page its own short transaction, so a caller may write between
two items and no reader holds the write-ahead log back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar, cast

import orjson
from sqlalchemy import Select, func, or_, select

from usersim.corpus.store.database import Database, in_pieces
from usersim.corpus.store.owners import still_there, user_row_id
from usersim.corpus.store.rows import UNREAD
from usersim.corpus.store.spaces import space_from_json
from usersim.corpus.store.tables import conversations, interactions, users
from usersim.errors import CorpusError, NotStoredError, UserForgottenError
from usersim.types import ActionSpace, ActionValue, FreeText, Interaction, Message, Role, Split

__all__ = ["InteractionReader"]

_PAGE = 500
_READING = "their interactions were being read"
_READ_AGAIN = "discard their rows, and read again without them"
_HEX_END = "g"  # sorts after every hexadecimal digit

_COLUMNS = (
    users.c.user_id,
    interactions.c.key,
    interactions.c.position,
    interactions.c.context,
    interactions.c.action,
    interactions.c.kind,
    interactions.c.space,
    conversations.c.name,
    interactions.c.timestamp,
    interactions.c.split,
    interactions.c.metadata,
    interactions.c.id,
    interactions.c.source_order,
    interactions.c.source_id,
)

_T = TypeVar("_T")
_Row = tuple[Any, ...]  # the columns of `_COLUMNS`


def _select() -> Select[*tuple[Any, ...]]:
    joined = interactions.join(users).outerjoin(
        conversations, interactions.c.conversation_id == conversations.c.id
    )
    return select(*_COLUMNS).select_from(joined)


class InteractionReader:
    """Reads interactions of one store.

    Args:
        database: The store.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def people(self) -> list[tuple[str, int]]:
        """Return every user with their row id, sorted by code point whatever the collation."""
        with self._database.read() as connection:
            found = connection.execute(select(users.c.user_id, users.c.id))
            return sorted((name, owner) for name, owner in found)

    def known(self, user_id: str) -> bool:
        """Return whether the store holds a user."""
        with self._database.read() as connection:
            query = select(users.c.id).where(users.c.user_id == user_id)
            return connection.scalar(query) is not None

    def stream(
        self, user_ids: Sequence[str] | None, *, split: Split | None = None
    ) -> Iterator[Interaction]:
        """Yield interactions by user and position."""
        yield from self._pages(user_ids, _interaction, split=split)

    def rows(self, user_ids: Sequence[str] | None) -> Iterator[dict[str, object]]:
        """Yield interactions in the row format; loading them gives the same identities."""
        yield from self._pages(user_ids, _exported, split=None)

    def keys(self, user_ids: Sequence[str] | None) -> Iterator[Sequence[str]]:
        """Yield the keys of each person's interactions, by user.

        Raises:
            UserForgottenError: If somebody was forgotten while they were read.
        """
        for name, owner in self._chosen(user_ids):
            query = select(interactions.c.key).where(interactions.c.user_id == owner)
            with self._database.read() as connection:
                keys = connection.scalars(query).all()
                there = still_there(connection, owner)
            if there:
                yield keys
            elif user_ids is not None:
                raise UserForgottenError([name], _READING, hint=_READ_AGAIN)

    def one(self, key: str) -> Interaction:
        """Return the interaction whose key is or begins with `key`.

        Raises:
            NotStoredError: If there is none.
            CorpusError: If there is more than one.
        """
        column = interactions.c.key
        query = _select().where(column >= key, column < key + _HEX_END).order_by(column).limit(3)
        with self._database.read() as connection:
            found: Sequence[_Row] = connection.execute(query).all()
            made = _interaction(found[0]) if key and found else None
        if made is None:
            raise NotStoredError(
                f"no interaction has a key that begins with {key!r}",
                hint="`usersim show USER` lists the keys of a user",
            )
        if len(found) > 1 and found[0][1] != key:
            some = ", ".join(repr(row[1]) for row in found)
            raise CorpusError(
                f"{key!r} matches several keys ({some}, …)", hint="use more characters"
            )
        return made

    def history(self, user_id: str, *, before: int | None, limit: int | None) -> list[Interaction]:
        """Return the newest `limit` interactions of the train split, oldest first.

        Args:
            user_id: Whose.
            before: Only positions below it.
            limit: How many at the most; None for all.
        """
        with self._database.read() as connection:
            owner = user_row_id(connection, user_id)
            query = _select().where(
                interactions.c.user_id == owner, interactions.c.split == "train"
            )
            if before is not None:
                query = query.where(interactions.c.position < before)
            newest = query.order_by(interactions.c.position.desc()).limit(limit)
            return [_interaction(row) for row in reversed(connection.execute(newest).all())]

    def ordered(self, user_ids: Sequence[str] | None) -> set[str]:
        """Return the users whose interactions stand in an order that the source knows.

        Args:
            user_ids: Only of these; None looks at everybody.
        """
        talks = func.count(interactions.c.conversation_id)
        query = (
            select(users.c.user_id)
            .join(interactions, interactions.c.user_id == users.c.id)
            .group_by(users.c.user_id)
            .having(
                or_(
                    func.count(interactions.c.moment.distinct()) > 1,
                    func.count(interactions.c.source_order.distinct()) > 1,
                    talks > func.count(interactions.c.conversation_id.distinct()),
                )
            )
        )
        if user_ids is None:
            with self._database.read() as connection:
                return set(connection.scalars(query))
        found: set[str] = set()
        for part in in_pieces(sorted(set(user_ids))):
            with self._database.read() as connection:
                found.update(connection.scalars(query.where(users.c.user_id.in_(part))))
        return found

    def by_row_id(self, ids: Sequence[int]) -> list[Interaction]:
        """Return the interactions of these row ids, oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(_select().where(interactions.c.id.in_(ids))).all()
            return sorted(map(_interaction, rows), key=lambda item: item.position)

    def _pages(
        self, user_ids: Sequence[str] | None, make: Callable[[_Row], _T], *, split: Split | None
    ) -> Iterator[_T]:
        for name, owner in self._chosen(user_ids):
            yield from self._user_pages(name, owner, make, split)

    def _chosen(self, user_ids: Sequence[str] | None) -> Iterator[tuple[str, int]]:
        """Yield the people to be read and their row ids, by user.

        Of everybody, whoever is forgotten before their turn has no rows, as for a later reader.
        """
        if user_ids is None:
            yield from self.people()
            return
        for name in sorted(set(user_ids)):
            with self._database.read() as connection:
                owner = user_row_id(connection, name)
            yield name, owner

    def _user_pages(
        self, name: str, owner: int, make: Callable[[_Row], _T], split: Split | None
    ) -> Iterator[_T]:
        """Yield what is made of the rows of one person.

        Raises:
            UserForgottenError: If the person was forgotten after the first rows were read.
        """
        after = -1
        query = _select().where(interactions.c.user_id == owner)
        if split is not None:
            query = query.where(interactions.c.split == split)
        while True:
            page = query.where(interactions.c.position > after)
            with self._database.read() as connection:
                rows = connection.execute(page.order_by(interactions.c.position).limit(_PAGE)).all()
                made = [make(row) for row in rows]
                # After the rows: who is there now was there when they were read.
                complete = len(rows) == _PAGE or still_there(connection, owner)
            if not complete and after >= 0:
                raise UserForgottenError([name], _READING, hint=_READ_AGAIN)
            yield from made
            if len(rows) < _PAGE:
                return
            after = rows[-1][2]


@lru_cache(maxsize=4096)
def _space(kind: str, text: str | None) -> ActionSpace:
    return space_from_json(kind, _object(text)) if text else space_from_json(kind, {})


def _object(text: str | None) -> dict[str, object]:
    return cast("dict[str, object]", orjson.loads(text)) if text else {}


def _messages(text: str) -> list[Mapping[str, str | None]]:
    return cast("list[Mapping[str, str | None]]", orjson.loads(text))


def _value(space: ActionSpace, text: str) -> ActionValue:
    return text if isinstance(space, FreeText) else space.parse(text)


def _interaction(row: _Row) -> Interaction:
    user_id, key, position, context, action, kind, space_text, talk, timestamp, split = row[:10]
    space = _space(kind, space_text)
    return Interaction(
        key=key,
        user_id=user_id,
        position=position,
        context=tuple(
            Message(str(item["content"]), cast("Role", item["role"]), item["name"])
            for item in _messages(context)
        ),
        action=_value(space, action),
        space=space,
        conversation=talk or key,
        timestamp=timestamp,
        split=cast("Split", split),
        metadata=_object(row[10]),
    )


def _exported(row: _Row) -> dict[str, object]:
    user_id, _, _, context, action, kind, space_text, talk, timestamp = row[:9]
    value = _value(_space(kind, space_text), action)
    metadata = _object(row[10])
    unread = cast("dict[str, object]", metadata.pop(UNREAD, {}))
    fields: dict[str, object] = {
        "user_id": user_id,
        "timestamp": timestamp,
        "order": row[12],
        "id": row[13],
        "conversation_id": talk,
        "context": _messages(context),
        "action": list(value) if isinstance(value, tuple) else value,
        "action_type": kind,
        **_object(space_text),
        "metadata": metadata,
        **unread,
    }
    return {name: item for name, item in fields.items() if item is not None and item != {}}
