"""What the documentation reads from the code: modules, settings, commands, and decisions.

A page names what it wants in a comment on a line of its own: `<!-- modules: usersim.corpus -->`,
`<!-- configuration -->`, `<!-- question types -->`, `<!-- commands -->` or `<!-- decisions -->`. So
a new module, setting, question type, command or decision is documented as soon as it exists.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

ROOT = Path(__file__).parent.parent
DECISIONS = ROOT / "docs" / "adr"

_MODULES = re.compile(r"^<!-- modules: ([\w.]+) -->$", re.MULTILINE)
_CONFIGURATION = "<!-- configuration -->"
_COMMANDS = "<!-- commands -->"
_QUESTIONS = "<!-- question types -->"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put every decision into the navigation; called by mkdocs once."""
    for section in config.nav or []:
        if isinstance(section, dict) and "Decisions" in section:
            section["Decisions"] += [f"adr/{file.name}" for file in _decisions()]
    return config


def on_page_markdown(markdown: str, **_: object) -> str:
    """Fill the page's comments; called by mkdocs for each page."""
    markdown = _MODULES.sub(lambda match: _modules(match[1]), markdown)
    if _CONFIGURATION in markdown:
        markdown = markdown.replace(_CONFIGURATION, _configuration())
    if _COMMANDS in markdown:
        markdown = markdown.replace(_COMMANDS, _commands())
    if _QUESTIONS in markdown:
        markdown = markdown.replace(_QUESTIONS, _questions())
    lines = (f"- [{_title(file)}]({file.name})" for file in _decisions())
    return markdown.replace("<!-- decisions -->", "\n".join(lines))


def _decisions() -> list[Path]:
    return sorted(DECISIONS.glob("[0-9]*.md"))


def _title(file: Path) -> str:
    return file.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")


def _modules(name: str) -> str:
    """Return a mkdocstrings block for every public module of the package or module `name`."""
    path = ROOT.joinpath(*name.split("."))
    if path.with_suffix(".py").is_file():
        return f"::: {name}\n"
    names = [
        ".".join(file.relative_to(ROOT).with_suffix("").parts)
        for file in sorted(path.rglob("*.py"))
        if not any(part.startswith("_") for part in file.relative_to(ROOT).parts)
        and "migrations" not in file.parts
    ]
    return "\n".join(f"::: {each}\n" for each in names)


def _configuration() -> str:
    """Return one table for each stage's settings, read from the models themselves."""
    from usersim import config

    stages = {
        field: info.annotation
        for field, info in config.PipelineConfig.model_fields.items()
        if info.annotation is not None
    }
    tables = [_table(f"`{name}`", model) for name, model in stages.items()]
    engines = [
        _table("The engine in this process", config.EngineConfig),
        _table("vLLM", config.VllmConfig),
        _table("A server", config.RemoteConfig),
        _table("Dialogues", config.DialogueConfig),
        _table("An assistant behind a server", config.AssistantEndpoint),
        _table("The endpoint", config.ServerConfig),
    ]
    return "\n\n".join([*tables, *engines])


def _table(title: str, model: type[BaseModel]) -> str:
    lines = [
        f"## {title}: `{model.__name__}`",
        "",
        (model.__doc__ or "").strip(),
        "",
        "| setting | type | default | bounds | meaning |",
        "|---|---|---|---|---|",
    ]
    lines += [_row(name, info) for name, info in model.model_fields.items()]
    return "\n".join(lines)


def _questions() -> str:
    """Return one table for each question type of an instrument, read from the models themselves."""
    from typing import get_args

    from usersim.survey.base import QuestionBase
    from usersim.survey.questions import SurveyQuestion

    shared = set(QuestionBase.model_fields)
    every = _fields("Every type", QuestionBase.__doc__, QuestionBase.model_fields)
    types = get_args(get_args(SurveyQuestion)[0])
    own = [
        _fields(
            f"`{model.model_fields['type'].default}`",
            model.__doc__,
            {
                name: info
                for name, info in model.model_fields.items()
                if name not in shared and name != "type"
            },
        )
        for model in types
    ]
    return "\n\n".join([every, *own])


def _fields(title: str, about: str | None, fields: Mapping[str, FieldInfo]) -> str:
    lines = [f"### {title}", "", " ".join((about or "").partition("\n\n")[0].split())]
    if fields:
        lines += ["", "| field | default | meaning |", "|---|---|---|"]
    for name, info in fields.items():
        default = "required" if info.is_required() else f"`{_plain(info.default)}`"
        meaning = " ".join((info.description or "").split())
        cells = (f"`{name}`", default, meaning)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def _plain(value: object) -> str:
    """Return a default as it stands in YAML and JSON."""
    return json.dumps(list(value) if isinstance(value, tuple) else value)


def _row(name: str, info: FieldInfo) -> str:
    kind = getattr(info.annotation, "__name__", None)
    if kind in {None, "Literal"}:
        kind = str(info.annotation).removeprefix("typing.Literal[").removesuffix("]")
    bounds = ", ".join(
        f"{sign} {getattr(mark, word)}"
        for mark in info.metadata
        for word, sign in {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}.items()
        if getattr(mark, word, None) is not None
    )
    meaning = " ".join((info.description or "").split())
    cells = (f"`{name}`", f"`{kind}`", f"`{info.default!r}`", bounds, meaning)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _commands() -> str:
    """Return one section for each command, as typer writes them from the code."""
    command = [
        sys.executable,
        "-m",
        "typer",
        "usersim.cli.app",
        "utils",
        "docs",
        "--name",
        "usersim",
    ]
    written = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout  # noqa: S603 - our own command
    return written[written.index("\n## ") :]
