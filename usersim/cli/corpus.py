"""Commands on a corpus: load, users, show, trace, forget."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from usersim.cli.console import console, notes, open_corpus, rows_progress
from usersim.corpus import Corpus, Remains, TraceRecord
from usersim.corpus.readers.formats import Format
from usersim.errors import ConfigError
from usersim.recon.selection import explain
from usersim.simulator.stores import store_of
from usersim.terminal import visible
from usersim.types import DateOrder

__all__ = ["CorpusOption", "register"]

SOMETHING_REMAINS = 3
"""Exit status of a `forget` that could not finish by itself."""

CorpusOption = Annotated[
    str, typer.Option("--corpus", "-c", help="SQLite file or database URL of the corpus.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    for command in (load, users, show, trace, forget):
        app.command()(command)


def load(  # noqa: PLR0913, PLR0917 - the options of a command
    source: Annotated[
        Path, typer.Argument(help="A file, folder or zip: rows, survey or chats.", exists=True)
    ],
    corpus: Annotated[
        str | None, typer.Option("--corpus", "-c", help="Store; default: beside the file.")
    ] = None,
    user: Annotated[
        str | None, typer.Option(help="Only this person's rows; in chats, the id to store them by.")
    ] = None,
    format: Annotated[  # noqa: A002 - the word of every reader
        Format, typer.Option(help="What the source is; auto recognizes it by content.")
    ] = "auto",
    person: Annotated[
        str | None, typer.Option(help="In chats: who is modelled, by role, name or id.")
    ] = None,
    codebook: Annotated[
        Path | None, typer.Option(help="In wide surveys: question texts, options and codes.")
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(help="Of a CSV file that is not UTF-8, such as cp1252.")
    ] = None,
    date_order: Annotated[
        DateOrder | None, typer.Option(help="How dates like 05/01/2024 are written.")
    ] = None,
    refused: Annotated[
        Path | None, typer.Option(help="Write refused rows here, to be mended and loaded again.")
    ] = None,
    *,
    strict: Annotated[bool, typer.Option(help="Keep nothing if a row is refused.")] = False,
) -> None:
    """Load a corpus into its store and report every row that was refused."""
    store = store_of(source, corpus)
    with Corpus.open(store) as opened, rows_progress() as progress:
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
    console.print(report)
    console.print(Text(f"stored in {stored}"))


def users(corpus: CorpusOption) -> None:
    """List the people of a corpus."""
    table = Table("user", "interactions", "train", "held out", "kinds")
    with open_corpus(corpus) as opened:
        for one in opened.users():
            kinds = ", ".join(sorted(one.kinds))
            numbers = [str(n) for n in (one.interactions, one.train, one.held_out)]
            table.add_row(Text(visible(one.user_id)), *numbers, kinds)
    console.print(table)


def show(
    user: Annotated[str, typer.Argument(help="The person.")],
    corpus: CorpusOption,
    limit: Annotated[int, typer.Option(help="Interactions to show, the newest.")] = 10,
) -> None:
    """Show what a person did."""
    with open_corpus(corpus) as opened:
        opened.require(user)
        rows = list(opened.interactions([user]))
    for row in rows[max(len(rows) - limit, 0) :]:
        head = f"{row.position}  {row.split}  {row.space.kind}  {row.key[:12]}"
        console.print(Text(head, style="dim"))
        for message in row.context:
            console.print(_said(message.name or message.role, message.content))
        console.print(_said(user, row.action_text, style="bold"))


def _said(who: str, text: str, *, style: str = "") -> Text:
    """Return what somebody said, further lines further in: no text can pass for somebody's turn."""
    return Text(f"  {visible(who)}: {visible(text, indent='    ')}", style=style)


def trace(
    identity: Annotated[
        str, typer.Argument(help="Key of a trace or an interaction, or its beginning.")
    ],
    corpus: CorpusOption,
) -> None:
    """Explain why a trace was kept or refused, component by component."""
    records = _traces(corpus, identity)
    decided = {r.selection.interaction_key: r.selection for r in records if r.selection}
    for key, selection in decided.items():
        own = [r for r in records if r.candidate.interaction_key == key]
        for line in explain(selection, [r.scored for r in own if r.scored is not None]):
            console.print(Text(visible(line)))
    for record in records:
        if record.candidate.interaction_key not in decided:
            console.print(Text(f"{record.candidate.key[:12]}  not scored yet"))
            reasoning = visible(record.candidate.reasoning, indent="    ")
            console.print(Text(f"  {reasoning}", style="italic"))


def _traces(corpus: str, identity: str) -> list[TraceRecord]:
    """Return what is stored under a key.

    Raises:
        ConfigError: If nothing is.
    """
    with open_corpus(corpus) as opened:
        records = opened.ledger.find_trace(identity)
    if not records:
        raise ConfigError(
            f"no trace is stored under a key that begins with {identity!r}",
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
        typer.Option("--finish", help="Finish an earlier forget: erase the log, delete leftovers."),
    ] = False,
    adapters: Annotated[
        Path | None,
        typer.Option(help="Folder of the store's adapters; default: beside the SQLite file."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
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
            "no user was given", hint="usersim forget USER; `usersim users` lists them"
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
        raise typer.Exit(SOMETHING_REMAINS)
