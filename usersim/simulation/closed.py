"""Probabilities of the options of closed questions, after given reasoning.

Closed questions are scored, not generated: the answer is always one of the options.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from usersim import transcript
from usersim.config import HistoryConfig
from usersim.engines import Engine
from usersim.engines.options import OptionQuery, option_probabilities
from usersim.simulation.items import RespondItem, option_orders
from usersim.types import Choice, Distribution, Pooled, Predictor, Scale

__all__ = ["distributions", "mixed", "pooled"]


def _space(item: RespondItem) -> Choice | Scale:
    space = item.question.space
    assert isinstance(space, Choice | Scale), "only closed questions have option probabilities"
    return space


def distributions(
    engine: Engine,
    asked: Sequence[tuple[RespondItem, Sequence[str]]],
    *,
    history: HistoryConfig,
    orders: int,
) -> list[list[Distribution]]:
    """Return the option probabilities of every item after each of its reasonings.

    Everything goes to the engine in one call, so that what is shared is computed once.

    Args:
        engine: Needs `logprobs`.
        asked: Items with closed questions, each with reasonings; an empty one is the
            no-reasoning marker.
        history: Limits of the prompt.
        orders: Option orders to average over.

    Returns:
        For each item, one distribution per reasoning.

    Raises:
        CapabilityError: If the engine cannot score given text.
    """
    queries: list[OptionQuery] = []
    for item, reasonings in asked:
        space = _space(item)
        for order in option_orders(space, orders):
            prompt = item.prompt(history, order)
            queries.extend(
                OptionQuery(
                    prompt=prompt,
                    prefix=transcript.prefix(reasoning),
                    options=space.options,
                    adapter=item.adapter,
                )
                for reasoning in reasonings
            )
    answers = iter(option_probabilities(engine, queries))
    results: list[list[Distribution]] = []
    for item, reasonings in asked:
        space = _space(item)
        shape = (len(option_orders(space, orders)), len(reasonings), len(space.options))
        rows = [next(answers) for _ in range(shape[0] * shape[1])]
        mean = np.asarray(rows, dtype=np.float64).reshape(shape).mean(axis=0)
        results.append([dict(zip(space.options, row.tolist(), strict=True)) for row in mean])
    return results


def mixed(
    given: Sequence[Distribution], without: Distribution | None, weight: float
) -> dict[str, float]:
    """Return `weight * mean_k p(a | x, r_k) + (1 - weight) * p(a | x)`.

    Args:
        given: One distribution per trace.
        without: The distribution without reasoning; may be None if `weight` is 1.
        weight: The reasoning weight; without any trace it counts as 0.

    Returns:
        Probability of each option.

    Example:
        >>> mixed([{"a": 1.0, "b": 0.0}], {"a": 0.0, "b": 1.0}, 0.25)
        {'a': 0.25, 'b': 0.75}
    """
    if not given:
        assert without is not None, "neither reasoning nor the marker was scored"
        return dict(without)
    mean = {option: sum(one[option] for one in given) / len(given) for option in given[0]}
    if without is None:
        return mean
    return {option: weight * p + (1 - weight) * without[option] for option, p in mean.items()}


def pooled(
    item: RespondItem,
    given: Sequence[Distribution],
    without: Distribution | None,
    *,
    weight: float | None = None,
) -> Pooled:
    """Return the answer's distribution: that of the pool, or of the simulator alone.

    Args:
        item: The question, with the predictors that need no model.
        given: The simulator's distributions, one after each trace; empty without reasoning.
        without: The simulator's distribution without reasoning, where it was scored.
        weight: The reasoning weight of a simulator alone; None takes the item's.
    """
    if item.combine is None:
        w = item.reasoning_weight if weight is None else weight
        return Pooled(probabilities=mixed(given, without, w), shares=())
    own: dict[Predictor, Distribution] = {}
    if given and "reasoning" in item.asked:
        own["reasoning"] = mixed(given, None, 1.0)
    unread = "reasoning" in item.asked and not own and not item.predictors
    if without is not None and ("no_reasoning" in item.asked or unread):
        own["no_reasoning"] = without
    return item.combine({**own, **item.predictors})
