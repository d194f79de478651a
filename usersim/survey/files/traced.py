"""JSON objects that remember which of their keys were read, so that the rest can be accounted for.

An importer that knows a format by heart still meets keys that it has never seen. Whatever it did
not look at, and what is not known to be cosmetic, is listed by `unread`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

__all__ = ["Cosmetic", "Traced", "as_map", "is_listed", "list_in", "map_in", "settle_at"]

Cosmetic = Sequence[str]
"""Paths that change neither who is asked what nor what an answer means, such as
`Choices.*.InputWidth`; `*` is one key, and a path covers everything below it."""


class Traced(Mapping[str, object]):
    """A JSON object whose lookups are remembered; objects inside it are traced too.

    Example:
        >>> told = Traced({"Text": "Tea?", "Skip": {"To": "Q4", "If": "no"}})
        >>> told["Text"], map_in(told, "Skip")["To"]
        ('Tea?', 'Q4')
        >>> list(told.unread())
        [('Skip.If', 'no')]
    """

    __slots__ = ("_inner", "raw", "seen")

    def __init__(self, raw: Mapping[str, object]) -> None:
        self.raw = {str(key): value for key, value in raw.items()}
        self.seen: set[str] = set()
        self._inner: dict[str, object] = {}

    def __getitem__(self, key: str) -> object:
        found = self.inner(key)
        self.seen.add(key)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self.raw)

    def __len__(self) -> int:
        return len(self.raw)

    def __contains__(self, key: object) -> bool:
        return key in self.raw

    def inner(self, key: str) -> object:
        """Return the value under a key, without counting it as looked at."""
        if key not in self._inner:
            self._inner[key] = _traced(self.raw[key])
        return self._inner[key]

    def settle(self) -> None:
        """Count everything in it as looked at: it was noted as a whole, or means nothing."""
        for value in self.values():
            _settle(value)

    def merged(self, others: Mapping[str, object]) -> Traced:
        """Return an object with other values for some keys; this one counts as looked at."""
        self.settle()
        raw = {**self.raw, **{key: _raw(value) for key, value in others.items()}}
        return Traced(raw)

    def unread(self, cosmetic: Cosmetic = ()) -> Iterator[tuple[str, object]]:
        """Yield paths and values that were never looked at, the cosmetic ones left out.

        Args:
            cosmetic: Paths that do not matter.
        """
        yield from _unread(self, _Known.of(tuple(cosmetic)), "")


@dataclass(frozen=True, slots=True)
class _Known:
    """Cosmetic paths, as patterns: of themselves, and of the objects that hold them."""

    paths: re.Pattern[str]
    owners: re.Pattern[str]

    @staticmethod
    @lru_cache(maxsize=64)
    def of(cosmetic: tuple[str, ...]) -> _Known:
        parts = [path.split(".") for path in cosmetic]
        owners = [path[:depth] for path in parts for depth in range(1, len(path))]
        owners = [path for path in owners if "*" not in path]
        return _Known(_pattern(parts), _pattern(owners))


def _pattern(paths: Sequence[Sequence[str]]) -> re.Pattern[str]:
    each = (r"\.".join(re.escape(one).replace(r"\*", r"[^.]+") for one in path) for path in paths)
    return re.compile("|".join(dict.fromkeys(f"(?:{one})" for one in each)) or r"(?!)")


def _unread(value: object, known: _Known, path: str) -> Iterator[tuple[str, object]]:
    """Yield what is unread in a value that was looked at itself."""
    if isinstance(value, Traced):
        for key, raw in value.raw.items():
            here = f"{path}.{key}" if path else key
            if known.paths.fullmatch(here):
                continue
            if key in value.seen:
                yield from _unread(value.inner(key), known, here)
            else:
                yield from _never_read(raw, known, here)
    elif isinstance(value, list):
        for place, one in enumerate(cast("list[object]", value)):
            yield from _unread(one, known, f"{path}.{place}")


def _never_read(raw: object, known: _Known, path: str) -> Iterator[tuple[str, object]]:
    """Yield an unread value; of an object that is cosmetic in part the other parts."""
    if not raw or not known.owners.fullmatch(path) or not isinstance(raw, Mapping):
        yield path, raw
        return
    for key, value in cast("Mapping[str, object]", raw).items():
        here = f"{path}.{key}"
        if not known.paths.fullmatch(here):
            yield from _never_read(value, known, here)


def _settle(value: object) -> None:
    if isinstance(value, Traced):
        value.settle()
    elif isinstance(value, list):
        for one in cast("list[object]", value):
            _settle(one)


def _traced(value: object) -> object:
    if isinstance(value, Mapping):
        return Traced(cast("Mapping[str, object]", value))
    if isinstance(value, list):
        return [_traced(one) for one in cast("list[object]", value)]
    return value


def _raw(value: object) -> object:
    if isinstance(value, Traced):
        return value.raw
    if isinstance(value, list):
        return [_raw(one) for one in cast("list[object]", value)]
    return value


def is_listed(path: str, paths: Cosmetic) -> bool:
    """Return whether a path is one of some paths itself, and not below one."""
    return _Known.of(tuple(paths)).paths.fullmatch(path) is not None


def settle_at(owner: Mapping[str, object], *keys: str) -> None:
    """Count whatever is under some keys as looked at."""
    for key in keys:
        _settle(owner.get(key))


def as_map(value: object) -> Mapping[str, object]:
    """Return a value where it is an object; an empty one otherwise."""
    return cast("Mapping[str, object]", value) if isinstance(value, Mapping) else {}


def map_in(owner: Mapping[str, object], key: str) -> Mapping[str, object]:
    """Return the object under a key; an empty one if there is none."""
    return as_map(owner.get(key))


def list_in(owner: Mapping[str, object], key: str) -> list[object]:
    """Return the list under a key; an empty one if there is none."""
    value = owner.get(key)
    return cast("list[object]", value) if isinstance(value, list) else []
