"""Many simulated answers and a few human ones: prediction-powered estimates of a population.

The human answers say what is true and how wrong the simulation is; the simulated ones make the
estimate narrower as far as they agree. A biased simulation leaves the interval valid, a useless
one leaves it as wide as the humans alone do. Knows arrays; knows nothing of surveys or models.
Why this is our own code: docs/adr/0018-survey-statistics.md.

Notes:
    Source: Angelopoulos, Bates, Fannjiang, Jordan, Zrnic, Prediction-powered inference, arXiv
    2301.09633; power tuning: Angelopoulos, Duchi, Zrnic, PPI++, arXiv 2311.01453. Ours beside
    theirs: weights by linearization, one tuning for all options of a question, so that shares
    sum to 1, and Wilson's interval with the design-effective number of answers, since the normal
    one covers far too little for rare options and few humans.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from usersim.errors import EvaluationError
from usersim.evaluation.bootstrap import FloatArray, Interval
from usersim.survey.estimates.weights import effective_n

__all__ = ["LEAST_CHOSEN", "LEAST_HUMANS", "Rectified", "rectify_mean", "rectify_shares"]

LEAST_HUMANS = 10
"""Fewer human answers say too little of how wrong a simulation is."""
LEAST_CHOSEN = 5
"""Where fewer humans gave an answer, or fewer did not, their variance says too little."""
_LEVEL = 0.95
_NOTHING = 1e-18
"""A variance below this is rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rectified:
    """One figure of a population from simulated and human answers.

    Attributes:
        estimate: With its 95 % interval; it covers the sampling of humans and of simulated
            people, and any error of the simulation, whatever its form.
        classical: From the human answers alone.
        simulated: From the simulated answers alone, as far off as the simulation is.
        n_human: Human answers.
        n_simulated: Simulated answers of people whose own is not known.
        tuning: How much of the simulation is used, 0 to 1.
        effective_n: Human answers that alone would give as small a variance; NaN for a thin
            share.
        thin: Whether fewer than `LEAST_CHOSEN` humans gave this answer, or fewer did not. The
            interval then spans the classical one too.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> truth = rng.normal(5, 1, 550)
        >>> guess = truth + 2
        >>> found = rectify_mean(truth[:50], guess[:50], guess[50:])
        >>> found.n_human, found.n_simulated, found.simulated > 6.5
        (50, 500, True)
        >>> found.estimate.high - found.estimate.low < found.classical.high - found.classical.low
        True
    """

    estimate: Interval
    classical: Interval
    simulated: float
    n_human: int
    n_simulated: int
    tuning: float
    effective_n: float
    thin: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class _Side:
    """Rows with weights that sum to 1. Shapes `(n, K)` and `(n,)`."""

    rows: FloatArray
    weights: FloatArray

    @property
    def mean(self) -> FloatArray:
        return self.weights @ self.rows

    def covariance(self, other: FloatArray) -> FloatArray:
        """Covariance of both weighted means, by linearization; of each column. Shape `(K,)`."""
        n = len(self.weights)
        first = self.rows - self.mean
        second = other - self.weights @ other
        return (self.weights**2) @ (first * second) * n / (n - 1)


def rectify_shares(
    human: FloatArray,
    paired: FloatArray,
    simulated: FloatArray,
    *,
    human_weights: FloatArray | None = None,
    simulated_weights: FloatArray | None = None,
) -> tuple[Rectified, ...]:
    """Return the share of each option in the population.

    `θ_k = mean y_k + λ (mean f̃_k − mean f_k)`, with the λ that makes the options' summed
    variance smallest. The shares sum to 1; one may lie slightly outside 0 to 1 and is then moved
    to the end.

    Args:
        human: 1 for the option that each human chose, else 0. Shape `(n, K)`.
        paired: The simulated distribution of those same people. Shape `(n, K)`.
        simulated: That of people whose answer is not known. Shape `(N, K)`.
        human_weights: Of the humans; None: all alike. Shape `(n,)`.
        simulated_weights: Of the others; None: all alike. Shape `(N,)`.

    Returns:
        One figure per option.

    Raises:
        EvaluationError: If there are too few answers, shapes differ or a value is not finite.
    """
    told = _sides(human, paired, simulated, human_weights, simulated_weights)
    return _rectified(*told, share=True)


def rectify_mean(
    human: FloatArray,
    paired: FloatArray,
    simulated: FloatArray,
    *,
    human_weights: FloatArray | None = None,
    simulated_weights: FloatArray | None = None,
) -> Rectified:
    """Return the mean of a number in the population; as `rectify_shares`, on shapes `(n,)`.

    Raises:
        EvaluationError: If there are too few answers, shapes differ or a value is not finite.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> truth = rng.normal(5, 1, 1050)
        >>> guess = truth + 2 + rng.normal(0, 0.5, 1050)
        >>> found = rectify_mean(truth[:50], guess[:50], guess[50:])
        >>> found.estimate.low < 5 < found.estimate.high and found.simulated > 6.5
        True
        >>> found.effective_n > 100
        True
    """
    first, second, others = (a.reshape(-1, 1) for a in (human, paired, simulated))
    told = _sides(first, second, others, human_weights, simulated_weights)
    return _rectified(*told, share=False)[0]


def _sides(
    human: FloatArray,
    paired: FloatArray,
    simulated: FloatArray,
    human_weights: FloatArray | None,
    simulated_weights: FloatArray | None,
) -> tuple[_Side, _Side, _Side]:
    if human.shape != paired.shape or human.shape[1:] != simulated.shape[1:]:
        raise EvaluationError(
            f"human {human.shape!r}, paired {paired.shape!r} and simulated {simulated.shape!r} "
            "answers have different people or options"
        )
    n, others = len(human), len(simulated)
    if n < LEAST_HUMANS or others < LEAST_HUMANS:
        raise EvaluationError(
            f"{n} human answers with a simulation of the same people and {others} simulated "
            f"answers of others; rectifying needs {LEAST_HUMANS} of each",
            hint="ask more people who are also in the population",
        )
    if not all(np.isfinite(rows).all() for rows in (human, paired, simulated)):
        raise EvaluationError("answers to rectify must be finite numbers; leave out missing ones")
    of_humans = _normalized(human_weights, n)
    of_others = _normalized(simulated_weights, others)
    return _Side(human, of_humans), _Side(paired, of_humans), _Side(simulated, of_others)


def _normalized(weights: FloatArray | None, n: int) -> FloatArray:
    values = np.ones(n) if weights is None else np.asarray(weights, dtype=np.float64)
    if values.shape != (n,) or not np.isfinite(values).all() or (values <= 0).any():
        raise EvaluationError(f"{n} answers need {n} weights above 0, got shape {values.shape!r}")
    return values / values.sum()


def _rectified(
    human: _Side, paired: _Side, simulated: _Side, *, share: bool
) -> tuple[Rectified, ...]:
    held = effective_n(human.weights)
    tuning = _tuning(human, paired, simulated)
    rest = _Side(human.rows - tuning * paired.rows, human.weights)
    value = human.mean + tuning * (simulated.mean - paired.mean)
    # The tuning was fitted to the same answers: one degree of freedom more than the mean takes.
    spent = (held - 1) / max(held - 2, 1.0) if tuning > 0 else 1.0
    known = rest.covariance(rest.rows) * spent
    variance = known + tuning**2 * simulated.covariance(simulated.rows)
    alone = human.covariance(human.rows)
    reach, reach_alone = t_quantile(held - 2), t_quantile(held - 1)
    make = _wilson if share else _normal
    chosen = np.count_nonzero(human.rows, axis=0)
    found: list[Rectified] = []
    for k in range(len(value)):
        thin = share and min(chosen[k], len(human.rows) - chosen[k]) < LEAST_CHOSEN
        estimate = make(float(value[k]), float(variance[k]), reach, held)
        classical = make(float(human.mean[k]), float(alone[k]), reach_alone, held)
        told = not thin and alone[k] > _NOTHING and variance[k] > _NOTHING
        found.append(
            Rectified(
                estimate=_spanning(estimate, classical) if thin else estimate,
                classical=classical,
                simulated=float(simulated.mean[k]),
                n_human=len(human.rows),
                n_simulated=len(simulated.rows),
                tuning=tuning,
                effective_n=held * float(alone[k] / variance[k]) if told else math.nan,
                thin=bool(thin),
            )
        )
    return tuple(found)


def _spanning(first: Interval, second: Interval) -> Interval:
    return Interval(first.value, min(first.low, second.low), max(first.high, second.high))


def _tuning(human: _Side, paired: _Side, simulated: _Side) -> float:
    """Return the λ in 0 to 1 that makes the summed variance smallest."""
    shared = float(human.covariance(paired.rows).sum())
    spread = float(
        paired.covariance(paired.rows).sum() + simulated.covariance(simulated.rows).sum()
    )
    return min(max(shared / spread, 0.0), 1.0) if spread > _NOTHING else 0.0


def _normal(value: float, variance: float, reach: float, _: float) -> Interval:
    half = reach * math.sqrt(variance)
    return Interval(value, value - half, value + half)


def _wilson(value: float, variance: float, reach: float, held: float) -> Interval:
    """Return a share with Wilson's interval, its n the one that gives this variance.

    Source: Wilson 1927; with the design-effective n: Korn and Graubard, Confidence intervals for
    proportions with small expected number of positive counts, 1998.
    """
    p = min(max(value, 0.0), 1.0)
    spread = p * (1 - p)
    n = spread / variance if spread > 0 and variance > _NOTHING else held
    below = 1 + reach**2 / n
    middle = (p + reach**2 / (2 * n)) / below
    half = reach * math.sqrt(spread / n + reach**2 / (4 * n * n)) / below
    return Interval(p, min(max(0.0, middle - half), p), max(min(1.0, middle + half), p))


def t_quantile(freedom: float) -> float:
    """Return the 97.5 % quantile of Student's t, right to 0.002 from 5 degrees of freedom on.

    Example:
        >>> round(t_quantile(10), 3), round(t_quantile(1e9), 3)
        (2.228, 1.96)

    Notes:
        Source: Abramowitz and Stegun, Handbook of Mathematical Functions, formula 26.7.5.
    """
    z = NormalDist().inv_cdf((1 + _LEVEL) / 2)
    v = max(freedom, 1.0)
    return (
        z
        + (z**3 + z) / (4 * v)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)
        + (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / (92160 * v**4)
    )
