"""Where a closed answer comes from: predictors, their shares, and the evidence in the prompt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Combine", "Distribution", "Evidence", "PoolGroup", "Pooled", "Predictor", "Share"]

Distribution = Mapping[str, float]
"""Probability of each option, in the question's order. Of a multiple choice: how probable it is
that the option is chosen, so that they need not sum to 1. Of a number: of each range of values
that the other people's quantiles cut, under its typical value."""

Predictor = Literal["reasoning", "no_reasoning", "own_answer", "panel", "others", "own_scale"]
"""One source of a distribution over a question's options: the simulator after its reasoning, the
simulator without it, what the person answered when the very same question was asked before, the
person's other answers judged by how the panel answered, how the panel answered whoever is asked,
and how the person used the same options elsewhere."""

PoolGroup = Literal[
    "scale, known",
    "choice, known",
    "number, known",
    "multi_choice, known",
    "scale, few",
    "choice, few",
    "number, few",
    "multi_choice, few",
    "scale, new",
    "choice, new",
]
"""Kind of question, and how many other people answered it: twenty or more, fewer, or nobody. Each
has weights of its own in the pool; a number or a multiple choice that nobody answered has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One predictor's part in one answer.

    Attributes:
        predictor: Which.
        probabilities: What it said by itself.
        weight: Its exponent in the pool.
        share: Its part of all that moved the answer away from "every option alike", 0 to 1:
            `w_i · mean_k |log p_ik − mean log p_i|`, over the sum of the same of all predictors.
    """

    predictor: Predictor
    probabilities: Distribution
    weight: float
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooled:
    """What all predictors together say of one question.

    Attributes:
        probabilities: Of each option.
        shares: Each predictor's part, the largest first.
        calibrated: Whether the weights were fitted on answers of this corpus; if not, they are
            the prior's.
    """

    probabilities: Distribution
    shares: tuple[Share, ...]
    calibrated: bool = False


Combine = Callable[[Mapping[Predictor, Distribution]], Pooled]
"""Pools the distributions of several predictors over the options of one question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One past interaction in a prompt, and how much it bears on the question.

    Attributes:
        key: The interaction's key.
        weight: Expected association of its answer with the one asked for, 0 to 1.
        question: What was asked, shortened.
        action: What the person did, shortened.
        chosen: Whether it stands there because it bears on the question, or because it is new.
        moved: What it adds to the log-odds of each option within the panel model, nats, against
            the mean over the options; empty where the panel does not know both questions.
    """

    key: str
    weight: float
    question: str
    action: str
    chosen: bool
    moved: Mapping[str, float] = field(default_factory=dict[str, float])
