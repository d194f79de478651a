"""What a fleet does for each person, as plain data that travels to a worker.

A job opens into work once in each worker: the store is opened and the engine loaded there, and
then people come one after another. Each is what one command does for one person: `train`,
its first half, or `simulate`. Knows the simulator; knows nothing of Ray.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from usersim.config import Dtype, PipelineConfig, Recipe, RemoteConfig
from usersim.corpus import Corpus, RunRecord
from usersim.engines import Engine
from usersim.engines.select import EngineName, load_engine
from usersim.errors import UserForgottenError
from usersim.fleet.outcomes import Outcome, attempt
from usersim.prediction import Embed
from usersim.simulator import AdapterChoice, UserSimulator
from usersim.simulator.learning import Learner
from usersim.simulator.people import People
from usersim.simulator.plugs import GivenRetriever, Plugs
from usersim.simulator.predicting import Predictions
from usersim.simulator.running import Runner
from usersim.training import BaseModelCache, TrainedAdapter
from usersim.types import TraceSource

__all__ = [
    "CLAIMS",
    "Job",
    "ReconstructJob",
    "SimulateJob",
    "TrainJob",
    "Work",
    "WorkerSettings",
    "absolute_store",
]


class Work(Protocol):
    """A job that is open in a worker."""

    def settings(self, asked: Mapping[str, object]) -> dict[str, object]:
        """Return what the results depend on and only a worker knows."""
        ...

    def do(self, people: Sequence[str], about: str) -> list[Outcome]:
        """Do the tasks of some people; `about` is what was not known when the job was made."""
        ...

    def close(self) -> None:
        """Give store and model back."""
        ...


class Job(Protocol):
    """What is done for each person; pickled on its way to a worker."""

    def open(self, worker: str) -> Work:
        """Open the store and load the engine, in a worker of that name."""
        ...


@dataclass(frozen=True, kw_only=True)
class WorkerSettings:
    """Where workers find people and model; the same on every machine.

    Attributes:
        store: SQLite file, absolute_store, or URL of a database.
        adapters: Folder of the store's adapters; None for the one that belongs to the store.
        model: Base model: `"embedded"`, a Hugging Face folder or a hub name.
        engine: Engine that runs it.
        dtype: Arithmetic of inference.
        base_url: Of a server, if that runs the model.
        config: Settings of every stage.
        embed: Turns texts into vectors; a function that workers can import.
        retriever: Chooses what of the past is shown; a function that workers can import.
        trace_judge: Model that ranks traces.

    Example:
        >>> setting = WorkerSettings(store="/data/people.usersim.db", model="/models/qwen3-8b")
        >>> setting.engine, setting.adapters
        ('auto', None)
    """

    store: str
    adapters: str | None = None
    model: str = "embedded"
    engine: EngineName = "auto"
    dtype: Dtype = "auto"
    base_url: str | None = None
    config: PipelineConfig = PipelineConfig()
    embed: Embed | None = None
    retriever: GivenRetriever | None = None
    trace_judge: str | None = None

    def corpus(self) -> Corpus:
        """Open the store."""
        return Corpus.open(self.store, config=self.config.corpus, adapters=self.adapters)

    def load(self, model: str | None = None) -> Engine:
        """Load the base model, or another one, into the engine."""
        if self.base_url is not None and model is None:
            server = RemoteConfig(base_url=self.base_url, tokenizer=self.model)
            return load_engine(self.model, engine="remote", config=server)
        return load_engine(model or self.model, engine=self.engine, dtype=self.dtype)


@dataclass(frozen=True, kw_only=True)
class ReconstructJob:
    """Draw, score and select traces of a person: what `train` does before it trains.

    Attributes:
        setting: People and model.
        limit: Interactions of each person, the newest; None takes all.
        recon_model: Another model that writes and scores the traces.

    Example:
        >>> setting = WorkerSettings(store="/data/people.usersim.db")
        >>> ReconstructJob(setting=setting, limit=200).recon_model is None
        True
    """

    setting: WorkerSettings
    limit: int | None = None
    recon_model: str | None = None

    def open(self, worker: str) -> Work:  # noqa: ARG002 - a claim is needed for answers alone
        """Open the store and load the engines."""
        return _Learning(self.setting, self.recon_model, None, self._one)

    def _one(self, learner: Learner) -> dict[str, object]:
        found = learner.reconstruct(learner.people.train(self.limit))
        return {
            "interactions": len(found.interactions),
            "kept": found.kept,
            "failed": len(found.failures),
            "stage": found.stage,
        }


@dataclass(frozen=True, kw_only=True)
class TrainJob:
    """Train one adapter for a person: what `usersim train --user` does.

    Attributes:
        setting: People and model.
        start: Adapter that every training starts from; None for fresh weights.
        recipe: How the synthesizer is trained first.
        traces: Which traces are learned.
        limit: Interactions of each person, the newest; None takes all.
        traced: Of these, how many get traces; None for all.
        max_minutes: Ends a person's training cleanly with the best state so far.
        recon_model: Another model that writes and scores the traces.
        second: A model of another family that stops the synthesizer's training.

    Example:
        >>> setting = WorkerSettings(store="/data/people.usersim.db")
        >>> job = TrainJob(setting=setting, limit=200, max_minutes=30)  # for run_fleet
        >>> job.recipe, job.traces
        ('select', 'recon_select')
    """

    setting: WorkerSettings
    start: TrainedAdapter | None = None
    recipe: Recipe = "select"
    traces: TraceSource = "recon_select"
    limit: int | None = None
    traced: int | None = None
    max_minutes: float | None = None
    recon_model: str | None = None
    second: str | None = None

    def open(self, worker: str) -> Work:  # noqa: ARG002 - a claim is needed for answers alone
        """Open the store and load the engines."""
        return _Learning(self.setting, self.recon_model, self.second, self._one)

    def _one(self, learner: Learner) -> dict[str, object]:
        learned = learner.train(
            self.recipe,
            self.traces,
            limit=self.limit,
            traced=self.traced,
            start=self.start,
            max_minutes=self.max_minutes,
        )
        told = learned.adapter.manifest
        return {
            "adapter": learned.adapter.ref.name,
            "digest": learned.adapter.ref.digest,
            "before": told.before.watched if told.before else None,
            "after": told.after.watched if told.after else None,
        }


class _Learning:
    """A job that learns from one person after another, with engines that are loaded once."""

    def __init__(
        self,
        setting: WorkerSettings,
        recon_model: str | None,
        second: str | None,
        one: Callable[[Learner], dict[str, object]],
    ) -> None:
        self._one = one
        with ExitStack() as opened:
            corpus = opened.enter_context(setting.corpus())

            def load(model: str | None) -> Engine:
                return opened.enter_context(closing(setting.load(model)))

            engine = load(None)
            judge = load(setting.trace_judge) if setting.trace_judge else None
            plugs = Plugs(embed=setting.embed, retriever=setting.retriever, trace_judge=judge)
            config = plugs.named_in(setting.config)
            self._learner = Learner(
                corpus=corpus,
                engine=engine,
                recon_engine=load(recon_model) if recon_model else engine,
                config=config,
                histories=Predictions(corpus, config, plugs).histories,
                people=People(corpus, None),
                second=load(second) if second else None,
                aids=plugs.aids,
                cache=BaseModelCache(),
            )
            self.close = opened.pop_all().close

    def settings(self, asked: Mapping[str, object]) -> dict[str, object]:
        """Return what the results depend on and only a worker knows."""
        return {**asked, "engine": self._learner.engine.identity}

    def do(self, people: Sequence[str], about: str) -> list[Outcome]:  # noqa: ARG002 - see `Work`
        """Learn from some people, one after another."""
        return [attempt(person, self._learn) for person in people]

    def _learn(self, person: str) -> dict[str, object]:
        own = People(self._learner.corpus, person)
        return self._one(replace(self._learner, people=own))


@dataclass(frozen=True, kw_only=True)
class SimulateJob:
    """Answer a person's requests of one run.

    Attributes:
        setting: People and model.
        adapter: Which adapter answers.
        seed: Reproduces the answers; None takes the configured one.
        chunk: Requests between two commits.

    Example:
        >>> setting = WorkerSettings(store="/data/people.usersim.db")
        >>> SimulateJob(setting=setting, chunk=64, seed=7).adapter
        'default'
    """

    setting: WorkerSettings
    adapter: AdapterChoice = "default"
    seed: int | None = None
    chunk: int

    def open(self, worker: str) -> Work:
        """Open the store and load the engine."""
        return _Answering(self, worker)


CLAIMS = "fleet: "
"""Beginning of the names under which workers claim requests; one driver at a time has a run."""


class _Answering:
    """A run that is answered person by person."""

    def __init__(self, job: SimulateJob, worker: str) -> None:
        self._worker = worker
        self._joined: RunRecord | None = None
        setting = job.setting
        corpus = setting.corpus()
        try:
            sim = UserSimulator(
                corpus,
                model=setting.model,
                engine=setting.load(),
                config=setting.config,
                adapter=job.adapter,
                embed=setting.embed,
                retriever=setting.retriever,
            )
        except BaseException:
            corpus.close()
            raise
        self.close = sim.close
        self._runner = Runner(
            corpus=corpus,
            load=lambda: sim.engine,
            identity=lambda: sim.engine.identity,
            asker=sim.asker(),
            user_id=None,
            traces=None,
            seed=job.seed,
            chunk=job.chunk,
        )

    def settings(self, asked: Mapping[str, object]) -> dict[str, object]:
        """Return everything that an answer depends on."""
        return self._runner.settings(asked)

    def do(self, people: Sequence[str], about: str) -> list[Outcome]:
        """Answer what is open of some people in the run `about`, in batches of all of theirs."""
        if self._joined is None or self._joined.name != about:
            self._joined = self._runner.stored(about)
        run = self._joined

        def answer(_: str) -> dict[str, object]:
            self._runner.work_for(run, people, self._worker)
            return {}

        whole = attempt(", ".join(people), answer)
        counts = self._runner.corpus.runs.counts(run.id, people)
        found: list[Outcome] = []
        for person in people:
            told = counts.get(person)
            if told is None:
                gone = UserForgottenError([person], "their requests were being answered")
                error, message, retryable = type(gone).__name__, str(gone), False
            else:
                error, message, retryable = whole.error, whole.message, whole.retryable
            result = {"answered": told.done, "failed": told.failed} if told else {}
            found.append(
                Outcome(
                    user_id=person,
                    seconds=whole.seconds,
                    result=result,
                    error=error,
                    message=message,
                    retryable=retryable,
                )
            )
        return found


def absolute_store(path: str | Path) -> str:
    """Return a store as every process finds it, whatever its working folder."""
    text = str(path)
    return text if "://" in text else str(Path(text).expanduser().resolve())
