"""Several runs of one measurement under other seeds, pooled: is a difference that of a training?

An interval over items says how far a difference would move with other people. It says nothing of
other seeds: two adapters trained twice on the same examples differ too. Here both count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from usersim.errors import EvaluationError
from usersim.evaluation.bootstrap import FloatArray, Interval, Resampling
from usersim.evaluation.report_files import read_scores
from usersim.types.counting import counted

__all__ = ["PooledDifference", "pool"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PooledDifference:
    """An arm against the baseline, over all runs.

    Attributes:
        arm: Its name.
        difference: Mean over items and runs of arm minus baseline, in the metric's unit; the
            interval resamples people, conversations and runs.
        by_run: The mean difference in each run.
        p_value: Two-sided, from the same resamples.
        n_items: Items that both arms were measured on in every run.

    Example:
        >>> from usersim.evaluation.bootstrap import Interval
        >>> one = PooledDifference(arm="Recon-Select", difference=Interval(0.3, 0.1, 0.5),
        ...                        by_run=(0.25, 0.35), p_value=0.01, n_items=200)
        >>> one.difference.excludes(0.0), min(one.by_run) > 0
        (True, True)
    """

    arm: str
    difference: Interval
    by_run: tuple[float, ...]
    p_value: float
    n_items: int

    @property
    def between_runs(self) -> float:
        """Standard deviation of the mean difference over runs; NaN for a single run."""
        return float(np.std(self.by_run, ddof=1)) if len(self.by_run) > 1 else float("nan")


def pool(
    folders: Sequence[str | Path],
    *,
    metric: str,
    baseline: str,
    resamples: int = 4000,
    seed: int = 0,
) -> list[PooledDifference]:
    """Pool the runs of one measurement.

    Args:
        folders: Report folders of `usersim evaluate` on the same items, each under its own seed.
        metric: Name of a metric that has a score per item.
        baseline: Arm that the others are compared with.
        resamples: Resamples of people, conversations and runs together.
        seed: Seed of the resamples.

    Returns:
        One entry per arm that every run has, in the order of the first.

    Raises:
        EvaluationError: If a folder has no predictions, or they share no item or no baseline.
    """
    runs = [read_scores(folder, metric) for folder in folders]
    if not runs:
        raise EvaluationError("pooling needs at least one report folder")
    items = [key for key in runs[0] if all(key in run for run in runs)]
    if not items:
        raise EvaluationError(
            f"the {counted(len(runs), 'run')} have no common item with metric {metric!r}",
            hint="evaluate the same people and held-out items with each seed",
        )
    arms = [
        arm
        for arm in runs[0][items[0]].scores
        if all(arm in run[key].scores for run in runs for key in items)
    ]
    if baseline not in arms:
        raise EvaluationError(f"no arm {baseline!r} in every run; there are {arms!r}")
    first = [runs[0][key] for key in items]
    resampling = Resampling.of(
        [row.user_id for row in first],
        [row.conversation for row in first],
        resamples=resamples,
        seed=seed,
    )
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(runs), size=(resamples, len(runs)))
    found: list[PooledDifference] = []
    for arm in arms:
        if arm != baseline:
            rows = np.array(
                [[run[k].scores[arm] - run[k].scores[baseline] for k in items] for run in runs]
            )  # (r, n)
            found.append(_pooled(arm, rows, resampling, drawn))
    return found


def _pooled(
    arm: str, rows: FloatArray, resampling: Resampling, drawn: npt.NDArray[np.int64]
) -> PooledDifference:
    """Resample people and runs together; `rows` has shape `(r, n)`, `drawn` `(b, r)`."""
    statistics = np.concatenate([rows.T, np.ones((rows.shape[1], 1))], axis=1)  # (n, r + 1)
    totals = resampling.totals(statistics)
    means = totals[:, :-1] / totals[:, -1:]  # (b, r)
    draws = np.take_along_axis(means, drawn, axis=1).mean(axis=1)
    low, high = np.quantile(draws, [0.025, 0.975])
    tail = min(int((draws <= 0).sum()), int((draws >= 0).sum()))
    return PooledDifference(
        arm=arm,
        difference=Interval(float(rows.mean()), float(low), float(high)),
        by_run=tuple(float(value) for value in rows.mean(axis=1)),
        p_value=min(1.0, 2 * (1 + tail) / (draws.size + 1)),
        n_items=rows.shape[1],
    )
