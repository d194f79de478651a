"""Draw the forest plot of the results page from the tables in `data/`.

    python docs/results/draw.py

Each row is an arm's paired difference to Recon's arm of the same run, in nats (closed questions) or
nats per token (free text), with its 95 % interval over people and conversations. The tables are the
`metrics.csv` of the runs; they hold no text of a corpus. A run that was compared with another arm
than Recon's is not drawn.
"""

from __future__ import annotations

import csv
from pathlib import Path

HERE = Path(__file__).parent
METRIC = "log_likelihood"
NEAR = 0.55
"""Longest difference that is drawn in full; a longer one is cut at the edge and written out."""


def rows() -> list[tuple[str, str, float, float, float]]:
    """Return (run, arm, difference, low, high) of every comparison."""
    found: list[tuple[str, str, float, float, float]] = []
    for path in sorted((HERE / "data").glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                recon = row["baseline"].startswith("Recon")
                if row["metric"] == METRIC and row["difference_value"] and recon:
                    numbers = (float(row[f"difference_{end}"]) for end in ("value", "low", "high"))
                    told = f"{path.stem} ({row['n_items']})"
                    found.append((told, row["arm"], *numbers))
    return found


def main() -> None:
    """Draw and write `forest.svg`."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "usersim", "svg.fonttype": "none", "font.size": 9})
    from matplotlib import pyplot as plt

    shown = rows()
    figure, axes = plt.subplots(figsize=(8.2, 0.27 * len(shown) + 1.2), layout="constrained")
    for place, (_, _, value, low, high) in enumerate(reversed(shown)):
        color = "#a33" if high < 0 else "#275" if low > 0 else "#666"
        axes.plot([max(low, -NEAR), min(high, NEAR)], [place, place], color=color, lw=2)
        axes.plot(min(max(value, -NEAR), NEAR), place, "o", color=color, ms=5)
        if abs(value) > NEAR:
            end = -NEAR if value < 0 else NEAR
            axes.text(end, place + 0.2, f"{value:+.1f}", color=color, ha="center")
    axes.axvline(0, color="#999", lw=1, zorder=0)
    axes.set_yticks(range(len(shown)), [f"{run}: {arm}" for run, arm, *_ in reversed(shown)])
    axes.set_xlabel("nats (per token for free text); right of 0: better than Recon's arm")
    axes.set_ylim(-1, len(shown))
    axes.set_xlim(-NEAR - 0.05, NEAR + 0.05)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(HERE / "forest.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
