"""What a person says in other people's rows: found, counted, and taken out where that is asked.

In a conversation of several, one person's words are the context of another's. Found is whoever
speaks under the person's id; texts that merely talk of them are not searched.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import orjson
from sqlalchemy import Connection, delete, func, select, update
from sqlalchemy.sql import ColumnElement

from usersim.corpus.store.database import Database
from usersim.corpus.store.rows import UNREAD
from usersim.corpus.store.search import reindex
from usersim.corpus.store.tables import (
    adapter_users,
    adapters,
    candidates,
    conversations,
    interactions,
    responses,
    run_items,
    selections,
    users,
)
from usersim.corpus.store.values import dump_json, interaction_key
from usersim.terminal import visible

__all__ = ["REMOVED", "Mentions", "find_mentions", "redact_mentions"]

REMOVED = "[removed]"
"""What stands in place of the person's name and words."""
_PAGE = 500
_KEY = re.compile(r"[0-9a-f]{40}")

_Turns = list[dict[str, str | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mentions:
    """Rows of other people in which a person speaks.

    Attributes:
        interactions: Interactions.
        run_items: Requests of runs.
        adapters: Adapters of those whose interactions these are: they may have learned from them.
        redacted: Whether name and words were taken out.
        traces: Candidates for redacted interactions, deleted.
        answers: Answers made with redacted rows, deleted; their requests are asked again when
            the run is resumed.
    """

    interactions: int = 0
    run_items: int = 0
    adapters: tuple[str, ...] = ()
    redacted: bool = False
    traces: int = 0
    answers: int = 0

    def __str__(self) -> str:
        """Say it in lines; empty if there are none."""
        if not (self.interactions or self.run_items):
            return ""
        done = "redacted" if self.redacted else "kept; redact with --mentions or mentions=True"
        counts = f"interactions: {self.interactions}, requests of runs: {self.run_items}"
        lines = [f"rows of other people in which they speak ({done}): {counts}"]
        if self.redacted:
            lines.append(f"deleted with them: traces: {self.traces}, answers: {self.answers}")
        if self.adapters:
            lines.append(
                f"adapters that may have learned from them: {visible(', '.join(self.adapters))}"
            )
        return "\n".join(lines)


def find_mentions(database: Database, user_id: str) -> Mentions:
    """Count the rows of other people in which a person speaks.

    Args:
        database: The store.
        user_id: The person.
    """
    with database.read() as connection:
        in_rows = _holding(database, interactions.c.context, user_id)
        in_items = _holding(database, run_items.c.request, user_id)
        counts = [
            connection.scalar(
                select(func.count())
                .select_from(table.join(users))
                .where(found, users.c.user_id != user_id)
            )
            for table, found in ((interactions, in_rows), (run_items, in_items))
        ]
        theirs = select(interactions.c.user_id).where(in_rows)
        learned = (
            select(adapters.c.name)
            .join_from(adapters, adapter_users, adapter_users.c.adapter_id == adapters.c.id)
            .join(users, users.c.id == adapter_users.c.user_id)
            .where(adapter_users.c.user_id.in_(theirs), users.c.user_id != user_id)
            .order_by(adapters.c.id)
        )
        names = connection.scalars(learned).all()
    return Mentions(
        interactions=counts[0] or 0,
        run_items=counts[1] or 0,
        adapters=tuple(dict.fromkeys(names)),
    )


def redact_mentions(database: Database, user_id: str) -> Mentions:
    """Take a person's name and words out of other people's rows, and delete what was made of them.

    A redacted interaction has another content, and so another key. Small transactions; repeated
    after an interruption, it resumes.

    Args:
        database: The store.
        user_id: The person.

    Returns:
        What was redacted.
    """
    found = find_mentions(database, user_id)
    traces = 0
    old_keys: set[str] = set()
    for ids in _pages(database, user_id):
        with database.write() as connection, database.readable_rows():
            keys, deleted = _redact_rows(connection, database, ids, user_id)
        old_keys |= keys
        traces += deleted
    answers = _delete_answers(database, old_keys)
    answers += _redact_items(database, user_id)
    return replace(found, redacted=True, traces=traces, answers=answers)


def _holding(database: Database, column: ColumnElement[str], user_id: str) -> ColumnElement[bool]:
    """Return the condition that a message of canonical JSON is spoken by a person."""
    position = func.instr if database.is_sqlite else func.strpos
    return position(column, f'"name":{orjson.dumps(user_id).decode()}') > 0


def _pages(database: Database, user_id: str) -> Iterator[Sequence[int]]:
    """Yield row ids of other people's interactions in which a person speaks."""
    after = 0
    table = interactions.c
    query = (
        select(table.id)
        .join_from(interactions, users)
        .where(_holding(database, table.context, user_id), users.c.user_id != user_id)
        .order_by(table.id)
        .limit(_PAGE)
    )
    while True:
        with database.read() as connection:
            ids = connection.scalars(query.where(table.id > after)).all()
        if not ids:
            return
        yield ids
        after = ids[-1]


def _redact_rows(
    connection: Connection, database: Database, ids: Sequence[int], user_id: str
) -> tuple[set[str], int]:
    """Redact interactions; return their old keys, and how many candidates that deleted."""
    _hold_owners(connection, select(interactions.c.user_id).where(interactions.c.id.in_(ids)))
    table = interactions.c
    query = (
        select(interactions, users.c.user_id.label("person"), conversations.c.name.label("talk"))
        .join_from(interactions, users)
        .outerjoin(conversations, conversations.c.id == table.conversation_id)
        .where(table.id.in_(ids))
    )
    rows = connection.execute(query).all()
    old = {row.key for row in rows}
    made = candidates.c.interaction_key.in_(old)
    deleted = connection.scalar(select(func.count()).where(made)) or 0
    connection.execute(delete(candidates).where(made))
    connection.execute(delete(selections).where(selections.c.interaction_key.in_(old)))
    texts: list[tuple[int, int, str, str]] = []
    for row in rows:
        context, touched = _redacted(row.context, user_id)
        key = interaction_key(
            (
                row.person,
                row.talk,
                row.moment,
                row.source_order,
                row.source_id,
                row.kind,
                row.space,
            ),
            context.encode(),
            row.action,
            _unread(row.metadata),
        )
        same = connection.scalar(select(table.id).where(table.key == key, table.id != row.id))
        if same is not None:  # two rows that differed by these words alone
            connection.execute(delete(interactions).where(table.id == row.id))
            continue
        values = {"key": key, "context": context, "metadata": _without(row.metadata, touched)}
        connection.execute(update(interactions).where(table.id == row.id).values(values))
        texts.append((row.id, row.user_id, context, row.action))
    reindex(connection, database, ids, texts)
    return old, deleted


def _unread(metadata: str | None) -> dict[str, object]:
    """Return the optional fields of a row that could not be read; its identity covers them."""
    fields = cast("dict[str, dict[str, object]]", orjson.loads(metadata)) if metadata else {}
    return fields.get(UNREAD, {})


def _redacted(context: str, user_id: str) -> tuple[str, list[int]]:
    """Return a context without what a person says in it, and the places of their messages."""
    turns = cast("_Turns", orjson.loads(context))
    touched = [at for at, turn in enumerate(turns) if turn["name"] == user_id]
    for at in touched:
        turns[at] |= {"name": REMOVED, "content": REMOVED}
    return dump_json(turns).decode(), touched


def _without(metadata: str | None, touched: Sequence[int]) -> str | None:
    """Return metadata without the further fields of the redacted messages."""
    if metadata is None or not touched:
        return metadata
    fields = cast("dict[str, Any]", orjson.loads(metadata))
    odd = fields.get("context_fields")
    if not isinstance(odd, dict):
        return metadata
    heads = tuple(f"{at}." for at in touched)
    kept = {
        name: value
        for name, value in cast("dict[str, object]", odd).items()
        if not name.startswith(heads)
    }
    return dump_json({**fields, "context_fields": kept}).decode()


def _delete_answers(database: Database, keys: set[str]) -> int:
    """Delete the answers that were made with any of these interactions in the prompt."""
    if not keys:
        return 0
    return _each_answer(database, lambda row: not keys.isdisjoint(_KEY.findall(row.record)))


def _each_answer(database: Database, made_from: Callable[[Any], bool]) -> int:
    deleted = 0
    after = 0
    query = select(responses).order_by(responses.c.id).limit(_PAGE)
    while True:
        with database.read() as connection:
            rows = connection.execute(query.where(responses.c.id > after)).all()
            chosen = [row for row in rows if made_from(row)]
        if not rows:
            return deleted
        if chosen:
            with database.write() as connection, database.readable_rows():
                deleted += _drop_answers(connection, chosen)
        after = rows[-1].id


def _drop_answers(connection: Connection, rows: Sequence[Any]) -> int:
    """Delete answers and open the requests of runs that they answered."""
    ids = [row.id for row in rows]
    _hold_owners(connection, select(responses.c.user_id).where(responses.c.id.in_(ids)))
    table = run_items.c
    for row in rows:
        if row.place is not None:
            item = (table.run_id == row.run_id) & (table.place == row.place)
            connection.execute(update(run_items).where(item).values(state="open"))
    return connection.execute(delete(responses).where(responses.c.id.in_(ids))).rowcount


def _redact_items(database: Database, user_id: str) -> int:
    """Redact requests of runs and open them again; return how many answers that deleted."""
    table = run_items.c
    query = (
        select(table.run_id, table.place, table.user_id, table.request)
        .join_from(run_items, users)
        .where(_holding(database, table.request, user_id), users.c.user_id != user_id)
        .limit(_PAGE)
    )
    deleted = 0
    while True:
        with database.write() as connection, database.readable_rows():
            rows = connection.execute(query).all()
            if not rows:
                return deleted
            owners = sorted({row.user_id for row in rows})
            _hold_owners(connection, select(users.c.id).where(users.c.id.in_(owners)))
            for row in rows:
                fields = cast("dict[str, Any]", orjson.loads(row.request))
                context, _ = _redacted(dump_json(fields["context"]).decode(), user_id)
                request = dump_json({**fields, "context": orjson.loads(context)}).decode()
                values: dict[str, object] = {
                    "request": request,
                    "state": "open",
                    "owner": None,
                    "expires": None,
                    "error": None,
                    "message": None,
                    "text": None,
                }
                item = (table.run_id == row.run_id) & (table.place == row.place)
                connection.execute(update(run_items).where(item).values(values))
                answer = (responses.c.run_id == row.run_id) & (responses.c.place == row.place)
                deleted += connection.execute(delete(responses).where(answer)).rowcount


def _hold_owners(connection: Connection, owners: Any) -> None:  # noqa: ANN401 - a select
    """Lock people before their rows, as everybody does, so that nobody waits in a circle."""
    query = select(users.c.id).where(users.c.id.in_(owners)).order_by(users.c.id)
    connection.execute(query.with_for_update(key_share=True))
