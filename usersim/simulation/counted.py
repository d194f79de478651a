"""Numbers and multiple choices in the pool: what was drawn, counted, and one answer from it.

The simulator writes these answers instead of choosing among scored options, so what it says of
them is the share of its draws. Knows what was asked and drawn; knows no engine.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import cast

from usersim.config import SimulationConfig
from usersim.simulation.items import RespondItem
from usersim.simulation.reasoning import derive_seed
from usersim.types import ActionValue, Distribution, MultiChoice, Number, Pooled, Predictor

__all__ = ["counted_draws", "decided", "pooled_draws"]

PRIOR_DRAWS = 1.0
"""Draws whose weight it has that everything is equally likely: few draws tell little."""
HALF = 0.5


def pooled_draws(
    item: RespondItem,
    name: Predictor,
    actions: Sequence[ActionValue],
    config: SimulationConfig,
) -> tuple[Pooled, ActionValue]:
    """Pool what was drawn with what needs no model, and decide.

    Args:
        item: A number or a multiple choice with a pool.
        name: Which predictor the draws are.
        actions: The draws that could be read; may be none.
        config: How an answer is chosen from its probabilities.
    """
    space = item.question.space
    assert item.combine is not None, "there is a pool"
    assert isinstance(space, Number | MultiChoice), "free text is not pooled"
    said: dict[Predictor, Distribution] = {}
    if actions:
        options = list(next(iter(item.predictors.values())))
        said[name] = counted_draws(space, actions, options, edges=item.edges)
    found = item.combine({**said, **item.predictors})
    seed = derive_seed(item.seed, "option") if config.decision == "sampled" else None
    return found, decided(space, found.probabilities, seed=seed)


def counted_draws(
    space: Number | MultiChoice,
    actions: Sequence[ActionValue],
    options: Sequence[str],
    *,
    edges: Sequence[float] = (),
) -> dict[str, float]:
    """Return the smoothed share of the draws that fell on each option or range.

    Args:
        space: What was asked for.
        actions: What was drawn, at least one.
        options: Options of a multiple choice, or names of a number's ranges in order.
        edges: Of a number, the upper ends of all ranges but the last.

    Example:
        >>> counted_draws(Number(), [3.0, 40.0, 50.0], ["2", "30"], edges=[10.0])
        {'2': 0.375, '30': 0.625}
        >>> counted_draws(MultiChoice(("tea", "milk")), [("tea",)], ["tea", "milk"])
        {'tea': 0.75, 'milk': 0.25}
    """
    total = len(actions) + PRIOR_DRAWS
    if isinstance(space, MultiChoice):
        sets = [
            {one} if isinstance(one, str) else set(cast("Iterable[str]", one)) for one in actions
        ]
        return {o: (sum(o in own for own in sets) + PRIOR_DRAWS / 2) / total for o in options}
    counts = [PRIOR_DRAWS / len(options)] * len(options)
    for action in actions:
        counts[bisect_left(edges, float(str(action)))] += 1
    return {option: count / total for option, count in zip(options, counts, strict=True)}


def decided(
    space: Number | MultiChoice, probabilities: Distribution, *, seed: int | None = None
) -> ActionValue:
    """Return the answer: the median of a number, the options that are likelier chosen than not.

    Args:
        space: What was asked for.
        probabilities: Of each range, in order, under its typical value; or of each option to be
            chosen.
        seed: Draws the answer from the probabilities instead: one range, or each option.

    Example:
        >>> decided(Number(), {"2": 0.3, "30": 0.3, "100": 0.4})
        30.0
        >>> decided(MultiChoice(("tea", "milk")), {"tea": 0.9, "milk": 0.2})
        ('tea',)
    """
    stream = None if seed is None else random.Random(seed)  # noqa: S311 - not a secret
    if isinstance(space, MultiChoice):
        return tuple(
            option
            for option in space.options
            if probabilities[option] > (HALF if stream is None else stream.random())
        )
    values = list(probabilities)
    sums = list(accumulate(probabilities.values()))
    mark = (HALF if stream is None else stream.random()) * sums[-1]
    return float(values[min(bisect_left(sums, mark), len(values) - 1)])
