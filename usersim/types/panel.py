"""A panel: who answered which question, as a table of people by questions.

Knows values and their layout; knows nothing of stores, models or prompts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from usersim.errors import ConfigError
from usersim.types.actions import ActionValue, Choice, MultiChoice, Number, Scale

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Panel", "PanelQuestion", "PanelSpace", "cell_value"]

PanelSpace = Choice | Scale | MultiChoice | Number
"""Action spaces whose answers can be counted over people."""


@dataclass(frozen=True, slots=True)
class PanelQuestion:
    """One question that members of a panel answered.

    Attributes:
        key: `Question.key`: the same for everybody who was asked it.
        space: What an answer may be.
        text: What was asked, for retrieval by meaning.
    """

    key: str
    space: PanelSpace
    text: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """The people of a corpus and what they answered.

    Attributes:
        people: Ids, one per row.
        questions: One per column.
        answers: See `cell_value`; NaN where a person did not answer.
            Shape `(len(people), len(questions))`.
        weights: How many people each row stands for, in any unit. Shape `(len(people),)`.

    Raises:
        ConfigError: If the shapes disagree, or a weight is not a positive number.

    Example:
        >>> from usersim.types import Choice
        >>> import numpy as np
        >>> tea = PanelQuestion(key="q1", space=Choice(("no", "yes")), text="Tea?")
        >>> panel = Panel(people=("ada", "bob"), questions=(tea,),
        ...               answers=np.array([[1.0], [np.nan]]), weights=np.ones(2))
        >>> panel.people, panel.answers.tolist()
        (('ada', 'bob'), [[1.0], [nan]])
    """

    people: tuple[str, ...]
    questions: tuple[PanelQuestion, ...]
    answers: NDArray[np.float64]
    weights: NDArray[np.float64]

    def __post_init__(self) -> None:
        shape = (len(self.people), len(self.questions))
        if self.answers.shape != shape or self.weights.shape != shape[:1]:
            raise ConfigError(
                f"a panel of {shape[0]} people and {shape[1]} questions has answers of shape "
                f"{self.answers.shape!r} and weights of shape {self.weights.shape!r}"
            )
        for person, weight in zip(self.people, self.weights.tolist(), strict=True):
            if not 0 < weight < float("inf"):
                raise ConfigError(
                    f"the weight of {person!r} is {weight!r}; a weight must be a positive number",
                    hint="correct it in the source, or leave this person out",
                )


def cell_value(space: PanelSpace, action: ActionValue) -> float:
    """Return an answer as one cell of a panel.

    A choice or a scale gives the index of the option, a number itself, a multiple choice the sum
    of `2 ** index` over the chosen options.

    Example:
        >>> cell_value(Scale(("low", "mid", "high")), "mid")
        1.0
        >>> cell_value(MultiChoice(("a", "b", "c")), ("a", "c"))
        5.0
    """
    if isinstance(space, Number):
        return float(action)  # type: ignore[arg-type]
    if isinstance(space, MultiChoice):
        chosen = (action,) if isinstance(action, str) else cast("Sequence[str]", action)
        return float(sum(2 ** space.options.index(option) for option in chosen))
    return float(space.options.index(str(action)))
