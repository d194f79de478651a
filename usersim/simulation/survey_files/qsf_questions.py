"""Qualtrics' question types as ours. What a type cannot say is noted, never guessed.

Knows the `Payload` of one question; knows nothing of flow or files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar, cast

from pydantic import ValidationError

from usersim.simulation.survey import (
    Budget,
    LikertScale,
    Matrix,
    MultipleChoice,
    NumberQuestion,
    OpenText,
    Ranking,
    SingleChoice,
    SurveyQuestion,
)
from usersim.simulation.survey_files.notes import Notes
from usersim.simulation.survey_files.qsf_logic import Imported
from usersim.simulation.survey_files.texts import plain_text

__all__ = ["QuestionReader"]

_MULTIPLE = {"MAVR", "MAHR", "MACOL", "MSB"}
_SINGLE = {"SAVR", "SAHR", "SACOL", "DL", "SB"}
_NPS_POINTS = 11

Payload = Mapping[str, object]
Q = TypeVar("Q", bound=SurveyQuestion)


class QuestionReader:
    """Takes questions over, one payload at a time.

    Args:
        refusals: Labels that are refusals, compared without case.
        scales: Export tags of single choices that are scales: Qualtrics does not say so.
        notes: Where to note what could not be taken over.
    """

    def __init__(self, refusals: Sequence[str], scales: Sequence[str], notes: Notes) -> None:
        self._refusals = {label.casefold() for label in refusals}
        self._scales = set(scales)
        self._notes = notes

    def read(self, name: str, text: str, payload: Payload, where: str) -> Imported | None:
        """Return the question, or None after a note if there is none of ours for it.

        Args:
            name: Id in our survey.
            text: Plain, piped.
            payload: Of the element `SQ`.
            where: The question in notes.
        """
        kind, selector = str(payload.get("QuestionType")), str(payload.get("Selector"))
        if not text:
            self._notes.add(where, "a question without a text", "left out")
            return None
        make = self._maker(kind, selector, payload)
        if make is None:
            what = f"type {kind} with selector {selector}"
            self._notes.add(where, what, "left out: no question type of ours says the same")
            return None
        try:
            return make(name, text, payload, where)
        except (ValidationError, _UnusableError) as error:
            reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
            self._notes.add(where, reason, "left out")
            return None

    def _maker(
        self, kind: str, selector: str, payload: Payload
    ) -> Callable[[str, str, Payload, str], Imported] | None:
        if kind == "MC" and selector == "NPS":
            return self._nps
        sub = str(payload.get("SubSelector"))
        table: dict[str, tuple[bool, Callable[[str, str, Payload, str], Imported]]] = {
            "MC": (selector in _SINGLE | _MULTIPLE, self._choice),
            "Matrix": (selector == "Likert" and not sub.startswith("Multiple"), self._matrix),
            "TE": (selector in {"SL", "ML", "ESTB"}, self._entry),
            "RO": (selector not in {"None"}, self._ranking),
            "CS": (selector not in {"None"}, self._budget),
            "Slider": (selector in {"HSLIDER", "HBAR"}, self._slider),
        }
        fits, make = table.get(kind, (False, self._choice))
        return make if fits else None

    def _choice(self, name: str, text: str, payload: Payload, where: str) -> Imported:
        choices = self._labels(payload, "Choices", "ChoiceOrder", where)
        options, refusal = self._apart(choices)
        shuffled, last = self._shuffled(payload, choices, where)
        question: SurveyQuestion
        if str(payload.get("Selector")) in _MULTIPLE:
            raw = _mapping(payload.get("Choices"))
            alone = [v for k, v in choices.items() if _mapping(raw.get(k)).get("ExclusiveAnswer")]
            # A refusal among several answers is an option that excludes the others.
            exclusive = tuple(dict.fromkeys([*alone, *refusal]))
            question = MultipleChoice(
                id=name, text=text, options=tuple(choices.values()), random_order=shuffled,
                last=last, exclusive=exclusive,
            )  # fmt: skip
        elif str(payload.get("DataExportTag")) in self._scales:
            question = LikertScale(
                id=name, text=text, refusal=refusal, points=options, random_order=shuffled
            )
        else:
            last = tuple(label for label in last if label in options)
            question = SingleChoice(
                id=name, text=text, refusal=refusal, options=options, random_order=shuffled,
                last=last,
            )  # fmt: skip
        return Imported(question=question, choices=choices)

    def _nps(self, name: str, text: str, payload: Payload, _: str) -> Imported:
        ends = [
            plain_text(_mapping(one).get("Display", one))
            for one in _listed(payload, "ColumnLabels")
        ]
        low, high = (ends[0], ends[-1]) if len(ends) > 1 else ("not at all", "extremely")
        scale = LikertScale(id=name, text=text, points=_NPS_POINTS, start=0, low=low, high=high)
        numbers = {str(place): label for place, label in enumerate(scale.options)}
        return Imported(question=scale, choices=numbers)

    def _matrix(self, name: str, text: str, payload: Payload, where: str) -> Imported:
        rows = self._labels(payload, "Choices", "ChoiceOrder", where)
        options, refusal = self._apart(self._labels(payload, "Answers", "AnswerOrder", where))
        shuffled, _ = self._shuffled(payload, rows, where)
        question = Matrix(
            id=name, text=text, refusal=refusal, rows=tuple(rows.values()), options=options,
            random_order=shuffled,
        )  # fmt: skip
        return Imported(question=question, choices=rows)

    def _entry(self, name: str, text: str, payload: Payload, where: str) -> Imported:
        rules = _mapping(_mapping(payload.get("Validation")).get("Settings"))
        if rules.get("ContentType") == "ValidNumber":
            limits = _mapping(rules.get("ValidNumber"))
            low, high = _number(limits.get("Min")), _number(limits.get("Max"))
            whole = str(limits.get("NumDecimals", "")) in {"0", ""}
            number = NumberQuestion(id=name, text=text, low=low, high=high, integer=whole)
            return Imported(question=number, choices={})
        if rules.get("Type") == "ContentType":
            what = f"content must be {rules.get('ContentType')}"
            self._notes.add(where, what, "taken over as free text, unchecked")
        return Imported(question=OpenText(id=name, text=text), choices={})

    def _ranking(self, name: str, text: str, payload: Payload, where: str) -> Imported:
        choices = self._labels(payload, "Choices", "ChoiceOrder", where)
        shuffled, last = self._shuffled(payload, choices, where)
        question = Ranking(
            id=name, text=text, options=tuple(choices.values()), random_order=shuffled, last=last
        )
        return Imported(question=question, choices=choices)

    def _budget(self, name: str, text: str, payload: Payload, where: str) -> Imported:
        choices = self._labels(payload, "Choices", "ChoiceOrder", where)
        shuffled, last = self._shuffled(payload, choices, where)
        rules = _mapping(_mapping(payload.get("Validation")).get("Settings"))
        total = _number(rules.get("ChoiceTotal"))
        if total is None or total <= 0:
            self._notes.add(where, f"no total, got {rules.get('ChoiceTotal')!r}", "100 taken")
            total = 100.0
        question = Budget(
            id=name, text=text, options=tuple(choices.values()), total=total,
            integer=total.is_integer(), random_order=shuffled, last=last,
        )  # fmt: skip
        return Imported(question=question, choices=choices)

    def _slider(self, name: str, text: str, payload: Payload, where: str) -> Imported:
        rows = self._labels(payload, "Choices", "ChoiceOrder", where)
        if len(rows) != 1:
            raise _UnusableError(f"a slider with {len(rows)} rows; ours has one")
        setup = _mapping(payload.get("Configuration"))
        low, high = _number(setup.get("CSSliderMin")), _number(setup.get("CSSliderMax"))
        whole = str(setup.get("NumDecimals", "0")) == "0"
        label = next(iter(rows.values()))
        question = NumberQuestion(
            id=name, text=f"{text}\n{label}", low=low, high=high, integer=whole
        )
        return Imported(question=question, choices=rows)

    def _labels(self, payload: Payload, field: str, order: str, where: str) -> dict[str, str]:
        """Return plain labels by number, in the instrument's order."""
        raw = payload.get(field)
        entries = (
            {str(key): value for key, value in enumerate(cast("list[object]", raw), start=1)}
            if isinstance(raw, list)
            else {str(key): value for key, value in _mapping(raw).items()}
        )
        wanted = [str(key) for key in _listed(payload, order)] or list(entries)
        found: dict[str, str] = {}
        for key in dict.fromkeys(wanted):
            entry = _mapping(entries.get(key))
            if key not in entries:
                self._notes.add(where, f"{order} names {key!r}", "passed over: no such choice")
                continue
            label = plain_text(entry.get("Display")).replace("\n", " ")
            found[key] = re.sub(r"\$\{[^}]*\}", "[...]", label)
            if "${" in label:
                self._notes.add(where, f"piped text in the option {label!r}", "replaced by [...]")
            if str(entry.get("TextEntry", "")).lower() == "true":
                self._notes.add(where, f"text entry of the option {label!r}", "option kept alone")
        return found

    def _apart(self, choices: Mapping[str, str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        labels = list(choices.values())
        refused = [label for label in labels if label.casefold() in self._refusals]
        return tuple(label for label in labels if label not in refused), tuple(refused)

    def _shuffled(
        self, payload: Payload, choices: Mapping[str, str], where: str
    ) -> tuple[bool, tuple[str, ...]]:
        """Return whether options are shuffled, and which stay last."""
        rules = _mapping(payload.get("Randomization"))
        kind = str(rules.get("Type", "None"))
        if kind in {"All", "ScaleReversal"}:
            return True, ()
        if kind != "Advanced":
            return False, ()
        advanced = _mapping(rules.get("Advanced"))
        fixed = [str(one) for one in _listed(advanced, "FixedOrder")]
        moves = [place for place, one in enumerate(fixed) if one == "{~Randomized~}"]
        if not moves or moves != list(range(len(moves))):
            self._notes.add(where, f"order of options {fixed!r}", "shown in the fixed order")
            return False, ()
        return True, tuple(choices[one] for one in fixed[len(moves) :] if one in choices)


class _UnusableError(ValueError):
    """A question that ours cannot be; made a note."""


def _mapping(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, Mapping) else {}


def _listed(payload: Payload, field: str) -> list[object]:
    value = payload.get(field)
    return cast("list[object]", value) if isinstance(value, list) else []


def _number(value: object) -> float | None:
    try:
        return float(str(value))
    except ValueError:
        return None
