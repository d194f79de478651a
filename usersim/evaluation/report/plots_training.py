"""The curves of a training, as small multiples: one panel per figure, one point per step.

Knows numbers by name; knows nothing of trainers, recipes or files.
"""
# pyright: reportUnknownMemberType=false
# (matplotlib's plotting methods take untyped keyword arguments)

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from usersim.evaluation.bootstrap import FloatArray, divide
from usersim.evaluation.report.drawing import BLUE, GRAY, Plot, draw, short
from usersim.types.counting import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Curves", "moving_mean", "training_curves"]

_COLUMNS = 4
_SMOOTHED = 10
"""A tenth of the steps is averaged: enough to see a trend, too little to invent one."""


@dataclass(frozen=True, slots=True)
class Curves:
    """Figures of every step of a training, drawn beside each other.

    Attributes:
        heading: Heading of the picture.
        panels: Values per step by the name of the figure, its unit included; NaN where a step
            has none. A figure without a single number is left out.

    Example:
        >>> nan = float("nan")
        >>> curves = Curves("Training", {"loss, nats": [2.0, 1.5, 1.2], "reward": [nan, 0.1, 0.3]})
        >>> list(curves.panels)
        ['loss, nats', 'reward']
    """

    heading: str
    panels: Mapping[str, Sequence[float]]


def training_curves(curves: Curves) -> Plot | None:
    """Return one small panel per figure; None where no figure has a number."""
    panels = {name: np.array(values, dtype=np.float64) for name, values in curves.panels.items()}
    panels = {name: values for name, values in panels.items() if np.isfinite(values).any()}
    if not panels:
        return None
    columns = min(_COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)

    def paint(figure: Figure) -> None:
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes, (name, values) in zip(grid.flat, panels.items(), strict=False):
            _panel(axes, name, values)
        for axes in grid.flat[len(panels) :]:
            axes.set_axis_off()
        figure.supxlabel("optimizer step", fontsize=9)

    steps = max(len(values) for values in panels.values())
    return Plot(
        curves.heading,
        draw((2.4 * columns + 0.4, 1.7 * rows + 0.3), paint),
        f"{', '.join(panels)} over {counted(steps, 'step')}.",
        "Gray: each step. Blue: mean over the tenth of the steps around it. Each panel has an "
        "axis of its own.",
    )


def _panel(axes: Axes, name: str, values: FloatArray) -> None:
    steps = np.arange(1, len(values) + 1)
    shown = np.where(np.isfinite(values), values, np.nan)
    few = len(values) < _SMOOTHED
    axes.plot(steps, shown, color=GRAY, linewidth=0.8, alpha=0.7, marker="o" if few else "",
              markersize=3)  # fmt: skip
    axes.plot(steps, moving_mean(shown), color=BLUE, linewidth=1.6)
    if np.nanmin(shown) <= 0 <= np.nanmax(shown):
        axes.axhline(0, color="black", linewidth=0.6)
    axes.set_title(short(name), fontsize=8, loc="left")
    axes.tick_params(labelsize=7)
    axes.locator_params(axis="x", integer=True, nbins=4)


def moving_mean(values: FloatArray) -> FloatArray:
    """Return the mean over a tenth of the steps around each; NaN counts for nothing. Shape `(n,)`.

    Example:
        >>> moving_mean(np.array([1.0, 3.0])).tolist()
        [1.0, 3.0]
    """
    window = np.ones(min(len(values), 2 * (len(values) // (2 * _SMOOTHED)) + 1))
    told = np.isfinite(values)
    sums = np.convolve(np.where(told, values, 0.0), window, mode="same")
    return divide(sums, np.convolve(told.astype(np.float64), window, mode="same"))
