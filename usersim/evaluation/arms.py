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

    Example:
        >>> from usersim.evaluation import evaluate, uniform_arm
        >>> from usersim.types import Batch, Choice, Interaction, Message, Prediction
        >>> tea = Interaction(key="k", user_id="ada", position=0, context=(Message("Tea?"),),
        ...                   action="yes", space=Choice(("yes", "no")), conversation="c",
        ...                   split="held_out")
        >>> def always_yes(asked):
        ...     one = Prediction(action="yes", probabilities={"yes": 0.9, "no": 0.1})
        ...     return Batch((one,) * len(asked))
        >>> found = evaluate([Arm("Yes", always_yes), uniform_arm()], [tea], bootstrap=10)
        >>> found.estimate("Yes", "accuracy").interval.value
        1.0
    """

    name: str
    predict: Predict
    description: str = ""
    identity: str = ""
