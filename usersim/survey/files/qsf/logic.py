"""Qualtrics' conditions and piped texts in our own grammar, as far as both can say the same.

Knows the two grammars; knows nothing of files. A condition may turn out to be always true or
never, where it looks at embedded data with a fixed value: then it is a bool.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, cast
from urllib.parse import unquote

from usersim.survey.files.notes import Column
from usersim.survey.questions import SurveyQuestion
from usersim.types import Number

__all__ = [
    "Condition",
    "Fields",
    "Imported",
    "Known",
    "UnmappedError",
    "Value",
    "all_of",
    "any_of",
    "condition",
    "negated",
    "piped",
    "quoted",
    "skip_condition",
]

Condition = str | bool
"""An expression, or what it always is."""

_LOCATOR = re.compile(r"q://(QID[^/]*|\d+_QID[^/]*)/(\w+)(?:/(.+))?$", re.DOTALL)
_PIPE = re.compile(r"\$\{(\w{1,20})://([^}]{0,500})\}")
"""Bounded: in a text of nothing but beginnings, each would be looked at up to the text's end."""
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
_VALUES = {
    "ChoiceTextEntryValue",
    "ChoiceNumericEntryValue",
    "SelectedChoicesRecode",
    "SelectedAnswerRecode",
}


class UnmappedError(ValueError):
    """A condition cannot be said in our grammar; caught in this package and made a note."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """What a comparison looks at.

    Attributes:
        term: As our grammar names it.
        kind: What it can be compared with.
    """

    term: str
    kind: Literal["number", "scale", "text"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A question of the source that was imported, as one or several of ours.

    Attributes:
        questions: In our form.
        labels: Label by the source's number of the choice (of a grid: of the row).
        picked: Condition that a choice was taken, by its number; `row/answer` in a grid.
        values: What comparisons look at, by number; empty for the whole question.
        pipe: Id of the question whose answer stands for the whole; empty if there is none.
        columns: What columns of exports answer, by the rest of their import id.
        displayed: Condition under which it is shown.
        parts: Columns of a side-by-side, by what their id adds to its own.
    """

    questions: tuple[SurveyQuestion, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    picked: Mapping[str, str] = field(default_factory=dict[str, str])
    values: Mapping[str, Value] = field(default_factory=dict[str, Value])
    pipe: str = ""
    columns: Mapping[str, Column] = field(default_factory=dict[str, Column])
    displayed: Condition = True
    parts: Mapping[str, Imported] = field(default_factory=dict[str, "Imported"])


Known = Mapping[str, Imported]
"""Elements that come before, by the source's id."""


@dataclass(slots=True)
class Fields:
    """Embedded data: what each field was set to, under which condition, in the flow's order.

    A value of None is not known: drawn at random, scored, or brought by the respondent.
    """

    rows: dict[str, list[tuple[Condition, str | None]]] = field(
        default_factory=dict[str, list[tuple[Condition, str | None]]]
    )

    def set(self, name: str, value: str | None, *, only_if: Condition) -> None:
        """Remember that a field is set."""
        held = [] if only_if is True else self.rows.get(name, [])
        self.rows[name] = [*held, (only_if, value)]

    def value(self, name: str) -> str | None:
        """Return the value that a field has for everybody; None if there is no such."""
        rows = self.rows.get(name, [])
        return rows[0][1] if len(rows) == 1 and rows[0][0] is True else None

    def equals(self, name: str, wanted: str) -> Condition:
        """Return the condition that a field has a value.

        Raises:
            UnmappedError: If that is not known.
        """
        rows = self.rows.get(name)
        if rows is None or any(value is None or "{{" in value for _, value in rows):
            raise UnmappedError(f"embedded data {name!r}, whose value is not known")
        ways: list[Condition] = []
        for place, (only_if, value) in enumerate(rows):
            if value is not None and value.strip().lower() == wanted.strip().lower():
                later = [negated(other) for other, its in rows[place + 1 :] if its != value]
                ways.append(all_of([only_if, *later]))
        return any_of(ways)


def condition(logic: Mapping[str, object], known: Known, fields: Fields) -> Condition:
    """Return a display or branch logic as an expression.

    Args:
        logic: `Payload["DisplayLogic"]` or `Flow[...]["BranchLogic"]`.
        known: Elements that come before.
        fields: Embedded data set before.

    Returns:
        The expression; True if there is not a condition.

    Raises:
        UnmappedError: If a part of it cannot be said.
    """
    joined: Condition = True
    first = True
    for group in _numbered(logic):
        parts = _group(group, known, fields)
        if parts is None:
            continue
        link = {"If": "and", "AndIf": "and", "ElseIf": "or", "OrIf": "or"}.get(
            str(group.get("Type", "If"))
        )
        if link is None:
            raise UnmappedError(f"group {group.get('Type')!r}")
        if first:
            joined = parts
        else:
            joined = all_of([joined, parts]) if link == "and" else any_of([joined, parts])
        first = False
    return joined


def _group(group: Mapping[str, object], known: Known, fields: Fields) -> Condition | None:
    """Return the terms of a group; `And` binds closer than `Or`.

    Raises:
        UnmappedError: If one of them cannot be said.
    """
    ways: list[list[Condition]] = []
    for term in _numbered(group):
        word = str(term.get("Conjuction", "And")).lower()
        if word not in {"and", "or"}:
            raise UnmappedError(f"conjunction {term.get('Conjuction')!r}")
        said = _term(term, known, fields)
        if ways and word == "and":
            ways[-1].append(said)
        else:
            ways.append([said])
    return any_of([all_of(way) for way in ways]) if ways else None


def _numbered(logic: Mapping[str, object]) -> list[Mapping[str, object]]:
    """Return the entries under the keys "0", "1", and so on, in order.

    Raises:
        UnmappedError: If one of them is not an object.
    """
    keys = sorted((key for key in logic if key.isdecimal()), key=int)
    values = [logic[key] for key in keys]
    if not all(isinstance(value, Mapping) for value in values):
        raise UnmappedError("an entry that is not an object")
    return cast("list[Mapping[str, object]]", values)


def _term(term: Mapping[str, object], known: Known, fields: Fields) -> Condition:
    kind = str(term.get("LogicType"))
    operator, right = str(term.get("Operator")), str(term.get("RightOperand", ""))
    if kind == "EmbeddedField":
        said = fields.equals(str(term.get("LeftOperand")), right)
        if operator not in {"EqualTo", "NotEqualTo"}:
            raise UnmappedError(f"operator {operator!r} on embedded data")
        return said if operator == "EqualTo" else negated(said)
    if kind == "Quota":  # nobody is counted, so no quota is ever met
        return operator != "QuotaMet"
    if kind != "Question":
        raise UnmappedError(f"logic about {kind!r}")
    if str(term.get("IgnoreCase", "1")) not in {"1", "True"} and operator in _SIGNS:
        raise UnmappedError("a comparison that respects case")
    return _located(
        str(term.get("LeftOperand") or term.get("ChoiceLocator") or ""), operator, right, known
    )


def skip_condition(skip: Mapping[str, object], known: Known) -> Condition:
    """Return the condition of one skip logic of a question.

    Raises:
        UnmappedError: If it cannot be said.
    """
    locator = str(skip.get("Locator") or skip.get("ChoiceLocator") or "")
    return _located(locator, str(skip.get("Condition")), str(skip.get("Value", "")), known)


def _located(locator: str, operator: str, right: str, known: Known) -> Condition:
    """Return what an operator says about the place that a locator names.

    Raises:
        UnmappedError: If that cannot be said.
    """
    found = _LOCATOR.fullmatch(unquote(locator))
    if found is None or found[1] not in known:
        raise UnmappedError(f"operand {locator!r}: not an earlier question that was imported")
    about, what, number = known[found[1]], found[2], found[3] or ""
    if operator in {"Displayed", "NotDisplayed"}:
        if what not in {"QuestionDisplayed", "DisplayableQuestion"}:
            raise UnmappedError(f"operator {operator!r} of a single choice")
        return about.displayed if operator == "Displayed" else negated(about.displayed)
    if operator in {"Selected", "NotSelected"}:
        said = _picked(about, what, number)
        return said if operator == "Selected" else negated(said)
    value = about.values.get(number) if what in _VALUES else None
    if value is None:
        raise UnmappedError(f"operand {locator!r}")
    return _compared(value, operator, right)


def _picked(about: Imported, what: str, number: str) -> str:
    if what == "SelectableAnswer":  # in any row of a grid
        rows = [said for key, said in about.picked.items() if key.endswith(f"/{number}")]
        if rows:
            return str(any_of(rows))
    elif what == "SelectableChoice" and number in about.picked:
        return about.picked[number]
    raise UnmappedError(f"choice {number!r} of {[q.id for q in about.questions]!r}")


def _compared(value: Value, operator: str, right: str) -> str:
    if operator in {"Empty", "NotEmpty"}:
        name = value.term
        if not name.isidentifier():
            raise UnmappedError(f"operator {operator!r} on {name!r}")
        return f"{'not ' if operator == 'Empty' else ''}answered({name})"
    if operator not in _SIGNS:
        raise UnmappedError(f"operator {operator!r} on {value.term!r}")
    if value.kind == "text":
        if operator not in {"EqualTo", "NotEqualTo"}:
            raise UnmappedError(f"operator {operator!r} on the text {value.term!r}")
        return f"{value.term} {_SIGNS[operator]} {quoted(right)}"
    try:
        number = float(right)
    except ValueError:
        raise UnmappedError(f"{right!r} is not a number") from None
    return f"{value.term} {_SIGNS[operator]} {Number().render(number)}"


def quoted(label: str) -> str:
    """Return a label as a text of our grammar.

    Raises:
        UnmappedError: If it cannot stand there.
    """
    if "\\" in label or ('"' in label and "'" in label):
        raise UnmappedError(f"{label!r} cannot stand in a condition")
    return f"'{label}'" if '"' in label else json.dumps(label, ensure_ascii=False)


def all_of(parts: Sequence[Condition]) -> Condition:
    """Return the condition that every part is true.

    Example:
        >>> all_of(["a == 1", True, "b == 1 or c == 1"]), all_of([True]), all_of(["a == 1", False])
        ('a == 1 and (b == 1 or c == 1)', True, False)
    """
    if any(part is False for part in parts):
        return False
    texts = list(dict.fromkeys(part for part in parts if isinstance(part, str)))
    if len(texts) == 1:
        return texts[0]
    return " and ".join(f"({one})" if " or " in one else one for one in texts) or True


def any_of(parts: Sequence[Condition]) -> Condition:
    """Return the condition that a part is true.

    Example:
        >>> any_of(["a == 1", False]), any_of(["a == 1", True]), any_of([])
        ('a == 1', True, False)
    """
    if any(part is True for part in parts):
        return True
    texts = list(dict.fromkeys(part for part in parts if isinstance(part, str)))
    return " or ".join(texts) or False


def negated(part: Condition) -> Condition:
    """Return the condition that a part is false.

    Example:
        >>> negated("a == 1"), negated("not (a == 1)"), negated(True)
        ('not (a == 1)', 'not (not (a == 1))', False)
    """
    return not part if isinstance(part, bool) else f"not ({part})"


def piped(text: str, known: Known, fields: Fields) -> tuple[str, Sequence[str]]:
    """Return a text with its piped answers as placeholders, and what could not be one.

    Embedded data with a fixed value are put in as that value.

    Example:
        >>> piped("Hello ${m://FirstName}", {}, Fields())
        ('Hello [...]', ['${m://FirstName}'])
    """
    lost: list[str] = []

    def replaced(match: re.Match[str]) -> str:
        number, _, what = match[2].partition("/")
        if match[1] == "q" and number in known and what in _WHOLE and known[number].pipe:
            return f"{{{{ {known[number].pipe} }}}}"
        if match[1] == "e" and number == "Field" and (value := fields.value(what)) is not None:
            return value
        lost.append(match[0])
        return "[...]"

    return _PIPE.sub(replaced, text), lost
