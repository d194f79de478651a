"""How each engine runs a model.

Docstrings below a field give its unit, its effect and where the default comes from.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from usersim.config.base import Config

__all__ = ["Dtype", "EngineConfig", "RemoteConfig", "VllmConfig"]

Dtype = Literal["auto", "float32", "bfloat16", "float16"]


class EngineConfig(Config):
    """How a model is run in this process.

    Example:
        >>> config = EngineConfig(device="cpu", batch_draws=16)  # for load_engine(config=config)
        >>> config.dtype
        'auto'
    """

    dtype: Dtype = "auto"
    """Arithmetic; `auto` is float32 on a CPU and bfloat16 on a GPU. A CPU with matrix units for
    bfloat16 (Intel's AMX) is faster in it: see
    `benchmarks/bench_dtype.py`."""
    device: str = "auto"
    """`auto` takes a GPU if there is one."""
    row_tokens: Annotated[int, Field(ge=64)] = 2048
    """Tokens of one packed row: more share longer prompts and read the weights less often, fewer
    keep attention and memory small."""
    batch_draws: Annotated[int, Field(ge=1)] = 64
    """Draws decoded together, at the most."""
    batch_tokens: Annotated[int, Field(ge=256)] = 32_768
    """Prompt and drawn tokens of a decode batch, padding included: bounds the memory of their
    keys and values (about 1.5 GB for a 135M model in float32). One draw always fits."""
    kept_prompts_mib: Annotated[int, Field(ge=0)] = 512
    """Memory of the keys and values of earlier prompts, MiB, so that another question to the same
    person, or the options after the reasoning, cost their own tokens only; the newest prompt
    always fits. 512 hold some 11,000 tokens of a 135M model in float32."""


class VllmConfig(Config):
    """How vLLM runs a model for this process.

    Example:
        >>> config = VllmConfig(max_model_len=2048, memory_share=0.6, adapter_slots=32)
        >>> config.process, config.kv_cache_gib
        ('auto', None)
    """

    dtype: Dtype = "auto"
    """Arithmetic; `auto` is float32 on a CPU and bfloat16 on a GPU. A CPU with matrix units for
    bfloat16 (Intel's AMX) is faster in it: see
    `benchmarks/bench_dtype.py`."""
    process: Literal["auto", "inside", "outside"] = "auto"
    """Whether vLLM runs inside this process or in its own. `auto`: inside on a CPU, where it
    starts three times as fast and uses every core; outside on a GPU, where scheduling then
    overlaps with the model. Outside, a script needs its `if __name__ == "__main__":`."""
    max_model_len: Annotated[int, Field(ge=16)] | None = None
    """Longest prompt and answer together, tokens; None takes the model's own limit. Less saves
    memory."""
    memory_share: Annotated[float, Field(gt=0, le=1)] = 0.9
    """GPU: share of its memory for weights and cache. Source: vLLM's default."""
    kv_cache_gib: Annotated[float, Field(gt=0)] | None = None
    """Memory of the key and value cache, GiB. None: on a CPU 4 (or `VLLM_CPU_KVCACHE_SPACE`), on
    a GPU what `memory_share` leaves."""
    threads: Annotated[int, Field(ge=1)] | None = None
    """CPU: threads of the model; None takes every core that this process may use."""
    block_tokens: Annotated[int, Field(ge=1)] | None = None
    """Tokens of one block of the cache: prompts share whole blocks only, so small ones share
    more. None: 32 on a CPU, where vLLM's own 128 computes up to 127 shared tokens again for
    every request; vLLM's default on a GPU."""
    max_batch: Annotated[int, Field(ge=1)] | None = None
    """Requests computed together, at the most; None takes vLLM's default."""
    tensor_parallel: Annotated[int, Field(ge=1)] = 1
    """GPUs that share every layer."""
    pipeline_parallel: Annotated[int, Field(ge=1)] = 1
    """Groups of GPUs that each hold some of the layers."""
    executor: Literal["auto", "mp", "ray"] = "auto"
    """What starts the workers; `ray` for several machines, with GPUs only. `auto` leaves it to
    vLLM."""
    adapters: Literal["auto", "always", "never"] = "auto"
    """Whether adapters can be applied. Being able to costs speed even where none is used, so
    `auto` starts without and starts again at the first request that names one."""
    adapter_slots: Annotated[int, Field(ge=1)] = 8
    """Adapters in one batch, at the most; more users take turns. On a CPU also the adapters that
    are kept loaded."""
    adapter_rank: Annotated[int, Field(ge=1)] | None = None
    """Largest LoRA rank; None takes that of the adapters in use, and starts again for a larger
    one."""
    adapters_in_memory: Annotated[int, Field(ge=1)] = 64
    """GPU: adapters kept in main memory, at least `adapter_slots`; further ones are read again."""
    quiet: bool = True
    """Keep vLLM's own log to errors."""
    extra: dict[str, object] = Field(default_factory=dict[str, object])
    """Further arguments of vLLM's `EngineArgs`, by their names there."""


class RemoteConfig(Config):
    """How an OpenAI-compatible server is asked.

    Example:
        >>> config = RemoteConfig(base_url="http://10.0.0.5:8000/v1", tokenizer="embedded")
        >>> config.api_key_variable, config.concurrency
        ('USERSIM_API_KEY', 64)
    """

    base_url: str = "http://127.0.0.1:8000/v1"
    """Where the server is, `/v1` included."""
    tokenizer: str | None = None
    """The model's tokenizer: `"embedded"`, a folder or a hub name. With it prompts go as token
    ids, exactly as in process; without, as messages under the server's own chat template, and
    nothing can be scored."""
    api_key_variable: str = "USERSIM_API_KEY"
    """Environment variable that holds the key, if the server wants one. The key itself is never
    stored or logged."""
    concurrency: Annotated[int, Field(ge=1)] = 64
    """Requests under way at the most; fewer while the server says that it is overloaded."""
    tries: Annotated[int, Field(ge=1)] = 16
    """How often a request is made before it fails, where another try may help: about two minutes
    of pauses, which a server that starts again needs."""
    timeout: Annotated[float, Field(gt=0)] = 300.0
    """Longest time for one try, and between two pieces of a stream, seconds."""
    deadline: Annotated[float, Field(gt=0)] = 900.0
    """Longest time for one request, its tries and pauses together, seconds; waiting for its turn
    behind other requests does not count."""
    max_reply_bytes: Annotated[int, Field(ge=1_000)] = 64 << 20
    """Longest reply, and longest stream, unpacked, bytes: a server that never ends would fill the
    memory otherwise. The scores of a context of 100,000 tokens take about 10 MB."""
    load_adapters: bool = False
    """Have the server load adapters that it does not serve yet, from its own disk."""
