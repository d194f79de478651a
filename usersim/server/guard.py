"""The door of the endpoint: who may come in, how much they may bring, and for how long.

Plain ASGI around the application: the key and the names are checked before a byte of a body is
read. Knows HTTP heads; knows no people and no contents, and logs none.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from usersim.config import ServerConfig
from usersim.config.addresses import is_loopback
from usersim.errors import RefusedRequestError
from usersim.server.door import CHALLENGES, bare_name, knows_key
from usersim.server.metrics import Metrics
from usersim.server.refusals import error_body

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["RequestGuard"]

logger = logging.getLogger("usersim.server.access")

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_OPEN = frozenset({"/health", "/health/ready"})
"""Paths that need no key: load balancers have none."""
_TOO_LARGE = 413
_READ_ON = 4
"""A refused body is read to its end if it says that it has at most so many times the limit."""


@dataclass(slots=True)
class _Visit:
    """One request and its reply.

    Attributes:
        started: When it came, monotonic seconds.
        status: Of the reply; 0 while there is none.
        read: Bytes of the body so far.
        taken: Whether the whole body was read.
    """

    started: float
    id: str
    status: int = 0
    read: int = 0
    taken: bool = False


class RequestGuard:
    """Checks, limits, counts and logs every request.

    Args:
        app: What is guarded.
        config: Limits.
        key: What clients must know; None asks for none.
        metrics: Where requests are counted.
    """

    def __init__(
        self, app: ASGIApp, *, config: ServerConfig, key: str | None, metrics: Metrics
    ) -> None:
        self._app = app
        self._config = config
        self._key = key
        self._metrics = metrics
        names = config.allowed_hosts or (_LOOPBACK if is_loopback(config.host) else ())
        self._hosts = frozenset(name.lower() for name in names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        visit = _Visit(time.monotonic(), secrets.token_hex(8))

        async def part() -> Message:
            return await self._part(receive, visit)

        async def take() -> Message:
            return self._within(await part(), visit)

        async def give(message: Message) -> None:
            await self._given(message, send, visit)

        try:
            await self._enter(scope, part, take, give)
        finally:
            self._note(scope, visit)

    async def _enter(self, scope: Scope, part: Receive, take: Receive, give: Send) -> None:
        heads = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in scope["headers"]
        }
        try:
            self._check(str(scope["path"]), heads)
            await self._app(scope, take, give)
        except RefusedRequestError as refusal:
            if refusal.status == _TOO_LARGE and "expect" not in heads:
                await self._read_on(part, heads)
            await _refuse(give, refusal)

    # ------------------------------------------------------------------ checks

    def _check(self, path: str, heads: Mapping[str, str]) -> None:
        """Check everything that a request's head tells.

        Raises:
            RefusedRequestError: If it may not come in.
        """
        self._check_names(heads)
        if self._key is not None and path not in _OPEN:
            self._check_key(heads.get("authorization", ""))
        length = heads.get("content-length", "")
        if length.isdecimal() and int(length) > self._config.max_body_bytes:
            raise self._too_large()

    def _check_names(self, heads: Mapping[str, str]) -> None:
        """Check under which name the server was called, and by which page.

        A web page whose own name was pointed at this machine comes with that name, and a page
        that sends a form here comes with its origin: neither may speak with the server.

        Raises:
            RefusedRequestError: If it is no name of ours.
        """
        host = heads.get("host", "")
        if self._hosts and bare_name(host) not in self._hosts:
            raise RefusedRequestError(
                f"host {host!r} is not allowed",
                status=421,
                code="unknown_host",
                hint="add it with --allowed-host, or use the loopback address",
            )
        origin = heads.get("origin")
        if origin is not None and origin.partition("://")[2].lower() != host.lower():
            raise RefusedRequestError(
                f"requests from origin {origin!r} are not allowed",
                status=403,
                code="foreign_origin",
            )

    def _check_key(self, authorization: str) -> None:
        """Check the key.

        Raises:
            RefusedRequestError: If it is missing or wrong.
        """
        assert self._key is not None, "called where there is one"
        if not knows_key(self._key, authorization):
            raise RefusedRequestError(
                "the key is missing or wrong",
                status=401,
                code="invalid_api_key",
                hint="send 'Authorization: Bearer KEY' (api_key= in clients)",
            )

    def _too_large(self) -> RefusedRequestError:
        return RefusedRequestError(
            f"the body is longer than {self._config.max_body_bytes} bytes",
            status=_TOO_LARGE,
            code="body_too_large",
        )

    async def _read_on(self, part: Receive, heads: Mapping[str, str]) -> None:
        """Take what comes of a body that is not much too long, and keep nothing of it.

        A proxy that is still sending when the connection closes would answer 502 in its own name.
        """
        length = heads.get("content-length", "")
        if not length.isdecimal() or int(length) > _READ_ON * self._config.max_body_bytes:
            return
        with suppress(RefusedRequestError):  # it took too long, and what is told is its length
            while (await part()).get("more_body", False):
                pass

    # ------------------------------------------------------------------ body and reply

    async def _part(self, receive: Receive, visit: _Visit) -> Message:
        """Return the next part of the body; once it is whole, wait for the client to leave.

        Raises:
            RefusedRequestError: If it takes too long to come.
        """
        if visit.taken:
            return await receive()
        left = self._config.body_seconds - (time.monotonic() - visit.started)
        try:
            async with asyncio.timeout(max(left, 0)):
                message = await receive()
        except TimeoutError:
            raise RefusedRequestError(
                f"the request body timed out after {self._config.body_seconds:g} s",
                status=408,
                code="slow_body",
            ) from None
        visit.read += len(message.get("body", b""))
        visit.taken = not message.get("more_body", False)
        return message

    def _within(self, message: Message, visit: _Visit) -> Message:
        """Return a part of the body.

        Raises:
            RefusedRequestError: If it is too long with it.
        """
        if visit.read > self._config.max_body_bytes:
            raise self._too_large()
        return message

    async def _given(self, message: Message, send: Send, visit: _Visit) -> None:
        """Send a part of the reply; a client who does not read it is left.

        Raises:
            ConnectionAbortedError: If nothing was read for `write_seconds`.
        """
        if message["type"] == "http.response.start":
            visit.status = message["status"]
            head = (b"x-request-id", visit.id.encode())
            message = {**message, "headers": [*message.get("headers", []), head]}
        try:
            async with asyncio.timeout(self._config.write_seconds):
                await send(message)
        except TimeoutError:
            raise ConnectionAbortedError("the client stopped reading its reply") from None

    def _note(self, scope: Scope, visit: _Visit) -> None:
        """Count and log a request: where it went and how it ended, nothing of what it said."""
        path = getattr(scope.get("route"), "path", "unmatched")
        method = str(scope["method"]) if path != "unmatched" else "any"
        seconds = time.monotonic() - visit.started
        self._metrics.request(path, method, visit.status, seconds)
        logger.info("%s %s %s %d %.1f ms", visit.id, method, path, visit.status, 1_000 * seconds)


async def _refuse(send: Send, refusal: RefusedRequestError) -> None:
    body = orjson.dumps(error_body(refusal))
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if refusal.status == 401:  # noqa: PLR2004 - the status that says how to come in
        headers.extend((b"www-authenticate", asked.encode()) for asked in CHALLENGES)
    # What is left of the body is not read: the connection cannot be used again.
    headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
