"""Selection: which candidate of an interaction is kept, and why; Recon's rule.

Knows scores and verdicts; asks no model. The other sources of traces, against which the rule is
measured, stand in `usersim.recon.arms`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import NormalDist

from usersim.config import GuardConfig
from usersim.errors import ScoringError
from usersim.recon.leakage import refusals
from usersim.types import ScoredCandidate, Selection

__all__ = ["explain", "rank_normal", "select", "verdict"]

_MALFORMED = "rejected: only an answer, unreadable, or cut before its first full sentence"


def rank_normal(values: Sequence[float]) -> list[float]:
    """Return the normal scores `Phi^-1((rank - 1/2) / n)`; ties share their mean rank.

    What counts is the order within one interaction; the size of a gain, which differs from
    question to question, does not.

    Example:
        >>> [round(z, 2) for z in rank_normal([10.0, -3.0, 10.0])]
        [0.43, -0.97, 0.43]
    """
    n = len(values)
    normal = NormalDist()
    return [
        normal.inv_cdf(
            (sum(other < value for other in values) + sum(other == value for other in values) / 2)
            / n
        )
        for value in values
    ]


def verdict(one: ScoredCandidate, guards: GuardConfig) -> str:
    """Return why a candidate is refused; empty if it is valid.

    The numbers are judged under `guards`, whatever the thresholds were when they were taken.
    """
    if not one.candidate.complete or not one.candidate.reasoning.strip():
        return _MALFORMED
    reasons = refusals(one.leakage, guards)
    return "rejected: " + "; ".join(reasons) if reasons else ""


def select(scored: Sequence[ScoredCandidate], guards: GuardConfig) -> Selection:
    """Keep the trace that helps most to predict the action, among those that no guard refuses.

    Among the valid candidates, the largest utility

        z(masked gain) + plausibility_weight * z(plausibility) - leak_penalty * trace-only share

    wins, z being rank-normal over the valid candidates; the first wins a tie. Its gain may be
    negative, unless `guards.empty_without_gain` is set: then only candidates with a positive
    masked gain can win. Without a candidate that can win the empty trace is kept: that
    interaction is trained without reasoning.

    Args:
        scored: The candidates of one interaction.
        guards: Thresholds and weights.

    Raises:
        ScoringError: If there is no candidate, or they belong to several interactions.

    Example:
        >>> from usersim.types import Candidate, Leakage, TraceScores
        >>> def trace(text, gain):
        ...     drawn = Candidate(interaction_key="k", direction="forward", draw=0, reasoning=text,
        ...                       complete=True, model="m", prompt_id="p", seed=0)
        ...     scores = TraceScores(scorer="s", unit="nats", raw_gain=gain, masked_gain=gain,
        ...                          reported_gain=gain)
        ...     return ScoredCandidate(candidate=drawn, scores=scores, leakage=Leakage())
        >>> select([trace("It is early.", 0.1), trace("I like tea.", 0.4)], GuardConfig()).reason
        'kept the best of 2 valid candidates (of 2): masked gain +0.400, utility +0.67'
    """
    key = interaction_key(scored)
    refused = {one.candidate.key: verdict(one, guards) for one in scored}
    valid = [one for one in scored if not refused[one.candidate.key]]
    utilities = _utilities(valid, guards)
    best = max(
        (one for one in valid if _may_win(one, guards)),
        key=lambda one: utilities[one.candidate.key],
        default=None,
    )
    verdicts = refused | {
        one.candidate.key: _valid_verdict(one, best, utilities, guards) for one in valid
    }
    if best is None and valid:
        reason = (
            f"empty trace: none of {len(valid)} valid candidates (of {len(scored)}) has a"
            " positive masked gain"
        )
    elif best is None:
        reason = f"empty trace: none of {len(scored)} candidates is valid"
    else:
        reason = (
            f"kept the best of {len(valid)} valid candidates (of {len(scored)}): masked gain"
            f" {best.scores.masked_gain:+.3f}, utility {utilities[best.candidate.key]:+.2f}"
        )
    return Selection(
        interaction_key=key,
        kept=best.candidate.key if best else None,
        reason=reason,
        utilities=utilities,
        verdicts=verdicts,
    )


def interaction_key(scored: Sequence[ScoredCandidate]) -> str:
    """Return the interaction that all candidates belong to.

    Raises:
        ScoringError: If there is no candidate, or they belong to several interactions.
    """
    keys = sorted({one.candidate.interaction_key for one in scored})
    if len(keys) != 1:
        raise ScoringError(
            f"a selection needs the candidates of one interaction; got {len(scored)}"
            f" of {len(keys)} interactions {[key[:12] for key in keys]!r}",
            hint="score the interaction first, and pass one item of the batch at a time",
        )
    return keys[0]


def _utilities(valid: Sequence[ScoredCandidate], guards: GuardConfig) -> dict[str, float]:
    gains = rank_normal([one.scores.masked_gain for one in valid])
    # Unknown plausibility counts as that of a forward trace: it neither helps nor harms.
    ratios = rank_normal([one.leakage.plausibility or 0.0 for one in valid])
    return {
        one.candidate.key: gain
        + guards.plausibility_weight * ratio
        - guards.leak_penalty * (one.leakage.trace_only_share or 0.0)
        for one, gain, ratio in zip(valid, gains, ratios, strict=True)
    }


def _may_win(one: ScoredCandidate, guards: GuardConfig) -> bool:
    return one.scores.masked_gain > 0 or not guards.empty_without_gain


def _valid_verdict(
    one: ScoredCandidate,
    best: ScoredCandidate | None,
    utilities: Mapping[str, float],
    guards: GuardConfig,
) -> str:
    if one is best:
        return "kept: the largest utility"
    if not _may_win(one, guards):
        return f"not kept: masked gain {one.scores.masked_gain:+.3f} is not positive"
    return f"not kept: utility {utilities[one.candidate.key]:+.2f} is not the largest"


def explain(selection: Selection, scored: Sequence[ScoredCandidate]) -> list[str]:
    """Return the decision in lines that a person can read, component by component.

    Args:
        selection: The decision.
        scored: The candidates that it chose from.

    Returns:
        One line for the decision, then for each candidate its text, its verdict, its scores
        and what the guards found.

    Example:
        >>> from usersim.types import Candidate, Leakage, TraceScores
        >>> drawn = Candidate(interaction_key="k", direction="forward", draw=0, complete=True,
        ...                   reasoning="I like tea.", model="m", prompt_id="p", seed=0)
        >>> scores = TraceScores(scorer="s", unit="nats", raw_gain=0.4, masked_gain=0.4,
        ...                      reported_gain=0.4)
        >>> scored = [ScoredCandidate(candidate=drawn, scores=scores, leakage=Leakage())]
        >>> explain(select(scored, GuardConfig()), scored)[3:5]
        ['  "I like tea."', '  kept: the largest utility']
    """
    lines = [f"interaction {selection.interaction_key[:12]}: {selection.reason}"]
    for one in scored:
        lines += ["", *_explain_one(one, selection)]
    return lines


def _explain_one(one: ScoredCandidate, selection: Selection) -> list[str]:
    drawn, scores, leakage = one.candidate, one.scores, one.leakage
    share, ratio = leakage.trace_only_share, leakage.plausibility
    utility = selection.utilities.get(drawn.key)
    components = ", ".join(f"{k} {v:.3f}" for k, v in sorted(scores.components.items()))
    gains = (
        f"raw gain {scores.raw_gain:+.3f}, masked gain {scores.masked_gain:+.3f},"
        f" reported gain {scores.reported_gain:+.3f} ({scores.scorer}, {scores.unit})"
    )
    copied = (
        f"L1 run {leakage.longest_run}, containment {leakage.containment:.2f},"
        f" quoted {leakage.quoted_span}, names the option: {_yes(leakage.asserts_option)}"
    )
    ratios = (
        f"L3 trace-only share {_known(share)}, L4 plausibility {_known(ratio)},"
        f" utility {_known(utility)}"
    )
    return [
        f"{drawn.direction} {drawn.draw}  {drawn.key[:12]}  by {drawn.adapter or drawn.model}",
        f'  "{drawn.reasoning.strip()}"',
        f"  {selection.verdicts.get(drawn.key, 'not among the candidates of this decision')}",
        f"  {gains}",
        f"  {copied}",
        f"  {ratios}",
        *([f"  {components}"] if components else []),
    ]


def _known(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"


def _yes(value: bool) -> str:  # noqa: FBT001 - a plain conversion
    return "yes" if value else "no"
