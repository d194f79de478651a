"""Who may see the explorer: on loopback this machine's own pages, elsewhere whoever has the key.

Knows HTTP headers; knows nothing of what is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from usersim.config.addresses import is_loopback
from usersim.errors import ConfigError
from usersim.explorer.router import HEADERS
from usersim.server.door import CHALLENGES, bare_name, check_token, knows_key

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["ExplorerGuard", "check_address"]


def check_address(host: str, key: str | None) -> None:
    """Raise unless `host` may be listened on.

    Raises:
        ConfigError: If other machines would reach it without a key, or the key is not a token.
    """
    if not is_loopback(host) and not key:
        raise ConfigError(
            f"the explorer shows personal data, and {host!r} can be reached from other machines",
            hint="set a key in USERSIM_API_KEY, or listen on 127.0.0.1",
        )
    check_token(key)


class ExplorerGuard:
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
        self._key = key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http":
            heads = {
                name.decode("latin-1").lower(): value.decode("latin-1")
                for name, value in scope["headers"]
            }
            refusal = self._refusal(heads)
            if refusal is not None:
                await _refuse(send, *refusal)
                return
        await self._app(scope, receive, send)

    def _refusal(self, heads: Mapping[str, str]) -> tuple[int, str] | None:
        if self._local and not is_loopback(bare_name(heads.get("host", ""))):
            return 421, "this server answers to 127.0.0.1 and localhost only\n"
        if self._key is not None and not knows_key(self._key, heads.get("authorization", "")):
            return 401, "the key is missing or wrong\n"
        return None


async def _refuse(send: Send, status: int, text: str) -> None:
    heads = [*HEADERS.items(), ("content-type", "text/plain; charset=utf-8")]
    if status == 401:  # noqa: PLR2004 - the status that asks for a key
        heads.extend(("www-authenticate", asked) for asked in CHALLENGES)
    raw = [(name.lower().encode(), value.encode()) for name, value in heads]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": text.encode()})
