"""The metrics, each a frozen value that states its unit, direction, formula and version."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from usersim.evaluation.metrics.base import MeanOf, Metric, answer_of
from usersim.evaluation.metrics.closed import (
    ACCURACY,
    BRIER,
    ECE,
    JACCARD,
    KAPPA,
    LOG_SCORE,
    MACRO_F1,
    OPTION_LOG_SCORE,
    RPS,
    SCALE_MAE,
    chances,
    distribution,
)
from usersim.evaluation.metrics.number import (
    ABSOLUTE_ERROR,
    CRPS,
    RANGE_CRPS,
    RANGE_ERROR,
    number_distribution,
)
from usersim.evaluation.metrics.text import (
    BITS_PER_CHARACTER,
    CHRF,
    DISTINCT_2,
    LENGTH_RATIO,
    LOG_LIKELIHOOD,
    ROUGE_L,
    STYLE_DISTANCE,
)
from usersim.style import style_distance
from usersim.types import Interaction

__all__ = [
    "ABSOLUTE_ERROR",
    "ACCURACY",
    "BITS_PER_CHARACTER",
    "BRIER",
    "CHRF",
    "CRPS",
    "DISTINCT_2",
    "ECE",
    "JACCARD",
    "KAPPA",
    "LENGTH_RATIO",
    "LOG_LIKELIHOOD",
    "LOG_SCORE",
    "MACRO_F1",
    "METRICS",
    "OPTION_LOG_SCORE",
    "RANGE_CRPS",
    "RANGE_ERROR",
    "ROUGE_L",
    "RPS",
    "SCALE_MAE",
    "STYLE_DISTANCE",
    "MeanOf",
    "Metric",
    "answer_of",
    "chances",
    "default_metrics",
    "distribution",
    "number_distribution",
    "style_distance",
]

METRICS: tuple[Metric, ...] = (
    ACCURACY,
    SCALE_MAE,
    RPS,
    LOG_SCORE,
    MACRO_F1,
    BRIER,
    ECE,
    KAPPA,
    JACCARD,
    OPTION_LOG_SCORE,
    RANGE_ERROR,
    RANGE_CRPS,
    ABSOLUTE_ERROR,
    CRPS,
    LOG_LIKELIHOOD,
    BITS_PER_CHARACTER,
    CHRF,
    ROUGE_L,
    STYLE_DISTANCE,
    LENGTH_RATIO,
    DISTINCT_2,
)
"""Every metric, in the order of the tables."""

_PACKAGES = {CHRF.name: "sacrebleu", ROUGE_L.name: "rouge_score"}


def default_metrics(interactions: Sequence[Interaction]) -> tuple[Metric, ...]:
    """Return the metrics that apply to at least one interaction.

    chrF and ROUGE-L are left out where their packages are not installed; naming them in
    `evaluate(metrics=…)` instead raises an error that says what to install.

    Args:
        interactions: What is to be predicted.

    Example:
        >>> from usersim.types import Choice, Message
        >>> item = Interaction(key="k1", user_id="ada", position=0, context=(Message("Tea?"),),
        ...     action="yes", space=Choice(("yes", "no")), conversation="c1", split="held_out")
        >>> "brier" in [metric.name for metric in default_metrics([item])]
        True
    """
    return tuple(
        metric
        for metric in METRICS
        if any(metric.applies(interaction) for interaction in interactions)
        and (metric.name not in _PACKAGES or find_spec(_PACKAGES[metric.name]) is not None)
    )
