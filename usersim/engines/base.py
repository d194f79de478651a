"""What an engine is: it generates text, and it scores text that is given to it.

The Protocol and its frozen requests and results. Knows nothing of corpora, traces or training.
A prompt is a list of chat messages and, optionally, the beginning of the model's own turn
(`prefix`); the engine applies the model's chat template. Text inside a message is always text:
an engine never lets it become a control token.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from usersim.errors import CapabilityError
from usersim.views import Progress

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
    "require_for_patterns",
    "weights_of",
]

ChatPrompt = tuple[tuple[str, str], ...]
"""(role, content) pairs, oldest first."""

Seeds = Literal["exact", "rounding", "none"]


@dataclass(frozen=True, slots=True)
class AdapterRef:
    """A frozen reference to one immutable adapter folder.

    Attributes:
        name: Served name; ends with the first characters of `digest`, so that one name never
            means two weights.
        path: The folder (PEFT format).
        digest: SHA-256 over the folder's weights and configuration.
        base_model: What it was trained on.
        base_digest: Digest of that model, which the model that it is used with must have; empty
            for an adapter that does not say, as a plain PEFT folder.

    Example:
        >>> ada = AdapterRef(name="ada-1f0c", path="adapters/ada-1f0c", digest="1f0c")
        >>> GenerateRequest(prompt=(("user", "Tea?"),), adapter=ada).adapter.name
        'ada-1f0c'
    """

    name: str
    path: str
    digest: str
    base_model: str = ""
    base_digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What an engine can do; asked for, never assumed.

    Attributes:
        logprobs: It scores given continuations.
        adapters: It applies the adapter that a request names.
        structured: It can keep a draw to a regular expression.
        streaming: It yields a draw piece by piece.
        seeds: `exact`: a request and its seed give the same text whatever else is in the
            batch. `rounding`: the same but for the last bits of floating-point sums, which
            differ with the batch's shape and can flip a near-tie. `none`: not reproducible.
        max_context: Tokens of prompt and answer together; None if unknown.
        concurrent: Calls from several threads are computed together, not one after another.

    Example:
        >>> from usersim.engines.scripted import ScriptedEngine
        >>> can = ScriptedEngine().capabilities
        >>> can.logprobs, can.seeds
        (True, 'exact')
    """

    logprobs: bool
    adapters: bool
    structured: bool = False
    streaming: bool = False
    seeds: Seeds = "none"
    max_context: int | None = None
    concurrent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateRequest:
    """Draw `n` continuations of one prompt.

    Attributes:
        prompt: The chat.
        prefix: Beginning of the model's turn, already written.
        max_tokens: Tokens to draw at the most.
        temperature: 0 takes the likeliest token.
        top_p: Nucleus cut; 1 keeps every token.
        stop: The draw ends before the first of these strings.
        pattern: Regular expression that the whole draw must match; empty for free text. Needs
            an engine with `structured`.
        n: How many draws; draw `i` uses the seed's `i`-th stream.
        seed: Reproduces the draws.
        adapter: Applied to this request alone.

    Example:
        >>> from usersim.engines.scripted import ScriptedEngine
        >>> request = GenerateRequest(prompt=(("user", "Tea?"),), max_tokens=8, n=2, seed=1)
        >>> (draws,) = ScriptedEngine().generate([request])
        >>> len(draws), draws[0].finish
        (2, 'end')
    """

    prompt: ChatPrompt
    prefix: str = ""
    max_tokens: int = 64
    temperature: float = 1.0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    pattern: str = ""
    n: int = 1
    seed: int = 0
    adapter: AdapterRef | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """One drawn continuation.

    Attributes:
        text: The text, without the stop string.
        finish: `end`: the model ended its turn; `stop`: a stop string; `length`: cut.
        n_tokens: Tokens drawn.
        mean_logprob: Mean log-probability of the drawn tokens at temperature 1 and without a
            nucleus cut, nats per token; None where the engine does not report it.
    """

    text: str
    finish: Literal["end", "stop", "length"]
    n_tokens: int
    mean_logprob: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRequest:
    """Ask for the log-probability of a continuation that is given.

    Attributes:
        prompt: The chat.
        prefix: Beginning of the model's turn, before the continuation.
        continuation: The text to be scored. It is tokenized by itself and appended, so that
            the same continuation has the same tokens after every prefix.
        end: Whether the end-of-turn token is scored too.
        adapter: Applied to this request alone.

    Example:
        >>> from usersim.engines.scripted import ScriptedEngine
        >>> request = ScoreRequest(prompt=(("user", "Tea or coffee?"),), continuation="tea")
        >>> (score,) = ScriptedEngine().score([request])
        >>> score.total < 0
        True
    """

    prompt: ChatPrompt
    prefix: str = ""
    continuation: str
    end: bool = True
    adapter: AdapterRef | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """Log-probability of each token of the continuation, nats, in order.

    Example:
        >>> score = Score((-0.5, -1.5))
        >>> score.total, score.mean(), score.mean(floor=-1.0)
        (-2.0, -1.0, -0.75)
    """

    logprobs: tuple[float, ...]

    @property
    def total(self) -> float:
        """Return log p(continuation | prompt, prefix), nats."""
        return sum(self.logprobs)

    def mean(self, floor: float = float("-inf")) -> float:
        """Mean over tokens of `max(log p, floor)`, nats per token."""
        return sum(max(value, floor) for value in self.logprobs) / len(self.logprobs)


@runtime_checkable
class Engine(Protocol):
    """Runs a model: generates text, scores given text.

    Results come in the order of the requests. Both calls are safe to repeat; an engine holds
    no state that changes an answer. All engines pass one contract suite. One that has the model's
    files also has `model_digest`, which adapters are compared with; one that keeps what it
    computed of earlier prompts has `forget_prompts()`, which drops it.

    Example:
        >>> from usersim.engines.scripted import ScriptedEngine
        >>> engine = ScriptedEngine({"Tea": "Always, with milk."})
        >>> isinstance(engine, Engine)
        True
        >>> ((draw,),) = engine.generate([GenerateRequest(prompt=(("user", "Tea?"),))])
        >>> draw.text
        'Always, with milk.'
    """

    @property
    def model(self) -> str:
        """Name or path of the base model."""
        ...

    @property
    def identity(self) -> str:
        """Model, revision or content digest, and arithmetic: equal means equal answers."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What this engine can do."""
        ...

    def generate(
        self, requests: Sequence[GenerateRequest], *, progress: Progress | None = None
    ) -> list[tuple[Draw, ...]]:
        """Return `n` draws per request."""
        ...

    def score(
        self, requests: Sequence[ScoreRequest], *, progress: Progress | None = None
    ) -> list[Score]:
        """Return one score per request."""
        ...

    def stream(self, request: GenerateRequest) -> Generator[str, None, Draw]:
        """Yield one draw piece by piece and return it; the pieces join to the draw's text."""
        ...

    def count_tokens(self, text: str) -> int:
        """Return how many tokens `text` has by itself."""
        ...

    def truncate(self, text: str, max_tokens: int) -> str:
        """Return the longest beginning of `text` that has at most `max_tokens` tokens."""
        ...

    def close(self) -> None:
        """Give back memory and processes; the engine may not be used afterwards."""
        ...


def require(
    engine: Engine, capability: Literal["logprobs", "adapters", "structured"], why: str
) -> None:
    """Raise unless `engine` has `capability`.

    Args:
        engine: The engine.
        capability: A field of its `capabilities`.
        why: What needs it, for the error.

    Raises:
        CapabilityError: Naming the engine, what is missing and what needs it.

    Example:
        >>> from usersim.engines.scripted import ScriptedEngine
        >>> require(ScriptedEngine(), "logprobs", "scoring")
    """
    if not getattr(engine.capabilities, capability):
        raise CapabilityError(
            f"{why} needs an engine with {capability!r}; {engine.identity!r} does not have it",
            hint="use engine='transformers' or 'vllm', or choose a scorer that needs text only",
            cli_hint="use --engine transformers or --engine vllm",
        )


def weights_of(engine: Engine) -> str:
    """Return the name of the model that an engine runs, for whoever loads its weights to train.

    Raises:
        CapabilityError: If the engine has none: a script's name is not a model's, and no hub may
            be asked for it.
    """
    if getattr(engine, "has_weights", True) or Path(engine.model).is_dir():
        return engine.model
    raise CapabilityError(
        f"{engine.identity!r} is a scripted engine without weights to train",
        hint="train with engine='transformers' or 'vllm', or set the scripted engine's name to a "
        "model folder",
        cli_hint="train with --engine transformers or vllm, or with --model FOLDER",
    )


def require_for_patterns(engine: Engine, requests: Sequence[GenerateRequest]) -> None:
    """Raise if a request has a pattern that `engine` would not keep to.

    Raises:
        CapabilityError: If the engine has no structured output.
    """
    for request in requests:
        if request.pattern:
            require(engine, "structured", f"a draw that matches {request.pattern!r}")
