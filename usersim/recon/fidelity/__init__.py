"""Fidelity scores: how well an action is reconstructed from context and reasoning."""

from usersim.recon.fidelity.base import Aids, Embed, Fidelity, Scorer, Trial, measure
from usersim.recon.fidelity.choose import scorer_for
from usersim.recon.fidelity.closed import (
    ChoiceScore,
    ScaleScore,
    brier,
    ranked_probability_score,
)
from usersim.recon.fidelity.loglik import LoglikGain
from usersim.recon.fidelity.number import NumberScore, crps
from usersim.recon.fidelity.similarity import SampledSimilarity

__all__ = [
    "Aids",
    "ChoiceScore",
    "Embed",
    "Fidelity",
    "LoglikGain",
    "NumberScore",
    "SampledSimilarity",
    "ScaleScore",
    "Scorer",
    "Trial",
    "brier",
    "crps",
    "measure",
    "ranked_probability_score",
    "scorer_for",
]
