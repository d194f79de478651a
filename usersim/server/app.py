"""The application and its server: made from a simulator, started, drained, stopped.

Knows FastAPI and uvicorn, and imports them when they are needed. Whoever adds pages of their
own gives a router.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Final

from usersim.config import ServerConfig
from usersim.config.addresses import is_loopback
from usersim.engines import Engine, GenerateRequest
from usersim.errors import ConfigError, MissingDependencyError
from usersim.server.door import check_token, listening, url_of
from usersim.simulator import UserSimulator

if TYPE_CHECKING:
    from fastapi import APIRouter, FastAPI

    from usersim.server.uvicorn_server import DrainingServer

__all__ = [
    "KEY_VARIABLE",
    "check_key",
    "create_app",
    "key_from_environment",
    "require_server",
    "serve",
    "serving",
    "warm_up",
]

KEY_VARIABLE: Final = "USERSIM_API_KEY"
START_SECONDS = 30.0


def require_server() -> None:
    """Check that what serves is installed.

    Raises:
        MissingDependencyError: If it is not.
    """
    try:
        import fastapi  # noqa: F401  # pyright: ignore[reportUnusedImport]
        import prometheus_client  # noqa: F401  # pyright: ignore[reportUnusedImport]
        import uvicorn  # noqa: F401  # pyright: ignore[reportUnusedImport]
    except ImportError as error:
        raise MissingDependencyError(
            str(error.name), extra="server", why="serving simulated people"
        ) from error


def create_app(
    sim: UserSimulator,
    config: ServerConfig = ServerConfig(),
    *,
    key: str | None = None,
    routers: Sequence[APIRouter] = (),
) -> FastAPI:
    """Return the endpoint as an ASGI application.

    It may be mounted under any server; `serve` is the one that belongs to it. The simulator
    stays the caller's to close, after the application's end.

    Args:
        sim: Whose people are served; its engine is loaded here.
        config: Where it listens, what it shows, and its limits.
        key: What clients must send, as bearer token or password; None asks for none.
        routers: Further pages, behind the same door.

    Returns:
        The application; `app.state.answering` answers.

    Raises:
        ConfigError: If it is to be reached from other machines and there is no key.
        MissingDependencyError: If the extra `server` is not installed.
    """
    require_server()
    check_key(config, key)
    from fastapi import FastAPI

    from usersim import __version__
    from usersim.server.answering import Answering
    from usersim.server.guard import RequestGuard
    from usersim.server.handlers import add_handlers
    from usersim.server.openapi import describe
    from usersim.server.routes import endpoint_router

    answering = Answering(sim, config)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        yield
        await asyncio.to_thread(answering.close)

    app = FastAPI(
        title="usersim",
        version=__version__,
        summary="Simulated people behind OpenAI's chat API.",
        lifespan=lifespan,
        docs_url=None,  # its pages load scripts from elsewhere
        redoc_url=None,
    )
    app.state.answering = answering
    app.include_router(endpoint_router(answering, config))
    for router in routers:
        app.include_router(router)
    add_handlers(app)
    describe(app, secured=key is not None)
    app.add_middleware(RequestGuard, config=config, key=key, metrics=answering.metrics)
    return app


def check_key(config: ServerConfig, key: str | None) -> None:
    """Check that nobody serves people to the world without a key.

    Raises:
        ConfigError: If the address is not loopback and there is no key, or the key is not a token.
    """
    if key is None and not is_loopback(config.host):
        raise ConfigError(
            f"host {config.host!r} can be reached from other machines, and there is no key",
            hint=f"set {KEY_VARIABLE} to a secret that the clients know, or use 127.0.0.1",
        )
    check_token(key)


def key_from_environment() -> str | None:
    """Return the key that the environment holds; None for none."""
    return os.environ.get(KEY_VARIABLE, "").strip() or None


def warm_up(engine: Engine) -> None:
    """Draw one token, so that an engine that starts with its first request has started."""
    engine.generate([GenerateRequest(prompt=(("user", "Hello"),), max_tokens=1)])


def serve(
    sim: UserSimulator,
    config: ServerConfig = ServerConfig(),
    *,
    key: str | None = None,
    routers: Sequence[APIRouter] = (),
) -> None:
    """Serve until the process is asked to stop (Ctrl-C, SIGTERM).

    Requests under way are then answered, for `drain_seconds` at the most; new ones are refused.

    Args:
        sim: Whose people are served.
        config: Where it listens, what it shows, and its limits.
        key: What clients must send, as bearer token or password; None asks for none.
        routers: Further pages, behind the same door.

    Raises:
        ConfigError: If it may not listen there without a key, or the port is taken.
        MissingDependencyError: If the extra `server` is not installed.
    """
    app = create_app(sim, config, key=key, routers=routers)
    with listening(config.host, config.port) as listener:
        _server(app, config).run(sockets=[listener])


@contextmanager
def serving(
    sim: UserSimulator,
    config: ServerConfig = ServerConfig(port=0),
    *,
    key: str | None = None,
    routers: Sequence[APIRouter] = (),
) -> Generator[str]:
    """Serve in a thread of this process: for notebooks, examples and tests.

    Args:
        sim: Whose people are served.
        config: As for `serve`; the default takes a free port.
        key: What clients must send, as bearer token or password; None asks for none.
        routers: Further pages, behind the same door.

    Yields:
        The base URL for clients, ending in `/v1`.

    Raises:
        ConfigError: If it may not listen there without a key, or the port is taken.
        MissingDependencyError: If the extra `server` is not installed.

    Example:
        >>> from usersim.engines.scripted import ScriptedEngine
        >>> rows = [{"user_id": "ada", "context": "Tea?", "action": "Yes."}]
        >>> sim = UserSimulator.from_corpus(rows, engine=ScriptedEngine())
        >>> with sim, serving(sim) as base_url:
        ...     base_url.startswith("http://127.0.0.1:")
        True
    """
    app = create_app(sim, config, key=key, routers=routers)
    with listening(config.host, config.port) as listener:
        server = _server(app, config)
        thread = threading.Thread(
            target=server.run, kwargs={"sockets": [listener]}, name="usersim-server", daemon=True
        )
        thread.start()
        try:
            server.began.wait(START_SECONDS)
            yield f"{url_of(config.host, listener)}/v1"
        finally:
            server.should_exit = True
            thread.join()


def _server(app: FastAPI, config: ServerConfig) -> DrainingServer:
    from usersim.server.uvicorn_server import DrainingServer, uvicorn_settings

    settings = uvicorn_settings(app, config, lifespan=True)
    return DrainingServer(settings, app.state.answering)
