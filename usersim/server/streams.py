"""Live streams: pieces of one answer, from a thread that draws them to the event loop.

Knows pieces and threads; knows no HTTP. A reader who is slow holds up nobody: an answer is
short, so that what was drawn waits in memory for them.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from usersim.errors import EngineError, EngineUnavailableError, UsersimError, boundary
from usersim.server.batching import draining, refuse_busy, refuse_draining, refuse_late
from usersim.simulation import Piece

__all__ = ["Drawing", "LiveStreams"]

Drawing = Callable[[], Generator[Piece, None, None]]
"""Begins one answer; called and iterated in a thread."""


@dataclass(frozen=True, slots=True)
class _End:
    """The end of a stream, and why it ended if that was too early."""

    error: UsersimError | None = None


_Tell = Callable[[Piece | _End], None]


class LiveStreams:
    """Runs so many streams at a time; further ones wait.

    Args:
        threads: Streams at a time.
        limit: Streams that may wait.
    """

    def __init__(self, *, threads: int, limit: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="usersim-stream")
        self._most = threads + limit
        self._under_way = 0
        self._closed = threading.Event()

    @property
    def under_way(self) -> int:
        """Streams that run or wait for a thread."""
        return self._under_way

    async def pieces(self, drawing: Drawing, *, seconds: float) -> AsyncGenerator[Piece]:
        """Yield the pieces of one answer as they are drawn.

        A generator that is closed early ends the drawing before its next piece.

        Args:
            drawing: Begins the answer.
            seconds: How long it may take, waiting included.

        Yields:
            Pieces.

        Raises:
            RefusedRequestError: If too many streams wait, the server shuts down, or the time
                is over.
            UsersimError: Whatever ended the drawing.
        """
        self._check()
        drawn: asyncio.Queue[Piece | _End] = asyncio.Queue()
        tell, left = _teller(drawn), threading.Event()
        self._under_way += 1
        work = self._pool.submit(self._draw, drawing, tell, left)
        work.add_done_callback(lambda done: _tell_of_end(done, tell))
        try:
            deadline = asyncio.get_running_loop().time() + seconds
            while not isinstance(one := await _next(drawn, deadline, seconds), _End):
                yield one
            if one.error is not None:
                raise one.error
        finally:
            self._under_way -= 1
            left.set()
            work.cancel()

    def _check(self) -> None:
        """Refuse a stream for which there is no place."""
        if self._closed.is_set():
            refuse_draining()
        if self._under_way >= self._most:
            refuse_busy(self._under_way)

    def _draw(self, drawing: Drawing, tell: _Tell, left: threading.Event) -> None:
        pieces = drawing()
        try:
            with boundary(EngineError, "streaming an answer"):
                for piece in pieces:
                    if left.is_set():
                        return
                    if self._closed.is_set():
                        refuse_draining()
                    tell(piece)
        except UsersimError as error:
            tell(_End(error))
        else:
            tell(_End())
        finally:
            pieces.close()

    def close(self) -> None:
        """End every stream before its next piece."""
        self._closed.set()
        self._pool.shutdown(wait=False, cancel_futures=True)


async def _next(
    drawn: asyncio.Queue[Piece | _End], deadline: float, seconds: float
) -> Piece | _End:
    """Return what comes next; each wait has its own timeout, as readers may change tasks."""
    try:
        async with asyncio.timeout_at(deadline):
            return await drawn.get()
    except TimeoutError:
        refuse_late(seconds)


def _teller(drawn: asyncio.Queue[Piece | _End]) -> _Tell:
    """Return what puts pieces into a queue of the running loop, from any thread."""
    loop = asyncio.get_running_loop()

    def tell(one: Piece | _End) -> None:
        with suppress(RuntimeError):  # the loop is closed, and its reader gone
            loop.call_soon_threadsafe(drawn.put_nowait, one)

    return tell


def _tell_of_end(done: Future[None], tell: _Tell) -> None:
    """Tell a reader whose stream never began, or broke in a way that is no error of ours."""
    if done.cancelled():
        tell(_End(draining()))
    elif done.exception() is not None:
        tell(_End(EngineUnavailableError(f"the stream failed: {done.exception()!r}")))
