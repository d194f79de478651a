"""uvicorn, told to say when it began, and to drain before it ends."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

import uvicorn

from usersim.server.connections import limit_lines, limited_protocol

if TYPE_CHECKING:
    import socket
    from types import FrameType

    from starlette.types import ASGIApp

    from usersim.config import ServerConfig
    from usersim.server.answering import Answering

__all__ = ["DrainingServer", "uvicorn_settings"]


def uvicorn_settings(
    app: ASGIApp, config: ServerConfig, *, lifespan: bool = False
) -> uvicorn.Config:
    """Return how uvicorn serves each of our applications.

    Args:
        app: What is served.
        config: Limits.
        lifespan: Whether the application is told that the server starts and stops.
    """
    limit_lines()
    return uvicorn.Config(
        app,
        http=limited_protocol(config),
        ws="none",
        log_config=None,
        access_log=False,  # addresses hold user ids; the guard's own lines say less
        server_header=False,
        timeout_graceful_shutdown=max(round(config.drain_seconds), 1),
        lifespan="on" if lifespan else "off",
    )


class DrainingServer(uvicorn.Server):
    """Takes nothing new once it was asked to stop, while it answers what it took.

    Args:
        config: uvicorn's.
        answering: What is drained.

    Attributes:
        began: Set once it listens.
    """

    def __init__(self, config: uvicorn.Config, answering: Answering) -> None:
        super().__init__(config)
        self._answering = answering
        self.began = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        self.began.set()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's
        """Drain and end; Ctrl-C once more ends at once.

        Unlike uvicorn's own, it does not raise the signal again afterwards: whoever called
        `serve` has a store and a model to close.
        """
        self._answering.drain()
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True
