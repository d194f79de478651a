"""Trainings under way: whom they learn from, so that forgetting one of these people stops them.

A training is registered before the first interaction is read. Forgetting a person takes them out
of it in the transaction that no training can miss: what it does next, or what it wants to
register at its end, is refused by name. Knows tables; knows nothing of weights.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, delete, func, insert, select

from usersim.corpus.ledger.rows import now
from usersim.corpus.store.database import Database, in_pieces
from usersim.corpus.store.owners import row_ids, user_row_id
from usersim.corpus.store.tables import training_users, trainings, users
from usersim.errors import CorpusError, UserForgottenError, UsersimError

__all__ = ["Training", "Trainings", "Worker", "check_training", "stop_trainings", "stopping"]


@dataclass(frozen=True, slots=True)
class Training:
    """A training that the store knows of.

    Attributes:
        id: Row id.
        people: Whom it learns from: row ids by user id.
    """

    id: int
    people: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Worker:
    """Who trains.

    Attributes:
        name: Machine and process, as `machine:process`.
        since: When the training began, UTC, ISO 8601.
    """

    name: str
    since: str

    def __str__(self) -> str:
        """Say it in a line."""
        return f"{self.name}, since {self.since}"

    @property
    def gone(self) -> bool:
        """True if it is known to have ended: a process of this machine that is not there."""
        host, _, process = self.name.rpartition(":")
        if host != socket.gethostname() or not process.isdecimal():
            return False
        try:
            os.kill(int(process), 0)
        except ProcessLookupError:
            return True
        except (OSError, OverflowError):  # somebody else's
            return False
        return False


class Trainings:
    """The trainings of one store.

    Args:
        database: The store.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextmanager
    def under_way(self, user_ids: Sequence[str]) -> Generator[Training]:
        """Register a training for as long as the block runs.

        Whatever fails inside because its ground is pulled away (interactions, checkpoints), fails
        for that reason.

        Args:
            user_ids: Everybody whose interactions will be learned from.

        Yields:
            The training.

        Raises:
            UserNotFoundError: If there is no such user.
            UserForgottenError: If one of them was forgotten while the block ran.
            UsersimError: Whatever else failed.
        """
        training = self._begin(user_ids)
        try:
            yield training
        except UsersimError as error:
            if not isinstance(error, UserForgottenError):
                self.check(training)
            raise
        finally:
            # Where this fails, the row stays; it stands in nobody's way.
            with suppress(CorpusError), self._database.write() as connection:
                connection.execute(delete(trainings).where(trainings.c.id == training.id))

    def check(self, training: Training) -> None:
        """Stop where somebody was forgotten.

        Raises:
            UserForgottenError: Naming them.
        """
        with self._database.read() as connection:
            _check(connection, training)

    def _begin(self, user_ids: Sequence[str]) -> Training:
        names = sorted(set(user_ids))
        with self._database.write() as connection:
            people = row_ids(connection, names, lock=True)
            for name in names:
                if name not in people:
                    user_row_id(connection, name)  # raises with close matches
            values = {
                "people": len(people),
                "worker": f"{socket.gethostname()}:{os.getpid()}",
                "created": now(),
            }
            new = connection.scalar(insert(trainings).values(values).returning(trainings.c.id))
            assert new is not None, "the row that was just put in"
            links = [{"training_id": new, "user_id": owner} for owner in people.values()]
            if links:
                connection.execute(insert(training_users), links)
        return Training(new, people)


def check_training(connection: Connection, training: Training) -> None:
    """Refuse to write for a training where somebody was forgotten; holds the others.

    Raises:
        UserForgottenError: Naming them.
    """
    row_ids(connection, list(training.people), lock=True)
    _check(connection, training)


def stop_trainings(connection: Connection, owner: int) -> list[Worker]:
    """Take a person out of every training, which stops it, and return who trains.

    Args:
        connection: In a transaction that writes.
        owner: Row id of the person.
    """
    table = training_users.c
    theirs = select(table.training_id).where(table.user_id == owner)
    found = _workers(connection, select(trainings).where(trainings.c.id.in_(theirs)))
    connection.execute(delete(training_users).where(table.user_id == owner))
    return found


def stopping(connection: Connection) -> list[Worker]:
    """Return who still trains on data of somebody who was forgotten; forgets who is gone.

    Args:
        connection: In a transaction that writes.
    """
    left = (
        select(func.count()).where(training_users.c.training_id == trainings.c.id).scalar_subquery()
    )
    return _workers(connection, select(trainings).where(trainings.c.people > left))


def _workers(connection: Connection, query: Select[*tuple[Any, ...]]) -> list[Worker]:
    found: list[Worker] = []
    ended: list[int] = []
    for row in connection.execute(query):
        worker = Worker(row.worker, row.created)
        if worker.gone:
            ended.append(row.id)
        else:
            found.append(worker)
    for part in in_pieces(ended):
        connection.execute(delete(trainings).where(trainings.c.id.in_(part)))
    return found


def _check(connection: Connection, training: Training) -> None:
    """Compare who is in a training with who was.

    Raises:
        UserForgottenError: Naming those who are not any more.
    """
    table = training_users.c
    mine = table.training_id == training.id
    if connection.scalar(select(func.count()).where(mine)) == len(training.people):
        return
    linked = set(connection.scalars(select(table.user_id).where(mine)))
    present: set[int] = set()
    for part in in_pieces(list(training.people.values())):
        present.update(connection.scalars(select(users.c.id).where(users.c.id.in_(part))))
    gone = {name for name, owner in training.people.items() if owner not in present}
    # Taken out, and not removed yet; or the training's own row is gone.
    gone = gone or {name for name, owner in training.people.items() if owner not in linked}
    raise UserForgottenError(
        gone,
        "a training was using their data",
        hint="its output was deleted; train again without them",
    )
