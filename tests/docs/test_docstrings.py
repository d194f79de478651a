"""The docstrings of the public functions: parameters are explained, and an example calls each.

The examples themselves run with the tests (`--doctest-modules` in pyproject.toml).
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import pytest

import usersim
from usersim import Corpus, Population, Run, Survey, UserSimulator

PACKAGE = Path(usersim.__file__).parent
ROOMS = (
    *("usersim", "usersim.corpus", "usersim.engines", "usersim.evaluation"),
    *("usersim.recon", "usersim.survey", "usersim.training"),
)
FACE = (UserSimulator, Corpus, Survey, Population, Run)
TWIN = re.compile(r"see `\w+`")
"""An asynchronous twin refers to the call that it waits for, and repeats nothing."""
CALLED_BY_THE_LIBRARY = {"Population.ask_many", "Population.names"}


def functions() -> dict[str, Callable[..., object]]:
    """Return every public function of the rooms, and every public method of the face."""
    found: dict[str, Callable[..., object]] = {}
    for room in ROOMS:
        module = importlib.import_module(room)
        found |= {
            name: getattr(module, name)
            for name in module.__all__
            if inspect.isfunction(getattr(module, name))
        }
    for owner in FACE:
        for name, value in vars(owner).items():
            method = value.__func__ if isinstance(value, classmethod) else value
            if inspect.isfunction(method) and not name.startswith("_"):
                found[f"{owner.__name__}.{name}"] = inspect.unwrap(method)
    return found


FUNCTIONS = functions()


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
