"""Statistics of surveys, on plain arrays: weights, estimates, rectified estimates, diagnostics."""

from usersim.evaluation.surveys.correlation import CorrelationGap, correlation_gap, correlations
from usersim.evaluation.surveys.estimates import (
    Covers,
    ItemEstimate,
    Misfit,
    estimate,
    misfit,
    split_half,
)
from usersim.evaluation.surveys.fit import GroupGap, ItemFit, SurveyFit, survey_fit
from usersim.evaluation.surveys.rectify import Rectified, rectify_mean, rectify_shares
from usersim.evaluation.surveys.tables import AnswerTable, CountBy, Item
from usersim.evaluation.surveys.weights import Margins, Weights, effective_n, rake

__all__ = [
    "AnswerTable",
    "CorrelationGap",
    "CountBy",
    "Covers",
    "GroupGap",
    "Item",
    "ItemEstimate",
    "ItemFit",
    "Margins",
    "Misfit",
    "Rectified",
    "SurveyFit",
    "Weights",
    "correlation_gap",
    "correlations",
    "effective_n",
    "estimate",
    "misfit",
    "rake",
    "rectify_mean",
    "rectify_shares",
    "split_half",
    "survey_fit",
]
