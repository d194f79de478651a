"""Choose an engine: by name, or by what is installed. The choice is logged and recorded."""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path
from typing import Literal, TypeVar, get_args

from usersim.config import EngineConfig, RemoteConfig, VllmConfig
from usersim.engines.base import Engine
from usersim.errors import ConfigError

__all__ = ["EngineName", "load_engine"]

logger = logging.getLogger(__name__)

Settings = TypeVar("Settings", EngineConfig, VllmConfig, RemoteConfig)

AnySettings = EngineConfig | VllmConfig | RemoteConfig

EngineName = Literal["auto", "transformers", "vllm", "remote", "scripted"]


def load_engine(
    model: str | Path = "embedded",
    *,
    engine: EngineName = "auto",
    config: AnySettings | None = None,
) -> Engine:
    """Load a model into an engine.

    Args:
        model: `"embedded"`, a Hugging Face folder or a hub name; the served name on a server.
        engine: `auto` takes vLLM where it is installed and there is a GPU, otherwise the
            in-process engine, which starts at once and is fast enough for a few people.
        config: Settings of the engine that is named; None takes its defaults.

    Returns:
        The engine; its `identity` says what was chosen.

    Raises:
        ConfigError: If the name is unknown, or the settings are another engine's.
        ModelLoadError: If the model cannot be loaded.
        MissingDependencyError: If a package that the engine needs is not installed.
    """
    if engine not in get_args(EngineName):
        raise ConfigError(f"unknown engine {engine!r}", hint=f"use one of {get_args(EngineName)!r}")
    if engine == "scripted":
        from usersim.engines.scripted import ScriptedEngine

        return ScriptedEngine()
    chosen: Engine
    if engine == "remote" or (engine == "auto" and isinstance(config, RemoteConfig)):
        from usersim.engines.remote import RemoteEngine

        chosen = RemoteEngine(str(model), _settings(config, RemoteConfig, engine))
    elif engine == "vllm" or (engine == "auto" and _vllm_fits(config)):
        from usersim.engines.vllm import VllmEngine

        chosen = VllmEngine(model, _settings(config, VllmConfig, engine))
    else:
        from usersim.engines.transformers import TransformersEngine

        chosen = TransformersEngine(model, _settings(config, EngineConfig, engine))
    logger.info("engine %r for model %r: %s", engine, str(model), chosen.identity)
    return chosen


def _vllm_fits(config: AnySettings | None) -> bool:
    if config is not None:
        return isinstance(config, VllmConfig)
    if importlib.util.find_spec("vllm") is None:
        return False
    from usersim.engines.vllm_start import on_gpu

    return on_gpu()


def _settings(config: AnySettings | None, wanted: type[Settings], engine: str) -> Settings:
    if config is None:
        return wanted()
    if not isinstance(config, wanted):
        raise ConfigError(
            f"engine {engine!r} takes a {wanted.__name__}, not {type(config).__name__}"
        )
    return config
