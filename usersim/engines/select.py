"""Choose an engine: by name, or by what is installed. The choice is logged and recorded."""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path
from typing import Literal, TypeVar, get_args

from usersim.config import Dtype, EngineConfig, RemoteConfig, VllmConfig
from usersim.engines.base import Engine
from usersim.errors import ConfigError

__all__ = ["EngineName", "known_identity", "load_engine"]

logger = logging.getLogger(__name__)

Settings = TypeVar("Settings", EngineConfig, VllmConfig, RemoteConfig)

AnySettings = EngineConfig | VllmConfig | RemoteConfig

EngineName = Literal["auto", "transformers", "vllm", "remote", "scripted"]


def load_engine(
    model: str | Path = "embedded",
    *,
    engine: EngineName = "auto",
    config: AnySettings | None = None,
    dtype: Dtype = "auto",
) -> Engine:
    """Load a model into an engine.

    Args:
        model: `"embedded"`, a Hugging Face folder or a hub name; the served name on a server.
        engine: `auto` takes vLLM where it is installed and there is a GPU, otherwise the
            in-process engine, which starts at once and is fast enough for a few people.
        config: Settings of the engine that is named; None takes its defaults.
        dtype: Arithmetic, where nothing else of the settings is changed.

    Returns:
        The engine; its `identity` says what was chosen.

    Raises:
        ConfigError: If the name is unknown, the settings are another engine's, or `dtype` is
            given beside settings or to an engine whose arithmetic is not chosen here.
        ModelLoadError: If the model cannot be loaded.
        MissingDependencyError: If a package that the engine needs is not installed.

    Example:
        >>> engine = load_engine(engine="scripted")
        >>> engine.identity
        'scripted@cf1cbb66a638/scripted-1'
        >>> engine.close()
    """
    if engine not in get_args(EngineName):
        raise ConfigError(f"unknown engine {engine!r}", hint=f"use one of {get_args(EngineName)!r}")
    if dtype != "auto" and (config is not None or engine in ("remote", "scripted")):
        raise ConfigError(
            f"dtype {dtype!r} has no effect on engine {engine!r}",
            hint="leave it out: settings, servers and scripted engines have their own dtype",
        )
    if engine == "scripted":
        from usersim.engines.scripted import ScriptedEngine

        return ScriptedEngine()
    chosen: Engine
    if engine == "remote" or (engine == "auto" and isinstance(config, RemoteConfig)):
        from usersim.engines.remote.engine import RemoteEngine

        chosen = RemoteEngine(str(model), _settings(config, RemoteConfig, engine, dtype))
    elif engine == "vllm" or (engine == "auto" and _vllm_fits(config)):
        from usersim.engines.vllm.engine import VllmEngine

        chosen = VllmEngine(model, _settings(config, VllmConfig, engine, dtype))
    else:
        from usersim.engines.transformers.engine import TransformersEngine

        chosen = TransformersEngine(model, _settings(config, EngineConfig, engine, dtype))
    logger.info("engine %r for model %r: %s", engine, str(model), chosen.identity)
    return chosen


def known_identity(model: str | Path, *, engine: EngineName = "auto") -> str | None:
    """Return the `identity` of the engine that `load_engine` would load, without loading it.

    Args:
        model: `"embedded"` or a Hugging Face folder.
        engine: As `load_engine` takes it.

    Returns:
        None where only the loaded engine tells: of a server, a scripted engine or a hub name.

    Raises:
        ModelLoadError: If a file of the model cannot be read.
        MissingDependencyError: If a package that the engine needs is not installed.
    """
    if engine in ("remote", "scripted"):
        return None
    from usersim.engines.embedded import model_folder
    from usersim.engines.identity import model_digest

    folder = model_folder(model)
    if not Path(folder).is_dir():
        return None
    name = f"{model}@{model_digest(folder)[:12]}"
    if engine == "vllm" or (engine == "auto" and _vllm_fits(None)):
        from usersim.engines.vllm.start import dtype_of

        return f"{name}/{dtype_of(VllmConfig())}/vllm"
    from usersim.engines.loading import arithmetic

    _, dtype = arithmetic(dtype="auto", device="auto")
    return f"{name}/{dtype}/transformers"


def _vllm_fits(config: AnySettings | None) -> bool:
    if config is not None:
        return isinstance(config, VllmConfig)
    if importlib.util.find_spec("vllm") is None:
        return False
    from usersim.engines.vllm.start import on_gpu

    return on_gpu()


def _settings(
    config: AnySettings | None, wanted: type[Settings], engine: str, dtype: Dtype
) -> Settings:
    if config is None:
        return wanted() if wanted is RemoteConfig else wanted.model_validate({"dtype": dtype})
    if not isinstance(config, wanted):
        raise ConfigError(
            f"engine {engine!r} needs a {wanted.__name__}, not {type(config).__name__}"
        )
    return config
