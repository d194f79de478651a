"""Removing one adapter from a store: its row, and its folder where that is the store's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from usersim.corpus.ledger.adapter_folders import AdapterFolders
from usersim.corpus.ledger.ledger import Ledger
from usersim.corpus.ledger.records import AdapterRecord
from usersim.errors import NotStoredError
from usersim.views import in_words, printed

__all__ = ["RemovedAdapter", "adapter_named", "remove_adapter"]


@printed(in_words)
@dataclass(frozen=True, slots=True, kw_only=True)
class RemovedAdapter:
    """What became of an adapter that was removed from a store.

    Attributes:
        name: Its name.
        folder: Where it was.
        left: Why the folder was left alone; empty if it was deleted.

    Example:
        >>> from usersim import Corpus
        >>> with Corpus.open(":memory:") as corpus:
        ...     report = corpus.add([{"user_id": "ada", "context": "Tea?", "action": "Yes."}])
        ...     corpus.ledger.put_adapter(
        ...         name="ada-1f0c", path="/models/ada-1f0c", digest="1f0c", base_model="embedded",
        ...         user_ids=["ada"], manifest={},
        ...     )
        ...     removed = corpus.remove_adapter("ada-1f0c")
        >>> removed.name, removed.left
        ('ada-1f0c', 'not found; was it moved?')
    """

    name: str
    folder: str
    left: str = ""

    def __str__(self) -> str:
        """Say it in lines."""
        said = f"removed adapter {self.name!r} from the store"
        if self.left:
            return f"{said}\nfolder left alone: {self.folder} ({self.left})"
        return f"{said}\nfolder deleted: {self.folder}"


def adapter_named(ledger: Ledger, name: str) -> AdapterRecord:
    """Return an adapter of a store.

    Args:
        ledger: Of the store.
        name: Its name, or a beginning that no other name shares.

    Raises:
        NotStoredError: If there is none, or several.

    Example:
        >>> from usersim import Corpus
        >>> with Corpus.open(":memory:") as corpus:
        ...     try:
        ...         adapter_named(corpus.ledger, "ada")
        ...     except NotStoredError as error:
        ...         print(error)
        the store has no adapter 'ada'; there are []
    """
    known = ledger.adapters()
    found = [one for one in known if one.name == name]
    found = found or [one for one in known if one.name.startswith(name)]
    if len(found) == 1:
        return found[0]
    names = [one.name for one in found or known]
    said = "several adapters begin with" if found else "the store has no adapter"
    raise NotStoredError(f"{said} {name!r}; there are {names!r}")


def remove_adapter(ledger: Ledger, name: str, folders: AdapterFolders) -> RemovedAdapter:
    """Remove an adapter.

    Args:
        ledger: Of the store.
        name: The adapter, or a beginning of its name.
        folders: Where the store's adapters lie.

    Raises:
        CorpusError: If the folder cannot be deleted; the adapter then stays in the store.
        NotStoredError: If the store has no such adapter, or several.
    """
    record = adapter_named(ledger, name)
    left = folders.delete(Path(record.path), record.digest)
    ledger.drop_adapter(record.name)
    return RemovedAdapter(
        name=record.name, folder=record.path, left="" if left is None else left.reason
    )
