"""How far the training of a user model is, in answers.

Knows the plan and the run; measures nothing itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from usersim.training.run import Run, StepProgress
from usersim.training.windows import Step

__all__ = ["TrainingProgress", "UserModelProgress", "step_progress"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingProgress:
    """How far a training is.

    Attributes:
        step: Optimizer steps done.
        steps: Steps of the whole run.
        answers: Answers learned so far, each as often as it was.
        planned_answers: Those of the whole run.
        tokens: Tokens computed for them so far, about.
        seconds: Time that the steps took, those before an interruption included.
        loss: Of the last step, nats.
    """

    step: int
    steps: int
    answers: int
    planned_answers: int
    tokens: int
    seconds: float
    loss: float


UserModelProgress = Callable[[TrainingProgress], None]
"""Called after each step."""


def step_progress(progress: UserModelProgress, plan: Sequence[Step], run: Run) -> StepProgress:
    """Return what a run calls after each step: it reports the progress in answers."""
    answers = [0, *accumulate(step.answers for step in plan)]
    tokens = [0, *accumulate(step.tokens for step in plan)]

    def tell(step: int, steps: int, loss: float) -> None:
        progress(
            TrainingProgress(
                step=step,
                steps=steps,
                answers=answers[step],
                planned_answers=answers[-1],
                tokens=tokens[step],
                seconds=run.history.seconds,
                loss=loss,
            )
        )

    return tell
