"""Which scorer fits which kind of action."""

from __future__ import annotations

from usersim.config import ScoringConfig
from usersim.engines import Engine
from usersim.errors import ScoringError
from usersim.recon.fidelity.base import Embed, Scorer
from usersim.recon.fidelity.closed import ChoiceScore, ScaleScore
from usersim.recon.fidelity.judge import JudgeListwise
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


def scorer_for(
    space: ActionSpace,
    config: ScoringConfig,
    *,
    embed: Embed | None = None,
    judge: Engine | None = None,
) -> Scorer:
    """Return the scorer of an action space.

    Args:
        space: What the person could have done.
        config: `scorer='auto'` takes the proper score of the action's kind, and `loglik_gain`
            for text and for several options at once.
        embed: For `sampled_similarity`.
        judge: For `judge_listwise`.

    Raises:
        ScoringError: If `judge_listwise` has no judge.

    Example:
        >>> from usersim.types import Scale
        >>> scorer_for(Scale(("no", "yes")), ScoringConfig()).name
        'scale@2'
    """
    name = _AUTO[space.kind] if config.scorer == "auto" else config.scorer
    if name == "judge_listwise":
        if judge is None:
            raise ScoringError(
                "scorer 'judge_listwise' has no judge",
                hint="pass judge=, an engine that ranks",
                cli_hint="name the judge's model with --trace-judge",
            )
        return JudgeListwise(judge)
    scorers: dict[str, Scorer] = {
        "choice": ChoiceScore(orders=config.option_orders, floor=config.logprob_floor),
        "scale": ScaleScore(orders=config.option_orders),
        "number": NumberScore(samples=config.samples),
        "sampled_similarity": SampledSimilarity(samples=config.samples, embed=embed),
        "loglik_gain": LoglikGain(floor=config.logprob_floor),
    }
    return scorers[name]
