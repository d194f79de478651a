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
from usersim.types.moments import DateOrder, Moment, read_moment
from usersim.types.results import Batch, Failure, Prediction, TrainingExample
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
from usersim.types.values import (
    ValueReader,
    implied_codes,
    lookalikes,
    normalized,
    number_in,
    plain_value,
)

__all__ = [
    "ActionKind",
    "ActionSpace",
    "ActionValue",
    "Batch",
    "Candidate",
    "Choice",
    "DateOrder",
    "Direction",
    "Failure",
    "FreeText",
    "Interaction",
    "Leakage",
    "Message",
    "Moment",
    "MultiChoice",
    "Number",
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
    "ValueReader",
    "action_space",
    "content_key",
    "implied_codes",
    "is_closed",
    "lookalikes",
    "normalized",
    "number_in",
    "plain_value",
    "question_key",
    "read_moment",
]
