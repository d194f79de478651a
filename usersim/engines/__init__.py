"""Run a model: one Protocol, several engines."""

from usersim.engines.base import (
    AdapterRef,
    Capabilities,
    ChatPrompt,
    Draw,
    Engine,
    GenerateRequest,
    Score,
    ScoreRequest,
    require,
)

__all__ = [
    "AdapterRef",
    "Capabilities",
    "ChatPrompt",
    "Draw",
    "Engine",
    "GenerateRequest",
    "Score",
    "ScoreRequest",
    "require",
]
