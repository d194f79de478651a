"""When a run is measured, which state is the best, when it stops and when it has diverged.

Pure functions of numbers: no model, no files, no clock.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

__all__ = [
    "FINISHED",
    "ActionEvaluation",
    "Measured",
    "StopReason",
    "TraceEvaluation",
    "best_evaluation",
    "diverged",
    "evaluation_steps",
    "learning_rate_factor",
    "stalled",
]

StopReason = Literal["complete", "stalled", "time", "asked"]
"""Why a run ended: all steps done; validation no better twice in a row; `max_minutes` were
over; `stop_when` said so."""

FINISHED: frozenset[StopReason] = frozenset({"complete", "stalled"})
"""Reasons after which there is nothing to resume."""

PATIENCE = 2
"""Evaluations without improvement after which training stops."""
WARM_UP = 0.05
"""Share of the steps over which the learning rate rises."""
MOVING = 5
"""Losses that are averaged before they are compared."""
EXPLOSION = 3.0
MARGIN = 1.0
"""Exploded: the moving mean is above `EXPLOSION` times the first one plus `MARGIN` nats."""


M = TypeVar("M", bound="Measured")


class Measured(Protocol):
    """What was measured after a step, and which figure of it decides."""

    @property
    def step(self) -> int:
        """Optimizer steps done."""
        ...

    @property
    def watched(self) -> float:
        """More is better: tells the best state, and when to stop."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionEvaluation:
    """What the validation examples said after a step.

    Attributes:
        step: Optimizer steps done.
        action_logprob: Mean log p(action) after the traces, nats: of a closed question
            normalized over its options, of an open action per token. Without any trace the same
            as `action_logprob_alone`.
        action_logprob_alone: Mean log p(action) without reasoning, nats.
        n: Answers behind it; 0 where it was not counted.
    """

    step: int
    action_logprob: float
    action_logprob_alone: float
    n: int = 0

    @property
    def watched(self) -> float:
        """The likelihood of the actions, with and without reasoning alike: both answer."""
        return (self.action_logprob + self.action_logprob_alone) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceEvaluation:
    """What traces drawn for held-out interactions were worth after a step of a synthesizer.

    Attributes:
        step: Optimizer steps done; rounds, for expert iteration.
        gain: Mean masked gain under the reconstructor that the reward comes from, in the
            scorer's unit; a trace that cannot be read or that a guard refuses counts 0, as the
            empty trace does.
        second_gain: The same under the second reconstructor; None where there is none.
        reward: Mean reward.
        malformed: Share of the traces that could not be read.
        refused: Share of the traces that a hard guard refused.
        n: Traces behind it.
    """

    step: int
    gain: float
    second_gain: float | None
    reward: float
    malformed: float
    refused: float
    n: int

    @property
    def watched(self) -> float:
        """The second reconstructor's gain where there is one (guard L8)."""
        return self.gain if self.second_gain is None else self.second_gain


def evaluation_steps(steps: int, evaluations: int) -> frozenset[int]:
    """Return after which steps the validation loss is taken; the last step is one of them.

    Example:
        >>> sorted(evaluation_steps(10, 4))
        [2, 5, 8, 10]
    """
    return frozenset(max(1, round(steps * (i + 1) / evaluations)) for i in range(evaluations))


def best_evaluation(evaluations: Sequence[M]) -> M | None:
    """Return the evaluation with the highest watched figure, the earliest of equals."""
    return max(evaluations, key=lambda evaluation: evaluation.watched, default=None)


def stalled(evaluations: Sequence[Measured], planned: Collection[int]) -> bool:
    """Return whether the last `PATIENCE` planned evaluations brought nothing better.

    Evaluations at other steps (a run that the clock stopped, and that was taken up again) do
    not count, so that an interrupted run stops where an uninterrupted one does.
    """
    counted = [evaluation for evaluation in evaluations if evaluation.step in planned]
    best = best_evaluation(counted)
    return best is not None and len(counted) - 1 - counted.index(best) >= PATIENCE


def diverged(losses: Sequence[float]) -> bool:
    """Return whether the last loss is not finite, or the moving mean has exploded.

    Example:
        >>> diverged([2.0, 1.9, float("nan")]), diverged([2.0] * 5 + [2.5] * 5)
        (True, False)
    """
    if not losses:
        return False
    if not math.isfinite(losses[-1]):
        return True
    if len(losses) <= MOVING:
        return False
    first = sum(losses[:MOVING]) / MOVING
    return sum(losses[-MOVING:]) / MOVING > EXPLOSION * first + MARGIN


def learning_rate_factor(step: int, steps: int) -> float:
    """Return the share of the peak learning rate at a step: linear warm-up, then cosine.

    Never 0 within the run: with a few dozen steps each of them is wanted.

    Args:
        step: Steps done before, 0 for the first.
        steps: Steps of the run.

    Example:
        >>> [round(learning_rate_factor(step, 40), 2) for step in (0, 1, 2, 21, 39)]
        [0.33, 0.67, 1.0, 0.5, 0.0]
    """
    warm = math.ceil(WARM_UP * steps)
    if step < warm:
        return (step + 1) / (warm + 1)
    return 0.5 * (1.0 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))
