"""Commands that run a model: respond, train, evaluate."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, cast

import typer
from rich.text import Text

from usersim.cli.answering import tell_adapter
from usersim.cli.console import console, figures_table, notes
from usersim.cli.corpus import CorpusOption, print_load
from usersim.cli.options import (
    AnsweringOptions,
    LearningOptions,
    PlugOptions,
    RequireReasoningOption,
    TracedOption,
    grouped,
    open_simulator,
)
from usersim.cli.progress import stages
from usersim.cli.tables import print_json
from usersim.config import DEFAULT_PRESET, PipelineConfig, Preset, Recipe
from usersim.engines import Engine
from usersim.engines.select import load_engine
from usersim.errors import ConfigError, ContextLengthError, EvaluationError
from usersim.evaluation import ARMS, DEFAULT_ARMS, ArmName, check_arms
from usersim.files import write_bytes
from usersim.simulator import (
    SOURCES,
    Measurement,
    UserSimulator,
    naming_rates,
    plan_evaluation,
    time_evaluation,
)
from usersim.simulator.measure import reasoning_added
from usersim.simulator.predicting import check_predictors
from usersim.training import Board, StepNote, TrainedAdapter
from usersim.types import TraceSource
from usersim.types.counting import counted
from usersim.views import clock

__all__ = ["print_measurement", "register"]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    for command in (respond, train, evaluate):
        app.command()(grouped(command))


def respond(  # noqa: PLR0913 - options of a command
    context: Annotated[str, typer.Argument(help="The question.")],
    corpus: CorpusOption,
    user: Annotated[
        str | None, typer.Option("--user", "-u", help="The person who answers.")
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option("--option", "-o", help="An option; repeat it for each option, in order."),
    ] = None,
    kind: Annotated[
        str | None, typer.Option(help="choice, scale, number, multi_choice or free_text.")
    ] = None,
    *,
    how: AnsweringOptions,
    seed: Annotated[int | None, typer.Option(help="Random seed of the answer.")] = None,
    predictors: Annotated[
        str | None,
        typer.Option(
            help="Predictors that a closed answer pools, separated by commas: reasoning, "
            "no_reasoning, own_answer, panel, others, own_scale. Default: all."
        ),
    ] = None,
    require_reasoning: RequireReasoningOption = False,
    explain: Annotated[
        bool, typer.Option(help="Measure how much the trace changes the answer.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the complete answer as JSON.")
    ] = False,
    plugs: PlugOptions,
) -> None:
    """Answer a context as a person would, with the reasoning."""
    with (
        open_simulator(corpus, user, how, plugs, require_reasoning=require_reasoning) as sim,
        stages(quiet=True) as progress,
    ):
        answer = sim.respond(
            context,
            options=option,
            kind=kind,
            predictors=None if predictors is None else check_predictors(predictors.split(",")),
            explain=explain,
            seed=seed,
            progress=progress,
        )
        if answer.trace.adapter is None and how.adapter == "default" and len(sim.adapters()):
            tell_adapter(sim)
    if as_json:
        print_json(json.loads(answer.to_json()))
    else:
        console.print(answer)


def train(  # noqa: PLR0913 - options of a command
    corpus: CorpusOption,
    user: Annotated[
        str | None, typer.Option("--user", "-u", help="One person; default: one shared adapter.")
    ] = None,
    synthesizer: Annotated[
        Recipe,
        typer.Option(help="How the synthesizer is trained first; select: not trained."),
    ] = "select",
    traces: Annotated[TraceSource, typer.Option(help="Which traces to train on.")] = "recon_select",
    limit: Annotated[
        int | None, typer.Option(help="Interactions per person, newest first.")
    ] = None,
    traced: TracedOption = None,
    start: Annotated[
        str,
        typer.Option(
            help="Adapter to start from when training one person. none: fresh weights; default: "
            "the newest shared one of the store; or a name that `usersim adapters` lists, or a "
            "folder."
        ),
    ] = "none",
    max_minutes: Annotated[
        float | None,
        typer.Option(help="Stop training after this many minutes; the result is saved."),
    ] = None,
    *,
    how: LearningOptions,
    tensorboard: Annotated[
        Path | None,
        typer.Option(help="Folder for a TensorBoard log of the synthesizer's training."),
    ] = None,
    plugs: PlugOptions,
) -> None:
    """Reconstruct, select and train; rerun the same command to resume it."""
    with (
        other_engine(how.trace_judge, how) as ranking,
        open_simulator(corpus, user, how, plugs, trace_judge=ranking) as sim,
        other_engine(how.recon_model, how) as recon_engine,
        other_engine(how.second, how) as reconstructor,
        stages() as progress,
    ):
        adapter = sim.train(
            recipe=synthesizer,
            traces=traces,
            limit=limit,
            traced=traced,
            start=start,
            max_minutes=max_minutes,
            recon_engine=recon_engine,
            second=reconstructor,
            progress=progress,
            note=figures_note(tensorboard),
        )
        print_synthesizer(sim.synthesizer)
    console.print(Text(f"adapter: {adapter.folder}"))
    if adapter.manifest.pace:
        console.print(Text(adapter.manifest.pace))
    fitted = adapter.manifest.reasoning_weight
    console.print(Text(fitted.summary if fitted else "reasoning weight: not fitted, too few items"))
    who = ["--user", user] if user else []
    asked = ["usersim", "respond", "Tea or coffee?", "--corpus", corpus, *who]
    command = shlex.join(asked + _beside(how.model, how.preset))
    console.print(Text(f"it is used from now on: {command}"), soft_wrap=True)


def _beside(model: str, preset: Preset) -> list[str]:
    """Return the options that a command needs beside its defaults."""
    options = {"--model": (model, "embedded"), "--preset": (preset, DEFAULT_PRESET)}
    return [part for name, (own, usual) in options.items() if own != usual for part in (name, own)]


def other_engine(model: str | None, how: LearningOptions) -> AbstractContextManager[Engine | None]:
    """Load a second model for the time of a `with`; None if none is named."""
    if model is None:
        return nullcontext()
    return closing(load_engine(model, engine=how.engine, dtype=how.dtype))


def figures_note(tensorboard: Path | None) -> StepNote:
    """Return what prints the figures of each step, and logs them where that is asked for."""
    table = figures_table()
    if tensorboard is None:
        return table
    board = Board(tensorboard)

    def both(step: int, steps: int, figures: Mapping[str, float]) -> None:
        table(step, steps, figures)
        board(step, steps, figures)

    return both


def print_synthesizer(synthesizer: TrainedAdapter | None) -> None:
    """Print what training the synthesizer brought, and what looks wrong."""
    record = synthesizer.manifest.synthesizer if synthesizer else None
    if synthesizer is None or record is None:
        return
    console.print(Text(f"synthesizer ({record.recipe}): {synthesizer.folder}"))
    for name, found in (("before", record.before), ("after", record.after)):
        if found is not None:
            second = "" if found.second_gain is None else f", second {found.second_gain:+.3f}"
            console.print(
                Text(
                    f"  held-out gain {name}: {found.gain:+.3f}{second}, reward"
                    f" {found.reward:+.3f}, unreadable {found.malformed:.2f}, refused"
                    f" {found.refused:.2f} ({counted(found.n, 'trace')})"
                )
            )
    for warning in record.warnings:
        console.print(Text(f"  warning: {warning}", style="yellow"))


def evaluate(  # noqa: PLR0913, PLR0917 - options of a command
    source: Annotated[
        Path, typer.Argument(help="A corpus file: JSONL, CSV or Parquet.", exists=True)
    ],
    out: Annotated[Path, typer.Option(help="Folder of the report.")] = Path("out/evaluation"),
    arms: Annotated[
        str, typer.Option(help=f"Arms to compare, separated by commas; any of: {', '.join(ARMS)}.")
    ] = ",".join(DEFAULT_ARMS),
    people: Annotated[
        int | None, typer.Option(help="Number of people, the first ones in the corpus.")
    ] = None,
    panel: Annotated[
        int | None,
        typer.Option(
            help="Further people of the corpus, neither trained on nor measured, whose training "
            "answers the arms others, panel and pool know. Needs --people.",
            min=1,
        ),
    ] = None,
    pairs: Annotated[int | None, typer.Option(help="Training interactions per person.")] = None,
    traced: TracedOption = None,
    held_out: Annotated[int | None, typer.Option(help="Total number of held-out answers.")] = None,
    seed: Annotated[int, typer.Option(help="Random seed for sampling and training.")] = 0,
    facts: Annotated[
        Path | None,
        typer.Option(
            help="Ground-truth file from `usersim study planted`; reports how many traces name the "
            "planted reason.",
            exists=True,
        ),
    ] = None,
    *,
    how: LearningOptions,
    judge: Annotated[
        str | None,
        typer.Option(help="Model of another family that judges the drawn answers."),
    ] = None,
    traces: Annotated[
        int | None,
        typer.Option(
            help="K, traces drawn for each answer of an arm with reasoning; the report shows "
            "K = 1, 4 and 16 up to it.",
            min=1,
        ),
    ] = None,
    calibrate: Annotated[
        int | None,
        typer.Option(
            help="Before the arms that pool predictors are measured, fit the pool's weights on "
            "this number of training answers that nothing was trained on.",
            min=8,
        ),
    ] = None,
    texts: Annotated[
        bool,
        typer.Option(
            "--texts", help="Also draw answers to open questions, and compare their text."
        ),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Print the plan and an estimate of the time, without running anything.",
        ),
    ] = False,
    plugs: PlugOptions,
) -> None:
    """Compare arms on held-out answers and write one folder with tables and a page.

    First says what will be done and, timed on this machine, about how long that takes. Rerun the
    same command to resume it.
    """
    names = cast("list[ArmName]", [name.strip() for name in arms.split(",")])
    config = PipelineConfig.preset(how.preset).with_seed(seed)
    check_arms(names)
    loaded = _loaded(people, panel)
    store = ":memory:"
    if not dry_run:
        out.mkdir(parents=True, exist_ok=True)
        store = str(out / f"{source.name.split('.')[0]}.usersim.db")
    rows = first_people(source, loaded)
    with (
        other_engine(how.trace_judge, how) as ranking,
        _read(rows, store, how, plugs, config, ranking) as sim,
        other_engine(how.recon_model, how) as recon_engine,
        other_engine(how.second, how) as reconstructor,
        other_engine(judge, how) as judging,
    ):
        if sim.report is not None:
            more = "usersim load FILE --refused REFUSED writes all of them"
            print_load(sim.report, more, to=notes)
        chosen = sim.users[:people] if panel is not None else None
        _tell_plan(sim, names, chosen, pairs, traced, held_out, recon_engine, traces)
        if dry_run:
            return
        with stages() as progress:
            measured = sim.evaluate(
                arms=names,
                people=chosen,
                limit=pairs,
                traced=traced,
                held_out=held_out,
                texts=texts or judge is not None,
                judge=judging,
                traces=traces,
                calibrate=calibrate,
                recon_engine=recon_engine,
                second=reconstructor,
                out=out,
                provenance={"command": shlex.join(["usersim", *sys.argv[1:]])},
                title=f"Held-out answers: {source.name}",
                progress=progress,
            )
    print_measurement(measured)
    if facts is not None:
        print_naming(measured, facts, out, config)


def _loaded(people: int | None, panel: int | None) -> int | None:
    """Return how many people are loaded; None for everybody.

    Raises:
        ConfigError: If there is to be a panel beside everybody.
    """
    if panel is None:
        return people
    if people is None:
        raise ConfigError(
            f"a panel of {panel} people needs a number of people who are measured",
            hint="add --people N",
        )
    return people + panel


def _read(
    rows: Path | list[dict[str, object]],
    store: str,
    how: LearningOptions,
    plugs: PlugOptions,
    config: PipelineConfig,
    ranking: Engine | None,
) -> UserSimulator:
    """Read rows into their store and return a simulator of everybody in it."""
    with stages(quiet=True) as progress:
        return UserSimulator.from_corpus(
            rows,
            store=store,
            model=how.model,
            engine=how.runner(),
            config=config,
            embed=plugs.embedding(),
            retriever=plugs.retrieving(),
            trace_judge=ranking,
            progress=progress,
        )


def _tell_plan(
    sim: UserSimulator,
    arms: list[ArmName],
    people: list[str] | None,
    limit: int | None,
    traced: int | None,
    held_out: int | None,
    recon_engine: Engine | None,
    traces: int | None,
) -> None:
    """Print what will be done and about how long it takes, timed with the real model."""
    plan = plan_evaluation(
        sim,
        arms=arms,
        people=people,
        limit=limit,
        traced=traced,
        held_out=held_out,
        traces=traces,
    )
    notes.print(Text(str(plan)), soft_wrap=True)
    began = time.perf_counter()
    try:
        with stages() as progress:
            estimate = time_evaluation(plan, sim, recon_engine=recon_engine, progress=progress)
        took = f"estimated in {clock(time.perf_counter() - began)}"
        said = f"{estimate} ({took}; finished work of earlier runs is reused)"
    except ContextLengthError as error:  # one item's failure is data of the evaluation
        said = f"the time cannot be estimated: {error}"
    notes.print(Text(said), soft_wrap=True)


def print_naming(measured: Measurement, facts: Path, out: Path, config: PipelineConfig) -> None:
    """Print which source's traces name the planted reason, and write it to `naming.json`."""
    import orjson

    from usersim.research import PlantedFacts

    told = PlantedFacts.of_json(orjson.loads(facts.read_bytes()))
    rates = naming_rates(measured.found, told, config)
    for source, rate in rates.items():
        console.print(Text(f"{SOURCES[source]}: {rate}"))
    written = {source: asdict(rate) for source, rate in rates.items()}
    content = orjson.dumps(written, option=orjson.OPT_INDENT_2)
    write_bytes(out / "naming.json", content, what="the rates", error=EvaluationError)


def first_people(source: Path, people: int | None) -> Path | list[dict[str, object]]:
    """Return the rows of the first `people` of a corpus file, or the file itself."""
    if people is None:
        return source
    from usersim.corpus import Corpus

    with Corpus.open(":memory:") as corpus:
        corpus.add(source)
        chosen = corpus.user_ids()[:people]
        return [dict(row) for row in corpus.rows(chosen)]


def print_measurement(measured: Measurement) -> None:
    """Print the table, the verdicts and where the files are."""
    from usersim.evaluation import caution, verdicts

    console.print(measured.evaluation)
    said = caution(measured.evaluation.n_users)
    if said is not None:
        console.print(Text(said, style="yellow"))
    for line in [*verdicts(measured.evaluation), *reasoning_added(measured.evaluation)]:
        console.print(Text(line))
    for warning in measured.leakage.warnings:
        console.print(Text(f"warning: {warning}", style="yellow"))
    if measured.agreement is not None:
        console.print(Text(str(measured.agreement)))
    if measured.faithfulness is not None:
        console.print(Text(f"faithfulness: {measured.faithfulness}"))
    for judged in measured.judgments:
        console.print(Text(f"judge: {judged}"))
    if measured.report is not None:
        console.print(Text(f"report: {measured.report.resolve()}"))
