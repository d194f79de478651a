"""Qualtrics' conditions and piped texts in our own grammar, as far as both can say the same.

Knows the two grammars; knows nothing of files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from usersim.simulation.survey import (
    Budget,
    LikertScale,
    Matrix,
    MultipleChoice,
    NumberQuestion,
    OpenText,
    Ranking,
    SurveyQuestion,
)

__all__ = ["Imported", "UnmappedError", "condition", "piped"]

_LOCATOR = re.compile(r"q://(QID\w+)/(\w+)(?:/([^/]+))?$")
_PIPE = re.compile(r"\$\{(\w+)://([^}]*)\}")
_SIGNS = {
    "EqualTo": "==",
    "NotEqualTo": "!=",
    "GreaterThan": ">",
    "GreaterThanOrEqual": ">=",
    "LessThan": "<",
    "LessThanOrEqual": "<=",
}
_WHOLE = {
    "ChoiceGroup/SelectedChoices",
    "ChoiceTextEntryValue",
    "ChoiceDescription",
    "ChoiceGroup/SelectedChoicesTextEntry",
}


class UnmappedError(ValueError):
    """A condition cannot be said in our grammar; caught in this package and made a note."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A question that was taken over.

    Attributes:
        question: In our form.
        choices: Label by the source's number of the choice.
    """

    question: SurveyQuestion
    choices: Mapping[str, str]


def condition(logic: Mapping[str, object], known: Mapping[str, Imported]) -> str:
    """Return a display or branch logic as an expression.

    Args:
        logic: `Payload["DisplayLogic"]` or `Flow[...]["BranchLogic"]`.
        known: Questions that come before, by the source's id.

    Returns:
        The expression; empty if there is no condition.

    Raises:
        UnmappedError: If a part of it cannot be said.
    """
    joined = ""
    for group in _numbered(logic):
        parts = ""
        for term in _numbered(group):
            word = {"and": "and", "or": "or"}.get(str(term.get("Conjuction", "And")).lower())
            if word is None:
                raise UnmappedError(f"conjunction {term.get('Conjuction')!r}")
            said = _term(term, known)
            parts = f"{parts} {word} {said}" if parts else said
        if not parts:
            continue
        link = {"If": "and", "AndIf": "and", "ElseIf": "or", "OrIf": "or"}.get(
            str(group.get("Type", "If"))
        )
        if link is None:
            raise UnmappedError(f"group {group.get('Type')!r}")
        joined = f"({joined}) {link} ({parts})" if joined else parts
    return joined


def _numbered(logic: Mapping[str, object]) -> list[Mapping[str, object]]:
    """Return the entries under the keys "0", "1", and so on, in order.

    Raises:
        UnmappedError: If one of them is no object.
    """
    keys = sorted((key for key in logic if key.isdecimal()), key=int)
    values = [logic[key] for key in keys]
    if not all(isinstance(value, Mapping) for value in values):
        raise UnmappedError("an entry that is no object")
    return cast("list[Mapping[str, object]]", values)


def _term(term: Mapping[str, object], known: Mapping[str, Imported]) -> str:
    if term.get("LogicType") != "Question":
        raise UnmappedError(f"logic about {term.get('LogicType')!r}")
    operand = str(term.get("LeftOperand") or term.get("ChoiceLocator") or "")
    found = _LOCATOR.fullmatch(operand)
    if found is None or found[1] not in known:
        raise UnmappedError(f"operand {operand!r}: not an earlier question that was taken over")
    about, operator = known[found[1]], str(term.get("Operator"))
    if found[2] == "SelectableChoice" and found[3] is not None:
        return _selected(about, found[3], operator)
    return _compared(about, operator, str(term.get("RightOperand", "")))


def _selected(about: Imported, number: str, operator: str) -> str:
    label, question = about.choices.get(number), about.question
    if label is None or isinstance(question, Matrix | Ranking | Budget | OpenText):
        raise UnmappedError(f"choice {number!r} of {question.id!r}")
    if operator not in {"Selected", "NotSelected"}:
        raise UnmappedError(f"operator {operator!r} of a choice")
    if isinstance(question, MultipleChoice) and label not in question.refusal:
        said = f"selected({question.id}, {_quoted(label)})"
    else:
        said = f"{question.id} == {_quoted(label)}"
    return said if operator == "Selected" else f"not ({said})"


def _compared(about: Imported, operator: str, right: str) -> str:
    question = about.question
    if operator in {"Empty", "NotEmpty"}:
        return f"{'not ' if operator == 'Empty' else ''}answered({question.id})"
    if operator not in _SIGNS or not isinstance(question, NumberQuestion | LikertScale | OpenText):
        raise UnmappedError(f"operator {operator!r} on {question.id!r}")
    if isinstance(question, OpenText):
        if operator not in {"EqualTo", "NotEqualTo"}:
            raise UnmappedError(f"operator {operator!r} on the text {question.id!r}")
        return f"{question.id} {_SIGNS[operator]} {_quoted(right)}"
    try:
        number = float(right)
    except ValueError:
        raise UnmappedError(f"{right!r} is not a number") from None
    return f"{question.id} {_SIGNS[operator]} {number:g}"


def _quoted(label: str) -> str:
    return json.dumps(label, ensure_ascii=False)


def piped(text: str, known: Mapping[str, Imported]) -> tuple[str, Sequence[str]]:
    """Return a text with its piped answers as placeholders, and what could not be one.

    Example:
        >>> piped("Hello ${m://FirstName}", {})
        ('Hello [...]', ['${m://FirstName}'])
    """
    lost: list[str] = []

    def replaced(match: re.Match[str]) -> str:
        number, _, what = match[2].partition("/")
        if match[1] == "q" and number in known and what in _WHOLE:
            return f"{{{{ {known[number].question.id} }}}}"
        lost.append(match[0])
        return "[...]"

    return _PIPE.sub(replaced, text), lost
