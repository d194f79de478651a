"""The `usersim` command and its errors."""

from __future__ import annotations

import logging
import os
import sys
from typing import Annotated

import typer
from rich.logging import RichHandler
from rich.text import Text

from usersim.cli import corpus, demo, simulate
from usersim.cli.console import console, notes
from usersim.errors import UsersimError

__all__ = ["app", "main"]

app = typer.Typer(
    name="usersim",
    help="Simulate a particular person: reasoning first, action second, the reasoning shown.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
corpus.register(app)
simulate.register(app)
demo.register(app)


@app.callback()
def options(
    *,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what is done.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Set up logging; print the version where it is asked for.

    Raises:
        Exit: After the version.
    """
    if verbose:
        logging.basicConfig(
            level=logging.INFO, format="%(message)s", handlers=[RichHandler(console=notes)]
        )
    if version:
        from usersim import __version__

        console.print(__version__)
        raise typer.Exit


def main() -> None:
    """Run the command line; an error of usersim is a message, not a traceback."""
    try:
        app()
    except UsersimError as error:
        notes.print(Text.assemble(("error: ", "bold red"), str(error)))
        if error.hint:
            notes.print(Text.assemble(("next: ", "bold"), error.hint))
        sys.exit(1)
    except KeyboardInterrupt:
        notes.print("interrupted; what was finished is stored, and the same command goes on")
        # The interpreter's own shutdown may wait for threads of foreign code.
        os._exit(130)
