"""`usersim demo`: from real people to trained, measured, simulated users, in minutes."""

from __future__ import annotations

import math
import shlex
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from usersim.cli.console import console, notes
from usersim.cli.corpus import print_load
from usersim.cli.demo_data import demo_rows
from usersim.cli.progress import stages
from usersim.cli.simulate import first_people, print_measurement
from usersim.config import PipelineConfig
from usersim.evaluation import LeakageTable
from usersim.simulator import ArmName, Measurement, UserSimulator
from usersim.types.counting import counted

__all__ = ["print_leakage", "register"]

ARMS: tuple[ArmName, ...] = (
    "chance",
    "others",
    "profile",
    "few_shot",
    "none",
    "backward",
    "random_eligible",
    "recon_select",
)
"""Every arm of the demo: references, B0, B1, B2, B3, B4e and Recon-Select."""


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(demo)


def demo(
    corpus: Annotated[
        Path | None, typer.Option(help="Your own corpus file instead of the demo's respondents.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of everything that is made.")] = Path(
        "out/demo"
    ),
    people: Annotated[int, typer.Option(help="How many people.")] = 20,
    pairs: Annotated[int, typer.Option(help="Training pairs of each person.")] = 2,
    held_out: Annotated[int, typer.Option(help="Held-out answers in all.")] = 20,
    model: Annotated[str, typer.Option(help="Base model.")] = "embedded",
) -> None:
    """Take real people from corpus to trained, measured, simulated users.

    Rerun the same command to resume it.
    """
    started = time.perf_counter()
    out.mkdir(parents=True, exist_ok=True)
    source = first_people(corpus, people) if corpus else demo_rows(people)
    sim = UserSimulator.from_corpus(
        source,
        store=out / "people.usersim.db",
        model=model,
        config=demo_config(),
    )
    with sim:
        _say(f"loaded {counted(len(sim.users), 'person', 'people')}")
        if sim.report is not None:
            print_load(sim.report, "usersim load FILE --refused REFUSED writes all of them")
        _plan(sim, pairs, held_out)
        _first_answer(sim, started)
        with stages() as progress:
            measured = sim.evaluate(
                arms=ARMS,
                limit=pairs,
                held_out=held_out,
                out=out,
                provenance={"command": shlex.join(["usersim", *sys.argv[1:]])},
                title="usersim demo: held-out answers",
                progress=progress,
            )
        sim.use_adapter(measured.adapters["recon_select"])
        _results(sim, measured, out)
    minutes = (time.perf_counter() - started) / 60
    console.print(Text(f"done in {minutes:.1f} minutes"))


def demo_config() -> PipelineConfig:
    """Return the `tiny` preset, cut to what two cores do in ten minutes."""
    tiny = PipelineConfig.preset("tiny")
    return tiny.model_copy(
        update={
            "history": tiny.history.model_copy(update={"recent": 2}),
            "synthesis": tiny.synthesis.model_copy(update={"n_forward": 1}),
            "scoring": tiny.scoring.model_copy(update={"diagnostics": 2}),
        }
    )


def _say(heading: str, body: object = "") -> None:
    console.print(Text(f"\n{heading}", style="bold"))
    if body:
        console.print(body)


def _plan(sim: UserSimulator, pairs: int, held_out: int) -> None:
    """Print the sizes before the work begins."""
    config = sim.config
    rows = {
        "people": len(sim.users),
        "training pairs of each person, the newest": pairs,
        "held-out answers, in all": held_out,
        "candidate traces of each pair": config.synthesis.n_forward + config.synthesis.n_backward,
        "traces averaged over for an answer": config.simulation.traces,
        "past answers in the prompt": config.history.recent + config.history.evidence,
    }
    table = Table("size", "value", title="what is done")
    for name, value in rows.items():
        table.add_row(name, str(value))
    console.print(table)


def _first_answer(sim: UserSimulator, started: float) -> None:
    """Answer one held-out question before anything is trained."""
    person = sim.users[0]
    question = next(sim.corpus.interactions([person], split="held_out"), None)
    if question is None:
        return
    with notes.status("loading the model; the first time it is prepared, which takes longer"):
        answer = sim.respond(question, user_id=person)
    _say("The first answer, untrained, from the person's history:")
    console.print(Panel(Text("\n".join(m.content for m in question.context)), title="asked"))
    console.print(answer)
    console.print(Text(f"what the person answered: {question.action_text}"))
    console.print(Text(f"{time.perf_counter() - started:.0f} s after the start"))


def _results(sim: UserSimulator, measured: Measurement, out: Path) -> None:
    _say("Measured on answers held out")
    print_measurement(measured)
    _say("Three answers with their traces")
    shown = {i.user_id: i for i in measured.evaluation.interactions}
    chosen = list(shown.values())[:3]
    for question, answer in zip(
        chosen, sim.respond_many(chosen, user_id=[i.user_id for i in chosen]).items, strict=True
    ):
        console.print(Panel(Text("\n".join(m.content for m in question.context)), title="asked"))
        console.print(
            answer if answer is not None else Text("the texts stayed malformed; no answer was made")
        )
        console.print(Text(f"what the person answered: {question.action_text}"))
    _say("Leakage")
    print_leakage(measured.leakage)
    _say("Files")
    adapter = sim.adapter.folder if sim.adapter else None
    for name, path in {
        "corpus, traces and answers (SQLite)": out / "people.usersim.db",
        "adapter of Recon-Select": adapter,
        "report": measured.report,
        "figures": out / "metrics.csv",
    }.items():
        console.print(Text(f"  {name}: {path}"))


def print_leakage(leakage: LeakageTable) -> None:
    """Print the guards' figures as a table."""
    table = Table("figure", "value")
    table.add_row("interactions with a decision", str(leakage.n_interactions))
    table.add_row("of them kept without a trace", _figure(leakage.empty_share, ".0%"))
    for row in leakage.rows:
        figures = {
            "traces": f"{row.n}",
            "refused by a guard": _figure(row.refused, ".0%"),
            **{
                f"refused by {guard}": _figure(share, ".0%")
                for guard, share in row.refused_by.items()
            },
            "kept": _figure(row.kept, ".0%"),
            "mean gain of those that passed": _figure(row.gain_valid, "+.3f"),
            "mean gain of the refused ones": _figure(row.gain_refused, "+.3f"),
            "gain lost by masking (L2)": _figure(row.masking_cost, ".3f"),
            "gain that remains without the context (L3)": _figure(row.trace_only_share, ".0%"),
            "plausibility (L4), nats a token": _figure(row.plausibility, "+.2f"),
        }
        for name, value in figures.items():
            table.add_row(Text(f"{row.source}: {name}"), value)
    for name, value in leakage.diagnostics.items():
        table.add_row(Text(name), _figure(value, ".3f"))
    console.print(table)


def _figure(value: float, form: str) -> str:
    """Return a figure in a format, and a dash where there is nothing to take it from."""
    return "–" if math.isnan(value) else format(value, form)
