# pyright: basic
"""The one thread that drives a vLLM engine: requests come in, outputs go out.

vLLM batches continuously whatever is in it, so that callers in several threads, batches and
streams share one engine. Knows vLLM's requests and outputs; knows no texts and no adapters' files.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from usersim.engines.base import AdapterRef
from usersim.engines.vllm.adapters import VllmAdapters
from usersim.errors import EngineError, EngineUnavailableError, UsersimError, boundary

__all__ = ["EngineLoop", "Ticket"]

logger = logging.getLogger(__name__)

AHEAD = 2
"""Requests handed to vLLM, as a multiple of those that it computes together: it is never idle,
and its queue stays short however many requests there are."""


@dataclass(slots=True, eq=False)
class Ticket:
    """One request on its way through vLLM.

    Attributes:
        prompt: Token ids.
        params: vLLM's `SamplingParams`.
        adapter: Applied to this request alone.
        outputs: Where its outputs go, as (ticket, vLLM's output or the error that ended it).
        name: Its id within vLLM; set when it is handed over.
    """

    prompt: list[int]
    params: Any
    adapter: AdapterRef | None
    outputs: queue.SimpleQueue[tuple[Ticket, Any]] = field(default_factory=queue.SimpleQueue)
    name: str = ""


class EngineLoop:
    """Starts a vLLM engine in a thread of its own and keeps it stepping.

    Args:
        start: Makes the engine, vLLM's `LLMEngine`.
        stop: Ends it.
        adapters: Loads adapters into it.

    Raises:
        UsersimError: What `start` raised.
    """

    def __init__(
        self, start: Callable[[], Any], stop: Callable[[Any], None], adapters: VllmAdapters
    ) -> None:
        self._start, self._stop = start, stop
        self._adapters = adapters
        self._inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._waiting: deque[Ticket] = deque()
        self._active: dict[str, Ticket] = {}
        self._count = 0
        self._room = 0
        self._closing = False
        self._forgetting = False
        # Held while something is put into the inbox and while it is closed: what is in it when the
        # thread empties it for the last time is all that there will be.
        self._gate = threading.Lock()
        self._engine: Any = None
        self._error: BaseException | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="usersim-vllm", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._error is not None:
            self._thread.join()
            raise self._error

    @property
    def alive(self) -> bool:
        """Whether it takes requests."""
        return self._error is None and not self._closing

    def run(self, tickets: Sequence[Ticket]) -> Iterator[tuple[Ticket, Any]]:
        """Hand in requests and yield their outputs as they come.

        Leaving the iteration early takes the rest back.

        Yields:
            (ticket, vLLM's `RequestOutput`); a ticket's last one is `finished`.

        Raises:
            UsersimError: What ended a request.
        """
        results: queue.SimpleQueue[tuple[Ticket, Any]] = queue.SimpleQueue()
        for ticket in tickets:
            ticket.outputs = results
        left = set(tickets)
        self._post(lambda: self._waiting.extend(tickets))
        try:
            while left:
                ticket, output = results.get()
                if isinstance(output, BaseException):
                    raise output
                if output.finished:
                    left.discard(ticket)
                yield ticket, output
        finally:
            if left:
                with suppress(EngineUnavailableError):  # a loop that has ended has nothing running
                    self._post(lambda: self._cancel(left))

    def forget_prompts(self) -> None:
        """Have the prefix cache emptied once no request runs: vLLM cannot empty it before."""
        self._post(self._forget_soon)

    def close(self) -> None:
        """End the engine; requests that are not done fail."""
        with self._gate:
            self._closing = True
            self._inbox.put(lambda: None)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    # ------------------------------------------------------------------ from other threads

    def _post(self, act: Callable[[], None]) -> None:
        with self._gate:
            if not self.alive:
                raise self._gone()
            self._inbox.put(act)

    def _gone(self) -> UsersimError:
        reason = f": {self._error}" if self._error is not None else ""
        return EngineUnavailableError(f"vLLM has stopped{reason}", hint="call again to restart it")

    # ------------------------------------------------------------------ in the thread

    def _run(self) -> None:
        try:
            self._engine = self._start()
            self._room = AHEAD * self._engine.vllm_config.scheduler_config.max_num_seqs
            self._ready.set()
            while not self._closing:
                self._take()
                if self._forgetting and not self._active:
                    self._forgetting = not self._engine.reset_prefix_cache()
                self._hand_over()
                if self._active:
                    for output in self._engine.step():
                        self._deliver(output)
        except BaseException as error:
            self._error = error
            logger.debug("vLLM stopped", exc_info=True)
        finally:
            with self._gate:
                self._closing = True
            self._fail_all()
            if self._engine is not None:
                self._stop(self._engine)
                self._engine = None
            self._ready.set()

    def _forget_soon(self) -> None:
        self._forgetting = True

    def _take(self) -> None:
        """Do what other threads asked for; wait for it where there is nothing else to do."""
        if not self._active and not self._waiting:
            self._inbox.get()()
        while True:
            try:
                self._inbox.get_nowait()()
            except queue.Empty:
                return

    def _hand_over(self) -> None:
        while self._waiting and len(self._active) < self._room:
            ticket = self._waiting[0]
            try:
                if not self._adapters.enter(self._engine, ticket.adapter):
                    return
                self._add(ticket)
            except UsersimError as error:
                ticket.outputs.put((ticket, error))
            self._waiting.popleft()

    def _add(self, ticket: Ticket) -> None:
        self._count += 1
        name = f"usersim-{self._count}"
        try:
            with boundary(EngineError, "handing a request to vLLM"):
                self._engine.add_request(
                    name,
                    {"prompt_token_ids": ticket.prompt},
                    ticket.params,
                    lora_request=self._adapters.request(ticket.adapter),
                )
        except EngineError:
            self._adapters.leave(ticket.adapter)
            raise
        ticket.name = name
        self._active[name] = ticket

    def _deliver(self, output: Any) -> None:
        ticket = self._active.get(output.request_id)
        if ticket is None:
            return  # taken back
        if output.finished:
            del self._active[output.request_id]
            self._adapters.leave(ticket.adapter)
        ticket.outputs.put((ticket, output))

    def _cancel(self, tickets: set[Ticket]) -> None:
        running = [ticket for ticket in tickets if ticket.name in self._active]
        self._engine.abort_request([ticket.name for ticket in running])
        for ticket in running:
            del self._active[ticket.name]
            self._adapters.leave(ticket.adapter)
        self._waiting = deque(ticket for ticket in self._waiting if ticket not in tickets)

    def _fail_all(self) -> None:
        """Tell everybody who waits, those included whose requests are still in the inbox."""
        while True:
            try:
                self._inbox.get_nowait()()
            except queue.Empty:
                break
        for ticket in (*self._active.values(), *self._waiting):
            ticket.outputs.put((ticket, self._gone()))
        self._active.clear()
        self._waiting.clear()
