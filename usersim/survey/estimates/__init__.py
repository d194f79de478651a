"""Statistics of surveys, on plain arrays: weights, estimates, rectified estimates, diagnostics."""

from usersim.survey.estimates.correlation import CorrelationGap, correlation_gap, correlations
from usersim.survey.estimates.distances import PopulationRow, population_rows
from usersim.survey.estimates.fit import GroupGap, ItemFit, SurveyFit, survey_fit
from usersim.survey.estimates.items import (
    Covers,
    ItemEstimate,
    Misfit,
    estimate,
    misfit,
    split_half,
)
from usersim.survey.estimates.rectify import Rectified, rectify_mean, rectify_shares
from usersim.survey.estimates.tables import AnswerTable, CountBy, Item
from usersim.survey.estimates.weights import Margins, Weights, effective_n, rake

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
    "PopulationRow",
    "Rectified",
    "SurveyFit",
    "Weights",
    "correlation_gap",
    "correlations",
    "effective_n",
    "estimate",
    "misfit",
    "population_rows",
    "rake",
    "rectify_mean",
    "rectify_shares",
    "split_half",
    "survey_fit",
]
