"""The `usersim` command and its errors."""

from __future__ import annotations

import logging
import os
import re
import sys
from typing import Annotated

import typer
from rich.logging import RichHandler
from rich.text import Text

from usersim.cli import (
    adapters,
    cache,
    calibrate,
    corpus,
    demo,
    endpoint,
    explore,
    fleet,
    mcp,
    plan,
    runs,
    serving,
    simulate,
    study,
    survey,
)
from usersim.cli.codes import ExitCode, code_of
from usersim.cli.console import console, notes
from usersim.cli.help_texts import for_terminals
from usersim.errors import UsersimError

__all__ = ["app", "main"]

_CALLED = re.compile(r"^(\w+\.)?\w+\(\): ")
"""The function of Python that an error begins with; whoever typed a command called none."""

app = typer.Typer(
    name="usersim",
    help="Simulate a particular person: reasoning first, action second, the reasoning shown.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # boxes cut the names of flags at 80 columns
    context_settings={"help_option_names": ["-h", "--help"]},
)
corpus.register(app)
simulate.register(app)
calibrate.register(app)
adapters.register(app)
runs.register(app)
survey.register(app)
endpoint.register(app)
serving.register(app)
fleet.register(app)
explore.register(app)
study.register(app)
plan.register(app)
mcp.register(app)
cache.register(app)
demo.register(app)
for_terminals(app)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it with the option's value
    """Print the version where it is asked for; eager, since it needs no command.

    Raises:
        Exit: After the version.
    """
    if wanted:
        from usersim import __version__

        console.print(__version__)
        raise typer.Exit


@app.callback()
def options(
    *,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Print log messages.")] = False,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and exit.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Set up logging."""
    if verbose:
        logging.basicConfig(
            level=logging.INFO, format="%(message)s", handlers=[RichHandler(console=notes)]
        )


def main() -> None:
    """Run the command line; an error of usersim is a message, not a traceback.

    Raises:
        SystemExit: With the command's status.
    """
    try:
        app()
    except UsersimError as error:
        said = _CALLED.sub("", str(error))
        notes.print(Text.assemble(("error: ", "bold red"), said), soft_wrap=True)
        if error.cli_hint:
            notes.print(Text.assemble(("next: ", "bold"), error.cli_hint), soft_wrap=True)
        sys.exit(code_of(error))
    except SystemExit as end:
        if not _interrupted(end):
            raise
        _stop()
    except KeyboardInterrupt:
        _stop()


def _stop() -> None:
    """Say that the command was interrupted, and end at once.

    The interpreter's own shutdown may wait for threads of foreign code.
    """
    notes.print("interrupted; what was finished is stored. Rerun the same command to resume")
    os._exit(ExitCode.INTERRUPTED)


def _interrupted(end: BaseException | None) -> bool:
    """Tell whether Ctrl-C is behind `end`: typer turns it into a bare exit status."""
    while end is not None and not isinstance(end, KeyboardInterrupt):
        end = end.__cause__ or end.__context__
    return end is not None
