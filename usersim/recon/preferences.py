"""Preferences: pairs of traces of one prompt, the better and the worse.

Knows scores and verdicts; asks no model. Both traces of a pair answer the same prompt, so a
forward trace never stands against a backward one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from usersim.config import GuardConfig
from usersim.recon.arms import positive_gain
from usersim.recon.selection import verdict
from usersim.types import Direction, ScoredCandidate, TracePair, TracePrompt

__all__ = ["best_in", "preferences"]


def best_in(
    direction: Direction, scored: Sequence[ScoredCandidate], guards: GuardConfig
) -> ScoredCandidate | None:
    """Return the best valid trace of one direction with a positive masked gain, None without one.

    Args:
        direction: Which traces.
        scored: Candidates of one interaction.
        guards: Thresholds and weights.
    """
    own = _own(direction, scored)
    kept = positive_gain(own, guards).kept if own else None
    return next((one for one in own if one.candidate.key == kept), None)


def _own(direction: Direction, scored: Sequence[ScoredCandidate]) -> list[ScoredCandidate]:
    return [
        one for one in scored if one.candidate.direction == direction and one.candidate.complete
    ]


def preferences(
    scored: Sequence[ScoredCandidate],
    prompts: Mapping[Direction, TracePrompt],
    guards: GuardConfig,
) -> list[TracePair]:
    """Return the pairs that the candidates of one interaction hold.

    In each direction: the best valid trace against the worst valid one, and the best valid trace
    against the refused one that reconstructs best, which is the trace that a score without
    guards would have kept. The best has a positive masked gain, whatever
    `guards.empty_without_gain` says: a writer does not learn to write what did not help. A
    direction without such a trace gives no pair.

    Args:
        scored: Candidates of one interaction.
        prompts: What was asked, by direction.
        guards: Thresholds and weights.

    Returns:
        At most two pairs for each direction.

    Example:
        >>> from usersim.types import Candidate, Leakage, TraceScores
        >>> def trace(text, gain):
        ...     drawn = Candidate(interaction_key="k", direction="forward", draw=0, reasoning=text,
        ...                       complete=True, model="m", prompt_id="p", seed=0)
        ...     scores = TraceScores(scorer="s", unit="nats", raw_gain=gain, masked_gain=gain,
        ...                          reported_gain=gain)
        ...     return ScoredCandidate(candidate=drawn, scores=scores, leakage=Leakage())
        >>> asked = TracePrompt(key="k", user_id="ada", direction="forward",
        ...                     messages=(("user", "Tea?"),))
        >>> scored = [trace("It is early.", 0.1), trace("I like tea.", 0.4)]
        >>> best_in("forward", scored, GuardConfig()).candidate.reasoning
        'I like tea.'
        >>> [(pair.chosen, pair.rejected, pair.why)
        ...  for pair in preferences(scored, {"forward": asked}, GuardConfig())]
        [('I like tea.', 'It is early.', 'gain')]
    """
    pairs: list[TracePair] = []
    for direction, prompt in prompts.items():
        best = best_in(direction, scored, guards)
        if best is None:
            continue
        own = _own(direction, scored)
        valid = [one for one in own if not verdict(one, guards)]
        leaking = [one for one in own if verdict(one, guards)]
        worst = min(valid, key=lambda one: one.scores.masked_gain)
        chosen = best.candidate.reasoning
        if worst.scores.masked_gain < best.scores.masked_gain:
            pairs.append(TracePair(prompt, chosen, worst.candidate.reasoning, "gain"))
        if leaking:
            lure = max(leaking, key=lambda one: one.scores.masked_gain).candidate.reasoning
            if lure.strip() and lure != chosen:
                pairs.append(TracePair(prompt, chosen, lure, "leak"))
    return pairs
