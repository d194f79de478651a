"""Plots of a survey: diverging stacked bars of scales, shares of choices; simulated beside human.

Every option and every row stands there with its whole text, wrapped and never cut. Knows answer
tables; knows nothing of pages or files.
"""
# pyright: reportUnknownMemberType=false
# (matplotlib's plotting methods take untyped keyword arguments)

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from usersim.evaluation.report.drawing import BLUE, GRAY, ORANGE, Plot, draw
from usersim.survey.estimates import AnswerTable, Item, ItemEstimate, estimate
from usersim.types.counting import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["survey_plots"]

_PER_PLOT = 8
"""Scales of one picture: more do not fit on a screen."""
_ROWS = 24
"""Options of one picture."""
_LABEL = 44
"""Characters of a line of a label."""
_LEGEND = 28
"""Characters of a line of the legend."""
_LINE = 0.165
"""Height of a line of text, inches."""
_WIDTH = 10.0
"""Of a picture, inches."""
_BAR = 0.9
"""Height of a bar, in lines."""
_NARROW = 0.07
"""A narrower piece of a bar has no room for its per cent."""

_Group = tuple[bool, bool, tuple[str, ...], str]


def survey_plots(human: AnswerTable | None, simulated: AnswerTable) -> list[Plot]:
    """Return pictures of every item with options that was answered.

    Items with the same options share a picture. Scales are drawn as diverging bars with their
    means, other choices as the share of each option, several options as the share that chose each.

    Args:
        human: What people answered; None draws the simulation alone.
        simulated: What was simulated.

    Returns:
        The pictures, in the items' order.
    """
    groups: dict[_Group, list[Item]] = {}
    for item in simulated.items:
        if item.options and simulated.answered(item.key).any():
            stem = item.stem if item.ticks else ""
            groups.setdefault((item.ordered, item.ticks, item.options, stem), []).append(item)
    found: list[Plot] = []
    for (ordered, ticks, options, _), items in groups.items():
        size = _PER_PLOT if ordered else _ROWS if ticks else max(_ROWS // len(options), 1)
        for first in range(0, len(items), size):
            picture = _Picture(human, simulated, items[first : first + size])
            found.append(picture.diverging() if ordered else picture.shares())
    return found


def _wrapped(text: str, width: int = _LABEL) -> str:
    """Return a text broken into lines, whole."""
    return "\n".join(textwrap.wrap(" ".join(text.split()), width) or [""])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """One line of a picture: a heading, or what is drawn beside a label.

    Attributes:
        label: As it stands on the axis, wrapped.
        item: What is drawn; None for a heading.
        option: Which of its options; None for all of them.
    """

    label: str
    item: Item | None = None
    option: int | None = None

    def height(self, bars: int) -> float:
        """Return how many lines of text it takes, a gap included."""
        own = self.label.count("\n") + 1
        return own + 0.4 if self.item is None else max(own, bars * (_BAR + 0.15)) + 0.7


@dataclass(frozen=True, slots=True)
class _Picture:
    """Items that are drawn together, of people and simulated."""

    human: AnswerTable | None
    simulated: AnswerTable
    items: Sequence[Item]

    @property
    def sides(self) -> list[tuple[str, AnswerTable, float]]:
        """Name, answers, and the offset of its bar in lines."""
        if self.human is None:
            return [("simulated", self.simulated, 0.0)]
        half = _BAR / 2 + 0.05
        return [("people", self.human, half), ("simulated", self.simulated, -half)]

    def diverging(self) -> Plot:
        """Draw scales from their middles, with their means beside them."""
        lines = list(self._scale_lines())
        places, total = self._placed(lines)
        options = self.items[0].options
        names = [_wrapped(option, _LEGEND) for option in options]
        columns = 3 if max(map(len, names)) > _LEGEND // 2 else 6
        rows = math.ceil((len(names) + 2) / columns)
        legend = rows * max(name.count("\n") + 1 for name in names)

        def paint(figure: Figure) -> None:
            bars, means = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1))
            for line, place in zip(lines, places, strict=True):
                for name, found, offset in self._found(line):
                    _bar(bars, found, place + offset, name)
                    _mean(means, found, place + offset, name)
            _label(bars, lines, places, total)
            bars.axvline(0, color=GRAY, linewidth=0.8)
            bars.set_xlim(-100, 100)
            bars.set_xticks([-100, -50, 0, 50, 100], ["100", "50", "0", "50", "100"])
            bars.set_xlabel("per cent of answers, low side left, high side right")
            points = self.items[0].points
            means.set_xlabel("mean, 95 % interval")
            means.set_xlim(points[0] - 0.2, points[-1] + 0.2)
            means.locator_params(axis="x", integer=True)
            means.tick_params(axis="y", length=0)
            _grid(means)
            _legend(figure, names, columns, both=self.human is not None)

        height = 1.0 + _LINE * (total + 1.5 * legend + 1)
        upper = "Upper bar and filled dot: people; lower, hatched bar and open dot: simulated. "
        return self._plot(
            draw((_WIDTH, height), paint),
            "Bars: share of each answer, per cent, drawn from the middle of the scale. "
            + (upper if self.human is not None else "Hatched: simulated. ")
            + "The dots are means of the points with intervals over people.",
        )

    def shares(self) -> Plot:
        """Draw the share of every option."""
        lines = list(self._share_lines())
        places, total = self._placed(lines)

        def paint(figure: Figure) -> None:
            axes = figure.subplots()
            for line, place in zip(lines, places, strict=True):
                for name, found, offset in self._found(line):
                    _share(axes, found, line.option or 0, place + offset * 0.7, name)
            _label(axes, lines, places, total)
            axes.set_xlim(0, 100)
            axes.set_xlabel("per cent of answers, 95 % interval")
            _grid(axes)

        both = "Filled black: people; open blue: simulated. "
        return self._plot(
            draw((_WIDTH, 0.8 + _LINE * total), paint),
            (both if self.human is not None else "Simulated. ") + "Intervals over people.",
        )

    def _scale_lines(self) -> Iterator[_Line]:
        stem = ""
        for item in self.items:
            if item.part and item.stem != stem:
                yield _Line(label=_wrapped(item.stem))
            stem = item.stem
            label = f"{_wrapped(item.part or item.text)}\n{self._base(item)}"
            yield _Line(label=label, item=item)

    def _share_lines(self) -> Iterator[_Line]:
        if self.items[0].ticks:
            yield _Line(label=_wrapped(f"{self.items[0].stem} (share that chose each)"))
            for item in self.items:
                label = f"{_wrapped(item.part)}\n{self._base(item)}"
                yield _Line(label=label, item=item, option=item.options.index("yes"))
            return
        for item in self.items:
            yield _Line(label=f"{_wrapped(item.text or item.key)}\n{self._base(item)}")
            for option, name in enumerate(item.options):
                yield _Line(label=_wrapped(name), item=item, option=option)

    def _base(self, item: Item) -> str:
        """Return how many answered an item."""
        said = f"n = {int(self.simulated.answered(item.key).sum())}"
        if self.human is None or not _holds(self.human, item):
            return said
        return f"{said} simulated, {int(self.human.answered(item.key).sum())} people"

    def _placed(self, lines: Sequence[_Line]) -> tuple[list[float], float]:
        """Return the middle of each line from the top down, in lines of text, and the height."""
        bars = len(self.sides)
        places: list[float] = []
        top = 0.0
        for line in lines:
            height = line.height(bars)
            places.append(-(top + height / 2))
            top += height
        return places, top

    def _found(self, line: _Line) -> Iterator[tuple[str, ItemEstimate, float]]:
        for name, table, offset in self.sides if line.item is not None else ():
            if line.item is not None and _holds(table, line.item):
                yield name, estimate(table, line.item.key), offset

    def _plot(self, uri: str, caption: str) -> Plot:
        keys = ", ".join(item.key for item in self.items)
        who = counted(len(self.simulated.respondents), "simulated respondent")
        if self.human is not None:
            who += f" beside {counted(len(self.human.respondents), 'person', 'people')}"
        return Plot(keys, uri, f"Answers of {who} to {keys}.", caption)


def _holds(table: AnswerTable, item: Item) -> bool:
    """Return whether a table has answers to an item."""
    held = any(one.key == item.key for one in table.items)
    return held and bool(table.answered(item.key).any())


def _colors(size: int) -> list[tuple[float, float, float, float]]:
    """Return a color per point: orange for the low end, blue for the high one, gray between."""
    from matplotlib.colors import LinearSegmentedColormap

    shades = LinearSegmentedColormap.from_list("usersim", [ORANGE, "#e6e6e6", BLUE])
    return [shades(place / max(size - 1, 1)) for place in range(size)]


def _bar(axes: Axes, found: ItemEstimate, place: float, name: str) -> None:
    """Draw one stacked bar, the middle of the scale at 0."""
    shares = np.array([one.value for one in found.shares])
    size = len(shares)
    below = shares[: size // 2].sum() + (shares[size // 2] / 2 if size % 2 else 0.0)
    left = -100 * below
    simulated = name == "simulated"
    for share, color in zip(shares, _colors(size), strict=True):
        axes.barh(
            place, 100 * share, left=left, height=_BAR, color=color, edgecolor="white",
            linewidth=0.6, hatch="////" if simulated else None,
        )  # fmt: skip
        if share >= _NARROW:
            axes.text(
                left + 50 * share, place, f"{100 * share:.0f}", ha="center", va="center",
                fontsize=7, color="black",
                bbox={"facecolor": "white", "alpha": 0.65, "linewidth": 0, "pad": 0.8},
            )  # fmt: skip
        left += 100 * share


def _mean(axes: Axes, found: ItemEstimate, place: float, name: str) -> None:
    if found.mean is None:
        return
    simulated = name == "simulated"
    color = BLUE if simulated else "black"
    axes.plot([found.mean.low, found.mean.high], [place, place], color=color, linewidth=1.6)
    axes.plot(
        found.mean.value, place, "o", color=color, markersize=5, clip_on=False,
        markerfacecolor="white" if simulated else color,
    )  # fmt: skip


def _share(axes: Axes, found: ItemEstimate, option: int, place: float, name: str) -> None:
    one = found.shares[option]
    simulated = name == "simulated"
    color = BLUE if simulated else "black"
    axes.plot([100 * one.low, 100 * one.high], [place, place], color=color, linewidth=1.6)
    axes.plot(
        100 * one.value, place, "o", color=color, markersize=5,
        markerfacecolor="white" if simulated else color, clip_on=False,
    )  # fmt: skip
    axes.annotate(
        f"{100 * one.value:.0f}", (1.01, place), xycoords=("axes fraction", "data"), va="center",
        fontsize=7, color=color,
    )  # fmt: skip


def _label(axes: Axes, lines: Sequence[_Line], places: Sequence[float], total: float) -> None:
    """Put the labels on the left, headings bold."""
    axes.set_yticks(list(places), [line.label for line in lines])
    for line, text in zip(lines, axes.get_yticklabels(), strict=True):
        text.set_fontsize(8)
        if line.item is None:
            text.set_fontweight("bold")
    axes.set_ylim(-total - 0.2, 0.2)
    axes.tick_params(axis="y", length=0)


def _grid(axes: Axes) -> None:
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)


def _legend(figure: Figure, names: Sequence[str], columns: int, *, both: bool) -> None:
    from matplotlib.patches import Patch

    colors = _colors(len(names))
    patches = [Patch(facecolor=c, label=one) for one, c in zip(names, colors, strict=True)]
    if both:
        patches.append(Patch(facecolor="white", edgecolor=GRAY, label="people"))
    patches.append(Patch(facecolor="white", edgecolor=GRAY, hatch="////", label="simulated"))
    figure.legend(
        handles=patches, loc="outside lower center", ncols=min(len(patches), columns),
        frameon=False, fontsize=8,
    )  # fmt: skip
