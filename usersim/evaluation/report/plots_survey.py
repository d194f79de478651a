"""Plots of a survey: diverging stacked bars of scales, shares of choices; simulated beside human.

Knows answer tables; knows nothing of pages or files.
"""
# pyright: reportUnknownMemberType=false
# (matplotlib's plotting methods take untyped keyword arguments)

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from usersim.evaluation.report.drawing import BLUE, GREY, ORANGE, Plot, draw, short
from usersim.evaluation.surveys import AnswerTable, Item, ItemEstimate, estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["survey_plots"]

_PER_PLOT = 8
"""Items of one picture: more do not fit on a screen."""
_BAR = 0.34
_NARROW = 0.07
"""A narrower piece of a bar has no room for its per cent."""

Side = tuple[str, AnswerTable, float]
"""Name, answers, and the offset of its bar."""


def survey_plots(human: AnswerTable | None, simulated: AnswerTable) -> list[Plot]:
    """Return pictures of every item with options that was answered.

    Items with the same options share a picture. Scales are drawn as diverging bars with their
    means, other choices as shares.

    Args:
        human: What people answered; None draws the simulation alone.
        simulated: What was simulated.

    Returns:
        The pictures, in the items' order.
    """
    groups: dict[tuple[bool, tuple[str, ...]], list[Item]] = {}
    for item in simulated.items:
        if item.options and simulated.answered(item.key).any():
            groups.setdefault((item.ordered, item.options), []).append(item)
    found: list[Plot] = []
    for (ordered, _), items in groups.items():
        for first in range(0, len(items), _PER_PLOT):
            chosen = items[first : first + _PER_PLOT]
            found.append(
                _diverging(human, simulated, chosen)
                if ordered
                else _shares(human, simulated, chosen)
            )
    return found


def _sides(human: AnswerTable | None, simulated: AnswerTable) -> list[Side]:
    if human is None:
        return [("simulated", simulated, 0.0)]
    return [("people", human, _BAR / 2 + 0.02), ("simulated", simulated, -_BAR / 2 - 0.02)]


def _estimate(table: AnswerTable, item: Item) -> ItemEstimate | None:
    held = any(one.key == item.key for one in table.items)
    return estimate(table, item.key) if held and table.answered(item.key).any() else None


def _diverging(human: AnswerTable | None, simulated: AnswerTable, items: Sequence[Item]) -> Plot:
    sides = _sides(human, simulated)
    options = items[0].options

    def paint(figure: Figure) -> None:
        bars, means = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1))
        for row, item in enumerate(items):
            for name, table, offset in sides:
                found = _estimate(table, item)
                if found is not None:
                    _bar(bars, found, -row + offset, name)
                    _mean(means, found, -row + offset, name)
        _dress(bars, items)
        means.set_xlabel("mean, 95 % interval")
        points = items[0].points
        means.set_xlim(points[0] - 0.2, points[-1] + 0.2)
        means.locator_params(axis="x", integer=True)
        means.tick_params(axis="y", length=0)
        means.grid(axis="x", color="#dddddd", linewidth=0.6)
        means.set_axisbelow(True)
        _legend(figure, options, human is not None)

    return Plot(
        ", ".join(item.key for item in items),
        draw((9.2, 1.5 + 0.72 * len(items) + 0.2 * (len(options) > 4)), paint),  # noqa: PLR2004 - a second row of the legend
        _alt(human, simulated, items),
        "Bars: share of each answer, per cent, drawn from the middle of the scale. "
        + ("Upper bar and filled dot: people; lower, hatched bar and open dot: simulated. "
           if human is not None else "Hatched: simulated. ")
        + "The dots are means of the points with intervals over people.",
    )  # fmt: skip


def _colours(size: int) -> list[tuple[float, float, float, float]]:
    """Return a colour per point: orange for the low end, blue for the high one, grey between."""
    from matplotlib.colors import LinearSegmentedColormap

    shades = LinearSegmentedColormap.from_list("usersim", [ORANGE, "#e6e6e6", BLUE])
    return [shades(place / (size - 1)) for place in range(size)]


def _bar(axes: Axes, found: ItemEstimate, place: float, name: str) -> None:
    """Draw one stacked bar, the middle of the scale at 0."""
    shares = np.array([one.value for one in found.shares])
    size = len(shares)
    below = shares[: size // 2].sum() + (shares[size // 2] / 2 if size % 2 else 0.0)
    left = -100 * below
    simulated = name == "simulated"
    for share, colour in zip(shares, _colours(size), strict=True):
        axes.barh(
            place, 100 * share, left=left, height=_BAR, color=colour, edgecolor="white",
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
    colour = BLUE if simulated else "black"
    axes.plot([found.mean.low, found.mean.high], [place, place], color=colour, linewidth=1.6)
    axes.plot(
        found.mean.value, place, "o", color=colour, markersize=5,
        markerfacecolor="white" if simulated else colour,
    )  # fmt: skip


def _dress(axes: Axes, items: Sequence[Item]) -> None:
    axes.axvline(0, color=GREY, linewidth=0.8)
    axes.set_yticks([-row for row in range(len(items))], [short(item.text) for item in items])
    axes.set_ylim(-len(items) + 0.4, 0.6)
    axes.set_xlim(-100, 100)
    axes.set_xticks([-100, -50, 0, 50, 100], ["100", "50", "0", "50", "100"])
    axes.set_xlabel("per cent of answers, low side left, high side right")
    axes.tick_params(axis="y", length=0)


def _legend(figure: Figure, options: Sequence[str], both: bool) -> None:  # noqa: FBT001 - whether people are drawn
    from matplotlib.patches import Patch

    colours = _colours(len(options))
    patches = [Patch(facecolor=c, label=short(o)) for o, c in zip(options, colours, strict=True)]
    if both:
        patches.append(Patch(facecolor="white", edgecolor=GREY, label="people"))
    patches.append(Patch(facecolor="white", edgecolor=GREY, hatch="////", label="simulated"))
    columns = min(len(patches), 7)
    figure.legend(handles=patches, loc="outside lower center", ncols=columns, frameon=False,
                  fontsize=8)  # fmt: skip


def _shares(human: AnswerTable | None, simulated: AnswerTable, items: Sequence[Item]) -> Plot:
    sides = _sides(human, simulated)
    binary = len(items[0].options) == 2  # noqa: PLR2004 - yes or no: one row says it all
    rows = [
        (item, place)
        for item in items
        for place in ([1] if binary else range(len(item.options)))
    ]  # fmt: skip

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for row, (item, place) in enumerate(rows):
            for name, table, offset in sides:
                found = _estimate(table, item)
                if found is not None:
                    _share(axes, found, place, -row + offset / 2, name)
        labels = [short(f"{i.text}: {i.options[p]}" if binary else i.options[p]) for i, p in rows]
        if not binary:
            for row, (item, place) in enumerate(rows):
                if place == 0:
                    axes.annotate(short(item.text), (0, -row + 0.5), fontsize=8, weight="bold")
        axes.set_yticks([-row for row in range(len(rows))], labels)
        axes.set_ylim(-len(rows) + 0.3, 0.9)
        axes.set_xlim(0, 100)
        axes.set_xlabel("per cent of answers, 95 % interval")
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)

    return Plot(
        ", ".join(item.key for item in items),
        draw((8.0, 1.0 + 0.42 * len(rows)), paint),
        _alt(human, simulated, items),
        ("Filled black: people; open blue: simulated. " if human is not None else "Simulated. ")
        + "Intervals over people.",
    )


def _share(axes: Axes, found: ItemEstimate, option: int, place: float, name: str) -> None:
    one = found.shares[option]
    simulated = name == "simulated"
    colour = BLUE if simulated else "black"
    axes.plot([100 * one.low, 100 * one.high], [place, place], color=colour, linewidth=1.6)
    axes.plot(
        100 * one.value, place, "o", color=colour, markersize=5,
        markerfacecolor="white" if simulated else colour, clip_on=False,
    )  # fmt: skip


def _alt(human: AnswerTable | None, simulated: AnswerTable, items: Sequence[Item]) -> str:
    who = f"{len(simulated.respondents)} simulated respondents"
    if human is not None:
        who += f" beside {len(human.respondents)} people"
    return f"Answers of {who} to {', '.join(item.key for item in items)}."
