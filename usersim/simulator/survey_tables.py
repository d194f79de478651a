"""Survey results and human samples as the tables that statistics are made of.

Refusals count as no answer: shares and means are of those who gave one. A multiple choice is one
yes/no item per option, a ranking and a budget one number per option.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from usersim.errors import EvaluationError
from usersim.evaluation.surveys import AnswerTable, Item
from usersim.simulation.survey import (
    Budget,
    LikertScale,
    Matrix,
    MultipleChoice,
    NumberQuestion,
    OpenText,
    Ranking,
    Survey,
    SurveyQuestion,
    SurveyResults,
    YesNo,
    codes_of,
    column_of,
)

__all__ = ["HumanSample", "human_table", "items_of", "table_of"]

HumanSample = Mapping[str, Mapping[str, object]] | Iterable[Mapping[str, object]]
"""Answers by respondent and column, or rows with a column `respondent`; labels or codes."""

Groups = Mapping[str, Mapping[str, str]]


def items_of(survey: Survey) -> dict[str, tuple[SurveyQuestion, str, Item]]:
    """Return question, item and description of every column that statistics can be made of.

    Example:
        >>> from usersim.simulation.survey import YesNo
        >>> survey = Survey(title="Drinks", questions=(YesNo(id="tea", text="Tea?"),))
        >>> items_of(survey)["tea"][2].options
        ('no', 'yes')
    """
    found: dict[str, tuple[SurveyQuestion, str, Item]] = {}
    for question in survey.all_questions:
        if isinstance(question, OpenText):
            continue
        for item in question.items:
            column = column_of(question, item)
            found[column] = question, item, _item(question, item, column)
    return found


def _item(question: SurveyQuestion, item: str, column: str) -> Item:
    text = f"{question.text} - {item}" if item else question.text
    options: tuple[str, ...] = ()
    if isinstance(question, MultipleChoice):
        options = ("no", "yes")
    elif isinstance(question, YesNo):
        options = question.options[::-1]
    elif not isinstance(question, NumberQuestion | Ranking | Budget):
        options = question.options
    ordered = isinstance(question, LikertScale) or (
        isinstance(question, Matrix) and question.ordered
    )
    start = question.start if isinstance(question, LikertScale) else 1
    codes: tuple[float, ...] = ()
    if ordered and isinstance(question, LikertScale | Matrix) and question.codes:
        # Shown from its high end, a scale is counted from its low one all the same.
        options = tuple(sorted(options, key=question.codes.__getitem__))
        codes = tuple(float(question.codes[option]) for option in options)
    return Item(key=column, text=text, options=options, ordered=ordered, start=start, codes=codes)


def table_of(
    results: SurveyResults | Sequence[SurveyResults],
    *,
    weights: Mapping[str, float] | None = None,
    groups: Groups | None = None,
) -> AnswerTable:
    """Return simulated answers as a table; several results of one survey are repeated draws.

    Args:
        results: Of one survey, each under a seed of its own.
        weights: Of each respondent; None: all alike.
        groups: Categories of each respondent, by attribute.

    Returns:
        The table. Probabilities are averaged over the draws.

    Raises:
        EvaluationError: If there are no results, or they are of several surveys.
    """
    runs = [results] if isinstance(results, SurveyResults) else list(results)
    if not runs or len({run.survey.digest for run in runs}) != 1:
        raise EvaluationError(
            f"repeated draws are results of one survey, got {len(runs)} results of "
            f"{len({run.survey.digest for run in runs})} surveys"
        )
    columns = items_of(runs[0].survey)
    named = {(question.id, item): column for column, (question, item, _) in columns.items()}
    people = dict.fromkeys(person for run in runs for person in run.people)
    answers: dict[str, list[dict[str, str | float]]] = {
        person: [{} for _ in runs] for person in people
    }
    told: dict[str, dict[str, list[Mapping[str, float]]]] = {person: {} for person in people}
    for draw, run in enumerate(runs):
        for one in run.responses:
            column = named.get((one.question, one.item))
            if column is None or one.value is None or one.refused:
                continue
            answers[one.respondent][draw][column] = one.value
            if one.probabilities:
                told[one.respondent].setdefault(column, []).append(one.probabilities)
    return AnswerTable.of(
        [item for _, _, item in columns.values()],
        answers,
        weights=weights,
        groups=groups,
        probabilities={
            person: {column: _averaged(list_) for column, list_ in own.items()}
            for person, own in told.items()
        },
        simulated=True,
    )


def _averaged(drawn: Sequence[Mapping[str, float]]) -> dict[str, float]:
    labels = dict.fromkeys(label for one in drawn for label in one)
    return {label: sum(one.get(label, 0.0) for one in drawn) / len(drawn) for label in labels}


def human_table(
    survey: Survey,
    sample: HumanSample,
    *,
    weights: Mapping[str, float] | None = None,
    groups: Groups | None = None,
) -> AnswerTable:
    """Return human answers to a survey as a table.

    Args:
        survey: The instrument.
        sample: Answers by respondent and column, as labels or codes; None and empty texts are
            no answer, and columns that the survey does not have are passed over.
        weights: Of each respondent; None: all alike.
        groups: Categories of each respondent, by attribute.

    Returns:
        The table.

    Raises:
        EvaluationError: If an answer is none of its question's, or nobody answered anything.
    """
    columns = items_of(survey)
    people = _by_person(sample)
    answers = {
        person: [
            {
                column: value
                for column, (question, _, item) in columns.items()
                if (value := _given(own.get(column), question, item, person)) is not None
            }
        ]
        for person, own in people.items()
    }
    if not any(one[0] for one in answers.values()):
        raise EvaluationError(
            "the human sample has no answer to any question of the survey",
            hint=f"its columns are named as in wide results: {list(columns)[:6]!r}",
        )
    items = [item for _, _, item in columns.values()]
    return AnswerTable.of(items, answers, weights=weights, groups=groups)


def _by_person(sample: HumanSample) -> dict[str, Mapping[str, object]]:
    """Return answers by respondent.

    Raises:
        EvaluationError: If a row has no respondent, or one has two rows.
    """
    if isinstance(sample, Mapping):
        return dict(cast("Mapping[str, Mapping[str, object]]", sample))
    found: dict[str, Mapping[str, object]] = {}
    for number, row in enumerate(sample, start=1):
        person = str(row.get("respondent") or "")
        if not person or person in found:
            raise EvaluationError(
                f"row {number} of the human sample has respondent {row.get('respondent')!r}: "
                "each row needs one of its own"
            )
        found[person] = row
    return found


def _refusal_code(question: SurveyQuestion, number: float) -> bool:
    """Return whether a number stands for a refusal, and cannot be an answer itself."""
    low = question.low if isinstance(question, NumberQuestion) else 0.0
    codes = codes_of(question)
    held = number in {float(codes[label]) for label in question.refusal}
    return held and (low is None or number < low)


def _given(value: object, question: SurveyQuestion, item: Item, person: str) -> str | float | None:
    """Return an answer as a label or number; None for no answer and for refusals.

    Raises:
        EvaluationError: If it is none of the question's answers.
    """
    if value is None or value == "" or value != value or value in question.refusal:  # noqa: PLR0124 - NaN
        return None
    if isinstance(value, str) and value in item.options:
        return value
    try:
        number = float(cast("str | float", value))
    except (TypeError, ValueError):
        number = None
    if number is not None and not item.options:
        return None if _refusal_code(question, number) else number
    labels = {float(code): label for label, code in codes_of(question).items()}
    label = labels.get(number) if number is not None else None
    if label is None:
        raise EvaluationError(
            f"{value!r} of {person!r} is no answer to {question.id!r}",
            hint=f"answers are {list(item.options)!r} or their codes",
        )
    return None if label in question.refusal else label
