"""`usersim explore`: look at a store in a browser, or write a run as pages."""

from __future__ import annotations

import os
import webbrowser
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from usersim.cli.console import console, notes
from usersim.cli.corpus import CorpusOption
from usersim.cli.options import AnsweringOptions, PlugOptions, grouped, open_simulator
from usersim.cli.progress import stages
from usersim.errors import ConfigError
from usersim.explorer.closeups import Explorer
from usersim.types.counting import counted

__all__ = ["register"]

KEY = "USERSIM_API_KEY"


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(grouped(explore))


def explore(  # noqa: PLR0913 - options of a command
    corpus: CorpusOption,
    host: Annotated[
        str,
        typer.Option(help="Address to listen on; any but loopback needs a key in USERSIM_API_KEY."),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 picks a free one.")
    ] = 8765,
    *,
    how: AnsweringOptions,
    export: Annotated[
        Path | None, typer.Option(help="Write one run to this folder as static pages instead.")
    ] = None,
    run: Annotated[str | None, typer.Option(help="The run to export.")] = None,
    no_engine: Annotated[
        bool, typer.Option("--no-engine", help="Only show what is stored; load no model.")
    ] = False,
    measure: Annotated[
        bool,
        typer.Option("--measure", help="With --export: also measure each token, by the engine."),
    ] = False,
    open_browser: Annotated[bool, typer.Option("--open", help="Open it in a browser.")] = False,
    plugs: PlugOptions,
) -> None:
    """Look at people, traces, scores and answers in a browser, until Ctrl-C.

    The engine is loaded when a trace or an answer is first measured.
    """
    _check(export, run, measure=measure, no_engine=no_engine)
    with open_simulator(corpus, None, how, plugs) as sim:
        explorer = Explorer.of(sim, measures=not no_engine)
        if export is not None:
            _export(explorer, export, run, measure)
            return
        from usersim.explorer import serve_explorer

        def ready(url: str) -> None:
            console.print(Text(f"the explorer is at {url}"), soft_wrap=True)
            notes.print(Text("press Ctrl-C to stop it"))
            if open_browser:
                webbrowser.open(url)

        serve_explorer(explorer, host=host, port=port, key=os.environ.get(KEY) or None, ready=ready)


def _check(export: Path | None, run: str | None, *, measure: bool, no_engine: bool) -> None:
    """Raise if options do not fit each other.

    Raises:
        ConfigError: Naming them.
    """
    if export is None and (run is not None or measure):
        raise ConfigError(
            "--run and --measure can only be used with --export",
            hint="add --export FOLDER, or leave them out",
        )
    if measure and no_engine:
        raise ConfigError("--measure needs an engine", hint="remove --no-engine")


def _export(explorer: Explorer, folder: Path, run: str | None, measure: bool) -> None:  # noqa: FBT001 - an option
    from usersim.explorer import export_run

    with stages() as progress:
        done = export_run(explorer, folder, run=run, measure=measure, progress=progress)
    console.print(
        Text(f"{counted(done.answers, 'answer')} of run {done.run!r} written to {done.folder}")
    )
    console.print(Text(f"open {done.folder / 'index.html'}; it is a copy of personal data"))
