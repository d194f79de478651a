"""Generated reconstructions: what the scorers that need no log-probabilities ask for and read."""

from __future__ import annotations

from usersim.engines import Draw, GenerateRequest
from usersim.errors import TranscriptError
from usersim.recon.fidelity.base import ScoringPlan, Trial
from usersim.transcript import parse_action, prefix

__all__ = ["drawn_actions", "drawn_text"]

_TOKENS_MARGIN = 32
_MAX_TOKENS = 256
_TOP_P = 0.95


def drawn_actions(trial: Trial, *, n: int, seed: int, temperature: float) -> ScoringPlan:
    """Ask for `n` actions after the empty reasoning and after each trace.

    A draw may be about twice as long as the true action, then it is cut, and taken as it is.

    Args:
        trial: The interaction and its traces.
        n: Draws for each.
        seed: Seed of the draws.
        temperature: Of the draws.
    """
    prompt = trial.prompt()
    roughly = _TOKENS_MARGIN + len(trial.case.interaction.action_text) // 2
    return ScoringPlan(
        generate=tuple(
            GenerateRequest(
                prompt=prompt,
                prefix=prefix(reasoning),
                max_tokens=min(roughly, _MAX_TOKENS),
                temperature=temperature,
                top_p=_TOP_P,
                n=n,
                seed=seed,
            )
            for reasoning in ("", *trial.reasonings)
        )
    )


def drawn_text(draw: Draw) -> str:
    """Return a drawn action as text; empty if it cannot be read as one."""
    try:
        return parse_action(draw.text, complete=True).strip()
    except TranscriptError:
        return ""
