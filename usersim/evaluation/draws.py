"""The likelihood at several numbers of drawn traces (K): how much of a gain is averaging alone.

The log of a mean over K traces is a lower bound of the log of the marginal likelihood that rises
with K, whatever the traces say (arXiv 1509.00519). An arm with reasoning at K = 16 and one
without are therefore not two readings of the same thing, and a table says at which K each stands.
Knows finished evaluations; predicts nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from usersim.evaluation.bootstrap import Interval, ratio
from usersim.evaluation.results import Evaluation

__all__ = ["AtK", "by_traces"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AtK:
    """One arm at one number of traces.

    Attributes:
        arm: Name of the arm.
        k: Traces that an answer averages over.
        log_likelihood: Of the true answer, nats: per answer of a closed question, per token of
            an open one.
        over_none: The same less that of the arm without reasoning, on the same items; None where
            no such arm was measured.
        n_items: Items measured.

    Example:
        >>> from usersim.evaluation.bootstrap import Interval
        >>> one = AtK(arm="Recon", k=4, log_likelihood=Interval(-1.5, -1.7, -1.3), n_items=40,
        ...           over_none=Interval(0.2, 0.1, 0.3))
        >>> one.over_none.excludes(0.0)
        True
    """

    arm: str
    k: int
    log_likelihood: Interval
    over_none: Interval | None
    n_items: int


def by_traces(
    evaluation: Evaluation, *, none: str | None = None, arms: Sequence[str] | None = None
) -> list[AtK]:
    """Return the likelihood of each arm that draws traces, at each K that was measured.

    Items that an arm failed on are left out of its rows.

    Args:
        evaluation: What was measured.
        none: The arm without reasoning to compare with; not compared if it was not measured.
        arms: Which arms; None takes all that draw traces.

    Returns:
        One row per arm and K, K rising within an arm.

    Example:
        >>> from usersim.evaluation import Arm, evaluate
        >>> from usersim.types import Batch, FreeText, Interaction, Message, Prediction
        >>> tea = Interaction(key="k", user_id="ada", position=0, context=(Message("Tea?"),),
        ...                   action="Yes.", space=FreeText(), conversation="c", split="held_out")
        >>> def drawing(asked):
        ...     detail = {"log_likelihood_at": {"1": -4.0, "4": -3.0}}
        ...     one = Prediction(action="Yes.", log_likelihood=-3.0, n_tokens=2, detail=detail)
        ...     return Batch((one,) * len(asked))
        >>> found = evaluate([Arm("Recon", drawing)], [tea], bootstrap=10)
        >>> [(row.arm, row.k, row.log_likelihood.value) for row in by_traces(found)]
        [('Recon', 1, -2.0), ('Recon', 4, -1.5)]
    """
    plain = [
        None if one.log_likelihood is None else one.log_likelihood / max(one.n_tokens, 1)
        for one in evaluation.predictions.get(none or "", ())
    ]
    rows: list[AtK] = []
    for arm, made in evaluation.predictions.items():
        if arms is not None and arm not in arms:
            continue
        tables = [
            {
                int(k): value / max(one.n_tokens, 1)
                for k, value in cast(
                    "dict[str, float]", one.detail.get("log_likelihood_at") or {}
                ).items()
            }
            for one in made
        ]
        for k in sorted({k for table in tables for k in table}):
            values = [table.get(k) for table in tables]
            found, n_items = _mean(evaluation, values)
            rows.append(
                AtK(
                    arm=arm,
                    k=k,
                    log_likelihood=found,
                    over_none=_mean(evaluation, values, plain)[0] if plain else None,
                    n_items=n_items,
                )
            )
    return rows


def _mean(
    evaluation: Evaluation,
    values: Sequence[float | None],
    less: Sequence[float | None] | None = None,
) -> tuple[Interval, int]:
    """Return the mean of the items that have a value, and how many they are."""
    statistics = np.zeros((len(values), 2))
    for place, value in enumerate(values):
        other = 0.0 if less is None else less[place]
        if value is not None and other is not None:
            statistics[place] = value - other, 1.0
    return evaluation.resampling.estimate(statistics, ratio), int(statistics[:, 1].sum())
