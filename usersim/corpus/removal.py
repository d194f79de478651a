"""Forgetting one person: every row, the search index, and the adapters that learned from them.

In this order: trainings that learn from them are stopped, so that no adapter is added any more;
folders are deleted, while the store still says which; then the rows, in one transaction; then
whatever a training wrote in between, and the log. It may be interrupted and repeated anywhere.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection, delete, func, select
from sqlalchemy.sql import ColumnElement

from usersim.corpus.ledger.adapter_folders import AdapterFolders, LeftFolder
from usersim.corpus.ledger.trainings import Worker, stop_trainings, stopping
from usersim.corpus.mentions import Mentions, find_mentions, redact_mentions
from usersim.corpus.store.database import Database
from usersim.corpus.store.fits import drop_fits
from usersim.corpus.store.owners import user_row_id
from usersim.corpus.store.search import drop_user
from usersim.corpus.store.tables import (
    adapter_users,
    adapters,
    candidates,
    conversations,
    interactions,
    metadata,
    responses,
    run_items,
    runs,
    selections,
    users,
)
from usersim.errors import CorpusError
from usersim.terminal import visible
from usersim.views import in_words, printed

__all__ = ["LeftFolder", "Remains", "Removal", "finish_forgetting", "forget"]

_LOADED = {".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Remains:
    """What forgetting could not finish by itself.

    Attributes:
        log_bytes: Size of the write-ahead log, which holds deleted text for as long as another
            process reads in the store; 0 if it is empty.
        trainings: Who learned from the person and was asked to stop, but may not have yet.
        folders_left: Folders of adapters that were not deleted, and why.
        deleted: Folders that were deleted by finishing.

    Example:
        >>> from usersim import Corpus
        >>> with Corpus.open(":memory:") as corpus:
        ...     report = corpus.add([{"user_id": "ada", "context": "Tea?", "action": "Yes."}])
        ...     left = corpus.forget("ada").remains
        >>> left.trainings, left.folders_left
        ((), ())
    """

    log_bytes: int = 0
    trainings: tuple[Worker, ...] = ()
    folders_left: tuple[LeftFolder, ...] = ()
    deleted: tuple[str, ...] = ()

    @property
    def nothing(self) -> bool:
        """True if nothing remains."""
        return not (self.log_bytes or self.trainings or self.folders_left)

    def __str__(self) -> str:
        """Say it in lines; empty if nothing remains."""
        lines = [f"deleted: {visible(folder)}" for folder in self.deleted]
        if self.log_bytes:
            lines.append(
                f"not erased yet: deleted text in the store's files ({self.log_bytes:,} bytes of "
                "log), because another process is reading the store"
            )
        lines += [
            f"not stopped yet: training by {worker}; it deletes its output when it stops"
            for worker in self.trainings
        ]
        lines += [f"not deleted: {folder}" for folder in self.folders_left]
        return "\n".join(lines)


@printed(in_words)
@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """What was removed of one person.

    Attributes:
        user_id: The person.
        interactions: Rows of interactions.
        conversations: Rows of conversations.
        candidates: Candidate traces, in every stage.
        selections: Selections.
        responses: Answers given in their name.
        run_items: Requests of runs that were put to them.
        search_rows: Rows of the search index.
        fits: Panel models and pools that everybody was in; fitted again when next needed.
        adapters: Names of the adapters that learned from them, those that no store knew of
            included.
        shared_adapters: Those of `adapters` that learned from other people too; they are gone
            for these as well, because what was learned cannot be taken out again.
        folders: Adapter folders deleted.
        checkpoints: Folders of trainings that had not ended, deleted.
        run_names: Runs whose names or settings hold the person's id; they are kept.
        mentions: Where other people's rows quote them.
        sources: Files beside the store that it may have been loaded from.
        archived: Whether the database keeps deleted rows in files of its own, as PostgreSQL does.
        remains: What is left to do.

    Example:
        >>> from usersim import Corpus
        >>> rows = [{"user_id": "ada", "context": f"Tea {i}?", "action": "Yes."} for i in range(5)]
        >>> with Corpus.open(":memory:") as corpus:
        ...     report = corpus.add(rows)
        ...     removal = corpus.forget("ada")
        >>> removal.interactions, removal.adapters, removal.mentions.interactions
        (5, (), 0)
    """

    user_id: str
    interactions: int
    conversations: int
    candidates: int
    selections: int
    responses: int
    run_items: int
    search_rows: int
    fits: int
    adapters: tuple[str, ...]
    shared_adapters: tuple[str, ...]
    folders: tuple[str, ...]
    checkpoints: tuple[str, ...]
    run_names: tuple[str, ...]
    mentions: Mentions
    sources: tuple[str, ...] = ()
    archived: bool = False
    remains: Remains

    @property
    def complete(self) -> bool:
        """True if nothing is left to finish."""
        return self.remains.nothing

    def __str__(self) -> str:
        """Say it in lines."""
        lines = [f"removed of user {self.user_id!r}:"]
        counts = (item.name for item in fields(self)[1:9])
        lines += [f"  {name.replace('_', ' ')}: {getattr(self, name)}" for name in counts]
        lines.append(f"  adapters: {_listed(self.adapters) or 'none'}")
        if self.shared_adapters:
            shared = _listed(self.shared_adapters)
            lines.append(f"  these adapters were shared; train them again for the others: {shared}")
        lines += [f"  folder deleted: {visible(folder)}" for folder in self.folders]
        lines += [f"  checkpoints deleted: {visible(folder)}" for folder in self.checkpoints]
        if self.run_names:
            lines.append(f"  runs that still refer to them: {_listed(self.run_names)}")
        for part in (self.mentions, self.remains):
            lines += [f"  {line}" for line in str(part).splitlines()]
        lines.append("delete yourself, outside the store:")
        lines += [f"  {line}" for line in self._out_of_reach()]
        return "\n".join(lines)

    def _out_of_reach(self) -> list[str]:
        names = f" ({_listed(self.sources)})" if self.sources else ""
        lines = [
            f"source files{names}: loading them again restores the person",
            "exports, files of answers and dialogues, reports of evaluations and surveys, backups",
        ]
        if self.archived:
            lines.append(
                "PostgreSQL's copies: table files keep deleted rows until VACUUM FULL (run by "
                "--finish); archived logs, replicas and backups keep them until they expire"
            )
        return lines


def _listed(names: Sequence[str]) -> str:
    """Return names from a store in one line: none of them can pass for a line of ours."""
    return visible(", ".join(names))


class _Taught(NamedTuple):
    """An adapter that learned from the person."""

    name: str
    path: str
    digest: str
    people: int


def forget(
    database: Database, user_id: str, own: AdapterFolders, *, redact: bool = False
) -> Removal:
    """Remove everything of one person.

    SQLite overwrites what is deleted (`secure_delete`), and its log is emptied at the end.
    Copies of the sources, of adapters elsewhere, and backups are out of reach.

    Args:
        database: The store.
        user_id: The person.
        own: The store's adapters, and the checkpoints that trainings leave beside them.
        redact: Whether to take out what they say in other people's rows.

    Returns:
        What was removed, and what remains.

    Raises:
        UserNotFoundError: If there is no such user.
        CorpusError: If a folder cannot be deleted or the store not be written; repeat the call. Or
            if a row that has to be read is damaged.
    """
    with database.read() as connection:
        user_row_id(connection, user_id)  # before anything is touched
    # On a full disk the log has room for this once its content is in the file.
    database.empty_log()
    with database.write() as connection, database.readable_rows():
        owner = user_row_id(connection, user_id)
        workers = stop_trainings(connection, owner)
        taught = _adapters(connection, owner)
    left: list[LeftFolder] = []
    folders: list[str] = []
    with database.readable_rows():
        _delete_adapters(own, list(taught.values()), folders, left)
    checkpoints = own.delete_checkpoints(user_id)
    mentions = redact_mentions(database, user_id) if redact else find_mentions(database, user_id)
    with database.write() as connection, database.readable_rows():
        # The person first: what others do with their rows at this moment ends before this, or is
        # refused after it.
        connection.execute(select(users.c.id).where(users.c.id == owner).with_for_update())
        late = _adapters(connection, owner)
        counts = _delete_rows(connection, database, owner, list(late))
        named = _run_names(connection, user_id)
    # Registered, or written and not registered, since the folders were looked at.
    _delete_adapters(own, [one for key, one in late.items() if key not in taught], folders, left)
    taught |= late
    strays = _sweep(database, own, user_id, folders, left)
    checkpoints += own.delete_checkpoints(user_id)
    return Removal(
        user_id=user_id,
        **counts,
        adapters=(*(one.name for one in taught.values()), *strays),
        shared_adapters=tuple(one.name for one in taught.values() if one.people > 1),
        folders=tuple(folders),
        checkpoints=tuple(dict.fromkeys(checkpoints)),
        run_names=named,
        mentions=mentions,
        sources=_sources(database.file),
        archived=not database.is_sqlite,
        remains=Remains(
            log_bytes=database.empty_log(),
            trainings=tuple(workers),
            folders_left=tuple(left),
        ),
    )


def finish_forgetting(
    database: Database, own: AdapterFolders, user_id: str | None = None
) -> Remains:
    """Finish what forgetting left: the log, folders, and trainings that were asked to stop.

    On PostgreSQL the tables are rewritten, since their files keep deleted rows.

    Args:
        database: The store.
        own: The store's adapters.
        user_id: Somebody who was forgotten: adapters and checkpoints that name them are deleted.

    Returns:
        What remains now.

    Raises:
        CorpusError: If a folder cannot be deleted, or the store still holds the person.
    """
    if user_id is not None:
        with database.read() as connection:
            if connection.scalar(select(users.c.id).where(users.c.user_id == user_id)) is not None:
                raise CorpusError(
                    f"nothing to finish: the store {database.name!r} still contains user "
                    f"{user_id!r}",
                    hint=f"forget them first: usersim forget {user_id}",
                )
    deleted = own.finish()
    left: list[LeftFolder] = []
    if user_id is not None:
        _sweep(database, own, user_id, deleted, left)
        deleted += own.delete_checkpoints(user_id)
    with database.write() as connection:
        workers = stopping(connection)
    database.vacuum([table.name for table in metadata.sorted_tables])
    return Remains(
        log_bytes=database.empty_log(),
        trainings=tuple(workers),
        folders_left=tuple(left),
        deleted=tuple(deleted),
    )


def _delete_rows(
    connection: Connection, database: Database, owner: int, taught: Sequence[int]
) -> dict[str, int]:
    """Delete every row of a person, and return how many there were of each kind."""
    mine = select(interactions.c.key).where(interactions.c.user_id == owner)
    counts = {
        "candidates": _count(connection, candidates.c.interaction_key.in_(mine)),
        "selections": _count(connection, selections.c.interaction_key.in_(mine)),
        "responses": _count(connection, responses.c.user_id == owner),
        "run_items": _count(connection, run_items.c.user_id == owner),
        "interactions": _count(connection, interactions.c.user_id == owner),
        "conversations": _count(connection, conversations.c.user_id == owner),
    }
    counts["search_rows"] = drop_user(connection, database, owner)
    counts["fits"] = drop_fits(connection)
    connection.execute(delete(adapters).where(adapters.c.id.in_(taught)))
    # The rest hangs on these two by ON DELETE CASCADE.
    connection.execute(delete(interactions).where(interactions.c.user_id == owner))
    connection.execute(delete(users).where(users.c.id == owner))
    return counts


def _count(connection: Connection, condition: ColumnElement[bool]) -> int:
    return connection.scalar(select(func.count()).where(condition)) or 0


def _adapters(connection: Connection, owner: int) -> dict[int, _Taught]:
    """Return the adapters that learned from a user, by row id."""
    theirs = select(adapter_users.c.adapter_id).where(adapter_users.c.user_id == owner)
    table = adapters.c
    query = (
        select(table.id, table.name, table.path, table.digest, func.count())
        .join(adapter_users, adapter_users.c.adapter_id == table.id)
        .where(table.id.in_(theirs))
        .group_by(table.id, table.name, table.path, table.digest)
        .order_by(table.id)
    )
    return {row[0]: _Taught(*row[1:]) for row in connection.execute(query)}


def _delete_adapters(
    own: AdapterFolders, taught: Sequence[_Taught], folders: list[str], left: list[LeftFolder]
) -> None:
    for one in taught:
        folder = own.located(one.path)
        why = own.delete(folder, one.digest)
        if why is None:
            folders.append(str(folder))
        else:
            left.append(why)


def _sweep(
    database: Database,
    own: AdapterFolders,
    user_id: str,
    folders: list[str],
    left: list[LeftFolder],
) -> list[str]:
    """Delete adapters that name a person and that the store does not know; return their names.

    A training that was killed between writing an adapter and registering it leaves one.
    """
    with database.read() as connection:
        known = {own.located(path) for path in connection.scalars(select(adapters.c.path))}
    names: list[str] = []
    for found in own.adapters_of(user_id, besides=known):
        if str(found.folder) in {one.path for one in left}:
            continue
        if own.moves:
            why = own.delete(found.folder, found.digest)
        else:  # the folder may hold another store's adapters, of another person of that name
            why = LeftFolder(
                str(found.folder),
                f"it names {user_id!r} but is not registered in this store; delete it if it is "
                "yours",
            )
        if why is None:
            folders.append(str(found.folder))
            names.append(found.folder.name)
        else:
            left.append(why)
    return names


def _sources(store: Path | None) -> tuple[str, ...]:
    """Return the files beside a store that have its name and can be loaded."""
    if store is None:
        return ()
    stem = store.name.split(".")[0]
    beside = sorted(store.parent.glob(f"{glob.escape(stem)}.*"))
    return tuple(str(path) for path in beside if _LOADED & set(path.suffixes))


def _run_names(connection: Connection, user_id: str) -> tuple[str, ...]:
    """Return the runs whose name or settings hold an id as a word of its own."""
    word = re.compile(rf"(?<![^\W_]){re.escape(user_id)}(?![^\W_])", re.IGNORECASE)
    query = select(runs.c.name, runs.c.config).where(runs.c.name.is_not(None)).order_by(runs.c.id)
    return tuple(
        name for name, config in connection.execute(query) if word.search(name + "\n" + config)
    )
