"""Statistics of surveys, on plain arrays: weights, estimates, rectified estimates, diagnostics."""

from usersim.evaluation.surveys.rectify import Rectified, rectify_mean, rectify_shares
from usersim.evaluation.surveys.tables import AnswerTable, CountBy, Item
from usersim.evaluation.surveys.weights import Margins, Weights, effective_n, rake

__all__ = [
    "AnswerTable",
    "CountBy",
    "Item",
    "Margins",
    "Rectified",
    "Weights",
    "effective_n",
    "rake",
    "rectify_mean",
    "rectify_shares",
]
