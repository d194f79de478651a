"""Where a corpus is stored if the caller does not say."""

from __future__ import annotations

from pathlib import Path

__all__ = ["store_of"]

SUFFIX = ".usersim.db"


def store_of(source: object, store: str | Path | None) -> str:
    """Return the store of `source`: the one named, a file beside it, or memory.

    Example:
        >>> store_of("people/ada.jsonl", None)
        'people/ada.usersim.db'
        >>> store_of([], None)
        ':memory:'
    """
    if store is not None:
        return str(store)
    if isinstance(source, str | Path):
        path = Path(source)
        return str(path.with_name(path.name.split(".")[0] + SUFFIX))
    return ":memory:"
