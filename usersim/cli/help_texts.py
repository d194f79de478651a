"""What `--help` says of a command: its docstring without the sections for callers in Python."""

from __future__ import annotations

import re
from inspect import cleandoc

import typer

__all__ = ["for_terminals"]

_SECTION = re.compile(r"\n\n(?:Args|Returns|Yields|Raises|Example):\n")


def for_terminals(app: typer.Typer) -> None:
    """Give every command of `app` and of its groups the text that a terminal shows."""
    for command in app.registered_commands:
        command.help = _plain(command.help or getattr(command.callback, "__doc__", None))
        command.short_help = _first(command.help)
    for group in app.registered_groups:
        if group.typer_instance is not None:
            for_terminals(group.typer_instance)
            group.short_help = _first(_plain(group.typer_instance.info.help))


def _plain(text: object) -> str:
    return _SECTION.split(cleandoc(text))[0] if isinstance(text, str) else ""


def _first(text: str) -> str:
    """Return the first paragraph, for a list of commands, where a long one would be cut."""
    return " ".join(text.partition("\n\n")[0].split())
