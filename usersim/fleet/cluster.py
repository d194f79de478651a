# pyright: basic
"""Workers on a cluster: the rim to Ray.

Everything that knows Ray is here. On this machine a cluster is started for as long as it is
needed; somebody else's is joined by its address.
"""

from __future__ import annotations

import logging
import math
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from filelock import FileLock, Timeout

from usersim.errors import (
    ConfigError,
    FleetError,
    MissingDependencyError,
    WorkerLostError,
    boundary,
)
from usersim.fleet.jobs import Job
from usersim.fleet.worker import FleetWorker
from usersim.types.counting import counted

__all__ = [
    "Cluster",
    "Resources",
    "WorkerHandle",
    "cluster",
    "fit_resources",
    "remove_stale_folders",
]

logger = logging.getLogger(__name__)

_STORE_BYTES = 80 * 2**20
"""Ray's smallest object store, near enough: nothing but names and outcomes is sent."""
_TOKEN = secrets.token_hex(32)
"""Of the clusters that this process starts. Ray listens on every interface; who has no token is
refused. Ray reads it once in a process."""
_FOLDER, _LOCK = "usersim-fleet-", "driver.lock"
_RERUN = "rerun the same command to resume; finished people are not repeated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What workers are given.

    Attributes:
        workers: How many; None for one on each GPU, and a single one where there is no GPU.
        cpus: Cores of each, which is also its number of threads.
        gpus: GPUs of each, or a share of one; None for one where the cluster has any.

    Example:
        >>> fit_resources(Resources(gpus=0.5), cpus=64, gpus=2)
        Resources(workers=4, cpus=1, gpus=0.5)
    """

    workers: int | None = None
    cpus: float = 1
    gpus: float | None = None

    def __post_init__(self) -> None:
        """Reject what no cluster can give.

        Raises:
            ConfigError: Naming the value.
        """
        if self.workers is not None and self.workers < 1:
            raise ConfigError(f"the number of workers must be at least 1; got {self.workers}")
        if self.cpus <= 0 or (self.gpus is not None and self.gpus < 0):
            raise ConfigError(
                f"a worker needs more than 0 cores and not fewer than 0 GPUs; got {self.cpus:g} "
                f"cores and {self.gpus or 0:g} GPUs"
            )


@dataclass(frozen=True, slots=True)
class WorkerHandle:
    """A worker as the driver has it.

    Attributes:
        name: Under which it claims what it works on.
        actor: Ray's handle.
    """

    name: str
    actor: Any


class Cluster:
    """Workers that can be hired; made by `cluster`.

    Args:
        ray: The module, connected.
        resources: What each worker gets, and how many there may be; nothing is left open.
    """

    def __init__(self, ray: ModuleType, resources: Resources) -> None:
        self._ray = ray
        self.resources = resources
        self.workers = resources.workers or 1
        self._hired = 0

    def start_worker(
        self, job: Job, asked: Mapping[str, object], *, prefix: str = ""
    ) -> tuple[WorkerHandle, Any]:
        """Start a worker; return it, and the call that says when it is ready.

        Args:
            job: What it does.
            asked: What its settings are asked with.
            prefix: Beginning of its name.
        """
        self._hired += 1
        name = f"{prefix}{self._hired}-{secrets.token_hex(4)}"
        kind = self._ray.remote(FleetWorker).options(
            num_cpus=self.resources.cpus,
            num_gpus=self.resources.gpus or 0,
            max_restarts=0,  # a new worker is hired by whoever knows what this one had in hand
            max_task_retries=0,
        )
        hand = WorkerHandle(name, kind.remote(job, name))
        return hand, hand.actor.ready.remote(dict(asked))

    def give(self, hand: WorkerHandle, people: Sequence[str], about: str) -> Any:
        """Give people to a worker; return the call."""
        return hand.actor.do.remote(list(people), about)

    def ended(self, calls: Sequence[Any], *, seconds: float) -> list[Any]:
        """Return those calls that have ended, after the first one or after a while."""
        with boundary(FleetError, "waiting for the workers", hint=_RERUN):
            done, _ = self._ray.wait(
                list(calls), num_returns=len(calls), timeout=0, fetch_local=False
            )
            if not done:
                done, _ = self._ray.wait(
                    list(calls), num_returns=1, timeout=seconds, fetch_local=False
                )
            return done

    def result(self, call: Any) -> Any:
        """Return what a call that has ended brought.

        Raises:
            WorkerLostError: If its worker is gone.
            UsersimError: What the worker raised.
        """
        errors = self._ray.exceptions
        with boundary(FleetError, "a worker", hint=_RERUN):
            try:
                return self._ray.get(call)
            except errors.RayTaskError as error:
                raise error.cause from None
            except (errors.ActorDiedError, errors.ActorUnavailableError) as error:
                raise WorkerLostError(_first_line(error)) from error
            except errors.RayActorError as error:
                raise WorkerLostError(_first_line(error)) from error

    def stop_worker(self, hand: WorkerHandle) -> None:
        """End a worker, whatever it does."""
        with boundary(FleetError, "ending a worker"):
            self._ray.kill(hand.actor, no_restart=True)


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


@contextmanager
def cluster(address: str | None, resources: Resources) -> Generator[Cluster]:
    """Connect to a cluster, or start one on this machine for the time of a `with`.

    Args:
        address: As `HOST:PORT` or `auto`; None starts one here.
        resources: What workers are given.

    Yields:
        The cluster, which has room for the workers.

    Raises:
        MissingDependencyError: If Ray is not installed.
        ConfigError: If the cluster has no room for so many workers.
        FleetError: If it cannot be started or reached.
    """
    with ExitStack() as opened:
        if address is None:
            opened.enter_context(_environment(_own_environment()))
        ray = _import_ray()
        if address is None:
            opened.enter_context(_started(ray, resources))
        else:
            opened.enter_context(_joined(ray, address))
        has = ray.cluster_resources()
        yield Cluster(ray, fit_resources(resources, has.get("CPU", 0.0), has.get("GPU", 0.0)))


def fit_resources(resources: Resources, cpus: float, gpus: float) -> Resources:
    """Return resources with nothing left open, and check that a cluster has room for them.

    Args:
        resources: What workers are given.
        cpus: Cores of the cluster.
        gpus: Its GPUs.

    Raises:
        ConfigError: If it has not.

    Example:
        >>> fit_resources(Resources(), cpus=64, gpus=8)
        Resources(workers=8, cpus=1, gpus=1)
        >>> fit_resources(Resources(), cpus=8, gpus=0)
        Resources(workers=1, cpus=1, gpus=0)
    """
    each = resources.gpus if resources.gpus is not None else (1 if gpus else 0)
    most = math.floor(min(cpus / resources.cpus, gpus / each if each else math.inf) + 1e-9)
    wanted = resources.workers or (max(most, 1) if each else 1)
    if wanted > most:
        raise ConfigError(
            f"the cluster has {cpus:g} cores and {gpus:g} GPUs, which is too few for "
            f"{counted(wanted, 'worker')} with {resources.cpus:g} cores and {each:g} GPUs each",
            hint="ask for fewer workers, or for less for each of them",
            cli_hint="lower --workers, --cpus-per-worker or --gpus-per-worker",
        )
    return Resources(workers=wanted, cpus=resources.cpus, gpus=each)


def _own_environment() -> dict[str, str]:
    """Return the variables of a cluster that only this process can use.

    Ray reads them when it is imported: where a program imported it before, its choice stays.
    """
    own = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": _TOKEN}
    if "ray" in sys.modules and not _guarded:
        logger.warning(
            "Ray was imported before usersim could ask for a token: other users of the network "
            "may reach the cluster; set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN"
        )
        return {}
    _guarded.append(True)
    return own


_guarded: list[bool] = []
"""Not empty once Ray was imported with our token."""


def _import_ray() -> ModuleType:
    """Import Ray, which then sends nothing to anybody.

    Raises:
        MissingDependencyError: If it is not installed.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # silences a warning
    try:
        import ray
    except ImportError as error:
        raise MissingDependencyError(
            "ray", extra="fleet", why="work that is spread over workers"
        ) from error
    return ray


@contextmanager
def _started(ray: ModuleType, resources: Resources) -> Generator[None]:
    """Start a cluster on this machine, and end it with everything that it wrote.

    It has as many cores as the workers were promised: whoever asks for more than there are wants
    them shared.

    Yields:
        Nothing.
    """
    cores = max(os.cpu_count() or 1, math.ceil((resources.workers or 1) * resources.cpus))
    with _own_folder() as folder, _ended(ray):
        with boundary(FleetError, "starting Ray on this machine", hint=_RERUN):
            ray.init(
                address="local",
                num_cpus=cores,
                include_dashboard=False,
                object_store_memory=_STORE_BYTES,
                log_to_driver=False,
                configure_logging=False,
                _temp_dir=str(folder),
                _node_ip_address="127.0.0.1",
            )
        yield


@contextmanager
def _own_folder() -> Generator[Path]:
    """Give Ray a folder that only this user may read, and delete it, and those of the dead.

    Yields:
        The folder.
    """
    # Sockets have short names on every system, so no folder of tests or of macOS.
    parent = Path("/tmp") if Path("/tmp").is_dir() else Path(tempfile.gettempdir())  # noqa: S108 - a folder of our own in it
    remove_stale_folders(parent)
    folder = Path(tempfile.mkdtemp(prefix=_FOLDER, dir=parent))
    try:
        with FileLock(folder / _LOCK):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_stale_folders(parent: Path) -> list[Path]:
    """Delete the folders that killed drivers of this user left, and return them.

    Args:
        parent: Where they are. A driver that lives holds the lock in its folder.
    """
    gone: list[Path] = []
    for folder in sorted(parent.glob(f"{_FOLDER}*")):
        # Another user's is not opened; one without a lock was made at this moment.
        with suppress(Timeout, OSError):
            if (folder / _LOCK).exists():
                with FileLock(folder / _LOCK, timeout=0):
                    shutil.rmtree(folder)
                    gone.append(folder)
    return gone


@contextmanager
def _joined(ray: ModuleType, address: str) -> Generator[None]:
    """Connect to a cluster that is there, and leave it.

    Yields:
        Nothing.
    """
    with _ended(ray):
        with boundary(
            FleetError,
            f"connecting to the cluster at {address!r}",
            hint="start it with Ray's own command, with the same versions of Python, Ray and "
            "usersim on every machine, and with the same RAY_AUTH_MODE and RAY_AUTH_TOKEN here",
        ):
            ray.init(address=address, log_to_driver=False, configure_logging=False)
        yield


@contextmanager
def _ended(ray: ModuleType) -> Generator[None]:
    """Disconnect from Ray; a cluster that was started here ends with its processes.

    Yields:
        Nothing.

    Raises:
        FleetError: If this process is connected already.
    """
    if ray.is_initialized():
        raise FleetError(
            "this process is already connected to Ray",
            hint="call ray.shutdown() first, or pass the address of that cluster in a process of "
            "its own",
            cli_hint="run the command in a shell of its own",
        )
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _environment(values: Mapping[str, str]) -> Generator[None]:
    """Set variables that are read when a cluster starts; those that are set already stay.

    Yields:
        Nothing.
    """
    new = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(new)
    try:
        yield
    finally:
        for name in new:
            os.environ.pop(name, None)
