"""Work a run off: store its items, claim them piece by piece, answer, store, until all are done.

Knows the order of these steps; knows no table and no prompt. Whatever ends a client, finished
items stay finished, and what it was working on is claimed again, by it or by another client.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from types import MappingProxyType

from usersim.corpus import Corpus, RefusedRows, Requests, Response, RunRecord
from usersim.corpus.report import SHOWN_GROUPS
from usersim.engines import Engine
from usersim.engines.options import OPTION_RULE
from usersim.errors import (
    ConfigError,
    CorpusError,
    EngineError,
    EngineUnavailableError,
    RefusedRowsError,
    UserNotFoundError,
)
from usersim.prompts import templates_key
from usersim.simulation import RespondItem, most_drawn_tokens
from usersim.simulator.asking import Asker
from usersim.simulator.requested import RequestSource, rows_of
from usersim.simulator.run import Run, RunCost
from usersim.types import Failure, RunItem, RunStatus, content_key
from usersim.types.counting import counted
from usersim.views import Progress

__all__ = [
    "ASKED_OF",
    "CHUNK",
    "Runner",
    "asked_of",
    "begin_run",
    "check_requests",
    "check_unchanged",
    "run_of",
    "stored_run",
]

logger = logging.getLogger(__name__)

CHUNK = 64
"""Requests between two commits: what a kill can lose."""
LEASE_SECONDS = 30.0
"""How long a claim counts when its client is gone; a client at work extends it in time."""
RECOUNT_SECONDS = 5.0
"""How often the other clients' work is counted for the progress."""
ASKED_OF = ("requests", "number of requests")
"""Settings that describe the list of requests."""


@dataclass(frozen=True, slots=True)
class Runner:
    """Runs long lists of requests with one simulator's settings.

    Attributes:
        corpus: The store.
        load: Returns the engine that answers, loaded when it is first needed.
        identity: Returns the engine's identity, which may not need it loaded.
        asker: Turns requests into items with their history.
        user_id: The simulator's person; None for everybody.
        traces: Stage whose kept traces are shown; None if there is none.
        seed: Seed of the run; None takes the configured one.
        chunk: Requests that are claimed, answered and stored at once.
        lease_seconds: How long a claim counts unless it is extended.
    """

    corpus: Corpus
    load: Callable[[], Engine]
    identity: Callable[[], str]
    asker: Asker
    user_id: str | None
    traces: str | None
    seed: int | None
    chunk: int = CHUNK
    lease_seconds: float = LEASE_SECONDS

    @property
    def engine(self) -> Engine:
        """The engine that answers."""
        return self.load()

    def cost(self, source: RequestSource) -> RunCost:
        """Return what a run of `source` would take; nothing is generated or stored."""
        requests = self.read(source)
        prompt_tokens = drawn_tokens = 0
        for request in requests:
            item = self.asker.prepared(request.user_id, request.question, before=request.before)
            prompt = item.prompt(self.asker.config.history)
            prompt_tokens += sum(self.engine.count_tokens(content) for _, content in prompt)
            space = request.question.space
            drawn_tokens += most_drawn_tokens(space, self.asker.config.simulation)
        return RunCost(
            requests=len(requests),
            prompt_tokens=prompt_tokens,
            drawn_tokens=drawn_tokens,
            refused=requests.refused,
        )

    def run(
        self, source: RequestSource | None, *, name: str | None, progress: Progress | None
    ) -> Run:
        """Ask everything that was not asked yet and return the run.

        Args:
            source: The requests; None resumes those stored under `name`.
            name: Its name; None makes one of its fingerprint.
            progress: Called with (stage, items done, items).

        Raises:
            RefusedRowsError: If no request can be asked.
            ConfigError: If a run of that name was started with different settings.
            EngineUnavailableError: If the engine is gone; what is done is kept.
        """
        if self.chunk < 1:
            raise ConfigError(f"chunk must be at least 1 request; got {self.chunk!r}")
        record, requests = self._begun(source, name)
        self._work(record, progress)
        return run_of(self.corpus, record, requests)

    def read(self, source: RequestSource) -> Requests:
        """Read and check requests; needs no engine."""
        requests = self.corpus.requests(rows_of(source), user_id=self.user_id)
        check_requests(requests)
        return requests

    def _begun(
        self, source: RequestSource | None, name: str | None
    ) -> tuple[RunRecord, Requests | None]:
        """Return the run in the store, started if it is not there, and the requests as read."""
        if source is None:
            return self.stored(name), None
        requests = self.read(source)
        return begin_run(self.corpus, requests, self.settings(asked_of(requests)), name), requests

    def stored(self, name: str | None) -> RunRecord:
        """Return a run that the store holds with all its requests, under unchanged settings.

        Raises:
            ConfigError: If there is none, or it was started with other settings.
            CorpusError: If what it was started with is damaged.
        """
        record = stored_run(self.corpus, name)
        missing = [field for field in ASKED_OF if field not in record.settings]
        if missing:
            raise CorpusError(
                f"the store {self.corpus.name!r} is damaged: run {record.name!r} does not say "
                f"its {' and '.join(missing)}",
                hint="start it again under another name with its file of requests, or restore a "
                "backup",
            )
        asked = {field: record.settings[field] for field in ASKED_OF}
        check_unchanged(f"run {record.name!r}", record.settings, self.settings(asked))
        return record

    def settings(self, asked: Mapping[str, object] = MappingProxyType({})) -> dict[str, object]:
        """Return everything that an answer depends on, field by field."""
        asker, config = self.asker, self.asker.config
        parts = {"simulation": config.simulation, "history": config.history}
        fields: dict[str, object] = {
            f"{part}.{name}": value
            for part, settings in parts.items()
            for name, value in settings.model_dump(mode="json").items()
            if (part, name) != ("simulation", "seed")
        }
        adapters = asker.adapters.settings(self.user_id)
        kept = {key: one.candidate.key for key, one in asker.kept.items()}
        shown = self.traces is not None and adapters["adapter"] is None
        return {
            **fields,
            "predictors": sorted(asker.pooled),
            "respondents' weight": config.prediction.weight,
            "prompts": templates_key(),
            "options": OPTION_RULE,
            "engine": self.identity(),
            **adapters,
            "kept traces": content_key(self.traces, kept) if shown else None,
            "seed": config.simulation.seed if self.seed is None else self.seed,
            **asked,
        }

    def work_for(self, record: RunRecord, people: Sequence[str], owner: str) -> None:
        """Answer everything that is open of some people, for a fleet that gives them to one worker.

        Args:
            record: The run, as `stored` returned it.
            people: A few hundred at the most.
            owner: Who claims their items.
        """
        runs = self.corpus.runs
        with self._extended(record.id, owner), self._explained(record):
            while any(one.left for one in runs.counts(record.id, people).values()):
                items = runs.claim(
                    record.id, owner, limit=self.chunk, seconds=self.lease_seconds, of=people
                )
                if items:
                    self._answer(record.id, owner, items)
                else:  # in the hands of a client that runs beside the fleet
                    time.sleep(min(1.0, self.lease_seconds / 4))

    def _work(self, record: RunRecord, progress: Progress | None) -> None:
        """Claim, answer and store until every item is done, by this client or another."""
        owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        tally = _Tally(lambda: self.corpus.runs.status(record.id), progress)
        with self._extended(record.id, owner), self._explained(record):
            tally.count()
            while tally.left:
                items = self.corpus.runs.claim(
                    record.id, owner, limit=self.chunk, seconds=self.lease_seconds
                )
                if items:
                    tally.add(self._answer(record.id, owner, items))
                    continue
                tally.count()
                if tally.left:
                    # The rest is in other clients' hands: they finish it, or their claims run out.
                    time.sleep(min(1.0, self.lease_seconds / 4))

    def _answer(self, run_id: int, owner: str, items: Sequence[RunItem]) -> int:
        """Answer claimed items and store the results; return how many were stored."""
        asked: list[RespondItem] = []
        places: list[int] = []
        done: dict[int, Response | Failure] = {}
        for one in items:
            try:
                asked.append(self._item(one))
            except UserNotFoundError as error:
                # A person forgotten since the claim took their items along, so that nothing is
                # closed here. Were the item still there, it would be claimed without end.
                done[one.place] = _failure(one, error)
            else:
                places.append(one.place)
        gone = len(done)
        rows = {one.place: one.row for one in items}
        batch, answers = self.asker.answered(self.engine, asked)
        done |= {place: answer for place, answer in zip(places, answers, strict=True) if answer}
        for failure in batch.failures:
            place = places[failure.index]
            # The message names the place in the chunk, which means nothing to a reader.
            said = failure.message.replace(f"item {failure.index}:", f"row {rows[place]}:", 1)
            done[place] = replace(failure, index=place, message=said)
        stored = self.corpus.runs.finish(run_id, owner, done)
        if stored < len(done) - gone:
            logger.warning(
                "%d of %d results were not stored: another client took over their items, or their "
                "person was forgotten",
                len(done) - gone - stored,
                len(done) - gone,
            )
        return stored

    def _item(self, one: RunItem) -> RespondItem:
        request = one.request
        return self.asker.prepared(
            request.user_id, request.question, before=request.before, seed=self.seed
        )

    @contextmanager
    def _extended(self, run_id: int, owner: str) -> Generator[None]:
        """Extend the owner's claims in the background, and give them back at the end."""
        ended = threading.Event()

        def extend() -> None:
            while not ended.wait(self.lease_seconds / 3):
                try:
                    self.corpus.runs.extend(run_id, owner, seconds=self.lease_seconds)
                except CorpusError as error:  # `finish` finds out whether the claims still count
                    logger.warning("claims could not be extended: %s", error)

        thread = threading.Thread(target=extend, name="usersim-claims", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            # On a full disk this fails too; the claims then run out by themselves.
            with suppress(CorpusError):
                self.corpus.runs.release(run_id, owner)

    @contextmanager
    def _explained(self, record: RunRecord) -> Generator[None]:
        """Say of an engine that is gone how far the run is and how to resume.

        Raises:
            EngineUnavailableError: In place of any retryable error of the engine.
            EngineError: Any other one, as it came.
        """
        try:
            yield
        except EngineError as error:
            if not error.retryable:
                raise
            status = self.corpus.runs.status(record.id)
            raise EngineUnavailableError(
                f"run {record.name!r} stopped, {status}: {error}",
                hint="repeat the same call when the engine is available again to resume; finished "
                "requests are not repeated",
            ) from error


def check_requests(requests: Requests) -> None:
    """Do nothing for requests of which at least one can be asked.

    Raises:
        RefusedRowsError: If there is none; says why.
    """
    if len(requests):
        return
    said = "".join(f"\n{group}" for group in requests.refused.groups()[:SHOWN_GROUPS])
    others = requests.tally.other_users
    raise RefusedRowsError(
        f"no valid requests: {counted(len(requests.refused), 'row')} refused, "
        f"{counted(others, 'row')} of other people{said}",
        hint='a request is a row such as {"user_id": "ada", "context": "Tea or coffee?"}',
    )


def asked_of(requests: Requests) -> dict[str, object]:
    """Return the settings that describe a list of requests."""
    return dict(zip(ASKED_OF, (requests.digest, len(requests)), strict=True))


def begin_run(
    corpus: Corpus, requests: Requests, settings: Mapping[str, object], name: str | None
) -> RunRecord:
    """Return the run in the store with all its requests, started if it is not there.

    Args:
        corpus: The store.
        requests: What is asked.
        settings: What the answers depend on, as `Runner.settings` returns it.
        name: Its name; None makes one of its fingerprint.

    Raises:
        ConfigError: If a run of that name was started with different settings.
    """
    fingerprint = content_key("run", name, settings)
    record = corpus.runs.begin(name or f"run-{fingerprint[:12]}", fingerprint, settings)
    check_unchanged(f"run {record.name!r}", record.settings, settings)
    if record.total is None:
        corpus.runs.fill(record.id, requests.lines())
    return record


def stored_run(corpus: Corpus, name: str | None) -> RunRecord:
    """Return a run that the store holds with all its requests.

    Raises:
        ConfigError: If there is none of that name, or its requests are not complete.
    """
    record = corpus.runs.find(name) if name else None
    if record is None:
        names = [one.name for one in corpus.runs.all()]
        raise ConfigError(
            f"there is no run {name!r} to resume; there are {names!r}"
            if name
            else "neither requests nor the name of a run to resume",
            hint="give the requests, or the name of a run that `usersim runs` lists",
        )
    if record.total is None:
        raise ConfigError(
            f"run {name!r} cannot be resumed: its requests were not stored completely",
            hint="pass the same requests again",
        )
    return record


def run_of(corpus: Corpus, record: RunRecord, requests: Requests | None) -> Run:
    """Return a stored run as it is handed out; `requests` is None where it was resumed by name."""
    return Run(
        id=record.id,
        name=record.name,
        fingerprint=record.fingerprint,
        settings=record.settings,
        refused=requests.refused if requests is not None else RefusedRows(),
        other_users=requests.tally.other_users if requests is not None else 0,
        _runs=corpus.runs,
    )


def _failure(item: RunItem, error: UserNotFoundError) -> Failure:
    return Failure(
        index=item.place,
        item=item.request.user_id,
        error=type(error).__name__,
        message=str(error),
    )


class _Tally:
    """Counts for the progress: own work at once, that of other clients now and then."""

    def __init__(self, status: Callable[[], RunStatus], progress: Progress | None) -> None:
        self._status = status
        self._progress = progress
        self._counted = 0.0
        self._done = 0
        self._total = 0

    @property
    def left(self) -> int:
        return self._total - self._done

    def count(self) -> None:
        """Ask the store."""
        status = self._status()
        self._done, self._total = status.total - status.left, status.total
        self._counted = time.monotonic()
        self._tell()

    def add(self, stored: int) -> None:
        """Add own work; near the end and now and then the store is asked."""
        self._done += stored
        if self.left <= 0 or time.monotonic() - self._counted > RECOUNT_SECONDS:
            self.count()
        else:
            self._tell()

    def _tell(self) -> None:
        if self._progress is not None:
            self._progress("answer", self._done, self._total)


def check_unchanged(what: str, before: Mapping[str, object], now: Mapping[str, object]) -> None:
    """Reject resuming what was started with different settings.

    Args:
        what: What is resumed, with its name.
        before: The settings that it was started with.
        now: Those that it would be resumed with.

    Raises:
        ConfigError: Naming every field that changed, its old and its new value.
    """
    names = [*before, *(name for name in now if name not in before)]
    changed = [
        f"{name} was {before.get(name)!r} and is {now.get(name)!r}"
        for name in names
        if before.get(name) != now.get(name)
    ]
    if changed:
        raise ConfigError(
            f"{what} was started with different settings: {'; '.join(changed)}",
            hint="use the old settings and requests to resume it, or choose another name to start "
            "a new run",
        )
