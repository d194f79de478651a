"""From values to templates: numbers as text, colors as steps, guards in words, HTML.

Every text of a corpus is escaped by the templates' environment; nothing here marks text as safe.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import cast

import jinja2

from usersim.types import ScoredCandidate
from usersim.types.counting import counted

__all__ = ["GuardRow", "asset", "cut", "gain_step", "guard_rows", "percent", "render", "signed"]

ASSETS: Mapping[str, str] = {
    "explore.css": "text/css; charset=utf-8",
    "explore.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
"""The files beside the templates, with their types."""
STEPS = (0.05, 0.25, 1.0)
"""Where the color of a token's gain changes, nats."""
SMALLEST = 0.01
"""Percent below which a share is not shown."""
SHORT = 180
"""Characters of a text in a list."""


@dataclass(frozen=True, slots=True)
class GuardRow:
    """One guard's verdict on one trace, in words.

    Attributes:
        guard: Its number and name.
        found: What it found.
        verdict: `refused`, `passed`, `counted` or `unknown`.
    """

    guard: str
    found: str
    verdict: str


def guard_rows(one: ScoredCandidate) -> list[GuardRow]:
    """Return what each guard found in a trace, and whether it refused it."""
    leakage, scores = one.leakage, one.scores
    share, ratio = leakage.trace_only_share, leakage.plausibility
    named = "is named" if leakage.asserts_option else "is not named"
    lost = scores.raw_gain - scores.masked_gain
    rows = [
        GuardRow(
            "L1 copy",
            f"longest run shared with the action: {counted(leakage.longest_run, 'word')}",
            "",
        ),
        GuardRow("L1 containment", f"{leakage.containment:.0%} of the action occurs in it", ""),
        GuardRow(
            "L1 quote",
            f"longest quotation of the action: {counted(leakage.quoted_span, 'word')}",
            "",
        ),
        GuardRow("L1 option", f"the chosen option {named}", ""),
        GuardRow("L2 masking", f"{signed(-lost)} when the action is blanked out of it", "counted"),
        GuardRow(
            "L3 trace alone",
            "unknown: there is no gain"
            if share is None
            else f"{share:.0%} of the gain remains without the context",
            "unknown" if share is None else "counted",
        ),
        GuardRow(
            "L4 plausibility",
            "unknown: not supported by the engine"
            if ratio is None
            else f"{signed(ratio)} nats per token against writing it without knowing the action",
            "unknown" if ratio is None else "",
        ),
    ]
    refused = {" ".join(reason.split()[:2]).rstrip(":") for reason in leakage.reasons}
    return [
        row
        if row.verdict
        else GuardRow(row.guard, row.found, "refused" if row.guard in refused else "passed")
        for row in rows
    ]


def signed(value: float, digits: int = 3) -> str:
    """Return a number with its sign; a true minus, so that columns stand straight.

    Example:
        >>> signed(-0.25), signed(1.5, 1), signed(-0.0001)
        ('−0.250', '+1.5', '0.000')
    """
    if not math.isfinite(value):
        return f"{value:+}"
    text = f"{abs(value):.{digits}f}"
    if not float(text):
        return text
    return f"{'+' if value > 0 else '−'}{text}"


def percent(value: float) -> str:
    """Return a share as percent, small ones with what is left of them.

    Example:
        >>> percent(0.421), percent(0.0034), percent(1e-9), percent(0.0)
        ('42 %', '0.34 %', '<0.01 %', '0 %')
    """
    share = 100 * value
    if 0 < share < SMALLEST:
        return f"<{SMALLEST} %"
    digits = 0 if share >= 10 or share == 0 else 1 if share >= 1 else 2  # noqa: PLR2004 - percent
    return f"{share:.{digits}f} %"


def cut(text: str, length: int = SHORT) -> str:
    """Return the beginning of a text, marked where more follows.

    Example:
        >>> cut("It rains in the garden.", 8)
        'It rains…'
    """
    return text if len(text) <= length else text[:length].rstrip() + "…"


def gain_step(gain: float) -> str:
    """Return the style of a token by its gain: `p` helps, `n` hinders, 1 to 3 by how much.

    Example:
        >>> gain_step(0.01), gain_step(0.5), gain_step(-3.0)
        ('g0', 'p2', 'n3')
    """
    size = sum(abs(gain) >= step for step in STEPS)
    return f"{'p' if gain > 0 else 'n'}{size}" if size else "g0"


def _width(share: float) -> str:
    """Return a share as the length of a bar of 100; foreign numbers cannot leave the picture."""
    return f"{100 * min(max(share, 0.0), 1.0) if math.isfinite(share) else 0.0:.2f}"


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("usersim.explorer"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # jinja2's own types allow its built-in filters and globals only.
    filters = cast("dict[str, object]", environment.filters)
    filters.update(signed=signed, percent=percent, cut=cut, gain_step=gain_step)
    filters.update(width=_width, exp=math.exp)
    cast("dict[str, object]", environment.globals)["steps"] = STEPS
    return environment


def render(template: str, **values: object) -> bytes:
    """Return a page as UTF-8."""
    text = _environment().get_template(template).render(**values)
    return text.encode("utf-8", "replace")


@lru_cache(maxsize=8)
def asset(name: str) -> bytes:
    """Return a style sheet, script or icon.

    Args:
        name: One of `ASSETS`.
    """
    return files("usersim.explorer").joinpath("static", name).read_bytes()
