"""Frozen value objects that the stages pass to each other.

The ground floor: everything may import it, it imports only `usersim.errors`.
"""

from usersim.types.actions import (
    ActionKind,
    ActionSpace,
    ActionValue,
    Choice,
    FreeText,
    MultiChoice,
    Number,
    Scale,
    action_space,
    is_closed,
)
from usersim.types.interactions import (
    Interaction,
    Message,
    Question,
    Retriever,
    Role,
    Split,
    content_key,
    question_key,
)
from usersim.types.panel import Distribution, Panel, PanelQuestion, PanelSpace, cell_value
from usersim.types.results import Batch, Failure, PersonLesson, Prediction, TrainingExample
from usersim.types.runs import RunItem, RunRequest, RunStatus
from usersim.types.traces import (
    Candidate,
    Direction,
    Leakage,
    ReasoningTrace,
    RewardedTrace,
    ScoredCandidate,
    Selection,
    TraceExample,
    TracePair,
    TracePrompt,
    TraceScores,
)

__all__ = [
    "ActionKind",
    "ActionSpace",
    "ActionValue",
    "Batch",
    "Candidate",
    "Choice",
    "Direction",
    "Distribution",
    "Failure",
    "FreeText",
    "Interaction",
    "Leakage",
    "Message",
    "MultiChoice",
    "Number",
    "Panel",
    "PanelQuestion",
    "PanelSpace",
    "PersonLesson",
    "Prediction",
    "Question",
    "ReasoningTrace",
    "Retriever",
    "RewardedTrace",
    "Role",
    "RunItem",
    "RunRequest",
    "RunStatus",
    "Scale",
    "ScoredCandidate",
    "Selection",
    "Split",
    "TraceExample",
    "TracePair",
    "TracePrompt",
    "TraceScores",
    "TrainingExample",
    "action_space",
    "cell_value",
    "content_key",
    "is_closed",
    "question_key",
]
