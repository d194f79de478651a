"""The queue between requests and an engine: batches, bounds, faults, the end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import aclosing, contextmanager

import pytest

from usersim.config import SimulationConfig
from usersim.errors import (
    EngineError,
    EngineUnavailableError,
    RefusedRequestError,
    ScoringError,
    UsersimError,
)
from usersim.server.batching import Batcher, Job
from usersim.server.streams import LiveStreams
from usersim.simulation import Piece, RespondItem
from usersim.types import Question

COLD = SimulationConfig(temperature=0)
WARM = SimulationConfig(temperature=1)
HANG = 60
"""Seconds after which something that never comes is given up; no test passes because of it."""
Answer = Callable[[SimulationConfig, Sequence[RespondItem]], list[str]]


def items(*names: str) -> list[RespondItem]:
    """One item for each name."""
    return [RespondItem(user_id=name, question=Question.of("Tea?")) for name in names]


def names(_: SimulationConfig, asked: Sequence[RespondItem]) -> list[str]:
    """Answer with the names."""
    return [one.user_id for one in asked]


class Recorded:
    """Answers with names, and remembers each batch."""

    def __init__(self, answer: Answer = names) -> None:
        self.batches: list[list[str]] = []
        self._answer = answer

    def __call__(self, config: SimulationConfig, asked: Sequence[RespondItem]) -> list[str]:
        """Remember and answer."""
        self.batches.append([one.user_id for one in asked])
        return self._answer(config, asked)


@contextmanager
def batcher(
    answer: Answer, *, gather_seconds: float = 0.05, **settings: int
) -> Iterator[Batcher[str]]:
    """A batcher with one worker that gathers for a twentieth of a second."""
    how = {"workers": 1, "batch": 8, "limit": 100, **settings}
    one = Batcher[str](answer, **how, gather_seconds=gather_seconds, observe=lambda _n, _s: None)
    try:
        yield one
    finally:
        one.close(HANG)


def test_what_waits_is_answered_together() -> None:
    """Requests that come while the engine is busy are one batch, each with its answers back."""
    with held(limit=100) as (queue, answer, free):
        futures = [queue.submit(Job(items(name), COLD)) for name in "abc"]
        futures.append(queue.submit(Job(items("d", "e"), COLD)))
        free()
        assert [f.result(HANG) for f in futures] == [["a"], ["b"], ["c"], ["d", "e"]]
    assert answer.batches == [["first"], ["a", "b", "c", "d", "e"]]


def test_a_batch_that_is_full_is_not_waited_for() -> None:
    """An idle engine waits for a while for company, and no longer once the batch is full."""
    answer = Recorded()
    with batcher(answer, batch=2, gather_seconds=1_000.0) as queue:
        futures = [queue.submit(Job(items(name), COLD)) for name in "ab"]
        assert [f.result(HANG) for f in futures] == [["a"], ["b"]]
    assert answer.batches == [["a", "b"]]


def test_other_settings_are_another_batch() -> None:
    """Items are answered together only under equal settings."""
    with held(limit=100) as (queue, answer, free):
        futures = [
            queue.submit(Job(items(name), config))
            for name, config in zip("abcd", (COLD, WARM, COLD, WARM), strict=True)
        ]
        free()
        assert [f.result(HANG) for f in futures] == [["a"], ["b"], ["c"], ["d"]]
    assert sorted(answer.batches) == [["a", "c"], ["b", "d"], ["first"]]


def test_a_batch_has_a_size_and_a_large_request_is_one_of_its_own() -> None:
    """No batch exceeds its size but for a request that does by itself."""
    with held(limit=100, batch=2) as (queue, answer, free):
        futures = [queue.submit(Job(items(*some), COLD)) for some in ("a", "bcd", "e", "f")]
        free()
        for future in futures:
            future.result(HANG)
    assert answer.batches == [["first"], ["a"], ["b", "c", "d"], ["e", "f"]]


@contextmanager
def held(
    answer: Answer = names, *, limit: int = 2, **settings: int
) -> Iterator[tuple[Batcher[str], Recorded, Callable[[], None]]]:
    """A batcher of a few places whose engine is busy with `first` until it is set free."""
    gate, entered = threading.Event(), threading.Event()

    def slow(config: SimulationConfig, asked: Sequence[RespondItem]) -> list[str]:
        entered.set()
        assert gate.wait(HANG)
        if asked[0].user_id == "first":
            return names(config, asked)
        return answer(config, asked)

    recorded = Recorded(slow)
    with batcher(recorded, limit=limit, **settings) as queue:
        queue.submit(Job(items("first"), COLD))
        assert entered.wait(HANG)
        try:
            yield queue, recorded, gate.set
        finally:
            gate.set()


def test_a_full_queue_refuses_with_a_time_to_come_back() -> None:
    """The queue has a bound, and who comes too late is told so."""
    with held() as (queue, _, _):
        queue.submit(Job(items("a"), COLD))
        queue.submit(Job(items("b"), COLD))
        assert (queue.waiting, queue.full) == (2, True)
        with pytest.raises(RefusedRequestError, match="2 answers are waiting") as raised:
            queue.submit(Job(items("c"), COLD))
    assert (raised.value.status, raised.value.code) == (429, "queue_full")
    assert raised.value.retry_after


def test_what_was_taken_back_is_never_asked() -> None:
    """A request whose client left is dropped while it waits."""
    with held() as (queue, answer, free):
        gone = queue.submit(Job(items("gone"), COLD))
        kept = queue.submit(Job(items("kept"), COLD))
        assert gone.cancel()
        free()
        assert kept.result(HANG) == ["kept"]
    assert answer.batches == [["first"], ["kept"]]


def test_several_workers_share_the_queue_and_none_is_lost() -> None:
    """A worker whose batch another one took goes on waiting: all are there at the end."""
    with batcher(names, workers=4, batch=2) as queue:
        for wave in range(8):
            futures = [queue.submit(Job(items(f"{wave}-{n}"), COLD)) for n in range(3)]
            assert [f.result(HANG) for f in futures] == [[f"{wave}-{n}"] for n in range(3)]
        assert all(thread.is_alive() for thread in queue._threads)


def test_one_requests_fault_is_not_the_others() -> None:
    """A fault that would come again is looked for alone; the others get their answers."""

    def picky(config: SimulationConfig, asked: Sequence[RespondItem]) -> list[str]:
        if any(one.user_id == "bad" for one in asked):
            raise ScoringError("'bad' cannot be scored")
        return names(config, asked)

    with batcher(picky) as queue:
        good, bad, fine = (queue.submit(Job(items(n), COLD)) for n in ("good", "bad", "fine"))
        with pytest.raises(ScoringError, match="'bad'"):
            bad.result(HANG)
        assert (good.result(HANG), fine.result(HANG)) == (["good"], ["fine"])


def test_a_defect_fails_its_batch_and_not_its_worker() -> None:
    """Whatever an answer raises becomes an error of the request, and the next one is answered."""
    faults = [ValueError("a defect")]

    def defective(config: SimulationConfig, asked: Sequence[RespondItem]) -> list[str]:
        if faults:
            raise faults.pop()
        return names(config, asked)

    with batcher(defective) as queue:
        with pytest.raises(EngineError, match="ValueError: a defect"):
            queue.submit(Job(items("a"), COLD)).result(HANG)
        assert queue.submit(Job(items("b"), COLD)).result(HANG) == ["b"]


@pytest.mark.parametrize("error", [EngineUnavailableError("gone"), MemoryError()])
def test_a_dead_engine_fails_the_batch_and_the_next_one_is_tried(error: Exception) -> None:
    """After a fault that may pass, everybody is told, and the worker lives on."""
    faults = [error]

    def once(config: SimulationConfig, asked: Sequence[RespondItem]) -> list[str]:
        if faults:
            raise faults.pop()
        return names(config, asked)

    with held(once) as (queue, _, free):
        futures = [queue.submit(Job(items(name), COLD)) for name in "ab"]
        free()
        for future in futures:
            with pytest.raises(EngineUnavailableError):
                future.result(HANG)
        assert queue.submit(Job(items("c"), COLD)).result(HANG) == ["c"]


def test_the_end_refuses_what_waits_and_finishes_what_runs() -> None:
    """A closed batcher ends its batch, refuses its queue, and takes nothing more."""
    with held() as (queue, _, _):
        waits = queue.submit(Job(items("waits"), COLD))
        queue.close(0)
        with pytest.raises(RefusedRequestError, match="shutting down"):
            waits.result(HANG)
        with pytest.raises(RefusedRequestError, match="shutting down"):
            queue.submit(Job(items("late"), COLD))


# ---------------------------------------------------------------------- live streams


def drawing(*texts: str, then: Exception | None = None) -> Callable[[], Generator[Piece]]:
    """Pieces of an action, then a fault."""

    def draw() -> Generator[Piece]:
        for text in texts:
            yield Piece("action", text)
        if then is not None:
            raise then

    return draw


def read(
    streams: LiveStreams, draw: Callable[[], Generator[Piece]]
) -> tuple[str, UsersimError | None]:
    """Read a stream to its end."""

    async def go() -> tuple[str, UsersimError | None]:
        text = ""
        try:
            async with aclosing(streams.pieces(draw, seconds=HANG)) as pieces:
                async for piece in pieces:
                    text += piece.text
        except UsersimError as error:
            return text, error
        return text, None

    return asyncio.run(go())


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (EngineUnavailableError("gone"), EngineUnavailableError),
        (ValueError("a defect"), EngineError),
        (MemoryError(), EngineUnavailableError),
    ],
)
def test_a_stream_that_breaks_says_why_after_what_it_had(fault: Exception, kind: type) -> None:
    """Pieces that were drawn arrive, and then the fault, whatever it was."""
    streams = LiveStreams(threads=1, limit=1)
    text, error = read(streams, drawing("a", "b", then=fault))
    assert text == "ab"
    assert type(error) is kind
    assert streams.under_way == 0
    streams.close()


def test_a_reader_who_leaves_ends_the_drawing() -> None:
    """A stream that is closed early draws at the most one piece more."""
    drawn: list[int] = []
    gone, ended = threading.Event(), threading.Event()

    def draw() -> Generator[Piece]:
        try:
            for n in range(100):
                drawn.append(n)
                yield Piece("action", "x")
                gone.wait(HANG)
        finally:
            ended.set()

    async def leave(streams: LiveStreams) -> None:
        async with aclosing(streams.pieces(draw, seconds=HANG)) as pieces:
            await anext(pieces)
        gone.set()

    streams = LiveStreams(threads=1, limit=1)
    asyncio.run(leave(streams))
    assert ended.wait(HANG)
    assert drawn == [0, 1]
    streams.close()


def test_streams_are_bounded_and_end_with_the_server() -> None:
    """Those that find no place are refused; those that wait for one when the end comes are told."""
    gate = threading.Event()

    def draw() -> Generator[Piece]:
        yield Piece("action", "x")
        gate.wait(HANG)
        yield Piece("action", "y")

    async def go() -> tuple[object, object]:
        streams = LiveStreams(threads=1, limit=1)
        first, second, third = (streams.pieces(draw, seconds=HANG) for _ in range(3))
        await anext(first)
        waiting = asyncio.ensure_future(anext(second))
        await asyncio.sleep(0.01)
        with pytest.raises(RefusedRequestError, match="2 answers are waiting"):
            await anext(third)
        streams.close()
        gate.set()
        return await asyncio.gather(waiting, anext(first), return_exceptions=True)

    for told in asyncio.run(go()):
        assert isinstance(told, RefusedRequestError)
        assert told.code == "shutting_down"
