"""The forest plot of a study: every comparison on every set, the main one first."""
# pyright: reportUnknownMemberType=false
# (matplotlib's plotting methods take untyped keyword arguments)

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from usersim.evaluation import title_of
from usersim.evaluation.report.drawing import BLUE, GRAY, ORANGE, Plot, draw, short
from usersim.research.study.figures import Contrast
from usersim.types.counting import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["study_forest"]


def study_forest(contrasts: Sequence[Contrast]) -> Plot | None:
    """Return the pooled differences with intervals, a panel per comparison and unit.

    Args:
        contrasts: In the order of the page; those of one comparison stand together.

    Returns:
        The plot; None where nothing is finished.
    """
    panels = [
        list(group)
        for _, group in groupby(contrasts, key=lambda one: (one.comparison, one.metric.name))
    ]
    if not panels:
        return None
    heights = [1.0 + 0.34 * len(panel) for panel in panels]

    def paint(figure: Figure) -> None:
        grid = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)
        for place, panel in enumerate(panels):
            _panel(grid[place][0], panel, main=place == 0)

    return Plot(
        "Every comparison, pooled over seeds",
        draw((7.2, sum(heights) + 0.3), paint),
        f"{counted(len(contrasts), 'paired difference')} with 95 % intervals over people and "
        "seeds.",
        "The main comparison is on top. Dots: pooled over seeds, with the 95 % interval; small "
        "marks: single seeds. Blue: better, orange: worse, gray: not distinguishable from 0.",
    )


def _panel(axes: Axes, panel: Sequence[Contrast], *, main: bool) -> None:
    rows = list(reversed(panel))
    for place, one in enumerate(rows):
        color = {True: BLUE, False: ORANGE, None: GRAY}[one.better]
        gap = one.pooled.difference
        axes.plot([gap.low, gap.high], [place, place], color=color, linewidth=2)
        axes.plot(gap.value, place, "o", color=color, markersize=6)
        seeds = one.pooled.by_run
        if len(seeds) > 1:
            axes.plot(seeds, [place] * len(seeds), "|", color="black", markersize=8)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(rows)), [short(f"{r.of} ({r.pooled.n_items})") for r in rows])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    first = panel[0]
    heading = f"{title_of(first.comparison.arm)} less {title_of(first.comparison.against)}"
    axes.set_title(
        f"{'Main: ' if main else ''}{heading}",
        fontsize=10 if main else 9,
        fontweight="bold" if main else "normal",
        loc="left",
    )
    side = {True: "right of 0 is better", False: "left of 0 is better", None: "nearer is better"}
    axes.set_xlabel(
        f"{first.metric.label}, {first.metric.unit}; {side[first.metric.greater_is_better]}"
    )
