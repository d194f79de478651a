"""The reconstruction reward: what a trace is worth to the synthesizer that wrote it.

Knows scores and verdicts; asks no model.
"""

from __future__ import annotations

from usersim.config import GuardConfig, RewardConfig
from usersim.recon.selection import verdict
from usersim.types import RewardedTrace, ScoredCandidate

__all__ = ["reward"]


def reward(
    one: ScoredCandidate,
    config: RewardConfig,
    guards: GuardConfig,
    *,
    max_tokens: int,
    indistinct: float | None = None,
) -> RewardedTrace:
    """Return what a scored trace is worth.

    A trace that cannot be read is worth `malformed`; any other

        gain * clip(masked gain, low, high) + indistinguishability * p
            - hard leak - soft leak * trace-only share - overlength

    where p is `indistinct` and counts 0 where it is unknown, the hard leak counts if any hard
    guard refuses the trace, and the overlength grows linearly from 0 at `long_from` to its full
    size at the token limit.

    Args:
        one: The trace with its scores and what the guards found.
        config: Bounds and penalties.
        guards: Thresholds of the hard guards.
        max_tokens: Token limit of the draws.
        indistinct: How often its reconstruction passes for what the person did, 0 to 1; None
            where that was not measured.

    Returns:
        The trace with its reward and everything that went into it.

    Example:
        >>> from usersim.types import Candidate, Leakage, TraceScores
        >>> drawn = Candidate(interaction_key="k", direction="forward", draw=0, complete=True,
        ...                   reasoning="I like tea.", model="m", prompt_id="p", seed=0, n_tokens=5)
        >>> scores = TraceScores(scorer="s", unit="nats", raw_gain=0.6, masked_gain=0.4,
        ...                      reported_gain=0.4)
        >>> scored = ScoredCandidate(candidate=drawn, scores=scores, leakage=Leakage())
        >>> reward(scored, RewardConfig(), GuardConfig(), max_tokens=64).reward
        0.4
    """
    drawn = one.candidate
    readable = drawn.complete and bool(drawn.reasoning.strip())
    cut = drawn.n_tokens >= max_tokens
    share, plausibility = one.leakage.trace_only_share, one.leakage.plausibility
    components = {
        "masked_gain": one.scores.masked_gain,
        "raw_gain": one.scores.raw_gain,
        "tokens": float(drawn.n_tokens),
        "malformed": float(not readable),
        "cut": float(cut),
        **_hits(one),
    }
    if share is not None:
        components["trace_only_share"] = share
    if plausibility is not None:
        components["plausibility"] = plausibility
    if indistinct is not None:
        components["indistinct"] = indistinct
    if not readable:
        value = config.malformed
    else:
        start = config.long_from * max_tokens
        long = min(max((drawn.n_tokens - start) / (max_tokens - start), 0.0), 1.0)
        parts = {
            "clipped_gain": config.gain * min(max(one.scores.masked_gain, config.low), config.high),
            "indistinguishability": config.indistinguishability * (indistinct or 0.0),
            "hard_leak": -config.hard_leak * bool(verdict(one, guards)),
            "soft_leak": -config.soft_leak * (share or 0.0),
            "overlength": -config.overlength * long,
        }
        components |= parts
        value = sum(parts.values())
    return RewardedTrace(
        reasoning=drawn.reasoning,
        reward=value,
        components={**components, "reward": value},
        cut=cut,
        readable=readable,
    )


def _hits(one: ScoredCandidate) -> dict[str, float]:
    """Return 1 for every guard that spoke, under its number."""
    reasons = [reason.split()[0] for reason in one.leakage.reasons]
    return {guard: float(guard in reasons) for guard in ("L1", "L4")}
