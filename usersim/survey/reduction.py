"""What the elementary answers mean for the whole question.

Knows probabilities and labels; knows nothing of models, texts or stores. Every rule is
deterministic given the answers and a seed.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Literal

from usersim.survey.elicitation import PartReply
from usersim.survey.given import ItemValue
from usersim.survey.questions import Budget, MultipleChoice, Ranking, SurveyQuestion

__all__ = ["Decision", "allocate", "choose_several", "rank", "values_of"]

Decision = Literal["likeliest", "sampled"]
"""How a value is chosen from probabilities; that of `SimulationConfig`."""

YES, NO = "yes", "no"


def values_of(
    question: SurveyQuestion,
    replies: Mapping[str, PartReply],
    *,
    shown: Sequence[str],
    decision: Decision,
    seed: int,
) -> dict[str, ItemValue]:
    """Return the value of each item, in the instrument's order.

    Args:
        question: The survey question.
        replies: What came of each elementary question, by item; an item that failed is missing.
        shown: Options in the respondent's order, which decides between equal ones.
        decision: How a value is chosen.
        seed: Of a sampled ranking.
    """
    values: dict[str, ItemValue]
    if isinstance(question, Ranking):
        values = {**rank(replies[""].probabilities, shown, decision=decision, seed=seed)}
    elif isinstance(question, Budget):
        values = {**allocate(replies[""].probabilities, shown, question.total, question.integer)}
    elif isinstance(question, MultipleChoice):
        values = {**choose_several(question, replies)}
    else:
        values = {item: one.action for item, one in replies.items()}
    return {item: values[item] for item in question.items if item in values}


def rank(
    worths: Mapping[str, float], shown: Sequence[str], *, decision: Decision, seed: int
) -> dict[str, float]:
    """Return ranks, 1 for the first, under a Plackett-Luce model of given worths.

    P(ranking) is the product over places of worth / sum of the worths that are left; so the
    likeliest ranking sorts by worth, and a sampled one draws place after place. Source: Plackett
    1975, The Analysis of Permutations, Applied Statistics 24(2), 193-202.

    Args:
        worths: Probability of each option to come first.
        shown: Options in the order shown; the earlier of two equal ones comes first.
        decision: The likeliest ranking or a sampled one.
        seed: Of the sampled one.

    Example:
        >>> rank({"a": 0.2, "b": 0.7, "c": 0.1}, ("a", "b", "c"), decision="likeliest", seed=0)
        {'b': 1.0, 'a': 2.0, 'c': 3.0}
    """
    left = list(shown)
    ranks: dict[str, float] = {}
    stream = random.Random(seed)  # noqa: S311 - not a secret
    while left:
        weights = [worths[one] for one in left]
        if decision == "sampled" and sum(weights) > 0:
            chosen = stream.choices(left, weights=weights)[0]
        else:
            chosen = max(left, key=worths.__getitem__)
        ranks[chosen] = len(ranks) + 1.0
        left.remove(chosen)
    return ranks


def allocate(
    shares: Mapping[str, float],
    shown: Sequence[str],
    total: float,
    integer: bool,  # noqa: FBT001 - a field of the question
) -> dict[str, float]:
    """Return `total` in proportion to shares; whole units by largest remainders (Hamilton).

    Args:
        shares: Probability of each part to get a single unit.
        shown: Parts in the order shown; the earlier of two equal remainders gets the unit.
        total: What is allocated.
        integer: Whether parts get whole units.

    Example:
        >>> allocate({"a": 0.5, "b": 0.26, "c": 0.24}, ("a", "b", "c"), 10, True)
        {'a': 5.0, 'b': 3.0, 'c': 2.0}
    """
    exact = {part: total * shares[part] for part in shown}
    if not integer:
        return exact
    whole = {part: float(int(amount)) for part, amount in exact.items()}
    missing = round(total - sum(whole.values()))
    by_remainder = sorted(shown, key=lambda part: whole[part] - exact[part])
    for part in by_remainder[:missing]:
        whole[part] += 1
    return whole


def choose_several(question: MultipleChoice, replies: Mapping[str, PartReply]) -> dict[str, str]:
    """Return `yes` or `no` for each option that was answered.

    Every option is decided for itself; then the instrument's rules: of an option that excludes
    the others and those others the side with the likeliest yes stays, and the likeliest options
    fill up or cut down to the least and the most that may be chosen.

    Args:
        question: The multiple choice.
        replies: What came of each option.
    """
    # Options as the instrument lists them, so that equal ones are decided the same way.
    chance = {
        one: replies[one].probabilities.get(YES, 0.0) for one in question.options if one in replies
    }
    chosen = {one for one in chance if replies[one].action == YES}
    alone = chosen & set(question.exclusive)
    if alone and len(chosen) > 1:
        best = max(sorted(alone), key=chance.__getitem__)
        others = chosen - alone
        wins = not others or chance[best] >= max(chance[one] for one in others)
        chosen = {best} if wins else others
    ordered = sorted(chance, key=lambda one: -chance[one])
    if not chosen & set(question.exclusive):
        free = [one for one in ordered if one not in question.exclusive and one not in chosen]
        chosen |= set(free[: max(question.least - len(chosen), 0)])
    kept = [one for one in ordered if one in chosen][: question.most]
    return {one: YES if one in kept else NO for one in chance}
