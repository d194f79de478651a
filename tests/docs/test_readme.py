"""Every Python block of the README, the tutorial and the pages runs; every command is one.

The blocks of a page are one program: they run in order, in one namespace, in a folder that holds
the small invented files which the pages name.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
import typer.core
from typer.testing import CliRunner

from tests.fixtures import exports
from tests.fixtures.qsf import instrument
from usersim.cli.app import app

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    """Return the fenced blocks of a page in one language."""
    found = _FENCE.findall(page.read_text(encoding="utf-8"))
    return [body for name, body in found if name == language]


def commands(page: Path) -> list[str]:
    """Return the lines of a page's console blocks that call usersim, without their comments."""
    lines = (line for block in blocks(page, "console") for line in block.splitlines())
    return [line.partition("  #")[0].strip() for line in lines if line.startswith("usersim")]


def name_of(page: Path) -> str:
    """Return a page's path in the repository."""
    return page.relative_to(ROOT).as_posix()


def run(page: Path) -> None:
    """Execute the Python blocks of a page as one program."""
    code = "\n".join(blocks(page, "python"))
    exec(compile(code, str(page), "exec"), {"__name__": "page"})


def write_files(folder: Path) -> None:
    """Write what the pages' blocks read: people, a chat log, a survey, its codebook, answers."""
    rows = [
        {"user_id": "ada", "order": n, "context": f"Question {n}?", "action": f"Answer {n}."}
        for n in range(6)
    ]
    chat = {
        "id": "c",
        "messages": [
            {"role": "assistant", "content": "Hello?"},
            {"role": "user", "content": "Who is there?"},
        ],
    }
    codebook = {"tea": {"text": "I like tea.", "kind": "scale", "options": ["no", "yes"]}}
    many = [
        {
            "user_id": f"p{p}",
            "context": f"Cup {n}?",
            "action": "Yes.",
            "metadata": {"sex": "fm"[p % 2]},
        }
        for p in range(40)
        for n in range(3)
    ]
    asked = [f"p{p},{'yes' if p % 3 else 'no'},{p % 5 + 1}" for p in range(24)]
    (folder / "people.jsonl").write_text("\n".join(map(json.dumps, many)), encoding="utf-8")
    (folder / "asked.csv").write_text("\n".join(["respondent,tea,joy", *asked]), encoding="utf-8")
    (folder / "tea.qsf").write_bytes(instrument())
    (folder / "ada.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    (folder / "chats.jsonl").write_text(json.dumps({**chat, "user_id": "bo"}), encoding="utf-8")
    (folder / "answers.csv").write_text("user_id,tea\nbo,yes\n", encoding="utf-8")
    (folder / "codebook.json").write_text(json.dumps(codebook), encoding="utf-8")
    talks = json.dumps(exports.chatgpt())
    exports.zipped(folder / "chatgpt.zip", {"conversations.json": talks, "chat.html": "<html>"})
    (folder / "chat.txt").write_text(exports.ANDROID, encoding="utf-8")


WITH_PYTHON = [page for page in PAGES if blocks(page, "python")]
WITH_COMMANDS = [page for page in PAGES if commands(page)]


def test_pages_are_found() -> None:
    """The first pages a reader sees are among those that are executed."""
    executed = {name_of(page) for page in WITH_PYTHON}
    assert {"README.md", "docs/index.md", "docs/tutorial/first-user.md"} <= executed
    assert {"README.md", "docs/tutorial/first-user.md"} <= set(map(name_of, WITH_COMMANDS))


@pytest.mark.parametrize("page", WITH_PYTHON, ids=name_of)
def test_python_blocks_run(page: Path, without_model: Callable[[], None], workplace: Path) -> None:
    """The code that a page shows is the code that runs."""
    write_files(workplace)
    without_model()
    run(page)


@pytest.mark.model
@pytest.mark.slow
@pytest.mark.usefixtures("brief_presets")
@pytest.mark.parametrize("name", ["README.md", "docs/tutorial/first-user.md"])
def test_python_blocks_run_on_the_embedded_model(
    name: str, embedded_model: Path, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The README and the tutorial run with the model that a reader has, with few, short draws."""
    run(ROOT / name)
    assert capsys.readouterr().out


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=name_of)
def test_commands_are_understood(page: Path, workplace: Path) -> None:
    """Every command and option that a page shows exists."""
    for name in re.findall(r"\b(?:slack\b|\w+\.\w+)", "\n".join(commands(page))):
        (workplace / name).touch()
    group = typer.main.get_command(app)
    for line in commands(page):
        _, *words = shlex.split(line)
        with group.make_context("usersim", words) as root:
            name, command, rest = group.resolve_command(root, [*root._protected_args, *root.args])
            assert command is not None, line
            alone = rest[:1] != [] and rest[0].startswith("-")  # a group that is a command too
            if isinstance(command, typer.core.TyperGroup) and not (
                alone and command.invoke_without_command
            ):
                name, command, rest = command.resolve_command(root, rest)
                assert command is not None, line
            with typer.Context(command, info_name=name, parent=root) as context:
                command.parse_args(context, rest)


def test_commands_of_the_chat_tutorial_run(
    without_model: Callable[[], None], workplace: Path
) -> None:
    """A reader who types the page's commands gets from the export to an answer and back."""
    page = ROOT / "docs/tutorial/your-chatgpt-history.md"
    write_files(workplace)
    without_model()
    printed: list[str] = []
    for line in commands(page):
        done = CliRunner().invoke(app, shlex.split(line)[1:])
        assert done.exit_code == 0, (line, done.output)
        printed.append(done.output)
    loaded, users, shown, *_ = printed
    assert "kept 3" in loaded
    assert "turns of other branches 2" in " ".join(loaded.split())
    assert "mira" in users
    assert "Shorter, please." in shown
    assert "already present 3" in printed[-2]


def test_links_of_the_first_page_lead_somewhere() -> None:
    """Every relative link of the README names a file; the site's own links mkdocs checks."""
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    inside = [link for link in links if "://" not in link]
    assert inside
    assert [link for link in inside if not (ROOT / link).exists()] == []
