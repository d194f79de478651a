"""Our question types as Qualtrics': the `Payload` of one question, and notes of what it cannot say.

The reverse of `questions.py` and `grids.py`, which read it back. Knows nothing of flow or files.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from usersim.survey.files.notes import Notes
from usersim.survey.files.qsf.terms import Spot
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

__all__ = ["Payload", "html_of", "payload_of", "pipe_of"]

Payload = dict[str, object]
_MOVES = "{~Randomized~}"
_PLACEHOLDER = re.compile(r"\{\{\s*([A-Za-z][A-Za-z0-9_]*)\s*\}\}")
_NPS = (0, 11)
"""First point and number of points of Qualtrics' own recommendation question."""


def html_of(text: str, pipe: Callable[[str], str], note: Callable[[str, str], None]) -> str:
    r"""Return a text as HTML that shows just that, placeholders as piped answers.

    Args:
        text: With placeholders, or without.
        pipe: Returns the piped answer of a question.
        note: Called with what Qualtrics would take for a pipe of its own, and what was done.

    Example:
        >>> html_of("1 < 2\n{{ tea }}", lambda name: f"${{q://{name}}}", print)
        '1 &lt; 2<br>${q://tea}'
    """
    if "${" in text:
        note("the text has ${, which begins piped text in Qualtrics", "written as $ {")
    pieces = _PLACEHOLDER.split(text.replace("${", "$ {"))
    return "".join(
        pipe(piece) if place % 2 else html.escape(piece, quote=False).replace("\n", "<br>")
        for place, piece in enumerate(pieces)
    )


def pipe_of(spot: Spot, note: Callable[[str, str], None]) -> str:
    """Return the piped answer of a question."""
    question = spot.question
    if isinstance(question, OpenText | NumberQuestion):
        return f"${{q://{spot.number}/ChoiceTextEntryValue}}"
    if isinstance(question, Matrix | Ranking | Budget):
        note(
            f"piped answer of the {question.type} {question.id!r}",
            "piped as selected choices; check in Qualtrics what it shows",
        )
    return f"${{q://{spot.number}/ChoiceGroup/SelectedChoices}}"


def payload_of(
    question: SurveyQuestion, number: str, *, is_piped: bool, notes: Notes
) -> tuple[Payload, Spot, str]:
    """Return a question without its text and logic, where its answers stand, and more of its text.

    Args:
        question: The question.
        number: Its id in the file.
        is_piped: Whether a later text holds its answer.
        notes: Where to note what cannot be said.

    Returns:
        The payload, the spot, and what is to be added to the question's text; empty for nothing.
    """
    return _Writer(question, number, notes, is_piped=is_piped).written()


@dataclass(frozen=True, slots=True)
class _Writer:
    """Writes one question."""

    question: SurveyQuestion
    number: str
    notes: Notes
    is_piped: bool

    def note(self, what: str, done: str) -> None:
        self.notes.add(f"question {self.question.id!r}", what, done)

    def written(self) -> tuple[Payload, Spot, str]:  # noqa: C901, PLR0911 - one for each type
        question = self.question
        if isinstance(question, SingleChoice):
            return self._single(question.options, shuffled=question.random_order)
        if isinstance(question, YesNo):
            self.note("a question of type yes_no", "a single choice with the codes 1 and 0")
            return self._single(question.options, shuffled=False)
        if isinstance(question, LikertScale):
            return self._scale(question)
        if isinstance(question, MultipleChoice):
            return self._several(question)
        if isinstance(question, Matrix):
            return self._matrix(question)
        if isinstance(question, Ranking):
            self._cannot_refuse()
            return self._listed("RO", "DND", question, {"Type": "None"}, "")
        if isinstance(question, Budget):
            return self._budget(question)
        self._cannot_refuse()
        if isinstance(question, NumberQuestion):
            return self._number(question)
        return self._entry("ML", {"Type": "None"}), Spot(number=self.number, question=question), ""

    def _payload(
        self,
        kind: str,
        selector: str,
        settings: Mapping[str, object],
        more: Mapping[str, object] | None = None,
        *,
        sub: str = "",
        force: bool = True,
    ) -> Payload:
        forced = "ON" if force else "OFF"
        return {
            "QuestionType": kind,
            "Selector": selector,
            **({"SubSelector": sub} if sub else {}),
            "Configuration": {"QuestionDescriptionOption": "UseText"},
            "Validation": {
                "Settings": {"ForceResponse": forced, "ForceResponseType": "ON", **settings}
            },
            "GradingData": [],
            "Language": [],
            **(more or {}),
        }

    def _cannot_refuse(self) -> None:
        if self.question.refusal:
            said = ", ".join(map(repr, self.question.refusal))
            self.note(
                f"the answer {said} of a {self.question.type}",
                "left out; the question may be left blank",
            )

    def _label(self, label: str) -> str:
        return html_of(label, lambda name: name, self.note)

    def _choices(self, labels: Sequence[str]) -> tuple[dict[str, Payload], dict[str, str]]:
        """Return choices by number, and the number of each label."""
        numbers = {label: str(place) for place, label in enumerate(labels, start=1)}
        return {own: {"Display": self._label(label)} for label, own in numbers.items()}, numbers

    def _recoded(self, numbers: Mapping[str, str]) -> Payload:
        """Return the recode values of a closed question, unless they are the choices' numbers."""
        codes = {numbers[k]: Number().render(v) for k, v in codes_of(self.question).items()}
        return {} if all(own == code for own, code in codes.items()) else {"RecodeValues": codes}

    def _single(
        self,
        options: Sequence[str],
        *,
        shuffled: bool,
        selector: str = "SAVR",
        reverse: bool = False,
    ) -> tuple[Payload, Spot, str]:
        question = self.question
        choices, numbers = self._choices((*options, *question.refusal))
        last = question.last if isinstance(question, SingleChoice) else ()
        order = self._order(options, last, numbers, question.refusal) if shuffled else {}
        payload = self._payload(
            "MC",
            selector,
            {"Type": "None"},
            {
                **_listing("Choice", choices),
                **self._recoded(numbers),
                **({"Randomization": {"Type": "ScaleReversal"}} if reverse else order),
            },
            sub="TX",
        )
        return payload, Spot(number=self.number, question=question, choices=numbers), ""

    def _order(
        self,
        options: Sequence[str],
        last: Sequence[str],
        numbers: Mapping[str, str],
        refusal: Sequence[str] = (),
    ) -> Payload:
        """Return how choices are shuffled; refusals, and what stays last, stand last."""
        stay = [*(one for one in options if one in last), *refusal]
        moving = [one for one in options if one not in stay]
        if not stay:
            return {"Randomization": {"Type": "All", "Advanced": None, "TotalRandSubset": ""}}
        if not moving:
            return {}
        fixed = [*(_MOVES for _ in moving), *(numbers[one] for one in stay)]
        advanced = {
            "FixedOrder": fixed,
            "RandomizeAll": [numbers[one] for one in moving],
            "RandomSubSet": [],
            "Undisplayed": [],
            "TotalRandSubset": 0,
        }
        return {"Randomization": {"Type": "Advanced", "Advanced": advanced, "TotalRandSubset": ""}}

    def _scale(self, question: LikertScale) -> tuple[Payload, Spot, str]:
        if isinstance(question.points, tuple):
            return self._single(
                question.options, shuffled=False, selector="SAHR", reverse=question.random_order
            )
        ends = (question.low, question.high)
        plain = not question.refusal and not question.random_order
        if plain and (question.start, question.points) == _NPS:
            return self._recommendation(question)
        if plain and not self.is_piped and not any(":" in end for end in ends):
            return self._bipolar(question)
        self.note(
            "the meaning of the ends of a scale of numbers",
            "added to the text, as it is read to the simulated people",
        )
        payload, spot, _ = self._single(
            question.options, shuffled=False, selector="SAHR", reverse=question.random_order
        )
        return payload, spot, question.parts(question.options)[0].text

    def _recommendation(self, question: LikertScale) -> tuple[Payload, Spot, str]:
        numbers = {label: label for label in question.options}
        payload = self._payload(
            "MC",
            "NPS",
            {"Type": "None"},
            {
                **_listing("Choice", {label: {"Display": label} for label in question.options}),
                "ColumnLabels": [
                    {"Display": self._label(end), "IsLabelDefault": False}
                    for end in (question.low, question.high)
                ],
            },
        )
        return payload, Spot(number=self.number, question=question, choices=numbers), ""

    def _bipolar(self, question: LikertScale) -> tuple[Payload, Spot, str]:
        answers, numbers = self._choices(question.options)
        row = f"{self._label(question.low)}:{self._label(question.high)}"
        payload = self._payload(
            "Matrix",
            "Bipolar",
            {"Type": "None"},
            {
                **_listing("Choice", {"1": {"Display": row}}),
                **_listing("Answer", answers),
                **self._recoded(numbers),
            },
        )
        spot = Spot(number=self.number, question=question, choices=numbers, rows={"": "1"})
        return payload, spot, ""

    def _several(self, question: MultipleChoice) -> tuple[Payload, Spot, str]:
        refused = question.refusal
        if refused:
            said = ", ".join(map(repr, refused))
            self.note(
                f"the answer {said} of a multiple choice", "an option that excludes the others"
            )
        labels = (*question.options, *refused)
        choices, numbers = self._choices(labels)
        alone = {*question.exclusive, *refused} if len(labels) > 1 else set[str]()
        for label in alone:
            choices[numbers[label]]["ExclusiveAnswer"] = True
        if alone and question.least > 1:
            self.note(
                f"at least {question.least} options, or one that excludes the others",
                "Qualtrics demands so many of everybody",
            )
        order = self._order(question.options, question.last, numbers, refused)
        payload = self._payload(
            "MC",
            "MAVR",
            _bounds(question),
            {**_listing("Choice", choices), **(order if question.random_order else {})},
            sub="TX",
            force=question.least > 0,
        )
        return payload, Spot(number=self.number, question=question, choices=numbers), ""

    def _matrix(self, question: Matrix) -> tuple[Payload, Spot, str]:
        rows, names = self._choices(question.rows)
        answers, numbers = self._choices(question.labels)
        if not question.ordered:
            self.note("options without an order", "a matrix does not say so")
            codes = [codes_of(question)[one] for one in question.options]
            if codes not in (sorted(codes), sorted(codes, reverse=True)):
                self.note("codes that neither rise nor fall", "recode values, as they are")
        payload = self._payload(
            "Matrix",
            "Likert",
            {"Type": "None"},
            {
                **_listing("Choice", rows),
                **_listing("Answer", answers),
                "ChoiceDataExportTags": False,
                **self._recoded(numbers),
                **(self._order(question.rows, (), names) if question.random_order else {}),
            },
            sub="SingleAnswer",
        )
        spot = Spot(number=self.number, question=question, choices=numbers, rows=names)
        return payload, spot, ""

    def _budget(self, question: Budget) -> tuple[Payload, Spot, str]:
        self._cannot_refuse()
        if not question.integer and question.total.is_integer():
            self.note("amounts that need not be whole", "Qualtrics does not say which they are")
        settings = {"Type": "ChoicesTotal", "ChoiceTotal": Number().render(question.total)}
        more = self._unit(question.unit)
        return self._listed("CS", "VRTL", question, settings, more)

    def _listed(
        self,
        kind: str,
        selector: str,
        question: Ranking | Budget,
        settings: Mapping[str, object],
        more: str,
    ) -> tuple[Payload, Spot, str]:
        choices, numbers = self._choices(question.options)
        order = self._order(question.options, question.last, numbers)
        payload = self._payload(
            kind,
            selector,
            settings,
            {**_listing("Choice", choices), **(order if question.random_order else {})},
            sub="TX",
            force=not question.refusal,
        )
        return payload, Spot(number=self.number, question=question, choices=numbers), more

    def _number(self, question: NumberQuestion) -> tuple[Payload, Spot, str]:
        ends = {"Min": question.low, "Max": question.high}
        limits = {name: "" if end is None else Number().render(end) for name, end in ends.items()}
        rule = {**limits, "NumDecimals": "0" if question.integer else ""}
        settings = {"Type": "ContentType", "ContentType": "ValidNumber", "ValidNumber": rule}
        more = self._unit(question.unit or "")
        return self._entry("SL", settings), Spot(number=self.number, question=question), more

    def _unit(self, unit: str) -> str:
        if unit:
            self.note(f"the unit {unit!r}", "added to the text")
        return f"({unit})" if unit else ""

    def _entry(self, selector: str, settings: Mapping[str, object]) -> Payload:
        return self._payload("TE", selector, settings, force=not self.question.refusal)


def _listing(name: str, entries: Mapping[str, Payload]) -> Payload:
    """Return choices, or answers of a grid, with their order."""
    return {f"{name}s": dict(entries), f"{name}Order": list(entries)}


def _bounds(question: MultipleChoice) -> Payload:
    """Return how many options must and may be chosen."""
    least, most = question.least, question.most
    told: Payload = {"MinChoices": str(least)} if least else {}
    if most is not None:
        told["MaxChoices"] = str(most)
    kinds = {(True, True): "ChoiceRange", (True, False): "MinChoices", (False, True): "MaxChoices"}
    return {"Type": kinds.get((bool(least), most is not None), "None"), **told}
