"""What the command line says speaks of flags and files, never of Python."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest
import typer
from typer.testing import CliRunner

import usersim
from tests.fixtures.words import PYTHON
from usersim.cli.app import app

PACKAGE = Path(usersim.__file__).parent
ELSEWHERE = {
    "corpus/corpus.py": "stores are handed to workers in Python alone",
    "engines/scripted.py": "an engine for tests, which no command loads",
    "evaluation/harness.py": "arms of one's own are callables in Python",
    "integrations/gymnasium.py": "environments are used from Python",
    "server/asked.py": "said to clients over HTTP",
    "server/guard.py": "said to clients over HTTP",
    "server/roles.py": "said to clients over HTTP",
    "simulation/dialogue/assistants.py": "dialogues are held from Python",
    "simulator/dialogue_files.py": "dialogues are held from Python",
    "simulator/face.py": "simulators are handed to workers in Python alone",
    "training/manifest.py": "provenance comes from our own code",
}
"""Modules whose words about Python reach no command, and why."""


PYTHON_ONLY = "ArgumentError"
"""Raised for arguments of calls in Python, which no command gives wrongly."""


class Said:
    """One text in the source."""

    def __init__(self, path: Path, node: ast.AST, text: str) -> None:
        self.module = path.relative_to(PACKAGE).as_posix()
        self.place = f"{self.module}:{getattr(node, 'lineno', 0)}"
        self.text = text

    @property
    def python(self) -> bool:
        """Whether it speaks of Python."""
        return PYTHON.search(self.text) is not None


def _text(node: ast.AST) -> str:
    """Return the constant parts of a text, `{}` for what is filled in."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) or "{}" for part in node.values)
    either = isinstance(node, ast.IfExp | ast.BoolOp)
    parts = [
        part
        for name in ("left", "right", "body", "orelse", "values")
        for part in _listed(getattr(node, name, []))
    ]
    return (" | " if either else "").join(map(_text, parts))


def _listed(value: object) -> list[ast.AST]:
    return value if isinstance(value, list) else [value]  # type: ignore[list-item]


@cache
def _calls() -> list[tuple[Path, ast.Call, dict[str, ast.expr]]]:
    return [
        (path, node, {k.arg: k.value for k in node.keywords if k.arg})
        for path in sorted(PACKAGE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    ]


def _hints() -> Iterator[tuple[Said, Said | None]]:
    for path, node, named in _calls():
        if "hint" in named and ast.unparse(node.func) != PYTHON_ONLY:
            other = named.get("cli_hint")
            cli = None if other is None else Said(path, node, _text(other))
            yield Said(path, node, _text(named["hint"])), cli


def _messages() -> Iterator[Said]:
    for path, node, _ in _calls():
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        name = node.func.id if isinstance(node.func, ast.Name) else name
        if name.endswith("Error") and name != PYTHON_ONLY:
            for argument in node.args:
                yield Said(path, node, _text(argument))


def test_a_hint_about_python_has_a_form_for_the_command_line() -> None:
    """Whoever adds a hint with an argument, a class or a call says what the flag or file is."""
    found = list(_hints())
    assert len(found) > 150, "the hints were not found"
    missing = [
        f"{hint.place}: {hint.text}"
        for hint, cli in found
        if hint.python and cli is None and hint.module not in ELSEWHERE
    ]
    assert not missing
    wrong = [f"{cli.place}: {cli.text}" for _, cli in found if cli is not None and cli.python]
    assert not wrong


def test_messages_name_neither_arguments_nor_calls() -> None:
    """A message is the same on both surfaces."""
    found = [f"{one.place}: {one.text}" for one in _messages() if one.python]
    assert [one for one in found if one.split(":")[0] not in ELSEWHERE] == []


def test_no_exception_is_kept_for_a_module_that_needs_none() -> None:
    """The list of modules that speak of Python holds no module that does not."""
    speaking = {hint.module for hint, cli in _hints() if hint.python and cli is None}
    speaking |= {one.module for one in _messages() if one.python}
    assert sorted(ELSEWHERE) == sorted(speaking & set(ELSEWHERE))


@pytest.mark.parametrize(
    ("text", "python"),
    [
        ("give user_id=, for instance 'ada'", True),
        ("report.refused.write(path) writes all of them", True),
        ("load with strict=False", True),
        ("lower TrainingConfig.learning_rate", True),
        ("pass None", True),
        ("give --user, for instance --user ada", False),
        ("only LoRA adapters (see the page) can be applied", False),
        ('a request is a row such as {"user_id": "ada", "context": "Tea?"}', False),
        ("--recent=3 is not among 1, 2", False),
    ],
)
def test_python_is_recognized(text: str, python: bool) -> None:
    """Arguments, calls and classes are told apart from flags and prose."""
    assert (PYTHON.search(text) is not None) is python


def test_no_help_text_speaks_of_python() -> None:
    """Commands, arguments and options are described in terms of flags and files."""
    found: list[str] = []

    def walk(command: click.Command, path: str) -> None:
        texts = [command.help or "", *(getattr(one, "help", "") or "" for one in command.params)]
        found.extend(f"{path}: {text}" for text in texts if PYTHON.search(text))
        for name, inner in getattr(command, "commands", {}).items():
            walk(inner, f"{path} {name}")

    walk(typer.main.get_command(app), "usersim")
    assert found == []


def test_no_command_prints_a_report_in_the_words_of_python() -> None:
    """A load report's own text speaks of Python; commands print its lines instead."""
    for path in (PACKAGE / "cli").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"print\([^)]*\breport\)", text), path.name
        assert "sim.report)" not in text.replace("print_load(sim.report", ""), path.name


def test_every_flag_that_a_hint_names_is_one() -> None:
    """A next step at the command line can be taken: some command has that option."""
    known = {"--"}

    def walk(command: click.Command) -> None:
        known.update(name for one in command.params for name in (*one.opts, *one.secondary_opts))
        for inner in getattr(command, "commands", {}).values():
            walk(inner)

    walk(typer.main.get_command(app))
    texts = [said for pair in _hints() for said in pair if said is not None]
    unknown = [
        f"{said.place}: {flag}"
        for said in texts
        if said.module not in ELSEWHERE and not said.text.startswith("install it with")
        for flag in re.findall(r"(?<![\w-])--[a-z][a-z-]*", said.text)
        if flag not in known and "pip " not in said.text
    ]
    assert unknown == []


def _helps(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for name, inner in getattr(command, "commands", {}).items():
        yield from _helps(inner, (*path, name))


def test_help_is_whole_at_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """No name of a flag and no line about a command is cut; sections for Python are left out."""
    monkeypatch.setenv("COLUMNS", "80")
    command = typer.main.get_command(app)
    for path in _helps(command):
        printed = CliRunner().invoke(app, [*path, "--help"]).output
        assert not re.search(r"^\s*(Args|Raises|Returns|Example):", printed, re.MULTILINE), path
        assert not re.search(r"\w\.\.\.$", printed.partition("\n")[2], re.MULTILINE), path
        long = [line for line in printed.splitlines() if len(line) > 80]
        assert all(line.startswith("  --") for line in long), "only the choices of an option"
        here = command
        for name in path:
            here = here.commands[name]  # type: ignore[attr-defined]
        for option in here.params:
            for flag in (*option.opts, *option.secondary_opts):
                assert not flag.startswith("--") or re.search(rf"{flag}\b", printed), (path, flag)
