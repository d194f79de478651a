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
    ARM_SPECS,
    Agreement,
    Arm,
    ArmName,
    ArmSpec,
    Evaluation,
    Faithfulness,
    FileCache,
    Judgment,
    LeakageTable,
    Metric,
    Realism,
    check_arms,
    default_metrics,
    evaluate,
    realism,
    title_of,
    verdicts,
    write_report,
)
from usersim.evaluation.verdict import added
from usersim.prediction import Embed
from usersim.recon import Aids
from usersim.simulator.arm_building import OFF, RECON, SWAPPED, ArmBuilder
from usersim.simulator.asking import Asker
from usersim.simulator.calibrating import calibrate_once
from usersim.simulator.checks import (
    check_sections,
    faithfulness_of,
    judgments_of,
    refuse_selector,
)
from usersim.simulator.experimental import train_control
from usersim.simulator.history import Histories
from usersim.simulator.pages import (
    added_sections,
    curves_of,
    examples,
    k_notes,
    k_sections,
    sizes,
    synthesizer_section,
)
from usersim.simulator.people import People
from usersim.simulator.probes import diagnostics, second_opinion
from usersim.simulator.recon import Recon, Reconstruction
from usersim.simulator.train import Trainer
from usersim.training import TrainedAdapter
from usersim.types import Interaction, is_closed
from usersim.views import Progress, Sheet, printed

__all__ = ["Measurement", "Measurer", "Measures", "Traces", "pick_held_out", "reasoning_added"]


class Traces(NamedTuple):
    """What a trained synthesizer wrote.

    Attributes:
        synthesizer: The synthesizer; None for the base model.
        found: Its traces, scored and selected.
    """

    synthesizer: TrainedAdapter | None
    found: Reconstruction


class _Trained(NamedTuple):
    """What was trained, and from which traces."""

    adapters: dict[ArmName, TrainedAdapter]
    synthesizers: dict[ArmName, TrainedAdapter]
    written: list[Reconstruction]

    def learned(self, found: Reconstruction) -> Reconstruction:
        """Return the traces whose guards are reported: the base model's, or the first trained."""
        return found if found.scored or not self.written else self.written[0]


Written = Callable[[Recipe, Sequence[Interaction], Progress | None], Traces]
"""Trains a synthesizer by a recipe, and returns it with what it wrote."""


def _sheet(found: Measurement) -> Sheet:
    table = found.evaluation.sheet()
    said = [*verdicts(found.evaluation), *k_notes(found.evaluation)]
    said += reasoning_added(found.evaluation)
    said += [*(f"warning: {one}" for one in found.leakage.warnings)]
    said += [str(one) for one in (found.agreement, found.faithfulness) if one is not None]
    said += [f"judge: {one}" for one in found.judgments]
    said += [f"texts: {one}" for one in found.realism]
    if found.report is not None:
        said.append(f"report: {found.report}")
    return replace(table, notes=(*table.notes, *said))


@printed(_sheet)
@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What was measured.

    Attributes:
        evaluation: Estimates, comparisons and predictions.
        leakage: The guards' figures.
        adapters: The user models that were trained, by arm.
        synthesizers: The synthesizers that were trained, by the arm that learned from their traces.
        found: Candidates and decisions of the training part.
        faithfulness: How far Recon-Select's answers follow their reasoning; None if that was not
            measured.
        judgments: What a judge said of each arm against the baseline.
        realism: How far each arm's drawn texts can be told from what people wrote.
        agreement: What a second reconstructor says of the choice of traces (L8); None if none was
            named, or nothing could be compared.
        report: The page, where one was written.

    Example:
        >>> from usersim import UserSimulator
        >>> rows = [{"user_id": "ada", "context": f"Tea {i}?", "action": "yes",
        ...          "options": ["yes", "no"]} for i in range(10)]
        >>> with UserSimulator.from_corpus(rows, engine="scripted", config="tiny") as sim:
        ...     measured = sim.evaluate(arms=("chance", "few_shot"), progress=False)
        >>> list(measured.evaluation.arms), measured.adapters, measured.report
        (['Chance', 'B1 history in the prompt'], {}, None)
    """

    evaluation: Evaluation
    leakage: LeakageTable
    adapters: dict[ArmName, TrainedAdapter]
    synthesizers: dict[ArmName, TrainedAdapter]
    found: Reconstruction
    faithfulness: Faithfulness | None = None
    judgments: tuple[Judgment, ...] = ()
    realism: tuple[Realism, ...] = ()
    agreement: Agreement | None = None
    report: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """What is to be measured.

    Attributes:
        arms: What to compare.
        more: Arms of the caller's own.
        texts: Whether the answers to open questions are drawn too, not only their likelihood.
        judge: Compares the drawn answers; None asks no judge.
        embed: Texts to vectors, by which drawn answers are told from what people wrote; None
            takes their words.
        traces: K, traces drawn for each answer; None takes that of the configuration.
        calibrate: Training answers that the weights of pools are fitted on before they are
            measured; None takes the weights of the store.
        traced: Of each person, how many training interactions get traces; None for all.
        panel: People beside those who are measured, whose training answers count as others'.
    """

    arms: Sequence[ArmName]
    more: Sequence[Arm] = ()
    texts: bool = False
    judge: Engine | None = None
    embed: Embed | None = None
    traces: int | None = None
    calibrate: int | None = None
    traced: int | None = None
    panel: Sequence[str] = ()

    @property
    def specs(self) -> list[ArmSpec]:
        """What the arms are, in the order of the tables."""
        return [spec for name, spec in ARM_SPECS.items() if name in self.arms]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurer:
    """Everything that a measurement needs.

    Attributes:
        corpus: The store.
        engine: Runs the model that answers.
        recon_engine: Writes and scores the traces: mostly the same.
        config: Settings of every stage.
        histories: Finds what is shown.
        asker: Puts questions as `respond` does.
        trainer: Trains the adapters.
        written: Trains a synthesizer and lets it write, for the arms that need one.
        second: A reconstructor of another model family, which says whether the choice of traces
            means anything to it (L8); None asks none.
        aids: What some scorers use besides.
    """

    corpus: Corpus
    engine: Engine
    recon_engine: Engine
    config: PipelineConfig
    histories: Histories
    asker: Asker
    trainer: Trainer
    written: Written
    second: Engine | None = None
    aids: Aids = Aids()

    def run(
        self,
        train: Sequence[Interaction],
        held_out: Sequence[Interaction],
        *,
        asked: Measures,
        out: Path | None = None,
        provenance: dict[str, object] | None = None,
        title: str = "Held-out answers",
        progress: Progress | None = None,
    ) -> Measurement:
        """Reconstruct, train, evaluate and, if `out` is given, write the report.

        Called again after it was cut off, it repeats no finished work.

        Args:
            train: Interactions of the train split that are learned from.
            held_out: Interactions that are predicted.
            asked: What is to be measured.
            out: Folder of the report and of the cached predictions.
            provenance: Command and sizes, for the report.
            title: Heading of the page.
            progress: Called with (stage, done, total).

        Returns:
            The measurement.

        Raises:
            EvaluationError: If nothing is held out, or an arm is unknown.
        """
        check_arms(asked.arms)
        selected_by: list[str] = []
        if asked.judge is not None:
            scorer = self.config.scoring.scorer
            selected_by = refuse_selector(asked.judge, self.aids.judge, scorer)
        found = self._reconstruct(train, asked, progress)
        trained = self._train(asked.specs, train, found, progress)
        build = ArmBuilder(
            engine=self.engine,
            histories=self.histories,
            config=self.config,
            train=train,
            others=self._others(train, asked.panel),
            held_out=held_out,
            found=found,
            asker=self._pooling(asked, trained, progress),
            texts=asked.texts,
            traces=asked.traces,
        )
        built = [*build.all(asked.arms, trained.adapters), *asked.more]
        evaluation = evaluate(
            built,
            held_out,
            metrics=self._metrics(held_out, texts=asked.texts),
            baseline=_headline([arm.name for arm in built]),
            cache=FileCache(out / "cache") if out else None,
            progress=progress,
        )
        learned = trained.learned(found)
        agreed = self._agreement(learned, progress)
        measured = Measurement(
            evaluation=evaluation,
            leakage=self._leakage(learned, agreed, progress),
            agreement=agreed,
            adapters=trained.adapters,
            synthesizers=trained.synthesizers,
            found=found,
            faithfulness=faithfulness_of(evaluation, own=RECON, swapped=SWAPPED, none=OFF),
            judgments=judgments_of(
                evaluation, asked.judge, selected_by=selected_by, progress=progress
            )
            if asked.judge is not None
            else (),
            realism=realism(evaluation, embed=asked.embed) if asked.texts else (),
        )
        return self._reported(measured, out, title, provenance or {}) if out else measured

    def _reconstruct(
        self,
        train: Sequence[Interaction],
        asked: Measures,
        progress: Progress | None,
    ) -> Reconstruction:
        """Run Recon, unless no arm has any use for traces."""
        if any(spec.needs_traces for spec in asked.specs):
            recon = Recon(
                self.corpus, self.recon_engine, self.config, self.histories, aids=self.aids
            )
            return recon.run(train, traced=asked.traced, progress=progress)
        return Reconstruction(
            interactions=tuple(train), scored={}, selections={}, failures=(), stage=""
        )

    def _train(
        self,
        specs: Sequence[ArmSpec],
        train: Sequence[Interaction],
        found: Reconstruction,
        progress: Progress | None,
    ) -> _Trained:
        """Train every arm that has weights; all share pairs, budget, steps and seeds."""
        made = _Trained({}, {}, [])
        for spec in specs:
            if spec.answers == "adapter":
                made.adapters[spec.name] = self._adapter(spec, train, found, made, progress)
        return made

    def _adapter(
        self,
        spec: ArmSpec,
        train: Sequence[Interaction],
        found: Reconstruction,
        made: _Trained,
        progress: Progress | None,
    ) -> TrainedAdapter:
        if spec.control is not None:
            return train_control(spec.control, self.trainer, train, progress=progress)
        assert spec.traces is not None, "an adapter learns from traces or from a reward"
        if spec.recipe in {None, "select"}:
            name = spec.name.replace("_", "-")
            return self.trainer.train(found, spec.traces, name=name, progress=progress)
        assert spec.recipe is not None, "a synthesizer is trained by a recipe"
        synthesizer, traces = self.written(spec.recipe, train, progress)
        made.written.append(traces)
        if synthesizer is not None:
            made.synthesizers[spec.name] = synthesizer
        return self.trainer.train(traces, spec.traces, name=spec.title.lower(), progress=progress)

    def _others(self, train: Sequence[Interaction], panel: Sequence[str]) -> Sequence[Interaction]:
        """Return the answers that count as other people's: those learned from, and the panel's."""
        if not panel:
            return train
        return [*train, *self.corpus.interactions(panel, split="train")]

    def _pooling(self, asked: Measures, trained: _Trained, progress: Progress | None) -> Asker:
        """Return what puts questions to the pool, its weights fitted where that is asked for.

        The simulator in it is Recon-Select's adapter where that is measured, and otherwise what
        answers now.
        """
        asker = self.asker
        if asked.traces is not None:
            simulation = self.config.simulation.model_copy(update={"traces": asked.traces})
            asker = asker.under(asker.config.model_copy(update={"simulation": simulation}))
        if "recon_select" in trained.adapters:
            asker = asker.answering(trained.adapters["recon_select"])
        pooled = any(spec.answers == "pool" and len(spec.predictors) > 1 for spec in asked.specs)
        if asked.calibrate is not None and pooled:
            everybody = People(self.corpus, None)
            calibrate_once(
                asker, lambda: self.engine, everybody, answers=asked.calibrate, progress=progress
            )
        return asker

    def _metrics(self, held_out: Sequence[Interaction], *, texts: bool) -> list[Metric]:
        """Open answers are measured by their likelihood, and by their text where it is drawn."""
        if texts:
            return list(default_metrics(held_out))
        opened = [i for i in held_out if not is_closed(i.space)]
        return [
            metric
            for metric in default_metrics(held_out)
            if metric.needs != "action" or not any(metric.applies(i) for i in opened)
        ]

    def _agreement(self, found: Reconstruction, progress: Progress | None) -> Agreement | None:
        if self.second is None:
            return None
        return second_opinion(
            self.corpus,
            self.second,
            self.histories,
            self.config,
            found,
            aids=self.aids,
            progress=progress,
        )

    def _leakage(
        self, found: Reconstruction, agreed: Agreement | None, progress: Progress | None
    ) -> LeakageTable:
        figures = diagnostics(
            self.recon_engine,
            self.histories,
            self.config,
            found,
            aids=self.aids,
            progress=progress,
        )
        figures |= agreed.to_figures() if agreed else {}
        scored = [one for many in found.scored.values() for one in many]
        return LeakageTable.of(scored, list(found.selections.values()), diagnostics=figures)

    def _reported(
        self, measured: Measurement, out: Path, title: str, provenance: dict[str, object]
    ) -> Measurement:
        evaluation = measured.evaluation
        also = [title_of("random_eligible"), title_of("pool_without_reasoning")]
        synthesizers = [(title_of(arm), one) for arm, one in measured.synthesizers.items()]
        told = {
            **provenance,
            "engine": self.engine.identity,
            "recon engine": self.recon_engine.identity,
            "settings": self.config.key,
            "corpus": self.corpus.digest(sorted({i.user_id for i in evaluation.interactions})),
            "adapters": {name: one.ref.name for name, one in measured.adapters.items()},
            "synthesizers": {name: one.ref.name for name, one in measured.synthesizers.items()},
        }
        page = write_report(
            evaluation,
            out,
            title=title,
            provenance=told,
            leakage=measured.leakage,
            examples=examples(evaluation, RECON),
            also_against=[name for name in also if name in evaluation.arms],
            sections=[
                sizes(measured.found, evaluation, measured.adapters),
                *added_sections(reasoning_added(evaluation)),
                *k_sections(evaluation),
                *check_sections(measured.faithfulness, measured.judgments, measured.realism),
                *(synthesizer_section(*one) for one in synthesizers),
            ],
            curves=[curves_of(*one) for one in synthesizers],
        )
        return replace(measured, report=page)


def _headline(names: Sequence[str]) -> str:
    """Return the arm that others are compared with: Recon's, trained or not, else the last."""
    recons = (RECON, title_of("recon_memory"))
    return next((name for name in recons if name in names), names[-1])


def reasoning_added(evaluation: Evaluation) -> list[str]:
    """Say what reasoning added to the pool of everything else; nothing where it was not measured.

    Args:
        evaluation: Holds the pool with and without the reasoning predictor.
    """
    pool, without = title_of("pool"), title_of("pool_without_reasoning")
    return added(evaluation, pool, without, "the reasoning")
