"""Who may see the explorer: on loopback this machine's own pages, elsewhere whoever has the key.

Knows HTTP headers; knows nothing of what is shown.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from ipaddress import ip_address
from typing import TYPE_CHECKING

from usersim.errors import ConfigError
from usersim.server.explore.router import HEADERS

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["Guard", "check_address", "is_loopback"]


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches `host`.

    Example:
        >>> is_loopback("localhost"), is_loopback("::1"), is_loopback("0.0.0.0")
        (True, True, False)
    """
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def check_address(host: str, key: str | None) -> None:
    """Raise unless `host` may be listened on.

    Raises:
        ConfigError: If other machines would reach it without a key.
    """
    if not is_loopback(host) and not key:
        raise ConfigError(
            f"the explorer shows personal data, and {host!r} can be reached from other machines",
            hint="put a key into USERSIM_API_KEY, or listen on 127.0.0.1",
        )


class Guard:
    """An ASGI application that lets in who may come in.

    A browser is asked for the key as a password; other clients send it as a bearer token. On
    loopback the `Host` header must name loopback: else a page of any site could read what is
    shown, by a name of its own that leads here.

    Args:
        app: What is guarded.
        host: Address that is listened on.
        key: What who comes in must know; None lets everybody in.
    """

    def __init__(self, app: ASGIApp, *, host: str, key: str | None) -> None:
        self._app = app
        self._local = is_loopback(host)
        self._key = key.encode() if key else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http":
            heads = {name.lower(): value for name, value in scope["headers"]}
            refusal = self._refusal(heads)
            if refusal is not None:
                await _refuse(send, *refusal)
                return
        await self._app(scope, receive, send)

    def _refusal(self, heads: Mapping[bytes, bytes]) -> tuple[int, str] | None:
        if self._local and not is_loopback(_name(heads.get(b"host", b"").decode("latin-1"))):
            return 421, "this server answers to 127.0.0.1 and localhost only\n"
        if self._key is not None and not _knows(self._key, heads.get(b"authorization", b"")):
            return 401, "the key is missing or wrong\n"
        return None


def _name(host: str) -> str:
    """Return the name of a `Host` header, without the port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()


def _knows(key: bytes, header: bytes) -> bool:
    kind, _, value = header.strip().partition(b" ")
    if kind.lower() == b"basic":
        try:
            value = base64.b64decode(value, validate=True).partition(b":")[2]
        except binascii.Error:
            return False
    elif kind.lower() != b"bearer":
        return False
    return hmac.compare_digest(value.strip(), key)


async def _refuse(send: Send, status: int, text: str) -> None:
    heads = {**HEADERS, "Content-Type": "text/plain; charset=utf-8"}
    if status == 401:  # noqa: PLR2004 - the status that asks for a password
        heads["WWW-Authenticate"] = 'Basic realm="usersim", charset="UTF-8"'
    raw = [(name.lower().encode(), value.encode()) for name, value in heads.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": text.encode()})
