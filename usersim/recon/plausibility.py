"""L4: was a trace predictable only when the action was known? Log-likelihoods under two prompts.

The two prompts differ by the action and one instruction alone, and both terms score exactly the
same tokens, so the ratio measures what the action gave away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from usersim.config import HistoryConfig
from usersim.engines import AdapterRef, ScoreRequest
from usersim.prompts import backward_prompt, forward_prompt
from usersim.recon.fidelity.base import Answers, ScoringPlan
from usersim.transcript import OPEN
from usersim.types import Candidate, Interaction

__all__ = ["Plausibility", "applies", "plausibility_plan", "read_plausibility"]


@dataclass(frozen=True, slots=True)
class Plausibility:
    """Both terms of the ratio of one backward candidate, nats per token of the trace.

    Attributes:
        log_p0: Under the forward prompt, by the base model.
        log_q: Under the backward prompt, by the model that wrote the trace.
    """

    log_p0: float
    log_q: float

    @property
    def ratio(self) -> float:
        """Mean of log p0(r | x) - log q(r | x, a); far below 0, the action gave the trace away."""
        return self.log_p0 - self.log_q


def plausibility_plan(
    interaction: Interaction,
    history: Sequence[Interaction],
    candidates: Sequence[Candidate],
    view: HistoryConfig,
    adapters: Mapping[str, AdapterRef],
) -> ScoringPlan:
    """Ask for each candidate's likelihood without and with the action in view.

    Args:
        interaction: The pair.
        history: What is shown with it.
        candidates: Those that `applies` to.
        view: Character limits, those of the synthesis.
        adapters: Trained synthesizers by served name.
    """
    user, question = interaction.user_id, interaction.question
    forward = forward_prompt(user, question, history, config=view)
    requests: list[ScoreRequest] = []
    for one in candidates:
        action = one.decoy_action or interaction.action_text
        backward = backward_prompt(user, question, history, config=view, action_text=action)
        for prompt, adapter in ((forward, None), (backward, adapters.get(one.adapter or ""))):
            requests.append(
                ScoreRequest(
                    prompt=prompt,
                    prefix=OPEN,
                    continuation=one.reasoning,
                    end=False,
                    adapter=adapter,
                )
            )
    return ScoringPlan(score=tuple(requests))


def applies(candidate: Candidate, adapters: Mapping[str, AdapterRef]) -> bool:
    """Return whether the ratio is to be computed: the action was in view, and q is at hand."""
    written = candidate.adapter is None or candidate.adapter in adapters
    return candidate.direction != "forward" and bool(candidate.reasoning.strip()) and written


def read_plausibility(answers: Answers) -> list[Plausibility]:
    """Return one value per candidate of the plan."""
    means = [score.mean() for score in answers.scores]
    return [Plausibility(p0, q) for p0, q in zip(means[::2], means[1::2], strict=True)]
