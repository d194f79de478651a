"""The model card of an adapter, rendered from its manifest.

Knows the template and how to keep a value from becoming Markdown; knows no files of the
adapter.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

from jinja2 import Environment, StrictUndefined, Template

from usersim.training.manifest import Manifest

__all__ = ["SHOWN_USERS", "model_card"]

_ENDED = {
    "complete": "all steps were done",
    "stalled": "the validation likelihood no longer rose",
    "time": "the time limit was reached",
    "asked": "the caller stopped it",
}
SHOWN_USERS = 5
"""People whose ids a card and a notebook show."""


def _plain(value: object) -> str:
    """Return `value` as Markdown that shows it and nothing else."""
    text = " ".join(str(value).split())
    return re.sub(r"([\\`*_{}\[\]()<>#+!|~&$])", r"\\\1", text)


@cache
def _template(name: str) -> Template:
    environment = Environment(  # noqa: S701 - Markdown, escaped by `finalize`
        undefined=StrictUndefined,
        finalize=_plain,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    source = files("usersim.training").joinpath(f"templates/{name}.md.jinja")
    return environment.from_string(source.read_text(encoding="utf-8"))


def model_card(manifest: Manifest) -> str:
    """Return the card as Markdown; every value in it is escaped.

    Args:
        manifest: What the card describes.

    Returns:
        The text.
    """
    shown = ", ".join(repr(user) for user in manifest.users[:SHOWN_USERS])
    more = len(manifest.users) - SHOWN_USERS
    people = shown + (f" and {more} more" if more > 0 else "")
    template = _template("model_card" if manifest.synthesizer is None else "synthesizer_card")
    return template.render(m=manifest, people=people, ended=_ENDED[manifest.stopped])
