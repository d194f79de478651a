"""Every stage's configuration together, and the presets: the one dial."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field

from usersim.config.base import Config, formerly
from usersim.config.prediction import PredictionConfig
from usersim.config.stages import (
    CorpusConfig,
    GuardConfig,
    HistoryConfig,
    ScoringConfig,
    SimulationConfig,
    SynthesisConfig,
    TrainingConfig,
)
from usersim.config.synthesizer import RewardConfig, SynthesizerConfig
from usersim.errors import ConfigError

__all__ = ["DEFAULT_PRESET", "PipelineConfig", "Preset"]

Preset = Literal["tiny", "small", "standard", "paper"]
DEFAULT_PRESET: Preset = "small"
"""What everything takes where nobody names another one: constructor, commands, server."""


class PipelineConfig(Config):
    """Every stage's configuration; saved with the artifact.

    Example:
        >>> from usersim import SimulationConfig
        >>> config = PipelineConfig.preset("tiny")
        >>> quick = config.model_copy(update={"simulation": SimulationConfig(traces=1)})
        >>> config.simulation.traces, quick.simulation.traces
        (2, 1)
    """

    corpus: CorpusConfig = CorpusConfig()
    history: HistoryConfig = HistoryConfig()
    synthesis: SynthesisConfig = SynthesisConfig()
    scoring: ScoringConfig = ScoringConfig()
    guards: GuardConfig = GuardConfig()
    reward: RewardConfig = RewardConfig()
    synthesizer: SynthesizerConfig = Field(
        default=SynthesizerConfig(), validation_alias=formerly("synthesizer", "synthesiser")
    )
    training: TrainingConfig = TrainingConfig()
    simulation: SimulationConfig = SimulationConfig()
    prediction: PredictionConfig = PredictionConfig()

    def with_seed(self, seed: int) -> PipelineConfig:
        """Return the same settings with another seed in every stage that draws.

        Example:
            >>> PipelineConfig().with_seed(3).training.seed
            3
        """
        stages = ("synthesis", "synthesizer", "training", "simulation", "prediction")
        own: dict[str, Config] = {name: getattr(self, name) for name in stages}
        return self.model_copy(
            update={name: one.model_copy(update={"seed": seed}) for name, one in own.items()}
        )

    @classmethod
    def preset(cls, name: Preset) -> PipelineConfig:
        """Return the settings for a machine: the one dial.

        `tiny` is for two cores and minutes, `small` for a workstation, `standard` for a GPU.
        `paper` is the method of arXiv 2605.26969: four candidates, all written with
        the action in view, one generated reconstruction each, ranked by a judge. Our guards stay.

        Raises:
            ConfigError: If there is no such preset.

        Example:
            >>> PipelineConfig.preset("tiny").synthesis.n_backward
            2
        """
        if name not in get_args(Preset):
            raise ConfigError(f"unknown preset {name!r}; choose one of {list(get_args(Preset))!r}")
        if name == "standard":
            return cls()
        if name == "paper":
            return cls(
                synthesis=SynthesisConfig(n_forward=0, n_backward=4),
                scoring=ScoringConfig(scorer="judge_listwise"),
            )
        if name == "small":
            return cls(training=TrainingConfig(epochs=1.0))
        return cls(
            history=HistoryConfig(recent=4, evidence=6, max_item_chars=200, max_context_chars=800),
            synthesis=SynthesisConfig(n_forward=2, n_backward=2, max_tokens=32),
            scoring=ScoringConfig(option_orders=1, samples=4, diagnostics=8),
            synthesizer=SynthesizerConfig(
                held_out_most=16,
                rounds=2,
                rft_learning_rate=5e-4,
                batch_tokens=512,
                grpo_steps=12,
                group=4,
                prompts=2,
                evaluations=2,
            ),
            training=TrainingConfig(
                epochs=2.0, evaluations=2, batch_tokens=1024, learning_rate=1e-3
            ),
            simulation=SimulationConfig(traces=2, max_reasoning_tokens=32, max_action_tokens=128),
        )
