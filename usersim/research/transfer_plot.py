"""The transfer matrix as a heat map: every cell says its difference, and whether it is one.

Knows transfer matrices, and writes them into a folder; knows nothing of models.
"""
# pyright: reportUnknownMemberType=false
# (matplotlib's plotting methods take untyped keyword arguments)

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from usersim.errors import EvaluationError
from usersim.evaluation.bootstrap import FloatArray
from usersim.evaluation.report.drawing import BLUE, GRAY, ORANGE, Plot, draw, short
from usersim.files import make_folder, write_text
from usersim.research.transfer import TransferCell, TransferMatrix
from usersim.types.counting import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["transfer_map", "write_transfer"]

_BRIGHT = 0.6
"""The strongest cell is this far from white, so that black text stays readable on it."""


def transfer_map(matrix: TransferMatrix) -> Plot:
    """Return selectors by students, each cell with its paired difference and interval."""
    gaps = _gaps(matrix)
    reach = float(np.nanmax(np.abs(gaps), initial=0.0)) or 1.0
    rows, columns = gaps.shape

    def paint(figure: Figure) -> None:
        from matplotlib.colors import LinearSegmentedColormap

        shades = LinearSegmentedColormap.from_list("usersim", [ORANGE, "white", BLUE])
        axes = figure.subplots()
        axes.imshow(gaps, cmap=shades, vmin=-reach / _BRIGHT, vmax=reach / _BRIGHT, aspect="auto")
        for row, selector in enumerate(matrix.selectors):
            for column, student in enumerate(matrix.students):
                _cell(axes, row, column, matrix.cells.get((selector, student)))
        axes.set_xticks(range(columns), [short(name) for name in matrix.students])
        axes.set_yticks(range(rows), [short(name) for name in matrix.selectors])
        axes.set_xlabel("user model trained on")
        axes.set_ylabel("traces selected with")
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)

    cells = [c for c in matrix.cells.values() if c.difference.excludes(0.0)]
    return Plot(
        f"Transfer: {matrix.metric.label}",
        draw((1.9 * columns + 1.8, 0.8 * rows + 0.9), paint),
        f"{counted(len(matrix.cells), 'pair')} of selector and student; in {len(cells)} the "
        "interval of the "
        "difference excludes 0.",
        f"{matrix.arm} less {matrix.baseline} of the same student, {matrix.metric.unit}, with the "
        f"95 % interval; {_key(matrix)}. A frame and * mark the cells whose interval excludes 0; "
        "no correction for the number of cells.",
    )


def _key(matrix: TransferMatrix) -> str:
    """Return how the colors are to be read."""
    metric = matrix.metric
    if metric.greater_is_better is None:
        return f"the metric aims at {metric.target:g}, so neither side of 0 is better"
    side = "above" if metric.greater_is_better else "below"
    return f"better is {side} 0. Blue: better, orange: worse"


def _gaps(matrix: TransferMatrix) -> FloatArray:
    """Return the differences, turned so that above 0 is better; NaN where there is none.

    A metric that aims at a value has no better side of 0, and its cells stay white.
    """
    sign = {True: 1.0, False: -1.0, None: 0.0}[matrix.metric.greater_is_better]
    nothing = float("nan")
    return np.array(
        [
            [
                sign * cell.difference.value if (cell := matrix.cells.get((a, b))) else nothing
                for b in matrix.students
            ]
            for a in matrix.selectors
        ],
        dtype=np.float64,
    )


def _cell(axes: Axes, row: int, column: int, cell: TransferCell | None) -> None:
    """Write a cell's figures, and frame it where the interval excludes 0."""
    from matplotlib.patches import Rectangle

    if cell is None or np.isnan(cell.difference.value):
        axes.text(column, row, "–", ha="center", va="center", color=GRAY)
        return
    gap = cell.difference
    sure = gap.excludes(0.0)
    value = f"{gap.value:+.3f}{' *' if sure else ''}\n"
    axes.text(column, row, value, ha="center", va="center", weight="bold" if sure else "normal")
    axes.text(column, row, f"\n[{gap.low:+.3f}, {gap.high:+.3f}]", ha="center", va="center",
              fontsize=7)  # fmt: skip
    if sure:
        axes.add_patch(Rectangle((column - 0.47, row - 0.45), 0.94, 0.9, fill=False, linewidth=1.4))


def write_transfer(matrix: TransferMatrix, folder: str | Path) -> Path:
    """Write `transfer.csv` and the heat map `transfer.svg` into `folder`.

    Args:
        matrix: What was measured.
        folder: Made if it does not exist; earlier files are replaced.

    Returns:
        Path of the CSV.

    Raises:
        MissingDependencyError: If matplotlib is not installed.
        EvaluationError: If a file cannot be written.
    """
    files = {"transfer.svg": transfer_map(matrix).svg, "transfer.csv": matrix.to_csv()}
    hint = "choose a writable folder"
    what = "the transfer matrix"
    target = make_folder(folder, what=what, error=EvaluationError, hint=hint)
    for name, text in files.items():
        write_text(target / name, text, what=what, error=EvaluationError, hint=hint)
    return target / "transfer.csv"
