"""What the readers of single Qualtrics questions share: labels, orders, codes, names, columns.

Knows the `Payload` of one question; knows nothing of flow or files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from usersim.survey.checks import COLUMNS
from usersim.survey.files.notes import Notes
from usersim.survey.files.qsf.known import COSMETIC, RULES, UNSET, is_set
from usersim.survey.files.qsf.logic import (
    Condition,
    Fields,
    Known,
    UnmappedError,
    Value,
    condition,
    negated,
    quoted,
)
from usersim.survey.files.texts import identifier, plain_label
from usersim.survey.files.traced import (
    Traced,
    as_map,
    is_listed,
    list_in,
    map_in,
    settle_at,
)
from usersim.survey.questions import (
    LikertScale,
    Matrix,
    MultipleChoice,
    SingleChoice,
    SurveyQuestion,
)

__all__ = [
    "Choices",
    "Names",
    "Order",
    "SourceQuestion",
    "UnusableError",
    "answers_of",
    "codes_for",
    "note_unread",
    "number_of",
    "order_of",
    "picks",
    "recoded",
    "rows_of",
    "short",
    "value_of",
    "variable_names",
]

_MOVES = "{~Randomized~}"
_LONGEST_VALUE = 80


class UnusableError(ValueError):
    """A question that ours cannot be; made a note."""


@dataclass(slots=True)
class Names:
    """Ids that are taken, with the columns that their answers get."""

    taken: set[str] = field(default_factory=lambda: {name.casefold() for name in COLUMNS})

    def take(self, wanted: str, items: int = 0) -> str:
        """Return an id like `wanted` and keep it, and a column for each of so many items."""
        name = identifier(wanted, self.taken)
        while any(one in self.taken for one in self._columns(name, items)):
            self.taken.add(name.casefold())
            name = identifier(wanted, self.taken)
        self.taken |= {name.casefold(), *self._columns(name, items)}
        return name

    @staticmethod
    def _columns(name: str, items: int) -> list[str]:
        return [f"{name}_{place}".casefold() for place in range(1, items + 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceQuestion:
    """One question of the source, while it is taken over.

    Attributes:
        tag: Its name in exports.
        text: Plain, with placeholders.
        payload: Of the element `SQ`, or of a column of a side-by-side.
        where: The question in notes.
        known: Elements that come before.
        fields: Embedded data set before.
        notes: Where to note what could not be taken over.
        names: Ids that are taken.
        refusals: Labels that are refusals, compared without case.
        pipe: Makes a text's pipes placeholders, and notes those that cannot be.
    """

    tag: str
    text: str
    payload: Traced
    where: str
    known: Known
    fields: Fields
    notes: Notes
    names: Names
    refusals: frozenset[str]
    pipe: Callable[[str, str], str]

    def note(self, what: str, done: str) -> None:
        """Note something about the question."""
        self.notes.add(self.where, what, done)

    def take(self, wanted: str, items: int = 0) -> str:
        """Return an id for a question of so many items; one that is taken is changed and noted."""
        name = self.names.take(wanted, items)
        if name != identifier(wanted, ()):
            self.note(f"the name {wanted!r} is already used by another column", f"called {name!r}")
        return name

    @property
    def selector(self) -> str:
        """How it is shown."""
        return str(self.payload.get("Selector"))

    @property
    def sub_selector(self) -> str:
        """How it is shown, in detail."""
        return str(self.payload.get("SubSelector"))

    def setting(self, name: str) -> object:
        """Return a validation setting; None if it is not there."""
        return map_in(map_in(self.payload, "Validation"), "Settings").get(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """Choices of a question, or answers of a grid.

    Attributes:
        labels: Plain labels by number, in the instrument's order.
        conditions: Condition of a label that is not shown to everybody.
        exclusive: Labels that exclude all others.
    """

    labels: Mapping[str, str]
    conditions: Mapping[str, str] = field(default_factory=dict[str, str])
    exclusive: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        """The labels in order."""
        return tuple(self.labels.values())


def rows_of(asked: SourceQuestion, *, fields: bool = False) -> Choices:
    """Return a question's choices, those carried forward from another question among them.

    Args:
        asked: The question.
        fields: Whether they are fields of a form, which are there for their text entry.
    """
    own = _labels(asked, "Choices", "ChoiceOrder", fields=fields)
    carried = _carried(asked)
    if carried is None:
        return own
    order = [str(key) for key in list_in(asked.payload, "ChoiceOrder")]
    labels = {**carried.labels, **own.labels}
    placed = [key for key in dict.fromkeys(order) if key in labels]
    ordered = [*(key for key in carried.labels if key not in placed), *placed]
    return Choices(
        labels={key: labels[key] for key in ordered},
        conditions={**carried.conditions, **own.conditions},
        exclusive=own.exclusive,
    )


def answers_of(asked: SourceQuestion) -> Choices:
    """Return the answers of a grid; conditions of single answers are noted."""
    found = _labels(asked, "Answers", "AnswerOrder")
    for label, text in found.conditions.items():
        asked.note(f"display logic of the answer {label!r}: {text}", "shown to everybody")
    return Choices(labels=found.labels, exclusive=found.exclusive)


def _labels(asked: SourceQuestion, name: str, order: str, *, fields: bool = False) -> Choices:
    entries = _entries(asked, name)
    wanted = [str(key) for key in list_in(asked.payload, order)] or list(entries)
    labels: dict[str, str] = {}
    conditions: dict[str, str] = {}
    exclusive: list[str] = []
    for key in dict.fromkeys(wanted):
        if key not in entries:
            _missing(asked, key, order)
            continue
        label = _label(asked, entries[key], field=fields) or f"[{key}]"
        if label == f"[{key}]" and len(wanted) > 1:
            asked.note(f"choice {key} has no text", f"called {label}")
        said = _choice_condition(asked, entries[key], label)
        if said is False:
            asked.note(f"the choice {label!r} is never shown", "left out")
            continue
        labels[key] = label
        conditions |= {label: said} if isinstance(said, str) else {}
        exclusive += [label] if is_set(entries[key].get("ExclusiveAnswer")) else []
    for key in entries.keys() - set(wanted):
        label = plain_label(entries[key].get("Display"))
        asked.note(f"the choice {key} {label!r} is not in the {order}", "left out: never shown")
    return Choices(labels=labels, conditions=conditions, exclusive=tuple(exclusive))


def _missing(asked: SourceQuestion, key: str, order: str) -> None:
    if not asked.payload.get("DynamicChoices"):
        asked.note(f"{order} names {key!r}", "skipped: there is no such choice")


def _entries(asked: SourceQuestion, name: str) -> dict[str, Mapping[str, object]]:
    raw = asked.payload.get(name)
    if isinstance(raw, list):
        listed = cast("list[object]", raw)
        return {str(place): as_map(one) for place, one in enumerate(listed, start=1)}
    return {key: as_map(one) for key, one in as_map(raw).items()}


def _label(asked: SourceQuestion, entry: Mapping[str, object], *, field: bool) -> str:
    source = str(entry.get("Display") or "")
    image = as_map(entry.get("Image"))
    if image:
        source = source or str(image.get("Display") or "")
        asked.note(f"picture of the choice {plain_label(source)!r}", "only its text is imported")
        settle_at(entry, "Image")
    label = asked.pipe(plain_label(source), f"the choice {plain_label(source)!r}")
    if "{{" in label:
        asked.note(f"piped text in the choice {label!r}", "replaced by [...]")
        label = re.sub(r"\{\{[^}]*\}\}", "[...]", label)
    if is_set(entry.get("TextEntry")) and not field:
        asked.note(f"text entry of the choice {label!r}", "only the choice is imported")
    if is_set(entry.get("TextEntryValidation")) and not field:
        asked.note(f"validation of the text entry of {label!r}", "not imported")
    return label


def _choice_condition(asked: SourceQuestion, entry: Mapping[str, object], label: str) -> Condition:
    logic = entry.get("DisplayLogic")
    if not isinstance(logic, Mapping):
        return True
    try:
        return condition(cast("Mapping[str, object]", logic), asked.known, asked.fields)
    except UnmappedError as error:
        asked.note(f"display logic of the choice {label!r}: {error}", "shown to everybody")
        settle_at(entry, "DisplayLogic")
        return True


def _carried(asked: SourceQuestion) -> Choices | None:
    """Return the choices that are carried forward; None if there are none."""
    dynamic = map_in(asked.payload, "DynamicChoices")
    locator = str(dynamic.get("Locator") or "")
    if not dynamic:
        return None
    found = re.fullmatch(r"q://([^/]+)/ChoiceGroup/(\w+)", locator)
    source = asked.known.get(found[1]) if found else None
    which = found[2] if found else ""
    if source is None or which not in {
        "SelectedChoices", "UnselectedChoices", "NotSelectedChoices", "AllChoices",
        "DisplayedChoices",
    }:  # fmt: skip
        asked.note(f"choices carried forward from {locator!r}", "left out")
        return None
    labels = {f"x{key}": label for key, label in source.labels.items()}
    conditions: dict[str, str] = {}
    if which not in {"AllChoices", "DisplayedChoices"}:
        for key, label in source.labels.items():
            picked = source.picked.get(key)
            if picked is None:
                asked.note(f"choices carried forward from {locator!r}", "shown to everybody")
                break
            said = picked if which == "SelectedChoices" else negated(picked)
            conditions[label] = str(said)
    elif which == "DisplayedChoices" and any(one.shown_if for one in source.questions):
        conditions = {
            label: text for one in source.questions for label, text in one.shown_if.items()
        }
    return Choices(labels=labels, conditions=conditions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """How choices are shuffled.

    Attributes:
        shuffled: Whether they are.
        last: Labels that stay last.
    """

    shuffled: bool = False
    last: tuple[str, ...] = ()


def order_of(asked: SourceQuestion, labels: Mapping[str, str], *, several: bool = False) -> Order:
    """Return how a question's choices are shuffled.

    Args:
        asked: The question.
        labels: By number.
        several: Whether each choice becomes a question of its own, which keeps its place.
    """
    rules = map_in(asked.payload, "Randomization")
    kind = str(rules.get("Type", "None"))
    advanced = map_in(rules, "Advanced")
    subset = rules.get("TotalRandSubset")
    fixed = [str(one) for one in list_in(advanced, "FixedOrder")]
    hidden = [str(one) for one in list_in(advanced, "Undisplayed")]
    some = [str(one) for one in list_in(advanced, "RandomSubSet")]
    reversal = list_in(advanced, "ScaleReversal")
    if kind in {"None", ""} or (not is_set(kind) and not is_set(subset)):
        return Order()
    if is_set(subset) or some or hidden:
        asked.note(f"shows a random {subset or len(some)} of the choices", "all are shown")
    if reversal:
        asked.note("some choices are reversed at random", "shown in the fixed order")
    if several:
        asked.note(f"order of rows {kind}", "rows became questions, in the fixed order")
    elif kind in {"All", "ScaleReversal"}:
        return Order(shuffled=True)
    elif kind == "Advanced":
        return _advanced(asked, fixed, labels)
    else:
        asked.note(f"order of choices {kind}", "shown in the fixed order")
    return Order()


def _advanced(asked: SourceQuestion, fixed: Sequence[str], labels: Mapping[str, str]) -> Order:
    """Return the order of choices that move among each other, of which the last may stay."""
    moves = [place for place, one in enumerate(fixed) if one == _MOVES]
    if not moves or moves != list(range(len(moves))):
        asked.note(f"order of choices {fixed!r}", "shown in the fixed order")
        return Order()
    last = tuple(labels[one] for one in fixed[len(moves) :] if one in labels)
    return Order(shuffled=True, last=last)


def codes_for(asked: SourceQuestion, labels: Mapping[str, str]) -> dict[str, str]:
    """Return the label by the number that a numeric export writes.

    That is the recode value, or else the choice's own number.
    """
    recoded_ = dict(map_in(asked.payload, "RecodeValues"))
    found: dict[str, str] = {}
    for key, label in labels.items():
        code = str(recoded_.get(key, key))
        if code in found:
            asked.note(f"recode value {code} stands for {found[code]!r} and {label!r}", "ambiguous")
        found[code] = label
    return found


def recoded(codes: Mapping[str, str], labels: Sequence[str], *, start: int = 1) -> dict[str, float]:
    """Return the numbers of labels where they are not the places that labels have anyhow.

    Example:
        >>> recoded({"10": "a", "20": "b"}, ("a", "b")), recoded({"1": "a", "2": "b"}, ("a", "b"))
        ({'a': 10, 'b': 20}, {})
    """
    numbers: dict[str, float] = {}
    for code, label in codes.items():
        number = number_of(code)
        if number is None or label in numbers:
            return {}
        numbers[label] = int(number) if number.is_integer() else number
    wanted = [numbers.get(label) for label in labels]
    if wanted == list(range(start, start + len(labels))) or None in wanted:
        return {}
    return {label: numbers[label] for label in (*labels, *numbers) if label in numbers}


def variable_names(asked: SourceQuestion, labels: Mapping[str, str]) -> dict[str, str]:
    """Return labels by the variable names that an export writes in their place."""
    named = {
        key: plain_label(name) for key, name in map_in(asked.payload, "VariableNaming").items()
    }
    return {named[key]: label for key, label in labels.items() if named.get(key)}


def _pick(question: SurveyQuestion, label: str, row: str = "") -> str:
    """Return the condition that a label was chosen, in a row of a matrix.

    Raises:
        UnmappedError: If the label cannot stand in a condition.
    """
    if isinstance(question, MultipleChoice) and label not in question.refusal:
        return f"selected({question.id}, {quoted(label)})"
    if row:
        return f"item({question.id}, {quoted(row)}) == {quoted(label)}"
    return f"{question.id} == {quoted(label)}"


def picks(
    question: SurveyQuestion, labels: Mapping[str, str], row: tuple[str, str] = ("", "")
) -> dict[str, str]:
    """Return the condition of each label by its number, those left out that cannot be said.

    Args:
        question: Where it is chosen.
        labels: By number.
        row: Number and label of the row of a grid; the keys are then `row/answer`.
    """
    found: dict[str, str] = {}
    number, label_of_row = row
    matrix = label_of_row if isinstance(question, Matrix) else ""
    for key, label in labels.items():
        try:
            said = _pick(question, label, matrix)
        except UnmappedError:
            continue
        found[f"{number}/{key}" if number else key] = said
    return found


def note_unread(asked: SourceQuestion, *, text: bool = False) -> None:
    """Note every attribute of a question that was not looked at and is not known to be cosmetic.

    Args:
        asked: The question.
        text: Whether it is a text to read, which has no choices.
    """
    cosmetic = (*COSMETIC["question"], *(COSMETIC["text"] if text else ()))
    # Rules that are switched off, or belong to another type of validation, do not count.
    settings = map_in(map_in(asked.payload, "Validation"), "Settings")
    read = set(settings.seen) if isinstance(settings, Traced) else set[str]()
    stale = [one for one in RULES if one.rpartition(".")[2] not in read]
    if is_set(settings.get("Type")) and "Type" not in read:
        stale.remove("Validation.Settings.Type")
        asked.note(f"validation {settings.get('Type')!r}", "not imported")
    cosmetic += tuple(stale)
    for path, value in asked.payload.unread(cosmetic):
        if is_set(value) or not is_listed(path, UNSET):
            asked.note(f"{path} = {short(value)}", "not imported")


def short(value: object) -> str:
    """Return a value for a note, cut where it is long.

    Example:
        >>> short({"Type": "Advanced"})
        '{"Type": "Advanced"}'
    """
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def number_of(value: object) -> float | None:
    """Return a number that a file holds as a number or a text; None if it is none."""
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if number == number and abs(number) != float("inf") else None  # noqa: PLR0124 - NaN


def value_of(question: SurveyQuestion, row: str = "") -> Value:
    """Return what comparisons with a question look at."""
    closed = isinstance(question, SingleChoice | LikertScale | Matrix)
    kind = "scale" if closed else "text" if question.type == "open_text" else "number"
    return Value(term=f"item({question.id}, {quoted(row)})" if row else question.id, kind=kind)
