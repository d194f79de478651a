"""Configuration: one frozen model per stage, each default in one place."""

from usersim.config.cache import cache_dir
from usersim.config.dialogue import AssistantEndpoint, DialogueConfig
from usersim.config.engines import Dtype, EngineConfig, RemoteConfig, VllmConfig
from usersim.config.pipeline import DEFAULT_PRESET, PipelineConfig, Preset
from usersim.config.prediction import PredictionConfig, PredictorName
from usersim.config.server import Roles, ServerConfig, Shown
from usersim.config.stages import (
    CorpusConfig,
    GuardConfig,
    HistoryConfig,
    ScoringConfig,
    SimulationConfig,
    SynthesisConfig,
    TrainingConfig,
)
from usersim.config.synthesizer import Recipe, RewardConfig, SynthesizerConfig

__all__ = [
    "DEFAULT_PRESET",
    "AssistantEndpoint",
    "CorpusConfig",
    "DialogueConfig",
    "Dtype",
    "EngineConfig",
    "GuardConfig",
    "HistoryConfig",
    "PipelineConfig",
    "PredictionConfig",
    "PredictorName",
    "Preset",
    "Recipe",
    "RemoteConfig",
    "RewardConfig",
    "Roles",
    "ScoringConfig",
    "ServerConfig",
    "Shown",
    "SimulationConfig",
    "SynthesisConfig",
    "SynthesizerConfig",
    "TrainingConfig",
    "VllmConfig",
    "cache_dir",
]
