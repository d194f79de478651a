"""The docstrings of the public functions: parameters are explained, and an example calls each.

So it is with what they take and return: every class has an example of its own.

The examples themselves run with the tests (`--doctest-modules` in pyproject.toml).
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import get_args

import pytest

import usersim
from usersim import Corpus, Population, Run, Survey, UserSimulator, config

PACKAGE = Path(usersim.__file__).parent
ROOMS = (
    *("usersim", "usersim.corpus", "usersim.engines", "usersim.evaluation"),
    *("usersim.recon", "usersim.survey", "usersim.training"),
)
MORE = ("usersim.fleet", "usersim.prediction", "usersim.research")
MORE += ("usersim.survey.estimates", "usersim.survey.files")
"""Rooms in which only the classes have examples of their own."""
FACE = (UserSimulator, Corpus, Survey, Population, Run)
TWIN = re.compile(r"see `\w+`")
"""An asynchronous twin refers to the call that it waits for, and repeats nothing."""
CALLED_BY_THE_LIBRARY = {"Population.ask_many", "Population.names"}
NEEDS_A_TRAINING = {"BaseModelCache", "TrainedAdapter"}
"""Their examples are shown and do not run."""


def functions_in(rooms: Sequence[str]) -> dict[str, Callable[..., object]]:
    """Return every public function of some packages."""
    found: dict[str, Callable[..., object]] = {}
    for room in rooms:
        module = importlib.import_module(room)
        found |= {
            name: getattr(module, name)
            for name in module.__all__
            if inspect.isfunction(getattr(module, name))
        }
    return found


def functions() -> dict[str, Callable[..., object]]:
    """Return every public function of the rooms, and every public method of the face."""
    found = functions_in(ROOMS)
    for owner in FACE:
        for name, value in vars(owner).items():
            method = value.__func__ if isinstance(value, classmethod) else value
            if inspect.isfunction(method) and not name.startswith("_"):
                found[f"{owner.__name__}.{name}"] = inspect.unwrap(method)
    return found


FUNCTIONS = functions()


def classes_in(annotation: object) -> Iterator[type]:
    """Yield the package's own classes in a type, whatever holds them."""
    if inspect.isclass(annotation) and annotation.__module__.startswith("usersim."):
        yield annotation
    for part in get_args(annotation):
        yield from classes_in(part)


def taken_and_returned() -> dict[str, type]:
    """Return the classes in signatures of public functions, and every configuration, by name."""
    found = [getattr(config, name) for name in config.__all__]
    for function in (*FUNCTIONS.values(), *functions_in(MORE).values()):
        module = vars(importlib.import_module(function.__module__))
        names = re.findall(r"\w+", " ".join(map(str, function.__annotations__.values())))
        # What is imported for type checking alone is public at the top.
        found += [module.get(name, getattr(usersim, name, None)) for name in names]
    classes = {one for each in found for one in classes_in(each)}
    return {f"{one.__module__}.{one.__name__}": one for one in classes}


CLASSES = taken_and_returned()


@lru_cache
def examples(folder: Path) -> str:
    """Return the examples in all docstrings of a package."""
    return "\n".join(
        (ast.get_docstring(node) or "").partition("Example:")[2]
        for path in sorted(folder.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
    )


def is_twin(said: str) -> bool:
    """Return whether a docstring refers to another call in its first line."""
    return bool(TWIN.search(said.partition("\n")[0]))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_example_calls_it(name: str) -> None:
    """Whoever reads the reference sees each public call made, in its own package's examples."""
    function = FUNCTIONS[name]
    if is_twin(inspect.getdoc(function) or "") or name in CALLED_BY_THE_LIBRARY:
        return
    owner, _, own = name.rpartition(".")
    called = rf"\.{own}\(" if owner else rf"\b{own}\("
    folder = PACKAGE / function.__module__.split(".")[1]
    assert re.search(called, examples(folder))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_parameter_is_explained(name: str) -> None:
    """Each parameter stands under `Args:`, unless the docstring refers to a call that has them."""
    function = FUNCTIONS[name]
    said = inspect.getdoc(function) or ""
    if is_twin(said) or "Args as for" in said:
        return
    wanted = [one for one in inspect.signature(function).parameters if one not in {"self", "cls"}]
    told = re.findall(r"^ +\*{0,2}(\w+): ", said.partition("Args:")[2], re.MULTILINE)
    if len(wanted) == 1 and f"`{wanted[0]}`" in said:
        return
    assert [one for one in wanted if one not in told] == []


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_a_class_that_is_taken_or_returned_has_an_example(name: str) -> None:
    """Whoever is given one, or has to make one, sees how, in its own docstring."""
    owner = CLASSES[name]
    _, _, shown = (inspect.getdoc(owner) or "").partition("Example:")
    assert ("```python" if owner.__name__ in NEEDS_A_TRAINING else ">>>") in shown


def test_no_text_is_cut_off_by_a_line_break() -> None:
    """A constant's text goes on in parentheses: a text below it would be a docstring of its own."""
    cut: list[str] = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            body = getattr(node, "body", None)
            for first, second in pairwise(body if isinstance(body, list) else []):
                text = _text(getattr(first, "value", None))
                below = isinstance(second, ast.Expr) and _text(second.value)
                if below and text.endswith(" ") and not below[:1].isupper():
                    cut.append(f"{path.relative_to(PACKAGE)}:{first.lineno}")
    assert cut == []


def _text(node: ast.AST | None) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
