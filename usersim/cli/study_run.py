"""The command `usersim study run`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from usersim.cli.codes import ExitCode
from usersim.cli.console import console, notes
from usersim.cli.options import PlugOptions
from usersim.cli.progress import stages
from usersim.cli.tables import Column, JsonOption, WideOption, print_json, print_rows
from usersim.config import Dtype
from usersim.engines.select import EngineName
from usersim.research.study import Cell, CellState, Settings, StudyRun, read_plan
from usersim.simulator.studies import Study
from usersim.types.counting import counted

__all__ = ["run"]


def run(  # noqa: PLR0913, PLR0917 - options of a command
    plan: Annotated[
        Path, typer.Argument(help="Plan of the study: YAML or JSON.", exists=True, dir_okay=False)
    ],
    data: Annotated[
        Path | None,
        typer.Option(help="Folder from which the plan names corpora; default: the plan's."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the study.")] = Path("out/study"),
    size: Annotated[
        str | None, typer.Option(help="A size of the plan, such as one for a GPU.")
    ] = None,
    sets: Annotated[str | None, typer.Option(help="Only these sets, separated by commas.")] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="Model that learns and answers, instead of the plan's."),
    ] = None,
    recon_model: Annotated[
        str | None,
        typer.Option(
            "--recon-model", help="Model that writes and scores traces, instead of the plan's."
        ),
    ] = None,
    trace_judge: Annotated[
        str | None, typer.Option("--trace-judge", help="Model that ranks traces.")
    ] = None,
    engine: Annotated[
        EngineName | None, typer.Option(help="Engine that runs the models, instead of the plan's.")
    ] = None,
    dtype: Annotated[
        Dtype | None, typer.Option(help="Data type for inference, instead of the plan's.")
    ] = None,
    *,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Print the cells and what is left, and run nothing."),
    ] = False,
    as_json: JsonOption = False,
    wide: WideOption = False,
    plugs: PlugOptions,
) -> None:
    """Run a plan of arms, sets and seeds into one folder with one page.

    Rerun the same command to resume: finished cells are kept, what is missing is measured. The
    page is written after every cell: main comparison first, pooled over the finished seeds.
    """
    study = Study(
        plan=read_plan(plan),
        data=data or plan.parent,
        out=out,
        size=size,
        given=Settings(
            model=model,
            recon_model=recon_model,
            trace_judge=trace_judge,
            engine=engine,
            dtype=dtype,
        ),
        sets=tuple(name.strip() for name in sets.split(",")) if sets else (),
        embed=plugs.embedding(),
        retriever=plugs.retrieving(),
        provenance={"command": shlex.join(["usersim", *sys.argv[1:]]), "plan": str(plan)},
    )
    if dry_run:
        _print_cells(study, as_json=as_json, wide=wide)
        return
    with stages() as progress:
        found = study.run(progress=progress, note=_tell)
    for line in (out / "study.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("- ") and "pooled over" in line:
            console.print(Text(line.removeprefix("- ")), soft_wrap=True)
    for cell, error in found.failed:
        notes.print(Text(f"{cell.name} failed: {error}", style="red"), soft_wrap=True)
    console.print(Text(f"study: {(out / 'study.html').resolve()}"), soft_wrap=True)
    _end(found)


def _end(found: StudyRun) -> None:
    """End with the status of an incomplete study where a cell failed.

    Raises:
        Exit: With that status.
    """
    if found.failed:
        raise typer.Exit(ExitCode.INCOMPLETE)


def _tell(cell: Cell, state: CellState) -> None:
    notes.print(Text(f"{cell.name}: {state}"))


def _print_cells(study: Study, *, as_json: bool, wide: bool) -> None:
    states = study.states()
    rows = [
        {
            "cell": cell.name,
            "state": states[cell.name],
            "arms": list(cell.arms),
            **{name: getattr(cell.settings, name) for name in _SHOWN},
        }
        for cell in study.cells
    ]
    if as_json:
        print_json(rows)
        return
    columns = (
        Column("cell"),
        Column("state"),
        *(
            Column(name, "right" if name in _NUMBERS else "left", drop=n)
            for n, name in enumerate(_SHOWN, 1)
        ),
        Column("arms", drop=len(_SHOWN) + 1),
    )
    print_rows(rows, columns, wide=wide)
    left = sum(state != "done" for state in states.values())
    console.print(Text(f"{left} of {counted(len(rows), 'cell')} left to measure"))


_NUMBERS = ("people", "panel", "pairs", "traced", "held_out", "traces", "calibrate")
_SHOWN = (*_NUMBERS, "preset", "model", "recon_model")
