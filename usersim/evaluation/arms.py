"""What is compared: an arm is a name and a callable that predicts held-out interactions.

Knows nothing of how a prediction comes about: a trained simulator, a baseline, another SDK and
a person are measured by the same harness.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from usersim.types import Batch, Interaction, Prediction

__all__ = ["Arm", "Predict"]

Predict = Callable[[Sequence[Interaction]], Batch[Prediction]]
"""Predicts each interaction, in order. The true action is given so that its likelihood can be
told; an arm must not let it reach the prediction."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One predictor under test.

    Attributes:
        name: Shown in every table; unique within an evaluation.
        predict: One prediction per interaction; an item that fails is a `Failure`.
        description: One sentence for the reader of the report.
        identity: Everything that its answers depend on (model, adapter digest, configuration
            key, seed). Equal identities mean equal answers. Empty: its answers are never cached.
    """

    name: str
    predict: Predict
    description: str = ""
    identity: str = ""
