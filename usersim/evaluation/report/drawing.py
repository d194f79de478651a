"""How every picture of the report is drawn: light background, one palette, SVG in a data URI.

Knows matplotlib's figures; knows nothing of what they show. No pyplot and no global state of
matplotlib, so drawing is safe inside another program.
"""
# pyright: reportUnknownMemberType=false
# (matplotlib's methods take untyped keyword arguments)

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from usersim.errors import MissingDependencyError

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.typing import RcKeyType

__all__ = ["BLUE", "GRAY", "GREEN", "ORANGE", "Plot", "draw", "short"]

BLUE, ORANGE, GREEN, GRAY = "#0072B2", "#D55E00", "#009E73", "#8A8A8A"
"""From Okabe and Ito's palette, distinguishable when color-blind and in gray print."""
_STYLE: dict[RcKeyType, object] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "white",
    "svg.hashsalt": "usersim",
    "text.parse_math": False,
}
_LABEL = 34


@dataclass(frozen=True, slots=True)
class Plot:
    """One picture of the report.

    Attributes:
        heading: What it is.
        uri: SVG as a data URI.
        alt: What it shows, for those who do not see it.
        caption: How to read it.
    """

    heading: str
    uri: str
    alt: str
    caption: str

    @property
    def svg(self) -> str:
        """The picture as the text of an SVG file."""
        return base64.b64decode(self.uri.partition(",")[2]).decode("utf-8")


def draw(size: tuple[float, float], paint: Callable[[Figure], None]) -> str:
    """Return what `paint` draws on a figure of `size` (width and height, inches), as a data URI.

    Equal figures give equal bytes.

    Raises:
        MissingDependencyError: If matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError("matplotlib", extra="report", why="the report") from error
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # emoji in a name
        figure = Figure(figsize=size, layout="constrained")
        paint(figure)
        out = io.BytesIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return "data:image/svg+xml;base64," + base64.b64encode(out.getvalue()).decode("ascii")


def short(text: str) -> str:
    """Return `text` cut to the room that an axis has for a name."""
    return text if len(text) <= _LABEL else text[: _LABEL - 1] + "…"
