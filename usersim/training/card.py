"""The model card of an adapter, rendered from its manifest.

Knows the template and how to keep a value from becoming Markdown; knows no files of the
adapter.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from jinja2 import Environment, StrictUndefined, Template

from usersim.views import Sheet, facts

if TYPE_CHECKING:
    from usersim.training.artifact import TrainedAdapter
    from usersim.training.manifest import Manifest

__all__ = ["adapter_sheet", "model_card"]

_ENDED = {
    "complete": "all steps were done",
    "stalled": "the validation likelihood no longer rose",
    "time": "the time allowed was over",
    "asked": "the caller asked for it",
}
_SHOWN_USERS = 5


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
        manifest: What the card tells of.

    Returns:
        The text.
    """
    shown = ", ".join(repr(user) for user in manifest.users[:_SHOWN_USERS])
    more = len(manifest.users) - _SHOWN_USERS
    people = shown + (f" and {more} more" if more > 0 else "")
    template = _template("model_card" if manifest.synthesiser is None else "synthesiser_card")
    return template.render(m=manifest, people=people, ended=_ENDED[manifest.stopped])


def adapter_sheet(adapter: TrainedAdapter) -> Sheet:
    """Return what a person wants to see of an adapter."""
    told = adapter.manifest
    before, after = told.before, told.after
    better = (
        f"{before.action_logprob:.2f} → {after.action_logprob:.2f} nats"
        if before is not None and after is not None
        else None
    )
    fitted = told.reasoning_weight
    people = told.learned_from
    more = len(people) > _SHOWN_USERS
    return facts(
        f"Adapter {adapter.ref.name}",
        {
            "learned from": ", ".join(people[:_SHOWN_USERS]) + (", …" if more else ""),
            "base model": told.base_model,
            "examples": f"{told.counts.train}, {told.counts.with_reasoning} with reasoning",
            "pace": told.pace or None,
            "steps": f"{told.steps} of {told.planned_steps}",
            "held-out actions, mean log p": better,
            "reasoning": fitted.summary if fitted is not None else None,
            "folder": str(adapter.folder),
        },
    )
