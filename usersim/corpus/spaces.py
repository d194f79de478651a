"""Action spaces of a source's rows, and their JSON in the store.

Pure functions. Knows the fields that say what a person could have done.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from usersim.corpus.values import RowError, dump_json
from usersim.errors import ActionError
from usersim.types import ActionSpace, Number, action_space

__all__ = ["LIMITS", "implied_kind", "new_space", "space_from_json"]

LIMITS = ("low", "high", "unit", "integer")
"""Fields of a row that bound a number."""


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
