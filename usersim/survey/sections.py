"""What an instrument is made of: sections of questions, and what follows from them.

Knows questions and expressions; knows nothing of respondents or models.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated

from pydantic import Field, StringConstraints

from usersim.config.base import Config
from usersim.survey.base import WRITABLE, Identifier
from usersim.survey.expressions import Expression, parse
from usersim.survey.loading import plain
from usersim.survey.questions import SurveyQuestion
from usersim.types import content_key

Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]

__all__ = ["Instrument", "Passage", "Section"]


class Passage(Config):
    """A text to read: a vignette, a definition, what stands between two questions."""

    model_config = WRITABLE

    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20_000)]
    """What is read; `{{ q }}` as in a question's text. Without that answer it is not shown."""
    show_if: str = ""
    """Shown only if this expression over earlier answers is true; empty: always."""
    before: str = ""
    """Id of the question of its section from which on it is shown, since a respondent has read it
    by then; empty: with every question of the section."""


class Section(Config):
    """Questions that stand together."""

    model_config = WRITABLE

    id: Identifier
    """Unique in the survey."""
    text: str = ""
    """Introduction, shown with the section's questions; `{{ q }}` as in a question's text."""
    passages: tuple[Passage, ...] = ()
    """Further texts to read, shown after the introduction; each may have a condition."""
    questions: Annotated[tuple[SurveyQuestion, ...], Field(min_length=1)]
    """In the instrument's order."""
    random_order: bool = False
    """Whether each respondent meets the questions in an order of their own; it is recorded."""
    fixed: bool = False
    """Whether the section keeps its place where the survey shuffles its sections."""
    show_if: str = ""
    """Its questions are asked only if this expression over earlier answers is true."""


class Instrument(Config):
    """What an instrument asks, in sections; a `Survey` is one that was checked as a whole.

    Example:
        >>> from usersim.survey import Survey, YesNo
        >>> survey = Survey(title="Drinks", questions=(YesNo(id="tea", text="Tea?"),))
        >>> isinstance(survey, Instrument), [one.id for one in survey.all_questions]
        (True, ['tea'])
    """

    model_config = WRITABLE

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

    @cached_property
    def shown_if(self) -> Mapping[str, Mapping[str, Expression]]:
        """The conditions of single options, or rows of a matrix, of each question that has any."""
        return {
            question.id: {label: parse(text) for label, text in question.shown_if.items()}
            for question in self.all_questions
            if question.shown_if
        }

    @cached_property
    def conditions(self) -> Mapping[str, tuple[Expression, ...]]:
        """The conditions of each question, its section's first."""
        return {
            question.id: tuple(
                parse(text) for text in (section.show_if, question.show_if) if text.strip()
            )
            for section in self.all_sections
            for question in section.questions
        }

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the whole instrument, defaults left out: its identity."""
        return content_key(plain(self))

    def question(self, question_id: str) -> SurveyQuestion:
        """Return the question of an id.

        Raises:
            KeyError: If there is none.
        """
        return self._by_id[question_id]

    @cached_property
    def _by_id(self) -> Mapping[str, SurveyQuestion]:
        return {one.id: one for one in self.all_questions}
