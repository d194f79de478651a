"""`usersim fleet`: train, reconstruct or simulate many people with several workers."""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, get_args

import typer
from rich.text import Text

from usersim.cli.codes import ExitCode
from usersim.cli.console import console, open_corpus
from usersim.cli.corpus import CorpusOption
from usersim.cli.failures import print_reasons
from usersim.cli.options import (
    AnsweringOptions,
    BaseUrlOption,
    LearningOptions,
    ModelOptions,
    PlugOptions,
    ReconOption,
    RequireReasoningOption,
    TracedOption,
    TraceJudgeOption,
    check_base_url,
    grouped,
    settings_of,
)
from usersim.cli.progress import stages
from usersim.cli.runs import (
    AnswersOption,
    ChunkOption,
    RefusedOption,
    RequestsArgument,
    RunNameOption,
    SeedOption,
    StrictRowsOption,
    tell_refused,
    tell_run,
)
from usersim.cli.tables import Column, JsonOption, WideOption, print_json, print_rows
from usersim.config import Recipe
from usersim.corpus import Corpus, FleetRecord, FleetTask, TaskState
from usersim.errors import ConfigError
from usersim.fleet import (
    FleetOptions,
    ReconstructJob,
    Resources,
    SimulateJob,
    TrainJob,
    WorkerSettings,
    absolute_store,
    run_fleet,
    shared_adapter,
)
from usersim.fleet import simulate as simulate_fleet
from usersim.simulator.running import CHUNK
from usersim.types import TraceSource

__all__ = ["register"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleOptions:
    """Who is worked on."""

    user: Annotated[
        list[str] | None,
        typer.Option("--user", "-u", help="A person; repeat it for several. Default: everybody."),
    ] = None
    users: Annotated[
        Path | None,
        typer.Option(
            "--users", help="File of people's ids, one a line.", exists=True, dir_okay=False
        ),
    ] = None

    def chosen(self) -> list[str] | None:
        """Return the people that were named; None for everybody.

        Raises:
            ConfigError: If the file cannot be read, or names nobody.
        """
        if self.users is None:
            return self.user or None
        file = str(self.users)
        try:
            lines = [line.strip() for line in self.users.read_text("utf-8-sig").splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"{file!r} cannot be read: {error}", hint="write one id a line into it, in UTF-8"
            ) from error
        listed = [*(self.user or []), *filter(None, lines)]
        if not listed:
            raise ConfigError(f"{file!r} names nobody", hint="write one id a line into it")
        return listed


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkOptions:
    """Which workers do it, and how often each person is tried."""

    workers: Annotated[
        int | None,
        typer.Option(
            help="Number of workers; each loads the model once. Default: one on each GPU, or a "
            "single one where there is no GPU."
        ),
    ] = None
    cpus: Annotated[
        float, typer.Option("--cpus-per-worker", help="Cores, and threads, of each worker.")
    ] = 1
    gpus: Annotated[
        float | None,
        typer.Option(
            "--gpus-per-worker",
            help="GPUs of each worker, or a share of one. Default: 1 where there are any.",
        ),
    ] = None
    address: Annotated[
        str | None,
        typer.Option(
            help="Ray cluster to work on, HOST:PORT or auto; default: this machine alone."
        ),
    ] = None
    retries: Annotated[
        int,
        typer.Option(
            help="How often a person is tried again whose worker was lost or failed.", min=0
        ),
    ] = 2
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Also try again who failed in an earlier call.")
    ] = False

    def how(self, people_at_once: int = 16) -> FleetOptions:
        """Return them as a fleet takes them."""
        return FleetOptions(
            address=self.address,
            resources=Resources(workers=self.workers, cpus=self.cpus, gpus=self.gpus),
            retries=self.retries,
            retry_failed=self.retry_failed,
            people_at_once=people_at_once,
        )


NameOption = Annotated[
    str | None, typer.Option(help="Name of the fleet; default: derived from its settings.")
]
LimitOption = Annotated[int | None, typer.Option(help="Interactions per person, newest first.")]
AdaptersOption = Annotated[
    Path | None,
    typer.Option(
        "--adapters",
        help="Folder of the store's adapters, the same path on every machine; default: the one "
        "that belongs to the store.",
    ),
]
StrictOption = Annotated[
    bool, typer.Option("--strict", help="Exit with status 3 if anybody failed.")
]


def register(app: typer.Typer) -> None:
    """Add the group to `app`."""
    group = typer.Typer(
        help="Train, reconstruct or simulate many people with several workers, here or on a "
        "cluster (Ray).",
        no_args_is_help=True,
    )
    for command in (train, reconstruct, simulate):
        group.command()(grouped(command))
    group.command()(status)
    app.add_typer(group, name="fleet")


def train(  # noqa: PLR0913 - options of a command
    corpus: CorpusOption,
    *,
    people: PeopleOptions,
    start: Annotated[
        str,
        typer.Option(
            help="Adapter that every training starts from. default: the newest shared one of the "
            "store; none: fresh weights; or a name that `usersim adapters` lists, or a folder."
        ),
    ] = "default",
    synthesizer: Annotated[
        Recipe, typer.Option(help="How the synthesizer is trained first; select: not trained.")
    ] = "select",
    traces: Annotated[TraceSource, typer.Option(help="Which traces to train on.")] = "recon_select",
    limit: LimitOption = None,
    traced: TracedOption = None,
    max_minutes: Annotated[
        float | None, typer.Option(help="Stop each person's training after this many minutes.")
    ] = None,
    how: LearningOptions,
    name: NameOption = None,
    work: WorkOptions,
    adapters: AdaptersOption = None,
    strict: StrictOption = False,
    plugs: PlugOptions,
) -> None:
    """Train one adapter for each person, as `usersim train --user` does; rerun it to resume."""
    with open_corpus(corpus, adapters=adapters) as opened:
        setting = _setting(corpus, opened, adapters, how, plugs, trace_judge=how.trace_judge)
        job = TrainJob(
            setting=setting,
            start=shared_adapter(opened, setting, start),
            recipe=synthesizer,
            traces=traces,
            limit=limit,
            traced=traced,
            max_minutes=max_minutes,
            recon_model=how.recon_model,
            second=how.second,
        )
        _learn(opened, job, people.chosen(), name, work.how(), strict=strict)


def reconstruct(  # noqa: PLR0913 - options of a command
    corpus: CorpusOption,
    *,
    people: PeopleOptions,
    limit: LimitOption = None,
    how: ModelOptions,
    base_url: BaseUrlOption = None,
    recon_model: ReconOption = None,
    trace_judge: TraceJudgeOption = None,
    name: NameOption = None,
    work: WorkOptions,
    strict: StrictOption = False,
    plugs: PlugOptions,
) -> None:
    """Draw, score and select each person's traces and store them; rerun it to resume.

    `usersim train` and `usersim fleet train` with the same options find them in the store.
    """
    with open_corpus(corpus) as opened:
        setting = _setting(corpus, opened, None, how, plugs, base_url, trace_judge=trace_judge)
        job = ReconstructJob(setting=setting, limit=limit, recon_model=recon_model)
        _learn(opened, job, people.chosen(), name, work.how(), strict=strict)


def simulate(  # noqa: PLR0913 - options of a command
    corpus: CorpusOption,
    requests: RequestsArgument = None,
    *,
    name: RunNameOption = None,
    out: AnswersOption = None,
    refused: RefusedOption = None,
    how: AnsweringOptions,
    seed: SeedOption = None,
    chunk: ChunkOption = CHUNK,
    people_at_once: Annotated[
        int, typer.Option(help="Most people whose requests a worker answers together.", min=1)
    ] = 16,
    work: WorkOptions,
    adapters: AdaptersOption = None,
    require_reasoning: RequireReasoningOption = False,
    strict: StrictRowsOption = False,
    plugs: PlugOptions,
) -> None:
    """Answer a long list of requests, each person's on one worker; rerun it to resume.

    Raises:
        Exit: If nothing was answered, or something was refused or failed and --strict is given.
    """
    with open_corpus(corpus, adapters=adapters) as opened:
        setting = _setting(
            corpus,
            opened,
            adapters,
            how,
            plugs,
            how.base_url,
            require_reasoning=require_reasoning,
        )
        job = SimulateJob(setting=setting, adapter=how.adapter, seed=seed, chunk=chunk)
        with redirect_stdout(_Ray()), stages() as progress:
            run, record = simulate_fleet(
                opened, job, requests, name=name, how=work.how(people_at_once), progress=progress
            )
        tell_refused(run.refused, refused)
        tell_run(run, corpus, out)
        _tell(opened, record, corpus)
        told = run.status
    missing = told.failed or len(run.refused) or record.status.failed
    if not told.done or (strict and missing):
        raise typer.Exit(ExitCode.INCOMPLETE)


FLEETS = (
    Column("fleet"),
    Column("work"),
    Column("started", drop=2),
    Column("people", "right", drop=3),
    Column("done", "right"),
    Column("failed", "right"),
    Column("waiting", "right"),
    Column("running", "right", drop=1),
    Column("forgotten", "right", drop=5),
    Column("state", drop=4),
)
TASKS = (
    Column("user"),
    Column("state"),
    Column("attempts", "right", drop=2),
    Column("seconds", "right", drop=3),
    Column("result", drop=4),
    Column("error", drop=1),
)


def status(
    corpus: CorpusOption,
    name: Annotated[
        str | None, typer.Argument(help="A fleet, whose people are listed; default: all fleets.")
    ] = None,
    state: Annotated[
        str | None, typer.Option(help="Only people who are: waiting, running, done or failed.")
    ] = None,
    *,
    as_json: JsonOption = False,
    wide: WideOption = False,
) -> None:
    """List the fleets of a store and how far they are, or the people of one."""
    with open_corpus(corpus) as opened:
        if name is None:
            rows = [_fleet(one, as_json=as_json) for one in opened.fleets.all()]
            print_rows(rows, FLEETS, as_json=as_json, wide=wide)
            return
        record = _found(opened, name)
        tasks = list(opened.fleets.tasks(record.id, state=_state(state)))
    rows = [_task(one) for one in tasks]
    if as_json:
        print_json({**_fleet(record, as_json=True), "tasks": rows})
        return
    console.print(Text(f"fleet {record.name} ({record.kind}): {record.status}"), soft_wrap=True)
    lines = [
        {**row, "result": _brief(one.result), "error": _reason(one)}
        for one, row in zip(tasks, rows, strict=True)
    ]
    print_rows(lines, TASKS, wide=wide)


class _Ray(io.TextIOBase):
    """Takes what Ray prints of lost workers, so that standard output has results alone."""

    def write(self, text: str) -> int:
        """Log a text; `--verbose` shows it."""
        if text.strip():
            logger.info("Ray: %s", text.strip())
        return len(text)


def _learn(
    opened: Corpus,
    job: TrainJob | ReconstructJob,
    people: list[str] | None,
    name: str | None,
    how: FleetOptions,
    *,
    strict: bool,
) -> None:
    """Run a fleet and print how it ended.

    Raises:
        Exit: If nothing was done, or somebody failed and --strict is given.
    """
    with redirect_stdout(_Ray()), stages() as progress:
        record = run_fleet(opened, job, users=people, name=name, how=how, progress=progress)
    _tell(opened, record, job.setting.store)
    if not record.status.done or (strict and record.status.failed):
        raise typer.Exit(ExitCode.INCOMPLETE)


def _tell(opened: Corpus, record: FleetRecord, corpus: str) -> None:
    """Print how far a fleet is, and every reason why people failed."""
    console.print(Text(f"fleet {record.name}: {record.status}"), soft_wrap=True)
    print_reasons(
        (repr(one.user_id), f"{one.error}: {one.message}")
        for one in opened.fleets.tasks(record.id, state="failed")
    )
    listed = f"usersim fleet status {record.name} --corpus {corpus}"
    console.print(Text(f"list its people: {listed}"), soft_wrap=True)


def _setting(
    corpus: str,
    opened: Corpus,
    adapters: Path | None,
    how: ModelOptions,
    plugs: PlugOptions,
    base_url: str | None = None,
    *,
    trace_judge: str | None = None,
    require_reasoning: bool = False,
) -> WorkerSettings:
    """Return where workers find people and model.

    Raises:
        ConfigError: If engine and address do not go together, or the store is in memory.
    """
    check_base_url(how.engine, base_url)
    file = "://" not in corpus
    return WorkerSettings(
        store=absolute_store(corpus),
        # Beside a file they move with it; for a database every machine needs the same path.
        adapters=absolute_store(adapters or opened.adapters_root) if adapters or not file else None,
        model=absolute_store(how.model) if Path(how.model).is_dir() else how.model,
        engine=how.engine,
        dtype=how.dtype,
        base_url=base_url,
        config=settings_of(how.preset, how.dtype, require_reasoning=require_reasoning),
        embed=plugs.embedding(),
        retriever=plugs.retrieving(),
        trace_judge=trace_judge,
    )


def _found(opened: Corpus, name: str) -> FleetRecord:
    """Return the fleet of a name.

    Raises:
        ConfigError: If there is none.
    """
    record = opened.fleets.find(name)
    if record is None:
        names = [one.name for one in opened.fleets.all()]
        raise ConfigError(
            f"there is no fleet {name!r}; there are {names!r}",
            hint="`usersim fleet status` lists them",
        )
    return record


def _state(state: str | None) -> TaskState | None:
    """Return a state that was asked for.

    Raises:
        ConfigError: If there is no such state.
    """
    for known in get_args(TaskState):
        if state == known:
            return known
    if state is not None:
        raise ConfigError(
            f"unknown state {state!r}", hint=f"use one of {', '.join(get_args(TaskState))}"
        )
    return None


def _fleet(record: FleetRecord, *, as_json: bool) -> dict[str, object]:
    told = record.status
    return {
        "fleet": record.name,
        "work": record.kind,
        "started": record.created if as_json else record.created[:16].replace("T", " "),
        "people": told.total,
        "done": told.done,
        "failed": told.failed,
        "waiting": told.waiting,
        "running": told.running,
        "forgotten": told.forgotten,
        "state": _how_far(record),
    }


def _how_far(record: FleetRecord) -> str:
    if record.driver:
        return f"driven by {record.driver}"
    return "resumable" if record.status.left or not record.complete else "complete"


def _task(task: FleetTask) -> dict[str, object]:
    return {
        "user": task.user_id,
        "state": task.state,
        "attempts": task.attempts,
        "seconds": task.seconds,
        "error": task.error,
        "message": task.message,
        "result": dict(task.result),
    }


def _brief(result: Mapping[str, object]) -> str:
    shown = ("adapter", "kept", "answered")
    return ", ".join(f"{name} {result[name]}" for name in shown if name in result)


def _reason(task: FleetTask) -> str:
    return f"{task.error}: {task.message}" if task.error else ""
