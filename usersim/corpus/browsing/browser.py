"""Reading a store page by page, for people who look at it.

Every list is paged by the key that it is sorted by, never by an offset: the thousandth page costs
what the first one costs. Knows tables; knows nothing of pages on a screen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, Select, func, select
from sqlalchemy.sql import ColumnElement

from usersim.corpus.browsing.rows import ItemRow, Page, PersonRow, StoreCounts, StoredAnswer
from usersim.corpus.ledger import rows
from usersim.corpus.ledger.records import ResponseRecord
from usersim.corpus.runs.requests import item_of
from usersim.corpus.store.database import Database
from usersim.corpus.store.owners import user_row_id
from usersim.corpus.store.reading import InteractionReader
from usersim.corpus.store.tables import candidates, interactions, responses, run_items, runs, users
from usersim.corpus.store.values import dump_json
from usersim.errors import NotStoredError
from usersim.types import ContextLike, Interaction, as_messages, question_key

__all__ = ["PAGE", "Browser"]

PAGE = 50
"""Rows of a page."""
ESCAPE = "!"

T = TypeVar("T")


class Browser:
    """Reads one store page by page.

    Args:
        database: The store.

    Example:
        >>> from usersim import Corpus
        >>> rows = [{"user_id": name, "context": "Tea?", "action": "Yes."} for name in "abc"]
        >>> with Corpus.open(":memory:") as corpus:
        ...     report = corpus.add(rows)
        ...     first = corpus.browse.people(limit=2)
        ...     rest = corpus.browse.people(after=first.after, limit=2)
        >>> [one.user_id for one in first.items], [one.user_id for one in rest.items]
        (['a', 'b'], ['c'])
        >>> first.before, rest.after
        (None, None)
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._reader = InteractionReader(database)

    def counts(self) -> StoreCounts:
        """Return how much the store holds."""
        counted = {
            "people": func.count(users.c.id),
            "interactions": func.count(interactions.c.id),
            # A candidate stands in the store once for each stage that it went through.
            "candidates": func.count(candidates.c.key.distinct()),
            "runs": func.count(runs.c.id),
            "answers": func.count(responses.c.id),
        }
        with self._database.read() as connection:
            found = {name: connection.scalar(select(count)) or 0 for name, count in counted.items()}
        return StoreCounts(**found)

    def people(
        self,
        *,
        search: str = "",
        after: str | int | None = None,
        before: str | int | None = None,
        limit: int = PAGE,
    ) -> Page[PersonRow]:
        """Return people by id, with how much there is of each.

        Args:
            search: Only ids that hold this text, whatever the case of its letters.
            after: Only ids behind this one.
            before: Only ids before this one, the last of them.
            limit: Most rows.
        """
        query = select(users.c.id, users.c.user_id)
        if search:
            wanted = search.replace(ESCAPE, ESCAPE * 2)
            wanted = wanted.replace("%", f"{ESCAPE}%").replace("_", f"{ESCAPE}_")
            query = query.where(users.c.user_id.ilike(f"%{wanted}%", escape=ESCAPE))
        with self._database.read() as connection:
            page = _page(connection, query, users.c.user_id, after, before, limit)
            ids = [row.id for row in page.items]
            acts = _counted(connection, interactions.c.user_id, ids)
            answers = _counted(connection, responses.c.user_id, ids)
        return _each(
            page,
            lambda row: PersonRow(
                user_id=row.user_id,
                interactions=acts.get(row.id, 0),
                answers=answers.get(row.id, 0),
            ),
        )

    def interactions(
        self,
        user_id: str,
        *,
        after: int | None = None,
        before: int | None = None,
        limit: int = PAGE,
    ) -> Page[Interaction]:
        """Return what a person did, by position.

        Args:
            user_id: Who.
            after: Only positions above this one.
            before: Only positions below this one, the last of them.
            limit: Most rows.
        """
        table = interactions.c
        with self._database.read() as connection:
            query = select(table.id, table.position).where(
                table.user_id == user_row_id(connection, user_id)
            )
            page = _page(connection, query, table.position, after, before, limit)
        found = self._reader.by_row_id([row.id for row in page.items])
        return Page(items=tuple(found), before=page.before, after=page.after)

    def traced(self, interaction_keys: Sequence[str]) -> dict[str, int]:
        """Return how many candidates each interaction has; those without are left out."""
        table = candidates.c
        query: Select[*tuple[Any, ...]] = (
            select(table.interaction_key, func.count(table.key.distinct()))
            .where(table.interaction_key.in_(interaction_keys))
            .group_by(table.interaction_key)
        )
        with self._database.read() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def items(
        self,
        run_id: int,
        *,
        after: int | None = None,
        before: int | None = None,
        limit: int = PAGE,
    ) -> Page[ItemRow]:
        """Return the requests of a run in order, with their answers and failures.

        Args:
            run_id: The run.
            after: Only places above this one.
            before: Only places below this one, the last of them.
            limit: Most rows.
        """
        joined = run_items.outerjoin(
            responses,
            (responses.c.run_id == run_items.c.run_id) & (responses.c.place == run_items.c.place),
        )
        table = run_items.c
        query = (
            select(table.place, table.state, table.request, table.error, table.message, table.text)
            .add_columns(responses.c.id.label("answer_id"), responses.c.record)
            .select_from(joined)
            .where(table.run_id == run_id)
        )
        with self._database.read() as connection:
            page = _page(connection, query, table.place, after, before, limit)
            return _each(page, _item_row)

    def answers(
        self,
        user_id: str,
        *,
        after: int | None = None,
        before: int | None = None,
        limit: int = PAGE,
    ) -> Page[ResponseRecord]:
        """Return the answers that were simulated for a person, newest first.

        Args:
            user_id: Whose.
            after: Only answers older than the one of this row id.
            before: Only answers newer than the one of this row id, the last of them.
            limit: Most rows.
        """
        with self._database.read() as connection:
            owner = user_row_id(connection, user_id)
            query = _responses().where(responses.c.user_id == owner)
            page = _page(connection, query, responses.c.id, after, before, limit, descending=True)
            return _each(page, rows.response_of)

    def answer(self, answer_id: int) -> StoredAnswer:
        """Return one answer.

        Args:
            answer_id: Its row id.

        Raises:
            NotStoredError: If there is none.
        """
        query = (
            _responses()
            .add_columns(runs.c.name, run_items.c.place.label("asked"), run_items.c.request)
            .outerjoin(runs, runs.c.id == responses.c.run_id)
            .outerjoin(
                run_items,
                (run_items.c.run_id == responses.c.run_id)
                & (run_items.c.place == responses.c.place),
            )
            .where(responses.c.id == answer_id)
        )
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
            if row is None:
                raise NotStoredError(
                    f"the store has no answer {answer_id!r}",
                    hint="it may have been deleted with its person; runs list their answers",
                )
            asked = None if row.request is None else item_of(row.asked, row.request)
            return StoredAnswer(response=rows.response_of(row), run=row.name, item=asked)

    def answers_to(
        self, user_id: str, context: ContextLike, *, limit: int = PAGE
    ) -> list[ResponseRecord]:
        """Return the newest answers that were simulated for a person in one context.

        Args:
            user_id: Whose.
            context: The messages; their texts count.
            limit: How many at the most.
        """
        query = _responses().where(responses.c.question_key == question_key(user_id, context))
        with self._database.read() as connection:
            found = connection.execute(query.order_by(responses.c.id.desc()).limit(limit)).all()
            return [rows.response_of(row) for row in found]

    def acts_in(self, user_id: str, context: ContextLike) -> list[Interaction]:
        """Return what a person did in one context, oldest first.

        Args:
            user_id: Who.
            context: The messages, names and roles included.
        """
        messages = [
            {"role": m.role, "name": m.name, "content": m.content} for m in as_messages(context)
        ]
        table = interactions.c
        with self._database.read() as connection:
            owner = user_row_id(connection, user_id)
            query = select(table.id).where(
                table.user_id == owner, table.context == dump_json(messages).decode()
            )
            ids = connection.scalars(query.order_by(table.position).limit(PAGE)).all()
        return self._reader.by_row_id(ids)


def _page(
    connection: Connection,
    query: Select[*tuple[Any, ...]],
    column: ColumnElement[Any],
    after: str | int | None,
    before: str | int | None,
    limit: int,
    *,
    descending: bool = False,
) -> Page[Any]:
    """Return a page of `query` by `column`, whose name the rows must have.

    `after` and `before` are places in the list: in a descending one, `after` has smaller values.
    """
    back = before is not None and after is None
    place = before if back else after
    falling = back != descending
    if place is not None:
        query = query.where(column < place if falling else column > place)
    ordered = query.order_by(column.desc() if falling else column)
    # One row more than shown: whether the list goes on.
    found = list(connection.execute(ordered.limit(limit + 1)).all())
    more = len(found) > limit
    shown = found[:limit][::-1] if back else found[:limit]
    if not shown:
        return Page(items=(), before=None, after=None)
    ends = [getattr(row, str(column.key)) for row in (shown[0], shown[-1])]
    earlier = more if back else after is not None
    return Page(
        items=tuple(shown),
        before=ends[0] if earlier else None,
        after=ends[1] if back or more else None,
    )


def _each(page: Page[Any], make: Callable[[Any], T]) -> Page[T]:
    return Page(items=tuple(map(make, page.items)), before=page.before, after=page.after)


def _counted(
    connection: Connection, column: ColumnElement[Any], values: Sequence[Any]
) -> dict[Any, int]:
    query = select(column, func.count()).where(column.in_(values)).group_by(column)
    return {row[0]: row[1] for row in connection.execute(query)}


def _responses() -> Select[*tuple[Any, ...]]:
    return select(*responses.c, users.c.user_id.label("owner")).join_from(responses, users)


def _item_row(row: Any) -> ItemRow:  # noqa: ANN401 - a row of SQLAlchemy
    return ItemRow(
        item=item_of(row.place, row.request),
        state=row.state,
        answer_id=row.answer_id,
        record={} if row.record is None else rows.load(row.record),
        error=row.error or "",
        message=row.message or "",
        text=row.text or "",
    )
