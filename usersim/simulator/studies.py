"""A study of a written plan: people prepared once per set, cells measured one by one, one page.

Everything that a cell needs lies in the folder of the study: a killed run resumes from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from usersim.config import Dtype
from usersim.corpus import Corpus, is_store
from usersim.engines import Engine
from usersim.engines.select import EngineName, load_engine
from usersim.errors import ConfigError, CorpusError
from usersim.files import file_digest, write_rows
from usersim.prediction import Embed
from usersim.research import planted_users
from usersim.research.study import (
    Cell,
    CellState,
    Settings,
    StudyPlan,
    StudyRun,
    cells_of,
    figures_of,
    run_cells,
    states_of,
    write_study_page,
)
from usersim.simulator.face import LOADING, UserSimulator
from usersim.simulator.plugs import GivenRetriever
from usersim.simulator.stores import open_store
from usersim.types import content_key
from usersim.types.counting import counted
from usersim.views import Progress

__all__ = ["Study"]

Row = Mapping[str, object]
Load = Callable[[str, EngineName, Dtype], Engine]


def _load(model: str, engine: EngineName, dtype: Dtype) -> Engine:
    return load_engine(model, engine=engine, dtype=dtype)


@dataclass(kw_only=True)
class Study:
    """A plan, the folder of its data, and the folder in which it is carried out.

    Attributes:
        plan: The plan.
        data: Folder from which the plan names corpora.
        out: Folder of the study.
        size: Name of a size of the plan.
        given: Settings that go before those of the plan.
        sets: Only these sets; all if empty.
        provenance: Command, for the page.
        embed: Turns texts into vectors, as `UserSimulator` takes it.
        retriever: Chooses what of the past is shown, as `UserSimulator` takes it.
        load: Loads a model by name, engine and data type; each is loaded once.

    Example:
        `Study(plan=read_plan("plan.yaml"), data=Path("data"), out=Path("out/study")).run()`
    """

    plan: StudyPlan
    data: Path
    out: Path
    size: str | None = None
    given: Settings = field(default_factory=Settings)
    sets: tuple[str, ...] = ()
    provenance: Mapping[str, object] = field(default_factory=dict[str, object])
    embed: Embed | None = None
    retriever: GivenRetriever | None = None
    load: Load = _load
    _engines: dict[str, Engine] = field(default_factory=dict[str, Engine], init=False)

    @property
    def cells(self) -> list[Cell]:
        """Every set under each of its seeds, with its settings.

        Raises:
            ConfigError: If the plan has no such size or set.
        """
        return cells_of(self.plan, size=self.size, given=self.given, sets=self.sets)

    def states(self) -> dict[str, CellState]:
        """Return how far each cell is, by its name; changes nothing.

        Raises:
            ConfigError: If the folder holds a cell with other settings, or a corpus is missing.
        """
        self._check_sources()
        return states_of(self.cells, self.out)

    def run(
        self,
        *,
        progress: Progress | None = None,
        note: Callable[[Cell, CellState], None] = lambda _cell, _state: None,
    ) -> StudyRun:
        """Measure every cell that is not finished, and write the page after each.

        Called again after an interruption, it repeats no finished work.

        Args:
            progress: Called with (stage, done, total) within a cell.
            note: Called with each cell and its state.

        Returns:
            What became of the cells.

        Raises:
            ConfigError: If a corpus is missing, another process runs this study, or its folder
                holds a cell with other settings.
        """
        self._check_sources()
        cells = self.cells

        def told(cell: Cell, state: CellState) -> None:
            note(cell, state)
            if state != "started":
                self.write_page()

        try:
            found = run_cells(
                cells,
                self.out,
                lambda cell, folder: self._measure(cell, folder, progress),
                note=told,
            )
        finally:
            for engine in self._engines.values():
                engine.close()
            self._engines.clear()
        self.write_page({cell.name: str(error) for cell, error in found.failed})
        return found

    def write_page(self, errors: Mapping[str, str] | None = None) -> Path:
        """Write the page from what is finished.

        Args:
            errors: Why cells failed, by name.

        Returns:
            The HTML page.
        """
        cells = self.cells
        states: dict[str, CellState] = dict(states_of(cells, self.out))
        states |= dict.fromkeys(errors or {}, "failed")
        done = [cell for cell in cells if states[cell.name] == "done"]
        return write_study_page(
            figures_of(self.plan, cells, done, self.out),
            cells,
            states,
            self.out,
            provenance={**self.provenance, "size": self.size or "that of the plan"},
            errors=errors or {},
        )

    def _check_sources(self) -> None:
        """Check that every corpus is there, before hours are spent on the first one.

        Raises:
            ConfigError: Naming the set and the file.
        """
        for cell in self.cells:
            for name in (cell.source.corpus, cell.source.codebook):
                if name is not None and "://" not in name and not (self.data / name).exists():
                    raise ConfigError(
                        f"set {cell.source.name!r}: there is no file {str(self.data / name)!r}",
                        hint="name the folder that holds the corpora of the plan",
                        cli_hint="add --data FOLDER, the folder that holds the plan's corpora",
                    )

    def _engine(self, model: str | None, own: Settings, progress: Progress | None) -> Engine | None:
        """Return a model, loaded once for the whole study; None where none is named."""
        if model is None:
            return None
        engine, dtype = own.engine or "auto", own.dtype or "auto"
        key = content_key(model, engine, dtype)
        if key not in self._engines:
            if progress is not None:
                progress(LOADING, 0, 1)
            self._engines[key] = self.load(model, engine, dtype)
            if progress is not None:
                progress(LOADING, 1, 1)
        return self._engines[key]

    def _measure(self, cell: Cell, folder: Path, progress: Progress | None) -> None:
        own = cell.settings
        assert own.model is not None, "a cell's settings name a model"
        rows = self._people(cell)
        engine = self._engine(own.model, own, progress)
        assert engine is not None, "the model was named"
        # Not closed with its simulator, which would close the engine that other cells share.
        sim = UserSimulator.from_corpus(
            rows,
            store=folder / f"{rows.stem}.usersim.db",
            model=own.model,
            engine=engine,
            config=cell.pipeline,
            embed=self.embed,
            retriever=self.retriever,
            trace_judge=self._engine(own.trace_judge, own, progress),
            progress=progress or False,
        )
        try:
            sim.evaluate(
                arms=cell.arms,
                people=sim.users[: own.people] if own.panel is not None else None,
                limit=own.pairs,
                traced=own.traced,
                held_out=own.held_out,
                texts=bool(own.texts) or own.judge is not None,
                judge=self._engine(own.judge, own, progress),
                traces=own.traces,
                calibrate=own.calibrate,
                recon_engine=self._engine(own.recon_model, own, progress),
                second=self._engine(own.second, own, progress),
                out=folder,
                provenance={**self.provenance, "set": cell.source.name, "seed": cell.seed},
                title=f"{self.plan.title}: {cell.name}",
                progress=progress or False,
            )
        finally:
            sim.corpus.close()

    def _people(self, cell: Cell) -> Path:
        """Return the rows of a set's people, written once and shared by its seeds."""
        source, own = cell.source, cell.settings
        digest = ""
        if source.corpus is not None and "://" not in source.corpus:
            path = self.data / source.corpus
            digest = "" if path.is_dir() else file_digest(path)
        key = content_key(
            source.corpus,
            source.codebook,
            source.planted.model_dump_json() if source.planted else "",
            own.people,
            own.panel,
            own.shuffle,
            digest,
        )
        target = self.out / source.name / f"people-{key[:12]}.jsonl"
        if not target.exists():
            rows: Iterable[Row] = self._rows(cell)
            write_rows(
                target,
                (dict(row) for row in (_shuffled(rows) if own.shuffle else rows)),
                what="the people of a set",
                error=CorpusError,
            )
        return target

    def _rows(self, cell: Cell) -> Iterator[Row]:
        source, own = cell.source, cell.settings
        if source.planted is not None:
            one = source.planted
            people = planted_users(users=one.users, interactions=one.interactions, seed=one.seed)
            with Corpus.open(":memory:") as corpus:
                corpus.add(list(people.rows))
                yield from _first(corpus, own)
            return
        assert source.corpus is not None, "a set has planted people or a corpus"
        name = source.corpus if "://" in source.corpus else self.data / source.corpus
        if is_store(name):
            with open_store(name) as corpus:
                yield from _first(corpus, own)
            return
        codebook = None if source.codebook is None else self.data / source.codebook
        with Corpus.open(":memory:") as corpus:
            corpus.add(name, codebook=codebook)
            yield from _first(corpus, own)


def _first(corpus: Corpus, own: Settings) -> Iterator[Row]:
    """Yield the rows of the first people by id, and of the panel after them.

    Raises:
        CorpusError: If fewer people are there than are to be measured.
    """
    people = corpus.user_ids()
    if own.people is not None and len(people) < own.people:
        raise CorpusError(
            f"the corpus has {counted(len(people), 'person', 'people')}, and the plan measures "
            f"{own.people}",
            hint="lower `people` of this set",
        )
    most = None if own.people is None else own.people + (own.panel or 0)
    yield from corpus.rows(people[:most])


def _shuffled(rows: Iterable[Row]) -> Iterator[Row]:
    """Yield each person's rows in an order of their own, which depends on nothing else."""
    of: dict[object, list[Row]] = {}
    for row in rows:
        of.setdefault(row["user_id"], []).append(row)
    for user, own in of.items():
        ranked = sorted(
            own,
            key=lambda row: content_key(str(user), str(row["context"]), str(row.get("options"))),
        )
        for place, row in enumerate(ranked):
            kept = {k: v for k, v in row.items() if k not in {"timestamp", "conversation"}}
            yield {**kept, "order": place}
