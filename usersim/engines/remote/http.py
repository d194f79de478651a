"""Requests to one server: pooled, retried where that may help, fewer when it is overloaded.

An event loop in a thread of its own serves every caller. Knows HTTP and JSON; knows no models.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar, cast

from usersim.config import RemoteConfig
from usersim.engines.remote.access import check_address, key_in
from usersim.engines.remote.limiter import Limiter
from usersim.engines.remote.reading import content, lines
from usersim.errors import (
    EngineAccessError,
    EngineError,
    EngineNotFoundError,
    EngineResponseError,
    EngineTimeoutError,
    EngineUnavailableError,
    MissingDependencyError,
    UsersimError,
    boundary,
)

if TYPE_CHECKING:
    import httpx2
    from tenacity import RetryCallState

__all__ = ["Transport"]

T = TypeVar("T")

Json = Mapping[str, Any]

CONNECT_SECONDS = 10.0
LONGEST_WAIT = 20.0
"""Longest pause between two tries, seconds, where the server does not name one."""
MOST_TOLD = 300
"""Characters of a server's own words in an error."""
RETRIED = frozenset({408, 425, 429})
"""Refusals of a client that may pass; of a server's failures all may but 501."""
OVERLOAD = frozenset({429, 503, 529})
UNKNOWN_CALLER = frozenset({401, 403})
NOT_FOUND = 404
SERVER_FAILED = 500
NOT_IMPLEMENTED = 501
_DATA = b"data:"


@dataclass
class _Patience:
    """Seconds left for one request, its tries and pauses together; how often it was tried."""

    left: float
    tries: int = 0


class Transport:
    """Sends requests to one server.

    Args:
        config: Where it is, and how patient to be.

    Raises:
        ConfigError: If the address is none or holds a secret, or no header can carry the key.
        MissingDependencyError: If the extra `remote` is not installed.
    """

    def __init__(self, config: RemoteConfig) -> None:
        try:
            import httpx2
        except ImportError as error:
            raise MissingDependencyError("httpx2", extra="remote", why="a remote engine") from error
        check_address(config)
        self.base_url = config.base_url
        self._config = config
        self._key = key_in(config.api_key_variable)
        self._client = httpx2.AsyncClient(
            base_url=config.base_url.rstrip("/") + "/",
            headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
            timeout=httpx2.Timeout(config.timeout, connect=CONNECT_SECONDS),
            limits=httpx2.Limits(max_connections=config.concurrency + 4),
            trust_env=False,  # a proxy or a .netrc must not see what a person said
        )
        self.limiter = Limiter(config.concurrency)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="usersim-remote", daemon=True
        )
        self._thread.start()

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Begin `work` in the loop.

        Raises:
            EngineError: If the transport is closed.
        """
        if self._loop.is_closed():
            work.close()
            raise EngineError(f"the connection to {self.base_url!r} is closed")
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do `work` in the loop and wait for it; Ctrl-C cancels it."""
        return self.wait(self.submit(work))

    def wait(self, future: Future[T]) -> T:
        """Wait for submitted work; Ctrl-C cancels it.

        Raises:
            EngineError: If the transport was closed in the meantime.
        """
        try:
            return future.result()
        except CancelledError as error:
            raise EngineError(f"the connection to {self.base_url!r} was closed") from error
        except BaseException:
            future.cancel()
            raise

    async def post(self, path: str, body: Json, read: Callable[[Json], T]) -> T:
        """Send `body` and return what `read` makes of the answer.

        Args:
            path: Below the base URL.
            body: Sent as JSON.
            read: What it raises counts as an answer that cannot be read, and is tried again.

        Raises:
            EngineError: If the server refuses the request; what may pass was tried again.
        """
        return await self._patiently("POST", path, body, read, self._config.tries)

    async def command(self, path: str, body: Json) -> None:
        """Send `body` where the answer is a word, not JSON.

        Raises:
            EngineError: As `post`.
        """
        await self._patiently("POST", path, body, None, self._config.tries)

    async def get(self, path: str, read: Callable[[Json], T]) -> T:
        """Return what `read` makes of what is at `path`; soon given up, as nothing was done yet.

        Raises:
            EngineError: As `post`.
        """
        return await self._patiently("GET", path, None, read, min(self._config.tries, 3))

    async def events(self, path: str, body: Json) -> AsyncIterator[Json]:
        """Send `body` and yield the server-sent events of the answer.

        Yields:
            Each event's data.

        Raises:
            EngineError: As `post`, without another try: pieces may have been used already.
            EngineUnavailableError: If the server breaks off.
        """
        import httpx2

        try:
            async with (
                self.limiter.turn() as turn,
                self._client.stream("POST", path, json=body) as answer,
            ):
                if not answer.is_success:
                    received = await content(answer, self._config.max_reply_bytes)
                    raise self._refused(path, answer, received, turn)
                async for line in self._data(path, answer):
                    data = line.removeprefix(_DATA).strip()
                    if data != b"[DONE]":
                        event = _parsed(path, data)
                        if "error" in event:
                            raise EngineUnavailableError(
                                f"{path!r} of {self.base_url!r} was interrupted: "
                                f"{self._words(data)}"
                            )
                        yield event
        except httpx2.HTTPError as error:
            raise self._unreachable(path, error) from error

    async def _data(self, path: str, answer: httpx2.Response) -> AsyncIterator[bytes]:
        """Yield a stream's lines of data; what keeps it alive without a word counts as silence.

        Yields:
            Lines with data.

        Raises:
            EngineTimeoutError: If no data comes for `timeout` seconds.
        """
        pieces = lines(answer, self._config.max_reply_bytes)
        while True:
            try:
                async with asyncio.timeout(self._config.timeout):
                    while not (line := await anext(pieces)).startswith(_DATA):
                        pass
            except StopAsyncIteration:
                return
            except TimeoutError as error:
                raise self._late(path, self._config.timeout) from error
            yield line

    def close(self) -> None:
        """Take back what is under way, close the connections and end the thread."""
        if self._loop.is_closed():
            return

        async def leave() -> None:
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            await self._client.aclose()

        self.run(leave())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # ------------------------------------------------------------------ tries

    async def _patiently(
        self,
        method: str,
        path: str,
        body: Json | None,
        read: Callable[[Json], T] | None,
        tries: int,
    ) -> T:
        from tenacity import AsyncRetrying, retry_if_exception

        patience = _Patience(self._config.deadline)

        def pause(state: RetryCallState) -> float:
            seconds = _pause(state)
            patience.left -= seconds
            return seconds

        trying = AsyncRetrying(
            retry=retry_if_exception(
                lambda error: isinstance(error, UsersimError) and error.retryable
            ),
            # A pause that would outlast the deadline is not begun.
            stop=lambda _: patience.tries >= tries or patience.left <= 0,
            wait=pause,
            reraise=True,
        )
        try:
            return await trying(self._once, method, path, body, read, patience)
        except UsersimError as error:
            if patience.tries > 1:
                error.args = (f"{error} (tried {patience.tries} times)",)
            raise

    async def _once(
        self,
        method: str,
        path: str,
        body: Json | None,
        read: Callable[[Json], T] | None,
        patience: _Patience,
    ) -> T:
        import httpx2

        async with self.limiter.turn() as turn:
            patience.tries += 1
            started = self._loop.time()
            limit = max(min(self._config.timeout, patience.left), 0.001)
            try:
                async with (
                    asyncio.timeout(limit),
                    self._client.stream(method, path, json=body) as answer,
                ):
                    received = await content(answer, self._config.max_reply_bytes)
            except (TimeoutError, httpx2.TimeoutException) as error:
                self.limiter.overloaded(turn)
                raise self._late(path, limit) from error
            except httpx2.HTTPError as error:
                raise self._unreachable(path, error) from error
            finally:
                patience.left -= self._loop.time() - started
            if not answer.is_success:
                raise self._refused(path, answer, received, turn)
            self.limiter.succeeded()
        if read is None:
            return cast("T", None)
        with boundary(EngineResponseError, f"reading the answer of {path!r}"):
            return read(_parsed(path, received))

    # ------------------------------------------------------------------ errors

    def _late(self, path: str, seconds: float) -> EngineTimeoutError:
        return EngineTimeoutError(
            f"{path!r} of {self.base_url!r} timed out after {seconds:.3g} s",
            hint="increase RemoteConfig.timeout and deadline, or check the server",
            cli_hint="check the server's log",
        )

    def _unreachable(self, path: str, error: httpx2.HTTPError) -> EngineUnavailableError:
        return EngineUnavailableError(
            f"{path!r} of {self.base_url!r} cannot be reached: "
            f"{type(error).__name__}: {self._words(str(error).encode())}",
            hint="check that the server is running; `usersim serve-engine` starts one",
        )

    def _words(self, content: bytes) -> str:
        """Return a server's own words, short and without the key, which it may have repeated."""
        words = " ".join(content.decode("utf-8", "replace").split())
        return (words.replace(self._key, "***") if self._key else words)[:MOST_TOLD]

    def _refused(
        self, path: str, answer: httpx2.Response, received: bytes, turn: int
    ) -> EngineError:
        status = answer.status_code
        message = (
            f"{path!r} of {self.base_url!r} failed with status {status}: {self._words(received)}"
        )
        if status in OVERLOAD:
            self.limiter.overloaded(turn)
        if status in RETRIED or (status >= SERVER_FAILED and status != NOT_IMPLEMENTED):
            refusal = EngineUnavailableError(
                message,
                hint="the server is overloaded; try again later"
                if status in OVERLOAD
                else "check the server's log, and retry",
            )
            refusal.wait = _retry_after(answer.headers.get("Retry-After"))
            return refusal
        if status == NOT_FOUND:
            return EngineNotFoundError(
                message,
                hint="check base_url, which ends with /v1, and the model's name",
                cli_hint="check --base-url, which ends with /v1, and --model",
            )
        if status in UNKNOWN_CALLER:
            name = self._config.api_key_variable
            return EngineAccessError(
                message, hint=f"set the server's key in the environment variable {name}"
            )
        moved = answer.headers.get("Location")
        if not moved:
            return EngineError(message)
        place = self._words(moved.encode())
        return EngineError(
            message,
            hint=f"set base_url to its new address: {place}",
            cli_hint=f"pass its new address: --base-url {place}",
        )


def _pause(state: RetryCallState) -> float:
    """Return how long to wait: what the server asks for, else exponential with full jitter."""
    from tenacity import wait_random_exponential

    wait = wait_random_exponential(multiplier=0.5, max=LONGEST_WAIT)(state)
    error = state.outcome.exception() if state.outcome else None
    return max(wait, error.wait) if isinstance(error, EngineUnavailableError) else wait


def _retry_after(header: str | None) -> float:
    """Return the seconds that a `Retry-After` header asks for; 0 if it names none."""
    if not header:
        return 0.0
    try:
        return max(float(header), 0.0)
    except ValueError:
        pass
    try:
        return max((parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds(), 0.0)
    except ValueError:
        return 0.0


def _parsed(path: str, content: bytes) -> Json:
    try:
        found = cast("object", json.loads(content))
    except (ValueError, RecursionError) as error:
        shown = content[:MOST_TOLD].decode("utf-8", "replace")
        raise EngineResponseError(f"the answer of {path!r} is not JSON: {shown!r}") from error
    if isinstance(found, dict):
        return cast("Json", found)
    raise EngineResponseError(f"the answer of {path!r} is not a JSON object")
