"""Our conditions as Qualtrics' logic: any of several ways, each a list of terms that all hold.

A comparison with a closed question is turned into the choices of which it is true, by asking our
own grammar about each of them, so that both sides mean the same of everybody, those without an
answer included. What Qualtrics cannot say raises `UnwritableError`. Knows no files.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product

from usersim.survey.expressions import (
    Comparison,
    Constant,
    Expression,
    Joined,
    Negation,
    Node,
    Reference,
    State,
)
from usersim.survey.given import GivenAnswer
from usersim.survey.questions import (
    Budget,
    LikertScale,
    Matrix,
    MultipleChoice,
    NumberQuestion,
    OpenText,
    Ranking,
    SingleChoice,
    SurveyQuestion,
    YesNo,
    codes_of,
)
from usersim.types import Number

__all__ = ["Spot", "Term", "UnwritableError", "Ways", "logic_of", "ways_of"]

MOST_TERMS = 100
"""Most terms of a condition: a longer one would be unreadable in Qualtrics, and slow."""
_OPERATORS = {
    "==": "EqualTo",
    "!=": "NotEqualTo",
    "<": "LessThan",
    "<=": "LessThanOrEqual",
    ">": "GreaterThan",
    ">=": "GreaterThanOrEqual",
}
_OPPOSITE = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
_FLIPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": "==", "!=": "!="}


class UnwritableError(ValueError):
    """A condition that Qualtrics cannot say; caught in this package and made a note."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """Where a question stands in the file.

    Attributes:
        number: Its id there, such as `QID3`.
        question: In our form.
        choices: Number of each label that can be chosen; of a grid the number of each answer.
        rows: Number of each row of a grid; `""` names the only one. Empty: no grid.
    """

    number: str
    question: SurveyQuestion
    choices: Mapping[str, str] = field(default_factory=dict[str, str])
    rows: Mapping[str, str] = field(default_factory=dict[str, str])

    def choice(self, label: str, row: str = "") -> str:
        """Return the locator of a label that can be chosen, in a row of a grid."""
        where = f"{self.rows[row]}/" if self.rows else ""
        return f"q://{self.number}/SelectableChoice/{where}{self.choices[label]}"

    def chosen(self, label: str, row: str = "", *, positive: bool = True) -> Term:
        """Return the term that a label was chosen, or was not."""
        operator = "Selected" if positive else "NotSelected"
        about = " ".join(one for one in (self.question.id, row, label) if one)
        return Term(self.number, self.choice(label, row), operator, about=about)

    def entry(self, item: str = "") -> str:
        """Return the locator of a number or text, of one of several where `item` names it."""
        if item:
            return f"q://{self.number}/ChoiceNumericEntryValue/{self.choices[item]}"
        return f"q://{self.number}/ChoiceTextEntryValue"


@dataclass(frozen=True, slots=True)
class Term:
    """One term of Qualtrics' logic.

    Attributes:
        number: Of the question.
        locator: The place in it that is looked at.
        operator: Qualtrics' word for what is said of it.
        right: What it is compared with; empty for nothing.
        about: The place in words, which Qualtrics shows to whoever edits the survey.
    """

    number: str
    locator: str
    operator: str
    right: str = ""
    about: str = field(default="", compare=False)

    def plain(self, conjunction: str) -> dict[str, object]:
        """Return it as the file holds it."""
        said: dict[str, object] = {
            "LogicType": "Question",
            "QuestionID": self.number,
            "QuestionIsInLoop": "no",
            "ChoiceLocator": self.locator,
            "Operator": self.operator,
            "QuestionIDFromLocator": self.number,
            "LeftOperand": self.locator,
        }
        if self.right:
            said["RightOperand"] = self.right
        if conjunction:
            said["Conjuction"] = conjunction  # as Qualtrics spells it
        words = " ".join(one for one in (self.about, self.operator, self.right) if one)
        return {**said, "Type": "Expression", "Description": html.escape(words, quote=False)}


Ways = tuple[tuple[Term, ...], ...]
"""A condition holds if all terms of one of them do; an empty way always holds."""


def logic_of(ways: Ways) -> dict[str, object]:
    """Return ways as the object that a display or branch logic is; `And` binds closer than `Or`."""
    terms: dict[str, object] = {}
    for way in ways:
        for place, term in enumerate(way):
            conjunction = "And" if place else "Or" if terms else ""
            terms[str(len(terms))] = term.plain(conjunction)
    return {"0": {**terms, "Type": "If"}, "Type": "BooleanExpression"}


def ways_of(expression: Expression, spots: Mapping[str, Spot]) -> Ways:
    """Return a condition as ways in which it holds.

    Args:
        expression: The condition.
        spots: Where the questions before it stand, by id.

    Returns:
        The ways; one that is empty means that it always holds.

    Raises:
        UnwritableError: If Qualtrics cannot say it.
    """
    found = _ways(expression.node, spots)
    if not found:
        raise UnwritableError("it never holds")
    return found


def _ways(node: Node, spots: Mapping[str, Spot], *, positive: bool = True) -> Ways:
    if isinstance(node, Negation):
        return _ways(node.inner, spots, positive=not positive)
    if isinstance(node, Joined):
        parts = [_ways(part, spots, positive=positive) for part in node.parts]
        if node.every is not positive:
            return _bounded(tuple(way for part in parts for way in part))
        found: Ways = ((),)
        for part in parts:
            found = _bounded(tuple((*way, *more) for way in found for more in part))
        return found
    return _bounded(_leaf(node, spots, positive=positive))


def _bounded(ways: Ways) -> Ways:
    """Return ways without those that another one, of fewer terms, makes superfluous.

    Raises:
        UnwritableError: If too many terms are left.
    """
    each = dict.fromkeys(frozenset(way) for way in ways)
    told = {frozenset(way): tuple(dict.fromkeys(way)) for way in ways}
    found = tuple(told[one] for one in each if not any(other < one for other in each))
    count = sum(map(len, found))
    if count > MOST_TERMS:
        raise UnwritableError(f"it takes {count} terms, more than {MOST_TERMS}")
    return found


def _leaf(node: Comparison | State, spots: Mapping[str, Spot], *, positive: bool) -> Ways:
    looked_at = list(dict.fromkeys(_references(node)))
    if not looked_at:
        raise UnwritableError("it looks at no question")
    if all(_enumerable(spots[one.question], one.item) for one in looked_at):
        return _enumerated(node, looked_at, spots, positive=positive)
    if len(looked_at) > 1:
        raise UnwritableError("it compares two answers that are not choices")
    spot = spots[looked_at[0].question]
    if isinstance(node, State):
        return _entered(node, spot, positive=positive)
    return _compared(node, spot, looked_at[0], positive=positive)


def _references(node: Comparison | State) -> Iterator[Reference]:
    if isinstance(node, State):
        yield Reference(node.question, node.option or None)
    else:
        yield from (one for one in (node.left, node.right) if isinstance(one, Reference))


def _enumerable(spot: Spot, item: str | None) -> bool:
    question = spot.question
    if isinstance(question, SingleChoice | LikertScale | YesNo):
        return True
    return item is not None and isinstance(question, Matrix | MultipleChoice)


@dataclass(frozen=True, slots=True)
class _Possible:
    """One thing that may have come of a question, and the terms that say so."""

    given: GivenAnswer
    terms: tuple[Term, ...]


def _possible(spot: Spot, item: str | None) -> tuple[_Possible, list[_Possible]]:
    """Return that there is no answer, and every answer there may be."""
    question, kind = spot.question, spot.question.type
    nothing = GivenAnswer(state="skipped")
    if isinstance(question, MultipleChoice):
        assert item is not None
        ticked = GivenAnswer(state="answered", items={item: "yes"}, kind=kind)
        return (
            _Possible(nothing, (spot.chosen(item, positive=False),)),
            [_Possible(ticked, (spot.chosen(item),))],
        )
    row = item if isinstance(question, Matrix) and item is not None else ""
    codes = {k: v for k, v in codes_of(question).items() if k not in question.refusal}
    found: list[_Possible] = []
    for label in question.labels:
        given = GivenAnswer(state="answered", items={row: label}, codes=codes, kind=kind)
        if label in question.refusal and not isinstance(question, Matrix):
            given = GivenAnswer(state="refused", label=label, kind=kind)
        found.append(_Possible(given, (spot.chosen(label, row),)))
    unchosen = tuple(spot.chosen(label, row, positive=False) for label in question.labels)
    return _Possible(nothing, unchosen), found


def _enumerated(
    node: Comparison | State,
    looked_at: Sequence[Reference],
    spots: Mapping[str, Spot],
    *,
    positive: bool,
) -> Ways:
    """Return ways in which a leaf holds, by trying all answers to the closed questions in it.

    Raises:
        UnwritableError: If there are too many, or it is about two items of one question.
    """
    asked = Expression("", node)
    if len({one.question for one in looked_at}) != len(looked_at):
        raise UnwritableError("it compares two items of one question")
    sides = [_possible(spots[one.question], one.item) for one in looked_at]
    names = [one.question for one in looked_at]
    for spot, one in ((spots[one.question], one) for one in looked_at):
        _check_unticked(asked, spot, one)
    if len(sides) == 1:
        blank, answers = sides[0]
        held = [one for one in answers if asked.holds({names[0]: one.given}) is positive]
        if asked.holds({names[0]: blank.given}) is not positive:
            return tuple(one.terms for one in held) or (_never(answers[0].terms[0]),)
        others = [one for one in answers if one not in held]
        # Of those without an answer it holds, too: then none of the other answers was given.
        return (tuple(_unsaid(term) for one in others for term in one.terms),)
    ways: list[tuple[Term, ...]] = []
    for combined in product(*([blank, *answers] for blank, answers in sides)):
        given = {name: one.given for name, one in zip(names, combined, strict=True)}
        if asked.holds(given) is positive:
            ways.append(tuple(term for one in combined for term in one.terms))
        if len(ways) > MOST_TERMS:
            raise UnwritableError(f"it takes more than {MOST_TERMS} terms")
    return tuple(ways) or (_never(sides[0][1][0].terms[0]),)


def _unsaid(term: Term) -> Term:
    return replace(term, operator="NotSelected")


def _never(term: Term) -> tuple[Term, ...]:
    """Return a way that is never open: Qualtrics has no word for it."""
    return (term, _unsaid(term))


def _check_unticked(asked: Expression, spot: Spot, one: Reference) -> None:
    """Check that a leaf says the same of an option that was not ticked and of no answer at all.

    Raises:
        UnwritableError: If it does not: Qualtrics does not tell the two apart.
    """
    if not isinstance(spot.question, MultipleChoice) or one.item is None:
        return
    unticked = GivenAnswer(state="answered", items={one.item: "no"}, kind=spot.question.type)
    name = spot.question.id
    if asked.holds({name: unticked}) is not asked.holds({name: GivenAnswer(state="skipped")}):
        raise UnwritableError("an option that was not ticked and no answer are one to Qualtrics")


def _entered(node: State, spot: Spot, *, positive: bool) -> Ways:
    if node.function != "answered" or not isinstance(spot.question, OpenText | NumberQuestion):
        raise UnwritableError(f"{node.function}() of a {spot.question.type}")
    operator = "NotEmpty" if positive else "Empty"
    return ((Term(spot.number, spot.entry(), operator, about=spot.question.id),),)


def _compared(  # noqa: C901 - each sign and side for itself
    node: Comparison, spot: Spot, about: Reference, *, positive: bool
) -> Ways:
    """Return the ways of a comparison of an entry with constants.

    Raises:
        UnwritableError: If Qualtrics has no such comparison.
    """
    question = spot.question
    sign = node.sign
    constant = node.right if isinstance(node.left, Reference) else node.left
    assert isinstance(constant, Constant)
    if isinstance(question, MultipleChoice):
        return _ticked(node, spot, constant, positive=positive)
    if not isinstance(node.left, Reference):
        if sign not in _FLIPPED:
            raise UnwritableError(f"{sign!r} of a {question.type}")
        sign = _FLIPPED[sign]
    many = constant.value if isinstance(constant.value, tuple) else (constant.value,)
    if sign in {"in", "not in"}:
        sign = "==" if sign == "in" else "!="
    elif isinstance(constant.value, tuple):
        raise UnwritableError(f"{sign!r} with a list")
    if not many:
        raise UnwritableError("an empty list")
    locator = _entry(spot, about, many, sign)
    each = [(sign if positive else _OPPOSITE[sign], one) for one in many]
    words = " ".join(one for one in (question.id, about.item or "") if one)
    terms = [
        Term(spot.number, locator, _OPERATORS[own], _plain(one), about=words) for own, one in each
    ]
    every = (sign == "!=") is positive and len(terms) > 1
    ways: Ways = (tuple(terms),) if every else tuple((term,) for term in terms)
    if positive:
        return ways
    if about.item is not None:
        raise UnwritableError("of those without an answer, Qualtrics would say something else")
    return (*ways, (Term(spot.number, locator, "Empty", about=words),))


def _entry(spot: Spot, about: Reference, many: Sequence[str | float], sign: str) -> str:
    """Return the locator of what is compared.

    Raises:
        UnwritableError: If it cannot be compared with these constants.
    """
    question = spot.question
    numbers = all(not isinstance(one, str) for one in many)
    if isinstance(question, Ranking | Budget) and about.item is not None and numbers:
        return spot.entry(about.item)
    if isinstance(question, NumberQuestion) and numbers:
        return spot.entry()
    texts = all(isinstance(one, str) and one.strip() for one in many)
    if isinstance(question, OpenText) and texts and sign in {"==", "!="}:
        return spot.entry()
    raise UnwritableError(f"{sign!r} of a {question.type} with {list(many)!r}")


def _ticked(node: Comparison, spot: Spot, constant: Constant, *, positive: bool) -> Ways:
    """Return the ways of `"option" in question`, of a multiple choice.

    Raises:
        UnwritableError: If it is another comparison.
    """
    label = constant.value
    if node.sign == "in" and isinstance(label, str) and label in spot.choices:
        return ((spot.chosen(label, positive=positive),),)
    raise UnwritableError(f"{node.sign!r} of a multiple choice")


def _plain(value: str | float) -> str:
    return value if isinstance(value, str) else Number().render(value)
