"""The command group `usersim study`: run, planted, power, pool, transfer."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.text import Text

from usersim.cli.console import console, notes
from usersim.cli.options import grouped
from usersim.cli.study_run import run
from usersim.cli.tables import Column, JsonOption, WideOption, print_json, print_rows
from usersim.errors import ConfigError, CorpusError
from usersim.files import json_line, make_folder, write_bytes
from usersim.research import TransferMatrix, comparisons_needed, planted_users, write_transfer
from usersim.research import pool as pool_runs
from usersim.types.counting import counted

__all__ = ["register"]

NEIGHBORS = (-0.05, -0.02, -0.01, 0.0, 0.01, 0.02, 0.05)
"""Distances of the rates that are shown beside the one asked for."""


def register(app: typer.Typer) -> None:
    """Add the group to `app`."""
    group = typer.Typer(
        help="Run a study of a written plan, or its parts: planted people, power, pooling, "
        "transfer.",
        no_args_is_help=True,
    )
    group.command()(grouped(run))
    for command in (planted, power, pool, transfer):
        group.command()(command)
    app.add_typer(group, name="study")


def planted(
    out: Annotated[
        Path, typer.Argument(help="JSONL file to write; the ground truth goes beside it.")
    ],
    users: Annotated[int, typer.Option(help="People.")] = 12,
    interactions: Annotated[int, typer.Option(help="Choices per person.")] = 40,
    seed: Annotated[int, typer.Option(help="Random seed; equal seeds give equal people.")] = 0,
    noise: Annotated[
        float, typer.Option(help="Probability that a person chooses at random.")
    ] = 0.05,
) -> None:
    """Write a corpus of synthetic people whose reasons are known, and the facts beside it.

    OUT.jsonl is a corpus like any other. OUT.facts.json holds each person's rule and is for
    measuring alone: no model may read it.
    """
    facts = out.with_suffix(".facts.json")
    _check_new(out, facts)
    people = planted_users(users=users, interactions=interactions, seed=seed, noise=noise)
    make_folder(out.parent, what="the rows", error=CorpusError)
    write_bytes(out, b"".join(map(json_line, people.rows)), what="the rows", error=CorpusError)
    told = orjson.dumps(people.facts.to_json(), option=orjson.OPT_INDENT_2)
    write_bytes(facts, told, what="the facts", error=CorpusError)
    rows = counted(len(people.rows), "row")
    whose = counted(users, "synthetic person", "synthetic people")
    console.print(Text(f"{rows} of {whose} written to {out}"), soft_wrap=True)
    console.print(Text(f"their rules written to {facts}"))


def _check_new(*paths: Path) -> None:
    """Check that no file is written over: it may be a corpus of real people.

    Raises:
        ConfigError: If one exists.
    """
    for path in paths:
        if path.exists():
            raise ConfigError(
                f"{str(path)!r} already exists and is not overwritten",
                hint="choose another name, or delete it first",
            )


def power(
    win_rate: Annotated[
        float, typer.Argument(help="Expected share of decisive comparisons won, such as 0.55.")
    ],
    power: Annotated[
        float, typer.Option(help="Desired probability of finding the difference.")
    ] = 0.8,
    alpha: Annotated[float, typer.Option(help="Two-sided level of the test.")] = 0.05,
    design_effect: Annotated[
        float, typer.Option(help="1 + (m − 1)·ρ for clusters of m comparisons; 1: independent.")
    ] = 1.0,
    *,
    as_json: JsonOption = False,
) -> None:
    """Print how many decisive comparisons distinguish a win rate from one half.

    The first number is enough about every second time; the second one finds the difference with
    the probability given by --power. Neighboring rates show how much hangs on the guess.
    """
    needed = comparisons_needed(win_rate, power=power, alpha=alpha, design_effect=design_effect)
    rows = [
        {
            "win_rate": rate,
            "excludes_half": comparisons_needed(rate, alpha=alpha, design_effect=design_effect),
            "found": comparisons_needed(
                rate, power=power, alpha=alpha, design_effect=design_effect
            ),
        }
        for rate in _rates(win_rate)
    ]
    columns = (
        Column("win_rate", "right"),
        Column("excludes_half", "right", heading="interval excludes 0.5"),
        Column("found", "right", heading=f"found with probability {power:g}"),
    )
    print_rows(rows, columns, as_json=as_json)
    if not as_json:
        said = counted(needed, "decisive comparison")
        console.print(Text(f"{said} for a win rate of {win_rate:g}", style="bold"))


def _rates(win_rate: float) -> list[float]:
    """Return `win_rate` and its neighbors on the same side of one half."""
    near = [win_rate if not step else round(win_rate + step, 6) for step in NEIGHBORS]
    low, high = (0.5, 1.0) if win_rate > 0.5 else (0.0, 0.5)  # noqa: PLR2004 - the null
    return [rate for rate in near if low < rate < high]


def pool(
    folders: Annotated[list[Path], typer.Argument(help="Report folders, one per seed.")],
    metric: Annotated[
        str, typer.Option(help="A metric that has a score per item.")
    ] = "log_likelihood",
    baseline: Annotated[str, typer.Option(help="The arm to compare with.")] = "Recon-Select",
    *,
    as_json: JsonOption = False,
    wide: WideOption = False,
) -> None:
    """Compare arms over several seeds of one evaluation: people and seeds both count.

    The interval resamples people, conversations and runs; the last columns show each run.
    """
    found = pool_runs(folders, metric=metric, baseline=baseline)
    if as_json:
        print_json([asdict(one) for one in found])
        return
    rows = [
        {
            "arm": one.arm,
            "difference": f"{one.difference.value:+.3f}",
            "interval": f"{one.difference.low:+.3f} to {one.difference.high:+.3f}",
            "between_runs": None if len(one.by_run) == 1 else f"{one.between_runs:.3f}",
            "by_run": [f"{value:+.3f}" for value in one.by_run],
        }
        for one in found
    ]
    columns = (
        Column("arm"),
        Column("difference", "right"),
        Column("interval", heading="95 %"),
        Column("between_runs", "right", drop=1),
        Column("by_run", drop=2),
    )
    print_rows(rows, columns, wide=wide, title=f"{metric}, against {baseline}")
    items = counted(found[0].n_items if found else 0, "item")
    console.print(Text(f"{items} in {counted(len(folders), 'run')}"))


def transfer(
    folders: Annotated[list[Path], typer.Argument(help="Report folders, one per pair of models.")],
    metric: Annotated[
        str, typer.Option(help="A metric that has a score per item.")
    ] = "log_likelihood",
    arm: Annotated[str, typer.Option(help="The arm trained on selected traces.")] = (
        "Recon-Select"
    ),
    baseline: Annotated[str, typer.Option(help="The arm to compare with.")] = (
        "B4e random of eligible"
    ),
    out: Annotated[
        Path | None, typer.Option(help="Folder for transfer.csv and the heat map.")
    ] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Show what traces that one model chose are worth to another that learns from them.

    Make the folders by `usersim evaluate SOURCE --model STUDENT --recon-model SELECTOR`.
    """
    matrix = TransferMatrix.of_reports(folders, metric=metric, arm=arm, baseline=baseline)
    rows = [
        {
            "traces_by": selector,
            "learned_by": student,
            "difference": cell.difference.value if as_json else f"{cell.difference.value:+.3f}",
            "low": cell.difference.low,
            "high": cell.difference.high,
            "interval": f"{cell.difference.low:+.3f} to {cell.difference.high:+.3f}",
            "p_holm": cell.p_holm if as_json else f"{cell.p_holm:.3f}",
        }
        for (selector, student), cell in matrix.cells.items()
    ]
    columns = (
        Column("traces_by"),
        Column("learned_by"),
        Column("difference", "right"),
        Column("interval", heading="95 %"),
        Column("p_holm", "right", heading="p, Holm"),
    )
    print_rows(rows, columns, as_json=as_json, title=f"{metric}: {arm} - {baseline}")
    if out is not None:
        notes.print(Text(f"written to {write_transfer(matrix, out)}"), soft_wrap=True)
