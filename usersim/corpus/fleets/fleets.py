"""Fleets in the store: the ledger of work that is spread over workers, one task a person.

One driver at a time holds a fleet and alone writes its tasks, so that no task needs a claim of its
own. A driver that is gone lets go by the clock, or at once where its process is known to have
ended. Knows tables; knows nothing of workers or models.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, cast

from sqlalchemy import Connection, Select, delete, func, insert, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from usersim.corpus.fleets.rows import (
    FleetKind,
    FleetRecord,
    FleetStatus,
    FleetTask,
    TaskState,
)
from usersim.corpus.ledger import rows
from usersim.corpus.ledger.trainings import Worker
from usersim.corpus.store.database import Database
from usersim.corpus.store.owners import row_ids
from usersim.corpus.store.tables import fleet_tasks, fleets, users
from usersim.corpus.store.values import clean_text
from usersim.errors import FleetHeldError

__all__ = ["Fleets"]

_PAGE = 500
_STORED_AT_ONCE = 2_000


class Fleets:
    """The fleets of one store.

    Args:
        database: The store.
        clock: Seconds since 1970 for a SQLite store; on PostgreSQL the server's clock counts.
    """

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    # Fleets

    def begin(self, name: str, kind: FleetKind, settings: Mapping[str, object]) -> FleetRecord:
        """Store a fleet, if there is none of that name, and return what is stored.

        The caller compares the settings: an older fleet of that name stays as it is.
        """
        values = {
            "name": name,
            "kind": kind,
            "settings": rows.dump(settings),
            "created": rows.now(),
        }
        new = sqlite.insert if self._database.is_sqlite else postgresql.insert
        with self._database.write() as connection:
            connection.execute(new(fleets).values(values).on_conflict_do_nothing())
        found = self.find(name)
        assert found is not None, "a fleet that was just stored"
        return found

    def fill(self, fleet_id: int, user_ids: Sequence[str]) -> None:
        """Store a task for each person, in order, in place of what a killed driver had stored.

        Somebody who was forgotten meanwhile is left out, and counted by `status`.

        Args:
            fleet_id: A fleet that is not complete: nothing of it was begun.
            user_ids: The people.
        """
        with self._database.write() as connection:
            connection.execute(delete(fleet_tasks).where(fleet_tasks.c.fleet_id == fleet_id))
        numbered = enumerate(user_ids)
        while part := list(islice(numbered, _STORED_AT_ONCE)):
            with self._database.write() as connection:
                owners = row_ids(connection, [user for _, user in part], lock=True)
                values = [
                    {
                        "fleet_id": fleet_id,
                        "place": place,
                        "user_id": owners[user],
                        "state": "waiting",
                        "attempts": 0,
                    }
                    for place, user in part
                    if user in owners
                ]
                if values:
                    connection.execute(insert(fleet_tasks), values)
        with self._database.write() as connection:
            mine = update(fleets).where(fleets.c.id == fleet_id)
            connection.execute(mine.values(total=len(user_ids)))

    def find(self, name: str) -> FleetRecord | None:
        """Return the fleet of a name; None if there is none."""
        return next(iter(self._records(select(fleets).where(fleets.c.name == name))), None)

    def all(self) -> list[FleetRecord]:
        """Return every fleet, oldest first."""
        return self._records(select(fleets).order_by(fleets.c.id))

    def _records(self, query: Select[Any]) -> list[FleetRecord]:
        with self._database.read() as connection:
            now = self._now(connection)
            found = [
                (row, rows.load(row.settings), "" if _is_free(row, now) else row.driver)
                for row in connection.execute(query)
            ]
        return [
            FleetRecord(
                id=row.id,
                name=row.name,
                kind=cast("FleetKind", row.kind),
                settings=settings,
                created=row.created,
                complete=row.total is not None,
                driver=driver,
                status=self.status(row.id),
            )
            for row, settings, driver in found
        ]

    def status(self, fleet_id: int) -> FleetStatus:
        """Return how far a fleet is; tasks go with their person."""
        query = (
            select(fleet_tasks.c.state, func.count())
            .where(fleet_tasks.c.fleet_id == fleet_id)
            .group_by(fleet_tasks.c.state)
        )
        with self._database.read() as connection:
            total = connection.scalar(select(fleets.c.total).where(fleets.c.id == fleet_id))
            counts = {str(row[0]): int(row[1]) for row in connection.execute(query)}
            there = sum(counts.values())
            return FleetStatus(**counts, forgotten=max((total or 0) - there, 0))

    # Driving

    def hold(self, fleet_id: int, driver: str, *, seconds: float) -> None:
        """Let one driver hold a fleet for `seconds`; called again, it holds it for longer.

        Args:
            fleet_id: The fleet.
            driver: As `machine:process`.
            seconds: How long that counts.

        Raises:
            FleetHeldError: If another driver holds it.
        """
        with self._database.write() as connection:
            now = self._now(connection)
            row = connection.execute(
                select(fleets).where(fleets.c.id == fleet_id).with_for_update()
            ).one()
            if row.driver != driver and not _is_free(row, now):
                raise FleetHeldError(
                    f"{row.kind} {row.name!r} is already being driven by {row.driver}",
                    hint="wait until it ends; if it was killed on another machine, try again in "
                    "half a minute",
                )
            mine = update(fleets).where(fleets.c.id == fleet_id)
            connection.execute(mine.values(driver=driver, expires=now + seconds))

    def let_go(self, fleet_id: int, driver: str) -> None:
        """Give a fleet back; what was running waits again."""
        with self._database.write() as connection:
            row = connection.execute(select(fleets).where(fleets.c.id == fleet_id)).one()
            if row.driver == driver:
                _back(connection, fleet_id)
                mine = update(fleets).where(fleets.c.id == fleet_id)
                connection.execute(mine.values(driver=None, expires=None))

    def resume(self, fleet_id: int, *, failed: bool = False) -> None:
        """Let everything wait that a driver which is gone had running.

        Args:
            fleet_id: The fleet, which the caller holds.
            failed: Also what failed, as if it had never been tried.
        """
        with self._database.write() as connection:
            _back(connection, fleet_id)
            if failed:
                mine = _of(fleet_id).where(fleet_tasks.c.state == "failed")
                connection.execute(mine.values(state="waiting", attempts=0))

    def running(self, fleet_id: int) -> list[FleetTask]:
        """Return the tasks that are said to be running."""
        return list(self.tasks(fleet_id, state="running"))

    def start(self, fleet_id: int, most: int) -> list[FleetTask]:
        """Begin the next tasks that wait, those first that were tried least.

        Args:
            fleet_id: The fleet, which the caller holds.
            most: How many at the most.

        Returns:
            The tasks, this attempt counted; none if nothing waits.
        """
        table = fleet_tasks.c
        with self._database.write() as connection, self._database.readable_rows():
            waiting = (
                _tasks(fleet_id)
                .where(table.state == "waiting")
                .order_by(table.attempts, table.place)
                .limit(most)
            )
            found = [_task(row) for row in connection.execute(waiting)]
            begun = _of(fleet_id).where(table.place.in_([one.place for one in found]))
            connection.execute(begun.values(state="running", attempts=table.attempts + 1))
            return [_begun(one) for one in found]

    def finish(
        self, fleet_id: int, task: FleetTask, *, seconds: float, result: Mapping[str, object]
    ) -> None:
        """Note that a task is done, and what it made."""
        values = {"state": "done", "seconds": seconds, "result": rows.dump(result)}
        self._close(fleet_id, task, {**values, "error": None, "message": None})

    def fail(
        self,
        fleet_id: int,
        task: FleetTask,
        *,
        error: str,
        message: str,
        seconds: float | None = None,
        again: bool = False,
    ) -> None:
        """Note that a task failed.

        Args:
            fleet_id: The fleet, which the caller holds.
            task: The task.
            error: Class name of the error.
            message: What happened.
            seconds: How long the attempt took.
            again: Whether it waits to be tried again.
        """
        values = {
            "state": "waiting" if again else "failed",
            "seconds": seconds,
            "error": clean_text(error),
            "message": clean_text(message),
        }
        self._close(fleet_id, task, values)

    def _close(self, fleet_id: int, task: FleetTask, values: Mapping[str, object]) -> None:
        # Nothing is there any more of somebody who was forgotten; `status` counts them.
        with self._database.write() as connection:
            connection.execute(
                _of(fleet_id).where(fleet_tasks.c.place == task.place).values(**values)
            )

    def _now(self, connection: Connection) -> float:
        if self._database.is_sqlite:
            return self._clock()
        return float(connection.scalar(text("SELECT extract(epoch FROM clock_timestamp())")) or 0)

    # Results

    def tasks(self, fleet_id: int, *, state: TaskState | None = None) -> Iterator[FleetTask]:
        """Yield the tasks of a fleet in order; memory stays flat.

        Args:
            fleet_id: The fleet.
            state: Only those in this state.
        """
        query = _tasks(fleet_id).order_by(fleet_tasks.c.place).limit(_PAGE)
        if state is not None:
            query = query.where(fleet_tasks.c.state == state)
        after = -1
        while True:
            with self._database.read() as connection:
                page = query.where(fleet_tasks.c.place > after)
                found = [_task(row) for row in connection.execute(page)]
            yield from found
            if len(found) < _PAGE:
                return
            after = found[-1].place


def _is_free(row: Any, now: float) -> bool:  # noqa: ANN401 - a row of SQLAlchemy
    """Tell whether nobody drives a fleet any more."""
    return row.driver is None or row.expires < now or Worker(row.driver, "").gone


def _of(fleet_id: int) -> Any:  # noqa: ANN401 - SQLAlchemy's Update
    return update(fleet_tasks).where(fleet_tasks.c.fleet_id == fleet_id)


def _back(connection: Connection, fleet_id: int) -> None:
    """Let wait what was running; an attempt that its driver ended was none."""
    table = fleet_tasks.c
    mine = _of(fleet_id).where(table.state == "running")
    connection.execute(mine.values(state="waiting", attempts=table.attempts - 1))


def _tasks(fleet_id: int) -> Select[Any]:
    return (
        select(fleet_tasks, users.c.user_id.label("person"))
        .join(users, users.c.id == fleet_tasks.c.user_id)
        .where(fleet_tasks.c.fleet_id == fleet_id)
    )


def _task(row: Any) -> FleetTask:  # noqa: ANN401 - a row of SQLAlchemy
    return FleetTask(
        place=row.place,
        user_id=row.person,
        state=cast("TaskState", row.state),
        attempts=row.attempts,
        seconds=row.seconds,
        error=row.error or "",
        message=row.message or "",
        result=rows.load(row.result) if row.result else {},
    )


def _begun(task: FleetTask) -> FleetTask:
    return FleetTask(
        place=task.place,
        user_id=task.user_id,
        state="running",
        attempts=task.attempts + 1,
        seconds=task.seconds,
        error=task.error,
        message=task.message,
        result=task.result,
    )
