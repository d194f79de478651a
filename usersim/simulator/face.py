"""`UserSimulator`: the face of the library."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import NoReturn, Self
from weakref import WeakMethod

from usersim.config import DEFAULT_PRESET, DialogueConfig, PipelineConfig, Preset, Recipe
from usersim.corpus import Corpus, LoadReport
from usersim.corpus.readers.formats import Format
from usersim.engines import Engine
from usersim.engines.select import EngineName, known_identity, load_engine
from usersim.errors import ArgumentError, ConfigError, UsersimError
from usersim.evaluation import DEFAULT_ARMS, Arm, ArmName
from usersim.prediction import Embed, Similarity
from usersim.simulation import Answer, Piece, stream_answer
from usersim.simulation.dialogue import Assistant, Dialogue, Reached, Scenario, Speaker
from usersim.simulator import saving
from usersim.simulator.adapter_list import StoredAdapters, stored_adapters
from usersim.simulator.adapters import AdapterChoice, Adapters, Base
from usersim.simulator.asking import (
    Asker,
    Context,
    as_contexts,
    as_question,
    narrowed,
    only,
    response_of,
)
from usersim.simulator.calibrating import calibrate_people
from usersim.simulator.calibration import Calibration
from usersim.simulator.calls import as_pipeline, check_config, in_call, public
from usersim.simulator.dialogue import hold_dialogue, hold_dialogues, in_loop
from usersim.simulator.learning import Learner, ReportPage
from usersim.simulator.measure import Measurement, Measures
from usersim.simulator.people import People
from usersim.simulator.plugs import GivenRetriever, Plugs
from usersim.simulator.predicting import Predictions, check_predictors
from usersim.simulator.recon import Reconstruction
from usersim.simulator.requested import RequestSource
from usersim.simulator.respondents import Chosen, StoreRespondents, respondents_of
from usersim.simulator.run import Run, RunCost
from usersim.simulator.running import CHUNK, Runner
from usersim.simulator.stores import load_into_store, open_store
from usersim.simulator.streams import AnswerStream, AsyncAnswerStream
from usersim.survey import Mode, Survey, SurveyResults
from usersim.training import StepNote, TrainedAdapter
from usersim.types import Batch, DateOrder, Predictor, ScoredCandidate, TraceSource
from usersim.views import Progress, Sheet, facts, printed, show_progress, staged

__all__ = ["LOADING", "UserSimulator"]

LOADING = "load the model"
"""The stage of a long call in which the engine starts."""


def _sheet(sim: UserSimulator) -> Sheet:
    return facts("UserSimulator", sim.facts())


def _counted(n: int, one: str, many: str) -> str:
    return f"{n} {one if n == 1 else many}"


@printed(_sheet)
class UserSimulator:
    """Answers new contexts as a person would: reasoning first, action second.

    Made by `from_corpus`, `open` or `load`. Each person is answered for by the newest adapter of
    the store that fits the base model, their own before one that learned from several people.
    Where there is none, the base model answers from the person's history, with the traces that
    `reconstruct` kept. The model is loaded when it is first needed.

    Long calls take `progress`: True, the default, shows it in a terminal and in a notebook, False
    nowhere, and a function is called with (stage, done, total).

    Args:
        corpus: What the people did.
        user_id: The person; None simulates everybody in the corpus, each by their id.
        model: Base model: `"embedded"`, a Hugging Face folder or a hub name.
        engine: Which engine, or one that is already loaded.
        config: Settings of every stage, or a preset's name.
        adapter: `"default"`, `"none"`, the name of an adapter of the store, or a folder.
        embed: Turns texts into vectors; past answers that bear on a question that nobody else
            answered are then found by it.
        similarity: How alike texts are in meaning, in place of `embed` and of words.
        retriever: Chooses what of the past is shown, in place of all evidence; or a function
                that makes one of the corpus.
        trace_judge: Ranks reconstructions for preset `paper` (scorer `judge_listwise`): a
            model other than the one that writes them.
        report: What loading the corpus found.

    Raises:
        ArgumentError: If an argument is unknown or of a wrong type.
        ConfigError: If the settings were made with another embedding, retriever or judge.
        UserNotFoundError: If `user_id` is not in the corpus.

    Example:
        `UserSimulator.from_corpus("ada.jsonl", user_id="ada").respond("Tea or coffee?")`
    """

    @public
    def __init__(  # noqa: PLR0913 - keyword-only, each a plain fact
        self,
        corpus: Corpus,
        *,
        user_id: str | None = None,
        model: str | Path = "embedded",
        engine: EngineName | Engine = "auto",
        config: PipelineConfig | Preset = DEFAULT_PRESET,
        adapter: AdapterChoice = "default",
        embed: Embed | None = None,
        similarity: Similarity | None = None,
        retriever: GivenRetriever | None = None,
        trace_judge: Engine | None = None,
        report: LoadReport | None = None,
    ) -> None:
        if not isinstance(corpus, Corpus):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ArgumentError(
                f"UserSimulator() takes an open Corpus; got {corpus!r}",
                hint="UserSimulator.open(store) opens a store, UserSimulator.from_corpus(rows) "
                "loads rows",
            )
        self.corpus = corpus
        self.plugs = Plugs(
            embed=embed, similarity=similarity, retriever=retriever, trace_judge=trace_judge
        )
        self.config = self.plugs.named_in(as_pipeline(config, "UserSimulator()"))
        self.report = report
        self.user_id = user_id
        self.synthesizer: TrainedAdapter | None = None
        self._model = str(model)
        self._engine_choice: EngineName | Engine = engine
        self._people = People(corpus, user_id)
        self._predictions = Predictions(corpus, self.config, self.plugs)
        self._kept: dict[str, ScoredCandidate] = {}
        self._traces: str | None = None
        corpus.after_forgetting(_weakly(self._forget_prompts))
        self.use_adapter(adapter)

    # ------------------------------------------------------------------ opening and closing

    @classmethod
    @public
    def from_corpus(  # noqa: PLR0913 - keyword-only, each a plain fact
        cls,
        source: str | Path | Corpus | Iterable[Mapping[str, object]] | object,
        *,
        user_id: str | None = None,
        store: str | Path | None = None,
        model: str | Path = "embedded",
        engine: EngineName | Engine = "auto",
        config: PipelineConfig | Preset = DEFAULT_PRESET,
        adapter: AdapterChoice = "default",
        embed: Embed | None = None,
        similarity: Similarity | None = None,
        retriever: GivenRetriever | None = None,
        trace_judge: Engine | None = None,
        format: Format = "auto",  # noqa: A002 - the word of every reader
        person: str | None = None,
        codebook: Mapping[str, object] | Sequence[object] | str | Path | None = None,
        encoding: str | None = None,
        date_order: DateOrder | None = None,
        strict: bool = False,
        progress: Progress | bool = True,
    ) -> Self:
        """Load a corpus into its store and return a simulator over it.

        Args:
            source: A file, folder or zip archive of rows, survey answers, chats or mail, an
                iterable of dicts, a pandas or polars frame, or a store as `open` takes it.
            user_id: The person, and the id of rows that name nobody; None simulates everybody.
                Other people's rows are loaded too: what they answered tells how this person will.
            store: SQLite file or URL; None takes one beside a file, memory for anything else.
            model: Base model: `"embedded"`, a Hugging Face folder or a hub name.
            engine: Which engine, or one that is already loaded.
            config: Settings of every stage, or a preset's name.
            adapter: `"default"`, `"none"`, the name of an adapter of the store, or a folder.
            embed: Turns texts into vectors; past answers that bear on a question that nobody else
                answered are then found by it.
            similarity: How alike texts are in meaning, in place of `embed` and of words.
            retriever: Chooses what of the past is shown, in place of all evidence; or a function
                that makes one of the corpus.
            trace_judge: Ranks reconstructions for preset `paper` (scorer `judge_listwise`): a
                model other than the one that writes them.
            format: `auto` recognizes the format by content.
            person: In chats, the role or name of the person.
            codebook: In wide surveys, question texts, options and codes by column.
            encoding: Of a CSV file that is not UTF-8, such as `"cp1252"`.
            date_order: `"dmy"` or `"mdy"`: how dates such as 03/04/2024 are written, which are not
                read otherwise.
            strict: Raise if any row is refused, and keep nothing.
            progress: Whether, or to whom, progress is shown.

        Raises:
            CorpusError: If the source cannot be read or stored, or holds no usable row.
            UserNotFoundError: If `user_id` is not in the corpus.

        Example:
            >>> rows = [{"user_id": "ada", "context": "Tea?", "action": "Yes."}]
            >>> with UserSimulator.from_corpus(rows, user_id="ada", engine="scripted") as sim:
            ...     sim.users, sim.report.kept
            (['ada'], 1)
        """
        settings = as_pipeline(config, "from_corpus()")
        with show_progress(progress, "from_corpus()") as report:
            corpus, found = load_into_store(
                source,
                store,
                settings.corpus,
                user_id=user_id,
                format=format,
                person=person,
                codebook=codebook,
                encoding=encoding,
                date_order=date_order,
                strict=strict,
                progress=report,
            )
        return cls(
            corpus,
            user_id=user_id,
            model=model,
            engine=engine,
            config=settings,
            adapter=adapter,
            embed=embed,
            similarity=similarity,
            retriever=retriever,
            trace_judge=trace_judge,
            report=found,
        )

    @classmethod
    @public
    def open(  # noqa: PLR0913 - keyword-only, each a plain fact
        cls,
        store: str | Path,
        *,
        user_id: str | None = None,
        model: str | Path = "embedded",
        engine: EngineName | Engine = "auto",
        config: PipelineConfig | Preset = DEFAULT_PRESET,
        adapter: AdapterChoice = "default",
        embed: Embed | None = None,
        similarity: Similarity | None = None,
        retriever: GivenRetriever | None = None,
        trace_judge: Engine | None = None,
    ) -> Self:
        """Open a store into which people were loaded before.

        Args:
            store: SQLite file, or URL of a database.
            user_id: The person; None simulates everybody in the store.
            model: Base model: `"embedded"`, a Hugging Face folder or a hub name.
            engine: Which engine, or one that is already loaded.
            config: Settings of every stage, or a preset's name.
            adapter: `"default"`, `"none"`, the name of an adapter of the store, or a folder.
            embed: Turns texts into vectors; past answers that bear on a question that nobody else
                answered are then found by it.
            similarity: How alike texts are in meaning, in place of `embed` and of words.
            retriever: Chooses what of the past is shown, in place of all evidence; or a function
                that makes one of the corpus.
            trace_judge: Ranks reconstructions for preset `paper` (scorer `judge_listwise`): a
                model other than the one that writes them.

        Raises:
            ConfigError: If there is no such store.
            CorpusError: If it cannot be opened.
            UserNotFoundError: If `user_id` is not in it.

        Example:
            >>> from pathlib import Path
            >>> from tempfile import TemporaryDirectory
            >>> rows = [{"user_id": "ada", "context": "Tea?", "action": "Yes."}]
            >>> with TemporaryDirectory() as folder:
            ...     store = Path(folder) / "ada.usersim.db"
            ...     UserSimulator.from_corpus(rows, store=store, engine="scripted").close()
            ...     with UserSimulator.open(store, engine="scripted") as sim:
            ...         sim.users
            ['ada']
        """
        settings = as_pipeline(config, "open()")
        corpus = open_store(store, settings.corpus)
        try:
            return cls(
                corpus,
                user_id=user_id,
                model=model,
                engine=engine,
                config=settings,
                adapter=adapter,
                embed=embed,
                similarity=similarity,
                retriever=retriever,
                trace_judge=trace_judge,
            )
        except BaseException:
            corpus.close()
            raise

    @public
    def save(self, folder: str | Path) -> Path:
        """Write what is needed to bring this simulator back; the corpus stays in its store.

        The adapters that answer now are the ones that come back, whatever is trained later.

        Args:
            folder: Made if it does not exist.

        Returns:
            The folder, for `load`.

        Raises:
            ArtifactError: If the folder cannot be written.
            ConfigError: If the corpus is kept in memory only.

        Example:
            >>> from pathlib import Path
            >>> from tempfile import TemporaryDirectory
            >>> rows = [{"user_id": "ada", "context": "Tea?", "action": "Yes."}]
            >>> with TemporaryDirectory() as folder:
            ...     store = Path(folder) / "ada.usersim.db"
            ...     with UserSimulator.from_corpus(rows, store=store, engine="scripted") as sim:
            ...         saved = sim.save(Path(folder) / "ada")
            ...     with UserSimulator.load(saved, engine="scripted") as again:
            ...         again.users
            ['ada']
        """
        saved = saving.SavedSimulator(
            store=self.corpus.name,
            user_id=self.user_id,
            model=self._model,
            config=self.config,
            traces=self._traces,
            own_adapters={
                user: saving.SavedAdapter.of(one)
                for user, one in self._adapters.own_of(self.users).items()
            }
            if self.user_id is None
            else {},
            **saving.named("adapter", self.adapter),
            **saving.named("synthesizer", self.synthesizer),
        )
        return saving.write_simulator(folder, saved)

    @classmethod
    @public
    def load(
        cls,
        folder: str | Path,
        *,
        engine: EngineName | Engine = "auto",
        embed: Embed | None = None,
        similarity: Similarity | None = None,
        retriever: GivenRetriever | None = None,
        trace_judge: Engine | None = None,
    ) -> Self:
        """Bring a saved simulator back.

        Args:
            folder: As `save` wrote it.
            engine: Which engine, or one that is already loaded.
            embed: Turns texts into vectors; past answers that bear on a question that nobody else
                answered are then found by it.
            similarity: How alike texts are in meaning, in place of `embed` and of words.
            retriever: Chooses what of the past is shown, in place of all evidence; or a function
                that makes one of the corpus.
            trace_judge: Ranks reconstructions for preset `paper` (scorer `judge_listwise`): a
                model other than the one that writes them.

        Raises:
            ConfigError: If it was saved with another embedding, similarity, retriever or judge.
            ArtifactError: If the folder, or an adapter that it names, is incomplete or altered.
            CorpusError: If the store cannot be opened.
        """
        saved = saving.read_simulator(folder)
        corpus = Corpus.open(saved.store, config=saved.config.corpus)
        try:
            sim = cls(
                corpus,
                user_id=saved.user_id,
                model=saved.model,
                engine=engine,
                config=saved.config,
                adapter="none",
                embed=embed,
                similarity=similarity,
                retriever=retriever,
                trace_judge=trace_judge,
            )
            sim._bring_back(saved)
        except BaseException:
            corpus.close()
            raise
        return sim

    def _bring_back(self, saved: saving.SavedSimulator) -> None:
        """Take over the adapters and the traces that a saved simulator had."""
        self._adapters.shared = saved.load("adapter")
        self._adapters.own = {user: one.load() for user, one in saved.own_adapters.items()}
        self.synthesizer = saved.load("synthesizer")
        if saved.traces:
            rows = list(self.corpus.interactions(self.users, split="train"))
            self._remember(Reconstruction.stored(self.corpus, saved.traces, rows))

    def close(self) -> None:
        """Close the store and give the model's memory back."""
        if "engine" in self.__dict__:
            self.engine.close()
        self.corpus.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied.

        Raises:
            ConfigError: Saying how workers get a simulator instead.
        """
        memory = ":memory:" in self.corpus.name
        store = "a store in a file" if memory else f"the store {self.corpus.name!r}"
        raise ConfigError(
            "a UserSimulator holds an open store and a model, and cannot be pickled or copied",
            hint=f"hand {store} to the worker and open it there: UserSimulator.open(store, "
            "user_id=…); or save(folder), and UserSimulator.load(folder) in the worker",
        )

    # ------------------------------------------------------------------ what it holds

    @cached_property
    def engine(self) -> Engine:
        """The engine; loaded when it is first needed."""
        if isinstance(self._engine_choice, str):
            return load_engine(self._model, engine=self._engine_choice)
        return self._engine_choice

    @cached_property
    def _known(self) -> str | None:
        """The engine's identity, if an earlier run in the store has it: then it need not be loaded.

        A finished run is so resumed at once.
        """
        choice = self._engine_choice
        if not isinstance(choice, str) or "engine" in self.__dict__:
            return self.engine.identity
        earlier = {str(run.settings.get("engine")) for run in self.corpus.runs.all()}
        if not any(one.startswith(f"{self._model}@") for one in earlier):
            return None
        known = known_identity(self._model, engine=choice)
        return known if known in earlier else None

    def _forget_prompts(self) -> None:
        """Have the engine drop what it keeps of earlier prompts, if it was loaded and keeps any."""
        engine = self.__dict__.get("engine")
        forget_prompts = getattr(engine, "forget_prompts", None)
        if forget_prompts is not None:
            forget_prompts()

    def _ready(self, report: Progress | None) -> Engine:
        """Return the engine, and report that it is being loaded."""
        if (
            report is not None
            and "engine" not in self.__dict__
            and isinstance(self._engine_choice, str)
        ):
            report(LOADING, 0, 1)
            engine = self.engine
            report(LOADING, 1, 1)
            return engine
        return self.engine

    @property
    def model(self) -> str:
        """The base model, as it was named."""
        choice = self._engine_choice
        if isinstance(choice, str):
            return choice if choice == "scripted" else self._model
        return choice.model

    @property
    def users(self) -> list[str]:
        """The people that this simulator answers for."""
        return self._people.users

    @property
    def adapter(self) -> TrainedAdapter | None:
        """The adapter that answers; None for the base model.

        Where there are several people, the one of those without an own adapter; see `adapter_of`.

        Raises:
            ArtifactError: If it is missing, incomplete or altered.
            AdapterLoadError: If it was trained on another base model.
        """
        if self.user_id is not None:
            return self._adapters.for_person(self.user_id)
        return self._adapters.for_rest()

    @public
    def adapter_of(self, user_id: str) -> TrainedAdapter | None:
        """Return the adapter that answers for a person; None for the base model.

        Args:
            user_id: Who.

        Raises:
            ArtifactError: If it is missing, incomplete or altered.
            AdapterLoadError: If it was trained on another base model.
            UserNotFoundError: If there is no such user.

        Example:
            >>> rows = [{"user_id": "ada", "context": "Tea?", "action": "Yes."}]
            >>> with UserSimulator.from_corpus(rows, engine="scripted") as sim:
            ...     sim.adapter_of("ada") is None
            True
        """
        return self._adapters.for_person(self._people.one(user_id))

    @public
    def adapters(self) -> StoredAdapters:
        """Return the adapters of the store: for whom, when, how good, and which is the default.

        Example:
            >>> rows = [{"user_id": "ada", "context": "Tea?", "action": "Yes."}]
            >>> with UserSimulator.from_corpus(rows, engine="scripted") as sim:
            ...     len(sim.adapters())
            0
        """
        return stored_adapters(self.corpus, self._adapters.base)

    @public
    def use_adapter(self, adapter: AdapterChoice) -> None:
        """Answer with another adapter from now on.

        Args:
            adapter: `"default"` for the newest fitting one of the store for each person, `"none"`
                or None for the base model, the name of an adapter of the store, a folder, or what
                `train` returned.

        Raises:
            ArtifactError: If it is incomplete or altered, or holds a synthesizer.
            AdapterLoadError: If it was trained on another base model.
            ConfigError: If there is no such adapter, or it learned from another person alone.

        Example:
            >>> rows = [{"user_id": "ada", "context": "Tea?", "action": "Yes."}]
            >>> with UserSimulator.from_corpus(rows, engine="scripted") as sim:
            ...     sim.use_adapter("none")
            ...     sim.adapter is None
            True
        """
        base = Base(self.model, self._engine_choice)
        adapters = Adapters.of(self.corpus, base, adapter)
        if adapters.choice == "fixed" and self.user_id is not None:
            adapters.for_person(self.user_id)  # learned from another person alone: said at once
        self._adapters = adapters

    def describe_adapter(self) -> str:
        """Say in a line which adapter answers; verifies it.

        Raises:
            ArtifactError: If it is missing, incomplete or altered.
            AdapterLoadError: If it was trained on another base model.

        Example:
            >>> rows = [{"user_id": "ada", "context": "Tea?", "action": "Yes."}]
            >>> with UserSimulator.from_corpus(rows, user_id="ada", engine="scripted") as sim:
            ...     sim.describe_adapter()
            'none (base model)'
        """
        return self._adapters.describe(self.user_id)

    def facts(self) -> dict[str, str]:
        """Return what this simulator is made of, by name; loads and verifies nothing.

        Example:
            >>> rows = [{"user_id": "ada", "context": "Tea?", "action": "Yes."}]
            >>> with UserSimulator.from_corpus(rows, user_id="ada", engine="scripted") as sim:
            ...     sim.facts()["person"]
            'ada'
        """
        try:
            people = self.user_id or _counted(len(self.users), "person", "people")
            adapter = self._adapters.label(self.user_id)
        except UsersimError:  # a closed store in memory
            people, adapter = "closed", "unknown"
        return {
            "person" if self.user_id else "people": people,
            "model": self.model,
            "adapter": adapter,
            "store": self.corpus.name,
        }

    def __repr__(self) -> str:
        """Say whom it simulates, with which model and adapter, from which store."""
        said = ", ".join(f"{name}={value!r}" for name, value in self.facts().items())
        return f"UserSimulator({said})"

    # ------------------------------------------------------------------ learning

    @public
    def reconstruct(
        self,
        *,
        limit: int | None = None,
        recon_engine: Engine | None = None,
        progress: Progress | bool = True,
    ) -> Reconstruction:
        """Synthesize, score and select traces; resumes where it was interrupted.

        The kept traces stand in an untrained simulator's prompts from then on (Recon-Memory).

        Args:
            limit: Interactions of each person, the newest; None takes all.
            recon_engine: Another, larger model that writes and scores the traces; None takes
                the simulator's own.
            progress: Whether, or to whom, progress is shown.

        Raises:
            EmptySplitError: If there is nothing to learn from.

        Example:
            >>> rows = [
            ...     {"user_id": "ada", "context": f"Tea {i}?", "action": "Yes."}
            ...     for i in range(4)
            ... ]
            >>> with UserSimulator.from_corpus(rows, engine="scripted", config="tiny") as sim:
            ...     found = sim.reconstruct(progress=False)
            >>> len(found.interactions), found.failures
            (3, ())
        """
        rows = self._people.train(limit)
        with show_progress(progress, "reconstruct()") as report:
            found = self._learner(recon_engine or self._ready(report)).reconstruct(
                rows, synthesizer=self.synthesizer, progress=report
            )
        self._remember(found)
        return found

    @public
    def train(  # noqa: PLR0913 - keyword-only, each a plain fact
        self,
        *,
        recipe: Recipe = "select",
        traces: TraceSource = "recon_select",
        limit: int | None = None,
        traced: int | None = None,
        start: AdapterChoice = None,
        max_minutes: float | None = None,
        recon_engine: Engine | None = None,
        second: Engine | None = None,
        progress: Progress | bool = True,
        note: StepNote | None = None,
    ) -> TrainedAdapter:
        """Reconstruct, train an adapter (one for the person, or one shared by all) and use it.

        The adapter becomes the default of the store for these people; an adapter that was chosen
        before by `use_adapter` is not used any more. Rerun after an interruption, it resumes and
        ends with the same adapter.

        Args:
            recipe: How the synthesizer is trained first: `select` not at all, `rft`, `dpo`
                or `grpo`; the synthesizer stands in `self.synthesizer` afterwards.
            traces: Where the reasoning comes from; the default is Recon-Select.
            limit: Interactions of each person, the newest; None takes all.
            traced: Of these, how many interactions of each person get traces, evenly spaced; the
                others are learned without reasoning. None for all. Traces cost far more than
                training.
            start: Adapter whose weights are the first ones, so that one person's goes on from
                one that many people share: an adapter, its folder or name, or `"default"` for
                the store's newest shared one. The result then holds their data too. None begins
                with fresh weights.
            max_minutes: Stops the training early with the best state so far.
            recon_engine: Another, larger model that writes and scores the traces that the
                simulator's own learns from; a trained synthesizer is then one of that model.
            second: A reconstructor of another model family that stops the synthesizer's training
                when its score no longer rises (guard L8).
            progress: Whether, or to whom, progress is shown; the user model's training counts
                answers.
            note: Called with (step, steps, figures) after each step of DPO or GRPO.

        Raises:
            ConfigError: If there is no such recipe or source of traces.
            EmptySplitError: If there is nothing to learn from.
            ArtifactError: If `start` is damaged or writes traces.
            AdapterLoadError: If `start` was trained on another base model.
            TrainingError: If training fails; the last good checkpoint is kept.

        Example:
            ```python
            sim = UserSimulator.from_corpus("ada.jsonl", user_id="ada", config="tiny")
            adapter = sim.train(max_minutes=30)
            adapter.ref.name, adapter.manifest.after
            ```
        """
        first = Adapters.of(self.corpus, self._adapters.base, start).for_rest()
        with show_progress(progress, "train()") as report:
            learned = self._learner(self._ready(report), recon_engine, second).train(
                recipe,
                traces,
                limit=limit,
                traced=traced,
                start=first,
                max_minutes=max_minutes,
                progress=report,
                note=note,
            )
        self._remember(learned.found)
        self.synthesizer = learned.synthesizer
        self.use_adapter("default")
        return learned.adapter

    @public
    def calibrate(
        self,
        *,
        answers: int | None = None,
        out: str | Path | None = None,
        progress: Progress | bool = True,
    ) -> Calibration:
        """Fit what each predictor counts in closed answers, on answers nothing learned from.

        Every closed answer pools what the other people's answers, the person's own use of the
        options and the model say; before this, with weights that were fitted on other corpora.
        Repeat it after training, and after loading many more rows. Trains nothing.

        Args:
            answers: How many answers to predict, spread over the people; None takes
                `PredictionConfig.calibration`.
            out: Folder of a report with the reliability diagram; None writes none.
            progress: Whether, or to whom, progress is shown.

        Returns:
            The weights, and every predictor and the pool measured on people the weights were not
            fitted on.

        Raises:
            EvaluationError: If there is no closed answer that nothing learned from.
            CorpusError: If rows came or went meanwhile.

        Example:
            >>> answers, drinks = ["no", "yes"], ("tea", "coffee", "milk", "water")
            >>> rows = [
            ...     {"user_id": name, "context": f"{drink}?", "action": "yes", "options": answers}
            ...     for name in "abcdefghij"
            ...     for drink in drinks
            ... ]
            >>> with UserSimulator.from_corpus(rows, engine="scripted", config="tiny") as sim:
            ...     calibration = sim.calibrate(answers=8, progress=False)
            >>> calibration.failures, len(calibration.evaluation.interactions)
            ((), 8)
        """
        with show_progress(progress, "calibrate()") as report:
            return calibrate_people(
                self.asker(),
                lambda: self._ready(report),
                self._people,
                answers=answers,
                out=None if out is None else Path(out),
                progress=report,
            )

    @public
    def evaluate(  # noqa: PLR0913 - keyword-only, each a plain fact
        self,
        *,
        arms: Sequence[ArmName] = DEFAULT_ARMS,
        more: Sequence[Arm] = (),
        people: Sequence[str] | None = None,
        limit: int | None = None,
        traced: int | None = None,
        held_out: int | None = None,
        texts: bool = False,
        judge: Engine | None = None,
        traces: int | None = None,
        calibrate: int | None = None,
        recon_engine: Engine | None = None,
        second: Engine | None = None,
        out: str | Path | None = None,
        provenance: Mapping[str, object] | None = None,
        title: str = "Held-out answers",
        progress: Progress | bool = True,
    ) -> Measurement:
        """Measure arms against each other on answers held out; trains what is missing.

        How this simulator answers does not change; `use_adapter(measured.adapters["none"])`
        would answer with one of the arms.

        Args:
            arms: What to compare; see `usersim.evaluation.ARMS`.
            more: Arms of your own: any callable that predicts interactions.
            people: Who is learned from and measured; None takes everybody. The others are the
                panel: their training answers are known to `others` and to the arms that pool
                predictors.
            limit: Training interactions of each person, the newest; None takes all.
            traced: Of these, how many interactions of each person get traces, evenly spaced; the
                others are learned without reasoning. None for all.
            held_out: Held-out interactions in all; None takes every one.
            texts: Also draw the open answers, and measure their text.
            judge: Also lets a language model of another family compare the drawn answers of each
                arm with those of the baseline.
            traces: K, traces drawn for each answer of an arm with reasoning; None takes that of
                the configuration. The report shows K = 1, 4 and 16 up to it.
            calibrate: Before it measures the arms that pool predictors, fit their weights on so
                many training answers that nothing learned from; None takes the weights of the
                store.
            recon_engine: Another, larger model that writes and scores the traces that the
                simulator's own learns from.
            second: A reconstructor of another model family: says whether the choice of traces
                means anything to it, and stops the training of synthesizers (guard L8).
            out: Folder of the report; None writes none.
            provenance: Command and sizes, for the report.
            title: Heading of the page.
            progress: Whether, or to whom, progress is shown.

        Raises:
            ArgumentError: If `arms` is a single text.
            EvaluationError: If an arm is unknown, nothing is held out, or the judge also selected
                the traces.

        Example:
            >>> answers = ["yes", "no"]
            >>> rows = [
            ...     {"user_id": "ada", "context": f"Tea {i}?", "action": "yes", "options": answers}
            ...     for i in range(10)
            ... ]
            >>> with UserSimulator.from_corpus(rows, engine="scripted", config="tiny") as sim:
            ...     measured = sim.evaluate(arms=("chance", "few_shot"), progress=False)
            >>> measured.evaluation.estimate("Chance", "brier").interval.value
            0.5
        """
        if isinstance(arms, str):
            raise ArgumentError(
                f"evaluate(): arms must be a list of names; got the text {arms!r}",
                hint=f"arms=[{arms!r}]",
            )
        page = ReportPage(out=out, provenance=provenance, title=title)
        chosen = self._people.only(people)
        asked = Measures(
            arms=arms,
            more=more,
            texts=texts,
            judge=judge,
            embed=self.plugs.embed,
            traces=traces,
            calibrate=calibrate,
            traced=traced,
            panel=[user for user in self.users if user not in chosen.users] if people else (),
        )
        with show_progress(progress, "evaluate()") as report:
            learner = self._learner(self._ready(report), recon_engine, second)
            return replace(learner, people=chosen).evaluate(
                asked,
                asker=self.asker(),
                limit=limit,
                held_out=held_out,
                progress=report,
                page=page,
            )

    def _learner(
        self, engine: Engine, recon_engine: Engine | None = None, second: Engine | None = None
    ) -> Learner:
        return Learner(
            corpus=self.corpus,
            engine=engine,
            recon_engine=recon_engine or engine,
            config=self.config,
            histories=self._predictions.histories,
            people=self._people,
            second=second,
            aids=self.plugs.aids,
        )

    def _remember(self, found: Reconstruction) -> None:
        self._traces = found.stage
        self._kept.update(found.kept_traces())

    # ------------------------------------------------------------------ asking

    def asker(self, predictors: Sequence[Predictor] | None = None) -> Asker:
        """Return what puts questions to the people, as they would be answered now.

        Args:
            predictors: Whose distributions closed answers pool; None for those of the
                configuration.

        Raises:
            ArgumentError: If there is no such predictor.

        Example:
            >>> rows = [{"user_id": "ada", "context": "Tea?", "action": "Yes."}]
            >>> with UserSimulator.from_corpus(rows, engine="scripted") as sim:
            ...     item = sim.asker().item("ada", "Milk?", seed=1)
            >>> item.user_id, item.question.context[0].content
            ('ada', 'Milk?')
        """
        return Asker(
            self.corpus,
            self.config,
            self._predictions,
            self._model,
            self._adapters,
            self._kept,
            None if predictors is None else check_predictors(predictors),
        )

    @public
    def respond(  # noqa: PLR0913 - keyword-only, each a plain fact
        self,
        context: Context,
        *,
        user_id: str | None = None,
        options: Sequence[str] | None = None,
        kind: str | None = None,
        predictors: Sequence[Predictor] | None = None,
        explain: bool = False,
        seed: int | None = None,
        store: bool = True,
        progress: Progress | bool = False,
    ) -> Answer:
        """Answer one context as the person would.

        Args:
            context: A text, messages, a `Question` or an observed `Interaction`.
            user_id: Who answers, where the simulator holds several people.
            options: Options of a closed question, in order.
            kind: `choice`, `scale`, `number`, `multi_choice` or `free_text`.
            predictors: Whose distributions a closed answer pools, as `["panel", "reasoning"]`;
                None for those of the configuration.
            explain: Also measure how far the trace moves the answer.
            seed: Reproduces the answer; None takes the configured one.
            store: Keep the answer in the store, where the explorer shows it and `forget` finds it.
            progress: Whether, or to whom, progress is shown.

        Raises:
            UsersimError: If the answer stayed malformed; `respond_many` returns it as data.
            UserNotFoundError: If there is no such user.

        Example:
            >>> rows = [{"user_id": "ada", "context": "Tea?", "action": "Yes."}]
            >>> with UserSimulator.from_corpus(rows, user_id="ada", engine="scripted") as sim:
            ...     answer = sim.respond("Milk?", options=["yes", "no"])
            >>> answer.kind, round(sum(answer.probabilities.values()), 6)
            ('choice', 1.0)
        """
        with in_call("respond()"):
            as_question(context)
            asked = narrowed(context, options=options, kind=kind)
        person = self._people.one(user_id)
        with show_progress(progress, "respond()") as report:
            batch = self._answered(
                [person],
                [asked],
                predictors=predictors,
                explain=explain,
                seed=seed,
                store=store,
                progress=report,
            )
        return only(batch)

    @public
    def respond_many(  # noqa: PLR0913 - keyword-only, each a plain fact
        self,
        contexts: Iterable[Context],
        *,
        user_id: str | Sequence[str] | None = None,
        options: Sequence[str] | Sequence[Sequence[str] | None] | None = None,
        kind: str | Sequence[str | None] | None = None,
        predictors: Sequence[Predictor] | None = None,
        explain: bool = False,
        seed: int | None = None,
        store: bool = True,
        progress: Progress | bool = True,
    ) -> Batch[Answer]:
        """Answer many contexts in one batch; one item's failure is data.

        Args:
            contexts: What is asked.
            user_id: Who answers: one person for all, or one for each.
            options: Options of closed questions, in order: the same for all, or a list for each.
            kind: Kind of question: one for all, or one for each.
            predictors: Whose distributions a closed answer pools, as `["panel", "reasoning"]`;
                None for those of the configuration.
            explain: Also measure how far the traces move the answers.
            seed: Reproduces the answers; None takes the configured one.
            store: Keep the answers in the store, where the explorer shows them and `forget` finds
                them.
            progress: Whether, or to whom, progress is shown.

        Raises:
            ConfigError: If `user_id`, `options` or `kind` lists another number than contexts.
            UserNotFoundError: If there is no such user.

        Example:
            >>> rows = [{"user_id": "ada", "context": "Tea?", "action": "Yes."}]
            >>> with UserSimulator.from_corpus(rows, user_id="ada", engine="scripted") as sim:
            ...     asked = ["Milk?", "Sugar?"]
            ...     answers = sim.respond_many(asked, options=["yes", "no"], progress=False)
            >>> len(answers), answers.failures, answers[1].kind
            (2, (), 'choice')
        """
        with in_call("respond_many()"):
            asked = as_contexts(contexts, options=options, kind=kind)
            people = self._people.each(user_id, len(asked))
        with show_progress(progress, "respond_many()") as report:
            return self._answered(
                people,
                asked,
                predictors=predictors,
                explain=explain,
                seed=seed,
                store=store,
                progress=report,
            )

    def _answered(
        self,
        people: Sequence[str],
        asked: Sequence[Context],
        *,
        predictors: Sequence[Predictor] | None,
        explain: bool,
        seed: int | None,
        store: bool,
        progress: Progress | None = None,
    ) -> Batch[Answer]:
        asker = self.asker(predictors)
        pairs = zip(people, asked, strict=True)
        items = [asker.item(person, context, seed=seed) for person, context in pairs]
        batch, answers = asker.answered(
            self._ready(progress), items, explain=explain, progress=staged("answer", progress)
        )
        return asker.stored(batch, answers) if store else batch

    @public
    def stream(
        self,
        context: Context,
        *,
        user_id: str | None = None,
        options: Sequence[str] | None = None,
        kind: str | None = None,
        predictors: Sequence[Predictor] | None = None,
        seed: int | None = None,
        store: bool = True,
    ) -> AnswerStream:
        """Answer one context piece by piece: all of the reasoning, then the action.

        One trace is drawn, and nothing is drawn again: a malformed text ends the stream with an
        error. `stream.answer` is the whole answer after the last piece.

        Args:
            context: A text, messages, a `Question` or an observed `Interaction`.
            user_id: Who answers, where the simulator holds several people.
            options: Options of a closed question, in order.
            kind: `choice`, `scale`, `number`, `multi_choice` or `free_text`.
            predictors: Whose distributions a closed answer pools; see `respond`.
            seed: Reproduces the answer; None takes the configured one.
            store: Keep the answer in the store once it is whole, where the explorer shows it and
                `forget` finds it.

        Raises:
            UserNotFoundError: If there is no such user.

        Example:
            >>> rows = [{"user_id": "ada", "context": "Tea?", "action": "Yes."}]
            >>> with UserSimulator.from_corpus(rows, user_id="ada", engine="scripted") as sim:
            ...     stream = sim.stream("Milk?")
            ...     parts = [piece.part for piece in stream]
            >>> parts[0], parts[-1], stream.answer.kind
            ('reasoning', 'action', 'free_text')
        """
        with in_call("stream()"):
            question = as_question(context, options=options, kind=kind)
        asker = self.asker(predictors)
        item = asker.item(self._people.one(user_id), question, seed=seed)

        def drawing() -> Generator[Piece, None, Answer]:
            answer = yield from stream_answer(
                self.engine, item, config=self.config.simulation, history=self.config.history
            )
            if store:
                self.corpus.ledger.put_responses([response_of(item, answer)])
            return answer

        return AnswerStream(drawing())

    @public
    def run(
        self,
        requests: RequestSource | None = None,
        *,
        name: str | None = None,
        seed: int | None = None,
        chunk: int = CHUNK,
        progress: Progress | bool = True,
    ) -> Run:
        """Answer a long list of requests, each stored once, whatever interrupts it.

        Rerun the same call to resume; several clients on one store share the work.

        Args:
            requests: A file, or an iterable of (user_id, context) pairs or of rows without an
                action; None resumes the run `name` as the store holds it.
            name: Identifies the run; None identifies it by its settings and requests.
            seed: Reproduces the answers; None takes the configured one.
            chunk: Requests asked at once between two commits: what a kill can lose.
            progress: Whether, or to whom, progress is shown.

        Raises:
            RefusedRowsError: If there is no valid request.
            ConfigError: If the run was started with other settings.
            EngineUnavailableError: If the engine is gone; what is done is kept.

        Example:
            >>> rows = [{"user_id": "ada", "context": "Tea?", "action": "Yes."}]
            >>> with UserSimulator.from_corpus(rows, engine="scripted") as sim:
            ...     run = sim.run([("ada", "Milk?"), ("ada", "Sugar?")], name="breakfast")
            ...     print(run.status)
            2 done, 0 failed, 0 left of 2
        """
        with show_progress(progress, "run()") as report:
            runner = self._runner(seed, chunk, report)
            return runner.run(requests, name=name, progress=report)

    @public
    def dry_run(self, requests: RequestSource) -> RunCost:
        """Return what `run` would take, in requests and tokens; nothing is asked or stored.

        Args:
            requests: As for `run`.

        Example:
            >>> rows = [{"user_id": "ada", "context": "Tea?", "action": "Yes."}]
            >>> with UserSimulator.from_corpus(rows, engine="scripted") as sim:
            ...     sim.dry_run([("ada", "Milk?"), ("ada", "Sugar?")]).requests
            2
        """
        return self._runner(None, CHUNK).cost(requests)

    def _runner(self, seed: int | None, chunk: int, report: Progress | None = None) -> Runner:
        return Runner(
            corpus=self.corpus,
            load=lambda: self._ready(report),
            identity=lambda: self._known or self._ready(report).identity,
            asker=self.asker(),
            user_id=self.user_id,
            traces=self._traces,
            seed=seed,
            chunk=chunk,
        )

    # ------------------------------------------------------------------ surveys and dialogues

    @public
    def respondents(
        self,
        people: Chosen = None,
        *,
        name: str | None = None,
        seed: int | None = None,
        chunk: int = CHUNK,
    ) -> StoreRespondents:
        """Return people as respondents: `survey.run(sim.respondents())`.

        Args:
            people: Their ids, or one id; None takes everybody.
            name: Of the runs that keep the answers; None makes one of everything that they
                depend on.
            seed: Reproduces answers and orders; None takes the configured one.
            chunk: Questions asked at once between two commits: what a kill can lose.

        Raises:
            ConfigError: If somebody is not among the simulator's people.
            UserNotFoundError: If there is no such user.

        Example:
            >>> rows = [{"user_id": "ada", "context": "Tea?", "action": "Yes."}]
            >>> with UserSimulator.from_corpus(rows, engine="scripted") as sim:
            ...     sim.respondents("ada", seed=4).people
            ('ada',)
        """
        return respondents_of(self._people, people, self._runner, name=name, seed=seed, chunk=chunk)

    @public
    def survey(
        self,
        survey: Survey,
        people: Chosen = None,
        *,
        mode: Mode = "direct",
        memory: bool = False,
        name: str | None = None,
        seed: int | None = None,
        chunk: int = CHUNK,
        progress: Progress | bool = True,
    ) -> SurveyResults:
        """Put a survey to people; rerun the same call to resume.

        Args:
            survey: The instrument.
            people: Their ids, or one id; None takes everybody.
            mode: `direct`, or `say_then_map`: options are scored after an answer in own words.
            memory: Whether respondents have their earlier questions and answers before them.
            name: Of the runs that keep the answers; None makes one of everything that they
                depend on.
            seed: Reproduces answers and orders; None takes the configured one.
            chunk: Questions asked at once between two commits: what a kill can lose.
            progress: Whether, or to whom, progress is shown.

        Raises:
            ArgumentError: If `survey` is not a `Survey`.
            ConfigError: If somebody is not among the simulator's people.
            UserNotFoundError: If there is no such user.

        Example:
            >>> from usersim.survey import YesNo
            >>> survey = Survey(title="Drinks", questions=(YesNo(id="tea", text="Tea now?"),))
            >>> rows = [{"user_id": "ada", "context": "Tea?", "action": "Yes."}]
            >>> with UserSimulator.from_corpus(rows, engine="scripted") as sim:
            ...     results = sim.survey(survey, progress=False)
            >>> results.people, results.of("tea")[0].answered
            (('ada',), True)
        """
        if not isinstance(survey, Survey):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ArgumentError(
                f"survey() takes a Survey; got {survey!r}",
                hint="Survey.load(path) reads one from a file",
            )
        with show_progress(progress, "survey()") as report:
            self._ready(report)
            asked = self.respondents(people, name=name, seed=seed, chunk=chunk)
            return survey.run(asked, mode=mode, memory=memory, progress=report)

    @public
    def dialogue(  # noqa: PLR0913 - keyword-only, each a plain fact
        self,
        assistant: Assistant,
        goal: str = "",
        *,
        user_id: str | None = None,
        begins: Speaker = "user",
        opening: str = "",
        reached: Reached | None = None,
        config: DialogueConfig = DialogueConfig(),
        seed: int | None = None,
        path: str | Path | None = None,
        assistant_name: str | None = None,
    ) -> Dialogue:
        """Let a person talk with an assistant toward a goal.

        Args:
            assistant: A callable that takes chat messages and returns its reply, an asynchronous
                one, or an `AssistantEndpoint`.
            goal: What the person wants, in a few words of theirs. The assistant never sees it.
            user_id: Who talks, where the simulator holds several people.
            begins: Who speaks first.
            opening: A fixed first message of whoever begins; empty has it made.
            reached: Test of whether the goal is reached, called with all turns after each one.
            config: When the dialogue ends.
            seed: Reproduces the person's turns; None takes the configured one.
            path: A file that the finished dialogue is appended to; one that it holds already is
                taken from it and not held again.
            assistant_name: Identifies the assistant in records and in `path`: a callable is known
                by its name alone, so give another one when it changes.

        Raises:
            UsersimError: If it failed; what was said is in its notes.
            UserNotFoundError: If there is no such user.

        Example:
            >>> rows = [{"user_id": "ada", "context": "Tea?", "action": "Yes."}]
            >>> with UserSimulator.from_corpus(rows, engine="scripted") as sim:
            ...     dialogue = sim.dialogue(lambda messages: "With milk?", "a cup of tea")
            >>> dialogue.user_id, dialogue.turns[1].text
            ('ada', 'With milk?')
        """
        scenario = Scenario(goal=goal, user_id=user_id, begins=begins, opening=opening)
        return hold_dialogue(
            self,
            assistant,
            scenario,
            reached=reached,
            config=check_config(config, DialogueConfig, "dialogue()"),
            seed=seed,
            path=path,
            assistant_name=assistant_name,
        )

    @public
    def dialogues(
        self,
        assistant: Assistant,
        scenarios: Iterable[Scenario],
        *,
        reached: Reached | None = None,
        config: DialogueConfig = DialogueConfig(),
        seed: int | None = None,
        path: str | Path | None = None,
        assistant_name: str | None = None,
        progress: Progress | bool = True,
    ) -> Batch[Dialogue]:
        """Hold many dialogues at once; one's failure is data.

        The turns of all people are drawn in one batch, then the assistant replies to all of them.
        Dialogues are the same whatever their number and order.

        Args:
            assistant: A callable that takes chat messages and returns its reply, an asynchronous
                one, or an `AssistantEndpoint`.
            scenarios: Who talks, and what for.
            reached: Test of whether the goal is reached, called with all turns after each one.
            config: When dialogues end, and how many are held at once.
            seed: Reproduces the persons' turns; None takes the configured one.
            path: A file that finished dialogues are appended to; those that it holds already are
                taken from it and not held again.
            assistant_name: Identifies the assistant in records and in `path`: a callable is known
                by its name alone, so give another one when it changes.
            progress: Whether, or to whom, progress is shown.

        Returns:
            The dialogues in the order of the scenarios.

        Raises:
            ConfigError: If there is no scenario, or one names nobody where there are several
                people.
            UserNotFoundError: If a scenario names somebody unknown.
            EngineError: If the engine or the assistant's server is gone; finished dialogues stand
                in `path`.

        Example:
            >>> goals = [Scenario(goal="a cup of tea"), Scenario(goal="a refund")]
            >>> rows = [{"user_id": "ada", "context": "Tea?", "action": "Yes."}]
            >>> with UserSimulator.from_corpus(rows, engine="scripted") as sim:
            ...     held = sim.dialogues(lambda messages: "Gladly.", goals, progress=False)
            >>> [dialogue.scenario.goal for dialogue in held]
            ['a cup of tea', 'a refund']
        """
        with show_progress(progress, "dialogues()") as report:
            return hold_dialogues(
                self,
                assistant,
                scenarios,
                reached=reached,
                config=check_config(config, DialogueConfig, "dialogues()"),
                seed=seed,
                path=path,
                assistant_name=assistant_name,
                progress=report,
            )

    # ------------------------------------------------------------------ asynchronous twins

    @public
    async def arespond(  # noqa: PLR0913 - keyword-only, each a plain fact
        self,
        context: Context,
        *,
        user_id: str | None = None,
        options: Sequence[str] | None = None,
        kind: str | None = None,
        predictors: Sequence[Predictor] | None = None,
        explain: bool = False,
        seed: int | None = None,
        store: bool = True,
        progress: Progress | bool = False,
    ) -> Answer:
        """Answer one context without blocking the event loop; see `respond`.

        Example:
            >>> import asyncio
            >>> rows = [{"user_id": "ada", "context": "Tea?", "action": "Yes."}]
            >>> with UserSimulator.from_corpus(rows, engine="scripted") as sim:
            ...     asyncio.run(sim.arespond("Milk?", options=["yes", "no"])).kind
            'choice'
        """
        return await asyncio.to_thread(
            self.respond,
            context,
            user_id=user_id,
            options=options,
            kind=kind,
            predictors=predictors,
            explain=explain,
            seed=seed,
            store=store,
            progress=progress,
        )

    @public
    async def arespond_many(  # noqa: PLR0913 - keyword-only, each a plain fact
        self,
        contexts: Iterable[Context],
        *,
        user_id: str | Sequence[str] | None = None,
        options: Sequence[str] | Sequence[Sequence[str] | None] | None = None,
        kind: str | Sequence[str | None] | None = None,
        predictors: Sequence[Predictor] | None = None,
        explain: bool = False,
        seed: int | None = None,
        store: bool = True,
        progress: Progress | bool = True,
    ) -> Batch[Answer]:
        """Answer many contexts without blocking the event loop; see `respond_many`."""
        return await asyncio.to_thread(
            self.respond_many,
            contexts,
            user_id=user_id,
            options=options,
            kind=kind,
            predictors=predictors,
            explain=explain,
            seed=seed,
            store=store,
            progress=progress,
        )

    @public
    def astream(
        self,
        context: Context,
        *,
        user_id: str | None = None,
        options: Sequence[str] | None = None,
        kind: str | None = None,
        predictors: Sequence[Predictor] | None = None,
        seed: int | None = None,
        store: bool = True,
    ) -> AsyncAnswerStream:
        """Answer one context piece by piece: `async for piece in sim.astream(…)`; see `stream`.

        Example:
            >>> import asyncio
            >>> async def parts(sim):
            ...     return {piece.part async for piece in sim.astream("Milk?")}
            >>> rows = [{"user_id": "ada", "context": "Tea?", "action": "Yes."}]
            >>> with UserSimulator.from_corpus(rows, engine="scripted") as sim:
            ...     sorted(asyncio.run(parts(sim)))
            ['action', 'reasoning']
        """
        return AsyncAnswerStream(
            lambda: self.stream(
                context,
                user_id=user_id,
                options=options,
                kind=kind,
                predictors=predictors,
                seed=seed,
                store=store,
            )
        )

    @public
    async def arun(
        self,
        requests: RequestSource | None = None,
        *,
        name: str | None = None,
        seed: int | None = None,
        chunk: int = CHUNK,
        progress: Progress | bool = True,
    ) -> Run:
        """Answer a long list of requests without blocking the event loop; see `run`."""
        return await asyncio.to_thread(
            self.run, requests, name=name, seed=seed, chunk=chunk, progress=progress
        )

    @public
    async def adialogue(  # noqa: PLR0913 - keyword-only, each a plain fact
        self,
        assistant: Assistant,
        goal: str = "",
        *,
        user_id: str | None = None,
        begins: Speaker = "user",
        opening: str = "",
        reached: Reached | None = None,
        config: DialogueConfig = DialogueConfig(),
        seed: int | None = None,
        path: str | Path | None = None,
        assistant_name: str | None = None,
    ) -> Dialogue:
        """Let a person talk without blocking the event loop; see `dialogue`.

        An asynchronous assistant is awaited in this event loop.
        """
        return await asyncio.to_thread(
            self.dialogue,
            in_loop(assistant),
            goal,
            user_id=user_id,
            begins=begins,
            opening=opening,
            reached=reached,
            config=config,
            seed=seed,
            path=path,
            assistant_name=assistant_name,
        )

    @public
    async def adialogues(
        self,
        assistant: Assistant,
        scenarios: Iterable[Scenario],
        *,
        reached: Reached | None = None,
        config: DialogueConfig = DialogueConfig(),
        seed: int | None = None,
        path: str | Path | None = None,
        assistant_name: str | None = None,
        progress: Progress | bool = True,
    ) -> Batch[Dialogue]:
        """Hold many dialogues without blocking the event loop; see `dialogues`.

        An asynchronous assistant is awaited in this event loop.
        """
        return await asyncio.to_thread(
            self.dialogues,
            in_loop(assistant),
            scenarios,
            reached=reached,
            config=config,
            seed=seed,
            path=path,
            assistant_name=assistant_name,
            progress=progress,
        )


def _weakly(method: Callable[[], None]) -> Callable[[], None]:
    """Return a call of a bound method that does nothing once its object is gone.

    A corpus may outlive a simulator, and must not keep the simulator's engine in memory.
    """
    held = WeakMethod(method)

    def call() -> None:
        act = held()
        if act is not None:
            act()

    return call
