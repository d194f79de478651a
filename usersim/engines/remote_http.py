"""Requests to one server: pooled, retried where that may help, fewer when it is overloaded.

An event loop in a thread of its own serves every caller. Knows HTTP and JSON; knows no models.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar, cast

from usersim.config import RemoteConfig
from usersim.errors import (
    EngineError,
    EngineResponseError,
    EngineTimeoutError,
    EngineUnavailableError,
    MissingDependencyError,
    UsersimError,
)

if TYPE_CHECKING:
    import httpx2
    from tenacity import RetryCallState

__all__ = ["Limiter", "Transport"]

T = TypeVar("T")

Json = Mapping[str, Any]

CONNECT_SECONDS = 10.0
LONGEST_WAIT = 20.0
"""Longest pause between two tries, seconds, where the server does not name one."""
MOST_TOLD = 300
"""Characters of a server's own words in an error."""
RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504, 529})
OVERLOAD = frozenset({429, 503, 529})


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


class _RefusedError(EngineUnavailableError):
    """A status that may pass; carries how long the server asks to wait."""

    wait: float = 0.0


class Transport:
    """Sends requests to one server.

    Args:
        config: Where it is, and how patient to be.

    Raises:
        MissingDependencyError: If the extra `remote` is not installed.
    """

    def __init__(self, config: RemoteConfig) -> None:
        try:
            import httpx2
        except ImportError as error:
            raise MissingDependencyError("httpx2", extra="remote", why="a remote engine") from error
        self._config = config
        key = os.environ.get(config.api_key_variable, "")
        self._client = httpx2.AsyncClient(
            base_url=config.base_url.rstrip("/") + "/",
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx2.Timeout(config.deadline, connect=CONNECT_SECONDS),
            limits=httpx2.Limits(max_connections=config.concurrency + 4),
            trust_env=False,  # a proxy or a .netrc must not see what a person said
        )
        self.limiter = Limiter(config.concurrency)
        self.base_url = config.base_url
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="usersim-remote", daemon=True
        )
        self._thread.start()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that everything runs in."""
        return self._loop

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do `work` in the loop and wait for it; Ctrl-C cancels it."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    async def post(self, path: str, body: Json) -> Json:
        """Send `body` and return the answer.

        Raises:
            EngineError: If the server refuses the request; what may pass was tried again.
        """
        return await self._patiently("POST", path, body)

    async def command(self, path: str, body: Json) -> None:
        """Send `body` where the answer is a word, not JSON.

        Raises:
            EngineError: As `post`.
        """
        await self._patiently("POST", path, body, read=False)

    async def get(self, path: str) -> Json:
        """Return what is at `path`.

        Raises:
            EngineError: As `post`.
        """
        return await self._patiently("GET", path, None)

    async def events(self, path: str, body: Json) -> AsyncIterator[Json]:
        """Send `body` and yield the server-sent events of the answer.

        Yields:
            Each event's data.

        Raises:
            EngineError: As `post`, without another try: pieces may have been used already.
        """
        import httpx2

        try:
            async with self._client.stream("POST", path, json=body) as answer:
                if answer.is_error:
                    raise self._refused(path, answer, await answer.aread())
                async for line in answer.aiter_lines():
                    data = line.removeprefix("data:").strip()
                    if line.startswith("data:") and data != "[DONE]":
                        yield _read(path, data.encode())
        except httpx2.HTTPError as error:
            raise self._unreachable(path, error) from error

    def close(self) -> None:
        """Close the connections and end the thread."""
        if self._loop.is_closed():
            return
        self.run(self._client.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # ------------------------------------------------------------------ tries

    async def _patiently(
        self, method: str, path: str, body: Json | None, *, read: bool = True
    ) -> Json:
        from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt

        tries = AsyncRetrying(
            retry=retry_if_exception(lambda e: isinstance(e, UsersimError) and e.retryable),
            stop=stop_after_attempt(self._config.tries),
            wait=_pause,
            reraise=True,
        )
        try:
            async with asyncio.timeout(self._config.deadline):
                return await tries(self._once, method, path, body, read)
        except TimeoutError as error:
            raise EngineTimeoutError(
                f"{path!r} of {self._config.base_url!r} was not answered within "
                f"{self._config.deadline:g} s",
                hint="raise RemoteConfig.deadline, or look at the server",
            ) from error

    async def _once(self, method: str, path: str, body: Json | None, read: bool) -> Json:  # noqa: FBT001 - tenacity hands arguments on by place
        import httpx2

        async with self.limiter.turn() as active:
            try:
                answer = await self._client.request(method, path, json=body)
            except httpx2.TimeoutException as error:
                self.limiter.overloaded(active)
                raise self._unreachable(path, error) from error
            except httpx2.HTTPError as error:
                raise self._unreachable(path, error) from error
            if answer.is_error:
                if answer.status_code in OVERLOAD:
                    self.limiter.overloaded(active)
                raise self._refused(path, answer, answer.content)
            found: Json = _read(path, answer.content) if read else {}
            self.limiter.succeeded()
            return found

    def _unreachable(self, path: str, error: httpx2.HTTPError) -> EngineError:
        import httpx2

        kind = (
            EngineTimeoutError
            if isinstance(error, httpx2.TimeoutException)
            else EngineUnavailableError
        )
        return kind(
            f"{path!r} of {self._config.base_url!r} cannot be reached: "
            f"{type(error).__name__}: {error}",
            hint="is the server running there? `usersim serve-engine` starts one",
        )

    def _refused(self, path: str, answer: httpx2.Response, content: bytes) -> EngineError:
        status = answer.status_code
        words = " ".join(content.decode("utf-8", "replace").split())[:MOST_TOLD]
        message = f"{path!r} of {self._config.base_url!r} was refused with status {status}: {words}"
        if status in RETRIED:
            refusal = _RefusedError(
                message, hint="the server is overloaded or ill; try again later"
            )
            refusal.wait = _retry_after(answer.headers.get("Retry-After"))
            return refusal
        hints = {
            401: f"put the server's key into the environment as {self._config.api_key_variable}",
            403: f"put the server's key into the environment as {self._config.api_key_variable}",
            404: "look at base_url, which ends with /v1, and at the model's name",
        }
        return EngineError(message, hint=hints.get(status, ""))


def _pause(state: RetryCallState) -> float:
    """Return how long to wait: what the server asks for, else exponential with full jitter."""
    from tenacity import wait_random_exponential

    wait = wait_random_exponential(multiplier=0.5, max=LONGEST_WAIT)(state)
    error = state.outcome.exception() if state.outcome else None
    return max(wait, error.wait) if isinstance(error, _RefusedError) else wait


def _retry_after(header: str | None) -> float:
    """Return the seconds that a `Retry-After` header asks for; 0 if it names none."""
    try:
        return max(float(header or 0), 0.0)
    except ValueError:
        return 0.0  # a date: the back-off does


def _read(path: str, content: bytes) -> Json:
    try:
        found = cast("object", json.loads(content))
    except ValueError as error:
        shown = content[:MOST_TOLD].decode("utf-8", "replace")
        raise EngineResponseError(f"the answer of {path!r} is not JSON: {shown!r}") from error
    if isinstance(found, dict):
        return cast("Json", found)
    raise EngineResponseError(f"the answer of {path!r} is no JSON object")
