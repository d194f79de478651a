"""Instruments as files: JSON, and YAML where PyYAML is installed.

YAML is read by its safe loader alone; nothing in a file can name code. Size, depth and number of
values are bounded before anything is made of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

from pydantic import BaseModel, ValidationError

from usersim.errors import MissingDependencyError, SurveyError
from usersim.files import write_text

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["listed", "of_data", "plain", "read_file", "read_json", "write_file"]

MOST_BYTES = 4_000_000
"""Largest instrument file; aliases of YAML could make a small one large, so they are refused."""

MOST_DEEP = 20
"""Deepest nesting of a file; an instrument has 7 levels."""
MOST_VALUES = 200_000
"""Most values of a file, keys included."""
MOST_QUESTIONS = 5_000
"""Most questions of an instrument."""
MOST_TOLD = 50
"""Problems that an error lists."""


class _Mark(Protocol):
    line: int


class _Node(Protocol):
    """A node of PyYAML: scalars hold text, sequences nodes, mappings pairs of nodes."""

    tag: str
    value: object
    start_mark: _Mark


Model = TypeVar("Model", bound=BaseModel)
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_JSON_MARKS = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:\n]')
"""Strings whole, so that what stands in them is not a mark."""
_SUFFIXES = (".json", ".yaml", ".yml")


def read_file(path: str | Path) -> object:
    """Return what a file holds.

    Raises:
        SurveyError: If it cannot be read.
        MissingDependencyError: If it is YAML and PyYAML is not installed.
    """
    file = Path(path)
    kind = _kind(file)
    try:
        if file.stat().st_size > MOST_BYTES:
            raise SurveyError(f"{str(path)!r} has more than {MOST_BYTES} bytes")
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SurveyError(f"the survey file {str(path)!r} cannot be read: {error}") from error
    return _of_json(text, file) if kind == ".json" else _of_yaml(text, file)


def _kind(file: Path) -> str:
    if file.suffix.lower() not in _SUFFIXES:
        raise SurveyError(
            f"{str(file)!r} ends with {file.suffix!r}",
            hint=f"a survey file ends with one of {', '.join(_SUFFIXES)}",
        )
    return file.suffix.lower()


def _of_json(text: str, file: Path) -> object:
    return read_json(text, str(file))


def read_json(text: str, where: str) -> object:
    """Return what a JSON text holds.

    Args:
        text: The whole text.
        where: Its file, for messages.

    Raises:
        SurveyError: If it is not JSON, or an object has a key twice: the first value would be lost.

    Example:
        >>> read_json('{"title": "Tea", "title": "Milk"}', "tea.json")
        Traceback (most recent call last):
        ...
        usersim.errors.SurveyError: 'tea.json' has the key 'title' twice: again in line 1
        ...
    """
    try:
        found: object = json.loads(text)
    except RecursionError as error:
        raise SurveyError(_too_deep(where)) from error
    except ValueError as error:
        raise SurveyError(f"{where!r} is not JSON: {error}") from error
    _check_shape(found, where)
    if (twice := _doubled_key(text)) is not None:
        _refuse_key(where, *twice)
    return found


def _refuse_key(where: str, key: str, line: int) -> None:
    """Say that a key stands twice in one object.

    Raises:
        SurveyError: Always.
    """
    raise SurveyError(
        f"{where!r} has the key {key!r} twice: again in line {line}",
        hint="remove one of them",
    )


def _doubled_key(text: str) -> tuple[str, int] | None:
    """Return the first key that stands twice in one object of a JSON text, and its line."""
    open_: list[set[str] | None] = []
    pending, line = "", 1
    for match in _JSON_MARKS.finditer(text):
        mark = match[0]
        if mark == "\n":
            line += 1
        elif mark in "{[":
            open_.append(set() if mark == "{" else None)
        elif mark in "}]":
            open_.pop()
        elif mark == ":":
            keys = open_[-1]
            assert keys is not None, "a colon stands in an object"
            if pending in keys:
                return pending, line
            keys.add(pending)
        else:
            pending = json.loads(mark)
    return None


def _check_shape(data: object, where: str) -> None:
    """Check how deep data are, and how many; without recursion.

    Raises:
        SurveyError: If they are too deep or too many.
    """
    level, values = [data], 0
    for _ in range(MOST_DEEP):
        level = [inner for one in level for inner in _inside(one)]
        values += len(level)
        if values > MOST_VALUES:
            raise SurveyError(_too_many(where))
        if not level:
            return
    raise SurveyError(_too_deep(where))


def _inside(value: object) -> Iterable[object]:
    if isinstance(value, Mapping):
        return cast("Mapping[object, object]", value).values()
    return cast("list[object]", value) if isinstance(value, list) else ()


def _too_deep(where: str) -> str:
    return f"{where!r} is nested deeper than {MOST_DEEP} levels"


def _too_many(where: str) -> str:
    return f"{where!r} has more than {MOST_VALUES} values"


def _of_yaml(text: str, file: Path) -> object:
    yaml = _yaml()
    loader = _loader(yaml)
    try:
        _check_events(yaml, text, str(file))
        _check_keys(yaml.compose(text, Loader=loader), file)
        return cast("object", yaml.load(text, Loader=loader))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise SurveyError(f"{str(file)!r} is not valid YAML: {error}") from error


def _check_keys(node: _Node | None, file: Path) -> None:
    """Refuse a mapping that has a key twice: YAML would keep the last value, the others lost."""
    held = None if node is None else node.value
    if not isinstance(held, list):
        return
    seen: set[tuple[str, object]] = set()
    for one in cast("list[_Node | tuple[_Node, _Node]]", held):
        if not isinstance(one, tuple):
            _check_keys(one, file)
            continue
        key, value = one
        if not isinstance(key.value, list):
            name = (key.tag, key.value)
            if name in seen:
                _refuse_key(str(file), str(key.value), key.start_mark.line + 1)
            seen.add(name)
        _check_keys(key, file)
        _check_keys(value, file)


def _check_events(yaml: ModuleType, text: str, where: str) -> None:
    """Check a file before values are made of it: PyYAML's own time grows with the depth.

    Raises:
        SurveyError: If it has an alias, or is too deep or too long.
    """
    depth = values = 0
    for event in yaml.parse(text, Loader=_base(yaml)):
        if isinstance(event, yaml.AliasEvent):
            line = event.start_mark.line + 1
            raise SurveyError(
                f"{where!r} has an alias (*{event.anchor}) in line {line}",
                hint="write out the value: aliases are not supported, because a few can expand to "
                "a huge file",
            )
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        values += isinstance(event, yaml.NodeEvent)
        if depth > MOST_DEEP:
            raise SurveyError(_too_deep(where))
        if values > MOST_VALUES:
            raise SurveyError(_too_many(where))


class _Base(Protocol):
    """A loader of PyYAML: how it tells a plain word's type by its first letter."""

    yaml_implicit_resolvers: Mapping[str, Sequence[tuple[str, re.Pattern[str]]]]


def _base(yaml: ModuleType) -> type:
    """Return the safe loader; where libyaml is there, the fast one."""
    return cast("type", getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def _loader(yaml: ModuleType) -> type:
    """Return the safe loader without numbers of base 60, as YAML 1.2 has it.

    `10:30` is a text then, as whoever writes it means it, and `1:1:1…` takes no time.
    """
    base = _base(yaml)
    kept = {
        first: [
            (tag, _without_colons(pattern) if tag in _NUMBERS else pattern) for tag, pattern in of
        ]
        for first, of in cast("_Base", base).yaml_implicit_resolvers.items()
    }
    return type("PlainNumbers", (base,), {"yaml_implicit_resolvers": kept})


def _without_colons(pattern: re.Pattern[str]) -> re.Pattern[str]:
    return re.compile(f"(?!.*:)(?:{pattern.pattern})", pattern.flags)


def _yaml() -> ModuleType:
    try:
        import yaml
    except ImportError:
        raise MissingDependencyError("yaml", extra="survey", why="an instrument in YAML") from None
    return yaml


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
            f"{_place(data, one['loc'])}: {one['msg'].removeprefix('Value error, ')}"
            f"{_given(one['input'])}"
            for one in found
        )
        raise SurveyError(
            f"{where!r} is not a valid survey:{said}",
            hint="the page 'Simulate a survey' shows every question type",
        ) from None


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
    sections = [told, *_inside(told.get("sections"))]
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
    file = Path(path)
    if _kind(file) == ".json":
        text = json.dumps(data, ensure_ascii=False, indent=2) + "\n"
    else:
        text = _yaml().safe_dump(dict(data), allow_unicode=True, sort_keys=False, width=100)
    return write_text(file, text, what="the instrument", error=SurveyError)
