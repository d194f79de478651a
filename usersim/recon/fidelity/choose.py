"""Which scorer fits which kind of action."""

from __future__ import annotations

from usersim.config import ScoringConfig
from usersim.recon.fidelity.base import Embed, Scorer
from usersim.recon.fidelity.closed import ChoiceScore, ScaleScore
from usersim.recon.fidelity.loglik import LoglikGain
from usersim.recon.fidelity.number import NumberScore
from usersim.recon.fidelity.similarity import SampledSimilarity
from usersim.types import ActionKind, ActionSpace

__all__ = ["scorer_for"]

_AUTO: dict[ActionKind, str] = {
    "free_text": "loglik_gain",
    "multi_choice": "loglik_gain",
    "choice": "choice",
    "scale": "scale",
    "number": "number",
}


def scorer_for(space: ActionSpace, config: ScoringConfig, *, embed: Embed | None = None) -> Scorer:
    """Return the scorer of an action space.

    Args:
        space: What the person could have done.
        config: `scorer='auto'` takes the proper score of the action's kind, and `loglik_gain`
            for text and for several options at once.
        embed: For `sampled_similarity`.

    Example:
        >>> from usersim.types import Scale
        >>> scorer_for(Scale(("no", "yes")), ScoringConfig()).name
        'scale@1'
    """
    name = _AUTO[space.kind] if config.scorer == "auto" else config.scorer
    if name == "choice":
        return ChoiceScore(orders=config.option_orders, floor=config.logprob_floor)
    if name == "scale":
        return ScaleScore(orders=config.option_orders)
    if name == "number":
        return NumberScore(samples=config.samples)
    if name == "sampled_similarity":
        return SampledSimilarity(samples=config.samples, embed=embed)
    return LoglikGain(floor=config.logprob_floor)
