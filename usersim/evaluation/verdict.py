"""Sentences that a table of intervals allows, and no others.

A win is said only where the interval of the paired difference excludes 0; where the corrected
p-value does not agree, the sentence says so.
"""

from __future__ import annotations

from collections.abc import Sequence

from usersim.evaluation.metrics import LOG_SCORE, Metric
from usersim.evaluation.results import Comparison, Evaluation, headline_metrics
from usersim.types.counting import counted

__all__ = ["added", "caution", "sentence", "verdicts"]

_ALPHA = 0.05
FEW_PEOPLE = 10
"""Fewer people than these are too few to resample."""


def caution(people: int) -> str | None:
    """Return what has to be said before any verdict over `people`; None if there are enough.

    Example:
        >>> caution(100) is None, "1 person" in caution(1)
        (True, True)
    """
    if people >= FEW_PEOPLE:
        return None
    said = counted(people, "person", "people")
    return (
        f"With {said} the intervals are too narrow to generalize: a bootstrap over so few people "
        "underestimates them."
    )


def sentence(evaluation: Evaluation, comparison: Comparison) -> str:
    """Return what one comparison allows to be said, in plain words.

    Args:
        evaluation: What was measured.
        comparison: One of its comparisons, or of `evaluation.against(...)`.

    Example:
        >>> from usersim.evaluation import Arm, evaluate, uniform_arm
        >>> from usersim.types import Choice, Interaction, Message
        >>> items = [
        ...     Interaction(key=f"k{n}", user_id=f"u{n}", position=0, split="held_out",
        ...         conversation=f"c{n}", context=(Message("Tea?"),), action="yes",
        ...         space=Choice(("yes", "no")))
        ...     for n in range(8)
        ... ]
        >>> same = Arm("Same", uniform_arm().predict)
        >>> found = evaluate([uniform_arm(), same], items, bootstrap=100)
        >>> sentence(found, found.comparisons[0]).split(":")[1]
        ' Same is not distinguishable from Chance'
    """
    metric = evaluation.metric(comparison.metric)
    gap = comparison.difference
    figures = (
        f"difference {_signed(gap.value)} [{_signed(gap.low)}, {_signed(gap.high)}] {metric.unit}, "
        f"{counted(comparison.n_items, 'item')}"
    )
    head = f"{metric.label}: {comparison.arm}"
    if not gap.excludes(0.0):
        return f"{head} is not distinguishable from {comparison.baseline}: {figures}."
    if metric.greater_is_better is None:
        return f"{head} differs from {comparison.baseline}: {figures} (aimed at {metric.target:g})."
    word = "better" if metric.better(gap.value, 0.0) else "worse"
    caution = (
        f"; this does not survive the correction for several arms (p = {comparison.p_holm:.2f})"
        if comparison.p_holm > _ALPHA
        else ""
    )
    return f"{head} is {word} than {comparison.baseline}: {figures}{caution}."


def added(evaluation: Evaluation, whole: str, without: str, what: str) -> list[str]:
    """Say what a part of a pool adds to it: the paired difference in log score.

    Args:
        evaluation: Holds both arms.
        whole: The arm that pools everything.
        without: The arm that pools everything else.
        what: The part, in words.

    Returns:
        One sentence; none where one of the arms was not measured.
    """
    if without not in evaluation.arms:
        return []
    compared = evaluation.against(without)
    one = next((c for c in compared if (c.arm, c.metric) == (whole, LOG_SCORE.name)), None)
    if one is None:
        return []
    gap = one.difference
    verdict = "not distinguishable from no effect"
    if gap.excludes(0.0):
        verdict = "a gain" if gap.value > 0 else "a loss"
    said = (
        f"To the pool's log score {what} added {gap.value:+.3f} nats "
        f"[{gap.low:+.3f}, {gap.high:+.3f}] on {counted(one.n_items, 'answer')} of "
        f"{counted(evaluation.n_users, 'person', 'people')}: {verdict}."
    )
    return [said]


def verdicts(
    evaluation: Evaluation, *, baseline: str | None = None, metrics: Sequence[Metric] | None = None
) -> list[str]:
    """Return what may be said of the arms on each headline metric.

    An arm that differs gets a sentence of its own; those not distinguishable from the baseline
    share one, so that a page of many arms is not a page of "not distinguishable".

    Args:
        evaluation: What was measured.
        baseline: What to compare with; None takes the evaluation's own.
        metrics: On which metrics; None takes the headline metrics.

    Returns:
        Sentences, by metric.

    Example:
        >>> from usersim.evaluation import Arm, evaluate, uniform_arm
        >>> from usersim.types import Batch, Choice, Interaction, Message, Prediction
        >>> items = [
        ...     Interaction(key=f"k{n}", user_id=f"u{n}", position=0, split="held_out",
        ...         conversation=f"c{n}", context=(Message("Tea?"),), action="yes",
        ...         space=Choice(("yes", "no")))
        ...     for n in range(8)
        ... ]
        >>> def sure(asked):
        ...     said = Prediction(action="yes", probabilities={"yes": 0.9, "no": 0.1})
        ...     return Batch((said,) * len(asked))
        >>> found = evaluate([uniform_arm(), Arm("Sure", sure)], items, bootstrap=100)
        >>> brier = [found.metric("brier")]
        >>> verdicts(found, metrics=brier)
        ['Brier: Sure is better than Chance: difference −0.480 [−0.480, −0.480] 0 to 2, 8 items.']
    """
    against = baseline or evaluation.baseline
    compared = evaluation.against(against)
    found: list[str] = []
    for metric in headline_metrics(evaluation) if metrics is None else metrics:
        mine = [c for c in compared if c.metric == metric.name]
        found += [sentence(evaluation, c) for c in mine if c.difference.excludes(0.0)]
        alike = [c.arm for c in mine if not c.difference.excludes(0.0)]
        if alike:
            found.append(f"{metric.label}: not distinguishable from {against}: {', '.join(alike)}.")
    return found


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")
