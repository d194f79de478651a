"""Reference arms that need no model: what any simulator of a person has to beat.

Knows past answers only. To have learned the individual is to beat `others_arm`; to beat chance is
not enough, since people answer alike.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from math import ceil, floor

from usersim.evaluation.arms import Arm
from usersim.types import (
    Batch,
    Choice,
    Failure,
    Interaction,
    MultiChoice,
    Number,
    Prediction,
    Scale,
    content_key,
)

__all__ = ["others_arm", "question_key", "uniform_arm"]

Answer = Callable[[Interaction], Prediction | None]
HALF = 0.5
UNIFORM_VALUES = 20
"""Values, evenly spaced, that stand for a range: the CRPS is off by less than 0.001 of it."""


def question_key(interaction: Interaction) -> str:
    """Return the identity of the question: texts of the context, kind and options.

    Names and roles are left out, so that two people who were asked the same share it.
    """
    space = interaction.space
    options = space.options if isinstance(space, Choice | Scale | MultiChoice) else ()
    return content_key([m.content for m in interaction.context], space.kind, list(options))


def uniform_arm(*, seed: int = 0) -> Arm:
    """Return chance: every option alike, one drawn by the item's key; a number within its range.

    Of a multiple choice each option is chosen or not, one half each. Free text and numbers
    without a range have no uniform answer and fail.

    Args:
        seed: Of the draws; combined with the item's key.
    """

    def answer(interaction: Interaction) -> Prediction | None:
        return _uniform(interaction, seed)

    return Arm(
        "Chance",
        _predictor(answer, "no uniform answer: the action space is unbounded"),
        "Every option with the same probability.",
        content_key("uniform", 2, seed),
    )


def others_arm(pool: Sequence[Interaction], *, seed: int = 0) -> Arm:
    """Return the other people's answers to the same question.

    The action is their most frequent option (of several, on a scale the one nearest to their
    median, else the first) or the median of their numbers; the probabilities are their counts
    plus one, over the sum. Of a multiple choice it is each option that more than half of them
    chose, with the share of them plus one in two; of a number the probabilities are their shares.
    A question that nobody else answered gets the uniform answer.

    Args:
        pool: Answers to count. A person's own are never counted for that person, so the whole
            data set may be given; give the training part to see only what a model may see.
        seed: Draws where the answer is uniform.

    Returns:
        The arm.

    Example:
        >>> arm = others_arm([])
        >>> arm.name
        'Others'
    """
    grouped: dict[str, list[Interaction]] = {}
    for item in pool:
        grouped.setdefault(question_key(item), []).append(item)

    def answer(interaction: Interaction) -> Prediction | None:
        same = grouped.get(question_key(interaction), [])
        return _frequent(interaction, [i for i in same if i.user_id != interaction.user_id], seed)

    return Arm(
        "Others",
        _predictor(answer, "no other person's answer is comparable"),
        "What other people answered most often to the same question.",
        content_key("others", 2, seed, sorted(i.key for i in pool)),
    )


def _predictor(answer: Answer, why: str) -> Callable[[Sequence[Interaction]], Batch[Prediction]]:
    def predict(interactions: Sequence[Interaction]) -> Batch[Prediction]:
        items = tuple(answer(interaction) for interaction in interactions)
        failures = tuple(
            Failure(index=n, item=i.key, error="EvaluationError", message=why)
            for n, (i, found) in enumerate(zip(interactions, items, strict=True))
            if found is None
        )
        return Batch(items, failures)

    return predict


def _share(key: str, seed: int) -> float:
    """Return a number in [0, 1) that depends on nothing but the item and the seed."""
    return int(content_key("uniform", key, seed)[:13], 16) / 16**13


def _uniform(interaction: Interaction, seed: int) -> Prediction | None:
    space, share = interaction.space, _share(interaction.key, seed)
    if isinstance(space, Choice | Scale):
        n = len(space.options)
        return Prediction(
            action=space.options[int(share * n)],
            probabilities=dict.fromkeys(space.options, 1 / n),
        )
    if isinstance(space, MultiChoice):
        halves = dict.fromkeys(space.options, HALF)
        chosen = [o for o in space.options if _share(f"{interaction.key}/{o}", seed) < HALF]
        return Prediction(action=space.render(tuple(chosen)), probabilities=halves)
    if isinstance(space, Number) and space.low is not None and space.high is not None:
        value = space.low + share * (space.high - space.low)
        return _number(space, value, _spread(space, space.low, space.high))
    return None


def _spread(space: Number, low: float, high: float) -> list[float]:
    """Return values that stand for every value of a range alike."""
    if space.integer and high - low < UNIFORM_VALUES:
        return [float(value) for value in range(ceil(low), floor(high) + 1)]
    return [low + (k + 0.5) / UNIFORM_VALUES * (high - low) for k in range(UNIFORM_VALUES)]


def _number(space: Number, value: float, values: Sequence[float]) -> Prediction:
    """Return one number, and the shares of `values` as its distribution."""
    counts = Counter(_named(space, one) for one in values)
    return Prediction(
        action=_named(space, value),
        probabilities={name: count / len(values) for name, count in counts.items()},
    )


def _named(space: Number, value: float) -> str:
    return space.render(float(round(value)) if space.integer else value)


def _frequent(
    interaction: Interaction, past: Sequence[Interaction], seed: int
) -> Prediction | None:
    if not past:
        return _uniform(interaction, seed)
    space = interaction.space
    if isinstance(space, Number):
        values = [float(str(i.action)) for i in past]
        return _number(space, statistics.median(values), values)
    if isinstance(space, MultiChoice):
        return _subset(space, past)
    counts = Counter(i.action_text for i in past)
    if not isinstance(space, Choice | Scale):
        return Prediction(action=counts.most_common(1)[0][0])
    total = len(past) + len(space.options)
    return Prediction(
        action=space.likeliest(counts),
        probabilities={option: (counts[option] + 1) / total for option in space.options},
    )


def _subset(space: MultiChoice, past: Sequence[Interaction]) -> Prediction:
    chosen = Counter(option for one in past for option in space.parse(one.action_text))
    shares = {option: (chosen[option] + 1) / (len(past) + 2) for option in space.options}
    return Prediction(
        action=space.render(tuple(o for o in space.options if shares[o] > HALF)),
        probabilities=shares,
    )
