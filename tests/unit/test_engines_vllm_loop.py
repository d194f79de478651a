"""The thread that drives vLLM, at its ends: nobody who asks is left waiting, no error is hidden."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from usersim.engines.vllm.adapters import VllmAdapters
from usersim.engines.vllm.loop import EngineLoop, Ticket
from usersim.errors import EngineUnavailableError

SECONDS = 5


class Idle:
    """An engine that takes requests and never answers."""

    vllm_config = SimpleNamespace(scheduler_config=SimpleNamespace(max_num_seqs=4))

    def __init__(self) -> None:
        self.stepping = threading.Event()
        self.dead = False

    def add_request(self, *_: object, **__: object) -> None:
        """Take a request."""

    def abort_request(self, names: list[str]) -> None:
        """Take requests back."""

    def step(self) -> list[object]:
        """Compute nothing; die when told to."""
        self.stepping.set()
        if self.dead:
            raise RuntimeError("the worker is gone")
        threading.Event().wait(0.005)
        return []


def make(engine: Idle) -> EngineLoop:
    """A loop around an engine."""
    return EngineLoop(lambda: engine, lambda _: None, VllmAdapters("base", 1))


def ask(loop: EngineLoop) -> threading.Thread:
    """Ask in another thread; the thread keeps how the call ended."""

    def call() -> None:
        try:
            list(loop.run([Ticket([1], None, None)]))
        except EngineUnavailableError as error:
            thread.ended = error  # pyright: ignore[reportAttributeAccessIssue]

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    return thread


def test_a_request_at_the_very_end_is_answered() -> None:
    """A request posted while the loop ends fails; it does not wait for ever."""
    loop = make(Idle())
    put, arrived = loop._inbox.put, threading.Event()

    def late(act: object) -> None:
        # Between the check that the loop lives and the hand-over, somebody closes it.
        if threading.current_thread() is asking and not arrived.is_set():
            arrived.set()
            threading.Thread(target=loop.close, daemon=True).start()
            loop._thread.join(timeout=0.5)
        put(act)

    loop._inbox = SimpleNamespace(put=late, get=loop._inbox.get, get_nowait=loop._inbox.get_nowait)
    started = threading.Event()

    def call() -> None:
        started.wait(SECONDS)
        with pytest.raises(EngineUnavailableError):
            list(loop.run([Ticket([1], None, None)]))

    asking = threading.Thread(target=call, daemon=True)
    asking.start()
    put(lambda: None)  # the loop may be waiting in the real queue
    started.set()
    asking.join(timeout=SECONDS)
    assert arrived.is_set()
    assert not asking.is_alive()


def test_a_dead_engine_ends_every_call() -> None:
    """When vLLM dies, running and waiting calls fail with its own words, and later ones too."""
    engine = Idle()
    loop = make(engine)
    calls = [ask(loop) for _ in range(3)]
    assert engine.stepping.wait(SECONDS)
    engine.dead = True
    for call in calls:
        call.join(timeout=SECONDS)
        assert "the worker is gone" in str(call.ended)  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(EngineUnavailableError, match="the worker is gone"):
        list(loop.run([Ticket([1], None, None)]))
    loop.close()


def test_leaving_a_loop_that_has_ended_hides_nothing() -> None:
    """Ctrl-C in a call whose loop is gone is still Ctrl-C."""
    loop = make(Idle())
    ticket = Ticket([1], None, None)
    running = loop.run([ticket])
    threading.Timer(
        0.1, lambda: ticket.outputs.put((ticket, SimpleNamespace(finished=False)))
    ).start()
    next(running)
    loop.close()
    with pytest.raises(KeyboardInterrupt):
        running.throw(KeyboardInterrupt())
