"""How many requests may be under way to one server; knows no HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

__all__ = ["Limiter"]


class Limiter:
    """How many requests may be under way: halved by overload, raised one by one by success.

    Additive increase, multiplicative decrease, as TCP does (Chiu and Jain, 1989).

    Args:
        most: Upper bound, and the first limit.

    Example:
        >>> limiter = Limiter(8)
        >>> limiter.limit
        8.0
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.limit = float(most)
        self._active = 0
        self._cuts = 0
        self._free = asyncio.Condition()

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[int]:
        """Wait for a turn.

        Yields:
            Which limit it was given under, for `overloaded`.
        """
        async with self._free:
            await self._free.wait_for(lambda: self._active < max(int(self.limit), 1))
            self._active += 1
            given_under = self._cuts
        try:
            yield given_under
        finally:
            async with self._free:
                self._active -= 1
                self._free.notify_all()

    def overloaded(self, given_under: int) -> None:
        """Note that the server refused a request that is under way.

        Args:
            given_under: What `turn` yielded. A burst of refusals halves once: those that come
                after it were sent under the old limit.
        """
        if given_under == self._cuts:
            self._cuts += 1
            self.limit = max(min(self.limit, self._active) / 2, 1.0)

    def succeeded(self) -> None:
        """Note an answer."""
        self.limit = min(self.limit + 1 / self.limit, float(self.most))
