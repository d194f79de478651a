"""Commands on a corpus: load, users, show, trace, forget."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from usersim.cli.codes import ExitCode
from usersim.cli.console import console, notes, open_corpus
from usersim.cli.progress import stages
from usersim.cli.tables import Column, JsonOption, WideOption, print_json, print_rows
from usersim.corpus import Corpus, LoadReport, Remains, TraceRecord
from usersim.corpus.readers.formats import Format
from usersim.errors import ConfigError
from usersim.recon.selection import explain
from usersim.simulator.stores import store_of
from usersim.terminal import visible
from usersim.types import DateOrder, Interaction

__all__ = ["CorpusOption", "print_load", "register"]

CorpusOption = Annotated[
    str, typer.Option("--corpus", "-c", help="SQLite file or database URL of the corpus.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    for command in (load, users, show, trace, forget):
        app.command()(command)


def load(  # noqa: PLR0913, PLR0917 - options of a command
    source: Annotated[
        Path,
        typer.Argument(
            help="JSONL, JSON, CSV, Parquet, SPSS, or an export of chats or mail: file, zip or "
            "folder.",
            exists=True,
        ),
    ],
    corpus: Annotated[
        str | None,
        typer.Option(
            "--corpus", "-c", help="Store to load into; default: a file beside the source."
        ),
    ] = None,
    user: Annotated[
        str | None, typer.Option(help="Only this person's rows; in chats, the id to store them by.")
    ] = None,
    format: Annotated[  # noqa: A002 - the word of every reader
        Format, typer.Option(help="Format of the source; auto detects it from the content.")
    ] = "auto",
    person: Annotated[
        str | None, typer.Option(help="In chats: the person to model, by role, name or id.")
    ] = None,
    codebook: Annotated[
        Path | None, typer.Option(help="For wide survey tables: question texts, options and codes.")
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(help="Encoding of a CSV file that is not UTF-8, such as cp1252.")
    ] = None,
    date_order: Annotated[
        DateOrder | None, typer.Option(help="Order of day and month in dates like 05/01/2024.")
    ] = None,
    refused: Annotated[
        Path | None,
        typer.Option(help="Write the refused rows to this file, to fix and load again."),
    ] = None,
    *,
    strict: Annotated[bool, typer.Option(help="Load nothing if any row is refused.")] = False,
) -> None:
    """Load a corpus into its store and report every row that was refused.

    Raises:
        Exit: If the store has nothing of the source.
    """
    store = store_of(source, corpus)
    # Most files are read in a moment, and what was read is reported then.
    with Corpus.open(store) as opened, stages(quiet=True) as progress:
        report = opened.add(
            source,
            format=format,
            user_id=user,
            person=person,
            codebook=codebook,
            encoding=encoding,
            date_order=date_order,
            strict=strict,
            progress=progress,
        )
        if refused is not None:
            report.refused.write(refused)
        stored = opened.name
    print_load(report, "--refused FILE writes all of them" if refused is None else "")
    console.print(Text(f"stored in {stored}"), soft_wrap=True)
    if refused is not None:
        console.print(Text(f"refused rows written to {refused}"), soft_wrap=True)
    if not report.kept + report.already_present:
        notes.print(Text("nothing was kept", style="yellow"))
        raise typer.Exit(ExitCode.INCOMPLETE)


def print_load(report: LoadReport, more: str, *, to: Console = console) -> None:
    """Print what a load did; `more` says how to get every refused row."""
    for line in report.lines():
        to.print(Text(line), soft_wrap=True)
    for line in report.refusals(more):
        to.print(Text(f"  {line}", style="yellow"), soft_wrap=True)


USERS = (
    Column("user"),
    Column("interactions", "right"),
    Column("train", "right"),
    Column("held_out", "right"),
    Column("kinds", drop=1),
)


def users(corpus: CorpusOption, *, as_json: JsonOption = False, wide: WideOption = False) -> None:
    """List the people of a corpus."""
    with open_corpus(corpus) as opened:
        rows = [
            {
                "user": one.user_id,
                "interactions": one.interactions,
                "train": one.train,
                "held_out": one.held_out,
                "kinds": sorted(one.kinds),
            }
            for one in opened.users()
        ]
    print_rows(rows, USERS, as_json=as_json, wide=wide)


def show(
    user: Annotated[str, typer.Argument(help="The person.")],
    corpus: CorpusOption,
    limit: Annotated[int, typer.Option(help="Number of interactions to show, newest first.")] = 10,
    *,
    as_json: JsonOption = False,
) -> None:
    """Show what a person did."""
    with open_corpus(corpus) as opened:
        opened.require(user)
        rows = list(opened.interactions([user]))
    newest = rows[max(len(rows) - limit, 0) :]
    if as_json:
        print_json([_observed(row) for row in newest])
        return
    for row in newest:
        head = f"{row.position}  {row.split}  {row.space.kind}  {row.key[:12]}"
        console.print(Text(head, style="dim"))
        for message in row.context:
            console.print(_said(message.name or message.role, message.content))
        console.print(_said(user, row.action_text, style="bold"))


def _said(who: str, text: str, *, style: str = "") -> Text:
    """Return what somebody said, further lines further in: no text can pass for somebody's turn."""
    return Text(f"  {visible(who)}: {visible(text, indent='    ')}", style=style)


def _observed(row: Interaction) -> dict[str, object]:
    """Return an interaction as a row, with its place in the store."""
    return {
        "key": row.key,
        "user_id": row.user_id,
        "position": row.position,
        "split": row.split,
        "timestamp": row.timestamp,
        "context": [{"role": m.role, "name": m.name, "content": m.content} for m in row.context],
        "action_type": row.space.kind,
        "options": list(getattr(row.space, "options", ())) or None,
        "action": row.action_text,
    }


def trace(
    identity: Annotated[
        str, typer.Argument(help="Key of a trace or an interaction, or its first characters.")
    ],
    corpus: CorpusOption,
    *,
    as_json: JsonOption = False,
) -> None:
    """Explain why a trace was kept or refused, component by component."""
    records = _traces(corpus, identity)
    if as_json:
        print_json([_explained(record) for record in records])
        return
    # One interaction may have several decisions: traces of the base model, and of a synthesizer.
    decided = {tuple(sorted(r.selection.verdicts)): r.selection for r in records if r.selection}
    for keys, selection in decided.items():
        own = [r.scored for r in records if r.scored is not None and r.candidate.key in keys]
        for line in explain(selection, own):
            console.print(Text(visible(line)))
    for record in records:
        if not any(record.candidate.key in keys for keys in decided):
            console.print(Text(f"{record.candidate.key[:12]}  not scored yet"))
            reasoning = visible(record.candidate.reasoning, indent="    ")
            console.print(Text(f"  {reasoning}", style="italic"))


def _explained(record: TraceRecord) -> dict[str, object]:
    """Return a candidate with everything that is known about it."""
    scored = record.scored
    return {
        "key": record.candidate.key,
        "user_id": record.user_id,
        "stage": record.stage_key,
        **asdict(record.candidate),
        "kept": record.kept,
        "verdict": record.verdict or None,
        "scores": None if scored is None else asdict(scored.scores),
        "leakage": None if scored is None else asdict(scored.leakage),
    }


def _traces(corpus: str, identity: str) -> list[TraceRecord]:
    """Return what is stored under a key.

    Raises:
        ConfigError: If nothing is.
    """
    with open_corpus(corpus) as opened:
        records = opened.ledger.find_trace(identity)
    if not records:
        raise ConfigError(
            f"no stored trace has a key that begins with {identity!r}",
            hint="`usersim show USER` prints the keys of interactions; training makes traces",
        )
    return records


def forget(
    corpus: CorpusOption,
    user: Annotated[str | None, typer.Argument(help="The person; with --finish, optional.")] = None,
    *,
    mentions: Annotated[
        bool,
        typer.Option("--mentions", help="Also redact their messages in other people's rows."),
    ] = False,
    finish: Annotated[
        bool,
        typer.Option(
            "--finish", help="Finish an earlier forget: erase the log and delete leftovers."
        ),
    ] = False,
    adapters: Annotated[
        Path | None,
        typer.Option(help="Folder of the store's adapters; default: beside the SQLite file."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
) -> None:
    """Delete everything of a person: rows, index, traces, responses and adapters.

    Exits with status 3 if something remains, which the output names.
    """
    with open_corpus(corpus, adapters=adapters) as opened:
        if finish:
            remains = _finished(opened, user, mentions=mentions)
        else:
            remains = _forgotten(opened, user, mentions=mentions, yes=yes)
        _check_nothing_remains(remains, user, opened.name)


def _finished(opened: Corpus, user: str | None, *, mentions: bool) -> Remains:
    """Finish what an earlier command left.

    Raises:
        ConfigError: If redacting is asked for, which belongs to forgetting.
    """
    if mentions:
        raise ConfigError("--finish and --mentions cannot be combined", hint="give one of them")
    remains = opened.finish_forgetting(user)
    console.print(Text(str(remains) or "nothing remains"))
    return remains


def _forgotten(opened: Corpus, user: str | None, *, mentions: bool, yes: bool) -> Remains:
    """Forget a person, once the caller agrees.

    Raises:
        ConfigError: If none is named.
    """
    if user is None:
        raise ConfigError(
            "no user was named", hint="usersim forget USER; `usersim users` lists them"
        )
    opened.require(user)
    if not yes:
        typer.confirm(f"Delete everything of {user!r}? This cannot be undone", abort=True)
    removal = opened.forget(user, mentions=mentions)
    console.print(Text(str(removal)))
    return removal.remains


def _check_nothing_remains(remains: Remains, user: str | None, store: str) -> None:
    """Say how to finish.

    Raises:
        Exit: If there is something to finish.
    """
    if not remains.nothing:
        name = f"{shlex.quote(user)} " if user else ""
        notes.print(Text(f"finish with: usersim forget {name}--finish -c {store}"))
        raise typer.Exit(ExitCode.INCOMPLETE)
