"""Commands on the cache of prepared models: prepare, cache verify."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from usersim.cli.codes import ExitCode
from usersim.cli.console import console, notes
from usersim.terminal import visible

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command()(prepare)
    group = typer.Typer(help="Check and repair the cache of prepared models.", no_args_is_help=True)
    group.callback()(_group)
    group.command()(verify)
    app.add_typer(group, name="cache")


def _group() -> None:
    """Check and repair the cache of prepared models."""


def verify(
    *,
    repair: Annotated[
        bool, typer.Option("--repair", help="Rebuild damaged parts at their next use.")
    ] = False,
) -> None:
    """Read the whole cache again and compare every byte with what was prepared.

    Opening a model compares sizes and modification times only. Exits with 1 if something is
    damaged and not repaired.

    Raises:
        Exit: With 1 if something is damaged.
    """
    from usersim.config import cache_dir
    from usersim.engines.cache import remove_damaged, verify_cache

    checked = verify_cache(
        reading=lambda path: notes.print(Text(f"reading {visible(str(path))}"), soft_wrap=True)
    )
    damaged = [one for one in checked if one.problem]
    for one in damaged:
        console.print(Text(visible(f"damaged: {one.path}: {one.problem}")), soft_wrap=True)
        if repair:
            remove_damaged(one)
    folder = visible(str(cache_dir()))
    said = f"{len(checked)} checked, {len(damaged)} damaged, in {folder}"
    console.print(Text(said), soft_wrap=True)
    if damaged and not repair:
        hint = "usersim cache verify --repair rebuilds them at the next use"
        notes.print(Text(f"next: {hint}"), soft_wrap=True)
        raise typer.Exit(ExitCode.ERROR)


def prepare() -> None:
    """Prepare the embedded model in the user's cache; other commands do it when needed."""
    from usersim.engines.embedded import prepare_embedded

    with notes.status("preparing the embedded model, once"):
        folder = prepare_embedded()
    console.print(Text(f"embedded model: {folder}"))
