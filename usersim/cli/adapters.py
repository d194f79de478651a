"""`usersim adapters`: which adapters a store has, which one answers, and removing one."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.text import Text

from usersim.cli.console import console, open_corpus
from usersim.cli.options import EngineOption, ModelOption
from usersim.cli.tables import Column, JsonOption, WideOption, print_json, print_rows
from usersim.corpus import adapter_named
from usersim.errors import ConfigError
from usersim.simulator import Base, adapter_list, stored_adapters

__all__ = ["register"]

StoreOption = Annotated[
    str | None,
    typer.Option("--corpus", "-c", help="SQLite file or database URL of the corpus."),
]

ADAPTERS = (
    Column("adapter"),
    Column("for"),
    Column("trained", drop=3),
    Column("base model", drop=4),
    Column("held out", "right", drop=2),
    Column("size", "right", drop=5),
    Column("default", drop=1),
)


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    group = typer.Typer(
        help="List the adapters of a store, or remove one.", invoke_without_command=True
    )
    group.callback()(listing)
    group.command()(remove)
    app.add_typer(group, name="adapters")


def listing(
    context: typer.Context,
    corpus: StoreOption = None,
    model: ModelOption = "embedded",
    engine: EngineOption = "auto",
    *,
    as_json: JsonOption = False,
    wide: WideOption = False,
) -> None:
    """List the adapters of a store: for whom, when, how good, how large, and which answers.

    An adapter answers without being named if it is the newest of its people that fits --model.
    """
    if context.invoked_subcommand is not None:
        context.obj = corpus
        return
    with open_corpus(_named(corpus)) as opened:
        found = stored_adapters(opened, Base(model, engine))
    if as_json:
        print_json([asdict(one) for one in found])
        return
    sheet = adapter_list.listing(found)
    if sheet.rows:
        rows = [dict(zip(sheet.columns, row, strict=True)) for row in sheet.rows]
        print_rows(rows, ADAPTERS, wide=wide)
    for note in sheet.notes:
        console.print(Text(note), soft_wrap=True)


def remove(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The adapter's name, or the first letters of it.")],
    corpus: StoreOption = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
) -> None:
    """Remove an adapter from a store, with its folder."""
    with open_corpus(_named(corpus or context.obj)) as opened:
        record = adapter_named(opened.ledger, name)
        if not yes:
            typer.confirm(f"Remove the adapter {record.name!r}? This cannot be undone", abort=True)
        removed = opened.remove_adapter(record.name)
    console.print(Text(str(removed)))


def _named(corpus: str | None) -> str:
    """Return the store that a command is about.

    Raises:
        ConfigError: If none is named.
    """
    if corpus is None:
        raise ConfigError("no store was named", hint="give --corpus people.usersim.db")
    return corpus
