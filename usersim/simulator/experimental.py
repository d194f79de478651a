"""Controls that reward the user model itself: B9, likelihood RL, and B11, E2E-GRPO.

They exist to be measured against, not to be used. Both train one model that reasons and acts,
by the policy gradient that trains a synthesizer, on the user model's own prompts:

- B9 pays for reasoning after which the same model finds the true action likelier;
- B11 pays for predicted actions that are like the true one, reasoning and action drawn as one.
  It is the negative control of arXiv 2605.26969, where it lost to its baselines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from usersim.config import PipelineConfig
from usersim.engines import AdapterRef, Draw, Engine, GenerateRequest, ScoreRequest
from usersim.engines.base import weights_of
from usersim.errors import TranscriptError
from usersim.evaluation import Control
from usersim.prompts import respond_prompt, templates_key
from usersim.recon.fidelity.similarity import likeness
from usersim.simulator.history import Histories
from usersim.simulator.train import Trainer, known, register, removed_if_forgotten, watched
from usersim.training import Hooks, RewardLesson, TrainedAdapter, train_synthesizer
from usersim.transcript import (
    CLOSE,
    NO_REASONING,
    OPEN,
    REASONING_STOP,
    action_text,
    parse_action,
    parse_reasoning,
    prefix,
)
from usersim.types import Interaction, RewardedTrace, Scale, TracePrompt, content_key, is_closed
from usersim.views import Progress, staged

__all__ = ["action_worth", "train_control"]


def train_control(
    control: Control,
    trainer: Trainer,
    interactions: Sequence[Interaction],
    *,
    progress: Progress | None = None,
) -> TrainedAdapter:
    """Train the user model itself by policy gradients.

    Args:
        control: Which reward.
        trainer: Of the study; gives corpus, engine, settings and folder.
        interactions: Of the train split.
        progress: Called with (stage, done, total).
    """
    rewards = _Rewards(control, trainer.engine, trainer.config, {i.key: i for i in interactions})
    config = trainer.config
    limit = config.simulation.max_reasoning_tokens
    whole = control == "e2e_grpo"
    lesson = RewardLesson(
        prompts=[_prompt(one, trainer.histories, config) for one in interactions],
        rollouts=rewards,
        identity=rewards.identity,
        max_tokens=limit + config.simulation.max_action_tokens if whole else limit,
        whole_turns=whole,
    )

    with known(trainer.corpus, trainer.training, interactions) as training:
        adapter = train_synthesizer(
            lesson,
            base_model=weights_of(trainer.engine),
            out_dir=trainer.folder,
            config=config.synthesizer,
            name=control.replace("_", "-"),
            hooks=Hooks(
                progress=staged(f"train {control}", progress),
                stop_when=watched(trainer.corpus, training),
            ),
        )
        with removed_if_forgotten(trainer.corpus, training, adapter):
            register(trainer.corpus, adapter, "arm", training)
    return adapter


def _prompt(one: Interaction, histories: Histories, config: PipelineConfig) -> TracePrompt:
    history = histories.around(one).history
    return TracePrompt(
        key=one.key,
        user_id=one.user_id,
        direction="forward",
        messages=respond_prompt(one.user_id, one.question, history, config=config.history),
    )


@dataclass(frozen=True, slots=True)
class _Rewards:
    """Draws from the user model under training and pays for what it predicts."""

    control: Control
    engine: Engine
    config: PipelineConfig
    rows: Mapping[str, Interaction]

    @property
    def identity(self) -> str:
        config = self.config
        stages = (config.history.key, config.scoring.key, config.reward.key, config.simulation.key)
        return content_key(self.control, self.engine.identity, templates_key(), *stages)

    def __call__(
        self, prompts: Sequence[TracePrompt], *, adapter: AdapterRef | None, n: int, seed: int
    ) -> list[tuple[RewardedTrace, ...]]:
        """Draw reasoning, and pay; see `training.Rollouts`."""
        requests = [
            GenerateRequest(
                prompt=prompt.messages,
                prefix=OPEN,
                max_tokens=self.config.simulation.max_reasoning_tokens,
                temperature=self.config.synthesizer.temperature,
                stop=(REASONING_STOP,),
                n=n,
                seed=int(content_key(seed, prompt.key)[:8], 16) >> 1,
                adapter=adapter,
            )
            for prompt in prompts
        ]
        drawn = self.engine.generate(requests)
        pay = self._by_likelihood if self.control == "likelihood_rl" else self._by_action
        return [
            pay(prompt, draws, adapter, seed) for prompt, draws in zip(prompts, drawn, strict=True)
        ]

    def _by_likelihood(
        self, prompt: TracePrompt, draws: Sequence[Draw], adapter: AdapterRef | None, _seed: int
    ) -> tuple[RewardedTrace, ...]:
        """B9: the gain in the action's likelihood, under the model that is trained."""
        texts = [_reasoning(draw) for draw in draws]
        action = action_text(self.rows[prompt.key].action_text)
        prefixes = [NO_REASONING, *(prefix(text) for text in texts if text)]
        scores = iter(
            self.engine.score(
                [
                    ScoreRequest(
                        prompt=prompt.messages,
                        prefix=before,
                        continuation=action,
                        adapter=adapter,
                    )
                    for before in prefixes
                ]
            )
        )
        floor, reward = self.config.scoring.logprob_floor, self.config.reward
        none = next(scores).mean(floor)
        found: list[RewardedTrace] = []
        for draw, text in zip(draws, texts, strict=True):
            gain = next(scores).mean(floor) - none if text else 0.0
            value = min(max(gain, reward.low), reward.high) if text else reward.malformed
            found.append(_paid(text or draw.text, value, draw, readable=bool(text)))
        return tuple(found)

    def _by_action(
        self, prompt: TracePrompt, draws: Sequence[Draw], adapter: AdapterRef | None, seed: int
    ) -> tuple[RewardedTrace, ...]:
        """B11: the likeness of the action that is drawn after each trace."""
        texts = [_reasoning(draw) for draw in draws]
        requests = [
            GenerateRequest(
                prompt=prompt.messages,
                prefix=prefix(text),
                max_tokens=self.config.simulation.max_action_tokens,
                temperature=self.config.synthesizer.temperature,
                seed=int(content_key(seed, prompt.key, place)[:8], 16) >> 1,
                adapter=adapter,
            )
            for place, text in enumerate(texts)
            if text
        ]
        acted = iter(self.engine.generate(requests) if requests else [])
        interaction = self.rows[prompt.key]
        found: list[RewardedTrace] = []
        for draw, text in zip(draws, texts, strict=True):
            action = next(acted)[0] if text else None
            if action is None:
                malformed = self.config.reward.malformed
                found.append(_paid(draw.text + CLOSE, malformed, draw, readable=False))
                continue
            whole = prefix(text).removeprefix(OPEN) + action.text
            cut = action.finish == "length"
            value = 0.0 if cut else action_worth(interaction, action.text)
            found.append(_paid(whole, value, draw, readable=True, cut=cut))
        return tuple(found)


def action_worth(interaction: Interaction, drawn: str) -> float:
    """Return how like a drawn action is to the true one, 0 to 1.

    One of several options: 1 for the same one; on a scale less by the share of the scale that
    lies between. A text: the mean of chrF, ROUGE-L and likeness of style.

    Args:
        interaction: The observed pair.
        drawn: What the model wrote as its action.
    """
    try:
        said = parse_action(drawn, complete=True).strip()
    except TranscriptError:
        return 0.0
    true, space = interaction.action_text, interaction.space
    if isinstance(space, Scale) and said in space.options:
        far = abs(space.options.index(said) - space.options.index(true))
        return 1.0 - far / max(1, len(space.options) - 1)
    if is_closed(space):
        return float(said == true)
    return likeness(said, true)


def _reasoning(draw: Draw) -> str:
    """Return the reasoning of a draw; empty if it cannot be read."""
    try:
        return parse_reasoning(draw.text, stopped=draw.finish == "stop")
    except TranscriptError:
        return ""


def _paid(
    text: str, reward: float, draw: Draw, *, readable: bool, cut: bool = False
) -> RewardedTrace:
    return RewardedTrace(
        reasoning=text,
        reward=reward,
        components={
            "reward": reward,
            "tokens": float(draw.n_tokens),
            "malformed": float(not readable),
        },
        cut=cut or draw.finish == "length",
        readable=readable,
    )
