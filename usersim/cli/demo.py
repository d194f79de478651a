"""`usersim demo`: real people in a store, predicted by the people around them and by a model."""

from __future__ import annotations

import math
import random
import shlex
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from usersim.cli.console import console, notes
from usersim.cli.corpus import print_load
from usersim.cli.demo_data import demo_rows
from usersim.cli.options import EngineOption, ModelOption
from usersim.cli.progress import stages
from usersim.cli.simulate import print_measurement
from usersim.config import PipelineConfig
from usersim.evaluation import ArmName, LeakageTable, sentence
from usersim.prediction import PREDICTORS
from usersim.simulator import UserSimulator
from usersim.simulator.calibrating import calibrate_on
from usersim.simulator.calibration import POOL, Calibration
from usersim.simulator.measure import pick_held_out
from usersim.types import Interaction, is_closed
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
"""Every arm of `--train`: references, B0, B1, B2, B3, B4e and Recon-Select."""
SHOWN = 3
"""People whose answers are shown; the pool is fitted and measured on others."""
TRAIN_PEOPLE = 20
TRAIN_HELD_OUT = 20
REFERENCES = ("Chance", "others", "panel")
"""What the pool is compared with in words."""
ALSO = {
    "Chance": "every option alike",
    "the pool, not calibrated": "all of them, with the weights that usersim ships",
    "the pool without reasoning": "fitted without the reasoning",
    "the pool without the model": "fitted without the model",
    POOL: "all of them, with weights fitted on other people: what `respond` answers",
}
"""Rows of the table that are no predictors, in words."""


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(demo)


@dataclass(frozen=True, slots=True)
class DemoPeople:
    """Who is in the demo.

    Attributes:
        shown: Whose answers are shown.
        measured: Whose held-out answers are predicted and measured.
    """

    shown: list[str]
    measured: list[str]


def demo(
    corpus: Annotated[
        Path | None,
        typer.Option(help="A corpus file of your own instead of the demo's respondents."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for all output files.")] = Path("out/demo"),
    people: Annotated[int, typer.Option(help="Number of people to evaluate.")] = 42,
    held_out: Annotated[int, typer.Option(help="Total number of held-out answers.")] = 210,
    pairs: Annotated[int, typer.Option(help="Training pairs of each person, with --train.")] = 2,
    model: ModelOption = "embedded",
    engine: EngineOption = "auto",
    *,
    train: Annotated[
        bool, typer.Option("--train", help="Also train and compare ways of learning to reason.")
    ] = False,
) -> None:
    """Predict real people from their other answers, the people around them and a model.

    Trains nothing without --train.
    """
    started = time.perf_counter()
    out.mkdir(parents=True, exist_ok=True)
    with UserSimulator.from_corpus(
        corpus or demo_rows(),
        store=out / "people.usersim.db",
        model=model,
        engine=engine,
        config=demo_config(),
    ) as sim:
        who = _cast(sim, people, own=corpus is not None)
        _loaded(sim, who, held_out, time.perf_counter() - started)
        questions = _one_each(sim, who.shown)
        if not questions:
            console.print(Text("no choice or scale question is held out, so nothing can be pooled"))
        else:
            _first_answer(sim, questions[0])
            found = _measure(sim, who, held_out, out)
            _results(found)
            _three_answers(sim, questions)
        if train:
            _train(sim, [*who.measured, *who.shown][:TRAIN_PEOPLE], pairs, out)
        _files(out, trained=train)
    minutes = (time.perf_counter() - started) / 60
    console.print(Text(f"done in {minutes:.1f} minutes"))


def demo_config() -> PipelineConfig:
    """Return the `tiny` preset, cut to what two cores do in ten minutes."""
    tiny = PipelineConfig.preset("tiny")
    return tiny.model_copy(
        update={
            "history": tiny.history.model_copy(update={"recent": 2, "evidence": 4}),
            "synthesis": tiny.synthesis.model_copy(update={"n_forward": 1}),
            "scoring": tiny.scoring.model_copy(update={"diagnostics": 2}),
            "simulation": tiny.simulation.model_copy(update={"traces": 1}),
        }
    )


def _say(heading: str, body: object = "") -> None:
    console.print(Text(f"\n{heading}", style="bold"))
    if body:
        console.print(body)


def _cast(sim: UserSimulator, people: int, *, own: bool) -> DemoPeople:
    """Return who is shown and who is measured: drawn with seed 0.

    Args:
        sim: The simulator.
        people: How many are measured.
        own: Whether the corpus is the caller's own; the demo's people answered everything.
    """
    wanted = people + SHOWN
    if own:
        asked = [one.user_id for one in sim.corpus.users() if one.held_out]
        chosen = random.Random(0).sample(asked, min(wanted, len(asked)))  # noqa: S311
    else:
        chosen = list(dict.fromkeys(str(row["user_id"]) for row in demo_rows(wanted)))
    return DemoPeople(chosen[:SHOWN], chosen[SHOWN:] or chosen)


def _loaded(sim: UserSimulator, who: DemoPeople, held_out: int, seconds: float) -> None:
    """Print what was loaded, and the sizes before the work begins."""
    _say(f"loaded {counted(len(sim.users), 'person', 'people')} in {seconds:.0f} s")
    if sim.report is not None:
        print_load(sim.report, "usersim load FILE --refused REFUSED writes all of them")
    config = sim.config
    rows = {
        "people in the panel": len(sim.users),
        "people measured, each by a panel without them": len(who.measured),
        "held-out answers of theirs, in all, at the most": held_out,
        "traces drawn for an answer": config.simulation.traces,
        "past answers in the prompt": config.history.recent + config.history.evidence,
    }
    table = Table("size", "value", title="what is done")
    for name, value in rows.items():
        table.add_row(name, str(value))
    console.print(table)


def _one_each(sim: UserSimulator, people: Iterable[str]) -> list[Interaction]:
    """Return the first held-out choice or scale of each person who has one."""
    found = (
        next(
            (i for i in sim.corpus.interactions([one], split="held_out") if is_closed(i.space)),
            None,
        )
        for one in people
    )
    return [one for one in found if one is not None]


def _first_answer(sim: UserSimulator, question: Interaction) -> None:
    """Answer one held-out question before anything is fitted to this corpus."""
    started = time.perf_counter()
    with notes.status("fitting the panel model and loading the language model"):
        answer = sim.respond(question, user_id=question.user_id)
    _say("The first answer, from the person's other answers, the panel and the untrained model:")
    _show(question, answer)
    console.print(Text(f"{time.perf_counter() - started:.0f} s after loading"))


def _show(question: Interaction, answer: object) -> None:
    console.print(Panel(Text("\n".join(m.content for m in question.context)), title="asked"))
    console.print(
        answer if answer is not None else Text("every draw was malformed, so there is no answer")
    )
    console.print(Text(f"what the person answered: {question.action_text}"))


def _measure(sim: UserSimulator, who: DemoPeople, held_out: int, out: Path) -> Calibration:
    """Predict held-out answers with every predictor, and fit the pool."""
    picked = pick_held_out(sim.corpus, who.measured, held_out, closed=True)
    with stages() as progress:
        return calibrate_on(
            sim.asker(),
            lambda: sim.engine,
            picked,
            sim.users,
            out=out,
            title="usersim demo: held-out answers",
            provenance={"command": shlex.join(["usersim", *sys.argv[1:]])},
            progress=progress,
        )


def _results(found: Calibration) -> None:
    """Print the table, what it says in words, and how often the pool is right."""
    _say("Measured on answers held out; the pool's weights come from other people each time")
    console.print(found)
    words = {name.replace("_", " "): text for name, text in PREDICTORS.items()} | ALSO
    for name in found.evaluation.arms:
        console.print(Text(f"  {name}: {words[name]}", style="dim"))
    console.print(found.reliability())
    _say("In words")
    for reference in REFERENCES:
        for one in _against(found, reference):
            console.print(Text(one))
    for one in found.added():
        console.print(Text(one))


def _against(found: Calibration, reference: str) -> list[str]:
    """Return what may be said of the pool against another row of the table."""
    if reference not in found.evaluation.arms:
        return []
    return [
        sentence(found.evaluation, one)
        for one in found.evaluation.against(reference)
        if one.arm == POOL and one.metric in {"log_score", "accuracy"}
    ]


def _three_answers(sim: UserSimulator, questions: list[Interaction]) -> None:
    _say("Three answers of people on whom nothing was fitted, with evidence, trace and shares")
    answers = sim.respond_many(questions, user_id=[i.user_id for i in questions], progress=False)
    for question, answer in zip(questions, answers.items, strict=True):
        _show(question, answer)


def _train(sim: UserSimulator, people: list[str], pairs: int, out: Path) -> None:
    """Train the arms of Recon on some of the people, in a store of their own, and compare them."""
    rows: list[Mapping[str, object]] = list(sim.corpus.rows(people))
    _say(f"Ways of learning to reason, trained on {counted(len(people), 'person', 'people')}")
    with (
        UserSimulator.from_corpus(
            rows, store=out / "trained.usersim.db", engine=sim.engine, config=demo_config()
        ) as learner,
        stages() as progress,
    ):
        measured = learner.evaluate(
            arms=ARMS,
            limit=pairs,
            held_out=TRAIN_HELD_OUT,
            out=out / "trained",
            provenance={"command": shlex.join(["usersim", *sys.argv[1:]])},
            title="usersim demo: ways of learning to reason",
            progress=progress,
        )
    print_measurement(measured)
    _say("Leakage")
    print_leakage(measured.leakage)


def _files(out: Path, *, trained: bool) -> None:
    _say("Files")
    made = {
        "people, panel model, weights and answers (SQLite)": out / "people.usersim.db",
        "report with the reliability diagram": out / "report.html",
        "figures": out / "metrics.csv",
    }
    if trained:
        made["report of the training"] = out / "trained" / "report.html"
    for name, path in made.items():
        if path.exists():
            console.print(Text(f"  {name}: {path}"))


def print_leakage(leakage: LeakageTable) -> None:
    """Print the guards' figures as a table."""
    table = Table("figure", "value")
    table.add_row("interactions with a decision", str(leakage.n_interactions))
    table.add_row("of them kept without a trace", _figure(leakage.empty_share, ".0%"))
    for row in leakage.rows:
        figures = {
            "traces": f"{row.n}",
            "rejected by a guard": _figure(row.refused, ".0%"),
            **{
                f"rejected by {guard}": _figure(share, ".0%")
                for guard, share in row.refused_by.items()
            },
            "kept": _figure(row.kept, ".0%"),
            "mean raw gain of those that passed": _figure(row.raw_gain_valid, "+.3f"),
            "mean raw gain of the rejected ones": _figure(row.raw_gain_refused, "+.3f"),
            "raw gain lost by masking (L2)": _figure(row.masking_cost, ".3f"),
            "masked gain that remains without the context (L3)": _figure(
                row.trace_only_share, ".0%"
            ),
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
