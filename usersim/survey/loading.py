"""Instruments as files: JSON, and YAML where PyYAML is installed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar, cast

from pydantic import BaseModel, ValidationError

from usersim.errors import SurveyError
from usersim.files import inside, read_document, write_document

__all__ = ["listed", "of_data", "plain", "read_file", "write_file"]

_WHAT = "survey file"

MOST_QUESTIONS = 5_000
"""Most questions of an instrument."""
MOST_TOLD = 50
"""Problems that an error lists."""


Model = TypeVar("Model", bound=BaseModel)


def read_file(path: str | Path) -> object:
    """Return what a file holds.

    Raises:
        SurveyError: If it cannot be read.
        MissingDependencyError: If it is YAML and PyYAML is not installed.
    """
    return read_document(path, what=_WHAT, error=SurveyError)


def of_data(model: type[Model], data: object, *, where: str) -> Model:
    """Return plain data as an instrument.

    Args:
        model: `Survey`.
        data: As JSON or YAML holds it.
        where: The file, for messages.

    Raises:
        SurveyError: If it is none; every problem is listed, with question and value.
    """
    _check_count(data, where)
    try:
        return model.model_validate(data)
    except ValidationError as error:
        found = error.errors(include_url=False)
        # A list whose entries are all wrong is also called empty, which would mislead.
        outer = {one["loc"][:steps] for one in found for steps in range(len(one["loc"]))}
        found = [one for one in found if one["loc"] not in outer]
        said = listed(
            f"{_place(data, one['loc'])}: {_said(one['type'], one['msg'])}{_given(one['input'])}"
            for one in found
        )
        raise SurveyError(
            f"{where!r} is not a valid survey:{said}",
            hint="the page 'Simulate a survey' shows every question type",
        ) from None


def _said(kind: str, message: str) -> str:
    """Return what is wrong with one value, by pydantic's name for it and its message."""
    if kind == "string_unicode":
        return "holds half a character (a lone surrogate), which no file can hold"
    return message.removeprefix("Value error, ")


def listed(problems: Iterable[str]) -> str:
    r"""Return problems as lines of an error: the first ones, and how many more there are.

    Example:
        >>> listed(["a", "b"])
        '\n- a\n- b'
    """
    every = list(problems)
    lines = every[:MOST_TOLD]
    if len(every) > MOST_TOLD:
        lines.append(f"… and {len(every) - MOST_TOLD} more")
    return "".join(f"\n- {line}" for line in lines)


def _check_count(data: object, where: str) -> None:
    """Check how many questions there are, before any of them is looked at.

    Raises:
        SurveyError: If there are too many.
    """
    if not isinstance(data, Mapping):
        return
    told = cast("Mapping[str, object]", data)
    sections = [told, *inside(told.get("sections"))]
    questions = [
        cast("Mapping[str, object]", one).get("questions")
        for one in sections
        if isinstance(one, Mapping)
    ]
    count = sum(len(cast("list[object]", one)) for one in questions if isinstance(one, list))
    if count > MOST_QUESTIONS:
        raise SurveyError(
            f"{where!r} has {count} questions, more than the limit of {MOST_QUESTIONS}",
            hint="split it into several surveys",
        )


def _place(data: object, loc: Sequence[int | str]) -> str:
    """Return where in an instrument something is wrong, questions and sections by their id."""
    words: list[str] = []
    here: object = data
    for step in loc:
        if isinstance(step, int) and isinstance(here, Sequence) and not isinstance(here, str):
            here = cast("Sequence[object]", here)[step]
            name = cast("Mapping[str, object]", here).get("id") if isinstance(here, Mapping) else ""
            words[-1] = f"{words[-1].rstrip('s')} {name!r}" if name else f"{words[-1]}[{step}]"
        elif isinstance(here, Mapping) and step in here:
            here = cast("Mapping[str, object]", here)[str(step)]
            words.append(str(step))
        elif loc[-1] == step and not _is_type(cast("object", here), step):
            words.append(str(step))
    return ", ".join(words) or "the file"


def _is_type(here: object, step: int | str) -> bool:
    """Return whether a step of pydantic's path is the type of the question, which its id tells."""
    return isinstance(here, Mapping) and cast("Mapping[str, object]", here).get("type") == step


def _given(value: object) -> str:
    """Return the value that is wrong, where it is short enough to be read."""
    if isinstance(value, bool):
        return f" (got {value!r}: in YAML, words such as yes and no need quotes)"
    said = repr(value)
    return f" (got {said})" if len(said) <= 80 else ""  # noqa: PLR2004 - one line


def plain(model: BaseModel) -> dict[str, object]:
    """Return an instrument as plain data, without what is default; types stay."""
    return cast("dict[str, object]", _typed(model))


def _typed(value: object) -> object:
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        return {
            name: _typed(getattr(value, name))
            for name in sorted(fields, key=lambda one: one not in {"type", "id"})
            if name == "type" or getattr(value, name) != fields[name].default
        }
    if isinstance(value, tuple):
        return [_typed(one) for one in cast("tuple[object, ...]", value)]
    if isinstance(value, Mapping):
        return dict(cast("Mapping[str, object]", value))
    return value


def write_file(path: str | Path, data: Mapping[str, object]) -> Path:
    """Write plain data; the file appears when it is whole.

    Raises:
        SurveyError: If it cannot be written.
        MissingDependencyError: If it is YAML and PyYAML is not installed.
    """
    return write_document(path, data, what=_WHAT, error=SurveyError)
