"""Predicting closed answers: evidence, the panel, and the pool of predictors.

A *predictor* is one source of a distribution over a question's options: the simulator with its
reasoning, the simulator without it, the panel model, the panel's marginal, the person's own use of
the scale. The *pool* combines them. Knows distributions and answers; knows no model that reads
text, and no store.
"""

from usersim.prediction.evidence import (
    Embed,
    EmbeddingSimilarity,
    Expectation,
    Similarity,
    lexical_similarity,
    own_answer,
    own_scale,
    rank_evidence,
)
from usersim.prediction.panel import PanelAnswer, PanelFit, PanelModel
from usersim.prediction.pool import (
    GROUPS,
    NO,
    PREDICTORS,
    YES,
    Observation,
    Pool,
    PoolGroup,
    PoolWeights,
    fit_pool,
    group_of,
    yes_or_no,
)

__all__ = [
    "GROUPS",
    "NO",
    "PREDICTORS",
    "YES",
    "Embed",
    "EmbeddingSimilarity",
    "Expectation",
    "Observation",
    "PanelAnswer",
    "PanelFit",
    "PanelModel",
    "Pool",
    "PoolGroup",
    "PoolWeights",
    "Similarity",
    "fit_pool",
    "group_of",
    "lexical_similarity",
    "own_answer",
    "own_scale",
    "rank_evidence",
    "yes_or_no",
]
