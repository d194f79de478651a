"""Training the synthesizer on a corpus, by any recipe; resumable at every step."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from usersim.config import PipelineConfig, Recipe
from usersim.corpus import Corpus, Training
from usersim.engines import AdapterRef, Engine
from usersim.engines.base import weights_of
from usersim.errors import ConfigError, NoTrainingDataError
from usersim.prompts import templates_key
from usersim.recon import Aids, best_in, preferences, trace_prompts
from usersim.simulator.history import Histories
from usersim.simulator.recon import Recon, Reconstruction
from usersim.simulator.rewards import Rewards
from usersim.simulator.train import known, register, removed_if_forgotten, watched
from usersim.training import (
    Hooks,
    PairLesson,
    Probe,
    RewardLesson,
    TraceEvaluation,
    TraceLesson,
    TrainedAdapter,
    train_synthesizer,
)
from usersim.types import (
    Direction,
    Interaction,
    ScoredCandidate,
    TraceExample,
    TracePrompt,
    content_key,
)
from usersim.views import Progress, staged

__all__ = ["RECIPES", "SynthesizerTrainer", "check_recipe"]

logger = logging.getLogger(__name__)

RECIPES: Mapping[Recipe, str] = {
    "select": "the base model writes; Recon selects (no training)",
    "rft": "expert iteration: rounds of draw, score, keep, train from the base",
    "dpo": "preferences: the best trace against the worst, a clean one against a leaking one",
    "grpo": "policy gradients on the reconstruction reward (Recon-GRPO)",
}
"""What each recipe is, in words."""


def check_recipe(recipe: str) -> None:
    """Refuse what is not a recipe, before any work is done for it.

    Raises:
        ConfigError: Listing the recipes.
    """
    if recipe not in RECIPES:
        raise ConfigError(f"unknown recipe {recipe!r}; there are {list(RECIPES)!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SynthesizerTrainer:
    """Trains synthesizers on one corpus.

    Attributes:
        corpus: Where traces are stored and adapters are registered.
        engine: Draws and reconstructs.
        config: Settings of every stage.
        histories: Finds what is shown with an interaction.
        folder: Adapters are made in here.
        second: A reconstructor of another model family; it only measures (guard L8).
        aids: What some scorers use besides.
        training: How the store knows of it; None registers each training by itself.
    """

    corpus: Corpus
    engine: Engine
    config: PipelineConfig
    histories: Histories
    folder: Path
    second: Engine | None = None
    aids: Aids = Aids()
    training: Training | None = None

    def train(
        self,
        recipe: Recipe,
        interactions: Sequence[Interaction],
        *,
        name: str,
        progress: Progress | None = None,
        hooks: Hooks = Hooks(),
    ) -> TrainedAdapter:
        """Train a synthesizer.

        The newest interactions of each person are kept out of its training, and the traces that
        it draws for them say whether it got better.

        Args:
            recipe: How; not `select`, which trains nothing.
            interactions: Of the train split.
            name: Beginning of the adapter's name.
            progress: Called with (stage, done, total).
            hooks: Figures of each step, time limit, and when to stop.

        Returns:
            The adapter; of expert iteration, that of the best round.

        Raises:
            ConfigError: If there is no such recipe.
            NoTrainingDataError: If there is nothing to learn from.
            TrainingError: If training fails; the last good checkpoint is kept.
            UserForgottenError: If somebody was forgotten meanwhile; nothing that was made from
                their data is left.
        """
        check_recipe(recipe)
        learn, held = self._split(interactions)
        with known(self.corpus, self.training, interactions) as training:
            run = _Course(self, training, name, learn, held, progress, hooks)
            if recipe == "rft":
                return run.expert_iteration()
            return run.preferences() if recipe == "dpo" else run.policy()

    def _split(
        self, interactions: Sequence[Interaction]
    ) -> tuple[list[Interaction], list[Interaction]]:
        """Return what is learned from, and what is only measured: each person's newest.

        Raises:
            NoTrainingDataError: If nothing is left to learn from.
        """
        share, most = self.config.synthesizer.held_out_share, self.config.synthesizer.held_out_most
        of_user: dict[str, list[Interaction]] = {}
        for one in interactions:
            of_user.setdefault(one.user_id, []).append(one)
        held: list[Interaction] = []
        for own in of_user.values():
            count = int(len(own) * share + 0.5)
            held += own[len(own) - count :]
        held = held[:: max(1, -(-len(held) // most))]
        keys = {one.key for one in held}
        learn = [one for one in interactions if one.key not in keys]
        if not learn:
            raise NoTrainingDataError(
                f"no training data for a synthesizer in {self.corpus.name!r}",
                hint="load a corpus with more interactions",
            )
        return learn, held


class _Course:
    """One training: what is learned from, what is measured, and who is notified."""

    def __init__(
        self,
        trainer: SynthesizerTrainer,
        training: Training,
        name: str,
        learn: Sequence[Interaction],
        held: Sequence[Interaction],
        progress: Progress | None,
        hooks: Hooks,
    ) -> None:
        self.trainer = trainer
        self.training = training
        self.name = name
        self.learn = learn
        self.progress = progress
        self.hooks = hooks
        minutes = hooks.max_minutes
        self.deadline = float("inf") if minutes is None else time.monotonic() + 60 * minutes
        self.cases = {i.key: trainer.histories.around(i) for i in (*learn, *held)}
        self.held = [p for i in held for p in self._prompts(i).values()]
        self.rewards = Rewards(
            engine=trainer.engine,
            config=trainer.config,
            cases=self.cases,
            second=trainer.second,
            aids=trainer.aids,
        )

    def _prompts(self, interaction: Interaction) -> dict[Direction, TracePrompt]:
        config = self.trainer.config
        return trace_prompts(self.cases[interaction.key], config.synthesis, config.history)

    def _reconstruct(self, synthesizer: AdapterRef | None) -> Reconstruction:
        one = self.trainer
        recon = Recon(
            one.corpus,
            one.engine,
            one.config,
            one.histories,
            synthesizer=synthesizer,
            aids=one.aids,
        )
        return recon.run(self.learn, progress=self.progress)

    def _train(self, lesson: TraceLesson | PairLesson | RewardLesson, name: str) -> TrainedAdapter:
        one = self.trainer
        left = (self.deadline - time.monotonic()) / 60
        hooks = replace(
            self.hooks,
            progress=staged(f"train {name}", self.progress),
            max_minutes=None if left == float("inf") else left,
            stop_when=watched(one.corpus, self.training, self.hooks.stop_when),
        )
        adapter = train_synthesizer(
            lesson,
            base_model=weights_of(one.engine),
            out_dir=one.folder,
            config=one.config.synthesizer,
            name=name,
            probe=self._probe(name),
            provenance=self._provenance(),
            hooks=hooks,
        )
        with removed_if_forgotten(one.corpus, self.training, adapter):
            register(one.corpus, adapter, "synthesizer", self.training)
        return adapter

    def _probe(self, name: str) -> Probe | None:
        if not self.held:
            return None
        second = self.trainer.second
        held = [(prompt.key, prompt.direction) for prompt in self.held]
        identity = content_key(self.rewards.identity, second.identity if second else None, held)
        return Probe(partial(self._measure, name), identity)

    def _measure(self, name: str, adapter: AdapterRef | None, step: int) -> TraceEvaluation:
        if self.progress:
            self.progress(f"measure {name}", 0, len(self.held))
        found = self.rewards.measure(self.held, adapter, step)
        if self.progress:
            self.progress(f"measure {name}", len(self.held), len(self.held))
        return found

    def _provenance(self) -> dict[str, object]:
        one = self.trainer
        return {
            "corpus": one.corpus.digest(sorted({i.user_id for i in self.learn})),
            "prompts": templates_key(),
            "engine": one.engine.identity,
            "second reconstructor": one.second.identity if one.second else "none",
            "reward": self.rewards.identity,
            "interactions": len(self.learn),
            "settings": one.config.model_dump(mode="json"),
        }

    def expert_iteration(self) -> TrainedAdapter:
        """RFT: each round draws with the last round's weights and trains from the base."""
        pools: dict[str, list[ScoredCandidate]] = {i.key: [] for i in self.learn}
        synthesizer: AdapterRef | None = None
        rounds: list[TrainedAdapter] = []
        for number in range(1, self.trainer.config.synthesizer.rounds + 1):
            if rounds and time.monotonic() >= self.deadline:
                logger.warning("the time is over after round %d", number - 1)
                break
            for key, many in self._reconstruct(synthesizer).scored.items():
                pools[key] += many
            adapter = self._train(TraceLesson(self._kept(pools)), f"{self.name}-round-{number}")
            rounds.append(adapter)
            synthesizer = adapter.ref
        # The first of equals is the best; without anything measured, the last round is.
        return max(rounds, key=_watched) if self.held else rounds[-1]

    def _kept(self, pools: Mapping[str, Sequence[ScoredCandidate]]) -> list[TraceExample]:
        """Return the best valid trace so far of every interaction and direction."""
        guards = self.trainer.config.guards
        found: list[TraceExample] = []
        for interaction in self.learn:
            for direction, prompt in self._prompts(interaction).items():
                best = best_in(direction, pools[interaction.key], guards)
                if best is not None:
                    found.append(TraceExample(prompt, best.candidate.reasoning))
        return found

    def preferences(self) -> TrainedAdapter:
        """DPO on the base model's own candidates."""
        found = self._reconstruct(None)
        guards = self.trainer.config.guards
        pairs = [
            pair
            for interaction in self.learn
            for pair in preferences(
                found.scored.get(interaction.key, ()), self._prompts(interaction), guards
            )
        ]
        return self._train(PairLesson(pairs), self.name)

    def policy(self) -> TrainedAdapter:
        """GRPO on the reconstruction reward."""
        prompts = [p for interaction in self.learn for p in self._prompts(interaction).values()]
        lesson = RewardLesson(
            prompts=prompts,
            rollouts=self.rewards,
            identity=self.rewards.identity,
            max_tokens=self.trainer.config.synthesis.max_tokens,
        )
        return self._train(lesson, self.name)


def _watched(adapter: TrainedAdapter) -> float:
    """Return the held-out figure that decides between rounds."""
    record = adapter.manifest.synthesizer
    return record.after.watched if record and record.after else float("-inf")
