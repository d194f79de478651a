"""The instrument: sections of questions, checked as a whole.

Knows questions, expressions and placeholders; knows nothing of respondents or models.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from usersim.config.base import Config
from usersim.errors import SurveyError
from usersim.survey.base import Identifier
from usersim.survey.checks import problems
from usersim.survey.expressions import Expression, parse
from usersim.survey.questions import SurveyQuestion
from usersim.types import content_key
from usersim.views import ShowProgress, told

if TYPE_CHECKING:
    from usersim.survey.conduct import Respondents
    from usersim.survey.results import Mode, SurveyResults

__all__ = ["Passage", "Section", "Survey"]

Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]


class Passage(Config):
    """A text to read: a vignette, a definition, what stands between two questions."""

    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20_000)]
    """What is read; `{{ q }}` as in a question's text. Without that answer it is not shown."""
    show_if: str = ""
    """Shown only if this expression over earlier answers is true; empty: always."""
    before: str = ""
    """Id of the question of its section from which on it is shown, since a respondent has read it
    by then; empty: with every question of the section."""


class Section(Config):
    """Questions that stand together."""

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


class Survey(Config):
    """A survey instrument.

    Questions are given in `sections`, or plainly in `questions`.

    Example:
        >>> from usersim.survey import LikertScale, YesNo
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

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        # No ValueError, so that pydantic lets it through as it is.
        if found := problems(self):
            from usersim.survey.loading import listed

            raise SurveyError(
                f"survey {self.title!r} does not hold together:{listed(found)}",
                hint="mend the instrument; `usersim survey check FILE` looks at it again",
            )
        return self

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
        """SHA-256 of the whole instrument, defaults left out: what tells it from any other."""
        from usersim.survey.loading import plain

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

    def run(
        self,
        respondents: Respondents,
        *,
        mode: Mode = "direct",
        memory: bool = False,
        progress: ShowProgress = True,
    ) -> SurveyResults:
        """Ask everybody everything that their way through the survey holds.

        `UserSimulator.survey` makes the respondents of a store's people, in a resumable run.

        Args:
            respondents: Who is asked.
            mode: How answers are elicited.
            memory: Whether respondents have their earlier questions and answers before them.
            progress: True shows the waves in a terminal and a notebook, False nowhere; a function
                is called with (wave, done, total).

        Raises:
            SurveyError: If nobody is asked, or somebody twice.
        """
        from usersim.survey.conduct import conduct

        with told(progress, "Survey.run()") as report:
            return conduct(self, respondents, mode=mode, memory=memory, progress=report)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read an instrument from a YAML or JSON file.

        Args:
            path: `.json`, or `.yaml` or `.yml`, which needs the extra `survey`.

        Raises:
            SurveyError: If it cannot be read or is no instrument; every problem is listed.
            MissingDependencyError: If it is YAML and PyYAML is not installed.
        """
        from usersim.survey.loading import of_data, read_file

        return of_data(cls, read_file(path), where=str(path))

    def save(self, path: str | Path) -> Path:
        """Write the instrument as YAML or JSON, whatever is default left out.

        Args:
            path: `.json`, or `.yaml` or `.yml`, which needs the extra `survey`.

        Raises:
            SurveyError: If it cannot be written.
            MissingDependencyError: If it is YAML and PyYAML is not installed.
        """
        from usersim.survey.loading import plain, write_file

        return write_file(path, plain(self))
