"""Whether a model's answer follows its own reasoning: what a swap costs, over what it gave.

Knows log-likelihoods per item; knows nothing of who computed them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from usersim.errors import EvaluationError
from usersim.evaluation.bootstrap import FloatArray, Interval, Resampling, ratio
from usersim.types.counting import counted
from usersim.views import in_words, printed

__all__ = ["Faithfulness", "faithfulness_index"]

_NOTHING = Interval(float("nan"), float("nan"), float("nan"))


@printed(in_words)
@dataclass(frozen=True, slots=True, kw_only=True)
class Faithfulness:
    """How much of what the own trace gives is lost with another trace in its place.

    Attributes:
        index: `U = (NLL_swap - NLL_own) / (NLL_none - NLL_own)` with its interval: 0 if any trace
            does as well as the own one, 1 if another's is worth no more than none, above 1 if it
            misleads. All NaN where it is undefined.
        swap_cost: Mean NLL_swap - NLL_own, nats.
        trace_gain: Mean NLL_none - NLL_own, nats: what the own trace gives.
        n_items: Items measured.
        n_users: People behind them.

    Example:
        >>> names = ["ada", "bob", "eve"]
        >>> found = faithfulness_index([-1.0] * 3, [-2.0] * 3, [-3.0] * 3, users=names,
        ...                            conversations=names, resamples=50)
        >>> found.swap_cost.value, found.trace_gain.value, found.index.value
        (1.0, 2.0, 0.5)
    """

    index: Interval
    swap_cost: Interval
    trace_gain: Interval
    n_items: int
    n_users: int

    @property
    def defined(self) -> bool:
        """Whether the own trace changes the likelihood at all; a share of nothing is none."""
        return not bool(np.isnan(self.index.value))

    def __str__(self) -> str:
        size = f"{counted(self.n_items, 'item')} of {counted(self.n_users, 'person', 'people')}"
        if not self.defined:
            return (
                f"undefined: the gain of the own trace, {self.trace_gain} nats, is not "
                f"distinguishable from 0 ({size})"
            )
        caution = "; the own trace makes the answer less likely" if self.trace_gain.high < 0 else ""
        return (
            f"U = {self.index} ({size}; a swap costs {self.swap_cost} nats, the own trace adds "
            f"{self.trace_gain} nats{caution})"
        )


def faithfulness_index(
    own: Sequence[float] | FloatArray,
    swapped: Sequence[float] | FloatArray,
    none: Sequence[float] | FloatArray,
    *,
    users: Sequence[str],
    conversations: Sequence[str],
    resamples: int = 2000,
    seed: int = 0,
) -> Faithfulness:
    """Return the faithfulness index with a cluster bootstrap interval.

    `U = (NLL_swap - NLL_own) / (NLL_none - NLL_own)` is a ratio of means over items, not a mean
    of ratios: an item whose trace gives nearly nothing does not decide it. Where the interval of
    the denominator holds 0, or a single conversation leaves no interval, U is undefined.

    Args:
        own: log p(true action) with the model's own trace, nats per item. Shape `(n,)`.
        swapped: The same with another trace in its place. Shape `(n,)`.
        none: The same without a trace. Shape `(n,)`.
        users: Whose each item is. Shape `(n,)`.
        conversations: Conversation of each item. Shape `(n,)`.
        resamples: Resamples of the bootstrap over people, then conversations.
        seed: Seed of the resamples.

    Returns:
        The index, and both means that it is made of.

    Raises:
        EvaluationError: If lengths differ, there are no items, or a value is not finite.

    Example:
        >>> names = ["ada", "bob", "eve"]
        >>> found = faithfulness_index(
        ...     [-1.0, -1.0, -1.0], [-2.0, -2.0, -2.0], [-3.0, -3.0, -3.0],
        ...     users=names, conversations=names, resamples=50,
        ... )
        >>> found.index.value
        0.5
    """
    told = {"own": own, "swapped": swapped, "none": none}
    arrays = {name: np.array(values, dtype=np.float64) for name, values in told.items()}
    for name, values in arrays.items():
        _check(name, values, len(users))
    sampling = Resampling.of(users, conversations, resamples=resamples, seed=seed)
    # A likelihood's fall is its negative's rise: NLL_swap - NLL_own = log p_own - log p_swap.
    cost, gain = arrays["own"] - arrays["swapped"], arrays["own"] - arrays["none"]
    ones = np.ones(len(users))
    swap_cost, trace_gain = (
        sampling.estimate(np.stack([values, ones], axis=1), ratio) for values in (cost, gain)
    )
    told_apart = trace_gain.excludes(0.0) and sampling.weights.shape[1] > 1
    index = sampling.estimate(np.stack([cost, gain], axis=1), ratio) if told_apart else _NOTHING
    return Faithfulness(
        index=index,
        swap_cost=swap_cost,
        trace_gain=trace_gain,
        n_items=len(users),
        n_users=sampling.n_users,
    )


def _check(name: str, values: FloatArray, n: int) -> None:
    """Refuse what is not one finite number per item.

    Raises:
        EvaluationError: Naming the array, and the first item that is at fault.
    """
    if values.shape != (n,):
        raise EvaluationError(
            f"the log-likelihoods {name!r} have shape {values.shape!r} for {n} items",
            hint="pass one number per item, in the order of `users`",
        )
    wrong = np.flatnonzero(~np.isfinite(values))
    if wrong.size:
        raise EvaluationError(
            f"the log-likelihood {name!r} of item {int(wrong[0])} is {values[wrong[0]]}",
            hint="remove unmeasured items from all three",
        )
