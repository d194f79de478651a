"""The scripted engine: no model, the same answers on every machine.

For tests of this library and of its users. Generates what its rules say, or sentences made from
a hash; scores by a pseudo language model that can be worked out by hand. Knows the engine
Protocol and nothing else.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from hashlib import sha256
from typing import ClassVar

from usersim.engines.base import (
    AdapterRef,
    Capabilities,
    ChatPrompt,
    Draw,
    GenerateRequest,
    Score,
    ScoreRequest,
    require,
    require_for_patterns,
)
from usersim.errors import (
    CapabilityError,
    ContextLengthError,
    EngineError,
    EngineUnavailableError,
    ScoringError,
    UsersimError,
)
from usersim.types import content_key
from usersim.views import Progress

__all__ = ["SCRIPTED_CAPABILITIES", "Replies", "ScriptedEngine"]

Replies = Mapping[str, str] | Callable[[GenerateRequest, int], str]
"""Replies by a piece of the prompt, or a function of the request and the draw's index."""

SCRIPTED_CAPABILITIES = Capabilities(
    logprobs=True, adapters=True, streaming=True, seeds="exact", max_context=8192
)
"""Everything but structured output."""

_TOKEN = re.compile(r"\s*\w+|\s*[^\w\s]|\s+")
"""A word or a sign, with the white space before it; tokens join to the text."""
_END = "\0end of turn"
_WORDS = tuple(
    word
    for line in (
        "the a this that every quiet early late friend friends work walk tea rain garden music",
        "train letter window likes keeps finds thinks wants takes before after again often never",
    )
    for word in line.split()
)
_SEEN = (-1.0, -0.2)
_UNSEEN = (-5.0, -2.0)
"""Range of a token's log-probability, nats, by whether its word stands before it."""


class ScriptedEngine:
    """A deterministic engine without a model.

    **Generating.** The reply is, in this order: what the function `replies` returns; the value
    of the first key of the mapping `replies` that stands in the prompt or prefix; otherwise a
    sentence made from a hash of prompt, prefix, adapter and, above temperature 0, seed and
    draw index. A made sentence ends with the request's first stop string, if it has one. Stop
    strings, `max_tokens` and `n` act on every reply.

    **Scoring.** A token is a word or a sign. Its log-probability is a hash of the token and the
    adapter's name, spread evenly over -1.0 to -0.2 nats if its word stands in the prompt, in
    the prefix or earlier in the continuation, and over -5.0 to -2.0 nats otherwise; the end of
    the turn is always of the first sort. It is not normalized over a vocabulary. So reasoning
    that names the action has a positive gain and unrelated reasoning has exactly none.

    Args:
        replies: Rules.
        capabilities: What the engine says that it can do; what is switched off raises.
        fail_after: This many calls succeed, all later ones fail; None for no fault.
        fail_with: The error of those that fail; by default a retryable
            `EngineUnavailableError`.
        name: Stands for the base model; another name is another pseudo language model.

    Example:
        >>> engine = ScriptedEngine({"tea": "With milk. Always."})
        >>> request = GenerateRequest(prompt=(("user", "How do you take your tea?"),), stop=(".",))
        >>> engine.generate([request])[0][0].text
        'With milk'
        >>> prompt = (("user", "Milk or lemon?"),)
        >>> named, other = engine.score(
        ...     [ScoreRequest(prompt=prompt, continuation=c) for c in ("lemon", "sugar")]
        ... )
        >>> named.total > other.total
        True
        >>> engine.calls
        2
    """

    has_weights: ClassVar[bool] = False
    """Its name is not a model's; see `usersim.engines.base.weights_of`."""

    def __init__(
        self,
        replies: Replies | None = None,
        *,
        capabilities: Capabilities = SCRIPTED_CAPABILITIES,
        fail_after: int | None = None,
        fail_with: UsersimError | None = None,
        name: str = "scripted",
    ) -> None:
        self._rule = replies if callable(replies) else None
        self._pieces: Mapping[str, str] = {} if replies is None or callable(replies) else replies
        self._capabilities = capabilities
        self._fail_after = fail_after
        self._fail_with = fail_with or EngineUnavailableError("a scripted fault")
        self._name = name
        self._lock = threading.Lock()
        self._calls = 0
        self._requests: list[GenerateRequest | ScoreRequest] = []
        self._closed = False

    @property
    def model(self) -> str:
        """The name given."""
        return self._name

    @property
    def identity(self) -> str:
        """Name and version of the pseudo language model; functions as rules do not enter."""
        rules = "function" if self._rule else list(self._pieces.items())
        return f"{self._name}@{content_key(rules)[:12]}/scripted-1"

    @property
    def capabilities(self) -> Capabilities:
        """The capabilities given."""
        return self._capabilities

    @property
    def calls(self) -> int:
        """How often `generate`, `score` and `stream` were called, failed calls included."""
        return self._calls

    @property
    def requests(self) -> tuple[GenerateRequest | ScoreRequest, ...]:
        """Every request that was taken, in order."""
        return tuple(self._requests)

    # ------------------------------------------------------------------ the Protocol

    def generate(
        self, requests: Sequence[GenerateRequest], *, progress: Progress | None = None
    ) -> list[tuple[Draw, ...]]:
        """Return `n` draws per request.

        Raises:
            CapabilityError: If a request has an adapter and the engine has none.
            ContextLengthError: If a request does not fit.
            EngineError: If the engine is closed; or the scripted fault.
        """
        self._take(requests)
        results: list[tuple[Draw, ...]] = []
        for done, request in enumerate(requests, start=1):
            results.append(tuple(self._draw(request, index) for index in range(request.n)))
            if progress:
                progress("generate", done, len(requests))
        return results

    def score(
        self, requests: Sequence[ScoreRequest], *, progress: Progress | None = None
    ) -> list[Score]:
        """Return the pseudo log-probability of each continuation, token by token.

        Raises:
            CapabilityError: If log-probabilities or adapters are switched off and needed.
            ContextLengthError: If a request does not fit.
            ScoringError: If a continuation has no token.
            EngineError: If the engine is closed; or the scripted fault.
        """
        require(self, "logprobs", "scoring a continuation")
        self._take(requests)
        scores: list[Score] = []
        for done, request in enumerate(requests, start=1):
            tokens = [*_tokens(request.continuation), *([_END] if request.end else [])]
            if not tokens:
                raise ScoringError(f"continuation {request.continuation!r} has no tokens to score")
            scores.append(Score(self._logprobs(request, tokens)))
            if progress:
                progress("score", done, len(requests))
        return scores

    def stream(self, request: GenerateRequest) -> Generator[str, None, Draw]:
        """Yield the first draw token by token.

        Yields:
            Pieces of text.

        Returns:
            The draw.

        Raises:
            CapabilityError: If streaming is switched off.
            ContextLengthError: If the request does not fit.
            EngineError: If the engine is closed; or the scripted fault.
        """
        if not self._capabilities.streaming:
            raise CapabilityError(f"{self.identity!r} does not stream", hint="use generate()")
        self._take([request])
        draw = self._draw(request, 0)
        yield from _tokens(draw.text)
        return draw

    def count_tokens(self, text: str) -> int:
        """Return how many words and signs `text` has."""
        return len(_tokens(text))

    def truncate(self, text: str, max_tokens: int) -> str:
        """Return the longest beginning of `text` that has at most `max_tokens` tokens."""
        return "".join(_tokens(text)[:max_tokens])

    def close(self) -> None:
        """Refuse every later call."""
        self._closed = True

    # ------------------------------------------------------------------ inside

    def _take(self, requests: Sequence[GenerateRequest] | Sequence[ScoreRequest]) -> None:
        """Count the call; refuse what cannot be done.

        Raises:
            EngineError: If the engine is closed; or the scripted fault.
        """
        with self._lock:
            if self._closed:
                raise EngineError(f"{self.identity!r} was closed", hint="make a new engine")
            self._calls += 1
            if self._fail_after is not None and self._calls > self._fail_after:
                raise self._fail_with
            for request in requests:
                self._check(request)
            self._requests.extend(requests)

    def _check(self, request: GenerateRequest | ScoreRequest) -> None:
        if not request.prompt:
            raise EngineError(
                "the prompt is empty", hint="pass at least one (role, content) message"
            )
        if request.adapter is not None:
            require(self, "adapters", f"adapter {request.adapter.name!r}")
        if isinstance(request, GenerateRequest):
            require_for_patterns(self, [request])
        limit = self._capabilities.max_context
        answer = (
            request.max_tokens
            if isinstance(request, GenerateRequest)
            else self.count_tokens(request.continuation)
        )
        n_tokens = self.count_tokens(_text(request.prompt, request.prefix)) + answer
        if limit is not None and n_tokens > limit:
            raise ContextLengthError(n_tokens, limit)

    def _draw(self, request: GenerateRequest, index: int) -> Draw:
        tokens = [*_tokens(self._reply(request, index)), _END]
        kept = tokens[: request.max_tokens]
        text = "".join(token for token in kept if token is not _END)
        cuts = [at for at in map(text.find, request.stop) if at >= 0]
        if cuts:
            # What was drawn ends with the token that completes the stop string.
            text = text[: min(cuts)]
            kept = kept[: max(1, len(_tokens(text)) + 1)]
            finish = "stop"
        else:
            finish = "end" if kept[-1] is _END else "length"
        mean = None
        if self._capabilities.logprobs:
            mean = Score(self._logprobs(request, kept)).mean()
        return Draw(text=text, finish=finish, n_tokens=len(kept), mean_logprob=mean)

    def _reply(self, request: GenerateRequest, index: int) -> str:
        if self._rule:
            return self._rule(request, index)
        text = _text(request.prompt, request.prefix)
        for piece, reply in self._pieces.items():
            if piece in text:
                return reply
        stream = (request.seed, index) if request.temperature > 0 else ()
        key = content_key(
            self._name, request.prompt, request.prefix, _served(request.adapter), stream
        )
        numbers = bytes.fromhex(key)
        words = [_WORDS[number % len(_WORDS)] for number in numbers[1 : 6 + numbers[0] % 6]]
        return " ".join(words).capitalize() + "." + (request.stop[0] if request.stop else "")

    def _logprobs(
        self, request: GenerateRequest | ScoreRequest, tokens: Sequence[str]
    ) -> tuple[float, ...]:
        seen = {_word(token) for token in _tokens(_text(request.prompt, request.prefix))} | {_END}
        values: list[float] = []
        for token in tokens:
            word = _word(token)
            low, high = _SEEN if word in seen else _UNSEEN
            values.append(low + (high - low) * self._share(word, request.adapter))
            seen.add(word)
        return tuple(values)

    def _share(self, word: str, adapter: AdapterRef | None) -> float:
        """Return a number of [0, 1) that belongs to a word under a model and adapter."""
        text = f"{self._name}\0{_served(adapter)}\0{word}"
        return int.from_bytes(sha256(text.encode("utf-8", "replace")).digest()[:6]) / 2**48


def _served(adapter: AdapterRef | None) -> str:
    return adapter.name if adapter else ""


def _text(prompt: ChatPrompt, prefix: str) -> str:
    return "\n".join([*(content for _, content in prompt), *filter(None, [prefix])])


def _tokens(text: str) -> list[str]:
    return _TOKEN.findall(text)


def _word(token: str) -> str:
    return token.strip().casefold()
