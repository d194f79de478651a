"""The reasoning weight w: how much of an answer's probability comes from its traces.

    p(a) = w * mean_k p(a | x, r_k) + (1 - w) * p(a | x)

Small models lose more by reasoning than they gain, so w is fitted for each adapter on
interactions that it was not trained on. Knows log-probabilities; knows nothing of models.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from usersim.errors import NoTrainingDataError, TrainingError

__all__ = ["ReasoningWeight", "fit_reasoning_weight"]

BOOTSTRAPS = 1_000
HALVINGS = 40
"""Halvings of [0, 1]: finer than any weight needs."""
NEGLIGIBLE = 0.05
"""A weight below this is reported as "the reasoning does not help"."""
SMALLEST = 1e-300

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasoningWeight:
    """A fitted reasoning weight.

    Attributes:
        w: The weight, 0 to 1.
        low: Lower end of the 95 % bootstrap interval over items.
        high: Upper end.
        n: Items behind it.
        gain: Mean log-likelihood gained over w = 0 on these same items, nats per item; never
            negative, because w was fitted on them.

    Example:
        >>> found = fit_reasoning_weight([[-1.0, -1.2]] * 20, [-2.0] * 20)
        >>> found.w, round(found.gain, 2), found.n
        (1.0, 0.9, 20)
    """

    w: float
    low: float
    high: float
    n: int
    gain: float

    @property
    def summary(self) -> str:
        """What the weight means, in a sentence."""
        interval = (
            f"w = {self.w:.2f}, 95 % interval {self.low:.2f} to {self.high:.2f}, n = {self.n}"
        )
        if self.w < NEGLIGIBLE:
            return f"The reasoning does not help here ({interval})."
        if self.low < NEGLIGIBLE:
            return f"Whether the reasoning helps here is unclear ({interval})."
        return f"The reasoning helps here ({interval})."


def _maximize(ratio: Floats) -> Floats:
    """Maximize `sum log(1 + w * ratio)` over w in [0, 1], for each row of `ratio`.

    The sum is concave in w, so its slope is halved down to its zero.

    Args:
        ratio: (mean_k p(a|x,r_k) - p(a|x)) / p(a|x), bounded. Shape `(b, n)`.

    Returns:
        The weights. Shape `(b,)`.
    """
    low, high = np.zeros(len(ratio)), np.ones(len(ratio))
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        slope = (ratio / (1.0 + middle[:, None] * ratio)).sum(axis=1)
        low, high = np.where(slope > 0, middle, low), np.where(slope > 0, high, middle)
    found = (low + high) / 2
    # Halving never reaches the ends themselves.
    with np.errstate(divide="ignore"):
        at_zero = ratio.sum(axis=1) <= 0
        at_one = (ratio / np.maximum(1.0 + ratio, SMALLEST)).sum(axis=1) >= 0
    return np.where(at_zero, 0.0, np.where(at_one, 1.0, found))


def _checked(with_reasoning: npt.ArrayLike, without: npt.ArrayLike) -> tuple[Floats, Floats]:
    drawn = np.asarray(with_reasoning, dtype=np.float64)
    alone = np.asarray(without, dtype=np.float64)
    if not alone.size:
        raise NoTrainingDataError(
            "at least one validation item is needed for the reasoning weight",
            hint="raise TrainingConfig.validation_share, or load more interactions",
            cli_hint="load more interactions",
        )
    if drawn.ndim != 2 or alone.ndim != 1 or len(drawn) != len(alone) or not drawn.shape[1]:  # noqa: PLR2004
        raise TrainingError(
            f"log-probabilities of shapes {drawn.shape!r} and {alone.shape!r} do not match; "
            "expected (n, K) and (n,)"
        )
    if not (np.isfinite(drawn) | np.isneginf(drawn)).all() or not np.isfinite(alone).all():
        raise TrainingError("log-probabilities must be finite; found NaN or infinity")
    return drawn, alone


def fit_reasoning_weight(
    with_reasoning: npt.ArrayLike, without: npt.ArrayLike, *, seed: int = 0
) -> ReasoningWeight:
    """Fit w by maximum likelihood, with a bootstrap interval over items.

    The same holds for any probability of what was observed: a whole action's or an option's.

    Args:
        with_reasoning: log p(a | x, r_k) of each item's K draws, nats; a malformed draw counts
            with the item's `without`. Shape `(n, K)`.
        without: log p(a | x), nats. Shape `(n,)`.
        seed: Of the bootstrap.

    Returns:
        The weight.

    Raises:
        NoTrainingDataError: If there is no item.
        TrainingError: If the shapes do not fit, or a value is NaN or infinite.

    Example:
        >>> fit_reasoning_weight([[-1.0, -1.2]] * 20, [-2.0] * 20).w
        1.0
    """
    drawn, alone = _checked(with_reasoning, without)
    mean = np.logaddexp.reduce(drawn, axis=1) - np.log(drawn.shape[1])
    # Beyond e^±50 the ratio no longer moves the optimum, and its product would overflow.
    ratio = np.expm1(np.clip(mean - alone, -50.0, 50.0))
    w = float(_maximize(ratio[None])[0])
    random = np.random.default_rng(seed)
    draws = np.concatenate(
        [
            _maximize(ratio[random.integers(len(ratio), size=(100, len(ratio)))])
            for _ in range(BOOTSTRAPS // 100)
        ]
    )
    low, high = np.quantile(draws, [0.025, 0.975])
    gain = float(np.log1p(w * np.maximum(ratio, -1 + SMALLEST)).mean()) if w > 0 else 0.0
    return ReasoningWeight(w=w, low=float(low), high=float(high), n=len(alone), gain=gain)
