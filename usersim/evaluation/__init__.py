"""Evaluation: arms, metrics, intervals, tables and the report.

Takes any callable that predicts held-out interactions, so that a trained simulator, a baseline,
another SDK and a person are measured by the same harness. Knows nothing of the other stages.
"""

from usersim.evaluation.agreement import Agreement, agreement
from usersim.evaluation.arm_specs import (
    ARM_SPECS,
    ARMS,
    DEFAULT_ARMS,
    ArmName,
    ArmSpec,
    Control,
    Shown,
    check_arms,
    title_of,
)
from usersim.evaluation.arms import Arm
from usersim.evaluation.bootstrap import Interval, Resampling, WinRate, holm, win_rate
from usersim.evaluation.cache import FileCache, PredictionCache
from usersim.evaluation.draws import AtK, by_traces
from usersim.evaluation.faithfulness import Faithfulness, faithfulness_index
from usersim.evaluation.harness import evaluate
from usersim.evaluation.judge import Judgment, PairJudge, check_judge
from usersim.evaluation.leakage import LeakageTable
from usersim.evaluation.metrics import METRICS, Metric, default_metrics
from usersim.evaluation.realism import Marks, Realism, realism
from usersim.evaluation.reference import others_arm, uniform_arm
from usersim.evaluation.report import Curves, Example, Section, write_report
from usersim.evaluation.results import Comparison, Estimate, Evaluation
from usersim.evaluation.verdict import caution, sentence, verdicts

__all__ = [
    "ARMS",
    "ARM_SPECS",
    "DEFAULT_ARMS",
    "METRICS",
    "Agreement",
    "Arm",
    "ArmName",
    "ArmSpec",
    "AtK",
    "Comparison",
    "Control",
    "Curves",
    "Estimate",
    "Evaluation",
    "Example",
    "Faithfulness",
    "FileCache",
    "Interval",
    "Judgment",
    "LeakageTable",
    "Marks",
    "Metric",
    "PairJudge",
    "PredictionCache",
    "Realism",
    "Resampling",
    "Section",
    "Shown",
    "WinRate",
    "agreement",
    "by_traces",
    "caution",
    "check_arms",
    "check_judge",
    "default_metrics",
    "evaluate",
    "faithfulness_index",
    "holm",
    "others_arm",
    "realism",
    "sentence",
    "title_of",
    "uniform_arm",
    "verdicts",
    "win_rate",
    "write_report",
]
