"""The simulator's own arms: base model and adapters, with and without reasoning.

One pass over an item yields the likelihood with each drawn trace and without any; the arms
"with reasoning", "weighted" and "reasoning off" of one adapter are three readings of that pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from usersim.config import PipelineConfig
from usersim.engines import AdapterRef, Engine
from usersim.engines.batching import each
from usersim.evaluation import Arm
from usersim.prompts import templates_key
from usersim.simulation import Likelihoods, RespondItem, likelihoods, prediction
from usersim.simulator.history import Histories, profile_of
from usersim.simulator.train import respond_item
from usersim.types import Batch, Interaction, Prediction, content_key

__all__ = ["ModelArms", "Shown"]

Shown = Literal["profile", "history", "kept"]
"""What of the person stands in the prompt: facts only, the history, or the history with its kept
traces (Recon-Memory)."""


@dataclass(slots=True)
class ModelArms:
    """Makes arms from one engine, one corpus and one choice of weights.

    Attributes:
        engine: Runs the model.
        histories: Finds what is shown.
        config: How answers are drawn.
        shown: What of the person stands in the prompt.
        adapter: Trained weights; None for the base model.
        traces: K; 0 answers without reasoning.
        kept: Kept reasoning by interaction key, for `shown="kept"`.
        train: The people's train split, for `shown="profile"`.
    """

    engine: Engine
    histories: Histories
    config: PipelineConfig
    shown: Shown = "history"
    adapter: AdapterRef | None = None
    traces: int = 0
    kept: Mapping[str, str] = field(default_factory=dict[str, str])
    train: Mapping[str, Sequence[Interaction]] = field(
        default_factory=dict[str, Sequence[Interaction]]
    )
    _done: dict[str, Likelihoods] = field(default_factory=dict[str, Likelihoods])

    def arm(self, name: str, description: str, *, weight: float = 1.0) -> Arm:
        """Return an arm that reads p(a | x) at one reasoning weight.

        Args:
            name: Shown in every table.
            description: One sentence.
            weight: 1 with reasoning, 0 without, else the mixture.
        """

        def run(interactions: Sequence[Interaction]) -> Batch[Prediction]:
            self._measure([i for i in interactions if i.key not in self._done])
            return Batch(
                tuple(prediction(self._done[i.key], i.question, weight) for i in interactions)
            )

        def predict(interactions: Sequence[Interaction]) -> Batch[Prediction]:
            return each(interactions, run, lambda interaction: interaction.key)

        return Arm(name, predict, description, f"{self._identity()}/w={weight!r}")

    def _identity(self) -> str:
        return content_key(
            self.engine.identity,
            templates_key(),
            self.config.history.key,
            self.config.simulation.key,
            self.shown,
            self.adapter.digest if self.adapter else None,
            self.traces,
            sorted(self.kept.items()),
        )

    def _measure(self, interactions: Sequence[Interaction]) -> None:
        settings = self.config.simulation.model_copy(update={"traces": self.traces})
        items = [(self._item(i), i.action) for i in interactions]
        found = likelihoods(self.engine, items, config=settings, history=self.config.history)
        self._done.update({i.key: one for i, one in zip(interactions, found, strict=True)})

    def _item(self, interaction: Interaction) -> RespondItem:
        history: tuple[Interaction, ...] = ()
        if self.shown != "profile":
            history = self.histories.of(interaction.user_id, interaction.question, before=None)
        item = respond_item(interaction, history, seed=self.config.simulation.seed)
        return replace(
            item,
            adapter=self.adapter,
            reasonings={
                past.key: self.kept[past.key] for past in history if self.kept.get(past.key)
            },
            profile=profile_of(self.train.get(interaction.user_id, ()))
            if self.shown == "profile"
            else None,
        )
