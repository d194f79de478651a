"""Training: from people to an adapter that reasons and acts like them.

Importing it loads no torch; that happens when a training starts.
"""

from usersim.training.arithmetic import BaseModelCache
from usersim.training.artifact import (
    TrainedAdapter,
    load_artifact,
    remove_artifact,
    set_reasoning_weight,
)
from usersim.training.board import Board
from usersim.training.checkpoints import check_one_process
from usersim.training.lessons import PairLesson, RewardLesson, TraceLesson
from usersim.training.manifest import Manifest
from usersim.training.mixture import ReasoningWeight, fit_reasoning_weight
from usersim.training.rollouts import Probe
from usersim.training.run import Hooks, StepNote
from usersim.training.schedule import TraceEvaluation
from usersim.training.synthesizer import train_synthesizer
from usersim.training.user_model import train_user_model

__all__ = [
    "BaseModelCache",
    "Board",
    "Hooks",
    "Manifest",
    "PairLesson",
    "Probe",
    "ReasoningWeight",
    "RewardLesson",
    "StepNote",
    "TraceEvaluation",
    "TraceLesson",
    "TrainedAdapter",
    "check_one_process",
    "fit_reasoning_weight",
    "load_artifact",
    "remove_artifact",
    "set_reasoning_weight",
    "train_synthesizer",
    "train_user_model",
]
