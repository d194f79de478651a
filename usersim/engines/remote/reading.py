"""A reply's bytes, as they come and no more than a limit. Knows HTTP bodies; knows no JSON."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from usersim.errors import EngineError

if TYPE_CHECKING:
    import httpx2

__all__ = ["content", "lines"]


async def content(answer: httpx2.Response, most: int) -> bytes:
    """Return a whole reply, unpacked.

    Args:
        answer: Being received.
        most: Bytes that are read.
    """
    return b"".join([piece async for piece in _pieces(answer, most)])


async def lines(answer: httpx2.Response, most: int) -> AsyncIterator[bytes]:
    """Yield the lines of a reply, unpacked, the last one also without its end.

    Args:
        answer: Being received.
        most: Bytes that are read.

    Yields:
        Lines without their ends.
    """
    begun: list[bytes] = []
    async for piece in _pieces(answer, most):
        first, *more = piece.split(b"\n")
        begun.append(first)
        for line in more:
            yield b"".join(begun)
            begun = [line]
    yield b"".join(begun)


async def _pieces(answer: httpx2.Response, most: int) -> AsyncIterator[bytes]:
    """Yield a reply piece by piece.

    Yields:
        Pieces.

    Raises:
        EngineError: If they are too many. Another try would meet the same server, so this is not
            an error that another try may help.
    """
    read = 0
    async for piece in answer.aiter_bytes():
        read += len(piece)
        if read > most:
            raise EngineError(
                f"the reply of {str(answer.url)!r} is longer than {most} bytes",
                hint="check base_url; for very long contexts increase RemoteConfig.max_reply_bytes",
                cli_hint="check --base-url",
            )
        yield piece
