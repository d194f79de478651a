"""Run every arm once over the same held-out interactions, and measure.

Knows arms as callables; knows nothing of how they predict. One item's failure is data; training
interactions are refused, because a score on them measures memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from usersim.errors import EvaluationError, boundary
from usersim.evaluation.arms import Arm
from usersim.evaluation.bootstrap import FloatArray, Resampling
from usersim.evaluation.cache import PredictionCache
from usersim.evaluation.metrics import (
    Metric,
    chances,
    default_metrics,
    distribution,
    number_distribution,
)
from usersim.evaluation.results import Estimate, Evaluation
from usersim.types import (
    Failure,
    Interaction,
    MultiChoice,
    Number,
    Prediction,
    content_key,
    is_closed,
)
from usersim.types.counting import counted
from usersim.views import Progress

__all__ = ["evaluate"]

_CHUNK = 64
"""Interactions of one call to an arm: large enough to batch, small enough to lose on a kill."""


def evaluate(
    arms: Sequence[Arm],
    interactions: Sequence[Interaction],
    *,
    metrics: Sequence[Metric] | None = None,
    baseline: str | None = None,
    bootstrap: int = 2000,
    seed: int = 0,
    cache: PredictionCache | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Measure `arms` on held-out `interactions`.

    Args:
        arms: Predictors with unique names.
        interactions: Held-out interactions, each once; the same for all arms.
        metrics: What to measure; None takes every metric that applies.
        baseline: Name of the arm that the others are compared with; None takes the first.
        bootstrap: Resamples behind the intervals.
        seed: Seed of the resamples.
        cache: Where finished predictions are kept, so that a second run does not repeat them.
        progress: Called with (stage, predictions done, predictions in all).

    Returns:
        Estimates with intervals, paired comparisons, and every prediction.

    Raises:
        EvaluationError: If an interaction is not held out or stands twice, if two arms share a
            name, if the baseline is none of them, if an arm raises or returns another number of
            predictions than it was asked for, or if its probabilities are no distribution.

    Example:
        >>> from usersim.evaluation import uniform_arm
        >>> from usersim.types import Choice, Interaction, Message
        >>> item = Interaction(key="k1", user_id="ada", position=0, context=(Message("Tea?"),),
        ...     action="yes", space=Choice(("yes", "no")), conversation="c1", split="held_out")
        >>> evaluate([uniform_arm()], [item]).estimate("Chance", "brier").interval.value
        0.5
    """
    _check(arms, interactions, baseline)
    items = tuple(interactions)
    chosen = tuple(metrics) if metrics is not None else default_metrics(items)
    runner = _Runner(items, cache, progress, total=len(arms) * len(items))
    runs = {arm.name: runner.run(arm) for arm in arms}
    predictions = {name: found for name, (found, _) in runs.items()}
    statistics = _statistics(chosen, items, predictions)
    conversations = [i.conversation for i in items]
    users = [i.user_id for i in items]
    resampling = Resampling.of(users, conversations, resamples=bootstrap, seed=seed)
    return Evaluation(
        arms={arm.name: arm.description for arm in arms},
        baseline=baseline or arms[0].name,
        interactions=items,
        predictions=predictions,
        failures={name: failed for name, (_, failed) in runs.items()},
        metrics=chosen,
        statistics=statistics,
        resampling=resampling,
        estimates=_estimates(chosen, items, predictions, statistics, resampling),
        resamples=bootstrap,
        seed=seed,
    )


def _check(arms: Sequence[Arm], interactions: Sequence[Interaction], baseline: str | None) -> None:
    names = [arm.name for arm in arms]
    if not arms or not interactions:
        raise EvaluationError(
            f"nothing to evaluate: {counted(len(arms), 'arm')}, "
            f"{counted(len(interactions), 'interaction')}"
        )
    if len(set(names)) < len(names):
        raise EvaluationError(f"two arms have the same name: {names!r}")
    if baseline is not None and baseline not in names:
        raise EvaluationError(f"the baseline {baseline!r} is not among the arms {names!r}")
    for interaction in interactions:
        if interaction.split != "held_out":
            raise EvaluationError(
                f"interaction {interaction.key!r} of user {interaction.user_id!r} belongs to the "
                f"{interaction.split!r} split: scoring it would measure memorization",
                hint="pass only interactions of the 'held_out' split",
            )
    key, times = Counter(i.key for i in interactions).most_common(1)[0]
    if times > 1:
        raise EvaluationError(f"interaction {key!r} occurs {times} times in the evaluation")


class _Runner:
    """Runs arms chunk by chunk, through the cache."""

    def __init__(
        self,
        items: tuple[Interaction, ...],
        cache: PredictionCache | None,
        progress: Progress | None,
        *,
        total: int,
    ) -> None:
        self.items = items
        self.cache = cache
        self.progress = progress
        self.total = total
        self.done = 0

    def run(self, arm: Arm) -> tuple[tuple[Prediction, ...], tuple[Failure, ...]]:
        """Return one prediction per item, failed ones without an action, and the failures."""
        keys = [content_key(arm.name, arm.identity, i.key) for i in self.items]
        cache = self.cache if arm.identity else None
        found: dict[int, Prediction] = {}
        if cache is not None:
            kept = ((n, cache.get(key)) for n, key in enumerate(keys))
            found = {n: prediction for n, prediction in kept if prediction is not None}
        failures: list[Failure] = []
        self._advance(len(found))
        missing = [n for n in range(len(self.items)) if n not in found]
        for start in range(0, len(missing), _CHUNK):
            places = missing[start : start + _CHUNK]
            predicted, failed = _ask(arm, [self.items[n] for n in places])
            for n, prediction in zip(places, predicted, strict=True):
                found[n] = prediction
                if cache is not None and prediction.action is not None:
                    cache.put(keys[n], prediction)
            failures += [replace(f, index=places[f.index]) for f in failed]
            self._advance(len(places))
        return tuple(found[n] for n in range(len(self.items))), tuple(failures)

    def _advance(self, n: int) -> None:
        self.done += n
        if self.progress and n:
            self.progress("measure", self.done, self.total)


def _ask(arm: Arm, items: Sequence[Interaction]) -> tuple[list[Prediction], list[Failure]]:
    with boundary(EvaluationError, f"running arm {arm.name!r}"):
        batch = arm.predict(items)
    if len(batch.items) != len(items):
        raise EvaluationError(
            f"arm {arm.name!r} returned {counted(len(batch.items), 'prediction')} for "
            f"{counted(len(items), 'item')}",
            hint="return one entry per interaction, None where it failed",
        )
    told = {f.index: f for f in batch.failures}
    predictions: list[Prediction] = []
    failures: list[Failure] = []
    for n, (item, prediction) in enumerate(zip(items, batch.items, strict=True)):
        if prediction is not None and prediction.action is not None:
            _checked(arm, item, prediction)
            predictions.append(prediction)
            continue
        failure = told.get(n) or Failure(
            index=n, item=item.key, error="EvaluationError", message="the arm returned no action"
        )
        detail = {"error": failure.error, "message": failure.message, "text": failure.text}
        predictions.append(Prediction(action=None, detail=detail))
        failures.append(failure)
    return predictions, failures


def _checked(arm: Arm, item: Interaction, prediction: Prediction) -> None:
    try:
        if is_closed(item.space):
            distribution(item, prediction)
        elif isinstance(item.space, MultiChoice):
            chances(item, prediction)
        elif isinstance(item.space, Number):
            number_distribution(item, prediction)
    except EvaluationError as error:
        raise EvaluationError(f"arm {arm.name!r}: {error}") from error


def _statistics(
    metrics: Sequence[Metric],
    items: tuple[Interaction, ...],
    predictions: Mapping[str, tuple[Prediction, ...]],
) -> dict[tuple[str, str], FloatArray]:
    """Return numbers per item by (metric, arm), zero rows where the metric does not apply."""
    found: dict[tuple[str, str], FloatArray] = {}
    for metric in metrics:
        places = [n for n, item in enumerate(items) if metric.applies(item)]
        for arm, predicted in predictions.items():
            measured = [predicted[n] for n in places]
            if not any(metric.can_measure(p) for p in measured) and _answers(measured):
                continue
            if not places:
                continue
            rows = metric.statistics([items[n] for n in places], measured)
            whole = np.zeros((len(items), rows.shape[1]))
            whole[places] = rows
            found[metric.name, arm] = whole
    return found


def _answers(predictions: Sequence[Prediction]) -> bool:
    return any(p.action is not None for p in predictions)


def _estimates(
    metrics: Sequence[Metric],
    items: tuple[Interaction, ...],
    predictions: Mapping[str, tuple[Prediction, ...]],
    statistics: Mapping[tuple[str, str], FloatArray],
    resampling: Resampling,
) -> tuple[Estimate, ...]:
    estimates: list[Estimate] = []
    for metric in metrics:
        places = [n for n, item in enumerate(items) if metric.applies(item)]
        for arm, predicted in predictions.items():
            rows = statistics.get((metric.name, arm))
            if rows is None:
                continue
            estimates.append(
                Estimate(
                    arm=arm,
                    metric=metric.name,
                    interval=resampling.estimate(rows, metric.finish),
                    n_items=len(places),
                    n_users=len({items[n].user_id for n in places}),
                    n_charged=sum(not metric.can_measure(predicted[n]) for n in places),
                )
            )
    return tuple(estimates)
