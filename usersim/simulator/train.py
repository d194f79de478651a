"""From people and their selected traces to a trained, weighted and registered adapter."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from math import ceil
from pathlib import Path

import numpy as np
from pydantic import JsonValue

from usersim.config import PipelineConfig
from usersim.corpus import Corpus, Training
from usersim.engines import Engine
from usersim.engines.base import weights_of
from usersim.errors import CorpusError, NoTrainingDataError, UserForgottenError, UsersimError
from usersim.prompts import templates_key
from usersim.simulation import RespondItem, derive_seed, likelihoods
from usersim.simulator.adapters import Purpose
from usersim.simulator.history import Histories
from usersim.simulator.lessons import person_lessons, shown_when_asked
from usersim.simulator.recon import Reconstruction, chunks
from usersim.simulator.sources import reasonings
from usersim.training import (
    BaseModelCache,
    TrainedAdapter,
    fit_reasoning_weight,
    remove_artifact,
    set_reasoning_weight,
    train_user_model,
)
from usersim.types import WITHOUT_REASONING, Interaction, TraceSource
from usersim.views import Progress, staged

__all__ = ["Trainer", "known", "register", "removed_if_forgotten", "respond_item", "watched"]

logger = logging.getLogger(__name__)

MIN_FOR_WEIGHT = 8
"""Validation items below which a reasoning weight is not fitted: its interval says nothing."""


def respond_item(
    interaction: Interaction, history: tuple[Interaction, ...], *, seed: int
) -> RespondItem:
    """Return the question of an observed interaction as an item to be answered."""
    return RespondItem(
        user_id=interaction.user_id,
        question=interaction.question,
        history=history,
        seed=derive_seed(seed, interaction.key),
    )


@dataclass(frozen=True, slots=True)
class Trainer:
    """Trains user models on one corpus, each from its own source of traces.

    Attributes:
        corpus: Where adapters are registered, so that deleting a user finds them.
        engine: The base model; also measures the reasoning weight.
        config: Settings of every stage.
        histories: Finds what is shown with an interaction.
        folder: Adapters are made in here.
        purpose: What for; only those that are to answer become the default of the store.
        training: How the store knows of it; None registers each training by itself.
        cache: Keeps the base model for the next training; None loads it for each.
    """

    corpus: Corpus
    engine: Engine
    config: PipelineConfig
    histories: Histories
    folder: Path
    purpose: Purpose = "answers"
    training: Training | None = None
    cache: BaseModelCache | None = None

    def train(
        self,
        found: Reconstruction,
        source: TraceSource,
        *,
        name: str,
        start: TrainedAdapter | None = None,
        progress: Progress | None = None,
        max_minutes: float | None = None,
        stop_when: Callable[[], bool] | None = None,
    ) -> TrainedAdapter:
        """Train one adapter on whole people with the reasoning of one source, and register it.

        Its reasoning weight is fitted on what was held out.

        Args:
            found: Interactions with their candidates and decisions.
            source: Which of the candidates each example gets.
            name: Beginning of the adapter's name.
            start: Adapter that the training starts from, as one shared by many for one person.
            progress: Called with (stage, done, total); training counts answers.
            max_minutes: Ends the training cleanly with the best state so far.
            stop_when: Asked between steps; True ends the training cleanly.

        Returns:
            The adapter, verified on disk.

        Raises:
            NoTrainingDataError: If there is no interaction to train on.
            DivergedError: If the loss stops being a number or explodes.
            UserForgottenError: If somebody was forgotten meanwhile; nothing that was made from
                their data is left.
        """
        if not found.interactions:
            raise NoTrainingDataError(
                f"no training data for {name!r}",
                hint="load a corpus with at least two interactions of the person",
            )
        with known(self.corpus, self.training, found.interactions) as training:
            return self._train(
                found, source, training, name, start, progress, max_minutes, stop_when
            )

    def _train(
        self,
        found: Reconstruction,
        source: TraceSource,
        training: Training,
        name: str,
        start: TrainedAdapter | None,
        progress: Progress | None,
        max_minutes: float | None,
        stop_when: Callable[[], bool] | None,
    ) -> TrainedAdapter:
        texts = reasonings(source, found, self.config.guards, seed=self.config.training.seed)
        lessons = person_lessons(
            found.interactions,
            texts,
            self.config.training,
            ordered=self.corpus.ordered_users([one.user_id for one in found.interactions]),
            start=start,
            after=source == "after_answer",
        )

        adapter = train_user_model(
            lessons,
            base_model=weights_of(self.engine),
            out_dir=self.folder,
            config=self.config.training,
            history=self.config.history,
            name=name,
            start=start,
            as_asked=partial(shown_when_asked, self.histories),
            provenance=self._provenance(found, source),
            progress=staged(f"train {name}", progress),
            max_minutes=max_minutes,
            stop_when=watched(self.corpus, training, stop_when),
            cache=self.cache,
        )
        with removed_if_forgotten(self.corpus, training, adapter):
            if source not in WITHOUT_REASONING:
                held = {key for lesson in lessons for key in lesson.held}
                adapter = self._weigh(
                    adapter,
                    [i for i in found.interactions if i.key in held],
                    staged(f"weigh the reasoning of {name}", progress),
                )
            register(self.corpus, adapter, self.purpose, training)
        return adapter

    def _weigh(
        self, adapter: TrainedAdapter, held: Sequence[Interaction], progress: Progress | None
    ) -> TrainedAdapter:
        """Fit w on interactions of the training part that were not learned from."""
        held = held[:: max(ceil(len(held) / self.config.training.validation_most), 1)]
        if len(held) < MIN_FOR_WEIGHT or adapter.manifest.reasoning_weight is not None:
            return adapter
        items = [
            (
                replace(
                    respond_item(
                        i,
                        self.histories.around(i).history,
                        seed=self.config.simulation.seed,
                    ),
                    adapter=adapter.ref,
                ),
                i.action,
            )
            for i in held
        ]
        found = [
            one
            for chunk in chunks(items, "weigh", len(items), progress)
            for one in likelihoods(
                self.engine, chunk, config=self.config.simulation, history=self.config.history
            )
        ]
        weight = fit_reasoning_weight(
            np.array([one.given for one in found]), np.array([one.without for one in found])
        )
        return set_reasoning_weight(adapter, weight)

    def _provenance(self, found: Reconstruction, source: TraceSource) -> dict[str, JsonValue]:
        users = sorted({i.user_id for i in found.interactions})
        return {
            "corpus": self.corpus.digest(users),
            "prompts": templates_key(),
            "engine": self.engine.identity,
            "traces": source,
            "kept traces": found.kept,
            "interactions": len(found.interactions),
            "settings": self.config.model_dump(mode="json"),
        }


def register(corpus: Corpus, adapter: TrainedAdapter, purpose: Purpose, training: Training) -> None:
    """Note an adapter in the store: deleting a user finds it, and answering, if it is for that.

    An adapter that started from one of another store also holds people whom this one never knew.

    Raises:
        UserForgottenError: If somebody was forgotten since the training began.
    """
    manifest = adapter.manifest
    unknown: set[str] = set()
    if manifest.start is not None:
        stored = set(corpus.user_ids())
        unknown = {*manifest.users} - stored - {*manifest.learned_from}
    corpus.ledger.put_adapter(
        name=adapter.ref.name,
        path=adapter.ref.path,
        digest=adapter.ref.digest,
        base_model=adapter.ref.base_model,
        user_ids=[user for user in manifest.users if user not in unknown],
        manifest={**manifest.model_dump(mode="json"), "purpose": purpose},
        training=training,
    )


@contextmanager
def known(
    corpus: Corpus, training: Training | None, interactions: Sequence[Interaction]
) -> Generator[Training]:
    """Give a training that the store knows of: the one that is, or one for the block alone.

    Yields:
        The training.

    Raises:
        UserForgottenError: If somebody was forgotten meanwhile.
    """
    if training is not None:
        yield training
        return
    with corpus.trainings.under_way([one.user_id for one in interactions]) as own:
        yield own


def watched(
    corpus: Corpus, training: Training, stop_when: Callable[[], bool] | None = None
) -> Callable[[], bool]:
    """Return what a training asks after each step: also whether somebody was forgotten.

    Args:
        corpus: The store.
        training: The training.
        stop_when: What the caller wants to be asked.
    """

    def stop() -> bool:
        try:
            corpus.trainings.check(training)
        except UserForgottenError:
            raise
        except CorpusError as error:  # asked again after the next step, and at the end
            logger.warning("the store does not say whether somebody was forgotten: %s", error)
        return stop_when is not None and stop_when()

    return stop


@contextmanager
def removed_if_forgotten(
    corpus: Corpus, training: Training, adapter: TrainedAdapter
) -> Generator[None]:
    """Remove an adapter that is not registered yet where somebody in it was forgotten.

    Yields:
        Nothing.

    Raises:
        UserForgottenError: Naming them, in place of whatever failed because they are gone.
        UsersimError: Whatever else failed.
    """
    try:
        yield
    except UsersimError as error:
        try:
            if isinstance(error, UserForgottenError):
                raise
            corpus.trainings.check(training)
        except UserForgottenError:
            remove_artifact(adapter)
            raise
        raise
