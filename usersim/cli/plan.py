"""The command `plan`: what a study takes in tokens, GPU hours, money and disk."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer
from rich.text import Text

from usersim.cli.console import console, open_corpus
from usersim.cli.options import PresetOption
from usersim.cli.tables import Column, JsonOption, print_json, print_rows
from usersim.config import DEFAULT_PRESET, PipelineConfig
from usersim.simulator import GPUS, Lengths, lengths_of, plan_costs

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(plan)


def plan(  # noqa: PLR0913, PLR0917 - options of a command
    questions: Annotated[int, typer.Option(help="Closed questions that each person is asked.")],
    people: Annotated[
        int | None, typer.Option(help="People; default: those of --corpus, or 100 without one.")
    ] = None,
    model: Annotated[
        str, typer.Option(help="Size of the model, billions of parameters, such as 8b.")
    ] = "8b",
    rows: Annotated[
        float | None,
        typer.Option(help="Answers of each person to learn from; default: of --corpus, or 40."),
    ] = None,
    corpus: Annotated[
        str | None,
        typer.Option(
            "--corpus", "-c", help="Measure lengths and rows in this store; loads no model."
        ),
    ] = None,
    gpu: Annotated[str, typer.Option(help=f"Kind of GPU: {', '.join(GPUS)}.")] = "h100",
    tokens_per_second: Annotated[
        float | None,
        typer.Option(help="Tokens drawn per second and GPU, if you measured it."),
    ] = None,
    prompt_tokens_per_second: Annotated[
        float | None,
        typer.Option(help="Prompt tokens read per second and GPU, if you measured it."),
    ] = None,
    gpu_hour: Annotated[float | None, typer.Option(help="Price of an hour of one GPU.")] = None,
    preset: PresetOption = DEFAULT_PRESET,
    *,
    per_user: Annotated[
        bool, typer.Option("--per-user", help="An adapter for each person, instead of one for all.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Estimate tokens, GPU hours, cost and disk of a study, with every assumption.

    Arithmetic alone: nothing is loaded, asked or stored. `usersim evaluate --dry-run` measures
    instead, on this machine.
    """
    config = PipelineConfig.preset(preset)
    lengths, known = Lengths.assumed(config), 100
    if corpus is not None:
        with open_corpus(corpus) as store:
            lengths, known = lengths_of(store, config), len(store.users())
    if rows is not None:
        lengths = replace(lengths, rows=rows, source=f"{lengths.source}; rows as given")
    found = plan_costs(
        people=known if people is None else people,
        questions=questions,
        model=model,
        config=config,
        gpu=gpu,
        lengths=lengths,
        tokens_per_second=tokens_per_second,
        prompt_tokens_per_second=prompt_tokens_per_second,
        gpu_hour=gpu_hour,
        per_person=per_user,
    )
    if as_json:
        print_json(found.to_dict())
        return
    sheet = found.sheet()
    columns = [
        Column(name, "right" if place else "left") for place, name in enumerate(sheet.columns)
    ]
    print_rows(
        [dict(zip(sheet.columns, row, strict=True)) for row in sheet.rows],
        columns,
        title=sheet.title or "",
    )
    console.print(Text("\nassumed:"))
    for note in sheet.notes:
        console.print(Text(f"- {note}"), soft_wrap=True)
