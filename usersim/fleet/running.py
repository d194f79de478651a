"""Train, reconstruct or simulate many people with a fleet of workers.

The order of the steps: who is concerned, which fleet of the store that is, workers, until
everybody's task is over. Rerun, the same call resumes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from usersim.corpus import Corpus, FleetKind, FleetRecord, Requests, RunRecord
from usersim.errors import ConfigError, UserNotFoundError
from usersim.fleet.cluster import Resources, cluster
from usersim.fleet.driver import Driver, first_worker, hold_fleet
from usersim.fleet.jobs import CLAIMS, ReconstructJob, SimulateJob, TrainJob, WorkerSettings
from usersim.prompts import templates_key
from usersim.simulator import AdapterChoice, Base, Run
from usersim.simulator.adapters import Adapters
from usersim.simulator.plugs import Plugs, name_of
from usersim.simulator.requested import RequestSource, rows_of
from usersim.simulator.running import (
    ASKED_OF,
    asked_of,
    begin_run,
    check_requests,
    check_unchanged,
    run_of,
    stored_run,
)
from usersim.training import TrainedAdapter
from usersim.types import content_key
from usersim.types.counting import counted
from usersim.views import Progress, staged

__all__ = ["FleetOptions", "run_fleet", "shared_adapter", "simulate"]

SHOWN = 5
"""People that an error names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetOptions:
    """Where and how a fleet works; nothing of this changes a result.

    Attributes:
        address: Of a Ray cluster; None starts one on this machine.
        resources: What workers are given.
        retries: How often a person's task is tried again.
        retry_failed: Whether what failed in an earlier call is tried again.
        people_at_once: Most people whose requests a worker of `simulate` answers together.

    Example:
        >>> how = FleetOptions(address="10.0.0.5:6379", resources=Resources(cpus=4))
        >>> how.retries, how.resources.workers
        (2, None)
    """

    address: str | None = None
    resources: Resources = Resources()
    retries: int = 2
    retry_failed: bool = False
    people_at_once: int = 16

    def __post_init__(self) -> None:
        """Reject what cannot be counted.

        Raises:
            ConfigError: Naming the value.
        """
        if self.retries < 0 or self.people_at_once < 1:
            raise ConfigError(
                f"retries must be at least 0 and people at once at least 1; got {self.retries} "
                f"and {self.people_at_once}"
            )


def run_fleet(
    corpus: Corpus,
    job: TrainJob | ReconstructJob,
    *,
    users: Sequence[str] | None = None,
    name: str | None = None,
    how: FleetOptions = FleetOptions(),
    progress: Progress | None = None,
) -> FleetRecord:
    """Train an adapter for each person, or reconstruct their traces; resumes where it stopped.

    Args:
        corpus: The store, open; workers open it again for themselves.
        job: What is done for each person.
        users: Their ids; None takes everybody in the store.
        name: Of the fleet; None makes one of its settings.
        how: Workers and retries.
        progress: Called with (stage, people whose task is over, people).

    Returns:
        The fleet; `corpus.fleets.tasks(fleet.id)` are its people.

    Raises:
        ConfigError: If nobody is named, or a fleet of that name was started with other settings.
        UserNotFoundError: If somebody is not in the store.
        FleetError: If workers cannot be started, or the cluster is gone.
    """
    people = _people(corpus, users)
    kind: FleetKind = "train" if isinstance(job, TrainJob) else "reconstruct"
    settings = _settings(corpus, job, kind, people)
    chosen = name or f"{kind}-{content_key('fleet', settings)[:12]}"
    record = corpus.fleets.begin(chosen, kind, settings)
    check_unchanged(f"fleet {record.name!r}", record.settings, settings)
    with hold_fleet(corpus.fleets, record.id) as hold:
        if not record.complete:
            corpus.fleets.fill(record.id, people)
        corpus.fleets.resume(record.id, failed=how.retry_failed)
        if corpus.fleets.status(record.id).left:
            with cluster(how.address, how.resources) as opened:
                Driver(
                    fleets=corpus.fleets,
                    fleet_id=record.id,
                    hold=hold,
                    cluster=opened,
                    job=job,
                    retries=how.retries,
                    progress=staged(kind, progress),
                ).run()
    return _again(corpus, record)


def simulate(
    corpus: Corpus,
    job: SimulateJob,
    requests: RequestSource | None = None,
    *,
    name: str | None = None,
    how: FleetOptions = FleetOptions(),
    progress: Progress | None = None,
) -> tuple[Run, FleetRecord]:
    """Answer a long list of requests, each person's on one worker; resumes where it stopped.

    The run is the one that `UserSimulator.run` makes of the same requests and settings.

    Args:
        corpus: The store, open; workers open it again for themselves.
        job: How requests are answered.
        requests: A file, or an iterable of (user_id, context) pairs or of rows without an action;
            None resumes the run `name`.
        name: Of run and fleet; None makes one of the run's settings and requests.
        how: Workers and retries.
        progress: Called with (stage, people whose task is over, people).

    Returns:
        The run, and the fleet that answered it.

    Raises:
        RefusedRowsError: If there is no valid request.
        ConfigError: If a run of that name was started with different settings.
        FleetError: If workers cannot be started, or the cluster is gone.
    """
    read, asked = _asked(corpus, requests, name)
    with cluster(how.address, how.resources) as opened:
        hand, known = first_worker(opened, job, asked, prefix=CLAIMS, retries=how.retries)
        run = _run(corpus, read, known, name)
        record = _fleet_of(corpus, run)
        with hold_fleet(corpus.fleets, record.id) as hold:
            if not record.complete:
                corpus.fleets.fill(record.id, corpus.runs.people(run.id))
            corpus.runs.release_all(run.id, CLAIMS)
            corpus.fleets.resume(record.id, failed=how.retry_failed)
            left = corpus.fleets.status(record.id).left
            Driver(
                fleets=corpus.fleets,
                fleet_id=record.id,
                hold=hold,
                cluster=opened,
                job=job,
                about=run.name,
                # Small enough that no worker is idle while another has half of the people.
                at_once=max(min(how.people_at_once, math.ceil(left / (2 * opened.workers))), 1),
                retries=how.retries,
                progress=staged("simulate", progress),
                prefix=CLAIMS,
                lost=lambda worker: corpus.runs.release(run.id, worker),
                hired=[hand],
            ).run()
    return run_of(corpus, run, read), _again(corpus, record)


def _asked(
    corpus: Corpus, requests: RequestSource | None, name: str | None
) -> tuple[Requests | None, dict[str, object]]:
    """Return the requests, and the settings that describe them."""
    if requests is None:
        stored = stored_run(corpus, name).settings
        return None, {field: stored[field] for field in ASKED_OF}
    read = corpus.requests(rows_of(requests))
    check_requests(read)
    return read, asked_of(read)


def _run(
    corpus: Corpus, read: Requests | None, settings: Mapping[str, object], name: str | None
) -> RunRecord:
    if read is not None:
        return begin_run(corpus, read, settings, name)
    record = stored_run(corpus, name)
    check_unchanged(f"run {record.name!r}", record.settings, settings)
    return record


def _fleet_of(corpus: Corpus, run: RunRecord) -> FleetRecord:
    settings: dict[str, object] = {"work": "simulate", "run": run.fingerprint}
    record = corpus.fleets.begin(run.name, "simulate", settings)
    check_unchanged(f"fleet {record.name!r}", record.settings, settings)
    return record


def _again(corpus: Corpus, record: FleetRecord) -> FleetRecord:
    found = corpus.fleets.find(record.name)
    assert found is not None, "a fleet that was just driven"
    return found


def shared_adapter(
    corpus: Corpus, setting: WorkerSettings, start: AdapterChoice
) -> TrainedAdapter | None:
    """Return the adapter that everybody's training starts from.

    Args:
        corpus: The store.
        setting: Names the base model.
        start: `"default"` for the store's newest shared one, `"none"` or None for fresh weights,
            a name, or a folder.

    Raises:
        ConfigError: If the store has no shared adapter, or none of that name.
        ArtifactError: If it is damaged or writes traces.
        AdapterLoadError: If it was trained on another base model.
    """
    base = Base(setting.model, setting.engine)
    found = Adapters.of(corpus, base, start).for_rest()
    if found is None and start == "default":
        raise ConfigError(
            f"the store {corpus.name!r} has no shared adapter of {setting.model!r} to start from",
            hint="train one on everybody first, or start from 'none'",
            cli_hint="train one first: usersim train --corpus STORE; or give --start none",
        )
    return found


def _people(corpus: Corpus, users: Sequence[str] | None) -> list[str]:
    """Return who is concerned, each once, sorted.

    Raises:
        ConfigError: If that is nobody.
        UserNotFoundError: If somebody is not in the store.
    """
    stored = corpus.user_ids()
    if users is None:
        people = stored
    else:
        people = sorted(set(users))
        unknown = sorted(set(people).difference(stored))
        if len(unknown) == 1:
            corpus.require(unknown[0])  # names similar ones
        if unknown:
            shown = ", ".join(map(repr, unknown[:SHOWN])) + (" …" if len(unknown) > SHOWN else "")
            raise UserNotFoundError(
                f"{counted(len(unknown), 'user')} of {len(people):,} not in the corpus: {shown}",
                hint="`usersim users` lists those that are",
            )
    if not people:
        raise ConfigError(
            f"nobody to work on in {corpus.name!r}",
            hint="load a corpus first; `usersim users` shows what it holds",
        )
    return people


def _settings(
    corpus: Corpus, job: TrainJob | ReconstructJob, kind: FleetKind, people: Sequence[str]
) -> dict[str, object]:
    """Return everything that the results depend on, field by field; no person is named."""
    setting = job.setting
    plugs = Plugs(embed=setting.embed, retriever=setting.retriever)
    of_job = {
        one.name: _plain(getattr(job, one.name)) for one in fields(job) if one.name != "setting"
    }
    return {
        "work": kind,
        "model": setting.model,
        "model digest": Base(setting.model, setting.engine).if_there().digest,
        "engine": setting.engine,
        "dtype": setting.dtype,
        **of_job,
        "evidence by": name_of(chosen) if (chosen := plugs.retriever or plugs.embed) else "",
        "trace judge": setting.trace_judge,
        "settings": content_key(setting.config.model_dump(mode="json")),
        "prompts": templates_key(),
        "people": content_key("people", list(people)),
        "number of people": len(people),
        "corpus": corpus.digest(people),
    }


def _plain(value: object) -> object:
    return value.ref.digest if isinstance(value, TrainedAdapter) else value
