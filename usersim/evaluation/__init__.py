"""Evaluation: arms, metrics, intervals, tables and the report.

Takes any callable that predicts held-out interactions, so that a trained simulator, a baseline,
another SDK and a person are measured by the same harness. Knows nothing of the other stages.
"""

from usersim.evaluation.arms import Arm
from usersim.evaluation.bootstrap import Interval, Resampling, WinRate, holm, win_rate
from usersim.evaluation.cache import FileCache, PredictionCache
from usersim.evaluation.harness import evaluate
from usersim.evaluation.metrics import METRICS, Metric, default_metrics
from usersim.evaluation.power import comparisons_needed
from usersim.evaluation.reference import others_arm, own_mode_arm, uniform_arm
from usersim.evaluation.results import Comparison, Estimate, Evaluation

__all__ = [
    "METRICS",
    "Arm",
    "Comparison",
    "Estimate",
    "Evaluation",
    "FileCache",
    "Interval",
    "Metric",
    "PredictionCache",
    "Resampling",
    "WinRate",
    "comparisons_needed",
    "default_metrics",
    "evaluate",
    "holm",
    "others_arm",
    "own_mode_arm",
    "uniform_arm",
    "win_rate",
]
