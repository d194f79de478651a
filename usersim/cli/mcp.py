"""`usersim mcp`: simulated people as tools of an MCP client, over standard input and output."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from usersim.cli.answering import AdapterOption, tell_adapter
from usersim.cli.console import notes
from usersim.cli.corpus import CorpusOption
from usersim.cli.plugged import plugged
from usersim.cli.simulate import (
    BaseUrlOption,
    EngineOption,
    ModelOption,
    PresetOption,
    RequireReasoningOption,
    open_simulator,
)
from usersim.config import DEFAULT_PRESET
from usersim.types.counting import counted

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(plugged(mcp))


def mcp(  # noqa: PLR0913 - options of a command
    corpus: CorpusOption,
    user: Annotated[
        str | None, typer.Option("--user", "-u", help="Serve only this person.")
    ] = None,
    adapter: AdapterOption = "default",
    model: ModelOption = "embedded",
    engine: EngineOption = "auto",
    base_url: BaseUrlOption = None,
    preset: PresetOption = DEFAULT_PRESET,
    *,
    require_reasoning: RequireReasoningOption = False,
    traces: Annotated[bool, typer.Option(help="Let clients read the reasoning.")] = True,
) -> None:
    """Serve simulated people to an MCP client: list, ask, survey, read a trace.

    Standard output carries the protocol and nothing else; notes go to standard error.
    """
    from usersim.integrations.mcp_server import build_server

    with open_simulator(
        corpus,
        user,
        model,
        engine,
        preset,
        base_url,
        adapter=adapter,
        require_reasoning=require_reasoning,
    ) as sim:
        tell_adapter(sim)
        server = build_server(sim, traces=traces)
        notes.print(
            Text(
                f"serving {counted(len(sim.users), 'person', 'people')} over standard input and "
                "output"
            )
        )
        server.run("stdio")
