"""Intervals of shares that keep their width where everybody, or nobody, gave an answer.

Resamples of forty people who all said no all say no again, and an interval made of them has no
width. Clopper and Pearson's form with the number of respondents that the data are worth has. Knows
numbers; knows nothing of surveys.

Notes:
    Source: Clopper and Pearson, The use of confidence or fiducial limits, Biometrika 26, 1934;
    with an effective number of answers: Korn and Graubard, Confidence intervals for proportions
    with small expected number of positive counts estimated from survey data, 1998. The incomplete
    beta function by its continued fraction, DLMF 8.17.22.
"""

from __future__ import annotations

import math

from usersim.evaluation.bootstrap import Interval

__all__ = ["beta_cdf", "share_interval"]

_LEVEL = 0.95
_TINY = 1e-30
_ROUNDS = 300
_HALVINGS = 60


def share_interval(share: float, n: float) -> Interval:
    """Return a share with its 95 % interval, as of `n` independent answers.

    Args:
        share: From 0 to 1.
        n: Answers, or what they are worth; need not be whole. At least 1 is taken.

    Returns:
        The interval; it has a width at 0 and at 1 too.

    Example:
        >>> found = share_interval(0.0, 40)
        >>> round(found.low, 3), round(found.high, 3)
        (0.0, 0.088)
    """
    n = max(n, 1.0)
    p = min(max(share, 0.0), 1.0)
    hits = p * n
    tail = (1 - _LEVEL) / 2
    low = 0.0 if hits <= 0 else _quantile(tail, hits, n - hits + 1)
    high = 1.0 if hits >= n else _quantile(1 - tail, hits + 1, n - hits)
    return Interval(share, min(low, p), max(high, p))


def _quantile(wanted: float, a: float, b: float) -> float:
    """Return the x with `beta_cdf(x, a, b) == wanted`, by halving."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if beta_cdf(middle, a, b) < wanted:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def beta_cdf(x: float, a: float, b: float) -> float:
    """Return the regularized incomplete beta function: P(X <= x) of a beta distribution.

    Args:
        x: From 0 to 1.
        a: Above 0.
        b: Above 0.

    Example:
        >>> round(beta_cdf(0.5, 2, 3), 4)
        0.6875
    """
    if x <= 0 or x >= 1:
        return float(x >= 1)
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(x, a, b) / a
    return 1 - front * _fraction(1 - x, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    """Return the continued fraction, by the method of Lentz."""
    above = 1.0
    below = 1 / _far_from_0(1 - (a + b) * x / (a + 1))
    found = below
    for m in range(1, _ROUNDS):
        for term in _terms(x, a, b, m):
            below = 1 / _far_from_0(1 + term * below)
            above = _far_from_0(1 + term / above)
            found *= below * above
        if abs(below * above - 1) < 1e-12:  # noqa: PLR2004 - rounding
            break
    return found


def _terms(x: float, a: float, b: float, m: int) -> tuple[float, float]:
    even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
    odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
    return even, odd


def _far_from_0(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
