"""The instrument: sections of questions, checked as a whole.

Knows questions, expressions and placeholders; knows nothing of respondents or models.
"""

from __future__ import annotations

from functools import cached_property
from typing import Annotated

from pydantic import Field, StringConstraints

from usersim.config.base import Config
from usersim.simulation.survey.base import Identifier
from usersim.simulation.survey.questions import SurveyQuestion

__all__ = ["Section", "Survey"]

Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]


class Section(Config):
    """Questions that stand together."""

    id: Identifier
    """Unique in the survey."""
    text: str = ""
    """Introduction, shown with the section's questions; `{{ q }}` as in a question's text."""
    questions: Annotated[tuple[SurveyQuestion, ...], Field(min_length=1)]
    """In the instrument's order."""
    random_order: bool = False
    """Whether each respondent meets the questions in an order of their own; it is recorded."""
    fixed: bool = False
    """Whether the section keeps its place where the survey shuffles its sections."""
    show_if: str = ""
    """Its questions are asked only if this expression over earlier answers is true."""


class Survey(Config):
    """A survey instrument.

    Questions are given in `sections`, or plainly in `questions`.

    Example:
        >>> from usersim.simulation.survey import LikertScale, YesNo
        >>> survey = Survey(
        ...     title="Tea",
        ...     questions=(
        ...         YesNo(id="tea", text="Do you drink tea?"),
        ...         LikertScale(
        ...             id="joy",
        ...             text="How much do you like it?",
        ...             low="not at all",
        ...             high="very much",
        ...             show_if='tea == "yes"',
        ...         ),
        ...     ),
        ... )
        >>> [question.id for question in survey.all_questions]
        ['tea', 'joy']
    """

    title: Title
    """Name of the survey; stands in results and reports."""
    instruction: str = ""
    """Shown before every question."""
    questions: tuple[SurveyQuestion, ...] = ()
    """In the instrument's order, where it has no sections."""
    sections: tuple[Section, ...] = ()
    """In the instrument's order, where it has sections."""
    random_sections: bool = False
    """Whether each respondent meets the sections in an order of their own; it is recorded."""

    @cached_property
    def all_sections(self) -> tuple[Section, ...]:
        """Every section; a survey without any has one of all its questions."""
        return self.sections or (Section(id="main", questions=self.questions),)

    @cached_property
    def all_questions(self) -> tuple[SurveyQuestion, ...]:
        """Every question in the instrument's order."""
        return tuple(one for section in self.all_sections for one in section.questions)

    @property
    def digest(self) -> str:
        """SHA-256 of the whole instrument: what tells it from any other."""
        return self.key

    def question(self, question_id: str) -> SurveyQuestion:
        """Return the question of an id.

        Raises:
            KeyError: If there is none.
        """
        return {one.id: one for one in self.all_questions}[question_id]
