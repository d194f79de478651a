"""Configuration: one frozen model per stage, each default in one place.

Docstrings below a field give its unit, its effect and where the default comes from.
`method.md` of the project's design is the source where nothing else is named.
"""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from usersim.errors import ConfigError

__all__ = [
    "CorpusConfig",
    "EngineConfig",
    "GuardConfig",
    "HistoryConfig",
    "PipelineConfig",
    "Preset",
    "RemoteConfig",
    "ScoringConfig",
    "SimulationConfig",
    "SynthesisConfig",
    "TrainingConfig",
    "VllmConfig",
    "cache_dir",
]

Preset = Literal["tiny", "small", "standard"]


class _Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    @property
    def key(self) -> str:
        """SHA-256 of the canonical JSON of every field: equal keys mean equal settings."""
        return sha256(self.model_dump_json().encode()).hexdigest()


class CorpusConfig(_Config):
    """How a corpus is read and split."""

    train_share: Annotated[float, Field(gt=0, lt=1)] = 0.8
    """Share of a person's interactions, oldest first, that may be learned from."""
    max_message_chars: Annotated[int, Field(ge=100)] = 20_000
    """A longer message is cut to this many characters, its first and last halves; counted in the
    report."""
    max_action_chars: Annotated[int, Field(ge=100)] = 20_000
    """A longer action is refused: a shortened action is not what the person did."""


class HistoryConfig(_Config):
    """What of a person's history stands in the prompt, and how long it may be."""

    recent: Annotated[int, Field(ge=0)] = 12
    """Newest interactions before the moment in question. They come first in the prompt, in
    time order, so that questions of one person share their prompt's beginning."""
    similar: Annotated[int, Field(ge=0)] = 4
    """Further interactions found by similarity to the question."""
    max_item_chars: Annotated[int, Field(ge=40)] = 400
    """Longest form of one past context or action in the prompt; the rest is cut and marked."""
    max_context_chars: Annotated[int, Field(ge=100)] = 3_000
    """Longest form of the context in question; the oldest text goes first."""


class SynthesisConfig(_Config):
    """How candidate traces are drawn."""

    n_forward: Annotated[int, Field(ge=0)] = 4
    """Candidates that saw context and history."""
    n_backward: Annotated[int, Field(ge=0)] = 4
    """Candidates that saw context and action. Source of N = 4: arXiv 2605.26969."""
    max_tokens: Annotated[int, Field(ge=8)] = 64
    """Longest trace, tokens; a longer draw is cut at its last full sentence."""
    temperature: Annotated[float, Field(ge=0)] = 0.7
    """Of the draws. At 0.9 without a nucleus cut small models wrote junk, and the score picked
    it."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.95
    """Nucleus cut of the draws."""
    seed: int = 0
    """Seed of every draw; combined with the interaction's key."""


class ScoringConfig(_Config):
    """How a trace's fidelity is computed."""

    scorer: Literal["auto", "loglik_gain", "choice", "scale", "number", "sampled_similarity"] = (
        "auto"
    )
    """`auto` takes the proper score of the action's kind, and `loglik_gain` for text."""
    logprob_floor: Annotated[FiniteFloat, Field(lt=0)] = -5.0
    """Smallest log-probability that one action token may count, nats."""
    option_orders: Annotated[int, Field(ge=1)] = 8
    """Most option orders to average over for a choice; a scale is shown in both directions."""
    samples: Annotated[int, Field(ge=2)] = 8
    """Draws for `number` and `sampled_similarity`; half select, half report."""
    diagnostics: Annotated[int, Field(ge=0)] = 32
    """Interactions on which the diagnostics L5 to L7 are computed."""


class GuardConfig(_Config):
    """Leakage guards L1 to L4."""

    copy_run: Annotated[int, Field(ge=2)] = 8
    """L1: a shared run of this many tokens with the action is a copy."""
    containment: Annotated[float, Field(gt=0, le=1)] = 0.30
    """L1: so large a share of the action's 4-grams in the trace is a copy."""
    quoted_span: Annotated[int, Field(ge=1)] = 4
    """L1: a quoted span of this many tokens shared with the action is a copy."""
    plausibility_floor: FiniteFloat = -1.0
    """L4: a mean log-ratio below this, nats per token, makes the trace invalid."""
    plausibility_weight: Annotated[FiniteFloat, Field(ge=0)] = 0.25
    """L4: weight of the ratio's rank in the selection utility."""
    leak_penalty: Annotated[FiniteFloat, Field(ge=0)] = 0.5
    """L3: penalty times the trace-only share."""


class TrainingConfig(_Config):
    """How the user model's adapter is trained."""

    rank: Annotated[int, Field(ge=1)] = 8
    """LoRA rank, on all linear layers."""
    alpha: Annotated[int, Field(ge=1)] = 16
    """LoRA scaling numerator; the update is scaled by alpha / rank."""
    learning_rate: Annotated[float, Field(gt=0)] = 4e-4
    """Peak rate of AdamW, after a linear warm-up over 5 % of the steps, cosine to 0."""
    epochs: Annotated[float, Field(gt=0)] = 2.0
    """Passes over the training examples, at the most."""
    batch_tokens: Annotated[int, Field(ge=64)] = 1024
    """Tokens of one optimiser step's packed row; examples that share a prompt share its tokens."""
    reasoning_weight: Annotated[float, Field(ge=0)] = 0.5
    """Weight of the mean loss over reasoning tokens; the mean over action tokens has weight 1."""
    no_reasoning_share: Annotated[float, Field(ge=0, le=1)] = 0.15
    """Share of the examples trained with the no-reasoning marker."""
    validation_share: Annotated[float, Field(ge=0, lt=0.5)] = 0.1
    """Share of the training part, newest first per user, kept for early stopping and for the
    reasoning weight w."""
    evaluations: Annotated[int, Field(ge=1)] = 4
    """How often the validation loss is taken; training stops after two that do not improve."""
    seed: int = 0
    """Order of the examples, initial weights, choice of the no-reasoning share."""


class SimulationConfig(_Config):
    """How an answer is drawn."""

    traces: Annotated[int, Field(ge=0)] = 3
    """K: traces drawn for one answer; option probabilities are averaged over them. 0 answers
    with the no-reasoning marker alone."""
    max_reasoning_tokens: Annotated[int, Field(ge=8)] = 64
    """Longest trace, tokens."""
    long_reasoning: Literal["close", "refuse"] = "close"
    """A trace that runs into the limit is closed after its last full sentence and marked so,
    or refused as malformed."""
    option_orders: Annotated[int, Field(ge=1)] = 1
    """Option orders over which the probabilities of a closed question are averaged."""
    decision: Literal["likeliest", "sampled"] = "likeliest"
    """How an option is chosen from its probabilities. `sampled` reproduces the spread of
    repeated answers; `likeliest` is right more often."""
    max_action_tokens: Annotated[int, Field(ge=1)] = 256
    """A longer action is malformed."""
    temperature: Annotated[float, Field(ge=0)] = 0.8
    """Of traces and of free-text actions."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.95
    """Nucleus cut."""
    redraws: Annotated[int, Field(ge=0)] = 2
    """How often a malformed text is drawn again before the item fails."""
    seed: int = 0
    """Seed of every draw; combined with the question."""


class EngineConfig(_Config):
    """How a model is run in this process."""

    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Arithmetic; `auto` is float32 on a CPU (as fast as bfloat16 there) and bfloat16 on a GPU."""
    device: str = "auto"
    """`auto` takes a GPU if there is one."""
    row_tokens: Annotated[int, Field(ge=64)] = 1024
    """Tokens of one packed row: more share longer prompts, fewer keep attention cheap."""
    batch_draws: Annotated[int, Field(ge=1)] = 64
    """Draws decoded together, at the most."""
    batch_tokens: Annotated[int, Field(ge=256)] = 32_768
    """Prompt and drawn tokens of a decode batch, padding included: bounds the memory of their
    keys and values (about 1.5 GB for a 135M model in float32). One draw always fits."""


class VllmConfig(_Config):
    """How vLLM runs a model for this process."""

    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Arithmetic; `auto` is float32 on a CPU (as fast as bfloat16 there) and bfloat16 on a GPU."""
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
    """What starts the workers; `ray` for several machines. `auto` leaves it to vLLM."""
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
    extra: dict[str, object] = {}
    """Further arguments of vLLM's `EngineArgs`, by their names there."""


class RemoteConfig(_Config):
    """How an OpenAI-compatible server is asked."""

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
    load_adapters: bool = False
    """Have the server load adapters that it does not serve yet, from its own disk."""


class PipelineConfig(_Config):
    """Every stage's configuration; saved with the artifact."""

    corpus: CorpusConfig = CorpusConfig()
    history: HistoryConfig = HistoryConfig()
    synthesis: SynthesisConfig = SynthesisConfig()
    scoring: ScoringConfig = ScoringConfig()
    guards: GuardConfig = GuardConfig()
    training: TrainingConfig = TrainingConfig()
    simulation: SimulationConfig = SimulationConfig()

    @classmethod
    def preset(cls, name: Preset) -> PipelineConfig:
        """Return the settings for a machine: the one dial.

        `tiny` is for two cores and minutes, `small` for a workstation, `standard` for a GPU.

        Raises:
            ConfigError: If there is no such preset.

        Example:
            >>> PipelineConfig.preset("tiny").synthesis.n_backward
            2
        """
        if name not in get_args(Preset):
            raise ConfigError(f"unknown preset {name!r}; there are {list(get_args(Preset))!r}")
        if name == "standard":
            return cls()
        if name == "small":
            return cls(training=TrainingConfig(epochs=1.0))
        return cls(
            history=HistoryConfig(recent=6, similar=0, max_item_chars=200, max_context_chars=800),
            synthesis=SynthesisConfig(n_forward=2, n_backward=2, max_tokens=32),
            scoring=ScoringConfig(option_orders=1, samples=4, diagnostics=8),
            # Two passes: fewer malformed draws than one; no setting was clearly better calibrated
            # (docs/adr/0011-user-model-trainer.md). A heavy reasoning, or so small a model learns
            # to act at once.
            training=TrainingConfig(
                epochs=2.0,
                evaluations=2,
                batch_tokens=512,
                learning_rate=5e-4,
                reasoning_weight=2.0,
            ),
            simulation=SimulationConfig(traces=2, max_reasoning_tokens=32, max_action_tokens=128),
        )


def cache_dir() -> Path:
    """Return the folder for prepared models: `$USERSIM_CACHE`, or the user's cache folder.

    The only environment variable that the library itself reads.
    """
    named = os.environ.get("USERSIM_CACHE")
    if named:
        return Path(named).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "usersim"
