"""An answer as it is written: pieces to iterate over, and the whole answer at the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Self

from usersim.errors import ConfigError
from usersim.simulation import Answer, Piece

__all__ = ["AnswerStream", "AsyncAnswerStream"]

_EARLY = "the stream has not finished, so there is no answer yet"
_ITERATE = "read all pieces first"


class AnswerStream(Iterator[Piece]):
    """The pieces of one answer; made by `UserSimulator.stream`.

    Args:
        drawing: Yields the pieces and returns the answer.

    Example:
        >>> from usersim import UserSimulator
        >>> rows = [{"user_id": "ada", "context": "Tea?", "action": "Yes."}]
        >>> with UserSimulator.from_corpus(rows, engine="scripted") as sim:
        ...     stream = sim.stream("Milk?", options=["yes", "no"])
        ...     parts = {piece.part for piece in stream}
        >>> sorted(parts), stream.answer.action in ("yes", "no")
        (['action', 'reasoning'], True)
    """

    def __init__(self, drawing: Generator[Piece, None, Answer]) -> None:
        self._drawing = drawing
        self._answer: Answer | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Piece:
        try:
            return next(self._drawing)
        except StopIteration as end:
            if end.value is not None:
                self._answer = end.value
            raise

    def step(self) -> Piece | None:
        """Return the next piece; None after the last one."""
        return next(self, None)

    @property
    def answer(self) -> Answer:
        """The answer that the pieces make, with everything behind it.

        Raises:
            ConfigError: If not all pieces were drawn.
        """
        if self._answer is None:
            raise ConfigError(_EARLY, hint=_ITERATE)
        return self._answer

    def close(self) -> None:
        """End the drawing; nothing is stored of an answer that was not drawn to its end."""
        self._drawing.close()


class AsyncAnswerStream:
    """The pieces of one answer, for `async for`; made by `UserSimulator.astream`.

    Everything is drawn in a thread of its own: an engine that holds a lock while it streams must
    give it back in the thread that took it.

    Args:
        begin: Begins the stream; called in that thread.

    Example:
        >>> import asyncio
        >>> from usersim import UserSimulator
        >>> rows = [{"user_id": "ada", "context": "Tea?", "action": "Yes."}]
        >>> async def ask(sim):
        ...     stream = sim.astream("Milk?", options=["yes", "no"])
        ...     return {piece.part async for piece in stream}, stream.answer
        >>> with UserSimulator.from_corpus(rows, user_id="ada", engine="scripted") as sim:
        ...     parts, answer = asyncio.run(ask(sim))
        >>> sorted(parts), answer.kind
        (['action', 'reasoning'], 'choice')
    """

    def __init__(self, begin: Callable[[], AnswerStream]) -> None:
        self._begin = begin
        self._answer: Answer | None = None

    def __aiter__(self) -> AsyncGenerator[Piece]:
        return self._pieces()

    async def _pieces(self) -> AsyncGenerator[Piece]:
        loop = asyncio.get_running_loop()
        thread = ThreadPoolExecutor(1, thread_name_prefix="usersim-astream")
        try:
            stream = await loop.run_in_executor(thread, self._begin)
            try:
                while (piece := await loop.run_in_executor(thread, stream.step)) is not None:
                    yield piece
                self._answer = stream.answer
            finally:
                thread.submit(stream.close)
        finally:
            thread.shutdown(wait=False)

    @property
    def answer(self) -> Answer:
        """The answer that the pieces make, with everything behind it.

        Raises:
            ConfigError: If not all pieces were drawn.
        """
        if self._answer is None:
            raise ConfigError(_EARLY, hint=_ITERATE)
        return self._answer
