"""What a calibration found: the weights, how good the pool is, and what each predictor adds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import numpy as np

from usersim.evaluation import Evaluation
from usersim.evaluation.metrics.closed import ECE_BINS, top_option
from usersim.evaluation.verdict import added
from usersim.prediction import GROUPS, Pool
from usersim.prediction.pool import FEW
from usersim.simulator.predicting import SIMULATOR
from usersim.types import Failure, Predictor
from usersim.types.counting import counted
from usersim.views import Sheet, printed

__all__ = ["ABLATIONS", "BEFORE", "POOL", "Calibration"]

POOL = "the pool"
BEFORE = "the pool, not calibrated"
ABLATIONS: dict[str, tuple[str, frozenset[Predictor]]] = {
    "the pool without reasoning": ("the reasoning", frozenset({"reasoning"})),
    "the pool without the model": ("the model, with and without reasoning", SIMULATOR),
}
"""Pools that leave predictors out, by name: what is left out, in words, and its predictors. Each is
fitted like the pool itself, so that the difference is what they add."""
_OTHERS = {"known": "many others", "few": f"fewer than {FEW} others", "new": "nobody else"}
"""The groups of questions by who else answered, in words."""
NOTHING = "–"


@printed(lambda one: one.sheet())
@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What was fitted, and how good it is on people it was not fitted on.

    Attributes:
        pool: Weights of the predictors, fitted on all answers.
        evaluation: Every predictor, the pool with prior weights, and the pool as `POOL`, whose
            weights come from the other people.
        failures: Answers that could not be predicted.
        simulator: Digest of the adapter, or name of the base model, that the weights are for.
        report: The page with the reliability diagram, where one was written.

    Example:
        >>> from usersim import UserSimulator
        >>> answers, drinks = ["no", "yes"], ("tea", "coffee", "milk", "water")
        >>> rows = [{"user_id": name, "context": f"{drink}?", "action": "yes", "options": answers}
        ...         for name in "abcdefghij" for drink in drinks]
        >>> with UserSimulator.from_corpus(rows, engine="scripted", config="tiny") as sim:
        ...     calibration = sim.calibrate(answers=8, progress=False)
        >>> calibration.simulator, len(calibration.evaluation.interactions)
        ('embedded', 8)
    """

    pool: Pool
    evaluation: Evaluation
    failures: tuple[Failure, ...]
    simulator: str
    report: Path | None = None

    def sheet(self) -> Sheet:
        """Return every predictor and the pool as a table, with the weights below it."""
        rows = [self._row(name) for name in self.evaluation.arms]
        found = self.evaluation
        return Sheet(
            title=f"{counted(len(found.interactions), 'answer')} of "
            f"{counted(found.n_users, 'person', 'people')}",
            columns=("predictor", "log score", "accuracy", "ECE"),
            rows=tuple(rows),
            notes=(*self._weights(), *self._left_out()),
        )

    def reliability(self) -> Sheet:
        """Return a reliability diagram as a table: how sure the pool was, and how often right.

        One row for each tenth of the confidence (the largest option's probability) with answers
        in it, before the weights were fitted and after.
        """
        rows: list[tuple[str, ...]] = []
        told = {name: self._by_confidence(name) for name in (BEFORE, POOL)}
        for place in range(ECE_BINS):
            cells = [cell for name in told for cell in _bin(told[name].get(place))]
            if any(cell != NOTHING for cell in cells):
                rows.append((f"{place / ECE_BINS:.1f}–{(place + 1) / ECE_BINS:.1f}", *cells))
        return Sheet(
            title="Reliability: how sure, and how often right",
            columns=("confidence", "sure before", "right", "n", "sure after", "right", "n"),
            rows=tuple(rows),
        )

    def added(self) -> tuple[str, ...]:
        """Say what the model, and its reasoning, added to the pool, in a sentence each.

        The paired difference in log score to a pool that was fitted without them.
        """
        return tuple(
            sentence
            for name, (words, _) in ABLATIONS.items()
            for sentence in added(self.evaluation, POOL, name, words)
        )

    def _by_confidence(self, name: str) -> dict[int, list[tuple[float, float]]]:
        """Return confidence and hit of each answer, by the tenth that the confidence is in."""
        found: dict[int, list[tuple[float, float]]] = {}
        pairs = zip(self.evaluation.interactions, self.evaluation.predictions[name], strict=True)
        for interaction, prediction in pairs:
            sure, right = top_option(interaction, prediction)
            place = max(ceil(sure * ECE_BINS) - 1, 0)
            found.setdefault(place, []).append((sure, right))
        return found

    def _row(self, name: str) -> tuple[str, ...]:
        cells = [name]
        for metric in ("log_score", "accuracy", "ece"):
            found = self.evaluation.estimate(name, metric)
            cells.append(NOTHING if found is None else str(found.interval))
        return tuple(cells)

    def _left_out(self) -> Iterator[str]:
        if self.failures:
            yield f"not predicted: {len(self.failures)}, first: {self.failures[0].message}"

    def _weights(self) -> Iterator[str]:
        for group in GROUPS:
            own = self.pool.groups[group]
            if own.answers:
                parts = [
                    f"{name.replace('_', ' ')} {w:.2f}"
                    for name, w in own.weights.items()
                    if round(w, 2)
                ]
                kind, _, others = group.replace("_", " ").partition(", ")
                told = ", ".join(parts) or "no predictor helps"
                yield (
                    f"weights of {kind} questions that {_OTHERS[others]} answered "
                    f"({counted(own.answers, 'answer')}): {told}"
                )


def _bin(told: Sequence[tuple[float, float]] | None) -> tuple[str, str, str]:
    """Return mean confidence, share right and count of the answers of one tenth."""
    if not told:
        return NOTHING, NOTHING, NOTHING
    sure, right = np.mean(told, axis=0)
    return f"{sure:.2f}", f"{right:.2f}", str(len(told))
