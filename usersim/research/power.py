"""How many comparisons a win rate needs before it says anything.

Knows the normal approximation of a proportion; knows nothing of arms or data.
"""

from __future__ import annotations

import math
from statistics import NormalDist

from usersim.errors import EvaluationError

__all__ = ["comparisons_needed"]


def comparisons_needed(
    win_rate: float,
    *,
    power: float | None = None,
    alpha: float = 0.05,
    design_effect: float = 1.0,
) -> int:
    """Return how many decisive comparisons a true win rate needs to be distinguished from one half.

    Without `power`: the smallest n whose normal interval around an observed `win_rate` excludes
    1/2, `n = z² p (1 − p) / (p − 1/2)²` with `z = z_(1 − alpha/2)`. If the true rate is p, an
    experiment of that size succeeds about every second time.
    With `power`: the smallest n at which a two-sided test of 1/2 at level `alpha` rejects with
    that probability, `n = (z_(1 − alpha/2) / 2 + z_power √(p (1 − p)))² / (p − 1/2)²`.

    Args:
        win_rate: Share of decisive comparisons won, between 0 and 1, not 1/2.
        power: Wanted probability of finding the difference; None for the first formula.
        alpha: Two-sided level.
        design_effect: `1 + (m − 1)·ρ` for clusters of m comparisons with intra-cluster
            correlation ρ; 1 for independent comparisons.

    Returns:
        Number of comparisons, rounded up.

    Raises:
        EvaluationError: If an argument is outside its range.

    Example:
        >>> comparisons_needed(0.547), comparisons_needed(0.547, power=0.8)
        (431, 886)

    Notes:
        Source: Fleiss, Levin, Paik, Statistical Methods for Rates and Proportions, 3rd ed., ch. 2.
    """
    if not 0 < win_rate < 1 or win_rate == 0.5:  # noqa: PLR2004 - one half is the null
        raise EvaluationError(
            f"a win rate of {win_rate!r} cannot be distinguished from 0.5 by any number of "
            "comparisons",
            hint="use a rate between 0 and 1 other than 0.5",
        )
    if not 0 < alpha < 1 or (power is not None and not 0 < power < 1):
        raise EvaluationError(f"alpha {alpha!r} and power {power!r} must lie between 0 and 1")
    if design_effect < 1:
        raise EvaluationError(f"the design effect must be at least 1; got {design_effect!r}")
    z = NormalDist().inv_cdf(1 - alpha / 2)
    spread = math.sqrt(win_rate * (1 - win_rate))
    reach = z * spread if power is None else z / 2 + NormalDist().inv_cdf(power) * spread
    return math.ceil(design_effect * (reach / (win_rate - 0.5)) ** 2)
