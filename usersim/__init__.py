"""Simulate a particular person: reasoning first, action second, the reasoning open to view.

The public names, imported when they are first used: `import usersim` itself loads no library,
sets nothing and prints nothing. Where a name lives is known here and nowhere else.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from usersim import errors
    from usersim.config import (
        AssistantEndpoint,
        CorpusConfig,
        DialogueConfig,
        EngineConfig,
        GuardConfig,
        HistoryConfig,
        PipelineConfig,
        PredictionConfig,
        RemoteConfig,
        RewardConfig,
        ScoringConfig,
        ServerConfig,
        SimulationConfig,
        SynthesisConfig,
        SynthesizerConfig,
        TrainingConfig,
        VllmConfig,
    )
    from usersim.corpus import Corpus, LoadReport
    from usersim.engines.select import load_engine
    from usersim.errors import UsersimError
    from usersim.simulation import Answer
    from usersim.simulation.dialogue import Dialogue, Scenario
    from usersim.simulator import Run, UserSimulator
    from usersim.survey import Population, Survey
    from usersim.types import (
        Batch,
        Choice,
        Failure,
        FreeText,
        Interaction,
        Message,
        MultiChoice,
        Number,
        Question,
        Scale,
    )

__all__ = [
    "Answer",
    "AssistantEndpoint",
    "Batch",
    "Choice",
    "Corpus",
    "CorpusConfig",
    "Dialogue",
    "DialogueConfig",
    "EngineConfig",
    "Failure",
    "FreeText",
    "GuardConfig",
    "HistoryConfig",
    "Interaction",
    "LoadReport",
    "Message",
    "MultiChoice",
    "Number",
    "PipelineConfig",
    "Population",
    "PredictionConfig",
    "Question",
    "RemoteConfig",
    "RewardConfig",
    "Run",
    "Scale",
    "Scenario",
    "ScoringConfig",
    "ServerConfig",
    "SimulationConfig",
    "Survey",
    "SynthesisConfig",
    "SynthesizerConfig",
    "TrainingConfig",
    "UserSimulator",
    "UsersimError",
    "VllmConfig",
    "errors",
    "load_engine",
]

__version__ = "0.1.0"

_HOME = {
    "usersim.config": (
        "AssistantEndpoint",
        "CorpusConfig",
        "DialogueConfig",
        "EngineConfig",
        "GuardConfig",
        "HistoryConfig",
        "PipelineConfig",
        "PredictionConfig",
        "RemoteConfig",
        "RewardConfig",
        "ScoringConfig",
        "ServerConfig",
        "SimulationConfig",
        "SynthesisConfig",
        "SynthesizerConfig",
        "TrainingConfig",
        "VllmConfig",
    ),
    "usersim.corpus": ("Corpus", "LoadReport"),
    "usersim.engines.select": ("load_engine",),
    "usersim.errors": ("UsersimError",),
    "usersim.simulation": ("Answer",),
    "usersim.survey": ("Population", "Survey"),
    "usersim.simulation.dialogue": ("Dialogue", "Scenario"),
    "usersim.simulator": ("Run", "UserSimulator"),
    "usersim.types": (
        "Batch",
        "Choice",
        "Failure",
        "FreeText",
        "Interaction",
        "Message",
        "MultiChoice",
        "Number",
        "Question",
        "Scale",
    ),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

# A library stays silent until the application configures logging.
logging.getLogger("usersim").addHandler(logging.NullHandler())


def __getattr__(name: str) -> object:
    """Import the public name `name` on first use.

    Raises:
        AttributeError: If there is no such name.
    """
    if name == "errors":
        return import_module("usersim.errors")
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'usersim' has no attribute {name!r}")
    value: object = getattr(import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, the ones not yet imported included."""
    return sorted({*globals(), *__all__})
