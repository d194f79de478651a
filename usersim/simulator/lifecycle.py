"""What a simulator holds, and how it is opened, saved, brought back and closed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Self

from usersim.config import PipelineConfig, Preset
from usersim.corpus import Corpus, LoadReport
from usersim.corpus.readers.formats import Format
from usersim.engines import Engine
from usersim.engines.select import EngineName, load_engine
from usersim.simulator import saving
from usersim.simulator.history import Histories
from usersim.simulator.people import People
from usersim.simulator.recon import Reconstruction
from usersim.simulator.stores import Loading, load_into_store
from usersim.training import TrainedAdapter
from usersim.types import ScoredCandidate

__all__ = ["Lifecycle"]


class Lifecycle:
    """A simulator's corpus, engine and adapters, from opening to closing.

    `UserSimulator` adds what a simulator does. Made by `from_corpus` or `load`.

    Args:
        corpus: What the people did.
        user_id: The person; None simulates everybody in the corpus, each by their id.
        model: Base model: `"embedded"`, a Hugging Face folder or a hub name.
        engine: Which engine, or one that is already loaded.
        config: Settings of every stage.
        report: What loading the corpus found.
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
        self.synthesiser: TrainedAdapter | None = None
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
        saved = saving.SavedSimulator(
            store=self.corpus.name,
            user_id=self.user_id,
            model=self._model,
            config=self.config,
            traces=self._traces,
            **saving.named("adapter", self.adapter),
            **saving.named("synthesiser", self.synthesiser),
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
        sim.adapter = saved.load("adapter")
        sim.synthesiser = saved.load("synthesiser")
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

    def _remember(self, found: Reconstruction) -> None:
        self._traces = found.stage
        self._kept.update(found.kept_traces())
