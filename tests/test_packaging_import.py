"""What `import usersim` does, and does not do; each fact in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest

import usersim

HEAVY = ("torch", "transformers", "peft", "trl", "sqlalchemy", "pandas", "numpy", "pydantic")


def _python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(usersim.__file__).parent.parent,
    )
    return done.stdout.strip()


def test_import_loads_no_library() -> None:
    """`import usersim` leaves every dependency unloaded."""
    code = f"import sys, usersim; print([m for m in {HEAVY!r} if m in sys.modules])"
    assert _python(code) == "[]"


def test_the_web_framework_is_loaded_when_a_server_is_made() -> None:
    """The command line, the endpoint's package and the explorer's leave FastAPI unloaded."""
    code = (
        "import sys, usersim.cli.app, usersim.server, usersim.explorer;"
        "print([m for m in ('fastapi', 'starlette', 'uvicorn', 'mcp') if m in sys.modules])"
    )
    assert _python(code) == "[]"


def test_import_changes_nothing_global() -> None:
    """`import usersim` sets no environment variable and no warning filter, and adds one handler."""
    code = (
        "import logging, os, warnings; before = dict(os.environ), list(warnings.filters);"
        "import usersim; assert before == (dict(os.environ), list(warnings.filters));"
        "print(logging.getLogger('usersim').handlers, logging.getLogger().handlers)"
    )
    assert _python(code) == "[<NullHandler (NOTSET)>] []"


@pytest.mark.parametrize("name", usersim.__all__)
def test_each_public_name_is_there_on_first_use(name: str) -> None:
    """Every name of `usersim.__all__` can be imported from `usersim`."""
    assert getattr(usersim, name) is not None


def test_each_public_name_is_public_where_it_lives() -> None:
    """`usersim` offers no name that its own module keeps to itself."""
    homes = usersim._HOME
    for module, names in homes.items():
        assert set(names) <= set(import_module(module).__all__), module
    assert {name for names in homes.values() for name in names} | {"errors"} == set(usersim.__all__)


def test_public_names_are_listed_before_they_are_used() -> None:
    """`dir(usersim)` shows names that are not imported yet."""
    assert _python("import usersim; print(set(usersim.__all__) <= set(dir(usersim)))") == "True"


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A misspelled name says what was asked of which module."""
    with pytest.raises(AttributeError, match="module 'usersim' has no attribute 'UserSimulater'"):
        _ = usersim.UserSimulater


def test_the_version_is_the_distributions() -> None:
    """`usersim.__version__` is the version of the installed distribution."""
    assert usersim.__version__ == version("usersim-recon")
