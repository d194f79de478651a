"""Qualtrics' question types as ours. What a type cannot say is noted, never guessed.

Knows the `Payload` of one question; knows nothing of flow or files. Grids are in `qsf_grids`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pydantic import ValidationError

from usersim.survey.files.notes import Column
from usersim.survey.files.qsf.asked import (
    Choices,
    SourceQuestion,
    UnusableError,
    codes_for,
    number_of,
    order_of,
    picks,
    recoded,
    rows_of,
    value_of,
    variable_names,
)
from usersim.survey.files.qsf.grids import GRIDS
from usersim.survey.files.qsf.known import is_set
from usersim.survey.files.qsf.logic import Imported, Value, quoted
from usersim.survey.files.texts import plain_label
from usersim.survey.files.traced import as_map, list_in, map_in
from usersim.survey.questions import (
    Budget,
    LikertScale,
    MultipleChoice,
    NumberQuestion,
    OpenText,
    Ranking,
    SingleChoice,
    SurveyQuestion,
)

__all__ = ["NOTHING_ASKED", "read_question"]

Maker = Callable[[SourceQuestion], Imported]

NOTHING_ASKED = frozenset({"Timing", "Captcha", "Meta"})
"""Types that measure the respondent's visit and ask nothing."""

_MULTIPLE = {"MAVR", "MAHR", "MACOL", "MSB"}
_SINGLE = {"SAVR", "SAHR", "SACOL", "DL", "SB", "STB"}
_NPS_POINTS = 11


def read_question(asked: SourceQuestion, scales: frozenset[str]) -> Imported | None:
    """Return the question, or None after a note if there is none of ours for it.

    Args:
        asked: The question.
        scales: Export tags of single choices that are scales: Qualtrics does not say so.
    """
    kind = str(asked.payload.get("QuestionType"))
    make = _maker(kind, asked, scales)
    if make is None:
        what = f"type {kind} with selector {asked.selector}"
        asked.note(what, "left out: there is no equivalent question type")
        return None
    try:
        return make(asked)
    except (ValidationError, UnusableError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        asked.note(reason.removeprefix("Value error, "), "left out")
        return None


def _maker(kind: str, asked: SourceQuestion, scales: frozenset[str]) -> Maker | None:
    scale = asked.tag in scales
    several = asked.selector in _MULTIPLE
    makers: dict[str, tuple[bool, Maker]] = {
        "MC": (
            several or asked.selector in _SINGLE,
            _several if several else lambda one: _single(one, scale=scale),
        ),
        "TE": (asked.selector in {"SL", "ML", "ESTB", "PW"}, _entry),
        "RO": (asked.selector != "None", _ranking),
        "CS": (asked.selector != "None", _budget),
    }
    if kind == "MC" and asked.selector == "NPS":
        return _nps
    fits, make = makers.get(kind, (False, _entry))
    return make if fits else GRIDS.get((kind, asked.selector))


def _apart(asked: SourceQuestion, choices: Choices) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return options and refusals."""
    refused = [label for label in choices.all if label.casefold() in asked.refusals]
    return tuple(label for label in choices.all if label not in refused), tuple(refused)


def _excluded(asked: SourceQuestion, labels: Mapping[str, str]) -> None:
    """Note choices that Qualtrics leaves out of its own reports."""
    told = dict(map_in(asked.payload, "AnalyzeChoices"))
    out = [labels[key] for key, value in told.items() if value == "No" and key in labels]
    if out := [label for label in out if label.casefold() not in asked.refusals]:
        asked.note(
            f"AnalyzeChoices leaves {', '.join(map(repr, out))} out of analyses",
            "kept as options; import with them as refusals if they are none",
        )


def _single(asked: SourceQuestion, *, scale: bool) -> Imported:
    choices = rows_of(asked)
    labels = choices.labels
    if len(labels) == 1:
        return _several(asked)
    _excluded(asked, labels)
    options, refusal = _apart(asked, choices)
    order = order_of(asked, labels)
    codes = codes_for(asked, labels)
    name = asked.take(asked.tag)
    question: SurveyQuestion
    if scale:
        if choices.conditions:
            asked.note("display logic of points of a scale", "shown to everybody")
        numbers = recoded(codes, options)
        numbers = numbers if _in_order([numbers[one] for one in options if one in numbers]) else {}
        question = LikertScale(
            id=name, text=asked.text, refusal=refusal, points=options,
            random_order=order.shuffled, codes=numbers,
        )  # fmt: skip
    else:
        question = SingleChoice(
            id=name, text=asked.text, refusal=refusal, options=options,
            random_order=order.shuffled, last=tuple(one for one in order.last if one in options),
            options_if={k: v for k, v in choices.conditions.items() if k in options},
            codes=recoded(codes, options),
        )  # fmt: skip
    column = Column(question=name, names=variable_names(asked, labels), codes=codes)
    return Imported(
        questions=(question,),
        labels=labels,
        picked=picks(question, labels),
        values={"": value_of(question)},
        pipe=name,
        columns={"": column},
    )


def _in_order(numbers: list[float]) -> bool:
    return numbers in (sorted(numbers), sorted(numbers, reverse=True))


def _several(asked: SourceQuestion) -> Imported:
    choices = rows_of(asked)
    labels, options = choices.labels, choices.all
    _excluded(asked, labels)
    order = order_of(asked, labels)
    # A refusal among several answers is an option that excludes the others.
    refused = [label for label in options if label.casefold() in asked.refusals]
    least, most = _limits(asked, len(options))
    name = asked.take(asked.tag, len(options))
    question = MultipleChoice(
        id=name, text=asked.text, options=options, random_order=order.shuffled, last=order.last,
        exclusive=tuple(dict.fromkeys([*choices.exclusive, *refused])) if len(options) > 1 else (),
        options_if=choices.conditions, least=least, most=most,
    )  # fmt: skip
    names, codes = variable_names(asked, labels), codes_for(asked, labels)
    return Imported(
        questions=(question,),
        labels=labels,
        picked=picks(question, labels),
        pipe=name,
        columns={
            "": Column(question=name, names=names, codes=codes),
            **{
                f"_{key}": Column(question=name, item=label, names=names, codes=codes)
                for key, label in labels.items()
            },
        },
    )


def _limits(asked: SourceQuestion, size: int) -> tuple[int, int | None]:
    """Return how many options must and may be chosen."""
    rule = asked.setting("Type")
    low, high = number_of(asked.setting("MinChoices")), number_of(asked.setting("MaxChoices"))
    if not is_set(rule):
        return 0, None
    known = {"MinChoices": (low, None), "MaxChoices": (None, high), "ChoiceRange": (low, high),
             "MinMaxChoices": (low, high)}  # fmt: skip
    if str(rule) not in known:
        asked.note(f"validation {rule!r}", "not imported")
        return 0, None
    least, most = known[str(rule)]
    return min(int(least or 0), size), None if most is None else max(1, min(int(most), size))


def _nps(asked: SourceQuestion) -> Imported:
    columns = list_in(asked.payload, "ColumnLabels")
    ends = [plain_label(as_map(one).get("Display", one)) for one in columns]
    low, high = (ends[0], ends[-1]) if len(ends) > 1 else ("not at all", "extremely")
    name = asked.take(asked.tag)
    scale = LikertScale(id=name, text=asked.text, points=_NPS_POINTS, start=0, low=low, high=high)
    numbers = {str(place): label for place, label in enumerate(scale.options)}
    for choice in map_in(asked.payload, "Choices").values():
        as_map(choice).get("Display")  # its number
    return Imported(
        questions=(scale,),
        labels=numbers,
        picked=picks(scale, numbers),
        values={"": value_of(scale)},
        pipe=name,
        columns={"": Column(question=name, codes=numbers)},
    )


def _entry(asked: SourceQuestion) -> Imported:
    question = _text_or_number(asked, asked.take(asked.tag), asked.text)
    columns = {rest: Column(question=question.id) for rest in ("", "_TEXT")}
    return Imported(
        questions=(question,),
        values={"": value_of(question)},
        pipe=question.id,
        columns=columns,
    )


def _text_or_number(asked: SourceQuestion, name: str, text: str) -> OpenText | NumberQuestion:
    """Return a text entry as the validation that is switched on says it."""
    rule, content = asked.setting("Type"), asked.setting("ContentType")
    if rule == "ContentType" and content == "ValidNumber":
        limits = map_in(map_in(map_in(asked.payload, "Validation"), "Settings"), "ValidNumber")
        low, high = number_of(limits.get("Min")), number_of(limits.get("Max"))
        whole = str(limits.get("NumDecimals", "")) == "0"
        return NumberQuestion(id=name, text=text, low=low, high=high, integer=whole)
    settings = map_in(map_in(asked.payload, "Validation"), "Settings")
    limits_ = {one: settings.get(one) for one in ("MinChars", "TotalChars", "CustomValidation")}
    dict(map_in(settings, "ValidNumber"))  # off: whatever was set once does not count
    if rule == "ContentType":
        asked.note(f"content must be {content}", "imported as free text, unchecked")
    elif is_set(rule):
        told = {one: value for one, value in limits_.items() if is_set(value)}
        what = f"validation {rule!r} {told or ''}".strip()
        asked.note(what, "imported as free text, unchecked")
    return OpenText(id=name, text=text)


def _ranking(asked: SourceQuestion) -> Imported:
    choices = rows_of(asked)
    order = order_of(asked, choices.labels)
    name = asked.take(asked.tag, len(choices.labels))
    question = Ranking(
        id=name, text=asked.text, options=choices.all, random_order=order.shuffled,
        last=order.last, options_if=choices.conditions,
    )  # fmt: skip
    return _listed(asked, question, choices)


def _budget(asked: SourceQuestion) -> Imported:
    choices = rows_of(asked)
    order = order_of(asked, choices.labels)
    total = number_of(asked.setting("ChoiceTotal"))
    if total is None or total <= 0:
        asked.note(f"no total, got {asked.setting('ChoiceTotal')!r}", "100 assumed")
        total = 100.0
    name = asked.take(asked.tag, len(choices.labels))
    question = Budget(
        id=name, text=asked.text, options=choices.all, total=total, integer=total.is_integer(),
        random_order=order.shuffled, last=order.last, options_if=choices.conditions,
    )  # fmt: skip
    asked.setting("Type")
    return _listed(asked, question, choices)


def _listed(asked: SourceQuestion, question: Ranking | Budget, choices: Choices) -> Imported:
    codes_for(asked, choices.labels)
    variable_names(asked, choices.labels)
    return Imported(
        questions=(question,),
        labels=choices.labels,
        values={
            key: Value(term=f"item({question.id}, {quoted(label)})", kind="number")
            for key, label in choices.labels.items()
            if "\\" not in label
        },
        pipe=question.id,
        columns={
            f"_{key}": Column(question=question.id, item=label)
            for key, label in choices.labels.items()
        },
    )
