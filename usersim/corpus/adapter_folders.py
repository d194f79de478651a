"""Where a store's adapters lie, and how their paths are kept: they move with the store.

Knows folders and paths; knows no table.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from usersim.corpus.database import Database

__all__ = ["AdapterFolders", "adapters_folder"]


@dataclass(frozen=True, slots=True)
class AdapterFolders:
    """The folder of a store's own adapters, and the paths that the store keeps of them.

    Attributes:
        root: The store's own adapters are made in here.
        moves: Whether it lies beside the store and moves with it, as that of a SQLite file does;
            paths below it are then kept relative to it.
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


def adapters_folder(store: Path | None) -> Path:
    """Return where the adapters of a store are kept: beside its file.

    Args:
        store: File of a SQLite store; None for one in memory or in PostgreSQL.

    Example:
        >>> adapters_folder(Path("data/people.usersim.db")).name
        'people.usersim.adapters'
    """
    return Path("usersim-adapters") if store is None else store.with_suffix(".adapters")
