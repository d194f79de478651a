"""What one simulated respondent answered to one item, or why there is not a valid answer.

Frozen and complete: everything that an export, a weighting or a diagnostic needs is a field
here. Knows questions; knows no model, no file format and no store.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from usersim.config.base import Config
from usersim.survey.questions import SurveyQuestion

__all__ = ["Mode", "SurveyFailure", "SurveyResponse", "column_of"]

Mode = Literal["direct", "say_then_map"]
"""How an answer is elicited: the options are scored at once, or after an answer in own words."""


class SurveyResponse(Config):
    """One respondent's simulated answer to one item of one question.

    A question without options of its own kind of answer (single choice, scale, yes/no, number,
    text) has one item without a name. A multiple choice, a ranking and a budget have one item per
    option, a matrix one per row. Every item of every question has a response for every
    respondent: what was not asked says why.
    """

    respondent: str
    """`user_id` of the simulated person."""
    question: str
    """Id of the question."""
    item: str = ""
    """Option or row; empty where the question has one answer."""
    value: str | float | None = None
    """A label (choice, scale, matrix row), `yes` or `no` (of a multiple choice, and of yes/no in
    its own words), a number (number, rank from 1, amount), or a text; None: no answer."""
    code: float | None = None
    """The value as a number: `codes_of` for labels, the value itself for numbers; None for text
    and where there is not a valid answer."""
    probabilities: Mapping[str, float] = {}
    """Of each label, in the instrument's order, averaged over traces and option orders. For a
    ranking and a budget of each option: to come first, to get a single unit. Empty for numbers
    and texts."""
    refused: bool = False
    """Whether the value is one of the question's refusals; then it is the value of every item."""
    skipped: str | None = None
    """Why the question, or this item of it, was not asked; None if it was."""
    failed: str | None = None
    """Why there is not a valid answer although it was asked; None if there is one."""
    shown: tuple[str, ...] = ()
    """Options (of a matrix: rows) in the order in which this respondent saw them, the first one
    where the settings average over several (`SimulationConfig.option_orders`); refusals stand
    after them."""
    position: int | None = None
    """Place of the question among those that this respondent met, from 1; None if skipped."""
    mode: Mode = "direct"
    """How the answer was elicited."""
    said: str | None = None
    """The answer in own words that came first, where the mode asks for one."""
    traces: tuple[str, ...] = ()
    """The reasoning drawn for the answer, the one that speaks most for it first."""
    reasoning_failed: bool = False
    """Whether reasoning was drawn and none of it could be read: the answer came without."""
    seed: int | None = None
    """Seed of the answer; None if the question was skipped."""
    simulated: Literal[True] = True
    """Always True: this is a model's guess at what the person would answer."""

    @property
    def answered(self) -> bool:
        """Whether there is a value that is not a refusal."""
        return self.value is not None and not self.refused


class SurveyFailure(Config):
    """One elementary question that could not be answered."""

    respondent: str
    """Whose answer is missing."""
    question: str
    """Id of the question."""
    item: str = ""
    """Option or row; empty where the question has one answer."""
    error: str
    """Class name of the error."""
    message: str
    """What happened."""
    text: str = ""
    """The text that could not be used, whole."""


def column_of(question: SurveyQuestion, item: str) -> str:
    """Return the name of an item's column: the question's id, with the item's place from 1.

    Args:
        question: The survey question.
        item: One of its items; empty where the question has one answer.

    Example:
        >>> from usersim.survey import Ranking
        >>> column_of(Ranking(id="fruit", text="Which?", options=("apple", "pear")), "pear")
        'fruit_2'
    """
    return question.id if not item else f"{question.id}_{question.items.index(item) + 1}"
