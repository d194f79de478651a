"""Recon: candidate traces, their reconstruction scores, the guards, and the selection."""

from usersim.recon.arms import (
    best_eligible,
    first_backward,
    first_forward,
    guarded_backward,
    longest,
    oracle,
    positive_gain,
    random_eligible,
    random_of,
)
from usersim.recon.fidelity import Aids
from usersim.recon.indistinct import indistinguishability
from usersim.recon.leakage import mask
from usersim.recon.preferences import best_in, preferences
from usersim.recon.reward import reward
from usersim.recon.scoring import score_candidates
from usersim.recon.selection import explain, select
from usersim.recon.synthesis import decoys, synthesize, trace_prompts

__all__ = [
    "Aids",
    "best_eligible",
    "best_in",
    "decoys",
    "explain",
    "first_backward",
    "first_forward",
    "guarded_backward",
    "indistinguishability",
    "longest",
    "mask",
    "oracle",
    "positive_gain",
    "preferences",
    "random_eligible",
    "random_of",
    "reward",
    "score_candidates",
    "select",
    "synthesize",
    "trace_prompts",
]
