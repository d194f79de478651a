"""Choose an engine: by name, or by what is installed. The choice is logged and recorded."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Literal

from usersim.config import EngineConfig
from usersim.engines.base import Engine
from usersim.errors import ConfigError

__all__ = ["EngineName", "load_engine"]

logger = logging.getLogger(__name__)

EngineName = Literal["auto", "transformers", "scripted"]


def load_engine(
    model: str | Path = "embedded",
    *,
    engine: EngineName = "auto",
    config: EngineConfig = EngineConfig(),
) -> Engine:
    """Load a model into an engine.

    Args:
        model: `"embedded"`, a Hugging Face folder or a hub name.
        engine: `auto` takes the in-process engine.
        config: Arithmetic, device and batch sizes.

    Returns:
        The engine; its `identity` says what was chosen.

    Raises:
        ConfigError: If the name is unknown.
        ModelLoadError: If the model cannot be loaded.
        MissingDependencyError: If a package that the engine needs is not installed.
    """
    if engine == "scripted":
        from usersim.engines.scripted import ScriptedEngine

        return ScriptedEngine()
    if engine not in ("auto", "transformers"):
        raise ConfigError(
            f"unknown engine {engine!r}", hint="use 'auto', 'transformers' or 'scripted'"
        )
    from usersim.engines.transformers import TransformersEngine

    chosen = TransformersEngine(model, config)
    logger.info("engine %r for model %r: %s", engine, str(model), chosen.identity)
    return chosen
