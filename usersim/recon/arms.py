"""Other sources of traces, against which Recon's selection is measured (method, section 6).

Each returns a `Selection` from the same scored candidates, so that an arm differs from Recon in
its rule alone. Only `best_eligible` and `positive_gain` look at gains.

Example:
    >>> from usersim.config import GuardConfig
    >>> from usersim.types import Candidate, Leakage, ScoredCandidate, TraceScores
    >>> def trace(direction, text, gain):
    ...     drawn = Candidate(interaction_key="k", direction=direction, draw=0, reasoning=text,
    ...                       complete=True, model="m", prompt_id="p", seed=0)
    ...     scores = TraceScores(scorer="s", unit="nats", raw_gain=gain, masked_gain=gain,
    ...                          reported_gain=gain)
    ...     return ScoredCandidate(candidate=drawn, scores=scores, leakage=Leakage())
    >>> scored = [trace("forward", "It is early.", -0.2),
    ...           trace("backward", "Tea, I like it.", -0.1)]
    >>> first_forward(scored).reason
    'kept the first forward candidate (1 of 2)'
    >>> longest(scored).kept == first_backward(scored).kept == scored[1].candidate.key
    True
    >>> best_eligible(scored, GuardConfig()).kept == scored[1].candidate.key
    True
    >>> positive_gain(scored, GuardConfig()).kept
    >>> guarded_backward(scored, GuardConfig()).kept == scored[1].candidate.key
    True
    >>> random_of(scored, seed=0).reason
    'kept a random one of all readable candidates (2 of 2)'
    >>> random_eligible(scored, GuardConfig(), seed=0).reason
    'kept a random one of those that passed the guards (2 of 2)'
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from usersim.config import GuardConfig
from usersim.recon.selection import interaction_key, select, verdict
from usersim.types import Candidate, Direction, Interaction, ScoredCandidate, Selection, content_key

__all__ = [
    "best_eligible",
    "first_backward",
    "first_forward",
    "guarded_backward",
    "longest",
    "oracle",
    "positive_gain",
    "random_eligible",
    "random_of",
]

_ORACLE = "oracle"


def random_of(scored: Sequence[ScoredCandidate], seed: int) -> Selection:
    """Keep a random readable candidate (arm B4): what resampling alone brings.

    Args:
        scored: The candidates of one interaction.
        seed: Combined with the interaction's key.
    """
    return _random(scored, _readable(scored), seed, "a random one of all readable candidates")


def random_eligible(scored: Sequence[ScoredCandidate], guards: GuardConfig, seed: int) -> Selection:
    """Keep a random one of those that passed the gates (arm B4e): what the gates alone bring.

    Args:
        scored: The candidates of one interaction.
        guards: The gates.
        seed: Combined with the interaction's key.
    """
    pool = [one for one in scored if not verdict(one, guards)]
    return _random(scored, pool, seed, "a random one of those that passed the guards")


def best_eligible(scored: Sequence[ScoredCandidate], guards: GuardConfig) -> Selection:
    """Keep the best of those that passed the guards, whatever its gain (arm B4b).

    This is Recon-Select's choice, unless `guards.empty_without_gain` is set. Against a random
    eligible trace it tells what the choice brings, as many pairs having a trace.

    Args:
        scored: The candidates of one interaction.
        guards: Thresholds and weights.
    """
    recon = select(scored, guards.model_copy(update={"empty_without_gain": False}))
    kept = next((one for one in scored if one.candidate.key == recon.kept), None)
    pool = len(recon.utilities)
    return _selection(scored, kept, pool, "the best of those that passed the guards")


def positive_gain(scored: Sequence[ScoredCandidate], guards: GuardConfig) -> Selection:
    """Keep the best valid candidate with a positive masked gain, else the empty trace (arm B4g).

    Recon-Select's rule until November 2026. Against Recon-Select it tells what it brings to
    train pairs without a gain without reasoning.

    Args:
        scored: The candidates of one interaction.
        guards: Thresholds and weights.
    """
    return select(scored, guards.model_copy(update={"empty_without_gain": True}))


def first_backward(scored: Sequence[ScoredCandidate]) -> Selection:
    """Keep the first readable backward candidate (arm B3): Backward Synthesis, N = 1.

    Args:
        scored: The candidates of one interaction.
    """
    return _first(scored, "backward")


def guarded_backward(scored: Sequence[ScoredCandidate], guards: GuardConfig) -> Selection:
    """Keep the first backward candidate that passed the guards (arm B3g).

    Backward Synthesis whose leaks are drawn again, up to the number of backward candidates. It
    knows no gain: against Recon-Select it tells what the score adds to guarded rationalisation.

    Args:
        scored: The candidates of one interaction.
        guards: The gates.
    """
    pool = [
        one for one in scored if one.candidate.direction == "backward" and not verdict(one, guards)
    ]
    kept = pool[0] if pool else None
    return _selection(scored, kept, len(pool), "the first backward candidate past the guards")


def first_forward(scored: Sequence[ScoredCandidate]) -> Selection:
    """Keep the first readable forward candidate (arm B6): reasoning before the action is known.

    Args:
        scored: The candidates of one interaction.
    """
    return _first(scored, "forward")


def _first(scored: Sequence[ScoredCandidate], direction: Direction) -> Selection:
    pool = [one for one in _readable(scored) if one.candidate.direction == direction]
    kept = pool[0] if pool else None
    return _selection(scored, kept, len(pool), f"the first {direction} candidate")


def longest(scored: Sequence[ScoredCandidate]) -> Selection:
    """Keep the readable candidate with the most characters (arm B5); the first of equals.

    Args:
        scored: The candidates of one interaction.
    """
    pool = _readable(scored)
    best = max(pool, key=lambda one: len(one.candidate.reasoning), default=None)
    return _selection(scored, best, len(pool), "the longest readable candidate")


def oracle(interaction: Interaction) -> tuple[Candidate, Selection]:
    """Return a trace that quotes the action, and the decision to keep it (arm B12).

    It must win on raw fidelity and lose on held-out user modeling; else the evaluation is
    broken. No model wrote it.

    Args:
        interaction: What the person did.

    Example:
        >>> from usersim.types import FreeText, Message
        >>> tea = Interaction(key="k", user_id="ada", position=0, context=(Message("Tea?"),),
        ...                   action="Always.", space=FreeText(), conversation="c")
        >>> oracle(tea)[0].reasoning
        'I will answer "Always."'
    """
    candidate = Candidate(
        interaction_key=interaction.key,
        direction="backward",
        draw=0,
        reasoning=f'I will answer "{interaction.action_text}"',
        complete=True,
        model=_ORACLE,
        prompt_id=_ORACLE,
        seed=0,
    )
    reason = "kept the trace that quotes the action (leak oracle)"
    return candidate, Selection(
        interaction_key=interaction.key,
        kept=candidate.key,
        reason=reason,
        verdicts={candidate.key: reason},
    )


def _readable(scored: Sequence[ScoredCandidate]) -> list[ScoredCandidate]:
    return [one for one in scored if one.candidate.complete and one.candidate.reasoning.strip()]


def _random(
    scored: Sequence[ScoredCandidate], pool: Sequence[ScoredCandidate], seed: int, rule: str
) -> Selection:
    random = Random(content_key(seed, interaction_key(scored), rule))  # noqa: S311 - not secret
    return _selection(scored, random.choice(pool) if pool else None, len(pool), rule)


def _selection(
    scored: Sequence[ScoredCandidate], kept: ScoredCandidate | None, pool: int, rule: str
) -> Selection:
    reason = f"kept {rule} ({pool} of {len(scored)})"
    if kept is None:
        reason = f"empty trace: wanted {rule}, which none of {len(scored)} is"
    return Selection(
        interaction_key=interaction_key(scored),
        kept=kept.candidate.key if kept else None,
        reason=reason,
        verdicts={
            one.candidate.key: f"kept: {rule}" if one is kept else f"not kept: not {rule}"
            for one in scored
        },
    )
