"""The question types of a survey, distinguished by `type`.

Each says which elementary questions it is asked as (`parts`), so that the model is only ever
asked what it can be scored on: one of K options, a number, or a text. What their answers mean
for the whole question is said in `usersim.survey.reduction`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, FiniteFloat, field_validator, model_validator

from usersim.survey.base import (
    Code,
    Label,
    Labels,
    Part,
    QuestionBase,
    coded,
    conditional,
    distinct,
)
from usersim.types import ActionSpace, Choice, FreeText, Number, Scale
from usersim.types.counting import counted

__all__ = [
    "Budget",
    "LikertScale",
    "Matrix",
    "MultipleChoice",
    "NumberQuestion",
    "OpenText",
    "Ranking",
    "SingleChoice",
    "SurveyQuestion",
    "YesNo",
    "codes_of",
    "space_of",
]

YES_NO = ("yes", "no")


class _Listed(QuestionBase):
    """A question with a list of options that may be shuffled."""

    options: Labels
    """What there is to choose from, in the instrument's order."""
    random_order: bool = False
    """Whether each respondent is shown the options in an order of their own; it is recorded."""
    last: tuple[Label, ...] = ()
    """Options that stay at the end in any order, such as `other` or `none of these`."""
    options_if: Mapping[Label, str] = {}
    """Options that are shown only if an expression over earlier answers is true."""

    @property
    def shown_if(self) -> Mapping[str, str]:
        """Conditions under which single options are shown."""
        return self.options_if

    @model_validator(mode="after")
    def _labels_fit(self) -> Self:
        distinct("options", (*self.options, *self.refusal))
        conditional("options_if", self.options_if, self.options)
        if unknown := [label for label in self.last if label not in self.options]:
            raise ValueError(f"last names {unknown!r}, which are not among {self.options!r}")
        return self


class SingleChoice(_Listed):
    """One of K options without an order.

    Example:
        >>> drink = SingleChoice(id="drink", text="What do you drink?", options=("tea", "coffee"))
        >>> drink.parts(drink.options)[0].space.options
        ('tea', 'coffee')
    """

    type: Literal["single_choice"] = "single_choice"
    codes: Mapping[Label, Code] = {}
    """Number of each option in files and comparisons; empty: they count from 1."""

    @model_validator(mode="after")
    def _codes_fit(self) -> Self:
        coded(self.codes, self.options, self.refusal)
        return self

    @property
    def labels(self) -> tuple[str, ...]:
        """What an answer may be, refusals last."""
        return (*self.options, *self.refusal)

    def parts(self, options: Sequence[str]) -> tuple[Part, ...]:
        """Return one choice among `options`, which are shown in that order."""
        return (Part(space=Choice((*options, *self.refusal))),)


class MultipleChoice(_Listed):
    """Any of K options. Each is asked for itself, yes or no, and never all as one string.

    A single option is a box to tick: yes or nothing.

    Example:
        >>> taken = MultipleChoice(id="taken", text="What with?", options=("milk", "sugar"))
        >>> taken.items
        ('milk', 'sugar')
    """

    type: Literal["multiple_choice"] = "multiple_choice"
    options: Annotated[tuple[Label, ...], Field(min_length=1, max_length=200)]
    """What there is to choose from, in the instrument's order."""
    least: Annotated[int, Field(ge=0)] = 0
    """Options that must be chosen."""
    most: Annotated[int, Field(ge=1)] | None = None
    """Options that may be chosen; None: all."""
    exclusive: tuple[Label, ...] = ()
    """Options that exclude all others, such as `none of these`."""

    @model_validator(mode="after")
    def _bounds_fit(self) -> Self:
        most = len(self.options) if self.most is None else self.most
        if not self.least <= most <= len(self.options):
            raise ValueError(
                f"least {self.least!r} and most {self.most!r} do not match "
                f"{counted(len(self.options), 'option')}"
            )
        if unknown := [label for label in self.exclusive if label not in self.options]:
            raise ValueError(f"exclusive names {unknown!r}, not among {self.options!r}")
        return self

    @property
    def items(self) -> tuple[str, ...]:
        """The options."""
        return self.options

    @property
    def labels(self) -> tuple[str, ...]:
        """What an answer about one option may be."""
        return YES_NO

    def parts(self, options: Sequence[str]) -> tuple[Part, ...]:
        """Return one yes/no question per option; each names the whole list in that order."""
        listed = "; ".join(options)
        list_ = f"Any of these may be chosen: {listed}.\n" if len(options) > 1 else ""
        return tuple(
            Part(item=option, text=f'{list_}Do you choose "{option}"?', space=Choice(YES_NO))
            for option in options
        )


class LikertScale(QuestionBase):
    """One of K points in order: all labeled (`points`), or the two ends (`low`, `high`).

    Example:
        >>> joy = LikertScale(id="joy", text="How much?", points=5, low="none", high="a lot")
        >>> codes_of(joy)
        {'1': 1, '2': 2, '3': 3, '4': 4, '5': 5}
    """

    type: Literal["likert"] = "likert"
    points: Labels | Annotated[int, Field(ge=2, le=101)] = 5
    """Every point's label in order, lowest first (but see `codes`); or how many numbered points
    there are."""
    low: str = ""
    """What the lowest number means, where the points are numbered."""
    high: str = ""
    """What the highest number means, where the points are numbered."""
    start: int = 1
    """Number of the lowest point."""
    codes: Mapping[Label, Code] = {}
    """Number of each labeled point; empty: they count from `start`. Where the numbers fall, the
    first point is the highest."""
    random_order: bool = False
    """Whether half of the respondents see the scale from its other end; it is recorded."""

    @model_validator(mode="after")
    def _labels_fit(self) -> Self:
        named = [self.low, self.high]
        if isinstance(self.points, tuple) and any(named):
            raise ValueError(f"points already has every label; remove low and high: {named!r}")
        if isinstance(self.points, int) and not all(named):
            raise ValueError(f"a scale needs labels: low and high, or all in points; got {named!r}")
        distinct("points", (*self.options, *self.refusal))
        if self.codes and isinstance(self.points, int):
            raise ValueError("codes are for labeled points; numbered points are their own codes")
        _in_order(coded(self.codes, self.options, self.refusal), self.options)
        return self

    @property
    def options(self) -> tuple[str, ...]:
        """The points, lowest first.

        Numbered ones are bare numbers, and the ends are explained in the text: an option is
        scored as a whole, and a longer one is less likely for its length alone.
        """
        if isinstance(self.points, tuple):
            return self.points
        return tuple(str(self.start + place) for place in range(self.points))

    @property
    def labels(self) -> tuple[str, ...]:
        """What an answer may be, refusals last."""
        return (*self.options, *self.refusal)

    def parts(self, options: Sequence[str]) -> tuple[Part, ...]:
        """Return one scale, shown in the order of `options`."""
        first, last = self.options[0], self.options[-1]
        ends = "" if self.low == "" else f"From {first} ({self.low}) to {last} ({self.high})."
        return (Part(text=ends, space=Scale((*options, *self.refusal))),)


class YesNo(QuestionBase):
    """Yes or no.

    Example:
        >>> codes_of(YesNo(id="tea", text="Do you drink tea?"))
        {'yes': 1, 'no': 0}
    """

    type: Literal["yes_no"] = "yes_no"
    options: tuple[Label, Label] = YES_NO
    """The words for yes and for no."""

    @model_validator(mode="after")
    def _labels_fit(self) -> Self:
        distinct("options", (*self.options, *self.refusal))
        return self

    @property
    def labels(self) -> tuple[str, ...]:
        """What an answer may be, refusals last."""
        return (*self.options, *self.refusal)

    def parts(self, options: Sequence[str]) -> tuple[Part, ...]:
        """Return one choice between the two words."""
        return (Part(space=Choice((*options, *self.refusal))),)


class NumberQuestion(QuestionBase):
    """A number; it is drawn after each trace, and the answer is the median of the draws.

    Example:
        >>> cups = NumberQuestion(id="cups", text="How many?", low=0, high=20, integer=True)
        >>> cups.parts(())[0].space.parse("3")
        3.0
    """

    type: Literal["number"] = "number"
    low: FiniteFloat | None = None
    """Smallest answer."""
    high: FiniteFloat | None = None
    """Largest answer."""
    unit: str | None = None
    """What is counted or measured, such as `years`."""
    integer: bool = False
    """Whether only whole numbers are answers."""

    @model_validator(mode="after")
    def _range_fits(self) -> Self:
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError(f"low {self.low!r} is not below high {self.high!r}")
        return self

    @property
    def options(self) -> tuple[str, ...]:
        """None: the answer is a number."""
        return ()

    def parts(self, options: Sequence[str]) -> tuple[Part, ...]:  # noqa: ARG002 - it has none
        """Return one number."""
        return (Part(space=Number(self.low, self.high, self.unit, self.integer)),)


class Ranking(_Listed):
    """All options in order of preference.

    Asked as one choice of the first. Its probabilities are the worths of a Plackett-Luce model:
    the ranking is drawn, or found as the likeliest one, by choosing again and again among what
    is left with the same worths (Luce 1959, Individual Choice Behavior; Plackett 1975, The
    Analysis of Permutations, Applied Statistics 24(2)).

    Example:
        >>> Ranking(id="rank", text="Which first?", options=("tea", "coffee")).items
        ('tea', 'coffee')
    """

    type: Literal["ranking"] = "ranking"

    @property
    def items(self) -> tuple[str, ...]:
        """The options."""
        return self.options

    def parts(self, options: Sequence[str]) -> tuple[Part, ...]:
        """Return one choice of what comes first."""
        return (Part(text="Which one comes first for you?", space=Choice(tuple(options))),)


class Budget(_Listed):
    """A total allocated over parts; the options are the parts.

    Asked as one choice: where a single unit would go. The allocation is the total in proportion
    to the choice's probabilities, the mean of as many independent choices as there are units
    (Luce's choice rule); whole units are dealt out by largest remainders. How evenly one person
    spreads a total and how unsure the model is of them are one number here.

    Example:
        >>> Budget(id="spend", text="Where does it go?", options=("tea", "coffee"), total=10).items
        ('tea', 'coffee')
    """

    type: Literal["budget"] = "budget"
    total: Annotated[FiniteFloat, Field(gt=0)] = 100.0
    """What is allocated."""
    unit: str = ""
    """Of the total, such as `euros`."""
    integer: bool = True
    """Whether parts get whole units."""

    @model_validator(mode="after")
    def _total_is_whole(self) -> Self:
        if self.integer and not self.total.is_integer():
            raise ValueError(f"total {self.total!r} cannot be allocated in whole units")
        return self

    @property
    def items(self) -> tuple[str, ...]:
        """The parts."""
        return self.options

    def parts(self, options: Sequence[str]) -> tuple[Part, ...]:
        """Return one choice of where a single unit goes."""
        unit = f" ({self.unit})" if self.unit else ""
        text = f"Think of a single unit{unit} of the {self.total:g}: where would you put it?"
        return (Part(text=text, space=Choice(tuple(options))),)


class Matrix(QuestionBase):
    """Several rows on one shared scale; each row is asked for itself.

    Example:
        >>> like = Matrix(id="like", text="Like it?", rows=("tea", "milk"), options=("no", "yes"))
        >>> like.items
        ('tea', 'milk')
    """

    type: Literal["matrix"] = "matrix"
    rows: Annotated[tuple[Label, ...], Field(min_length=1, max_length=200)]
    """What is rated."""
    options: Labels
    """The shared scale, lowest first."""
    ordered: bool = True
    """Whether the options are a scale; otherwise they have no order."""
    random_order: bool = False
    """Whether each respondent meets the rows in an order of their own; it is recorded."""
    rows_if: Mapping[Label, str] = {}
    """Rows that are shown only if an expression over earlier answers is true."""
    codes: Mapping[Label, Code] = {}
    """Number of each option; empty: they count from 1. Where the numbers of a scale fall, its
    first option is the highest."""

    @property
    def shown_if(self) -> Mapping[str, str]:
        """Conditions under which single rows are shown."""
        return self.rows_if

    @field_validator("rows")
    @classmethod
    def _rows_differ(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return distinct("rows", value)

    @model_validator(mode="after")
    def _labels_fit(self) -> Self:
        distinct("options", (*self.options, *self.refusal))
        conditional("rows_if", self.rows_if, self.rows)
        codes = coded(self.codes, self.options, self.refusal)
        if self.ordered:
            _in_order(codes, self.options)
        return self

    @property
    def items(self) -> tuple[str, ...]:
        """The rows."""
        return self.rows

    @property
    def labels(self) -> tuple[str, ...]:
        """What an answer about one row may be, refusals last."""
        return (*self.options, *self.refusal)

    def parts(self, options: Sequence[str]) -> tuple[Part, ...]:
        """Return one question per row; `options` are the rows in the order in which they come."""
        labels = (*self.options, *self.refusal)
        space: ActionSpace = Scale(labels) if self.ordered else Choice(labels)
        return tuple(Part(item=row, text=row, space=space) for row in options)


class OpenText(QuestionBase):
    """An answer in the respondent's own words.

    Example:
        >>> OpenText(id="why", text="Why?").parts(())[0].space.kind
        'free_text'
    """

    type: Literal["open_text"] = "open_text"

    @property
    def options(self) -> tuple[str, ...]:
        """None."""
        return ()

    def parts(self, options: Sequence[str]) -> tuple[Part, ...]:  # noqa: ARG002 - it has none
        """Return one open question."""
        return (Part(space=FreeText()),)


SurveyQuestion = Annotated[
    SingleChoice
    | MultipleChoice
    | LikertScale
    | YesNo
    | NumberQuestion
    | Ranking
    | Budget
    | Matrix
    | OpenText,
    Discriminator("type"),
]
"""Any of the question types; distinguished by `type`."""


def space_of(question: SurveyQuestion) -> ActionSpace:
    """Return what people may answer about one item of a question, as a table of answers holds it.

    Args:
        question: The survey question.

    Example:
        >>> space_of(Ranking(id="q", text="Rank", options=("a", "b", "c")))
        Number(low=1, high=3, unit=None, integer=True, kind='number')
    """
    if isinstance(question, OpenText):
        return FreeText()
    if isinstance(question, NumberQuestion):
        return Number(question.low, question.high, question.unit, question.integer)
    if isinstance(question, Ranking):
        return Number(1, len(question.options), integer=True)
    if isinstance(question, Budget):
        return Number(0, question.total)
    return Choice((*question.labels,))


def _in_order(codes: Mapping[str, float], options: Sequence[str]) -> None:
    """Check that the numbers of a scale rise or fall from its first option to its last.

    Raises:
        ValueError: If they do neither.
    """
    numbers = [codes[option] for option in options if option in codes]
    if numbers not in (sorted(numbers), sorted(numbers, reverse=True)):
        raise ValueError(
            f"codes of a scale must rise or fall from the first option on; got {numbers!r}"
        )


def codes_of(question: SurveyQuestion) -> dict[str, float]:
    """Return the number of each label of a closed question.

    Options have the numbers of the question's `codes`, if it has any. Otherwise they count from 1
    in the instrument's order, the points of a scale from its `start`; yes is 1 and no is 0.
    Refusals without a code are -1, -2, and so on (lower where other codes go below 0), so that
    they cannot be taken for a value.

    Args:
        question: The survey question; an open one has no numbers.

    Example:
        >>> codes_of(YesNo(id="q", text="Tea?", refusal=("don't know",)))
        {'yes': 1, 'no': 0, "don't know": -1}
    """
    options = _option_codes(question)
    given = _given_codes(question)
    first = math.floor(min([0, *options.values(), *given.values()])) - 1
    counted = [label for label in question.refusal if label not in given]
    refused = {label: first - place for place, label in enumerate(counted)}
    return options | {label: {**given, **refused}[label] for label in question.refusal}


def _given_codes(question: SurveyQuestion) -> Mapping[str, float]:
    none: Mapping[str, float] = {}
    return question.codes if isinstance(question, SingleChoice | LikertScale | Matrix) else none


def _option_codes(question: SurveyQuestion) -> dict[str, float]:
    if isinstance(question, YesNo):
        return {question.options[0]: 1, question.options[1]: 0}
    if isinstance(question, MultipleChoice):
        return {"yes": 1, "no": 0}
    if isinstance(question, Ranking | Budget):
        return {}
    start = question.start if isinstance(question, LikertScale) else 1
    codes = _given_codes(question)
    return {label: codes.get(label, start + place) for place, label in enumerate(question.options)}
