"""Runs in the store: their items, who works on which, and one answer for each.

Several clients may work on one run. A piece of work is claimed in one transaction, with an owner
and a time until which that counts; what its owner does not finish or extend until then, another
client may claim. A result is written by the owner alone, in the transaction that closes the
item, so no item has two. Knows tables; knows nothing of models or prompts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar, cast

import orjson
from sqlalchemy import (
    Connection,
    Select,
    bindparam,
    func,
    insert,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from usersim.corpus.ledger import rows
from usersim.corpus.ledger.records import Response
from usersim.corpus.runs.requests import item_of
from usersim.corpus.runs.rows import AnswerRow, FailureRow, RunRecord
from usersim.corpus.store.database import Database, in_pieces
from usersim.corpus.store.owners import row_ids
from usersim.corpus.store.tables import responses, run_items, runs, users
from usersim.corpus.store.values import clean_text
from usersim.types import Failure, RunItem, RunStatus
from usersim.views import Progress

__all__ = ["Runs"]

_T = TypeVar("_T")
_PAGE = 500
_STORED_AT_ONCE = 2_000
_CACHED = 100_000

Done = Mapping[int, Response | Failure]
"""Results by the item's place."""


class Runs:
    """The runs of one store.

    Args:
        database: The store.
        clock: Seconds since 1970 for a SQLite store, whose clients share a machine; those of
            PostgreSQL may not, so there the server's clock counts.
    """

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    # Runs

    def begin(self, name: str, fingerprint: str, settings: Mapping[str, object]) -> RunRecord:
        """Store a run, if there is none of that name, and return what is stored.

        The caller compares the fingerprints: an older run of that name stays as it is.

        Args:
            name: Its name.
            fingerprint: Identity of its settings and requests.
            settings: What the fingerprint is made of.
        """
        values = {
            "name": name,
            "fingerprint": fingerprint,
            "config": rows.dump(settings),
            "created": rows.now(),
        }
        kind = sqlite.insert if self._database.is_sqlite else postgresql.insert
        with self._database.write() as connection:
            connection.execute(kind(runs).values(values).on_conflict_do_nothing())
        found = self.find(name)
        assert found is not None, "a run that was just stored"
        return found

    def find(self, name: str) -> RunRecord | None:
        """Return the run of a name; None if there is none."""
        return next(iter(self._records(select(runs).where(runs.c.name == name))), None)

    def all(self) -> list[RunRecord]:
        """Return every run, oldest first."""
        return self._records(select(runs).where(runs.c.name.is_not(None)).order_by(runs.c.id))

    def _records(self, query: Select[Any]) -> list[RunRecord]:
        with self._database.read() as connection:
            found = [(row, rows.load(row.config)) for row in connection.execute(query)]
        return [
            RunRecord(
                id=row.id,
                name=row.name,
                fingerprint=row.fingerprint,
                settings=settings,
                created=row.created,
                total=row.total,
                status=self.status(row.id),
            )
            for row, settings in found
        ]

    def people(self, run_id: int) -> list[str]:
        """Return who is asked in a run, sorted."""
        theirs = select(run_items.c.user_id).where(run_items.c.run_id == run_id)
        query = select(users.c.user_id).where(users.c.id.in_(theirs)).order_by(users.c.user_id)
        with self._database.read() as connection:
            return list(connection.scalars(query))

    def counts(self, run_id: int, user_ids: Sequence[str]) -> dict[str, RunStatus]:
        """Return how far a run is with some people; nobody who was forgotten is among them."""
        found: dict[str, dict[str, int]] = {}
        for part in in_pieces(user_ids):
            query = (
                select(users.c.user_id, run_items.c.state, func.count())
                .join(users, users.c.id == run_items.c.user_id)
                .where(run_items.c.run_id == run_id, users.c.user_id.in_(part))
                .group_by(users.c.user_id, run_items.c.state)
            )
            with self._database.read() as connection:
                for user, state, n in connection.execute(query):
                    found.setdefault(user, {})[state] = n
        return {
            user: RunStatus(done=n.get("done", 0), failed=n.get("failed", 0), left=n.get("open", 0))
            for user, n in found.items()
        }

    def status(self, run_id: int) -> RunStatus:
        """Return how far a run is.

        Items go with their person: those that are missing from a list that was stored whole are
        those of people who were forgotten.
        """
        query = (
            # `count(column)` counts what is not null: items with a reason.
            select(run_items.c.state, func.count(), func.count(run_items.c.error))
            .where(run_items.c.run_id == run_id)
            .group_by(run_items.c.state)
        )
        with self._database.read() as connection:
            total = connection.scalar(select(runs.c.total).where(runs.c.id == run_id))
            counts = {row[0]: (row[1], row[2]) for row in connection.execute(query)}
            there = sum(n for n, _ in counts.values())
            done, short = counts.get("done", (0, 0))
            return RunStatus(
                done=done,
                failed=counts.get("failed", (0, 0))[0],
                left=counts.get("open", (0, 0))[0],
                forgotten=0 if total is None else max(total - there, 0),
                without_reasoning=short,
            )

    def fill(
        self,
        run_id: int,
        lines: Iterator[bytes],
        *,
        progress: Progress | None = None,
    ) -> None:
        """Store a run's items, in small transactions; those that are there stay as they are.

        Items of a person who is forgotten meanwhile are left out, also if the person is loaded
        again; `status` counts them.

        Args:
            run_id: The run.
            lines: Its requests in order, as `Requests.lines` gives them.
            progress: Called with (stage, requests stored, None).
        """
        kind = sqlite.insert if self._database.is_sqlite else postgresql.insert
        statement = kind(run_items).on_conflict_do_nothing()
        met: dict[str, int] = {}
        place = 0
        while batch := list(islice(lines, _STORED_AT_ONCE)):
            names = [cast("dict[str, str]", orjson.loads(line))["user_id"] for line in batch]
            with self._database.write() as connection:
                owners = row_ids(connection, list(set(names)), lock=True)
                same = {name: own for name, own in owners.items() if met.get(name, own) == own}
                values = [
                    _new_item(run_id, place + at, same[name], line)
                    for at, (name, line) in enumerate(zip(names, batch, strict=True))
                    if name in same
                ]
                if values:
                    connection.execute(statement, values)
            place += len(batch)
            if len(met) > _CACHED:
                met.clear()
            met |= same
            if progress is not None:
                progress("store requests", place, None)
        with self._database.write() as connection:
            connection.execute(update(runs).where(runs.c.id == run_id).values(total=place))

    # Work

    def claim(
        self,
        run_id: int,
        owner: str,
        *,
        limit: int,
        seconds: float,
        of: Sequence[str] | None = None,
    ) -> list[RunItem]:
        """Claim the next open items that nobody works on, one person's together.

        Args:
            run_id: The run.
            owner: Who claims; no two clients have the same.
            limit: How many at the most.
            seconds: How long the claim counts unless it is extended.
            of: Only items of these people, a few hundred at the most; None takes anybody's.

        Returns:
            The items; none if all are done or claimed.
        """
        table = run_items.c
        with self._database.write() as connection, self._database.readable_rows():
            now = self._now(connection)
            free = (
                select(table.place)
                .where(table.run_id == run_id, table.state == "open")
                .where(or_(table.owner.is_(None), table.expires < now))
                .order_by(table.user_id, table.place)
                .limit(limit)
                # PostgreSQL: what another client is claiming at this moment is passed over.
                .with_for_update(skip_locked=True)
            )
            if of is not None:
                free = free.where(table.user_id.in_(row_ids(connection, of).values()))
            places = connection.scalars(free).all()
            for part in in_pieces(places):
                mine = update(run_items).where(table.run_id == run_id, table.place.in_(part))
                connection.execute(mine.values(owner=owner, expires=now + seconds))
            return _items(connection, run_id, places)

    def extend(self, run_id: int, owner: str, *, seconds: float) -> int:
        """Let an owner's claims count for `seconds` from now and return how many there are."""
        with self._database.write() as connection:
            expires = self._now(connection) + seconds
            return connection.execute(_claimed(run_id, owner).values(expires=expires)).rowcount

    def release(self, run_id: int, owner: str) -> None:
        """Give an owner's claims back."""
        with self._database.write() as connection:
            connection.execute(_claimed(run_id, owner).values(owner=None, expires=None))

    def release_all(self, run_id: int, beginning: str) -> None:
        """Give back the claims of every owner whose name has this beginning."""
        table = run_items.c
        mine = update(run_items).where(
            table.run_id == run_id,
            table.state == "open",
            table.owner.startswith(beginning, autoescape=True),
        )
        with self._database.write() as connection:
            connection.execute(mine.values(owner=None, expires=None))

    def finish(self, run_id: int, owner: str, done: Done) -> int:
        """Store results and close their items, in one transaction.

        What is not the owner's any more, because its claim ran out and another client took it,
        is left to that client.

        Args:
            run_id: The run.
            owner: Who claimed the items.
            done: An answer or a failure by place.

        Returns:
            How many results were stored.
        """
        answers = {place: one for place, one in done.items() if isinstance(one, Response)}
        failures = {place: one for place, one in done.items() if isinstance(one, Failure)}
        with self._database.write() as connection:
            answered = _close(connection, run_id, owner, sorted(answers), "done")
            failed = _close(connection, run_id, owner, sorted(failures), "failed")
            new = [
                {**rows.response_row(answers[place], user), "run_id": run_id, "place": place}
                for place, user in answered
            ]
            if new:
                connection.execute(insert(responses), new)
            short = {place: answers[place].shortfall for place, _ in answered}
            reasons = {place: failures[place] for place, _ in failed} | {
                place: lacking for place, lacking in short.items() if lacking is not None
            }
            if reasons:
                connection.execute(_REASON, [_reason(run_id, *one) for one in reasons.items()])
        return len(answered) + len(failed)

    def _now(self, connection: Connection) -> float:
        if self._database.is_sqlite:
            return self._clock()
        return float(connection.scalar(text("SELECT extract(epoch FROM clock_timestamp())")) or 0)

    # Results

    def answers(self, run_id: int) -> Iterator[AnswerRow]:
        """Yield the answers of a run in the order of its requests; memory stays flat."""
        joined = run_items.join(
            responses,
            (responses.c.run_id == run_items.c.run_id) & (responses.c.place == run_items.c.place),
        )
        query = select(run_items.c.place, run_items.c.request, responses.c.record)
        yield from self._pages(query.select_from(joined), run_id, _answer)

    def failures(self, run_id: int) -> Iterator[FailureRow]:
        """Yield the failures of a run in the order of its requests; memory stays flat."""
        table = run_items.c
        query = select(table.place, table.request, table.error, table.message, table.text)
        yield from self._pages(query.where(table.state == "failed"), run_id, _failure)

    def _pages(
        self, query: Select[*tuple[Any, ...]], run_id: int, make: Callable[[Any], _T]
    ) -> Iterator[_T]:
        after = -1
        ordered = query.where(run_items.c.run_id == run_id).order_by(run_items.c.place)
        while True:
            with self._database.read() as connection:
                found = connection.execute(
                    ordered.where(run_items.c.place > after).limit(_PAGE)
                ).all()
                made = [make(row) for row in found]
            yield from made
            if len(found) < _PAGE:
                return
            after = found[-1].place


def _answer(row: Any) -> AnswerRow:  # noqa: ANN401 - a row of SQLAlchemy
    return AnswerRow(item=item_of(row.place, row.request), record=rows.load(row.record))


def _failure(row: Any) -> FailureRow:  # noqa: ANN401 - a row of SQLAlchemy
    return FailureRow(
        item=item_of(row.place, row.request), error=row.error, message=row.message, text=row.text
    )


_REASON = (
    update(run_items)
    .where(run_items.c.run_id == bindparam("in_run"), run_items.c.place == bindparam("at"))
    .values(error=bindparam("error"), message=bindparam("message"), text=bindparam("text"))
)


def _reason(run_id: int, place: int, failure: Failure) -> dict[str, object]:
    said = {name: clean_text(getattr(failure, name)) for name in ("error", "message", "text")}
    return {"in_run": run_id, "at": place, **said}


def _new_item(run_id: int, place: int, owner: int, line: bytes) -> dict[str, object]:
    return {
        "run_id": run_id,
        "place": place,
        "user_id": owner,
        "state": "open",
        "request": line.decode(),
    }


def _claimed(run_id: int, owner: str) -> Any:  # noqa: ANN401 - SQLAlchemy's Update
    table = run_items.c
    return update(run_items).where(
        table.run_id == run_id, table.state == "open", table.owner == owner
    )


def _close(
    connection: Connection, run_id: int, owner: str, places: Sequence[int], state: str
) -> list[tuple[int, int]]:
    """Close those items that are still the owner's; return their places and users."""
    table = run_items.c
    closed: list[tuple[int, int]] = []
    for part in in_pieces(places):
        _hold_users(connection, run_id, part)
        statement = (
            _claimed(run_id, owner)
            .where(table.place.in_(part))
            .values(state=state, owner=None, expires=None)
            .returning(table.place, table.user_id)
        )
        closed += [(row.place, row.user_id) for row in connection.execute(statement)]
    return closed


def _hold_users(connection: Connection, run_id: int, places: Sequence[int]) -> None:
    """Keep the people of some items from being forgotten within this transaction.

    They are locked before their items, as forgetting does, so that the two cannot wait for each
    other on PostgreSQL; SQLite has one writer at a time anyway.
    """
    theirs = select(run_items.c.user_id).where(
        run_items.c.run_id == run_id, run_items.c.place.in_(places)
    )
    query = select(users.c.id).where(users.c.id.in_(theirs)).order_by(users.c.id)
    connection.execute(query.with_for_update(read=True, key_share=True))


def _items(connection: Connection, run_id: int, places: Sequence[int]) -> list[RunItem]:
    found: dict[int, RunItem] = {}
    for part in in_pieces(places):
        query = select(run_items.c.place, run_items.c.request).where(
            run_items.c.run_id == run_id, run_items.c.place.in_(part)
        )
        found |= {row.place: item_of(row.place, row.request) for row in connection.execute(query)}
    return [found[place] for place in places]
