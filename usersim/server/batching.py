"""From single requests to batches: a bounded queue, and the threads that drive an engine.

Engines are synchronous and answer many items at once; requests come one by one. What waits is
answered together. Knows items and outcomes; knows no HTTP and no wire format.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import groupby
from typing import Generic, NoReturn, TypeVar

from usersim.config import SimulationConfig
from usersim.errors import (
    EngineError,
    EngineUnavailableError,
    RefusedRequestError,
    UsersimError,
    boundary,
)
from usersim.simulation import RespondItem
from usersim.types.counting import counted

__all__ = ["Batcher", "Job", "draining", "refuse_busy", "refuse_draining", "refuse_late"]

Result = TypeVar("Result")
GATHERINGS = 10
"""A batch is closed after so many times `gather_seconds`, even if requests keep coming."""
RETRY_SECONDS = 1
"""How long a rejected client is asked to wait at the least; its own backoff does the rest."""


def refuse_busy(waiting: int) -> NoReturn:
    """Refuse a request for which there is no place in the queue.

    Raises:
        RefusedRequestError: Always.
    """
    raise RefusedRequestError(
        f"{counted(waiting, 'answer is', 'answers are')} waiting, the limit of this server",
        status=429,
        code="queue_full",
        retry_after=RETRY_SECONDS,
        hint="retry later, or with fewer clients at a time",
    )


def draining() -> RefusedRequestError:
    """Return the refusal of a request that comes after the server was asked to stop."""
    return RefusedRequestError(
        "the server is shutting down",
        status=503,
        code="shutting_down",
        retry_after=RETRY_SECONDS,
    )


def refuse_draining() -> NoReturn:
    """Refuse a request that comes after the server was asked to stop.

    Raises:
        RefusedRequestError: Always.
    """
    refusal = draining()
    raise refusal


def refuse_late(seconds: float) -> NoReturn:
    """Refuse a request whose time is over.

    Raises:
        RefusedRequestError: Always.
    """
    raise RefusedRequestError(
        f"timed out after {seconds:g} s",
        status=504,
        code="timeout",
        retry_after=RETRY_SECONDS,
    ) from None


@dataclass(eq=False, slots=True)
class Job(Generic[Result]):
    """The items of one request, answered in one batch.

    Attributes:
        items: What is asked, one item per answer.
        config: How the answers are drawn.
        future: Holds the results in the order of the items; cancelled, the job is dropped
            where it still waits.
    """

    items: Sequence[RespondItem]
    config: SimulationConfig
    future: Future[list[Result]] = field(default_factory=Future[list[Result]])


class Batcher(Generic[Result]):
    """Gathers jobs into batches and has them answered in threads of its own.

    Args:
        answer: Answers items under one config; one result per item, in their order.
        workers: Threads. More than one is of use to an engine that computes calls from
            several threads together.
        batch: Most items in a batch; a larger job is a batch of its own.
        gather_seconds: See `ServerConfig.gather_seconds`.
        limit: Most items that may wait.
        observe: Called with (items, seconds) of each batch.
    """

    def __init__(
        self,
        answer: Callable[[SimulationConfig, Sequence[RespondItem]], list[Result]],
        *,
        workers: int,
        batch: int,
        gather_seconds: float,
        limit: int,
        observe: Callable[[int, float], None],
    ) -> None:
        self._answer = answer
        self._batch = batch
        self._gather_seconds = gather_seconds
        self._limit = limit
        self._observe = observe
        self._queue: deque[Job[Result]] = deque()
        self._waiting = 0
        self._changed = threading.Condition()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._run, name=f"usersim-batch-{n}", daemon=True)
            for n in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Items that wait for a batch."""
        return self._waiting

    @property
    def full(self) -> bool:
        """Whether no further item may wait."""
        return self._waiting >= self._limit

    def submit(self, job: Job[Result]) -> Future[list[Result]]:
        """Queue a job.

        Raises:
            RefusedRequestError: If the queue is full, or the batcher closed.
        """
        with self._changed:
            if self._closed:
                refuse_draining()
            # A job that is larger than the queue still runs where nothing else waits.
            if self._waiting and self._waiting + len(job.items) > self._limit:
                refuse_busy(self._waiting)
            self._queue.append(job)
            self._waiting += len(job.items)
            self._changed.notify()
        return job.future

    def close(self, seconds: float) -> None:
        """Take nothing more, refuse what waits, and let what runs end within `seconds`."""
        with self._changed:
            self._closed = True
            dropped = list(self._queue)
            self._queue.clear()
            self._waiting = 0
            self._changed.notify_all()
        for job in dropped:
            if job.future.set_running_or_notify_cancel():
                job.future.set_exception(draining())
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0))

    # ------------------------------------------------------------------ in the threads

    def _run(self) -> None:
        while jobs := self._take():
            live = [job for job in jobs if job.future.set_running_or_notify_cancel()]
            live.sort(key=lambda job: job.config.key)
            for _, group in groupby(live, key=lambda job: job.config.key):
                self._work(list(group))

    def _take(self) -> list[Job[Result]]:
        """Return the next batch; none once the batcher is closed."""
        taken: list[Job[Result]] = []
        with self._changed:
            self._await_jobs()
            room = self._batch
            while self._queue and (not taken or len(self._queue[0].items) <= room):
                job = self._queue.popleft()
                taken.append(job)
                room -= len(job.items)
                self._waiting -= len(job.items)
            return taken

    def _await_jobs(self) -> None:
        """Wait until there is a batch to take, or the end."""
        while not self._closed:
            while not self._queue and not self._closed:
                self._changed.wait()
            self._gather()
            if self._queue:  # otherwise another thread took what this one gathered for
                return

    def _gather(self) -> None:
        """Wait until the queue fills a batch or no longer grows."""
        deadline = time.monotonic() + GATHERINGS * self._gather_seconds
        seen = -1
        while seen < self._waiting < self._batch and not self._closed:
            seen = self._waiting
            left = min(self._gather_seconds, deadline - time.monotonic())
            if left <= 0:
                return
            self._sleep(left)

    def _sleep(self, seconds: float) -> None:
        """Let requests in for `seconds`; each one that comes ends a `wait` early."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and self._waiting < self._batch:
            self._changed.wait(left)

    def _work(self, jobs: Sequence[Job[Result]]) -> None:
        items = [item for job in jobs for item in job.items]
        started = time.perf_counter()
        try:
            with boundary(EngineError, "answering a batch"):
                results = iter(self._answer(jobs[0].config, items))
        except UsersimError as error:
            self._failed(jobs, error)
            return
        except MemoryError:
            self._failed(jobs, EngineUnavailableError("out of memory"))
            return
        self._observe(len(items), time.perf_counter() - started)
        for job in jobs:
            job.future.set_result([next(results) for _ in job.items])

    def _failed(self, jobs: Sequence[Job[Result]], error: UsersimError) -> None:
        """Tell of a failure; one request's own fault does not become that of the others."""
        if error.retryable or len(jobs) == 1:
            for job in jobs:
                job.future.set_exception(error)
            return
        for job in jobs:
            self._work([job])
