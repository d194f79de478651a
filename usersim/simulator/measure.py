"""The first measurement: the simulator's arms against their baselines on answers held out.

Trains what is missing, evaluates, and writes the report. Every arm shares pairs, candidates,
steps and seeds; only the source of the reasoning differs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from usersim.config import PipelineConfig, Recipe
from usersim.corpus import Corpus
from usersim.engines import Engine
from usersim.errors import EvaluationError
from usersim.evaluation import (
    Arm,
    Evaluation,
    FileCache,
    LeakageTable,
    Metric,
    default_metrics,
    evaluate,
    others_arm,
    uniform_arm,
    write_report,
)
from usersim.simulator.arm_names import (
    ARMS,
    MEMORIES,
    TITLES,
    WRITERS,
    ArmName,
    check_arms,
    source_of,
    title_of,
)
from usersim.simulator.arms import ModelArms
from usersim.simulator.experimental import CONTROLS, train_control
from usersim.simulator.history import Histories
from usersim.simulator.pages import curves_of, examples, sizes, writer_section
from usersim.simulator.probes import diagnostics
from usersim.simulator.recon import Recon, Reconstruction, StageProgress
from usersim.simulator.sources import SOURCES, reasonings
from usersim.simulator.train import Trainer
from usersim.training import TrainedAdapter
from usersim.types import Interaction, is_closed

__all__ = ["Measurement", "Study", "Traces", "pick_held_out"]


class Traces(NamedTuple):
    """What a trained synthesiser wrote.

    Attributes:
        writer: The synthesiser; None for the base model.
        found: Its traces, scored and selected.
    """

    writer: TrainedAdapter | None
    found: Reconstruction


Written = Callable[[Recipe, Sequence[Interaction], StageProgress | None], Traces]
"""Trains a synthesiser by a recipe, and returns it with what it wrote."""
RECON = TITLES["recon_select"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What was measured.

    Attributes:
        evaluation: Estimates, comparisons and predictions.
        leakage: The guards' figures.
        adapters: The user models that were trained, by arm.
        writers: The synthesisers that were trained, by the arm that learned from their traces.
        found: Candidates and decisions of the training part.
        report: The page, where one was written.
    """

    evaluation: Evaluation
    leakage: LeakageTable
    adapters: dict[ArmName, TrainedAdapter]
    writers: dict[ArmName, TrainedAdapter]
    found: Reconstruction
    report: Path | None = None


def pick_held_out(
    corpus: Corpus, users: Sequence[str], limit: int | None, *, closed: bool = False
) -> list[Interaction]:
    """Return held-out interactions, the same number of each person where that is possible.

    Args:
        corpus: The store.
        users: Whose.
        limit: How many in all; None for every one.
        closed: Only choices and scales.

    Raises:
        EvaluationError: If there are none.
    """
    found = [list(corpus.interactions([user], split="held_out")) for user in users]
    own = [[one for one in rows if not closed or is_closed(one.space)] for rows in found]
    total = sum(len(rows) for rows in own)
    if not total:
        kind = "held-out closed questions" if closed else "held-out interactions"
        raise EvaluationError(
            f"none of the {len(users)} users has {kind}",
            hint="a person needs at least two conversations; see `usersim users`",
        )
    wanted = total if limit is None else min(limit, total)
    picked: list[Interaction] = []
    for depth in range(max(len(rows) for rows in own)):
        for rows in own:
            if depth < len(rows) and len(picked) < wanted:
                picked.append(rows[depth])
    return sorted(picked, key=lambda i: (i.user_id, i.position))


@dataclass(frozen=True, slots=True)
class Study:
    """Everything that a measurement needs.

    Attributes:
        corpus: The store.
        engine: Runs the model.
        config: Settings of every stage.
        histories: Finds what is shown.
        trainer: Trains the adapters.
        written: Trains a synthesiser and lets it write, for the arms that need one.
    """

    corpus: Corpus
    engine: Engine
    config: PipelineConfig
    histories: Histories
    trainer: Trainer
    written: Written

    def run(
        self,
        train: Sequence[Interaction],
        held_out: Sequence[Interaction],
        *,
        arms: Sequence[ArmName],
        more: Sequence[Arm] = (),
        out: Path | None = None,
        provenance: dict[str, object] | None = None,
        title: str = "Held-out answers",
        progress: StageProgress | None = None,
    ) -> Measurement:
        """Reconstruct, train, evaluate and, if `out` is given, write the report.

        Called again after it was cut off, it repeats no finished work.

        Args:
            train: Interactions of the train split that are learned from.
            held_out: Interactions that are predicted.
            arms: What to compare.
            more: Arms of the caller's own.
            out: Folder of the report and of the cached predictions.
            provenance: Command and sizes, for the report.
            title: Heading of the page.
            progress: Called with (stage, done, total).

        Returns:
            The measurement.

        Raises:
            EvaluationError: If nothing is held out, or an arm is unknown.
        """
        check_arms(arms)
        found = self._reconstruct(train, arms, progress)
        adapters, writers = self._train(arms, train, found, progress)
        built = [*self._arms(arms, train, found, adapters), *more]
        evaluation = evaluate(
            built,
            held_out,
            metrics=self._metrics(held_out),
            baseline=next((a.name for a in built if a.name == RECON), built[-1].name),
            cache=FileCache(out / "cache") if out else None,
            progress=_staged("measure", progress),
        )
        leakage = self._leakage(found, progress)
        measured = Measurement(
            evaluation=evaluation,
            leakage=leakage,
            adapters=adapters,
            writers=writers,
            found=found,
        )
        return self._reported(measured, out, title, provenance or {}) if out else measured

    def _reconstruct(
        self,
        train: Sequence[Interaction],
        arms: Sequence[ArmName],
        progress: StageProgress | None,
    ) -> Reconstruction:
        """Run Recon, unless no arm has any use for traces."""
        if set(arms) & {*(set(SOURCES) - {"none"}), *MEMORIES}:
            recon = Recon(self.corpus, self.engine, self.config, self.histories)
            return recon.run(train, progress=progress)
        return Reconstruction(
            interactions=tuple(train), scored={}, selections={}, failures=(), stage=""
        )

    def _train(
        self,
        arms: Sequence[ArmName],
        train: Sequence[Interaction],
        found: Reconstruction,
        progress: StageProgress | None,
    ) -> tuple[dict[ArmName, TrainedAdapter], dict[ArmName, TrainedAdapter]]:
        """Train every arm that has weights; all share pairs, budget, steps and seeds.

        Returns:
            The user models, and the writers behind some of them, by arm.
        """
        adapters: dict[ArmName, TrainedAdapter] = {}
        writers: dict[ArmName, TrainedAdapter] = {}
        for source in SOURCES:
            if source in arms:
                name = source.replace("_", "-")
                adapters[source] = self.trainer.train(found, source, name=name, progress=progress)
        for arm, (recipe, title) in WRITERS.items():
            if arm in arms:
                writer, traces = self.written(recipe, train, progress)
                if writer is not None:
                    writers[arm] = writer
                adapters[arm] = self.trainer.train(
                    traces, "recon_select", name=title.lower(), progress=progress
                )
        for control in CONTROLS:
            if control in arms:
                adapters[control] = train_control(control, self.trainer, train, progress=progress)
        return adapters, writers

    def _metrics(self, held_out: Sequence[Interaction]) -> list[Metric]:
        """Open answers are measured by their likelihood; their text is not drawn here."""
        opened = [i for i in held_out if not is_closed(i.space)]
        return [
            metric
            for metric in default_metrics(held_out)
            if metric.needs != "action" or not any(metric.applies(i) for i in opened)
        ]

    def _arms(
        self,
        names: Sequence[ArmName],
        train: Sequence[Interaction],
        found: Reconstruction,
        adapters: dict[ArmName, TrainedAdapter],
    ) -> list[Arm]:
        built: list[Arm] = []
        for name in ARMS:
            if name not in names:
                continue
            if name in adapters:
                built.extend(self._trained(name, adapters[name]))
            else:
                built.append(self._untrained(name, train, found))
        return built

    def _untrained(self, name: ArmName, train: Sequence[Interaction], found: Reconstruction) -> Arm:
        if name == "chance":
            return uniform_arm()
        if name == "others":
            return others_arm(train)
        traces = self.config.simulation.traces
        if name == "profile":
            own = {i.user_id: [j for j in train if j.user_id == i.user_id] for i in train}
            base = self._model(shown="profile", train=own)
            return base.arm("B0 profile prompt", "base model, facts about the person only")
        if name == "few_shot":
            base = self._model()
            return base.arm("B1 history in the prompt", "base model, past answers in the prompt")
        source, title = MEMORIES[name]
        kept = reasonings(source, found, self.config.guards, seed=self.config.training.seed)
        memory = self._model(shown="kept", kept=kept, traces=traces)
        return memory.arm(title, f"base model, past answers with traces: {SOURCES[source]}")

    def _trained(self, source: ArmName, adapter: TrainedAdapter) -> list[Arm]:
        title, text = title_of(source), f"trained on {source_of(source)}"
        if source == "none":
            return [self._model(adapter=adapter.ref).arm(title, text, weight=0.0)]
        model = self._model(adapter=adapter.ref, traces=self.config.simulation.traces)
        arms = [model.arm(title, text)]
        if source == "recon_select":
            fitted = adapter.manifest.reasoning_weight
            if fitted is not None:
                note = f"{text}; {fitted.summary}"
                arms.append(model.arm(f"{title}, w = {fitted.w:.2f}", note, weight=fitted.w))
            arms.append(
                model.arm(f"{title}, reasoning off", f"{text}, answering without", weight=0.0)
            )
        return arms

    def _model(self, **how: object) -> ModelArms:
        return ModelArms(self.engine, self.histories, self.config, **how)  # type: ignore[arg-type]

    def _leakage(self, found: Reconstruction, progress: StageProgress | None) -> LeakageTable:
        figures = diagnostics(self.engine, self.histories, self.config, found, progress=progress)
        scored = [one for many in found.scored.values() for one in many]
        return LeakageTable.of(scored, list(found.selections.values()), diagnostics=figures)

    def _reported(
        self, measured: Measurement, out: Path, title: str, provenance: dict[str, object]
    ) -> Measurement:
        evaluation = measured.evaluation
        eligible = TITLES["random_eligible"]
        writers = [(title_of(arm), one) for arm, one in measured.writers.items()]
        told = {
            **provenance,
            "engine": self.engine.identity,
            "settings": self.config.key,
            "corpus": self.corpus.digest(sorted({i.user_id for i in evaluation.interactions})),
            "adapters": {name: one.ref.name for name, one in measured.adapters.items()},
            "writers": {name: one.ref.name for name, one in measured.writers.items()},
        }
        page = write_report(
            evaluation,
            out,
            title=title,
            provenance=told,
            leakage=measured.leakage,
            examples=examples(evaluation, RECON),
            also_against=[eligible] if eligible in evaluation.arms else [],
            sections=[sizes(measured), *(writer_section(*one) for one in writers)],
            curves=[curves_of(*one) for one in writers],
        )
        return replace(measured, report=page)


def _staged(stage: str, progress: StageProgress | None) -> Callable[[int, int], None] | None:
    return (lambda done, total: progress(stage, done, total)) if progress else None
