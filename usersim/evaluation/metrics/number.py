"""Metrics of numeric answers: of the answer that was given, and of the distribution behind it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from usersim.errors import ActionError, EvaluationError
from usersim.evaluation.bootstrap import FloatArray
from usersim.evaluation.metrics.base import MeanOf, Metric, answer_of, checked_shares
from usersim.types import Interaction, Number, Prediction

__all__ = ["ABSOLUTE_ERROR", "CRPS", "RANGE_CRPS", "RANGE_ERROR", "number_distribution"]


def _number(value: object) -> float:
    assert isinstance(value, int | float)
    return float(value)


def _range(interaction: Interaction) -> float:
    """Return high − low of the answer's range, 0 where it is not known."""
    space = interaction.space
    if not isinstance(space, Number) or space.low is None or space.high is None:
        return 0.0
    return space.high - space.low


def number_distribution(
    interaction: Interaction, prediction: Prediction
) -> tuple[FloatArray, FloatArray] | None:
    """Return the values that are predicted and their probabilities. Shapes `(m,)`.

    A prediction without probabilities is sure of its action; a failure has no distribution.

    Raises:
        EvaluationError: If a name is no value of the question, or the probabilities are no
            distribution.
    """
    space = interaction.space
    assert isinstance(space, Number)
    if not prediction.probabilities:
        answer = answer_of(interaction, prediction)
        return None if answer is None else (np.array([_number(answer)]), np.ones(1))
    p = checked_shares(interaction, prediction)
    try:
        values = [_number(space.parse(name)) for name in prediction.probabilities]
    except ActionError as error:
        raise EvaluationError(
            f"probabilities of {interaction.key!r} (user {interaction.user_id!r}) name what is "
            f"no answer: {error}"
        ) from error
    return np.array(values), p / p.sum()


def _charged_error(true: float, space: object, observed: FloatArray) -> float:
    """Return a uniform answer's mean error; without a range, a random person's."""
    if isinstance(space, Number) and space.low is not None and space.high is not None:
        width = space.high - space.low
        if width > 0:
            return ((true - space.low) ** 2 + (space.high - true) ** 2) / (2 * width)
    return float(np.abs(observed - true).mean())


def _charged_crps(true: float, space: object, observed: FloatArray) -> float:
    """Return the score of the uniform distribution; without a range, of what all answered."""
    if isinstance(space, Number) and space.low is not None and space.high is not None:
        spread = (space.high - space.low) / 3  # mean distance of two uniform draws
    else:
        spread = _distance(observed, np.full(len(observed), 1 / len(observed)))
    return _charged_error(true, space, observed) - spread / 2


def _distance(values: FloatArray, p: FloatArray) -> float:
    """Return the mean distance of two independent draws: `2 ∫ F (1 − F)`."""
    order = np.argsort(values)
    below = np.cumsum(p[order])[:-1]
    return float(2 * (below * (1 - below) * np.diff(values[order])).sum())


def _observed(interactions: Sequence[Interaction]) -> FloatArray:
    return np.array([_number(i.action) for i in interactions], dtype=np.float64)


def _errors(
    interactions: Sequence[Interaction], predictions: Sequence[Prediction], *, ranged: bool
) -> FloatArray:
    """Return `|predicted − true|` per item, or its share of the range. Shape `(n,)`."""
    observed = _observed(interactions)
    errors = np.empty(len(interactions))
    for row, (interaction, prediction) in enumerate(zip(interactions, predictions, strict=True)):
        answer = answer_of(interaction, prediction)
        errors[row] = (
            _charged_error(observed[row], interaction.space, observed)
            if answer is None
            else abs(_number(answer) - observed[row])
        )
    return errors / [_range(i) if ranged else 1.0 for i in interactions]


def _crps(
    interactions: Sequence[Interaction], predictions: Sequence[Prediction], *, ranged: bool
) -> FloatArray:
    """Return `E|X − true| − ½ E|X − X′|` per item, or its share of the range. Shape `(n,)`."""
    observed = _observed(interactions)
    scores = np.empty(len(interactions))
    for row, (interaction, prediction) in enumerate(zip(interactions, predictions, strict=True)):
        found = number_distribution(interaction, prediction)
        if found is None:
            scores[row] = _charged_crps(observed[row], interaction.space, observed)
            continue
        values, p = found
        scores[row] = p @ np.abs(values - observed[row]) - _distance(values, p) / 2
    return scores / [_range(i) if ranged else 1.0 for i in interactions]


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
    statistics=MeanOf(partial(_errors, ranged=False)),
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
    statistics=MeanOf(partial(_errors, ranged=True)),
)
CRPS = Metric(
    name="crps",
    label="CRPS",
    version="1",
    unit="the answers' own",
    greater_is_better=False,
    formula="mean of E|X − true| − ½ E|X − X′|, X and X′ drawn from the prediction; a "
    "number without probabilities is certain; a failure: the uniform distribution on the "
    "range, or that of all true answers",
    source="Gneiting, Raftery, Strictly Proper Scoring Rules, 2007, eq. 21",
    needs="probabilities",
    applies=lambda i: isinstance(i.space, Number),
    statistics=MeanOf(partial(_crps, ranged=False)),
)
RANGE_CRPS = Metric(
    name="range_crps",
    label="CRPS / range",
    version="1",
    unit="share of the range",
    greater_is_better=False,
    formula="mean of CRPS / (high − low), where the range is known",
    source="Gneiting, Raftery, Strictly Proper Scoring Rules, 2007, eq. 21",
    needs="probabilities",
    applies=lambda i: _range(i) > 0,
    statistics=MeanOf(partial(_crps, ranged=True)),
)
