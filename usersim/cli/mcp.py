"""`usersim mcp`: simulated people as tools of an MCP client, over standard input and output."""

from __future__ import annotations

from typing import Annotated

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
from usersim.types.counting import counted

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(grouped(mcp))


def mcp(
    corpus: CorpusOption,
    user: Annotated[
        str | None, typer.Option("--user", "-u", help="Serve only this person.")
    ] = None,
    *,
    how: AnsweringOptions,
    require_reasoning: RequireReasoningOption = False,
    traces: Annotated[bool, typer.Option(help="Let clients read the reasoning.")] = True,
    plugs: PlugOptions,
) -> None:
    """Serve simulated people to an MCP client: list, ask, survey, read a trace.

    Standard output carries the protocol and nothing else; notes go to standard error.
    """
    from usersim.integrations.mcp_server import build_server

    with open_simulator(corpus, user, how, plugs, require_reasoning=require_reasoning) as sim:
        tell_adapter(sim)
        server = build_server(sim, traces=traces)
        notes.print(
            Text(
                f"serving {counted(len(sim.users), 'person', 'people')} over standard input and "
                "output"
            )
        )
        server.run("stdio")
