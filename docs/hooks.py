"""What the documentation reads from the code: module lists, and the table of every setting.

A page names what it wants in a comment of its own line, `<!-- modules: usersim.corpus -->` or
`<!-- configuration -->`, so a new module or setting is documented as soon as it exists.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

_MODULES = re.compile(r"^<!-- modules: ([\w.]+) -->$", re.MULTILINE)
_CONFIGURATION = "<!-- configuration -->"


def on_page_markdown(markdown: str, **_: object) -> str:
    """Fill the page's comments; called by mkdocs for each page."""
    markdown = _MODULES.sub(lambda match: _modules(match[1]), markdown)
    if _CONFIGURATION in markdown:
        markdown = markdown.replace(_CONFIGURATION, _configuration())
    return markdown


def _modules(name: str) -> str:
    """Return a mkdocstrings block for every public module of the package or module `name`."""
    path = ROOT.joinpath(*name.split("."))
    if path.with_suffix(".py").is_file():
        return f"::: {name}\n"
    names = [
        ".".join(file.relative_to(ROOT).with_suffix("").parts)
        for file in sorted(path.rglob("*.py"))
        if not any(part.startswith("_") for part in file.relative_to(ROOT).parts)
        and "versions" not in file.parts
        and file.stem != "env"
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
    return "\n\n".join([*tables, _table("The engine", config.EngineConfig)])


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


def _row(name: str, info: FieldInfo) -> str:
    kind = getattr(info.annotation, "__name__", None)
    if kind in {None, "Literal"}:
        kind = str(info.annotation).replace("typing.Literal", "one of ")
    bounds = ", ".join(
        f"{sign} {getattr(mark, word)}"
        for mark in info.metadata
        for word, sign in {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}.items()
        if getattr(mark, word, None) is not None
    )
    meaning = " ".join((info.description or "").split())
    cells = (f"`{name}`", f"`{kind}`", f"`{info.default!r}`", bounds, meaning)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
