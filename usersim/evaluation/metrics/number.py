"""Metrics of numeric answers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from usersim.evaluation.bootstrap import FloatArray
from usersim.evaluation.metrics.base import MeanOf, Metric, answer_of
from usersim.types import Interaction, Number, Prediction

__all__ = ["ABSOLUTE_ERROR", "RANGE_ERROR", "absolute_errors", "range_errors"]


def _number(value: object) -> float:
    assert isinstance(value, int | float)
    return float(value)


def _range(interaction: Interaction) -> float:
    """Return high − low of the answer's range, 0 where it is not known."""
    space = interaction.space
    if not isinstance(space, Number) or space.low is None or space.high is None:
        return 0.0
    return space.high - space.low


def _charge(true: float, space: object, observed: FloatArray) -> float:
    """Mean error of a uniform answer on the range; without a range, of a random person's."""
    if isinstance(space, Number) and space.low is not None and space.high is not None:
        width = space.high - space.low
        if width > 0:
            return ((true - space.low) ** 2 + (space.high - true) ** 2) / (2 * width)
    return float(np.abs(observed - true).mean())


def absolute_errors(
    interactions: Sequence[Interaction], predictions: Sequence[Prediction]
) -> FloatArray:
    """Return `|predicted − true|` per item, in the answers' own unit. Shape `(n,)`.

    A failure is charged the mean error of a uniform answer on the question's range; where that
    is not known, the mean distance to the true answers of all items.
    """
    observed = np.array([_number(i.action) for i in interactions], dtype=np.float64)
    errors = np.empty(len(interactions))
    for row, (interaction, prediction) in enumerate(zip(interactions, predictions, strict=True)):
        answer = answer_of(interaction, prediction)
        errors[row] = (
            _charge(observed[row], interaction.space, observed)
            if answer is None
            else abs(_number(answer) - observed[row])
        )
    return errors


def range_errors(
    interactions: Sequence[Interaction], predictions: Sequence[Prediction]
) -> FloatArray:
    """Return `|predicted − true| / (high − low)` per item, 0 to 1. Shape `(n,)`."""
    widths = np.array([_range(i) for i in interactions], dtype=np.float64)
    return absolute_errors(interactions, predictions) / widths


ABSOLUTE_ERROR = Metric(
    name="absolute_error",
    label="Abs. error",
    version="1",
    unit="the answers' own",
    greater_is_better=False,
    formula="mean of |predicted − true|; a failure: a uniform answer's mean error on the range, "
    "or the mean distance to all true answers",
    source="definition",
    needs="action",
    applies=lambda i: isinstance(i.space, Number),
    statistics=MeanOf(absolute_errors),
)
RANGE_ERROR = Metric(
    name="range_error",
    label="Error / range",
    version="1",
    unit="share of the range",
    greater_is_better=False,
    formula="mean of |predicted − true| / (high − low), where the range is known",
    source="definition",
    needs="action",
    applies=lambda i: _range(i) > 0,
    statistics=MeanOf(range_errors),
)
