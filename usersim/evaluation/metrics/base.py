"""What a metric is: numbers per item that add up, and a last step that makes them one value.

Because every metric is a function of sums over items, one matrix of resampling weights serves
all of them, and a difference between two arms is always taken on the same items. Knows nothing
of arms, files or plots.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from usersim.errors import ActionError, EvaluationError
from usersim.evaluation.bootstrap import FloatArray, ratio
from usersim.types import ActionValue, Interaction, Prediction

__all__ = ["MeanOf", "Metric", "Needs", "answer_of", "checked_shares"]

Needs = Literal["action", "probabilities", "log_likelihood"]
PerItem = Callable[[Interaction, Prediction], float]
PerBatch = Callable[[Sequence[Interaction], Sequence[Prediction]], FloatArray]
_SUM_TOLERANCE = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One measure of how well predictions meet what people did.

    Attributes:
        name: Identity, with `version`, of the numbers it yields.
        label: Short heading.
        version: Changes whenever a number could change.
        unit: Unit of the value.
        greater_is_better: Direction; None where a value is aimed at (`target`).
        target: The value aimed at; None where there is a direction.
        formula: What is computed, failures included.
        source: Where the definition comes from.
        needs: What an arm must report; an arm that never reports it is left out, not punished.
        applies: Which interactions are measured.
        statistics: Numbers per item that may be summed. Shape `(n, m)`.
        finish: Totals of shape `(..., m)` to values of shape `(...)`.
        itemwise: Whether `finish` of a single item's statistics is that item's own score.
        headline: Whether it stands in the short table.

    Example:
        >>> from usersim.evaluation import Arm, evaluate
        >>> from usersim.types import Batch, FreeText, Message
        >>> polite = Metric(
        ...     name="polite", label="Says please", version="1", unit="share",
        ...     greater_is_better=True, formula="share of answers that contain 'please'",
        ...     source="own", needs="action",
        ...     applies=lambda interaction: interaction.space.kind == "free_text",
        ...     statistics=lambda asked, predicted: np.array(
        ...         [["please" in one.action, 1.0] for one in predicted], dtype=float
        ...     ),
        ... )
        >>> tea = Interaction(key="k", user_id="ada", position=0, context=(Message("Tea?"),),
        ...                   action="Yes.", space=FreeText(), conversation="c", split="held_out")
        >>> answer = Prediction(action="Yes, please.")
        >>> arm = Arm("Polite", lambda asked: Batch((answer,) * len(asked)))
        >>> found = evaluate([arm], [tea], metrics=[polite], bootstrap=10)
        >>> found.estimate("Polite", "polite").interval.value
        1.0
    """

    name: str
    label: str
    version: str
    unit: str
    greater_is_better: bool | None
    target: float | None = None
    formula: str
    source: str
    needs: Needs
    applies: Callable[[Interaction], bool]
    statistics: Callable[[Sequence[Interaction], Sequence[Prediction]], FloatArray]
    finish: Callable[[FloatArray], FloatArray] = ratio
    itemwise: bool = True
    headline: bool = True

    @property
    def averages(self) -> bool:
        """Whether the value is the mean of the items' own scores, and not a ratio of sums."""
        return isinstance(self.statistics, MeanOf)

    def can_measure(self, prediction: Prediction) -> bool:
        """Return whether `prediction` holds what the metric needs."""
        if self.needs == "probabilities":
            return bool(prediction.probabilities)
        if self.needs == "log_likelihood":
            return prediction.log_likelihood is not None and prediction.n_tokens > 0
        return prediction.action is not None

    def items(
        self, interactions: Sequence[Interaction], predictions: Sequence[Prediction]
    ) -> FloatArray:
        """Return each item's own score; NaN where the metric has none. Shape `(n,)`."""
        if not self.itemwise:
            return np.full(len(interactions), np.nan)
        return self.finish(self.statistics(interactions, predictions))

    def value(
        self, interactions: Sequence[Interaction], predictions: Sequence[Prediction]
    ) -> float:
        """Return the metric over all items."""
        return float(self.finish(self.statistics(interactions, predictions).sum(axis=0)))

    def better(self, first: float, second: float) -> bool:
        """Return whether `first` is better than `second`."""
        if self.greater_is_better is None:
            target = self.target or 0.0
            return abs(first - target) < abs(second - target)
        return first > second if self.greater_is_better else first < second


@dataclass(frozen=True, slots=True)
class MeanOf:
    """Statistics whose ratio is the mean of a score: the score itself, and 1.

    Attributes:
        scores: Of many items at once. Shape `(n,)`.
    """

    scores: PerBatch

    @classmethod
    def each(cls, score: PerItem) -> MeanOf:
        """Return the statistics of a score that looks at one item at a time."""

        def scores(
            interactions: Sequence[Interaction], predictions: Sequence[Prediction]
        ) -> FloatArray:
            pairs = zip(interactions, predictions, strict=True)
            return np.array([score(i, p) for i, p in pairs], dtype=np.float64)

        return cls(scores)

    def __call__(
        self, interactions: Sequence[Interaction], predictions: Sequence[Prediction]
    ) -> FloatArray:
        """Return the statistics. Shape `(n, 2)`."""
        values = self.scores(interactions, predictions)
        return np.stack([values, np.ones_like(values)], axis=1)


def answer_of(interaction: Interaction, prediction: Prediction) -> ActionValue | None:
    """Return the predicted action as a value of its action space.

    None if the system failed, or if what it said does not belong there: both count as wrong.
    """
    if prediction.action is None:
        return None
    try:
        return interaction.space.parse(prediction.action)
    except ActionError:
        return None


def checked_shares(interaction: Interaction, prediction: Prediction) -> FloatArray:
    """Return the probabilities as they are named, not yet normalized. Shape `(m,)`.

    Raises:
        EvaluationError: If one is no finite number ≥ 0, or they do not sum to 1 (± 0.02).
    """
    given = prediction.probabilities
    p = np.array(list(given.values()), dtype=np.float64)
    if not np.isfinite(p).all() or (p < 0).any() or abs(float(p.sum()) - 1) > _SUM_TOLERANCE:
        where = f"of {interaction.key!r} (user {interaction.user_id!r})"
        raise EvaluationError(f"probabilities {where} are not a distribution: {dict(given)!r}")
    return p
