"""The queue between requests and an engine: batches, bounds, faults, the end."""

from __future__ import annotations

import asyncio
import threading
import time
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
def batcher(answer: Answer, **settings: int) -> Iterator[Batcher[str]]:
    """A batcher with one worker that gathers for a twentieth of a second."""
    how = {"workers": 1, "batch": 8, "limit": 100, **settings}
    one = Batcher[str](answer, **how, gather_seconds=0.05, observe=lambda _n, _s: None)
    try:
        yield one
    finally:
        one.close(5)


def test_what_waits_is_answered_together() -> None:
    """Requests that come close together are one batch, each with its own answers back."""
    answer = Recorded()
    with batcher(answer) as queue:
        futures = [queue.submit(Job(items(name), COLD)) for name in "abc"]
        futures.append(queue.submit(Job(items("d", "e"), COLD)))
        assert [f.result(5) for f in futures] == [["a"], ["b"], ["c"], ["d", "e"]]
    assert answer.batches == [["a", "b", "c", "d", "e"]]


def test_other_settings_are_another_batch() -> None:
    """Items are answered together only under equal settings."""
    answer = Recorded()
    with batcher(answer) as queue:
        futures = [
            queue.submit(Job(items(name), config))
            for name, config in zip("abcd", (COLD, WARM, COLD, WARM), strict=True)
        ]
        assert [f.result(5) for f in futures] == [["a"], ["b"], ["c"], ["d"]]
    assert sorted(answer.batches) == [["a", "c"], ["b", "d"]]


def test_a_batch_has_a_size_and_a_large_request_is_one_of_its_own() -> None:
    """No batch exceeds its size but for a request that does by itself."""
    answer = Recorded()
    with batcher(answer, batch=2) as queue:
        futures = [queue.submit(Job(items(*some), COLD)) for some in ("a", "bcd", "e", "f")]
        for future in futures:
            future.result(5)
    assert answer.batches == [["a"], ["b", "c", "d"], ["e", "f"]]


@contextmanager
def held() -> Iterator[tuple[Batcher[str], Recorded, Callable[[], None]]]:
    """A batcher of two places whose engine is busy with `first` until it is set free."""
    gate, entered = threading.Event(), threading.Event()

    def slow(config: SimulationConfig, asked: Sequence[RespondItem]) -> list[str]:
        entered.set()
        assert gate.wait(5)
        return names(config, asked)

    answer = Recorded(slow)
    with batcher(answer, limit=2) as queue:
        queue.submit(Job(items("first"), COLD))
        assert entered.wait(5)
        try:
            yield queue, answer, gate.set
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
        assert kept.result(5) == ["kept"]
    assert answer.batches == [["first"], ["kept"]]


def test_several_workers_share_the_queue_and_none_is_lost() -> None:
    """A worker whose batch another one took goes on waiting: all are there at the end."""
    with batcher(names, workers=4, batch=2) as queue:
        for wave in range(8):
            futures = [queue.submit(Job(items(f"{wave}-{n}"), COLD)) for n in range(3)]
            assert [f.result(5) for f in futures] == [[f"{wave}-{n}"] for n in range(3)]
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
            bad.result(5)
        assert (good.result(5), fine.result(5)) == (["good"], ["fine"])


def test_a_defect_fails_its_batch_and_not_its_worker() -> None:
    """Whatever an answer raises becomes an error of the request, and the next one is answered."""
    faults = [ValueError("a defect")]

    def defective(config: SimulationConfig, asked: Sequence[RespondItem]) -> list[str]:
        if faults:
            raise faults.pop()
        return names(config, asked)

    with batcher(defective) as queue:
        with pytest.raises(EngineError, match="ValueError: a defect"):
            queue.submit(Job(items("a"), COLD)).result(5)
        assert queue.submit(Job(items("b"), COLD)).result(5) == ["b"]


@pytest.mark.parametrize("error", [EngineUnavailableError("gone"), MemoryError()])
def test_a_dead_engine_fails_the_batch_and_the_next_one_is_tried(error: Exception) -> None:
    """After a fault that may pass, everybody is told, and the worker lives on."""
    faults = [error]

    def once(config: SimulationConfig, asked: Sequence[RespondItem]) -> list[str]:
        if faults:
            raise faults.pop()
        return names(config, asked)

    with batcher(once) as queue:
        futures = [queue.submit(Job(items(name), COLD)) for name in "ab"]
        for future in futures:
            with pytest.raises(EngineUnavailableError):
                future.result(5)
        assert queue.submit(Job(items("c"), COLD)).result(5) == ["c"]


def test_the_end_refuses_what_waits_and_finishes_what_runs() -> None:
    """A closed batcher ends its batch, refuses its queue, and takes nothing more."""
    with held() as (queue, _, _):
        waits = queue.submit(Job(items("waits"), COLD))
        queue.close(0)
        with pytest.raises(RefusedRequestError, match="shutting down"):
            waits.result(5)
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
            async with aclosing(streams.pieces(draw, seconds=5)) as pieces:
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
    ended = threading.Event()

    def draw() -> Generator[Piece]:
        try:
            for n in range(10_000):
                drawn.append(n)
                yield Piece("action", "x")
                time.sleep(0.001)
        finally:
            ended.set()

    async def leave(streams: LiveStreams) -> None:
        async with aclosing(streams.pieces(draw, seconds=5)) as pieces:
            await anext(pieces)

    streams = LiveStreams(threads=1, limit=1)
    asyncio.run(leave(streams))
    assert ended.wait(5)
    assert len(drawn) < 1_000
    streams.close()


def test_streams_are_bounded_and_end_with_the_server() -> None:
    """Those that find no place are refused; those that wait for one when the end comes are told."""
    gate = threading.Event()

    def draw() -> Generator[Piece]:
        yield Piece("action", "x")
        gate.wait(5)
        yield Piece("action", "y")

    async def go() -> tuple[object, object]:
        streams = LiveStreams(threads=1, limit=1)
        first, second, third = (streams.pieces(draw, seconds=5) for _ in range(3))
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
