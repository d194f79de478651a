"""Where a store's adapters lie, how their paths are kept, and what of them may be deleted.

A store may come from anywhere, so what it says of folders is not enough to delete one. Deleted is
only what lies below the store's own folder of adapters, reached by no link, and shows by its
manifest and its digest that it is the adapter in question; and of it only an adapter's own files.
Knows folders and files; knows no table.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Collection, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import orjson

from usersim.corpus.store.database import Database
from usersim.engines.adapters import adapter_digest
from usersim.errors import CorpusError
from usersim.terminal import visible

__all__ = ["AdapterFolders", "FoundAdapter", "LeftFolder", "adapters_folder"]

_MANIFEST = "usersim.json"
_FILES = ("adapter_model.safetensors", "adapter_config.json", "README.md", _MANIFEST)
"""An adapter's files, in the order in which they are deleted: the weights first, and last what
says whose they are, so that a removal that was cut off can be finished."""
_USERS = "users.json"
"""Beside the checkpoints of a training that has not ended: whose data they hold."""
_RUN = re.compile(r"[0-9a-f]{16}")
"""Names of the folders of checkpoints."""


@dataclass(frozen=True, slots=True)
class LeftFolder:
    """A folder that was not deleted.

    Attributes:
        path: Where it is.
        reason: Why it was left alone.
    """

    path: str
    reason: str

    def __str__(self) -> str:
        """Say it in a line."""
        return f"{visible(self.path)} ({visible(self.reason)})"


@dataclass(frozen=True, slots=True)
class FoundAdapter:
    """An adapter in the store's own folder, by its manifest.

    Attributes:
        folder: Its folder.
        digest: What the manifest says of configuration and weights.
        users: Whose data was used.
    """

    folder: Path
    digest: str
    users: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AdapterFolders:
    """The folder of a store's own adapters, and the paths that the store keeps of them.

    Attributes:
        root: The store's own adapters are made in here.
        moves: Whether it lies beside the store and moves with it, as that of a SQLite file does;
            paths below it are then kept relative to it, and no other store uses it.
    """

    root: Path
    moves: bool

    @classmethod
    def of(cls, database: Database, root: str | Path | None = None) -> AdapterFolders:
        """Return those of a store.

        Args:
            database: The store.
            root: Another folder than the one that belongs to the store.
        """
        if root is not None:
            return cls(Path(root), moves=False)
        return cls(adapters_folder(database.file), moves=database.file is not None)

    def kept(self, folder: str | Path) -> str:
        """Return the path that the store keeps of a folder."""
        real, root = Path(folder).resolve(), self.root.resolve()
        if self.moves and real != root and real.is_relative_to(root):
            return real.relative_to(root).as_posix()
        return str(real)

    def located(self, kept: str) -> Path:
        """Return the folder of a kept path, absolute; it may not exist."""
        return self.root.resolve() / kept

    def delete(self, folder: Path, digest: str) -> LeftFolder | None:
        """Delete an adapter's files, and its folder if nothing else is in it.

        Args:
            folder: Where it is said to be.
            digest: What its configuration and weights must hash to.

        Returns:
            What was left, and why; None if the folder is gone.

        Raises:
            CorpusError: If the disk refuses.
        """
        why = self._why_not(folder, digest)
        if why:
            return LeftFolder(str(folder), why)
        with _deleting(folder):
            for name in _FILES:
                (folder / name).unlink(missing_ok=True)
            if any(folder.iterdir()):
                return LeftFolder(
                    str(folder), "the adapter is deleted; the folder contains other files"
                )
            folder.rmdir()
        return None

    def _why_not(self, folder: Path, digest: str) -> str:
        """Return why a folder may not be deleted; empty if it may."""
        if not folder.exists() and not folder.is_symlink():
            return "not found; was it moved?"
        if not self._is_own(folder):
            return f"outside the store's own folder of adapters, {self.root}"
        found = _manifest(folder)
        if found is None:
            return f"not an adapter: it has no {_MANIFEST}"
        if found.digest != digest or not _matches(folder, digest):
            return "its digest differs from the registered one"
        return ""

    def _is_own(self, folder: Path) -> bool:
        root = self.root.resolve()
        real = folder.resolve()
        # Without a link on the way, a path is its own real path.
        plain = Path(os.path.normpath(folder))
        return real != root and real.is_relative_to(root) and plain == real

    def adapters_of(self, user_id: str, *, besides: Collection[Path]) -> Iterator[FoundAdapter]:
        """Yield adapters in the store's own folder that say that they learned from a person.

        Args:
            user_id: The person.
            besides: Folders that are left out.
        """
        for path in sorted(self.root.resolve().glob(f"*/{_MANIFEST}")):
            found = _manifest(path.parent)
            if found is not None and user_id in found.users and found.folder not in besides:
                yield found

    def delete_checkpoints(self, user_id: str) -> list[str]:
        """Delete what trainings that did not end left of a person, and return the folders.

        A training that is still at work notices that its folder is gone, and stops.

        Raises:
            CorpusError: If the disk refuses.
        """
        deleted: list[str] = []
        for told in sorted((self.root.resolve() / "checkpoints").glob(f"*/{_USERS}")):
            folder = told.parent
            if not _RUN.fullmatch(folder.name) or not self._is_own(folder):
                continue
            if user_id in _users_in(told):
                half = self.root.resolve() / f".half-made-{folder.name}"
                for one in (folder, half):
                    if one.is_dir() and self._is_own(one):
                        self._drop(one)
                        deleted.append(str(one))
        return deleted

    def _drop(self, folder: Path) -> None:
        # Renamed first: what a training still writes there does not mix with the deleting.
        gone = folder.with_name(f".forgotten-{folder.name.strip('.')}-{os.getpid()}")
        with _deleting(folder):
            folder.rename(gone)
            shutil.rmtree(gone)

    def finish(self) -> list[str]:
        """Delete what a removal that was cut off had started to delete, and return the folders.

        Raises:
            CorpusError: If the disk refuses.
        """
        root = self.root.resolve()
        begun = [*root.glob(".forgotten-*"), *root.glob("checkpoints/.forgotten-*")]
        own = [folder for folder in begun if folder.is_dir() and self._is_own(folder)]
        for folder in own:
            with _deleting(folder):
                shutil.rmtree(folder)
        return [str(folder) for folder in own]


@contextmanager
def _deleting(folder: Path) -> Generator[None]:
    """Say of a disk that refuses which folder cannot be deleted.

    Yields:
        Nothing.

    Raises:
        CorpusError: Naming the folder.
    """
    try:
        yield
    except OSError as error:
        raise CorpusError(
            f"{str(folder)!r} cannot be deleted: {error.strerror or error}",
            hint="make it writable and repeat the call, which continues where it stopped",
        ) from error


def _manifest(folder: Path) -> FoundAdapter | None:
    """Return what a folder's manifest says; None if it has none that can be read."""
    try:
        fields = orjson.loads((folder / _MANIFEST).read_bytes())
        users = [str(user) for user in fields["users"]]
        return FoundAdapter(folder, str(fields["adapter_digest"]), tuple(users))
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError):
        return None


def _matches(folder: Path, digest: str) -> bool:
    """Return whether the files are those of a digest; half of a removal is what is left of them."""
    if not (folder / _FILES[0]).exists():
        return True
    try:
        return adapter_digest(folder) == digest
    except OSError:
        return False


def _users_in(path: Path) -> list[object]:
    try:
        users = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return []
    return cast("list[object]", users) if isinstance(users, list) else []


def adapters_folder(store: Path | None) -> Path:
    """Return where the adapters of a store are kept: beside its file.

    Args:
        store: File of a SQLite store; None for one in memory or in PostgreSQL.

    Example:
        >>> adapters_folder(Path("data/people.usersim.db")).name
        'people.usersim.adapters'
    """
    return Path("usersim-adapters") if store is None else store.with_suffix(".adapters")
