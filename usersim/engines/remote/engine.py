"""Any OpenAI-compatible server: `usersim serve-engine`, replicas behind a router, other vendors.

What a server can do is probed with tiny requests and never assumed. With the model's tokenizer at
hand, prompts go as token ids, exactly as in process; where the server holds our logits processor,
scores and seeded draws are then those of the in-process engines, up to rounding.
"""

from __future__ import annotations

import asyncio
import queue
from collections import Counter
from collections.abc import Callable, Coroutine, Generator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Self, TypeVar

from usersim.config import RemoteConfig
from usersim.engines.adapters import check_adapter
from usersim.engines.base import (
    AdapterRef,
    Capabilities,
    Draw,
    GenerateRequest,
    Score,
    ScoreRequest,
    require,
    require_for_patterns,
)
from usersim.engines.embedded import model_folder
from usersim.engines.identity import texts_digest
from usersim.engines.loading import load_texts
from usersim.engines.remote.http import Transport
from usersim.engines.remote.probe import Probed, probe
from usersim.engines.remote.wire import (
    Json,
    StreamAssembler,
    choice_of,
    draw_of,
    drawing,
    first,
    forcing,
    guessed_tokens,
    logprobs_of,
    pump,
)
from usersim.engines.texts import Pieces, Texts
from usersim.errors import (
    AdapterLoadError,
    CapabilityError,
    EngineError,
    EngineNotFoundError,
    EngineResponseError,
    UsersimError,
)
from usersim.views import Progress

__all__ = ["RemoteEngine"]

Result = TypeVar("Result")

STREAMED = {"stream": True, "stream_options": {"include_usage": True}}


class RemoteEngine:
    """Runs a model on a server that speaks the OpenAI protocol.

    Args:
        model: The served name of the base model.
        config: Where the server is, the tokenizer, patience.

    Raises:
        MissingDependencyError: If the extra `remote` is not installed.
        ModelLoadError: If the tokenizer cannot be loaded.

    Example:
        ```python
        config = RemoteConfig(base_url="http://127.0.0.1:8000/v1", tokenizer="embedded")
        with RemoteEngine("embedded", config) as engine:
            request = GenerateRequest(prompt=(("user", "Hello."),), max_tokens=8, temperature=0)
            engine.generate([request])[0][0].text
        ```
    """

    def __init__(self, model: str, config: RemoteConfig = RemoteConfig()) -> None:
        self._model = model
        self._config = config
        self._base = model_folder(config.tokenizer) if config.tokenizer else None
        self._texts: Texts | None = load_texts(self._base) if self._base is not None else None
        self._http = Transport(config)
        self._loaded: set[str] = set()
        self._closed = False

    # ------------------------------------------------------------------ what it is

    @property
    def model(self) -> str:
        """The served name of the base model."""
        return self._model

    @property
    def identity(self) -> str:
        """Served name, context length, tokenizer, and how draws are made; no address, no key."""
        codec = texts_digest(self._base)[:12] if self._base is not None else "chat"
        way = "directed" if self._probed.directed else "plain"
        return f"{self._model}@{codec}/{self._probed.limit or 'unknown'}/{way}/remote"

    @property
    def capabilities(self) -> Capabilities:
        """What the server was seen to do.

        Raises:
            EngineError: If it cannot be asked.
        """
        found = self._probed
        return Capabilities(
            logprobs=found.directed,
            adapters=self._config.load_adapters or len(found.names) > 1,
            structured=found.patterns,
            streaming=True,
            seeds="rounding" if found.directed else "none",
            max_context=found.limit,
            concurrent=True,
        )

    def count_tokens(self, text: str) -> int:
        """Return how many tokens `text` has by itself; without a tokenizer four bytes are one."""
        return self._texts.count(text) if self._texts else guessed_tokens(text)

    def truncate(self, text: str, max_tokens: int) -> str:
        """Return the longest beginning of `text` that has at most `max_tokens` tokens."""
        if self._texts:
            return self._texts.truncate(text, max_tokens)
        return text.encode()[: 4 * max_tokens].decode("utf-8", "ignore")

    @cached_property
    def _probed(self) -> Probed:
        """What the server can do; asked once.

        Raises:
            EngineError: If the server cannot be reached, or does not serve the model.
        """
        found = probe(self._http, self._model, self._texts)
        if self._texts is not None:
            bounds = [bound for bound in (found.limit, self._texts.limit) if bound]
            self._texts.limit = min(bounds, default=None)
        return found

    # ------------------------------------------------------------------ generating

    def generate(
        self, requests: Sequence[GenerateRequest], *, progress: Progress | None = None
    ) -> list[tuple[Draw, ...]]:
        """Return `n` draws per request, in the order of the requests.

        Raises:
            CapabilityError: If the server cannot do what a request needs.
            ContextLengthError: If a request does not fit the model.
            AdapterLoadError: If an adapter is not served.
            EngineError: If the server refuses a request; what may pass was tried again.
        """
        self._prepare(requests)
        asks = [(at, index) for at, one in enumerate(requests) for index in range(one.n)]
        work = [partial(self._drawn, requests[at], index) for at, index in asks]
        found = self._all("generate", work, [at for at, _ in asks], progress)
        draws: list[list[Draw]] = [[] for _ in requests]
        for (at, _), draw in zip(asks, found, strict=True):
            draws[at].append(draw)
        return [tuple(own) for own in draws]

    def _all(
        self,
        stage: str,
        work: Sequence[Callable[[], Coroutine[None, None, Result]]],
        owners: Sequence[int],
        progress: Progress | None,
    ) -> list[Result]:
        """Do everything; the first failure cancels the rest. Reports progress in this thread."""
        finished: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        future = self._http.submit(self._together(work, finished))
        future.add_done_callback(lambda _: finished.put(None))
        left = Counter(owners)
        total = len(left)
        try:
            while (place := finished.get()) is not None:
                left[owners[place]] -= 1
                if progress and not left[owners[place]]:
                    progress(stage, sum(not count for count in left.values()), total)
        except BaseException:
            future.cancel()
            raise
        return self._http.wait(future)

    async def _together(
        self,
        work: Sequence[Callable[[], Coroutine[None, None, Result]]],
        finished: queue.SimpleQueue[int | None],
    ) -> list[Result]:
        results: dict[int, Result] = {}
        places = iter(range(len(work)))

        async def worker() -> None:
            # As many as may be under way: what waits has no body in memory yet.
            for place in places:
                results[place] = await work[place]()
                finished.put(place)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._config.concurrency, len(work))):
                    group.create_task(worker())
        except* UsersimError as failures:
            raise failures.exceptions[0] from None
        return [results[place] for place in range(len(work))]

    async def _drawn(self, request: GenerateRequest, index: int) -> Draw:
        path, body = drawing(self._texts, request, index, directed=self._probed.directed)
        return await self._asked(
            request.adapter,
            path,
            body,
            lambda answer: draw_of(self._texts, choice_of(answer), request),
        )

    async def _asked(
        self, adapter: AdapterRef | None, path: str, body: Json, read: Callable[[Json], Result]
    ) -> Result:
        """Ask the base model or an adapter; one that the server forgot is loaded once more.

        Raises:
            EngineNotFoundError: If the server does not know the base model.
        """
        named = self._named(adapter, body)
        try:
            return await self._http.post(path, named, read)
        except EngineNotFoundError:
            if adapter is None:
                raise
            await self._load(adapter)
            return await self._http.post(path, named, read)

    def stream(self, request: GenerateRequest) -> Generator[str, None, Draw]:
        """Yield the first draw of `request` piece by piece; the pieces join to its text.

        Yields:
            Pieces of text.

        Returns:
            The draw.

        Raises:
            CapabilityError: If the server cannot do what the request needs.
            AdapterLoadError: If the adapter is not served.
            EngineError: If the server refuses or breaks off.
        """
        self._prepare([request])
        path, body = drawing(self._texts, request, 0, directed=self._probed.directed)
        body = self._named(request.adapter, body | STREAMED)
        inbox: queue.SimpleQueue[Json | None] = queue.SimpleQueue()
        pumping = self._http.submit(pump(self._http.events(path, body), inbox))
        pieces, whole = Pieces(request.stop), StreamAssembler(self._texts, request.prefix)
        try:
            while (event := inbox.get()) is not None:
                if (text := whole.more(event)) and (piece := pieces.more(text)):
                    yield piece
            self._http.wait(pumping)
        finally:
            pumping.cancel()
        draw = draw_of(self._texts, whole.choice(), request)
        if piece := pieces.last(draw.text):
            yield piece
        return draw

    # ------------------------------------------------------------------ scoring

    def score(
        self, requests: Sequence[ScoreRequest], *, progress: Progress | None = None
    ) -> list[Score]:
        """Return the log-probability of each request's continuation, token by token.

        Raises:
            CapabilityError: If the server does not hold our logits processor, or no tokenizer
                was named.
            ScoringError: If a continuation has no token.
            ContextLengthError: If a request does not fit the model.
            AdapterLoadError: If an adapter is not served.
            EngineError: If the server refuses a request.
        """
        self._alive()
        if not requests:
            return []
        require(self, "logprobs", "scoring given text")
        self._serve({request.adapter for request in requests})
        assert self._texts is not None, "only token ids are scored"
        work: list[Callable[[], Coroutine[None, None, Score]]] = []
        for request in requests:
            prompt, own = self._texts.scored(request)
            work.append(partial(self._scored, request.adapter, prompt, own))
        return self._all("score", work, range(len(work)), progress)

    async def _scored(self, adapter: AdapterRef | None, prompt: list[int], own: list[int]) -> Score:
        def read(answer: Json) -> Score:
            values = logprobs_of(first(answer, "choices"))
            if len(values) != len(own):
                raise EngineResponseError(
                    f"the server returned {len(values)} of {len(own)} log-probabilities"
                )
            return Score(tuple(values))

        return await self._asked(adapter, "completions", forcing(prompt, own), read)

    # ------------------------------------------------------------------ adapters

    def _prepare(self, requests: Sequence[GenerateRequest]) -> None:
        """Refuse what the server cannot do, before anything is asked of it.

        Raises:
            CapabilityError: Naming what it cannot do.
        """
        self._alive()
        if not requests:
            return
        require_for_patterns(self, requests)
        if not self._probed.prefixes and any(request.prefix for request in requests):
            raise CapabilityError(
                f"{self._config.base_url!r} cannot continue a given text",
                hint="set the model's tokenizer in RemoteConfig, or use another server",
                cli_hint="use another server, such as the one that `usersim serve-engine` starts",
            )
        self._serve({request.adapter for request in requests})

    def _serve(self, refs: set[AdapterRef | None]) -> None:
        """Make sure that every adapter is served.

        Raises:
            AdapterLoadError: If one is damaged, foreign, or neither served nor to be loaded.
        """
        self._alive()
        for ref in sorted((ref for ref in refs if ref), key=lambda ref: ref.name):
            if ref.name in self._loaded:
                continue
            served = ref.name in self._probed.names
            # A server elsewhere may serve what is not on this machine.
            checked = self._base is not None or self._config.load_adapters
            if checked and not (served and not Path(ref.path).is_dir()):
                check_adapter(ref, self._base or self._model, same_model=False)
            if not served:
                self._http.run(self._load(ref))
            self._loaded.add(ref.name)

    async def _load(self, ref: AdapterRef) -> None:
        hint = "serve it with `usersim serve-engine --corpus STORE`, or allow loading at run time"
        if not self._config.load_adapters:
            raise AdapterLoadError(
                f"adapter {ref.name!r} is not served by {self._config.base_url!r}", hint=hint
            )
        body = {"lora_name": ref.name, "lora_path": ref.path}
        try:
            await self._http.command("load_lora_adapter", body)
        except EngineError as error:
            if error.retryable:
                raise
            if "already been loaded" not in str(error):
                raise AdapterLoadError(
                    f"{self._config.base_url!r} failed to load adapter {ref.name!r}: {error}",
                    hint=hint,
                ) from error

    def _named(self, adapter: AdapterRef | None, body: Json) -> Json:
        return {"model": adapter.name if adapter else self._model, **body}

    # ------------------------------------------------------------------ life

    def _alive(self) -> None:
        if self._closed:
            raise EngineError(f"the engine of {self._model!r} is closed")

    def close(self) -> None:
        """Close the connections; the server goes on."""
        self._closed = True
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
