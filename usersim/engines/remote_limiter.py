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
        >>> limiter.overloaded(8); limiter.limit
        4.0
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.limit = float(most)
        self._active = 0
        self._free = asyncio.Condition()

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[int]:
        """Wait for a turn.

        Yields:
            How many requests are under way with it.
        """
        async with self._free:
            await self._free.wait_for(lambda: self._active < max(int(self.limit), 1))
            self._active += 1
        try:
            yield self._active
        finally:
            async with self._free:
                self._active -= 1
                self._free.notify_all()

    def overloaded(self, active: int) -> None:
        """Note that the server refused one of `active` requests that were under way."""
        # One burst of refusals halves once: later ones were sent under the old limit.
        self.limit = max(min(self.limit, active / 2), 1.0)

    def succeeded(self) -> None:
        """Note an answer."""
        self.limit = min(self.limit + 1 / self.limit, float(self.most))
