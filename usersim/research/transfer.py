"""The transfer matrix: traces selected with one model, learned by another.

A cell is a student trained on the traces that a selector chose, against the same student trained
on random eligible ones: if the choice helps off the diagonal, it found something about the
person, not about the model. Knows finished evaluations; runs nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from usersim.errors import EvaluationError
from usersim.evaluation.bootstrap import Interval, Resampling, holm
from usersim.evaluation.metrics import METRICS, Metric
from usersim.evaluation.metrics.base import ratio
from usersim.evaluation.report_files import ItemScores, read_provenance, read_scores
from usersim.evaluation.results import Evaluation, better_word
from usersim.files import csv_text

__all__ = ["TransferCell", "TransferMatrix"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferCell:
    """One student on one selector's traces.

    Attributes:
        difference: Arm - baseline on the same items, with its 95 % interval, in the metric's unit.
        p_value: Two-sided, from the same resamples.
        p_holm: Corrected for the number of cells.
        n_items: Items measured.
        n_users: People behind them.
    """

    difference: Interval
    p_value: float
    p_holm: float
    n_items: int
    n_users: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferMatrix:
    """What each selector's choice of traces is worth to each student.

    Attributes:
        selectors: Models that scored and selected, in the order of the rows.
        students: Models that learned, in the order of the columns.
        metric: What was measured.
        cells: By (selector, student); pairs that were not measured are missing.
        arm: The arm that learned from the selected traces.
        baseline: The arm that it is compared with.

    Example:
        >>> from usersim.evaluation.bootstrap import Interval
        >>> from usersim.evaluation.metrics import METRICS
        >>> cell = TransferCell(difference=Interval(0.2, 0.1, 0.3), p_value=0.01, p_holm=0.02,
        ...                     n_items=200, n_users=10)
        >>> matrix = TransferMatrix(selectors=("135m",), students=("8b",), metric=METRICS[0],
        ...                         cells={("135m", "8b"): cell}, arm="Recon-Select",
        ...                         baseline="none")
        >>> [(row["selector"], row["student"]) for row in matrix.to_records()]
        [('135m', '8b')]
    """

    selectors: tuple[str, ...]
    students: tuple[str, ...]
    metric: Metric
    cells: Mapping[tuple[str, str], TransferCell]
    arm: str
    baseline: str

    @classmethod
    def of(
        cls,
        evaluations: Mapping[tuple[str, str], Evaluation],
        *,
        metric: str,
        arm: str = "Recon-Select",
        baseline: str = "B4e random of eligible",
    ) -> TransferMatrix:
        """Build the matrix from one evaluation per (selector, student).

        Args:
            evaluations: By (selector, student); all of them on the same held-out items.
            metric: Name of the metric.
            arm: Name of the arm that learned from the selected traces.
            baseline: Name of the arm that learned from random eligible ones.

        Returns:
            The matrix, rows and columns in the order in which they first appear.

        Raises:
            EvaluationError: If there is no evaluation, one did not measure metric or arm, or
                two were taken on different items.
        """
        if not evaluations:
            raise EvaluationError("a transfer matrix needs an evaluation of at least one pair")
        _check_items({pair: {i.key for i in one.interactions} for pair, one in evaluations.items()})
        chosen = next(iter(evaluations.values())).metric(metric)
        found = {
            pair: _Found(
                *_difference(pair, one, metric, arm, baseline),
                n_items=sum(chosen.applies(i) for i in one.interactions),
                n_users=one.n_users,
            )
            for pair, one in evaluations.items()
        }
        return cls._made(found, chosen, arm, baseline)

    @classmethod
    def of_reports(
        cls,
        folders: Sequence[str | Path],
        *,
        metric: str,
        arm: str = "Recon-Select",
        baseline: str = "B4e random of eligible",
        seed: int = 0,
    ) -> TransferMatrix:
        """Build the matrix from the report folders of `usersim evaluate`.

        Who selected (`--recon-model`) and who learned (`--model`) is read from each folder.

        Args:
            folders: One for each pair of models, all of them on the same held-out items.
            metric: Name of a metric that has a score per item.
            arm: Name of the arm that learned from the selected traces.
            baseline: Name of the arm that learned from random eligible ones.
            seed: Of the resamples.

        Raises:
            EvaluationError: As `of`; or if two folders are of the same pair.
        """
        read: dict[tuple[str, str], Mapping[str, ItemScores]] = {}
        for folder in folders:
            pair = _models(folder)
            if pair in read:
                raise EvaluationError(
                    f"{str(folder)!r} is a second report of the pair {pair!r}",
                    hint="use `usersim study pool` for reports of one pair with several seeds",
                )
            read[pair] = read_scores(folder, metric)
        if not read:
            raise EvaluationError("a transfer matrix needs a report of at least one pair")
        _check_items({pair: set(items) for pair, items in read.items()})
        names = _labels([name for pair in read for name in pair])
        found = {
            (names[pair[0]], names[pair[1]]): _read_difference(pair, items, arm, baseline, seed)
            for pair, items in read.items()
        }
        return cls._made(found, _metric(metric), arm, baseline)

    @classmethod
    def _made(
        cls, found: Mapping[tuple[str, str], _Found], metric: Metric, arm: str, baseline: str
    ) -> TransferMatrix:
        corrected = holm([one.p_value for one in found.values()])
        return cls(
            selectors=tuple(dict.fromkeys(selector for selector, _ in found)),
            students=tuple(dict.fromkeys(student for _, student in found)),
            metric=metric,
            cells={
                pair: TransferCell(
                    difference=one.difference,
                    p_value=one.p_value,
                    p_holm=p_holm,
                    n_items=one.n_items,
                    n_users=one.n_users,
                )
                for (pair, one), p_holm in zip(found.items(), corrected, strict=True)
            },
            arm=arm,
            baseline=baseline,
        )

    def to_records(self) -> list[dict[str, object]]:
        """Return one flat row per measured cell, by selector, then student."""
        return [
            {
                "selector": selector,
                "student": student,
                "metric": self.metric.name,
                "version": self.metric.version,
                "unit": self.metric.unit,
                "better": better_word(self.metric),
                "arm": self.arm,
                "baseline": self.baseline,
                "difference": cell.difference.value,
                "low": cell.difference.low,
                "high": cell.difference.high,
                "excludes_0": cell.difference.excludes(0.0),
                "p_value": cell.p_value,
                "p_holm": cell.p_holm,
                "n_items": cell.n_items,
                "n_users": cell.n_users,
            }
            for selector in self.selectors
            for student in self.students
            if (cell := self.cells.get((selector, student))) is not None
        ]

    def to_csv(self) -> str:
        """Return `to_records` as CSV; NaN is empty."""
        return csv_text(self.to_records())


class _Found(NamedTuple):
    """A cell before the correction for the number of cells."""

    difference: Interval
    p_value: float
    n_items: int
    n_users: int


def _models(folder: str | Path) -> tuple[str, str]:
    """Return who selected and who learned in a report: identities of engines.

    Raises:
        EvaluationError: If the report does not say it.
    """
    told = read_provenance(folder)
    if "engine" not in told:
        raise EvaluationError(
            f"the report in {str(folder)!r} has no model names",
            hint="create it with `usersim evaluate` or sim.evaluate",
        )
    student = str(told["engine"])
    return str(told.get("recon engine", student)), student


def _labels(identities: Sequence[str]) -> dict[str, str]:
    """Return what to call each model: its name and six digits of its digest where that tells."""
    short = {
        one: re.sub(r"^(?:.*/)?([^/]*@[0-9a-f]{6})[0-9a-f]*/.*$", r"\1", one) for one in identities
    }
    told = Counter(short.values())
    return {one: name if told[name] == 1 else one for one, name in short.items()}


def _metric(name: str) -> Metric:
    """Return one of the metrics.

    Raises:
        EvaluationError: If there is none of this name.
    """
    for one in METRICS:
        if one.name == name:
            return one
    raise EvaluationError(
        f"{name!r} is not a built-in metric, so its direction and unit are unknown",
        hint="build the matrix from evaluations: TransferMatrix.of",
    )


def _read_difference(
    pair: tuple[str, str],
    items: Mapping[str, ItemScores],
    arm: str,
    baseline: str,
    seed: int,
) -> _Found:
    """Return one cell from the scores of each item.

    Raises:
        EvaluationError: If arm or baseline was not measured on every item.
    """
    rows = list(items.values())
    missing = {name for row in rows for name in (arm, baseline) if name not in row.scores}
    if missing:
        raise EvaluationError(
            f"the report of {pair!r} has no scores of {sorted(missing)!r}",
            hint=f"its arms: {sorted({name for row in rows for name in row.scores})!r}",
        )
    resampling = Resampling.of(
        [row.user_id for row in rows], [row.conversation for row in rows], seed=seed
    )
    first, second = (
        np.array([[row.scores[name], 1.0] for row in rows]) for name in (arm, baseline)
    )
    return _Found(
        *resampling.difference(first, second, ratio),
        n_items=len(rows),
        n_users=resampling.n_users,
    )


def _check_items(items: Mapping[tuple[str, str], set[str]]) -> None:
    """Refuse evaluations whose cells could not be compared with each other.

    Raises:
        EvaluationError: Naming two pairs that were taken on different items.
    """
    first, *others = items
    for pair in others:
        if items[pair] != items[first]:
            raise EvaluationError(
                f"the pairs {first!r} and {pair!r} were measured on different items",
                hint="evaluate every pair on the same held-out interactions",
            )


def _difference(
    pair: tuple[str, str], evaluation: Evaluation, metric: str, arm: str, baseline: str
) -> tuple[Interval, float]:
    """Return one cell's paired difference and its p-value.

    Raises:
        EvaluationError: Naming the pair and what it has not measured.
    """
    finish = evaluation.metric(metric).finish
    rows = {name: evaluation.statistics.get((metric, name)) for name in (arm, baseline)}
    first, second = rows[arm], rows[baseline]
    if first is None or second is None:
        missing = [name for name, found in rows.items() if found is None]
        raise EvaluationError(
            f"the evaluation of {pair!r} has no scores of {missing!r} on metric {metric!r}",
            hint=f"its arms: {list(evaluation.arms)!r}",
        )
    return evaluation.resampling.difference(first, second, finish)
