"""What a survey of simulated respondents gave: values, and plain rows made of them.

Frozen and complete: everything that an export, a weighting or a diagnostic needs is a field
here. Knows the instrument; knows no model, no file format and no store.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Literal

from pydantic import JsonValue

from usersim.config.base import Config
from usersim.survey.questions import SurveyQuestion
from usersim.survey.survey import Survey
from usersim.types.counting import counted
from usersim.views import Sheet, printed, shortened

__all__ = ["Mode", "SurveyFailure", "SurveyResponse", "SurveyResults", "column_of"]

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
    and where there is no answer."""
    probabilities: Mapping[str, float] = {}
    """Of each label, in the instrument's order, averaged over traces and option orders. For a
    ranking and a budget of each option: to come first, to get a single unit. Empty for numbers
    and texts."""
    refused: bool = False
    """Whether the value is one of the question's refusals; then it is the value of every item."""
    skipped: str | None = None
    """Why the question, or this item of it, was not asked; None if it was."""
    failed: str | None = None
    """Why there is no answer although it was asked; None if there is one."""
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
        """Whether there is a value that is no refusal."""
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


def _sheet(found: SurveyResults) -> Sheet:
    rows: list[tuple[str | int | float | None, ...]] = []
    for question in found.survey.all_questions:
        for item in question.items:
            own = found.of(question.id, item)
            given = Counter(str(one.value) for one in own if one.answered)
            ((most, n),) = given.most_common(1) or (("–", 0),)
            rows.append(
                (
                    column_of(question, item),
                    sum(given.values()),
                    shortened(most, 40),
                    n / sum(given.values()) if given else None,
                    sum(one.refused for one in own),
                    sum(one.skipped is not None for one in own),
                    sum(one.failed is not None for one in own),
                )
            )
    columns = ("item", "answers", "most frequent", "share", "refused", "skipped", "failed")
    notes = (
        counted(len(found.people), "simulated respondent"),
        "simulated: a model's answers, not people's",
    )
    return Sheet(title=found.survey.title, columns=columns, rows=rows, notes=notes)


@printed(_sheet)
class SurveyResults(Config):
    """All responses of a population to a survey.

    Example:
        >>> from usersim.survey import Survey, SurveyResponse, YesNo
        >>> survey = Survey(title="Drinks", questions=(YesNo(id="tea", text="Tea?"),))
        >>> one = SurveyResponse(respondent="ada", question="tea", value="yes", code=1)
        >>> results = SurveyResults(survey=survey, people=("ada",), responses=(one,), seed=0)
        >>> next(results.wide())
        {'respondent': 'ada', 'tea': 'yes', 'simulated': True}
    """

    survey: Survey
    """The instrument."""
    people: tuple[str, ...]
    """Everybody who was asked, in the order given."""
    responses: tuple[SurveyResponse, ...]
    """By respondent, then in the instrument's order of questions and items."""
    failures: tuple[SurveyFailure, ...] = ()
    """What could not be answered, with the texts as drawn."""
    mode: Mode = "direct"
    """How answers were elicited."""
    memory: bool = False
    """Whether respondents had their earlier answers before them."""
    seed: int
    """Of every order and every draw."""
    runs: tuple[str, ...] = ()
    """Names of the runs in the store that hold the answers with everything behind them."""
    provenance: Mapping[str, JsonValue] = {}
    """What else the answers depend on: engine, adapter, settings."""
    simulated: Literal[True] = True
    """Always True."""

    def __repr__(self) -> str:
        """Say what was asked of how many."""
        return (
            f"SurveyResults({self.survey.title!r}, "
            f"{counted(len(self.people), 'simulated respondent')}, "
            f"{counted(len(self.responses), 'response')})"
        )

    def long(self) -> Iterator[dict[str, object]]:
        """Yield one plain row per response: every field, question text and type included.

        Yields:
            Rows with the same columns; a mapping or tuple stays one.
        """
        texts = {question.id: question for question in self.survey.all_questions}
        for one in self.responses:
            question = texts[one.question]
            yield {
                "survey": self.survey.title,
                "respondent": one.respondent,
                "question": one.question,
                "type": question.type,
                "text": question.text,
                **{
                    name: getattr(one, name)
                    for name in SurveyResponse.model_fields
                    if name not in {"respondent", "question"}
                },
            }

    def wide(self, *, codes: bool = False) -> Iterator[dict[str, object]]:
        """Yield one plain row per respondent, one column per question and item.

        Args:
            codes: The numbers of the answers in place of their labels; texts stay texts.

        Yields:
            `respondent`, a column for each of `column_of`, and `simulated`; None: no answer.
        """
        columns = [
            (question.id, item, column_of(question, item))
            for question in self.survey.all_questions
            for item in question.items
        ]
        rows: dict[str, dict[tuple[str, str], SurveyResponse]] = {name: {} for name in self.people}
        for one in self.responses:
            rows[one.respondent][one.question, one.item] = one
        for person, own in rows.items():
            cells: dict[str, object] = {"respondent": person}
            for question, item, column in columns:
                one = own.get((question, item))
                cells[column] = None if one is None else _cell(one, codes=codes)
            yield {**cells, "simulated": True}

    def of(self, question: str, item: str = "") -> list[SurveyResponse]:
        """Return the responses to one item, in the order of the people."""
        return [one for one in self.responses if (one.question, one.item) == (question, item)]


def _cell(one: SurveyResponse, *, codes: bool) -> str | float | None:
    return one.code if codes and one.code is not None else one.value


def column_of(question: SurveyQuestion, item: str) -> str:
    """Return the name of an item's column: the question's id, with the item's place from 1.

    Example:
        >>> from usersim.survey import Ranking
        >>> column_of(Ranking(id="fruit", text="Which?", options=("apple", "pear")), "pear")
        'fruit_2'
    """
    return question.id if not item else f"{question.id}_{question.items.index(item) + 1}"
