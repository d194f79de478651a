"""The verdict on a trace: which hard guards refuse it, from the numbers that were found."""

from __future__ import annotations

from usersim.config import GuardConfig
from usersim.types import Leakage

__all__ = ["refusals"]


def refusals(leakage: Leakage, guards: GuardConfig) -> tuple[str, ...]:
    """Return why a trace is invalid, one sentence for each guard; empty if it is valid.

    Args:
        leakage: What L1 and L4 found; its own `reasons` are not looked at, so that stored
            traces can be judged again under other thresholds.
        guards: The thresholds.

    Example:
        >>> refusals(Leakage(longest_run=9), GuardConfig())
        ('L1 copy: a run of 9 words occurs in the action (limit 8)',)
    """
    found: list[str] = []
    if leakage.longest_run >= guards.copy_run:
        found.append(
            f"L1 copy: a run of {leakage.longest_run} words occurs in the action"
            f" (limit {guards.copy_run})"
        )
    if leakage.containment > guards.containment:
        found.append(
            f"L1 containment: {leakage.containment:.0%} of the action occurs in the trace"
            f" (limit {guards.containment:.0%})"
        )
    if leakage.quoted_span >= guards.quoted_span:
        found.append(
            f"L1 quote: {leakage.quoted_span} quoted words occur in the action"
            f" (limit {guards.quoted_span})"
        )
    if leakage.asserts_option:
        found.append("L1 option: the chosen option is named")
    if leakage.plausibility is not None and leakage.plausibility < guards.plausibility_floor:
        found.append(
            f"L4 plausibility: {leakage.plausibility:.2f} nats per token"
            f" (floor {guards.plausibility_floor:.2f}): predictable only when the action is known"
        )
    return tuple(found)
