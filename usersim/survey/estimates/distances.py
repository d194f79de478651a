"""How near a simulated population comes to the people it stands for, question by question.

Pure functions of two distributions over the same options, and a table of them from predictions.
A population can be right while every individual in it is wrong: read it beside the accuracy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from usersim.errors import EvaluationError
from usersim.evaluation.bootstrap import FloatArray
from usersim.evaluation.metrics import answer_of
from usersim.evaluation.reference import question_key
from usersim.types import Choice, Interaction, Prediction, Scale

__all__ = [
    "Distances",
    "PopulationRow",
    "distances",
    "entropy_ratio",
    "jensen_shannon",
    "population_rows",
    "population_score",
    "split_half_floor",
    "total_variation",
    "wasserstein_1",
]


def _pair(first: Sequence[float] | FloatArray, second: Sequence[float] | FloatArray) -> FloatArray:
    """Return both distributions, normalized. Shape `(2, K)`.

    Raises:
        EvaluationError: If lengths differ, a value is negative, or all are 0.
    """
    p, q = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if p.ndim != 1 or p.shape != q.shape or p.size == 0:
        raise EvaluationError(f"two distributions over the same options, got {p!r} and {q!r}")
    both = np.stack([p, q])
    totals = both.sum(axis=1, keepdims=True)
    if not np.isfinite(both).all() or (both < 0).any() or (totals <= 0).any():
        raise EvaluationError(f"counts or probabilities must not be negative; got {p!r} and {q!r}")
    return both / totals


def total_variation(
    first: Sequence[float] | FloatArray, second: Sequence[float] | FloatArray
) -> float:
    """Return `½ Σ |p − q|`, 0 to 1: the share of people who would have to answer differently.

    Args:
        first: Counts or probabilities per option. Shape `(K,)`.
        second: The same of the other population. Shape `(K,)`.

    Returns:
        The distance.

    Raises:
        EvaluationError: If lengths differ, a value is negative, or all are 0.

    Example:
        >>> total_variation([1, 1, 2], [2, 1, 1])
        0.25
    """
    p, q = _pair(first, second)
    return float(np.abs(p - q).sum() / 2)


def wasserstein_1(
    first: Sequence[float] | FloatArray, second: Sequence[float] | FloatArray
) -> float:
    """Return the Wasserstein-1 distance of two distributions on an ordered scale, 0 to 1.

    `Σ_{k<K} |P_k − Q_k| / (K − 1)` with cumulative P and Q: the mean way that an answer has to
    move, as a share of the scale's length. Arguments as in `total_variation`.

    Raises:
        EvaluationError: If lengths differ, a value is negative, or all are 0.

    Example:
        >>> wasserstein_1([1, 0, 0], [0, 0, 1])
        1.0

    Notes:
        Source: SubPOP, arXiv 2502.16761, normalizes by the scale's length in the same way.
    """
    p, q = _pair(first, second)
    return float(np.abs(np.cumsum(p - q)[:-1]).sum() / max(len(p) - 1, 1))


def jensen_shannon(
    first: Sequence[float] | FloatArray, second: Sequence[float] | FloatArray
) -> float:
    """Return the Jensen–Shannon divergence in bits, 0 to 1: `½ KL(p ‖ m) + ½ KL(q ‖ m)`.

    `m` is the mean of both. Arguments as in `total_variation`.

    Raises:
        EvaluationError: If lengths differ, a value is negative, or all are 0.

    Example:
        >>> jensen_shannon([1, 0], [0, 1])
        1.0

    Notes:
        Source: Lin, Divergence measures based on the Shannon entropy, 1991.
    """
    p, q = _pair(first, second)
    return max(0.0, _entropy((p + q) / 2) - (_entropy(p) + _entropy(q)) / 2)


def entropy_ratio(
    predicted: Sequence[float] | FloatArray, human: Sequence[float] | FloatArray
) -> float:
    """Return H(predicted) / H(human): below 1 the simulated people are too much alike.

    NaN where all humans gave the same answer. Arguments as in `total_variation`.

    Raises:
        EvaluationError: If lengths differ, a value is negative, or all are 0.
    """
    p, q = _pair(predicted, human)
    below = _entropy(q)
    return _entropy(p) / below if below > 0 else float("nan")


def population_score(
    predicted: Sequence[float] | FloatArray, human: Sequence[float] | FloatArray
) -> float:
    """Return `100·(1 − TV / TV_uniform)`: 100 is perfect, 0 no better than the uniform answer.

    `TV_uniform` is the distance of the uniform distribution to the humans; NaN where that is 0.
    Arguments as in `total_variation`.

    Raises:
        EvaluationError: If lengths differ, a value is negative, or all are 0.

    Notes:
        Source: SimBench, arXiv 2510.17516.
    """
    p, q = _pair(predicted, human)
    below = total_variation(np.ones_like(q), q)
    return 100 * (1 - total_variation(p, q) / below) if below > 0 else float("nan")


def _entropy(p: FloatArray) -> float:
    positive = p[p > 0]
    return float(-(positive * np.log2(positive)).sum()) + 0.0


def split_half_floor(counts: Sequence[int], *, draws: int = 200, seed: int = 0) -> float:
    """Return the mean total variation between two random halves of the humans themselves.

    No simulation of so few people can be told to be nearer than this.

    Args:
        counts: People per option. Shape `(K,)`.
        draws: Random halvings.
        seed: Seed of the halvings.

    Returns:
        The distance; NaN for fewer than two people.

    Raises:
        EvaluationError: If a count is negative.
    """
    people = np.asarray(counts, dtype=np.int64)
    if (people < 0).any():
        raise EvaluationError(f"counts must not be negative; got {list(counts)!r}")
    n = int(people.sum())
    if n < 2:  # noqa: PLR2004 - one person has no halves
        return float("nan")
    rng = np.random.default_rng(seed)
    first = rng.multivariate_hypergeometric(people, n // 2, size=draws)
    second = people - first
    gap = np.abs(first / (n // 2) - second / (n - n // 2)).sum(axis=1) / 2
    return float(gap.mean())


@dataclass(frozen=True, slots=True, kw_only=True)
class Distances:
    """How far one distribution over options is from the humans'.

    Attributes:
        wasserstein: Wasserstein-1 as a share of the scale; NaN for an unordered choice.
        jensen_shannon: Bits.
        total_variation: 0 to 1.
        floor: Total variation between halves of the humans.
        score: `100·(1 − TV/TV_uniform)`.
        entropy_ratio: H(simulated) / H(humans).
    """

    wasserstein: float
    jensen_shannon: float
    total_variation: float
    floor: float
    score: float
    entropy_ratio: float


def distances(
    predicted: Sequence[float] | FloatArray,
    human: Sequence[float] | FloatArray,
    *,
    counts: Sequence[int],
    ordered: bool,
) -> Distances:
    """Return every distance of a simulated distribution to the humans'.

    Args:
        predicted: Counts or probabilities per option. Shape `(K,)`.
        human: The same of the humans, weighted or not. Shape `(K,)`.
        counts: Humans per option, for the floor. Shape `(K,)`.
        ordered: Whether the options are a scale.

    Returns:
        The distances.

    Raises:
        EvaluationError: If lengths differ, a value is negative, or all are 0.
    """
    return Distances(
        wasserstein=wasserstein_1(predicted, human) if ordered else float("nan"),
        jensen_shannon=jensen_shannon(predicted, human),
        total_variation=total_variation(predicted, human),
        floor=split_half_floor(counts),
        score=population_score(predicted, human),
        entropy_ratio=entropy_ratio(predicted, human),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PopulationRow:
    """One question, answered by people and by a simulation of them.

    Attributes:
        question: Text of the last message.
        n: People who answered.
        failures: Simulated answers that failed; they are left out of the distribution.
        wasserstein: Wasserstein-1 as a share of the scale; NaN for an unordered choice.
        jensen_shannon: Bits.
        total_variation: 0 to 1.
        floor: Total variation between halves of the humans.
        score: `100·(1 − TV/TV_uniform)`.
        entropy_ratio: H(simulated) / H(humans).

    Example:
        >>> from usersim.types import Choice, Message
        >>> asked = [
        ...     Interaction(key=str(i), user_id=str(i), position=0, context=(Message("Tea?"),),
        ...                 action="yes" if i else "no", space=Choice(("no", "yes")),
        ...                 conversation=str(i))
        ...     for i in range(5)
        ... ]
        >>> sure = Prediction(action="yes", probabilities={"no": 0.0, "yes": 1.0})
        >>> (row,) = population_rows(asked, [sure] * 5)
        >>> row.question, row.n, round(row.total_variation, 2)
        ('Tea?', 5, 0.2)
    """

    question: str
    n: int
    failures: int
    wasserstein: float
    jensen_shannon: float
    total_variation: float
    floor: float
    score: float
    entropy_ratio: float


def population_rows(
    interactions: Sequence[Interaction], predictions: Sequence[Prediction], *, min_people: int = 5
) -> list[PopulationRow]:
    """Return one row per closed question that enough people answered.

    The simulated distribution counts the predicted actions, not the mean probabilities: it is
    what a survey of the simulated people would show.

    Args:
        interactions: What people answered. Shape `(n,)`.
        predictions: What was predicted, in the same order. Shape `(n,)`.
        min_people: Fewer answers than this make no distribution.

    Returns:
        Rows, the most answered question first.
    """
    grouped: dict[str, list[tuple[Interaction, Prediction]]] = {}
    for interaction, prediction in zip(interactions, predictions, strict=True):
        if isinstance(interaction.space, Choice | Scale):
            pair = (interaction, prediction)
            grouped.setdefault(question_key(interaction), []).append(pair)
    rows = [_row(pairs) for pairs in grouped.values() if len(pairs) >= min_people]
    return sorted((r for r in rows if r is not None), key=lambda r: -r.n)


def _row(pairs: Sequence[tuple[Interaction, Prediction]]) -> PopulationRow | None:
    first = pairs[0][0]
    space = first.space
    assert isinstance(space, Choice | Scale)
    answers = [answer_of(i, p) for i, p in pairs]
    predicted = [sum(a == option for a in answers) for option in space.options]
    human = [sum(i.action == option for i, _ in pairs) for option in space.options]
    if not any(predicted):
        return None
    return PopulationRow(
        question=first.context[-1].content if first.context else "",
        n=len(pairs),
        failures=sum(a is None for a in answers),
        **asdict(distances(predicted, human, counts=human, ordered=isinstance(space, Scale))),
    )
