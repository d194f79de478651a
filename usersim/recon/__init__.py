"""Recon: candidate traces, their reconstruction scores, the guards, and the selection."""

from usersim.recon.arms import first_backward, longest, oracle, random_eligible, random_of
from usersim.recon.leakage import leakage_figures, mask
from usersim.recon.scoring import ScoringItem, score_candidates
from usersim.recon.selection import explain, select
from usersim.recon.synthesis import SynthesisItem, decoys, synthesise

__all__ = [
    "ScoringItem",
    "SynthesisItem",
    "decoys",
    "explain",
    "first_backward",
    "leakage_figures",
    "longest",
    "mask",
    "oracle",
    "random_eligible",
    "random_of",
    "score_candidates",
    "select",
    "synthesise",
]
