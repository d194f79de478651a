"""The limiter of requests under way: down at overload, up with success."""

from __future__ import annotations

import asyncio

from usersim.engines.remote.limiter import Limiter


async def _burst(limiter: Limiter, n: int, *, refused: bool) -> None:
    async def one() -> None:
        async with limiter.turn() as turn:
            await asyncio.sleep(0)
            if refused:
                limiter.overloaded(turn)
            else:
                limiter.succeeded()

    await asyncio.gather(*(one() for _ in range(n)))


def test_a_burst_of_refusals_halves_once() -> None:
    """However many requests one overload refuses, the limit is halved; so again the next time."""
    limiter = Limiter(64)
    asyncio.run(_burst(limiter, 64, refused=True))
    assert limiter.limit == 32
    asyncio.run(_burst(limiter, 32, refused=True))
    assert limiter.limit == 16


def test_the_limit_follows_what_was_under_way() -> None:
    """A server that refuses at four requests gets two next, though sixty were allowed."""
    limiter = Limiter(64)
    asyncio.run(_burst(limiter, 4, refused=True))
    assert limiter.limit == 2


def test_the_limit_stays_within_its_bounds() -> None:
    """One request may always be under way, and success never allows more than was set."""
    limiter = Limiter(2)
    for _ in range(5):
        asyncio.run(_burst(limiter, 1, refused=True))
    assert limiter.limit == 1
    asyncio.run(_burst(limiter, 40, refused=False))
    assert limiter.limit == 2
