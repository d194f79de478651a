"""`UserSimulator`: the face of the library."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Self, Unpack

from usersim.config import PipelineConfig, Preset, Recipe
from usersim.corpus import Corpus, LoadReport
from usersim.corpus.readers.formats import Format
from usersim.engines import Engine, Progress
from usersim.engines.select import EngineName, load_engine
from usersim.evaluation import Arm
from usersim.simulation import Answer, Piece, stream_answer
from usersim.simulator import saving
from usersim.simulator.arm_names import ArmName
from usersim.simulator.asking import Asked, Asker, Context, as_question, narrowed, only
from usersim.simulator.history import Histories
from usersim.simulator.learning import Learner, Page
from usersim.simulator.measure import Measurement
from usersim.simulator.people import People
from usersim.simulator.recon import Reconstruction, StageProgress
from usersim.simulator.requested import RequestSource
from usersim.simulator.run import Run, RunCost
from usersim.simulator.running import CHUNK, Runner
from usersim.simulator.sources import TraceSource
from usersim.simulator.stores import Loading, load_into_store
from usersim.training import StepNote, TrainedAdapter
from usersim.types import Batch, ScoredCandidate

__all__ = ["UserSimulator"]


class UserSimulator:
    """Answers new contexts as a person would: reasoning first, action second.

    Made by `from_corpus` or `load`. Before any training it answers from the person's history;
    once traces were selected, from the history with its kept traces; after `train`, with the
    trained adapter. The model is loaded when it is first needed.

    Args:
        corpus: What the people did.
        user_id: The person; None simulates everybody in the corpus, each by their id.
        model: Base model: `"embedded"`, a Hugging Face folder or a hub name.
        engine: Which engine, or one that is already loaded.
        config: Settings of every stage.
        report: What loading the corpus found.

    Example:
        `UserSimulator.from_corpus("ada.jsonl", user_id="ada").respond("Tea or coffee?")`
    """

    def __init__(
        self,
        corpus: Corpus,
        *,
        user_id: str | None = None,
        model: str | Path = "embedded",
        engine: EngineName | Engine = "auto",
        config: PipelineConfig = PipelineConfig(),
        report: LoadReport | None = None,
    ) -> None:
        self.corpus = corpus
        self.config = config
        self.report = report
        self.adapter: TrainedAdapter | None = None
        self.writer: TrainedAdapter | None = None
        self._model = str(model)
        self._engine_choice: EngineName | Engine = engine
        self._histories = Histories(corpus, config.history)
        self._kept: dict[str, ScoredCandidate] = {}
        self._traces: str | None = None
        self.user_id = user_id
        self._people = People(corpus, user_id)

    @classmethod
    def from_corpus(  # noqa: PLR0913 - keyword-only, each a plain fact about the source
        cls,
        source: str | Path | Corpus | Iterable[Mapping[str, object]] | object,
        *,
        user_id: str | None = None,
        store: str | Path | None = None,
        model: str | Path = "embedded",
        engine: EngineName | Engine = "auto",
        config: PipelineConfig | Preset = "small",
        format: Format = "auto",  # noqa: A002 - the word of every reader
        person: str | None = None,
        codebook: Mapping[str, object] | str | Path | None = None,
        strict: bool = False,
        progress: Callable[[int, int | None], None] | None = None,
    ) -> Self:
        """Load a corpus into its store and return a simulator over it.

        Args:
            source: A JSONL, CSV or Parquet file, an iterable of dicts, a pandas or polars
                frame, or an open `Corpus`.
            user_id: The person; None simulates everybody in the corpus.
            store: SQLite file or URL; None takes one beside a file, memory for anything else.
            model: Base model: `"embedded"`, a Hugging Face folder or a hub name.
            engine: Which engine, or one that is already loaded.
            config: Settings of every stage, or a preset's name.
            format: `auto` recognises the format by content.
            person: In chats, the role or name of the person.
            codebook: In wide surveys, question texts and options by column.
            strict: Raise if any row is refused, and keep nothing.
            progress: Called with (rows read, rows in all or None).

        Raises:
            CorpusError: If the source cannot be read or stored.
            UserNotFoundError: If `user_id` is not in the corpus.
        """
        settings = PipelineConfig.preset(config) if isinstance(config, str) else config
        how = Loading(format=format, person=person, codebook=codebook, strict=strict)
        corpus, report = load_into_store(
            source, store, settings.corpus, user_id=user_id, progress=progress, **how
        )
        return cls(
            corpus, user_id=user_id, model=model, engine=engine, config=settings, report=report
        )

    def save(self, folder: str | Path) -> Path:
        """Write what is needed to bring this simulator back; the corpus stays in its store.

        Raises:
            ArtifactError: If the folder cannot be written.
            ConfigError: If the corpus is kept in memory only.
        """
        saved = saving.SavedSimulator.of(
            self.corpus.name, self.user_id, self._model, self.config, self.adapter, self._traces
        )
        return saving.write_simulator(folder, saved)

    @classmethod
    def load(cls, folder: str | Path, *, engine: EngineName | Engine = "auto") -> Self:
        """Bring a saved simulator back.

        Raises:
            ArtifactError: If the folder, or the adapter that it names, is incomplete or altered.
            CorpusError: If the store cannot be opened.
        """
        saved = saving.read_simulator(folder)
        corpus = Corpus.open(saved.store, config=saved.config.corpus)
        sim = cls(
            corpus, user_id=saved.user_id, model=saved.model, engine=engine, config=saved.config
        )
        sim.adapter = saved.load_adapter()
        if saved.traces:
            rows = list(corpus.interactions(sim.users, split="train"))
            sim._remember(Reconstruction.stored(corpus, saved.traces, rows))
        return sim

    def close(self) -> None:
        """Close the store and give the model's memory back."""
        if "engine" in self.__dict__:
            self.engine.close()
        self.corpus.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @cached_property
    def engine(self) -> Engine:
        """The engine; loaded when it is first needed."""
        if isinstance(self._engine_choice, str):
            return load_engine(self._model, engine=self._engine_choice)
        return self._engine_choice

    @property
    def users(self) -> list[str]:
        """The people that this simulator answers for."""
        return self._people.users

    def use_adapter(self, adapter: TrainedAdapter | str | Path) -> None:
        """Answer with a trained adapter from now on.

        Raises:
            ArtifactError: If the folder is incomplete or altered, or holds a writer of traces.
        """
        self.adapter = saving.as_user_model(adapter)

    def reconstruct(
        self, *, limit: int | None = None, progress: StageProgress | None = None
    ) -> Reconstruction:
        """Synthesise, score and select traces; goes on where it was left.

        The kept traces stand in an untrained simulator's prompts from then on (Recon-Memory).

        Args:
            limit: Interactions of each person, the newest; None takes all.
            progress: Called with (stage, done, total).
        """
        rows = self._people.train(limit)
        found = self._learner().reconstruct(rows, writer=self.writer, progress=progress)
        self._remember(found)
        return found

    def _remember(self, found: Reconstruction) -> None:
        self._traces = found.stage
        self._kept.update(found.kept_traces())

    def _learner(self, second: Engine | None = None) -> Learner:
        parts = (self.config, self._histories, self._people, second)
        return Learner(self.corpus, self.engine, *parts)

    def train(
        self,
        *,
        recipe: Recipe = "select",
        traces: TraceSource = "recon_select",
        limit: int | None = None,
        max_minutes: float | None = None,
        second: Engine | None = None,
        progress: StageProgress | None = None,
        note: StepNote | None = None,
    ) -> TrainedAdapter:
        """Reconstruct, train the adapter (one for the person, or one shared by all) and use it.

        Interrupted at any moment and called again, it goes on and ends with the same adapter.

        Args:
            recipe: How the writer of traces is trained first: `select` not at all, `rft`, `dpo`
                or `grpo`; the writer stands in `self.writer` afterwards.
            traces: Where the reasoning comes from; the default is Recon-Select.
            limit: Interactions of each person, the newest; None takes all.
            max_minutes: Ends the training cleanly with the best state so far.
            second: A reconstructor of another model family that stops the writer's training
                when its score no longer rises (guard L8).
            progress: Called with (stage, done, total).
            note: Called with (step, steps, figures) after each step of DPO or GRPO.

        Raises:
            ConfigError: If there is no such recipe or source of traces.
            EmptySplitError: If there is nothing to learn from.
            TrainingError: If training fails; the last good checkpoint is kept.
        """
        learned = self._learner(second).train(
            recipe, traces, limit=limit, max_minutes=max_minutes, progress=progress, note=note
        )
        self._remember(learned.found)
        self.writer = learned.writer
        self.use_adapter(learned.adapter)
        return learned.adapter

    def evaluate(
        self,
        *,
        arms: Sequence[ArmName] = ("others", "few_shot", "none", "random_eligible", "recon_select"),
        more: Sequence[Arm] = (),
        limit: int | None = None,
        held_out: int | None = None,
        out: str | Path | None = None,
        provenance: Mapping[str, object] | None = None,
        title: str = "Held-out answers",
        progress: StageProgress | None = None,
    ) -> Measurement:
        """Measure arms against each other on answers held out; trains what is missing.

        Args:
            arms: What to compare; see `usersim.simulator.ARMS`.
            more: Arms of your own: any callable that predicts interactions.
            limit: Training interactions of each person, the newest; None takes all.
            held_out: Held-out interactions in all; None takes every one.
            out: Folder of the report; None writes none.
            provenance: Command and sizes, for the report.
            title: Heading of the page.
            progress: Called with (stage, done, total).

        Raises:
            EvaluationError: If nothing is held out.
        """
        page = Page(out=out, provenance=provenance, title=title)
        measured = self._learner().evaluate(
            arms, more, limit=limit, held_out=held_out, progress=progress, **page
        )
        self._remember(measured.found)
        if "recon_select" in measured.adapters:
            self.use_adapter(measured.adapters["recon_select"])
        return measured

    def asker(self) -> Asker:
        """Return what puts questions to the people, as they would be answered now."""
        return Asker.of(self.corpus, self.config, self._histories, self.adapter, self._kept)

    def respond(
        self,
        context: Context,
        *,
        user_id: str | None = None,
        options: Sequence[str] | None = None,
        kind: str | None = None,
        explain: bool = False,
        seed: int | None = None,
    ) -> Answer:
        """Answer one context as the person would.

        Args:
            context: A text, messages, a `Question` or an observed `Interaction`.
            user_id: Who answers, where the simulator holds several people.
            options: Options of a closed question, in order.
            kind: `choice`, `scale`, `number`, `multi_choice` or `free_text`.
            explain: Also measure how far the trace moves the answer.
            seed: Reproduces the answer; None takes the configured one.

        Raises:
            UsersimError: If the answer stayed malformed; `respond_many` returns it as data.
            UserNotFoundError: If there is no such user.
        """
        asked = narrowed(context, options=options, kind=kind)
        return only(self.respond_many([asked], user_id=user_id, explain=explain, seed=seed))

    def respond_many(
        self,
        contexts: Sequence[Context],
        *,
        user_id: str | Sequence[str] | None = None,
        explain: bool = False,
        seed: int | None = None,
        progress: Progress | None = None,
    ) -> Batch[Answer]:
        """Answer many contexts in one batch; one item's failure is data.

        Args:
            contexts: What is asked.
            user_id: Who answers: one person for all, or one for each.
            explain: Also measure how far the traces move the answers.
            seed: Reproduces the answers; None takes the configured one.
            progress: Called with (items done, items).

        Raises:
            ConfigError: If `user_id` lists another number of people than contexts.
        """
        people = self._people.each(user_id, len(contexts))
        return self.asker().ask(
            self.engine, people, contexts, seed=seed, explain=explain, progress=progress
        )

    def run(
        self,
        requests: RequestSource | None = None,
        *,
        name: str | None = None,
        seed: int | None = None,
        chunk: int = CHUNK,
        progress: Progress | None = None,
    ) -> Run:
        """Answer a long list of requests, each stored once, whatever interrupts it.

        The same call goes on where it was; several clients on one store share the work.

        Args:
            requests: A file, or an iterable of (user_id, context) pairs or of rows without an
                action; None goes on with the run `name` as the store holds it.
            name: Tells the run; None tells it by its settings and requests.
            seed: Reproduces the answers; None takes the configured one.
            chunk: Requests asked at once between two commits: what a kill can lose.
            progress: Called with (items done, items).

        Raises:
            ConfigError: If nothing can be asked, or the run was begun with other settings.
            EngineUnavailableError: If the engine is gone; what is done is kept.
        """
        return self._runner(seed, chunk).run(requests, name=name, progress=progress)

    def dry_run(self, requests: RequestSource) -> RunCost:
        """Return what `run` would take, in requests and tokens; nothing is asked or stored."""
        return self._runner(None, CHUNK).cost(requests)

    def _runner(self, seed: int | None, chunk: int) -> Runner:
        traces, asker = self._traces, self.asker()
        return Runner(self.corpus, self.engine, asker, self.user_id, traces, seed, chunk)

    async def arespond(self, context: Context, **how: Unpack[Asked]) -> Answer:
        """Answer one context without blocking the event loop; as `respond` otherwise."""
        return await asyncio.to_thread(self.respond, context, **how)

    def stream(
        self,
        context: Context,
        *,
        user_id: str | None = None,
        options: Sequence[str] | None = None,
        kind: str | None = None,
        seed: int | None = None,
    ) -> Iterator[Piece]:
        """Answer one context piece by piece: all of the reasoning, then the action.

        Yields:
            Pieces; see `respond` for the arguments.
        """
        question = as_question(context, options=options, kind=kind)
        item = self.asker().item(self._people.one(user_id), question, seed=seed)
        yield from stream_answer(
            self.engine, item, config=self.config.simulation, history=self.config.history
        )
