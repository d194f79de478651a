"""Action spaces of a source's rows, and their JSON in the store.

Knows the fields that say what a person could have done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

from usersim.corpus.store.values import RowError, dump_json
from usersim.errors import ActionError
from usersim.types import ActionSpace, Number, ValueReader, action_space, plain_value

__all__ = ["LIMITS", "RowSpaces", "implied_kind", "new_space", "space_from_json"]

LIMITS = ("low", "high", "unit", "integer")
"""Fields of a row that bound a number."""
_CACHED = 4096


def implied_kind(options: tuple[object, ...], action: object) -> str:
    """Return the kind of an action that the source does not name.

    Example:
        >>> implied_kind((), 3), implied_kind(("a", "b"), "a"), implied_kind((), "3")
        ('number', 'choice', 'free_text')
    """
    if options:
        return "multi_choice" if isinstance(action, list | tuple) else "choice"
    is_number = isinstance(action, int | float) and not isinstance(action, bool)
    return "number" if is_number else "free_text"


def new_space(
    kind: str, options: tuple[str, ...], limits: tuple[object, ...]
) -> tuple[ActionSpace, str | None]:
    """Return an action space and its JSON.

    Args:
        kind: Name of the space.
        options: Its options; a free text or a number with options listed is what its kind says.
        limits: Values of `LIMITS`, for a number.

    Returns:
        The space, and what its kind does not say about it; None if nothing.

    Raises:
        RowError: If they do not fit.
    """
    bounds = {name: value for name, value in zip(LIMITS, limits, strict=True) if value is not None}
    open_kind = kind in {"free_text", "number"}
    try:
        space = action_space(
            kind, None if open_kind else options, **(bounds if kind == "number" else {})
        )
    except ActionError as error:
        field = "options" if kind in {"choice", "scale", "multi_choice"} else "action_type"
        raise RowError(field, list(options) or kind, str(error)) from None
    return space, _space_json(space)


def _space_json(space: ActionSpace) -> str | None:
    """Return what the action's kind does not say about its space; None if nothing."""
    if isinstance(space, Number):
        limits = {
            "low": space.low,
            "high": space.high,
            "unit": space.unit,
            "integer": space.integer or None,
        }
        said = {name: value for name, value in limits.items() if value is not None}
        return dump_json(said).decode() if said else None
    options = getattr(space, "options", None)
    return None if options is None else dump_json({"options": options}).decode()


def space_from_json(kind: str, fields: Mapping[str, object]) -> ActionSpace:
    """Return the action space that `_space_json` described."""
    rest = dict(fields)
    options = cast("list[str] | None", rest.pop("options", None))
    return action_space(kind, tuple(options) if options else None, **rest)


class RowSpaces:
    """The action spaces of rows, each made once.

    Args:
        clean: Makes an option's text one that every store can hold.
    """

    def __init__(self, clean: Callable[[str], str]) -> None:
        self._clean = clean
        self._spaces: dict[tuple[object, ...], tuple[ActionSpace, str | None]] = {}
        self._readers: dict[ActionSpace, ValueReader] = {}

    def of(self, row: Mapping[str, object]) -> tuple[ActionSpace, str | None]:
        """Return a row's action space and its JSON.

        Raises:
            RowError: If the fields that say it do not fit.
        """
        kind, options = row.get("action_type"), row.get("options")
        if options is None or options.__class__ is list:
            try:
                known = self._spaces.get((kind, tuple(cast("list[object]", options or ()))))
            except TypeError:  # an option that is a list or an object: refused below
                known = None
            if known is not None:
                return known
        return self._settled(kind, options, row)

    def reader(self, space: ActionSpace) -> ValueReader:
        """Return what reads values as actions of a space."""
        known = self._readers.get(space)
        if known is None:
            if len(self._readers) >= _CACHED:
                self._readers.clear()
            known = self._readers[space] = ValueReader(space)
        return known

    def _settled(
        self, kind: object, options: object, row: Mapping[str, object]
    ) -> tuple[ActionSpace, str | None]:
        if isinstance(options, str):  # a cell of a table
            options = [part.strip() for part in options.split("|") if part.strip()]
        if options is not None and not isinstance(options, list | tuple):
            raise RowError("options", options, "is not a list of texts")
        names = tuple(cast("list[object]", options)) if options else ()
        if kind is None or kind == "":
            kind = implied_kind(names, plain_value(row.get("action")))
        if not isinstance(kind, str):
            raise RowError("action_type", kind, "is not a text")
        return self._known(kind, names, tuple(row.get(name) for name in LIMITS))

    def _known(
        self, kind: str, names: tuple[object, ...], limits: tuple[object, ...]
    ) -> tuple[ActionSpace, str | None]:
        # A space by what the row says, as `of` looks it up; a number's bounds are fields apart.
        given = (kind, names, *limits) if kind == "number" else (kind, names)
        try:
            known = self._spaces.get(given)
        except TypeError:  # an option that is a list or an object
            raise RowError(
                "options", list(names), "contains something that is not a text"
            ) from None
        if known is None:
            if len(self._spaces) >= _CACHED:
                self._spaces.clear()
            options = tuple(self._option(name) for name in names)
            known = self._spaces[given] = new_space(kind, options, limits)
        return known

    def _option(self, value: object) -> str:
        value = plain_value(value)
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise RowError("options", value, "is not a text")
        return self._clean(str(value))
