"""The explorer as an application of its own, and as a server on this machine."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from usersim.config import ServerConfig
from usersim.explorer.closeups import Explorer
from usersim.explorer.guard import ExplorerGuard, check_address
from usersim.explorer.links import ServerLinks
from usersim.explorer.router import HEADERS, HTML, explorer_router, refuse_missing
from usersim.explorer.views import Pages
from usersim.server.door import listening, url_of

if TYPE_CHECKING:
    import uvicorn
    from starlette.requests import Request
    from starlette.responses import Response

__all__ = ["ServedExplorer", "explorer_app", "serve_explorer"]

PORT = 8765
"""Where the explorer is served unless another port is asked for."""


def explorer_app(
    explorer: Explorer, *, host: str = "127.0.0.1", key: str | None = None
) -> ExplorerGuard:
    """Return the explorer as an ASGI application.

    Args:
        explorer: What is shown.
        host: Address on which it will be served.
        key: What who comes in must know; None lets everybody in.

    Raises:
        ConfigError: If other machines would reach it without a key.
        MissingDependencyError: If FastAPI is not installed.
    """
    check_address(host, key)
    refuse_missing()
    from fastapi import FastAPI
    from starlette.exceptions import HTTPException
    from starlette.responses import Response as Reply

    pages = Pages(explorer, ServerLinks())

    def refused(_: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        body = pages.error("Page not found", "There is no page at this address.", "")
        return Reply(body, status, HEADERS, HTML)

    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.include_router(explorer_router(explorer))
    app.add_exception_handler(HTTPException, refused)
    return ExplorerGuard(app, host=host, key=key)


class ServedExplorer:
    """An explorer that listens; `run` serves until it is interrupted.

    Args:
        explorer: What is shown.
        host: Address to listen on.
        port: Port; 0 takes a free one.
        key: What who comes in must know; None lets everybody in.

    Raises:
        ConfigError: If other machines would reach it without a key, or the port is taken.
        MissingDependencyError: If FastAPI or uvicorn is not installed.
    """

    def __init__(self, explorer: Explorer, *, host: str, port: int, key: str | None) -> None:
        app = explorer_app(explorer, host=host, key=key)
        import uvicorn

        from usersim.server.uvicorn_server import uvicorn_settings

        settings = uvicorn_settings(app, ServerConfig())
        self._server: uvicorn.Server = uvicorn.Server(settings)
        self._socket = listening(host, port)
        self.url = f"{url_of(host, self._socket)}/"

    def run(self) -> None:
        """Serve until `stop`, or Ctrl-C."""
        try:
            self._server.run(sockets=[self._socket])
        finally:
            self._socket.close()

    def stop(self) -> None:
        """End `run` after the requests that are being answered."""
        self._server.should_exit = True


def serve_explorer(
    explorer: Explorer,
    *,
    host: str = "127.0.0.1",
    port: int = PORT,
    key: str | None = None,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve the explorer until it is interrupted.

    Args:
        explorer: What is shown.
        host: Address to listen on. Any but loopback needs a key.
        port: Port; 0 takes a free one.
        key: What who comes in must know; None lets everybody in.
        ready: Called with the address once it is listened on.
    """
    served = ServedExplorer(explorer, host=host, port=port, key=key)
    if ready is not None:
        ready(served.url)
    # Ctrl-C is how it ends.
    with suppress(KeyboardInterrupt):
        served.run()
