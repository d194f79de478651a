"""Where in the action a trace helps, and which of its sentences it is that does.

For people who look at one trace. The template, the masking and the arithmetic are those of the
scores, so that the mean over tokens is the stored gain.
"""

from __future__ import annotations

from dataclasses import dataclass

from usersim.config import HistoryConfig, ScoringConfig
from usersim.engines import Engine
from usersim.engines.tokens import GainQuery, TokenGains, token_gains
from usersim.errors import ScoringError
from usersim.recon.fidelity.base import Aids, Trial, measure
from usersim.recon.fidelity.choose import scorer_for
from usersim.recon.leakage import mask
from usersim.transcript import action_text, prefix, sentences
from usersim.types import Case

__all__ = ["SentenceGain", "TraceGains", "sentence_gains", "trace_gains"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceGains:
    """How much a trace helps to predict each token of the action.

    Attributes:
        raw: With the trace as it is.
        masked: With the action blanked out of the trace (guard L2).
        masked_text: The blanked trace.
    """

    raw: TokenGains
    masked: TokenGains
    masked_text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SentenceGain:
    """What one sentence of a trace is worth.

    Attributes:
        text: The sentence.
        moved: Gain of the whole trace minus gain without this sentence.
        unit: Of `moved`.
    """

    text: str
    moved: float
    unit: str


def trace_gains(
    engine: Engine,
    case: Case,
    reasoning: str,
    *,
    view: HistoryConfig,
    floor: float,
) -> TraceGains:
    """Return the reconstruction gain of a trace for each token of the action.

    Args:
        engine: The reconstructor; needs `logprobs`.
        case: What the person did, and what was shown with it.
        reasoning: The trace.
        view: Character limits of the prompt.
        floor: Smallest log-probability that one token may count, nats.
    """
    interaction = case.interaction
    trial = Trial(case=case, reasonings=(), view=view)
    blanked = mask(interaction, reasoning)
    raw, masked = token_gains(
        engine,
        [
            GainQuery(
                prompt=trial.prompt(),
                continuation=action_text(interaction.action_text),
                given=prefix(text),
                without=prefix(""),
            )
            for text in (reasoning, blanked)
        ],
        floor=floor,
    )
    return TraceGains(raw=raw, masked=masked, masked_text=blanked)


def sentence_gains(
    engine: Engine,
    case: Case,
    reasoning: str,
    *,
    view: HistoryConfig,
    scoring: ScoringConfig,
    aids: Aids = Aids(),
) -> tuple[SentenceGain, ...]:
    """Return what each sentence of a trace adds to its gain, left out one at a time.

    The score is the one that fits the kind of action, as in selection, on the trace as it is.

    Args:
        engine: The reconstructor.
        case: What the person did, and what was shown with it.
        reasoning: The trace.
        view: Character limits of the prompt.
        scoring: Which scorer, how many orders and draws.
        aids: What some scorers use besides.

    Raises:
        ScoringError: If the score says nothing about this action.
    """
    parts = sentences(reasoning)
    rest = ["".join(parts[:i] + parts[i + 1 :]).strip() for i in range(len(parts))]
    texts = tuple(dict.fromkeys([reasoning, *rest]))
    trial = Trial(case=case, reasonings=texts, view=view)
    scorer = scorer_for(case.interaction.space, scoring, embed=aids.embed, judge=aids.judge)
    (found,) = measure(engine, [trial], [scorer])
    if isinstance(found, ScoringError):
        raise found
    gains = {text: one.gain for text, one in zip(texts, found, strict=True)}
    return tuple(
        SentenceGain(text=part, moved=gains[reasoning] - gains[left], unit=scorer.unit)
        for part, left in zip(parts, rest, strict=True)
    )
