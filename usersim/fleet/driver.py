"""Who is next: the loop that gives people to workers until everybody's task is over.

The driver alone reads and writes the fleet's tasks. A worker has as many people in hand as it is
given at once, and nothing is queued anywhere else; so a worker that is killed loses these, and a
driver that is killed loses what its workers have in hand. Knows the ledger and the cluster;
knows nothing of what is done for a person.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import cast

from usersim.corpus import Fleets, FleetStatus, FleetTask
from usersim.errors import (
    CorpusError,
    FleetError,
    FleetHeldError,
    UsersimError,
    WorkerLostError,
)
from usersim.fleet.cluster import Cluster, WorkerHandle
from usersim.fleet.jobs import Job
from usersim.fleet.outcomes import Outcome
from usersim.views import Progress

__all__ = ["Driver", "FleetHold", "driver_name", "first_worker", "hold_fleet"]

logger = logging.getLogger(__name__)

HOLD_SECONDS = 30.0
"""How long a fleet is held by a driver of which nothing is heard."""
WAIT_SECONDS = 1.0
"""Between two looks whether a task that waits can be given to a worker."""


def driver_name() -> str:
    """Return this process's name as the driver of a fleet: `machine:process`."""
    return f"{socket.gethostname()}:{os.getpid()}"


class FleetHold:
    """That a fleet is held, or was lost to another driver; made by `held`."""

    def __init__(self) -> None:
        self.lost: CorpusError | None = None

    def check(self) -> None:
        """Do nothing while the fleet is held.

        Raises:
            CorpusError: If another driver has it: this machine slept, or lost sight of the store.
        """
        if self.lost is not None:
            raise self.lost


@contextmanager
def hold_fleet(
    fleets: Fleets, fleet_id: int, *, seconds: float = HOLD_SECONDS
) -> Generator[FleetHold]:
    """Hold a fleet for as long as the block runs, so that nobody else drives it.

    Yields:
        What says whether it is still held.

    Raises:
        CorpusError: If another driver holds it.
    """
    own = driver_name()
    fleets.hold(fleet_id, own, seconds=seconds)
    hold, ended = FleetHold(), threading.Event()

    def extend() -> None:
        while not ended.wait(seconds / 3):
            try:
                fleets.hold(fleet_id, own, seconds=seconds)
            except FleetHeldError as error:
                hold.lost = error
                return
            except CorpusError as error:  # the next write says whether the store is there
                logger.warning("the fleet could not be held for longer: %s", error)

    thread = threading.Thread(target=extend, name="usersim-fleet", daemon=True)
    thread.start()
    try:
        yield hold
    finally:
        ended.set()
        thread.join()
        # On a full disk this fails too; the hold then runs out by itself.
        with suppress(CorpusError):
            fleets.let_go(fleet_id, own)


@dataclass(kw_only=True)
class Driver:
    """Drives one fleet, which the caller holds.

    Attributes:
        fleets: The ledger.
        fleet_id: The fleet.
        hold: Says whether the caller still holds it.
        cluster: Where workers are hired.
        job: What they do.
        about: What they are told with every task.
        at_once: People that a worker is given at once.
        retries: How often a task is tried again.
        progress: Called with (stage, people whose task is over, people).
        prefix: Beginning of the workers' names.
        lost: Called with the name of a worker that is gone.
        hired: Workers that are ready and idle.
    """

    fleets: Fleets
    fleet_id: int
    hold: FleetHold
    cluster: Cluster
    job: Job
    about: str = ""
    at_once: int = 1
    retries: int = 2
    progress: Progress | None = None
    prefix: str = ""
    lost: Callable[[str], None] | None = None
    hired: list[WorkerHandle] = field(default_factory=list[WorkerHandle])
    _calls: dict[object, tuple[WorkerHandle, tuple[FleetTask, ...]]] = field(
        default_factory=dict[object, tuple[WorkerHandle, tuple[FleetTask, ...]]]
    )
    _useless: int = 0

    def run(self) -> FleetStatus:
        """Give people to workers until every task is over; return how far the fleet is.

        Raises:
            FleetError: If workers end before they are ready, or the cluster is gone.
            UsersimError: If a worker can do nothing at all, for instance not load the model.
        """
        status = self.fleets.status(self.fleet_id)
        over, total = status.total - status.left, status.total
        try:
            self._tell(over, total)
            self._hire(status.left)
            while self._give():
                self.hold.check()
                ended = self.cluster.ended(list(self._calls), seconds=WAIT_SECONDS)
                for call in ended:
                    over += self._end(call)
                if ended:
                    self._tell(over, total)
        finally:
            for hand in [*self.hired, *(hand for hand, _ in self._calls.values())]:
                with suppress(UsersimError):  # whatever ended the fleet says more
                    self.cluster.stop_worker(hand)
        return self.fleets.status(self.fleet_id)

    def _tell(self, over: int, total: int) -> None:
        if self.progress is not None:
            self.progress("tasks", over, total)

    def _hire(self, left: int) -> None:
        """Start as many workers as have something to do."""
        needed = -(-left // self.at_once)
        have = len(self.hired) + len(self._calls)
        for _ in range(min(self.cluster.workers, needed) - have):
            self._replace()

    def _replace(self) -> None:
        hand, call = self.cluster.start_worker(self.job, {}, prefix=self.prefix)
        self._calls[call] = (hand, ())

    def _give(self) -> bool:
        """Give waiting people to idle workers; return whether anything is under way or waits."""
        while self.hired:
            tasks = tuple(self.fleets.start(self.fleet_id, self.at_once))
            if not tasks:
                break
            hand = self.hired.pop()
            people = [one.user_id for one in tasks]
            self._calls[self.cluster.give(hand, people, self.about)] = (hand, tasks)
        at_work = any(tasks for _, tasks in self._calls.values())
        # Nobody at work, and a worker idle: nothing waits, for else it had been given away.
        return at_work or (bool(self._calls) and not self.hired)

    def _end(self, call: object) -> int:
        """Take what a call brought; return how many tasks are over by it.

        Raises:
            UsersimError: If the worker can do nothing at all.
        """
        hand, tasks = self._calls.pop(call)
        try:
            brought = self.cluster.result(call)
        except WorkerLostError as error:
            return self._lose(hand, tasks, error)
        except UsersimError:
            self.hired.append(hand)  # to be dismissed with the others
            raise
        self._useless = 0
        self.hired.append(hand)
        if not tasks:  # it is ready, and that is all
            return 0
        return self._take(tasks, cast("Sequence[Outcome]", brought))

    def _take(self, tasks: Sequence[FleetTask], brought: Sequence[Outcome]) -> int:
        over = 0
        for task, outcome in zip(tasks, brought, strict=True):
            if not outcome.error:
                self.fleets.finish(
                    self.fleet_id, task, seconds=outcome.seconds, result=outcome.result
                )
                over += 1
                continue
            again = outcome.retryable and task.attempts <= self.retries
            logger.warning("%s of %r: %s", outcome.error, task.user_id, outcome.message)
            self.fleets.fail(
                self.fleet_id,
                task,
                error=outcome.error,
                message=outcome.message,
                seconds=outcome.seconds,
                again=again,
            )
            over += not again
        return over

    def _lose(self, hand: WorkerHandle, tasks: Sequence[FleetTask], error: WorkerLostError) -> int:
        """Let wait what a lost worker had in hand, and hire another one."""
        logger.warning("worker %s is gone: %s", hand.name, error)
        if self.lost is not None:
            self.lost(hand.name)
        over = 0
        for task in tasks:
            again = task.attempts <= self.retries
            self.fleets.fail(
                self.fleet_id,
                task,
                error=type(error).__name__,
                message=f"the worker was lost in attempt {task.attempts}: {error}",
                again=again,
            )
            over += not again
        if not tasks:
            self._useless += 1
            check_useful(self._useless, self.retries, error)
        with suppress(UsersimError):  # it may be there still, and only be out of reach
            self.cluster.stop_worker(hand)
        self._replace()
        return over


def first_worker(
    cluster: Cluster, job: Job, asked: Mapping[str, object], *, prefix: str, retries: int
) -> tuple[WorkerHandle, dict[str, object]]:
    """Hire a worker; return it, ready, and what only a worker knows.

    Args:
        cluster: Where it is hired.
        job: What it does.
        asked: What the settings are asked with.
        prefix: Beginning of its name.
        retries: How often a lost worker is replaced.
    """
    useless = 0
    while True:
        hand, call = cluster.start_worker(job, asked, prefix=prefix)
        while not cluster.ended([call], seconds=WAIT_SECONDS):
            pass
        try:
            return hand, cast("dict[str, object]", cluster.result(call))
        except WorkerLostError as error:
            useless += 1
            check_useful(useless, retries, error)


def check_useful(useless: int, retries: int, error: WorkerLostError) -> None:
    """Give up where worker after worker is lost before it is ready.

    Raises:
        FleetError: If there were more than `retries` of them.
    """
    if useless > retries:
        raise FleetError(
            f"a worker ended before it was ready: {error}"
            if useless == 1
            else f"{useless} workers ended before they were ready; the last one: {error}",
            hint="a machine that runs out of memory ends workers: use fewer of them, or a "
            "smaller model",
        ) from error
