"""Learning from a corpus: traces, their synthesizer, the user model, and what they are worth."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from usersim.config import PipelineConfig, Recipe
from usersim.corpus import Corpus, Training
from usersim.engines import Engine
from usersim.engines.base import weights_of
from usersim.errors import ArtifactError
from usersim.recon import Aids
from usersim.simulator.adapters import Base, Purpose
from usersim.simulator.asking import Asker
from usersim.simulator.history import Histories
from usersim.simulator.measure import Measurement, Measurer, Measures, Traces, pick_held_out
from usersim.simulator.people import People
from usersim.simulator.recon import Recon, Reconstruction, spread
from usersim.simulator.sources import check_source
from usersim.simulator.synthesizer import SynthesizerTrainer, check_recipe
from usersim.simulator.train import Trainer
from usersim.training import BaseModelCache, Hooks, StepNote, TrainedAdapter, check_one_process
from usersim.types import Interaction, TraceSource
from usersim.views import Progress

__all__ = ["Learner", "ReportPage", "TrainingResult"]


SYNTHESIZERS_SHARE = 2 / 3
"""Share of a time limit that training the synthesizer may take; the user model has the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportPage:
    """What the report of a measurement receives.

    Attributes:
        out: Folder of the report; None writes none.
        provenance: Command and sizes.
        title: Heading of the page.
    """

    out: str | Path | None
    provenance: Mapping[str, object] | None
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingResult:
    """What a training made.

    Attributes:
        adapter: The user model.
        synthesizer: The synthesizer; None for the base model.
        found: The traces that the user model learned from.
    """

    adapter: TrainedAdapter
    synthesizer: TrainedAdapter | None
    found: Reconstruction


@dataclass(frozen=True, slots=True, kw_only=True)
class Learner:
    """Learns from the people of one corpus.

    Attributes:
        corpus: The store.
        engine: Base of the user model; answers.
        recon_engine: Synthesizer and reconstructor: mostly the same.
        config: Settings of every stage.
        histories: Finds what is shown with an interaction.
        people: Whose interactions are learned from.
        second: A reconstructor of another model family; it only measures (guard L8).
        aids: What some scorers use besides.
        training: How the store knows that these people are learned from; None before it does.
        cache: Keeps the base model of user models for the next training; None loads it for each.
    """

    corpus: Corpus
    engine: Engine
    recon_engine: Engine
    config: PipelineConfig
    histories: Histories
    people: People
    second: Engine | None = None
    aids: Aids = Aids()
    training: Training | None = None
    cache: BaseModelCache | None = None

    def reconstruct(
        self,
        interactions: Sequence[Interaction],
        *,
        traced: int | None = None,
        synthesizer: TrainedAdapter | None = None,
        progress: Progress | None = None,
    ) -> Reconstruction:
        """Synthesize, score and select; resumes where it stopped.

        Args:
            interactions: Of the train split.
            traced: Of each person, how many get traces; None for all.
            synthesizer: A trained synthesizer; None draws from the base model.
            progress: Called with (stage, done, total).

        Raises:
            ArtifactError: If the synthesizer is one of another model.
        """
        if synthesizer is not None:
            _check_base(synthesizer, self.recon_engine)
        ref = synthesizer.ref if synthesizer else None
        recon = Recon(
            self.corpus,
            self.recon_engine,
            self.config,
            self.histories,
            synthesizer=ref,
            aids=self.aids,
        )
        return recon.run(interactions, traced=traced, progress=progress)

    def train_synthesizer(
        self,
        recipe: Recipe,
        interactions: Sequence[Interaction],
        *,
        progress: Progress | None = None,
        hooks: Hooks = Hooks(),
    ) -> TrainedAdapter | None:
        """Train the synthesizer by `recipe`; None for `select`, which trains none."""
        check_recipe(recipe)
        if recipe == "select":
            return None
        trainer = SynthesizerTrainer(
            corpus=self.corpus,
            engine=self.recon_engine,
            config=self.config,
            histories=self.histories,
            folder=self.people.folder,
            second=self.second,
            aids=self.aids,
            training=self.training,
        )
        name = f"{self.people.user_id or 'shared'}-synthesizer-{recipe}"
        return trainer.train(recipe, interactions, name=name, progress=progress, hooks=hooks)

    def train(
        self,
        recipe: Recipe,
        traces: TraceSource,
        *,
        limit: int | None,
        traced: int | None = None,
        start: TrainedAdapter | None = None,
        max_minutes: float | None = None,
        progress: Progress | None = None,
        note: StepNote | None = None,
    ) -> TrainingResult:
        """Train the synthesizer, let it write, and train the user model on what was selected.

        Args:
            recipe: How the synthesizer is trained.
            traces: Where the reasoning comes from.
            limit: Interactions of each person, the newest; None takes all.
            traced: Of these, how many of each person get traces; None for all.
            start: Adapter whose weights the user model begins with.
            max_minutes: Ends the training cleanly with the best state so far.
            progress: Called with (stage, done, total).
            note: Called with (step, steps, figures) after each step of DPO or GRPO.

        Raises:
            UserForgottenError: If somebody was forgotten meanwhile; nothing that was made from
                their data is left.
        """
        check_one_process()
        check_recipe(recipe)
        check_source(traces)
        self.aids.check(self.config.scoring, self.recon_engine)
        weights_of(self.engine)  # before hours of reconstruction
        # Before anything is read: whoever is forgotten from here on is noticed.
        with self.corpus.trainings.under_way(self._whose(start)) as training:
            return replace(self, training=training)._train(  # noqa: SLF001 - a copy of this
                recipe,
                traces,
                limit=limit,
                traced=traced,
                start=start,
                max_minutes=max_minutes,
                progress=progress,
                note=note,
            )

    def _whose(self, start: TrainedAdapter | None) -> list[str]:
        """Return whose data the adapter will hold, as far as the store knows them."""
        users = self.people.users
        if start is None:
            return users
        stored = set(self.corpus.user_ids())
        return sorted({*users, *stored.intersection(start.manifest.users)})

    def _train(
        self,
        recipe: Recipe,
        traces: TraceSource,
        *,
        limit: int | None,
        traced: int | None,
        start: TrainedAdapter | None,
        max_minutes: float | None,
        progress: Progress | None,
        note: StepNote | None,
    ) -> TrainingResult:
        began = time.monotonic()
        rows = self.people.train(limit)
        share = None if max_minutes is None else SYNTHESIZERS_SHARE * max_minutes
        hooks = Hooks(note=note, max_minutes=share)
        synthesizer = self.train_synthesizer(
            recipe, spread(rows, traced), progress=progress, hooks=hooks
        )
        found = self.reconstruct(rows, traced=traced, synthesizer=synthesizer, progress=progress)
        name = f"{self.people.user_id or 'shared'}-{traces}-{recipe}".replace("_", "-")
        left = max_minutes
        if max_minutes is not None:
            left = max_minutes - (time.monotonic() - began) / 60
        adapter = self._trainer("answers").train(
            found,
            traces,
            name=name.removesuffix("-select") if recipe == "select" else name,
            start=start,
            progress=progress,
            max_minutes=left,
        )
        return TrainingResult(adapter=adapter, synthesizer=synthesizer, found=found)

    def evaluate(
        self,
        asked: Measures,
        *,
        asker: Asker,
        limit: int | None,
        held_out: int | None,
        progress: Progress | None,
        page: ReportPage,
    ) -> Measurement:
        """Measure arms against each other on answers held out; trains what is missing.

        Args:
            asked: What is to be measured.
            asker: Puts questions as `respond` does.
            limit: Training interactions of each person, the newest; None takes all.
            held_out: Held-out interactions in all; None takes every one.
            progress: Called with (stage, done, total).
            page: What the report receives.

        Raises:
            UserForgottenError: If somebody was forgotten meanwhile; no weights that were made
                from their data are left.
        """
        check_one_process()
        with self.corpus.trainings.under_way(self.people.users) as training:
            return replace(self, training=training)._evaluate(  # noqa: SLF001 - a copy of this
                asked, asker=asker, limit=limit, held_out=held_out, progress=progress, page=page
            )

    def _evaluate(
        self,
        asked: Measures,
        *,
        asker: Asker,
        limit: int | None,
        held_out: int | None,
        progress: Progress | None,
        page: ReportPage,
    ) -> Measurement:
        measurer = Measurer(
            corpus=self.corpus,
            engine=self.engine,
            recon_engine=self.recon_engine,
            config=self.config,
            histories=self.histories,
            asker=asker,
            trainer=self._trainer("arm"),
            written=partial(self._written, asked.traced),
            second=self.second,
            aids=self.aids,
        )
        return measurer.run(
            self.people.train(limit),
            pick_held_out(self.corpus, self.people.users, held_out),
            asked=asked,
            out=Path(page.out) if page.out is not None else None,
            provenance=dict(page.provenance or {}),
            title=page.title,
            progress=progress,
        )

    def _written(
        self,
        traced: int | None,
        recipe: Recipe,
        rows: Sequence[Interaction],
        progress: Progress | None,
    ) -> Traces:
        """Return a synthesizer trained by `recipe`, and what it wrote, scored and selected."""
        synthesizer = self.train_synthesizer(recipe, spread(rows, traced), progress=progress)
        found = self.reconstruct(rows, traced=traced, synthesizer=synthesizer, progress=progress)
        return Traces(synthesizer, found)

    def _trainer(self, purpose: Purpose) -> Trainer:
        return Trainer(
            self.corpus,
            self.engine,
            self.config,
            self.histories,
            self.people.folder,
            purpose,
            self.training,
            self.cache,
        )


def _check_base(synthesizer: TrainedAdapter, engine: Engine) -> None:
    """Refuse to draw with weights that were trained on top of another model.

    Raises:
        ArtifactError: If the engine's model is another one, by its content where that is known:
            one model may lie in several places.
    """
    base = Base(engine.model, engine)
    if base.digest is not None and not base.is_of(synthesizer.manifest.base_model_digest):
        raise ArtifactError(
            f"the synthesizer {synthesizer.ref.name!r} is one of {synthesizer.ref.base_model!r}, "
            f"not of {engine.model!r}",
            hint="give the model that it was trained with as recon_engine=, or set synthesizer "
            "to None",
            cli_hint="give --recon-model the model that it was trained with",
        )
