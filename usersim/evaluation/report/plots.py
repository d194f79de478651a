"""The report's plots of what was measured, with units on every axis.

Knows evaluations and leakage tables; knows nothing of pages or files.
"""
# pyright: reportUnknownMemberType=false
# (matplotlib's plotting methods take untyped keyword arguments)

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from usersim.evaluation.bootstrap import FloatArray
from usersim.evaluation.metrics import LOG_SCORE, Metric
from usersim.evaluation.metrics.closed import ECE_BINS, top_option
from usersim.evaluation.report.drawing import BLUE, GRAY, ORANGE, Plot, draw, short
from usersim.evaluation.results import Comparison, Evaluation, headline_metrics
from usersim.types.counting import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from usersim.evaluation.leakage import LeakageTable

_QUARTERS = (0.0, 0.25, 0.5, 0.75, 1.0)
_TITLE = 22
"""Characters that stand over a panel in one line."""

__all__ = ["calibration", "forest", "leakage_scatter", "per_user"]


def forest(evaluation: Evaluation, comparisons: Sequence[Comparison]) -> Plot | None:
    """Return the paired differences with intervals, one panel per headline metric."""
    panels = [
        (m, sorted((c for c in comparisons if c.metric == m.name), key=_gap_toward(m)))
        for m in headline_metrics(evaluation)
    ]
    panels = [(m, found) for m, found in panels if found]
    if not panels:
        return None
    baseline = comparisons[0].baseline
    columns = min(2, len(panels))
    rows = math.ceil(len(panels) / columns)
    tallest = max(len(found) for _, found in panels)

    def paint(figure: Figure) -> None:
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes, (metric, found) in zip(grid.flat, panels, strict=False):
            _forest_panel(axes, metric, found)
        for axes in grid.flat[len(panels) :]:
            axes.set_axis_off()

    return Plot(
        f"Differences to {baseline}",
        draw((5 * columns, rows * (1.1 + 0.32 * tallest)), paint),
        f"Paired differences of {counted(tallest, 'arm')} to {baseline} with 95 % intervals.",
        "Best arm on top. A bar that crosses the line at 0 is not distinguishable from the "
        "baseline. Blue: better, orange: worse, gray: not distinguishable.",
    )


def _gap_toward(metric: Metric) -> Callable[[Comparison], float]:
    sign = -1.0 if metric.greater_is_better is False else 1.0
    return lambda comparison: sign * comparison.difference.value


def _forest_panel(axes: Axes, metric: Metric, found: Sequence[Comparison]) -> None:
    for place, comparison in enumerate(found):
        gap = comparison.difference
        color = GRAY
        if gap.excludes(0.0):
            color = BLUE if metric.better(gap.value, 0.0) else ORANGE
        axes.plot([gap.low, gap.high], [place, place], color=color, linewidth=2)
        axes.plot(gap.value, place, "o", color=color, markersize=5)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(found)), [short(c.arm) for c in found])
    axes.set_ylim(-0.6, len(found) - 0.4)
    side = {True: "right is better", False: "left is better", None: "nearer is better"}
    axes.set_title(f"{metric.label} ({side[metric.greater_is_better]})", fontsize=9, loc="left")
    axes.set_xlabel(f"difference, {metric.unit}")


def calibration(evaluation: Evaluation) -> Plot | None:
    """Return hit rate against confidence, one panel per arm with probabilities."""
    measured = [a for a in evaluation.arms if evaluation.estimate(a, LOG_SCORE.name)]
    if not measured:
        return None
    columns = min(4, len(measured))
    rows = math.ceil(len(measured) / columns)

    def paint(figure: Figure) -> None:
        grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
        for place, arm in enumerate(measured):
            axes = grid.flat[place]
            _calibration_panel(axes, _confidences(evaluation, arm))
            axes.set_title(textwrap.fill(short(arm), _TITLE), fontsize=9, loc="left")
            # The lowest panel of a column has the column's numbers, also in a row that is not full.
            axes.tick_params(labelbottom=place + columns >= len(measured))
        for axes in grid.flat[len(measured) :]:
            axes.set_axis_off()
        figure.supxlabel("confidence: largest option probability", fontsize=9)
        figure.supylabel("share correct", fontsize=9)

    return Plot(
        "Calibration",
        draw((2.4 * columns, 2.3 * rows + 0.3), paint),
        f"Share correct against confidence for {counted(len(measured), 'arm')}.",
        "On the dashed line the arm is right as often as it says. Area of a dot: number of items.",
    )


def _confidences(evaluation: Evaluation, arm: str) -> FloatArray:
    """Return confidence and hit of each closed item that has probabilities. Shape `(n, 2)`."""
    pairs = zip(evaluation.interactions, evaluation.predictions[arm], strict=True)
    told = [top_option(i, p) for i, p in pairs if LOG_SCORE.applies(i) and p.probabilities]
    return np.array(told, dtype=np.float64).reshape(-1, 2)


def _calibration_panel(axes: Axes, told: FloatArray) -> None:
    places = np.clip(np.ceil(told[:, 0] * ECE_BINS).astype(int) - 1, 0, ECE_BINS - 1)
    axes.plot([0, 1], [0, 1], "--", color=GRAY, linewidth=0.8)
    for place in np.unique(places):
        inside = places == place
        x, y = told[inside].mean(axis=0)
        size = 15 + 120 * inside.mean()
        axes.scatter(x, y, s=size, color=BLUE, edgecolor="white", linewidth=0.6)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks(_QUARTERS, ["0", "¼", "½", "¾", "1"])
    axes.grid(color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_xlim(-0.03, 1.05)
    axes.set_ylim(-0.03, 1.05)
    axes.set_aspect("equal")


def per_user(evaluation: Evaluation, metric: Metric) -> Plot | None:
    """Return each person's own score under every arm, and the mean."""
    arms = [a for a in evaluation.arms if evaluation.estimate(a, metric.name)]
    if not metric.itemwise or not arms:
        return None
    users = list(dict.fromkeys(i.user_id for i in evaluation.interactions))
    scores = _user_scores(evaluation, metric, arms, users)
    named = len(users) <= 8  # noqa: PLR2004 - more names would overlap

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for place, user in enumerate(users):
            axes.plot(scores[place], color=GRAY, linewidth=0.7, alpha=0.6, marker="o", markersize=3)
            if named:
                axes.annotate(
                    short(user), (len(arms) - 1, scores[place, -1]), xytext=(6, 0),
                    textcoords="offset points", fontsize=7, va="center",
                )  # fmt: skip
        values = [e.interval.value for a in arms if (e := evaluation.estimate(a, metric.name))]
        axes.plot(values, "D", color=ORANGE, markersize=7, label="all items")
        axes.set_xticks(range(len(arms)), [short(a) for a in arms], rotation=25, ha="right")
        axes.set_ylabel(f"{metric.label}, {metric.unit}")
        axes.legend(frameon=False, loc="best")

    return Plot(
        f"Each person: {metric.label}",
        draw((max(5.0, 1.1 * len(arms) + 2), 3.6), paint),
        f"{metric.label} of {counted(len(users), 'person', 'people')} under "
        f"{counted(len(arms), 'arm')}.",
        "One gray line is one person, the same person in every arm.",
    )


def _user_scores(
    evaluation: Evaluation, metric: Metric, arms: Sequence[str], users: Sequence[str]
) -> FloatArray:
    """Return the metric of each person under each arm; NaN without items. Shape `(u, arms)`."""
    owner = np.array([i.user_id for i in evaluation.interactions], dtype=object)
    rows = [evaluation.statistics[metric.name, arm] for arm in arms]
    return np.array(
        [[metric.finish(r[owner == user].sum(axis=0)) for r in rows] for user in users],
        dtype=np.float64,
    )


def leakage_scatter(table: LeakageTable) -> Plot | None:
    """Return raw gain against containment, refused traces set apart."""
    if not table.points:
        return None
    markers = {"forward": "o", "backward": "^", "decoy": "s"}

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for source, marker in markers.items():
            for valid, color in ((True, BLUE), (False, ORANGE)):
                found = [p for p in table.points if (p.source, p.valid) == (source, valid)]
                if found:
                    axes.scatter(
                        [p.containment for p in found], [p.raw_gain for p in found], s=22,
                        marker=marker, color=color, alpha=0.6, linewidth=0, rasterized=True,
                        label=f"{source}, {'passed' if valid else 'refused'}",
                    )  # fmt: skip
        axes.axhline(0, color="black", linewidth=0.8)
        axes.set_xlabel("share of the action's 4-grams in the trace")
        axes.set_ylabel(f"raw gain, {table.unit}")
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))

    return Plot(
        "Raw gain against leakage",
        draw((7.0, 3.6), paint),
        f"Raw gain and containment of {counted(len(table.points), 'trace')}.",
        "A trace that copies the action reconstructs it: high on the right is a leak.",
    )
