"""Full-text search over one person's history: SQLite FTS5 with BM25, PostgreSQL's own search.

Knows how the store searches; knows nothing of prompts. SQLite's index is filled on a user's
first search and kept in step from then on. Words of a query are only ever words: they are cut
out of the text and quoted, so no character of a context is search syntax.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import cast

import orjson
from sqlalchemy import Connection, func, select, text, update
from sqlalchemy.dialects.postgresql import JSONB

from usersim.corpus.store.database import Database
from usersim.corpus.store.tables import SEARCH_TABLE, interactions, users
from usersim.types import Message

__all__ = ["drop_user", "find_similar", "index_user", "query_words", "reindex", "search_text"]

_WORD = re.compile(r"\w+")
_QUERY_WORDS = 48
_LAST_MESSAGES = 3
_INDEXED_CHARS = 2_000
_PAGE = 1_000
_INSERT = f"INSERT INTO {SEARCH_TABLE} (rowid, owner, text) VALUES (:id, :owner, :text)"  # noqa: S608 - a constant name


def search_text(messages: Sequence[Message], action: str = "") -> str:
    """Return what of an interaction is searched: the end of its context, and the action.

    Long chats repeat their beginning in every turn; the end is what a turn is about.
    """
    last = "\n".join(message.content for message in messages[-_LAST_MESSAGES:])
    return f"{last[-_INDEXED_CHARS:]}\n{action[:_INDEXED_CHARS]}"


def query_words(question: str) -> list[str]:
    """Return the last distinct words of a text, as they may stand in a query.

    Example:
        >>> query_words('say "NEAR(x)" OR -tea*')
        ['say', 'near', 'x', 'or', 'tea']
    """
    words = [word.casefold() for word in _WORD.findall(question)]
    distinct = list(dict.fromkeys(reversed(words)))[:_QUERY_WORDS]
    return distinct[::-1]


def index_user(database: Database, owner: int) -> None:
    """Bring the search index of one user up to date; nothing to do on PostgreSQL."""
    if not database.is_sqlite:
        return
    while True:
        with database.read() as connection:
            if not _unindexed(connection, owner):
                return
        with database.write() as connection, database.readable_rows():
            rows = _unindexed(connection, owner)
            if not rows:
                return
            connection.execute(
                text(_INSERT),
                [{"id": row, "owner": _owner_word(owner), "text": words} for row, words in rows],
            )
            newest = rows[-1][0]
            connection.execute(update(users).where(users.c.id == owner).values(indexed_upto=newest))


def _unindexed(connection: Connection, owner: int) -> list[tuple[int, str]]:
    done = select(users.c.indexed_upto).where(users.c.id == owner).scalar_subquery()
    query = (
        select(interactions.c.id, interactions.c.context, interactions.c.action)
        .where(interactions.c.user_id == owner, interactions.c.id > done)
        .order_by(interactions.c.id)
        .limit(_PAGE)
    )
    return [
        (row, search_text(_contents(context), action))
        for row, context, action in connection.execute(query)
    ]


def _contents(context: str) -> list[Message]:
    items = cast("list[dict[str, str]]", orjson.loads(context))
    return [Message(item["content"]) for item in items]


def find_similar(
    connection: Connection,
    database: Database,
    owner: int,
    words: Sequence[str],
    *,
    before: int | None,
    limit: int,
) -> list[int]:
    """Return row ids of the user's most similar interactions, best first.

    Only the train split, only positions below `before`. BM25's word weights are counted over
    the whole store, so other users' texts can shift the ranking, never the set it ranks.

    Args:
        connection: In a transaction.
        database: The store.
        owner: Row id of the user, indexed.
        words: Of `query_words`.
        before: Position of the moment in question; None for the whole train split.
        limit: How many at the most.

    Returns:
        Row ids of interactions.
    """
    if not words or limit < 1:
        return []
    query = select(interactions.c.id).where(
        interactions.c.user_id == owner, interactions.c.split == "train"
    )
    if before is not None:
        query = query.where(interactions.c.position < before)
    if database.is_sqlite:
        return _by_fts5(connection, owner, words, before=before, limit=limit)
    simple = text("'simple'::regconfig")  # words as they are: a corpus may be in any language
    asked = func.to_tsquery(simple, " | ".join(f"'{word}'" for word in words))
    said = func.jsonb_to_tsvector(
        simple, interactions.c.context.cast(JSONB), text("""'["string"]'::jsonb""")
    ).op("||")(func.to_tsvector(simple, interactions.c.action))
    rank = func.ts_rank_cd(said, asked)
    ranked = query.where(said.op("@@")(asked)).order_by(rank.desc(), interactions.c.id.desc())
    return list(connection.scalars(ranked.limit(limit)))


def _by_fts5(
    connection: Connection, owner: int, words: Sequence[str], *, before: int | None, limit: int
) -> list[int]:
    quoted = " OR ".join(f'"{word}"' for word in words)
    rows = connection.execute(
        text(
            f"SELECT i.id FROM {SEARCH_TABLE} AS s JOIN interactions AS i ON i.id = s.rowid "  # noqa: S608 - a constant name
            f"WHERE {SEARCH_TABLE} MATCH :query AND i.user_id = :owner AND i.split = 'train' "
            "AND (:before IS NULL OR i.position < :before) "
            f"ORDER BY bm25({SEARCH_TABLE}, 0.0, 1.0), i.id DESC LIMIT :limit"
        ),
        {
            "query": f"owner : {_owner_word(owner)} AND text : ({quoted})",
            "owner": owner,
            "before": before,
            "limit": limit,
        },
    )
    return [row[0] for row in rows]


def drop_user(connection: Connection, database: Database, owner: int) -> int:
    """Remove a user from the search index and return how many rows that were."""
    if not database.is_sqlite:
        return 0
    theirs = {"owner": f"owner : {_owner_word(owner)}"}
    gone = connection.execute(
        text(f"DELETE FROM {SEARCH_TABLE} WHERE {SEARCH_TABLE} MATCH :owner"),  # noqa: S608 - a constant name
        theirs,
    ).rowcount
    if gone:
        _optimize(connection)
    return gone


def reindex(
    connection: Connection,
    database: Database,
    ids: Sequence[int],
    texts: Sequence[tuple[int, int, str, str]],
) -> None:
    """Bring the index in step with interactions whose texts changed or that are gone.

    Args:
        connection: In a transaction that writes.
        database: The store.
        ids: Row ids of all of them.
        texts: Row id, owner, context as JSON, and action of those that are still there.
    """
    if not database.is_sqlite:
        return
    delete = text(f"DELETE FROM {SEARCH_TABLE} WHERE rowid = :id")  # noqa: S608 - a constant name
    indexed = {row for row in ids if connection.execute(delete, {"id": row}).rowcount}
    values = [
        {"id": row, "owner": _owner_word(owner), "text": search_text(_contents(context), action)}
        for row, owner, context, action in texts
        if row in indexed
    ]
    if values:
        connection.execute(text(_INSERT), values)
    if indexed:
        _optimize(connection)


def _optimize(connection: Connection) -> None:
    # FTS5 only marks deleted words; merging its segments drops them.
    connection.execute(text(f"INSERT INTO {SEARCH_TABLE} ({SEARCH_TABLE}) VALUES ('optimize')"))  # noqa: S608 - a constant name


def _owner_word(owner: int) -> str:
    return f"u{owner}"
