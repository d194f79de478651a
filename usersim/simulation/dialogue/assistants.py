"""The other side: a callable, an asynchronous callable, or an OpenAI-compatible server.

All three take chat messages and give a text. What goes to an assistant is what `Talk.messages`
made: roles and words. Knows HTTP through the engines' transport; knows no person and no trace.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self, cast

from usersim.config import AssistantEndpoint, DialogueConfig
from usersim.engines.remote.http import Transport
from usersim.errors import AssistantError, EngineResponseError, UsersimError, boundary

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Assistant", "Assistants", "Messages", "name_of"]

Messages = list[dict[str, str]]
"""Chat messages, oldest first: `role` is `user` for the person and `assistant` for the other."""

Assistant = Callable[[Messages], str] | Callable[[Messages], Awaitable[str]] | AssistantEndpoint
"""Takes the messages so far and returns the reply."""

Reply = str | UsersimError


def name_of(assistant: Assistant) -> str:
    """Return what an assistant is called in records; of a callable its qualified name.

    Example:
        >>> name_of(AssistantEndpoint(model="helper", base_url="http://127.0.0.1:9/v1"))
        'helper at http://127.0.0.1:9/v1'
    """
    if isinstance(assistant, AssistantEndpoint):
        return f"{assistant.model} at {assistant.base_url}"
    named = getattr(assistant, "__qualname__", None) or type(assistant).__qualname__
    return str(named)


class Assistants:
    """Asks one assistant for many replies; used in a `with` block.

    A synchronous callable is called once after the other, in the order of the dialogues, so it
    need not be safe for threads. Asynchronous calls and requests run side by side, in a loop of
    their own that lives as long as the block: a notebook's loop is not in the way.

    Args:
        assistant: Who replies.
        config: How many calls run side by side, and how long one may take.
    """

    def __init__(self, assistant: Assistant, config: DialogueConfig) -> None:
        self._assistant = assistant
        self._config = config
        self._stack = ExitStack()
        self._transport: Transport | None = None
        self._loop: _Loop | None = None

    def __enter__(self) -> Self:
        if isinstance(self._assistant, AssistantEndpoint):
            self._transport = Transport(self._assistant.server)
            self._stack.callback(self._transport.close)
        elif not callable(self._assistant):
            raise AssistantError(
                f"{self._assistant!r} is not an assistant",
                hint="pass a callable that takes messages and returns a text, or an "
                "AssistantEndpoint",
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def replies(self, asked: Sequence[Messages]) -> list[Reply]:
        """Return one reply for each list of messages; what failed is its error."""
        if isinstance(self._assistant, AssistantEndpoint):
            return self._over_http(self._assistant, asked)
        found = [self._called(self._assistant, messages) for messages in asked]
        waiting = [
            (place, one) for place, one in enumerate(found) if not isinstance(one, str | Exception)
        ]
        if waiting:
            done = self._started().run(self._together([one for _, one in waiting]))
            for (place, _), reply in zip(waiting, done, strict=True):
                found[place] = reply
        return cast("list[Reply]", found)

    def _called(
        self, assistant: Callable[[Messages], str | Awaitable[str]], messages: Messages
    ) -> Reply | Awaitable[str]:
        """Call; what is not a text and cannot be awaited is an error."""
        try:
            with boundary(AssistantError, f"calling the assistant {name_of(assistant)!r}"):  # pyright: ignore[reportArgumentType]
                said = assistant([dict(message) for message in messages])
        except UsersimError as error:
            return error
        if isinstance(said, str) or inspect.isawaitable(said):
            return said
        return _no_text(said)

    async def _together(self, waiting: Sequence[Awaitable[str]]) -> list[Reply]:
        turn = asyncio.Semaphore(self._config.assistant_calls)

        async def one(pending: Awaitable[str]) -> Reply:
            async with turn:
                limit = asyncio.timeout(self._config.assistant_seconds)
                try:
                    with boundary(AssistantError, "awaiting the assistant"):
                        async with limit:
                            said = await pending
                except UsersimError as error:
                    return _late(self._config.assistant_seconds) if limit.expired() else error
            return said if isinstance(said, str) else _no_text(said)  # pyright: ignore[reportUnnecessaryIsInstance]

        return list(await asyncio.gather(*map(one, waiting)))

    def _started(self) -> _Loop:
        if self._loop is None:
            self._loop = _Loop()
            self._stack.callback(self._loop.close)
        return self._loop

    def _over_http(self, endpoint: AssistantEndpoint, asked: Sequence[Messages]) -> list[Reply]:
        transport = self._transport
        assert transport is not None, "used outside its `with` block"

        async def one(messages: Messages) -> Reply:
            try:
                return await _requested(transport, endpoint, messages)
            except UsersimError as error:
                return error

        async def all_of() -> list[Reply]:
            return list(await asyncio.gather(*map(one, asked)))

        return transport.run(all_of())


async def _requested(transport: Transport, endpoint: AssistantEndpoint, messages: Messages) -> str:
    system = [{"role": "system", "content": endpoint.system}] if endpoint.system else []
    body: dict[str, object] = {
        **endpoint.options,
        "model": endpoint.model,
        "messages": [*system, *messages],
    }
    if not endpoint.stream:
        return await transport.post("chat/completions", body, _content)
    return await _streamed(transport, endpoint, {**body, "stream": True})


async def _streamed(
    transport: Transport, endpoint: AssistantEndpoint, body: dict[str, object]
) -> str:
    """Return a streamed reply in one piece; one that broke off is asked for again."""
    from tenacity import (
        AsyncRetrying,
        retry_if_exception,
        stop_after_attempt,
        wait_random_exponential,
    )

    async def whole() -> str:
        pieces = [_piece(event) async for event in transport.events("chat/completions", body)]
        return _text("".join(pieces))

    trying = AsyncRetrying(
        retry=retry_if_exception(lambda error: isinstance(error, UsersimError) and error.retryable),
        stop=stop_after_attempt(endpoint.tries),
        wait=wait_random_exponential(multiplier=0.5, max=20),
        reraise=True,
    )
    return await trying(whole)


def _content(answer: Any) -> str:  # noqa: ANN401 - JSON
    """Return the words of a reply; a server's own reasoning field is not among them."""
    return _text(answer["choices"][0]["message"].get("content"))


def _piece(event: Any) -> str:  # noqa: ANN401 - JSON
    choices: list[Any] = event.get("choices") or []
    delta: Any = choices[0].get("delta") if choices else None
    return str(delta.get("content") or "") if delta else ""


def _text(content: object) -> str:
    """Return a reply's text.

    Raises:
        EngineResponseError: If there is none.
    """
    if not isinstance(content, str) or not content.strip():
        raise EngineResponseError(f"the assistant's message has no text: {content!r}")
    return content


def _no_text(said: object) -> AssistantError:
    return AssistantError(
        f"the assistant returned {said!r}, which is not a text",
        hint="an assistant must take a list of messages and return its reply as a text",
    )


def _late(seconds: float) -> AssistantError:
    return AssistantError(
        f"the assistant timed out after {seconds:g} s",
        hint="increase DialogueConfig.assistant_seconds, or check the assistant",
    )


class _Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="usersim-assistants", daemon=True
        )
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, list[Reply]]) -> list[Reply]:
        """Do `work` and wait for it; Ctrl-C cancels it."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """End what is under way, then the thread."""

        async def leave() -> None:
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            await asyncio.get_running_loop().shutdown_asyncgens()

        asyncio.run_coroutine_threadsafe(leave(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
