"""JSON schemas of one answer, as action spaces: a closed question is scored, not written.

Understood are an enumeration, a boolean, a number, a list of enumerated items and a string, by
themselves or as the one property of an object. Whatever else a schema says is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NoReturn, cast

from usersim.errors import ActionError, RefusedRequestError
from usersim.types import ActionSpace, ActionValue, FreeText, Number, action_space

__all__ = ["Form", "form_of_schema", "form_of_space"]

_SHOWN = 200
_NOTES = {"title", "description", "examples", "default", "$schema", "$defs", "$id", "$comment"}
"""Keywords that say nothing about which values are allowed."""
_MOST_STEPS = 20
"""References in a row that are followed."""
_YES_NO = {"yes": True, "no": False}


@dataclass(frozen=True, slots=True)
class Form:
    """What an answer may be, and how it is written.

    Attributes:
        space: The action space.
        write: Turns the action into the reply's content.
    """

    space: ActionSpace
    write: Callable[[ActionValue], str]


def form_of_space(space: ActionSpace) -> Form:
    """Return the form of answers that are written as plain text."""
    return Form(space, space.render)


def form_of_schema(schema: Mapping[str, object], *, kind: str | None = None) -> Form:
    """Return the form of answers that keep to a JSON schema.

    Args:
        schema: The schema; local references are followed.
        kind: `scale` where the options of an enumeration are in order.

    Returns:
        The form; it writes JSON.

    Raises:
        RefusedRequestError: If the schema asks for more than one answer, or for what no action
            space is.

    Example:
        >>> form = form_of_schema({"type": "string", "enum": ["tea", "coffee"]})
        >>> form.space, form.write("tea")
        (Choice(options=('tea', 'coffee'), kind='choice'), '"tea"')
    """
    root = _resolved(schema, schema)
    if root.get("type") != "object":
        space, value = _value(root, schema, kind)
        return Form(space, lambda action: _json(value(action)))
    _only(root, {"type", "properties", "required", "additionalProperties"})
    given = root.get("properties")
    properties = given
    if not isinstance(properties, dict) or len(properties) != 1:  # pyright: ignore[reportUnknownArgumentType]
        _refuse(f"it has the properties {_shown(given)}; an answer can have only one")
    ((name, inner),) = cast("dict[str, object]", properties).items()
    space, value = _value(_resolved(inner, schema), schema, kind)
    return Form(space, lambda action: _json({name: value(action)}))


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _refuse(why: str) -> NoReturn:
    """Refuse a schema.

    Raises:
        RefusedRequestError: Saying why.
    """
    raise RefusedRequestError(
        f"the JSON schema is not supported: {why}",
        code="unsupported_schema",
        param="response_format",
        hint="ask one thing at a time: an enum, a boolean, a number, an array of enum items, or "
        "a string, by itself or as the one property of an object",
    )


def _shown(value: object) -> str:
    """Return a value for a message: short, and also where Python has no text for it."""
    try:
        text = repr(value)
    except ValueError:  # a whole number of more digits than Python writes out
        return f"a value of type {type(value).__name__} with too many digits"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _only(schema: Mapping[str, object], known: set[str]) -> None:
    """Refuse keywords that would be dropped otherwise.

    Raises:
        RefusedRequestError: If there is one.
    """
    more = sorted(set(schema) - known - _NOTES)
    if more:
        _refuse(f"it uses {more!r}")


def _resolved(part: object, whole: Mapping[str, object]) -> Mapping[str, object]:
    """Follow references, from wherever they stand, to the definitions of the whole schema.

    Raises:
        RefusedRequestError: If there is no such definition, or `part` is not a schema.
    """
    here: object = part
    for _ in range(_MOST_STEPS):
        if not isinstance(here, Mapping):
            _refuse(f"{_shown(here)} is not a schema")
        told = cast("Mapping[str, object]", here)
        if "$ref" not in told:
            return told
        _only(told, {"$ref"})
        here = _defined(told["$ref"], whole)
    _refuse("its references form a cycle")


def _defined(reference: object, whole: Mapping[str, object]) -> object:
    """Return what a reference such as `#/$defs/Drink` names.

    Raises:
        RefusedRequestError: If it names nothing in the schema.
    """
    found: object = whole
    path = str(reference)
    for step in path.removeprefix("#/").split("/") if path.startswith("#/") else ["#"]:
        name = step.replace("~1", "/").replace("~0", "~")
        held = _object(found)
        if name not in held:
            _refuse(f"its reference {_shown(path)} does not exist")
        found = held[name]
    return found


def _object(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, Mapping) else {}


_Write = Callable[[ActionValue], object]


def _value(
    schema: Mapping[str, object], whole: Mapping[str, object], kind: str | None
) -> tuple[ActionSpace, _Write]:
    """Return the action space of one value, and how an action becomes that value.

    Raises:
        RefusedRequestError: If there is none.
    """
    try:
        if "enum" in schema or "const" in schema:
            return _enumerated(schema, kind)
        kind_of_value = schema.get("type")
        if kind_of_value == "array":
            return _several(schema, whole)
        readers = {"boolean": _boolean, "integer": _number, "number": _number, "string": _string}
        reader = readers.get(kind_of_value) if isinstance(kind_of_value, str) else None
        if reader is None:
            _refuse(f"of type {_shown(kind_of_value)}")
        return reader(schema)
    except ActionError as error:
        _refuse(str(error))


def _enumerated(schema: Mapping[str, object], kind: str | None) -> tuple[ActionSpace, _Write]:
    _only(schema, {"enum", "type"})
    values = schema.get("enum")
    by_text = _options(values, f"its enum is {_shown(values)}")
    space = action_space(kind or "choice", tuple(by_text))
    return space, lambda action: by_text[str(action)]


def _options(values: object, otherwise: str) -> dict[str, object]:
    """Return the values of an enumeration by the text that stands for each.

    Raises:
        RefusedRequestError: If they are none, or two of them read the same.
    """
    if not isinstance(values, list):
        _refuse(otherwise)
    listed = cast("list[object]", values)
    by_text = {_text(value): value for value in listed}
    if len(by_text) < len(listed):
        _refuse("two values of its enum have the same text")
    return by_text


def _text(value: object) -> str:
    """Return an option as it is shown.

    Raises:
        RefusedRequestError: If it is neither text nor a number.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        _refuse(f"{_shown(value)} is not an option")
    return value if isinstance(value, str) else Number().render(_finite(value))


def _finite(value: float) -> float:
    """Return a number that arithmetic can hold.

    Raises:
        RefusedRequestError: If it is larger; its digits are not repeated, since they are many.
    """
    try:
        float(value)
    except OverflowError:
        _refuse("a number in it is too large")
    return value


def _boolean(schema: Mapping[str, object]) -> tuple[ActionSpace, _Write]:
    _only(schema, {"type"})
    return action_space("choice", tuple(_YES_NO)), lambda action: _YES_NO[str(action)]


def _number(schema: Mapping[str, object]) -> tuple[ActionSpace, _Write]:
    _only(schema, {"type", "minimum", "maximum"})
    whole = schema["type"] == "integer"
    low, high = (
        _finite(bound) if isinstance(bound, int) else bound
        for bound in (schema.get("minimum"), schema.get("maximum"))
    )
    space = action_space("number", low=low, high=high, integer=whole)
    return space, lambda action: int(float(str(action))) if whole else float(str(action))


def _several(
    schema: Mapping[str, object], whole: Mapping[str, object]
) -> tuple[ActionSpace, _Write]:
    _only(schema, {"type", "items", "uniqueItems"})
    items = _resolved(schema.get("items"), whole)
    _only(items, {"type", "enum"})
    by_text = _options(items.get("enum"), "the items of its array have no enum")
    space = action_space("multi_choice", tuple(by_text))
    return space, lambda action: [
        by_text[one] for one in (action if isinstance(action, tuple) else (str(action),))
    ]


def _string(schema: Mapping[str, object]) -> tuple[ActionSpace, _Write]:
    _only(schema, {"type"})
    return FreeText(), str
