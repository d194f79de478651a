"""Forgetting one person: every row, the search index, and the adapters that learned from them.

Folders go first: after an interruption the store still says what is left to remove.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

import orjson
from sqlalchemy import Connection, delete, func, select
from sqlalchemy.sql import ColumnElement

from usersim.corpus.adapter_folders import AdapterFolders
from usersim.corpus.database import Database
from usersim.corpus.owners import user_row_id
from usersim.corpus.search import drop_user
from usersim.corpus.tables import (
    adapter_users,
    adapters,
    candidates,
    conversations,
    interactions,
    responses,
    run_items,
    selections,
    users,
)
from usersim.errors import CorpusError

__all__ = ["Removal", "forget"]

_ADAPTER_FILES = ("adapter_config.json", "manifest.json")
_USERS = "users.json"
"""Beside the checkpoints of a training that has not ended: whose data they hold."""


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
        adapters: Names of the adapters that learned from them.
        shared_adapters: Those of `adapters` that learned from other people too; they are gone
            for these as well, because what was learned cannot be taken out again.
        folders: Adapter folders deleted.
        folders_left: Folders that hold no adapter, or none at all, and were left alone.
        checkpoints: Folders of trainings that were cut off while they learned from them, deleted.
    """

    user_id: str
    interactions: int
    conversations: int
    candidates: int
    selections: int
    responses: int
    run_items: int
    search_rows: int
    adapters: tuple[str, ...]
    shared_adapters: tuple[str, ...]
    folders: tuple[str, ...]
    folders_left: tuple[str, ...]
    checkpoints: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Say it in lines."""
        lines = [f"removed of user {self.user_id!r}:"]
        counts = (item.name for item in fields(self)[1:8])
        lines += [f"  {name.replace('_', ' ')}: {getattr(self, name)}" for name in counts]
        lines.append(f"  adapters: {', '.join(self.adapters) or 'none'}")
        if self.shared_adapters:
            shared = ", ".join(self.shared_adapters)
            lines.append(f"  these were shared and must be trained again for others: {shared}")
        lines += [f"  folder deleted: {folder}" for folder in self.folders]
        lines += [f"  checkpoints deleted: {folder}" for folder in self.checkpoints]
        lines += [f"  folder left alone (no adapter in it): {f}" for f in self.folders_left]
        return "\n".join(lines)


def forget(database: Database, user_id: str, own: AdapterFolders) -> Removal:
    """Remove everything of one person.

    SQLite overwrites what is deleted (`secure_delete`), and its log is emptied at the end.
    Copies of the sources, of adapters elsewhere, and backups are out of reach.

    Args:
        database: The store.
        user_id: The person.
        own: The store's adapters, and the checkpoints that trainings leave beside them.

    Returns:
        What was removed.
    """
    with database.read() as connection:
        owner = user_row_id(connection, user_id)
        taught = _adapters(connection, owner)
    paths = [str(own.located(path)) for _, path, _ in taught.values()]
    unfinished = _unfinished({own.root, *(Path(path).parent for path in paths)}, user_id)
    folders, left = _delete_folders(paths)
    for folder in unfinished:
        _delete(folder, "the checkpoints in")
    with database.write() as connection:
        mine = select(interactions.c.key).where(interactions.c.user_id == owner)
        counts = {
            "candidates": _count(connection, candidates.c.interaction_key.in_(mine)),
            "selections": _count(connection, selections.c.interaction_key.in_(mine)),
            "responses": _count(connection, responses.c.user_id == owner),
            "run_items": _count(connection, run_items.c.user_id == owner),
            "interactions": _count(connection, interactions.c.user_id == owner),
            "conversations": _count(connection, conversations.c.user_id == owner),
        }
        searched = drop_user(connection, database, owner)
        connection.execute(delete(adapters).where(adapters.c.id.in_(list(taught))))
        # The rest hangs on these two by ON DELETE CASCADE.
        connection.execute(delete(interactions).where(interactions.c.user_id == owner))
        connection.execute(delete(users).where(users.c.id == owner))
    database.empty_log()
    return Removal(
        user_id=user_id,
        **counts,
        search_rows=searched,
        adapters=tuple(name for name, _, _ in taught.values()),
        shared_adapters=tuple(name for name, _, people in taught.values() if people > 1),
        folders=tuple(folders),
        folders_left=tuple(left),
        checkpoints=tuple(str(folder) for folder in unfinished),
    )


def _count(connection: Connection, condition: ColumnElement[bool]) -> int:
    return connection.scalar(select(func.count()).where(condition)) or 0


def _adapters(connection: Connection, owner: int) -> dict[int, tuple[str, str, int]]:
    """Return name, path and number of people of each adapter that learned from a user."""
    theirs = select(adapter_users.c.adapter_id).where(adapter_users.c.user_id == owner)
    query = (
        select(adapters.c.id, adapters.c.name, adapters.c.path, func.count())
        .join(adapter_users, adapter_users.c.adapter_id == adapters.c.id)
        .where(adapters.c.id.in_(theirs))
        .group_by(adapters.c.id, adapters.c.name, adapters.c.path)
        .order_by(adapters.c.id)
    )
    return {row[0]: (row[1], row[2], row[3]) for row in connection.execute(query)}


def _delete_folders(paths: list[str]) -> tuple[list[str], list[str]]:
    """Delete adapter folders; a path that is no adapter folder is left alone.

    The path comes from the store, so the folder itself must show that it is an adapter.

    Raises:
        CorpusError: If a folder cannot be deleted.
    """
    deleted: list[str] = []
    left: list[str] = []
    for path in dict.fromkeys(paths):
        folder = Path(path)
        known = any((folder / name).is_file() for name in _ADAPTER_FILES)
        if folder.is_symlink() or not folder.is_dir() or not known:
            left.append(path)
            continue
        _delete(folder, "the adapter folder")
        deleted.append(path)
    return deleted, left


def _unfinished(near: Iterable[Path], user_id: str) -> list[Path]:
    """Return the folders of trainings that did not end and that say that they hold a person."""
    found: list[Path] = []
    for place in sorted(set(near)):
        for told in sorted(place.glob(f"checkpoints/*/{_USERS}")):
            try:
                users = orjson.loads(told.read_bytes())
            except (OSError, orjson.JSONDecodeError):
                continue
            if isinstance(users, list) and user_id in users and not told.parent.is_symlink():
                found.append(told.parent)
    return found


def _delete(folder: Path, what: str) -> None:
    """Delete a folder.

    Raises:
        CorpusError: If it cannot be deleted.
    """
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise CorpusError(
            f"{what} {str(folder)!r} cannot be deleted: {error}",
            hint="nothing was removed from the store; mend the permissions and repeat",
        ) from error
