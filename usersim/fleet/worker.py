"""A worker: holds one open job, and does what it is given.

Ray makes an actor of this class; it is a plain one, and knows nothing of Ray.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from usersim.fleet.jobs import Job, Work
from usersim.fleet.outcomes import Outcome

__all__ = ["FleetWorker"]


class FleetWorker:
    """Does one person's task after another.

    Args:
        job: What is done.
        name: Under which it claims what it works on.
    """

    def __init__(self, job: Job, name: str) -> None:
        self._job = job
        self._name = name
        self._work: Work | None = None

    def ready(self, asked: Mapping[str, object]) -> dict[str, object]:
        """Open the store, load the engine, and return what only a worker knows.

        Not done in the constructor, whose errors would reach the driver as a worker that is gone.
        """
        return self._open().settings(asked)

    def do(self, people: Sequence[str], about: str) -> list[Outcome]:
        """Do the tasks of some people; one that fails is an outcome too."""
        return self._open().do(people, about)

    def _open(self) -> Work:
        if self._work is None:
            self._work = self._job.open(self._name)
        return self._work
