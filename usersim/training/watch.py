"""What looks wrong in a synthesizer's figures, in words.

A reward is a proxy. Where it rises while what it stands for falls, the synthesizer has learned to
please the score; where it does not move, it has learned nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from usersim.training.schedule import TraceEvaluation

__all__ = ["suspicions"]

FLAT = 0.5
"""A larger share of groups without spread teaches little."""
MALFORMED = 0.5
"""A larger share of unreadable traces leaves little to select from."""
FAR = 0.5
"""Nats a token from the base model, beyond which the synthesizer is another model."""


def suspicions(
    before: TraceEvaluation | None,
    evaluations: Sequence[TraceEvaluation],
    figures: Sequence[Mapping[str, float]],
) -> list[str]:
    """Return what a reader should know before trusting the adapter.

    Args:
        before: Held-out figures of the base model.
        evaluations: Held-out figures during the run.
        figures: Figures of each step; the means of their first and last thirds are compared.

    Returns:
        Sentences; none where nothing is wrong.

    Example:
        >>> suspicions(None, [], [{"reward": 0.0, "flat_groups": 1.0}])
        ['100 % of the groups had equal rewards and so no gradient.']
    """
    found: list[str] = []
    first, last = _thirds(figures, "reward")
    rising = last > first
    if before is not None and evaluations:
        found += _against(before, evaluations[-1], rising=rising, first=first, last=last)
    flat = _mean(figures, "flat_groups")
    if flat > FLAT:
        found.append(f"{100 * flat:.0f} % of the groups had equal rewards and so no gradient.")
    malformed = _thirds(figures, "malformed")[1]
    if malformed > MALFORMED:
        found.append(f"{100 * malformed:.0f} % of the last traces were unreadable.")
    divergence = _thirds(figures, "kl")[1]
    if divergence > FAR:
        found.append(
            f"The synthesizer diverged from its base model by {divergence:.2f} nats per token;"
            " raise SynthesizerConfig.grpo_beta or lower its learning rate."
        )
    return found


def _against(
    before: TraceEvaluation, after: TraceEvaluation, *, rising: bool, first: float, last: float
) -> list[str]:
    """Compare the reward with what it stands for."""
    found: list[str] = []
    rise = f"The reward rose ({first:+.3f} to {last:+.3f}) while"
    one, other = before.second_gain, after.second_gain
    if rising and one is not None and other is not None and other < one:
        found.append(
            f"{rise} the second reconstructor's gain fell ({one:+.3f} to {other:+.3f}):"
            " the synthesizer only improves for the first reconstructor."
        )
    if rising and after.gain < before.gain:
        found.append(
            f"{rise} the held-out gain fell ({before.gain:+.3f} to {after.gain:+.3f}):"
            " the synthesizer has memorized its training interactions."
        )
    if after.refused > before.refused:
        found.append(
            f"The guards reject more of the held-out traces than before ({before.refused:.2f} to"
            f" {after.refused:.2f}): the synthesizer tends to state the action."
        )
    return found


def _values(figures: Sequence[Mapping[str, float]], name: str) -> list[float]:
    return [one[name] for one in figures if name in one]


def _mean(figures: Sequence[Mapping[str, float]], name: str) -> float:
    values = _values(figures, name)
    return fmean(values) if values else 0.0


def _thirds(figures: Sequence[Mapping[str, float]], name: str) -> tuple[float, float]:
    """Return the means over the first and over the last third of the steps."""
    values = _values(figures, name)
    if not values:
        return 0.0, 0.0
    size = max(1, len(values) // 3)
    return fmean(values[:size]), fmean(values[-size:])
