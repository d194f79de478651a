"""Puts what was read from requests to the simulated people, in batches or as live streams.

Knows the simulator's asker and the store; knows no HTTP and no wire format.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from usersim.config import ServerConfig, SimulationConfig
from usersim.corpus import Response
from usersim.engines import ChatPrompt
from usersim.errors import (
    CapabilityError,
    ContextLengthError,
    CorpusError,
    EngineError,
    UserNotFoundError,
    boundary,
)
from usersim.server.asked import AnswerRequest
from usersim.server.batching import Batcher, Job, refuse_draining, refuse_late
from usersim.server.metrics import Metrics
from usersim.server.streams import LiveStreams
from usersim.simulation import Answer, Piece, RespondItem, derive_seed, stream_answer
from usersim.simulator import UserSimulator
from usersim.simulator.asking import Asker
from usersim.types import Failure, FreeText, content_key

__all__ = ["Answering", "CountedAnswer", "Tokens"]

logger = logging.getLogger(__name__)

CONCURRENT_WORKERS = 4
WHOLE_CONTEXT = 1_000_000_000
"""A conversation is never cut to fit: what is too long for the model is refused."""
AFTER_FAULT_SECONDS = 5.0
"""For so long after a fault of the engine the server says that it is not ready."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """Tokens of one answer, as the engine counts texts."""

    prompt: int
    reasoning: int
    action: int


@dataclass(frozen=True, slots=True)
class CountedAnswer:
    """One answer, or why there is none, with its tokens."""

    outcome: Answer | Failure
    tokens: Tokens


class Answering:
    """Answers for one simulator.

    Args:
        sim: The simulator; it stays its owner's to close.
        config: Limits.
    """

    def __init__(self, sim: UserSimulator, config: ServerConfig) -> None:
        self._sim = sim
        self._config = config
        self._engine = sim.engine
        workers = config.workers
        if workers is None:
            workers = CONCURRENT_WORKERS if self._engine.capabilities.concurrent else 1
        self.streams = LiveStreams(threads=config.streams, limit=config.queue)
        self.metrics = Metrics(
            waiting=lambda: self.batcher.waiting, streams=lambda: self.streams.under_way
        )
        self.batcher = Batcher[CountedAnswer](
            self._answered,
            workers=workers,
            batch=config.batch,
            gather_seconds=config.gather_seconds,
            limit=config.queue,
            observe=self.metrics.batch,
        )
        self._fault_at = float("-inf")
        self._draining = False

    @property
    def simulation(self) -> SimulationConfig:
        """How answers are drawn where a request does not say."""
        return self._sim.config.simulation

    def fingerprint(self, item: RespondItem) -> str:
        """Return the identity of engine and adapter: equal ones give equal answers to equal seeds.

        Args:
            item: What is asked; it names the adapter.
        """
        name = item.adapter.name if item.adapter else None
        return f"usersim-{content_key(self._engine.identity, name)[:12]}"

    @property
    def draining(self) -> bool:
        """Whether nothing new is taken."""
        return self._draining

    @property
    def failing(self) -> bool:
        """Whether the engine failed a moment ago."""
        return time.monotonic() - self._fault_at < AFTER_FAULT_SECONDS

    def drain(self) -> None:
        """Take nothing new; what was taken is still answered."""
        self._draining = True

    def close(self) -> None:
        """End what is under way, as far as it does so in `drain_seconds`."""
        self._draining = True
        self.streams.close()
        self.batcher.close(self._config.drain_seconds)

    # ------------------------------------------------------------------ people

    async def people(self) -> list[str]:
        """Return the ids of everybody who can be asked."""
        return await asyncio.to_thread(lambda: self._sim.users)

    async def check_person(self, user_id: str) -> None:
        """Check that somebody can be asked.

        Raises:
            UserNotFoundError: If they cannot.
        """
        self._check_served(user_id)
        await asyncio.to_thread(self._sim.corpus.require, user_id)

    def _check_served(self, user_id: str) -> None:
        """Check that somebody is not another person than the only one who is served.

        Raises:
            UserNotFoundError: If they are.
        """
        only = self._sim.user_id
        if only is not None and user_id != only:
            raise UserNotFoundError(f"user {user_id!r} is not served here; only {only!r} is")

    # ------------------------------------------------------------------ answers

    async def items(self, asked: AnswerRequest) -> list[RespondItem]:
        """Return what one request asks, with what is shown of the person: an item per answer.

        Raises:
            RefusedRequestError: If the server takes nothing new.
            UserNotFoundError: If there is no such person.
        """
        if self._draining:
            refuse_draining()
        self._check_served(asked.user_id)
        first = await asyncio.to_thread(
            self._asker(asked.simulation).item, asked.user_id, asked.question, seed=asked.seed
        )
        rest = [
            replace(first, seed=derive_seed(first.seed, "answer", n)) for n in range(1, asked.n)
        ]
        return [first, *rest]

    async def answers(
        self, asked: AnswerRequest, items: Sequence[RespondItem]
    ) -> list[CountedAnswer]:
        """Return the answers to one request.

        Cancelled, it takes back what has not started.

        Args:
            asked: The request.
            items: What it asks.

        Raises:
            RefusedRequestError: If there is no place in the queue, or the time is over.
            EngineError: If the engine failed.
        """
        job = Job[CountedAnswer](items, asked.simulation)
        try:
            async with asyncio.timeout(self._config.request_seconds):
                counted = await asyncio.wrap_future(self.batcher.submit(job))
        except TimeoutError:
            refuse_late(self._config.request_seconds)
        for one in counted:
            self.metrics.answer("malformed" if isinstance(one.outcome, Failure) else "answered")
        return counted

    def live(self, asked: AnswerRequest) -> bool:
        """Whether a streamed answer can be sent as it is drawn.

        A closed question's answer is averaged over traces, and is known only at the end.
        """
        free = isinstance(asked.question.space, FreeText)
        return asked.n == 1 and free and self._engine.capabilities.streaming

    async def pieces(
        self, asked: AnswerRequest, item: RespondItem
    ) -> AsyncGenerator[Piece | Tokens]:
        """Yield a live answer piece by piece, and its tokens at the end.

        Args:
            asked: The request.
            item: What it asks.

        Yields:
            Pieces, then tokens.

        Raises:
            RefusedRequestError: If too many streams wait, or the time is over.
            EngineError: If the engine failed; what was yielded is then no answer.
            UsersimError: If what was drawn is none.
        """
        texts = {"reasoning": "", "action": ""}
        try:
            drawing = self.streams.pieces(
                lambda: self._drawn(item, asked.simulation), seconds=self._config.request_seconds
            )
            async with aclosing(drawing):
                async for piece in drawing:
                    texts[piece.part] += piece.text
                    yield piece
        except EngineError as error:
            self._note(error)
            raise
        self.metrics.answer("answered")
        prompt = item.prompt(self._asker(asked.simulation).config.history)
        yield await asyncio.to_thread(self._tokens, prompt, **texts)

    def _asker(self, simulation: SimulationConfig) -> Asker:
        """Return the simulator's asker under a request's settings, contexts uncut."""
        asker, config = self._sim.asker(), self._sim.config
        history = config.history.model_copy(update={"max_context_chars": WHOLE_CONTEXT})
        changed = config.model_copy(update={"simulation": simulation, "history": history})
        return replace(asker, config=changed)

    # ------------------------------------------------------------------ in other threads

    def _answered(
        self, config: SimulationConfig, items: Sequence[RespondItem]
    ) -> list[CountedAnswer]:
        """Answer a batch and keep it; in a thread of the batcher.

        Raises:
            EngineError: If the engine failed.
        """
        try:
            with boundary(EngineError, "answering a batch"):
                batch, kept = self._asker(config).answered(self._engine, items)
        except EngineError as error:
            self._note(error)
            raise
        if self._config.keep:
            self._keep([one for one in kept if one is not None])
        failures = {failure.index: failure for failure in batch.failures}
        return [
            CountedAnswer(answer or failures[at], self._counted(answer))
            for at, answer in enumerate(batch.items)
        ]

    def _drawn(
        self, item: RespondItem, simulation: SimulationConfig
    ) -> Generator[Piece, None, None]:
        history = self._asker(simulation).config.history
        yield from stream_answer(self._engine, item, config=simulation, history=history)

    def _note(self, error: EngineError) -> None:
        """Remember a fault of the engine; a request that it cannot do is none."""
        if not isinstance(error, CapabilityError | ContextLengthError):
            self._fault_at = time.monotonic()
            self.metrics.fault()
            logger.error("the engine failed: %s: %s", type(error).__name__, error)

    def _keep(self, answers: Sequence[Response]) -> None:
        """Store answers; one whose person was forgotten meanwhile takes no other along."""
        try:
            self._sim.corpus.ledger.put_responses(answers)
        except CorpusError as error:
            if len(answers) > 1:
                for one in answers:
                    self._keep([one])
                return
            self.metrics.unkept(1)
            logger.warning("an answer was given and not stored: %s", error)

    def _counted(self, answer: Answer | None) -> Tokens:
        if answer is None:
            return Tokens(prompt=0, reasoning=0, action=0)
        reasoning = "\n".join(drawn.reasoning for drawn in answer.trace.drawn)
        return self._tokens(answer.trace.prompt, reasoning=reasoning, action=answer.action_text)

    def _tokens(self, prompt: ChatPrompt, *, reasoning: str, action: str) -> Tokens:
        count = self._engine.count_tokens
        found = Tokens(
            prompt=sum(count(content) for _, content in prompt),
            reasoning=count(reasoning) if reasoning else 0,
            action=count(action),
        )
        self.metrics.tokens(prompt=found.prompt, reasoning=found.reasoning, action=found.action)
        return found
