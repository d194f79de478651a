"""`usersim serve`: simulated people behind OpenAI's chat API."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from usersim.cli.answering import tell_adapter
from usersim.cli.console import notes
from usersim.cli.corpus import CorpusOption
from usersim.cli.options import (
    AnsweringOptions,
    PlugOptions,
    RequireReasoningOption,
    grouped,
    open_simulator,
)
from usersim.config import Roles, ServerConfig, Shown
from usersim.errors import ConfigError
from usersim.explorer.closeups import Explorer
from usersim.simulator import UserSimulator
from usersim.types.counting import counted

if TYPE_CHECKING:
    from fastapi import APIRouter

__all__ = ["register"]

_DEFAULTS = ServerConfig()


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(grouped(serve))


def serve(  # noqa: PLR0913 - options of a command
    corpus: CorpusOption,
    user: Annotated[
        str | None, typer.Option("--user", "-u", help="Serve only this person.")
    ] = None,
    *,
    how: AnsweringOptions,
    host: Annotated[
        str,
        typer.Option(
            help="Address to listen on; any but loopback needs a key in USERSIM_API_KEY or "
            "--key-file."
        ),
    ] = _DEFAULTS.host,
    port: Annotated[int, typer.Option(min=1, max=65535)] = _DEFAULTS.port,
    key_file: Annotated[
        Path | None, typer.Option(help="File with the API key, instead of USERSIM_API_KEY.")
    ] = None,
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(help="A host name under which clients may call; may be repeated."),
    ] = None,
    reasoning: Annotated[
        Shown, typer.Option(help="Include the trace in replies, in the reasoning field.")
    ] = _DEFAULTS.reasoning,
    roles: Annotated[
        Roles, typer.Option(help="flipped: the person speaks as assistant; natural: as user.")
    ] = _DEFAULTS.roles,
    seed: Annotated[
        int | None,
        typer.Option(help="Seed for requests without one; default: a new one each time."),
    ] = None,
    queue: Annotated[
        int, typer.Option(min=1, help="Answers that may wait; further ones are rejected with 429.")
    ] = _DEFAULTS.queue,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Batches computed at a time; default: set by the engine."),
    ] = None,
    require_reasoning: RequireReasoningOption = False,
    keep: Annotated[bool, typer.Option(help="Save the answers in the store.")] = True,
    recognize: Annotated[
        bool,
        typer.Option(help="Score closed questions that clients write into the prompt (EDSL, …)."),
    ] = True,
    explore: Annotated[
        bool, typer.Option("--explore", help="Also serve the explorer of the store, at /explore/.")
    ] = False,
    plugs: PlugOptions,
) -> None:
    """Serve everybody in a store behind OpenAI's chat API: the model `user:ada` is ada.

    Ctrl-C or SIGTERM end it after the requests that are under way.
    """
    from usersim.server import key_from_environment
    from usersim.server import serve as run
    from usersim.server.app import check_key, require_server, warm_up

    require_server()
    config = ServerConfig(
        host=host,
        port=port,
        allowed_hosts=tuple(allowed_host or ()),
        reasoning=reasoning,
        roles=roles,
        seed=seed,
        queue=queue,
        workers=workers,
        keep=keep,
        recognize=recognize,
    )
    key = _read_key(key_file) if key_file is not None else key_from_environment()
    check_key(config, key)
    _log_requests()
    with open_simulator(corpus, user, how, plugs, require_reasoning=require_reasoning) as sim:
        tell_adapter(sim)
        with notes.status("loading the model"):
            # The first request is not to wait for it, nor to be the one that it fails.
            warm_up(sim.engine)
        people = sim.users
        notes.print(
            Text(
                f"serving {counted(len(people), 'person', 'people')} as "
                f"{', '.join(map(repr, _shown(people)))}"
            )
        )
        notes.print(Text(f"  base URL  http://{host}:{port}/v1"))
        notes.print(Text(f"  key       {'needed' if key else 'none: loopback only'}"))
        if explore:
            notes.print(Text(f"  explorer  http://{host}:{port}/explore/"))
        run(sim, config, key=key, routers=_pages(sim) if explore else ())
    notes.print(Text("stopped"))


def _pages(sim: UserSimulator) -> tuple[APIRouter, ...]:
    """Return the explorer's pages; they measure nothing, since the engine is the endpoint's."""
    from usersim.explorer import explorer_router

    return (explorer_router(Explorer.of(sim, measures=False), prefix="/explore"),)


def _shown(people: list[str]) -> list[str]:
    models = [f"user:{one}" for one in people[:3]]
    return [*models, "…"] if len(people) > len(models) else models


def _read_key(path: Path) -> str:
    """Return the key that a file holds.

    Raises:
        ConfigError: If it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the key cannot be read from {str(path)!r}: {error}") from error


def _log_requests() -> None:
    """Have one line printed for each request; `usersim --verbose` has set up more already."""
    access = logging.getLogger("usersim.server")
    if not logging.getLogger().handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        access.addHandler(handler)
    access.setLevel(logging.INFO)
