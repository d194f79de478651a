"""Documents that people write, as plain data: JSON, and YAML where PyYAML is installed.

YAML is read by its safe loader alone; nothing in a file can name code. Size, depth and number of
values are bounded before anything is made of them. Knows no model of what a document says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from usersim.errors import MissingDependencyError, UsersimError
from usersim.files.whole import write_text

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["MOST_BYTES", "inside", "read_document", "read_json", "write_document"]

MOST_BYTES = 4_000_000
"""Largest document; aliases of YAML could make a small one large, so they are refused."""

MOST_DEEP = 20
"""Deepest nesting; a survey has 7 levels."""
MOST_VALUES = 200_000
"""Most values, keys included."""

Error = type[UsersimError]
"""What a document that cannot be read is."""


class _Mark(Protocol):
    line: int


class _Node(Protocol):
    """A node of PyYAML: scalars hold text, sequences nodes, mappings pairs of nodes."""

    tag: str
    value: object
    start_mark: _Mark


_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_JSON_MARKS = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:\n]')
"""Strings whole, so that what stands in them is not a mark."""
_SUFFIXES = (".json", ".yaml", ".yml")


def read_document(path: str | Path, *, what: str, error: Error) -> object:
    """Return what a file holds.

    Args:
        path: `.json`, or `.yaml` or `.yml`, which needs PyYAML.
        what: What it is, for messages: `survey file`.
        error: What to raise.

    Raises:
        UsersimError: Of the class `error`, if it cannot be read, is too large, has a key twice or
            an alias.
        MissingDependencyError: If it is YAML and PyYAML is not installed.
    """
    file = Path(path)
    kind = _kind(file, what, error)
    try:
        if file.stat().st_size > MOST_BYTES:
            raise error(f"{str(path)!r} has more than {MOST_BYTES} bytes")
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise error(f"the {what} {str(path)!r} cannot be read: {problem}") from problem
    if kind == ".json":
        return read_json(text, str(file), error=error)
    return _of_yaml(text, str(file), what, error)


def write_document(
    path: str | Path, data: Mapping[str, object], *, what: str, error: Error
) -> Path:
    """Write plain data; the file appears when it is whole.

    Args:
        path: `.json`, or `.yaml` or `.yml`, which needs PyYAML.
        data: The data.
        what: What it is, for messages.
        error: What to raise.

    Raises:
        UsersimError: Of the class `error`, if it cannot be written.
        MissingDependencyError: If it is YAML and PyYAML is not installed.
    """
    file = Path(path)
    if _kind(file, what, error) == ".json":
        text = json.dumps(data, ensure_ascii=False, indent=2) + "\n"
    else:
        text = _yaml(what).safe_dump(dict(data), allow_unicode=True, sort_keys=False, width=100)
    return write_text(file, text, what=f"the {what}", error=error)


def _kind(file: Path, what: str, error: Error) -> str:
    if file.suffix.lower() not in _SUFFIXES:
        raise error(
            f"{str(file)!r} ends with {file.suffix!r}",
            hint=f"a {what} ends with one of {', '.join(_SUFFIXES)}",
        )
    return file.suffix.lower()


def read_json(text: str, where: str, *, error: Error) -> object:
    """Return what a JSON text holds.

    Args:
        text: The whole text.
        where: Its file, for messages.
        error: What to raise.

    Raises:
        UsersimError: Of the class `error`, if it is not JSON, or an object has a key twice: the
            first value would be lost.

    Example:
        >>> from usersim.errors import SurveyError
        >>> read_json('{"title": "Tea", "title": "Milk"}', "tea.json", error=SurveyError)
        Traceback (most recent call last):
        ...
        usersim.errors.SurveyError: 'tea.json' has the key 'title' twice: again in line 1
        ...
    """
    try:
        found: object = json.loads(text)
    except RecursionError as problem:
        raise error(_too_deep(where)) from problem
    except ValueError as problem:
        raise error(f"{where!r} is not JSON: {problem}") from problem
    _check_shape(found, where, error)
    if (twice := _doubled_key(text)) is not None:
        _refuse_key(where, *twice, error)
    return found


def _refuse_key(where: str, key: str, line: int, error: Error) -> None:
    """Say that a key stands twice in one object.

    Raises:
        UsersimError: Always.
    """
    raise error(
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


def _check_shape(data: object, where: str, error: Error) -> None:
    """Check how deep data are, and how many; without recursion.

    Raises:
        UsersimError: If they are too deep or too many.
    """
    level, values = [data], 0
    for _ in range(MOST_DEEP):
        level = [inner for one in level for inner in inside(one)]
        values += len(level)
        if values > MOST_VALUES:
            raise error(_too_many(where))
        if not level:
            return
    raise error(_too_deep(where))


def inside(value: object) -> Iterable[object]:
    """Return the values that a value of plain data holds.

    Example:
        >>> list(inside({"a": 1, "b": [2]}))
        [1, [2]]
    """
    if isinstance(value, Mapping):
        return cast("Mapping[object, object]", value).values()
    return cast("list[object]", value) if isinstance(value, list) else ()


def _too_deep(where: str) -> str:
    return f"{where!r} is nested deeper than {MOST_DEEP} levels"


def _too_many(where: str) -> str:
    return f"{where!r} has more than {MOST_VALUES} values"


def _of_yaml(text: str, where: str, what: str, error: Error) -> object:
    yaml = _yaml(what)
    loader = _loader(yaml)
    try:
        _check_events(yaml, text, where, error)
        _check_keys(yaml.compose(text, Loader=loader), where, error)
        return cast("object", yaml.load(text, Loader=loader))
    except (yaml.YAMLError, RecursionError, ValueError) as problem:
        if isinstance(problem, UsersimError):
            raise
        raise error(f"{where!r} is not valid YAML: {problem}") from problem


def _check_keys(node: _Node | None, where: str, error: Error) -> None:
    """Refuse a mapping that has a key twice: YAML would keep the last value, the others lost."""
    held = None if node is None else node.value
    if not isinstance(held, list):
        return
    seen: set[tuple[str, object]] = set()
    for one in cast("list[_Node | tuple[_Node, _Node]]", held):
        if not isinstance(one, tuple):
            _check_keys(one, where, error)
            continue
        key, value = one
        if not isinstance(key.value, list):
            name = (key.tag, key.value)
            if name in seen:
                _refuse_key(where, str(key.value), key.start_mark.line + 1, error)
            seen.add(name)
        _check_keys(key, where, error)
        _check_keys(value, where, error)


def _check_events(yaml: ModuleType, text: str, where: str, error: Error) -> None:
    """Check a file before values are made of it: PyYAML's own time grows with the depth.

    Raises:
        UsersimError: If it has an alias, or is too deep or too long.
    """
    depth = values = 0
    for event in yaml.parse(text, Loader=_base(yaml)):
        if isinstance(event, yaml.AliasEvent):
            line = event.start_mark.line + 1
            raise error(
                f"{where!r} has an alias (*{event.anchor}) in line {line}",
                hint="write out the value: aliases are not supported, because a few can expand to "
                "a huge file",
            )
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        values += isinstance(event, yaml.NodeEvent)
        if depth > MOST_DEEP:
            raise error(_too_deep(where))
        if values > MOST_VALUES:
            raise error(_too_many(where))


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


def _yaml(what: str) -> ModuleType:
    try:
        import yaml
    except ImportError:
        raise MissingDependencyError("yaml", extra="survey", why=f"a {what} in YAML") from None
    return yaml
