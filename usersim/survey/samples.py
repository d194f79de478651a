"""Survey results and human samples as the tables that statistics are made of.

Refusals count as no answer: shares and means are of those who gave one. A multiple choice is one
yes/no item per option, a ranking and a budget one number per option.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from usersim.errors import ActionError, EvaluationError
from usersim.survey.estimates import AnswerTable, Item
from usersim.survey.questions import (
    Budget,
    LikertScale,
    Matrix,
    MultipleChoice,
    NumberQuestion,
    OpenText,
    Ranking,
    SurveyQuestion,
    YesNo,
    codes_of,
    space_of,
)
from usersim.survey.responses import column_of
from usersim.survey.survey import Survey, SurveyResults
from usersim.types import (
    ActionSpace,
    FreeText,
    Number,
    ValueReader,
    implied_codes,
    normalized,
    number_in,
    plain_value,
)
from usersim.types.counting import counted

__all__ = ["HumanAnswers", "HumanSample", "human_table", "items_of", "read_human", "table_of"]

Groups = Mapping[str, Mapping[str, str]]
_PEOPLE = ("respondent", "user_id")
"""Columns that may name the respondent."""


def items_of(survey: Survey) -> dict[str, tuple[SurveyQuestion, str, Item]]:
    """Return question, item and description of every column that statistics can be made of.

    Example:
        >>> from usersim.survey import YesNo
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
    return Item(
        key=column, text=text, options=options, ordered=ordered, start=start, codes=codes,
        stem=question.text, part=item, ticks=isinstance(question, MultipleChoice),
    )  # fmt: skip


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
            f"repeated draws must be results of one survey; got {counted(len(runs), 'result')} of "
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


@dataclass(frozen=True, slots=True, kw_only=True)
class HumanAnswers:
    """What people answered to a survey, and how much of their table that is.

    Attributes:
        table: The answers.
        matched: Columns of the survey that the sample has.
        absent: Columns of the survey that it has not.
        unmatched: Columns of the sample that are none of the survey's; they are not used.
        missing: Cells that are no answer, since they are listed as missing.

    Example:
        >>> from usersim.survey import Survey, SurveyResponse, SurveyResults, YesNo, compare_survey
        >>> survey = Survey(title="Drinks", questions=tuple(
        ...     YesNo(id=name, text=f"Some {name}?") for name in ("tea", "milk")
        ... ))
        >>> people = ("ada", "bo", "cy", "di", "ed")
        >>> answers = [SurveyResponse(respondent=p, question="tea", value="yes") for p in people]
        >>> simulated = SurveyResults(
        ...     survey=survey, people=people, responses=tuple(answers), seed=0
        ... )
        >>> human = compare_survey(simulated, {p: {"tea": "no", "age": 40} for p in people}).human
        >>> human.matched, human.absent, human.unmatched
        (('tea',), ('milk',), ('age',))
    """

    table: AnswerTable
    matched: tuple[str, ...]
    absent: tuple[str, ...]
    unmatched: tuple[str, ...]
    missing: int

    def weighted(
        self, weights: Mapping[str, float] | None, groups: Groups | None = None
    ) -> HumanAnswers:
        """Return the same answers with other weights (None: all alike) and groups."""
        people = self.table.respondents
        values = np.array([(weights or {}).get(one, 1.0) for one in people], dtype=np.float64)
        told = groups or {}
        names = dict.fromkeys(name for own in told.values() for name in own)
        kept = {n: tuple(told.get(one, {}).get(n, "") for one in people) for n in names}
        table = replace(self.table, weights=values, groups=kept or self.table.groups)
        return replace(self, table=table)

    def __str__(self) -> str:
        """Say it in one line, or two where columns match nothing."""
        asked = len(self.matched) + len(self.absent)
        people = len(self.table.respondents)
        said = (
            f"human sample: {people} people, {len(self.matched)} of {asked} columns of the survey"
        )
        said += f", {self.missing} cells marked as missing" if self.missing else ""
        if self.unmatched:
            said += f"\nnot in the survey, and not used: {', '.join(self.unmatched)}"
        return said


HumanSample = Mapping[str, Mapping[str, object]] | Iterable[Mapping[str, object]] | HumanAnswers
"""Answers by respondent and column, or rows with a column `respondent`, as labels or codes; or what
`read_human` made of them."""


def read_human(
    survey: Survey,
    sample: HumanSample,
    *,
    weights: Mapping[str, float] | None = None,
    groups: Groups | None = None,
    missing: Collection[object] = (),
) -> HumanAnswers:
    """Read human answers to a survey, as labels or codes.

    A value that is a label is that label; a code counts where labels are no numbers, or where the
    question has codes of its own. What could be both is an error.

    Args:
        survey: The instrument.
        sample: Answers by respondent and column, as labels or codes; None and empty texts are
            no answer.
        weights: Of each respondent; None: all alike.
        groups: Categories of each respondent, by attribute.
        missing: Values that are no answer, such as `-99`; of answers that were read already they
            are left out.

    Returns:
        The answers, and which columns they are from.

    Raises:
        EvaluationError: If an answer is none of its question's, or nobody answered anything.
    """
    if isinstance(sample, HumanAnswers):
        return sample.weighted(weights, groups)
    columns = items_of(survey)
    people = _by_person(sample)
    names = {normalized(column): column for column in columns}
    given = dict.fromkeys(str(name) for own in people.values() for name in own)
    matched = {name: names[normalized(name)] for name in given if normalized(name) in names}
    read = {
        column: _Reader.of(question, item, missing)
        for column, (question, _, item) in columns.items()
    }
    answers = {
        person: [
            {
                column: value
                for name, column in matched.items()
                if (value := read[column](own.get(name), person)) is not None
            }
        ]
        for person, own in people.items()
    }
    texts = {normalized(one.id) for one in survey.questions if one.type == "open_text"}
    unmatched = tuple(
        name
        for name in given
        if name not in matched and name not in _PEOPLE and normalized(name) not in texts
    )
    if not any(one[0] for one in answers.values()):
        raise EvaluationError(
            f"the human sample has no answer to any question of the survey; its columns are "
            f"{list(given)[:12]!r}",
            hint=f"columns are named as in wide results: {list(columns)[:6]!r}",
        )
    items = [item for _, _, item in columns.values()]
    return HumanAnswers(
        table=AnswerTable.of(items, answers, weights=weights, groups=groups),
        matched=tuple(column for column in columns if column in set(matched.values())),
        absent=tuple(column for column in columns if column not in set(matched.values())),
        unmatched=unmatched,
        missing=sum(one.missing for one in read.values()),
    )


def human_table(
    survey: Survey,
    sample: HumanSample,
    *,
    weights: Mapping[str, float] | None = None,
    groups: Groups | None = None,
    missing: Collection[object] = (),
) -> AnswerTable:
    """Return human answers to a survey as a table; the table of `read_human`.

    Raises:
        EvaluationError: If an answer is none of its question's, or nobody answered anything.
    """
    return read_human(survey, sample, weights=weights, groups=groups, missing=missing).table


def _by_person(
    sample: Mapping[str, Mapping[str, object]] | Iterable[Mapping[str, object]],
) -> dict[str, Mapping[str, object]]:
    """Return answers by respondent.

    Raises:
        EvaluationError: If a row has no respondent, or one has two rows.
    """
    if isinstance(sample, Mapping):
        return dict(cast("Mapping[str, Mapping[str, object]]", sample))
    found: dict[str, Mapping[str, object]] = {}
    for number, row in enumerate(sample, start=1):
        told = next((row[name] for name in _PEOPLE if row.get(name) is not None), None)
        person = str(plain_value(told) if told is not None else "").strip()
        if not person or person in found:
            raise EvaluationError(
                f"row {number} of the human sample has respondent {told!r}: each row needs its own",
                hint=f"its columns are {list(row)[:12]!r}; name the respondent in column "
                "'respondent'",
            )
        found[person] = row
    return found


@dataclass(slots=True)
class _Reader:
    """Reads the values of one column.

    Attributes:
        question: What was asked.
        values: Reads labels, codes and numbers.
        listed: What is not a valid answer.
        missing: How many values were that.
    """

    question: SurveyQuestion
    values: ValueReader
    listed: ValueReader
    missing: int = 0

    @classmethod
    def of(cls, question: SurveyQuestion, item: Item, missing: Collection[object]) -> _Reader:
        """Make a reader of a question's answers."""
        space = space_of(question) if question.labels and item.options else _number_of(question)
        codes = _codes(question) if item.options else None
        return cls(
            question=question,
            values=ValueReader(space, codes=codes),
            listed=ValueReader(FreeText(), missing=missing),
        )

    def __call__(self, value: object, person: str) -> str | float | None:
        """Return an answer as a label or number; None for no answer and for refusals.

        Raises:
            EvaluationError: If it is none of the question's answers.
        """
        question = self.question
        plain = plain_value(value)
        if plain is None or (isinstance(plain, str) and not plain.strip()):
            return None
        try:
            if self.listed(str(plain)) is None:
                self.missing += 1
                return None
            if _is_refusal(question, plain):
                return None
            found = self.values(plain)
        except ActionError as error:
            raise EvaluationError(
                f"{value!r} of {person!r} is not a valid answer to {question.id!r}: {error}",
                hint="list values that mean no answer in missing (--missing on the command line)",
            ) from None
        return None if found in question.refusal else cast("str | float", found)


def _number_of(question: SurveyQuestion) -> ActionSpace:
    """Return the space of a question whose statistics are of numbers."""
    return Number() if isinstance(question, OpenText) else space_of(question)


def _codes(question: SurveyQuestion) -> dict[str, str]:
    """Return the label of each code that may stand for it."""
    codes = codes_of(question)
    if isinstance(question, MultipleChoice | YesNo):
        yes, no = (label for label in codes if label not in question.refusal)
        words = {"true": yes, "True": yes, "TRUE": yes, "false": no, "False": no, "FALSE": no}
        # Of several options each is chosen or not; their refusal is none of these labels.
        told = {label: code for label, code in codes.items() if label in question.labels}
        return {**_counted(told), **words}
    own = bool(getattr(question, "codes", {}))
    counted = _counted(codes)
    if own or implied_codes(question.labels):
        return counted
    return {code: label for code, label in counted.items() if label in question.refusal}


def _counted(codes: Mapping[str, float]) -> dict[str, str]:
    return {Number().render(code): label for label, code in codes.items()}


def _is_refusal(question: SurveyQuestion, value: object) -> bool:
    """Return whether a value is a refusal, or stands for one and cannot be a number."""
    if isinstance(value, str) and normalized(value) in map(normalized, question.refusal):
        return True
    number = number_in(value)
    if number is None or not isinstance(
        question, NumberQuestion | Ranking | Budget | MultipleChoice
    ):
        return False
    low = question.low if isinstance(question, NumberQuestion) else 0.0
    codes = codes_of(question)
    held = number in {float(codes[label]) for label in question.refusal}
    return held and (low is None or number < low)
