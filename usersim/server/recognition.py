r"""Closed questions that clients write into the prompt: found, and answered in the form asked for.

A client that knows no `x_usersim` lists the options in its message and says how to answer. Each
form of doing so is one entry of `PROMPT_FORMS`, with an example. A form reads a whole message or
nothing: what does not fit word for word is an open question, as before. Knows texts and action
spaces; knows no request, no person and no engine.

Example:
    >>> found = recognize("Tea or coffee?\nA) tea\nB) coffee\nAnswer with the letter only.")
    >>> found.form, found.question, found.space.options, found.write("coffee")
    ('labelled options', 'Tea or coffee?', ('tea', 'coffee'), 'B')
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import cast

from usersim.errors import ActionError
from usersim.types import ActionSpace, ActionValue, Choice, MultiChoice, Number, Scale

__all__ = ["PROMPT_FORMS", "PromptForm", "Recognized", "recognize"]

LONGEST = 20_000
"""Characters of a message that is still looked at."""
MOST_OPTIONS = 200
_LEAST = 2
"""Fewer options are no choice."""
MOST_SUBSETS = 64
"""Selections of a multiple choice that are scored one by one; of more, one is written."""
MOST_STEPS = 11
"""Points of a numeric scale whose points are options; more are a number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognized:
    """A closed question found in a message.

    Attributes:
        form: Name of the form that it is written in.
        question: The question alone, without options and instruction.
        space: What an answer may be.
        write: Turns an answer into the reply that the message asks for.
        preamble: A system message that matches is the client's own text, and no scenario.
    """

    form: str
    question: str
    space: ActionSpace
    write: Callable[[ActionValue], str]
    preamble: re.Pattern[str] | None = None


@dataclass(frozen=True, slots=True)
class _Found:
    """What a form reads: the question, the answers, and how one is written."""

    question: str
    space: ActionSpace
    write: Callable[[ActionValue], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptForm:
    """One way to write a closed question into a message.

    Attributes:
        name: Appears in the reply, as `x_usersim.recognized`.
        read: Returns the question of a message in this form; None for any other message.
        example: A message in this form.
        preamble: What the client writes into its system message for every question.
    """

    name: str
    read: Callable[[str], _Found | None]
    example: str
    preamble: re.Pattern[str] | None = None


def recognize(text: str) -> Recognized | None:
    """Return the closed question that a message asks; None for any other message.

    Args:
        text: The message that the person is to answer.

    Returns:
        The question, if exactly one form reads the message.

    Example:
        >>> recognize("Shall we have tea or coffee?") is None
        True
    """
    if len(text) > LONGEST:
        return None
    found = [(form, read) for form in PROMPT_FORMS if (read := _read(form, text)) is not None]
    if len(found) != 1:
        return None
    ((form, read),) = found
    return Recognized(
        form=form.name,
        question=read.question,
        space=read.space,
        write=read.write,
        preamble=form.preamble,
    )


def _read(form: PromptForm, text: str) -> _Found | None:
    """Read a message; options that cannot be ones (two alike, only one) are none."""
    try:
        found = form.read(text)
    except ActionError:
        return None
    return found if found is not None and found.question else None


# ---------------------------------------------------------------------- parts


def _labels(count: int, first: str) -> list[str]:
    """Return labels in a row: A, B, C or 0, 1, 2."""
    if first.isdigit():
        return [str(int(first) + step) for step in range(count)]
    return [chr(ord(first) + step) for step in range(count)]


def _labelled(lines: Sequence[str], pattern: re.Pattern[str]) -> tuple[str, dict[str, str]] | None:
    """Return what stands before a list of options that ends a text, and its options by label.

    Args:
        lines: Lines of the text.
        pattern: Of an option's line, with the groups `label`, `mark` and `text`.
    """
    found: list[re.Match[str]] = []
    kept = [line for line in lines if line.strip()]
    while kept and (match := pattern.fullmatch(kept[-1].strip())):
        found.insert(0, match)
        kept.pop()
    labels = [match["label"] for match in found]
    if not _LEAST <= len(found) <= MOST_OPTIONS or labels[0] not in {"A", "a", "0", "1"}:
        return None
    same_mark = len({match["mark"] for match in found}) == 1
    if not same_mark or labels != _labels(len(labels), labels[0]):
        return None
    if any(pattern.fullmatch(line.strip()) for line in kept):
        return None  # a second list: which of them holds the options is not said
    options = {match["label"]: match["text"].strip() for match in found}
    return "\n".join(kept), options


def _by_label(question: str, options: dict[str, str], *, ordered: bool = False) -> _Found:
    """Return a choice that is answered with an option's label."""
    space = (Scale if ordered else Choice)(tuple(options.values()))
    label_of = {option: label for label, option in options.items()}
    return _Found(question, space, lambda action: label_of[str(action)])


def _by_text(question: str, options: Sequence[str]) -> _Found:
    """Return a choice that is answered with an option's text."""
    space = (Scale if tuple(options) == _LIKERT else Choice)(tuple(options))
    return _Found(question, space, str)


_LIKERT = ("Strongly disagree", "Disagree", "Neutral", "Agree", "Strongly agree")


def _selection(
    question: str,
    options: Sequence[str],
    *,
    least: int,
    most: int,
    write: Callable[[list[str]], str],
) -> _Found | None:
    """Return a multiple choice: scored selection by selection where there are not too many."""
    several = MultiChoice(tuple(options))
    subsets = _subsets(options, range(least, min(most, len(options)) + 1))
    if len(subsets) <= MOST_SUBSETS:
        by_text = {several.render(chosen): chosen for chosen in subsets}
        return _Found(
            question, Choice(tuple(by_text)), lambda action: write(list(by_text[str(action)]))
        )
    if least > 0 or most < len(options):
        return None  # a selection that is written keeps to no limits
    return _Found(
        question,
        several,
        lambda action: write(list(action) if isinstance(action, tuple) else [str(action)]),
    )


def _subsets(options: Sequence[str], sizes: Sequence[int]) -> list[tuple[str, ...]]:
    """Return the selections of these sizes; of too many, one more than are scored."""
    found: list[tuple[str, ...]] = []
    for size in sizes:
        for chosen in combinations(options, size):
            found.append(chosen)
            if len(found) > MOST_SUBSETS:
                return found
    return found


def _words(text: str) -> str:
    """Return a text on one line."""
    return " ".join(text.split())


# ---------------------------------------------------------------------- EDSL

_EDSL_PREAMBLE = re.compile(
    r"You are answering questions as if you were a human\. Do not break character\."
    r"(?:\s{0,9}Your traits: \{\})?"
)
_EDSL_COMMENT = re.compile(
    r"(?<!\s)\s*After the answer, (?:you can )?put a comment explaining "
    r"(?:why you chose that option|your choice|your response)(?: on the next line)?\.\s*\Z"
)
_EDSL_CODED = re.compile(r"(?P<label>[A-Za-z]|\d{1,3})(?P<mark>:) (?P<text>\S.*)")
_EDSL_POINT = re.compile(r"(?P<label>-?\d{1,3}) :(?P<text>.*)")
_EDSL_ONE = "Only 1 option may be selected."
_EDSL_GAP = "\n    \n"
"""A line of four blanks, which stands around every option that has no code."""


def _edsl_parts(text: str, mark: str) -> tuple[str, str] | None:
    """Return what stands before a sentence of EDSL's, and the instruction after it."""
    if text.count(mark) != 1:
        return None
    head, _, tail = text.partition(mark)
    return head, _words(_EDSL_COMMENT.sub("", tail))


def _edsl_plain(head: str) -> tuple[str, list[str]] | None:
    """Return the question and the options without codes."""
    question, gap, block = head.partition(f"\n{_EDSL_GAP}")
    options = [option.strip() for option in block.rstrip().split(_EDSL_GAP)]
    if not gap or len(options) > MOST_OPTIONS or any("\n" in option for option in options):
        return None
    return question.strip(), options


def _edsl_choice(text: str) -> _Found | None:
    parts = _edsl_parts(text, _EDSL_ONE)
    if parts is None or parts[1] != (
        "Respond only with a string corresponding to one of the options."
    ):
        return None
    found = _edsl_plain(parts[0])
    return None if found is None else _by_text(*found)


def _edsl_yes_no(text: str) -> _Found | None:
    parts = _edsl_parts(text, _EDSL_ONE)
    if parts is None or parts[1] != "Please respond with just your answer.":
        return None
    found = _edsl_plain(parts[0])
    return None if found is None else _by_text(*found)


def _edsl_coded(text: str) -> _Found | None:
    parts = _edsl_parts(text, _EDSL_ONE)
    if parts is None or parts[1] not in {
        "Respond only with the code corresponding to one of the options.",
        "Respond only with the letter corresponding to one of the options (e.g., A, B, C, D).",
    }:
        return None
    found = _labelled(parts[0].splitlines(), _EDSL_CODED)
    return None if found is None else _by_label(found[0].strip(), found[1])


def _edsl_scale(text: str) -> _Found | None:
    parts = _edsl_parts(text, _EDSL_ONE)
    if parts is None or parts[1] != (
        "Respond only with the code corresponding to one of the options. "
        'E.g., "1" or "5" by itself.'
    ):
        return None
    lines = [line for line in parts[0].splitlines() if line.strip()]
    points: list[re.Match[str]] = []
    while lines and (match := _EDSL_POINT.fullmatch(lines[-1].strip())):
        points.insert(0, match)
        lines.pop()
    codes = [int(point["label"]) for point in points]
    if codes != sorted(set(codes)) or not _LEAST <= len(codes) <= MOST_OPTIONS:
        return None
    shown = {
        point["label"]: f"{point['label']} ({label})" if label else point["label"]
        for point in points
        for label in [point["text"].strip()]
    }
    return _by_label("\n".join(lines).strip(), shown, ordered=True)


_EDSL_SEVERAL = "Please respond only with a comma-separated list of "
_EDSL_LEAST = re.compile(r"Minimum number of options that must be selected: (\d{1,3})\.\s*\Z")
_EDSL_MOST = re.compile(r"Maximum number of options that must be selected: (\d{1,3})\.\s*\Z")
_EDSL_EXACTLY = re.compile(r"You must select exactly (\d{1,3}) options\.\s*\Z")


def _edsl_checkbox(text: str) -> _Found | None:
    parts = _edsl_parts(text, _EDSL_SEVERAL)
    if parts is None or parts[1] != (
        "the options that apply, with square brackets. E.g., ['Good', 'Bad', 'Ugly']"
    ):
        return None
    head, least, most = _edsl_limits(parts[0])
    found = _edsl_plain(head)
    if found is None:
        return None
    question, options = found
    return _selection(
        question,
        options,
        least=least,
        most=len(options) if most is None else most,
        write=lambda chosen: json.dumps(chosen, ensure_ascii=False),
    )


def _edsl_checkbox_coded(text: str) -> _Found | None:
    parts = _edsl_parts(text, _EDSL_SEVERAL)
    if parts is None or parts[1] != (
        "the code of the options that apply, with square brackets. E.g., [0, 1, 3]"
    ):
        return None
    head, least, most = _edsl_limits(parts[0])
    found = _labelled(head.splitlines(), _EDSL_CODED)
    if found is None:
        return None
    question, options = found
    code_of = {option: int(label) for label, option in options.items() if label.isdigit()}
    if len(code_of) < len(options):
        return None
    return _selection(
        question.strip(),
        list(options.values()),
        least=least,
        most=len(options) if most is None else most,
        write=lambda chosen: json.dumps([code_of[one] for one in chosen]),
    )


def _edsl_limits(head: str) -> tuple[str, int, int | None]:
    """Return what stands before the limits of a selection, and the limits."""
    exactly = _EDSL_EXACTLY.search(head)
    if exactly is not None:
        return head[: exactly.start()], int(exactly[1]), int(exactly[1])
    least, most = 0, None
    if (found := _EDSL_MOST.search(head)) is not None:
        head, most = head[: found.start()], int(found[1])
    if (found := _EDSL_LEAST.search(head)) is not None:
        head, least = head[: found.start()], int(found[1])
    return head, least, most


_EDSL_NUMBER = "This question requires a numerical response in the form of an integer or decimal"
_EDSL_BOUND = re.compile(r"\n[ \t]*(Minimum|Maximum) answer value: (-?\d{1,15}(?:\.\d{1,9})?)\s*\Z")


def _edsl_number(text: str) -> _Found | None:
    parts = _edsl_parts(text, _EDSL_NUMBER)
    if parts is None or parts[1] != (
        "(e.g., -12, 0, 1, 2, 3.45, ...). Respond with just your number on a single line. "
        "If your response is equivalent to zero, report '0'"
    ):
        return None
    head, bounds = parts[0], dict[str, float]()
    while (found := _EDSL_BOUND.search(head)) is not None:
        head = head[: found.start()]
        bounds[found[1]] = float(found[2])
    space = Number(low=bounds.get("Minimum"), high=bounds.get("Maximum"))
    return _Found(head.strip(), space, space.render)


# ---------------------------------------------------------------------- plain forms

_VERB = r"(?:please )?(?:answer|respond|reply)"
_ONLY = r"(?: only| just)?"
_NO_MORE = r"(?:,? (?:only|alone|and nothing else|without (?:any )?(?:explanation|comment)s?))?"
_PICK = r"(?:(?:choose|pick|select) (?:exactly |only )?one(?: option| answer)?(?: and |[.:;,] ))?"
_LABEL_INSTRUCTION = re.compile(
    rf"{_PICK}{_VERB}{_ONLY} with{_ONLY} (?:the |one |its |a single |the single )?"
    rf"(?:option |answer )?(?P<what>letter|number|code|digit){_NO_MORE}"
    r"(?: (?:of|for|corresponding to) (?:the|your|one of the) (?:chosen |selected )?"
    rf"(?:option|answer|choice)s?)?{_NO_MORE}(?: \([^()]{{1,40}}\))?\.?",
    re.IGNORECASE,
)
_TEXT_INSTRUCTION = re.compile(
    rf"{_PICK}{_VERB}{_ONLY} with{_ONLY} (?:exactly )?"
    rf"(?:the (?:exact |full )?(?:text|wording) of )?(?:one of )?"
    rf"(?:the|your)(?: chosen| selected)? (?:option|choice)s?{_NO_MORE}\.?",
    re.IGNORECASE,
)
_CUE = re.compile(r"(?:your )?answer:", re.IGNORECASE)
_JSON_INSTRUCTION = re.compile(
    rf"{_PICK}{_VERB}{_ONLY} (?:with|in|as){_ONLY} (?:a |valid )?json(?: object)?"
    r"(?: (?:of|in) (?:the|this) (?:form|format|shape))?[:,]? (?P<template>\{.*\})\.?",
    re.IGNORECASE,
)
_OPTION_LINE = re.compile(
    r"(?P<open>\(?)(?P<label>[A-Za-z]|\d{1,2})(?P<mark>\)|\.|:)\s+(?P<text>\S.*)"
)
_INLINE = re.compile(r"(?:(?<=\s)|^)\(?(?:[A-Za-z]|\d{1,2})\) ")
_HEADING = re.compile(r"(?:the )?(?:answer )?(?:options|choices)(?: are)?:?", re.IGNORECASE)
_QUESTION = re.compile(r"(?:question|q): ?", re.IGNORECASE)


def _listing(text: str) -> tuple[str, dict[str, str], str] | None:
    """Return the question, the labelled options and the instruction after them."""
    lines = [line for line in text.strip().splitlines() if line.strip()]
    places = [at for at, line in enumerate(lines) if _OPTION_LINE.fullmatch(line.strip())]
    end = places[-1] + 1 if places else 0
    found = _labelled(lines[:end], _OPTION_LINE)
    if found is None:
        end = len(lines) - 1
        found = _inline(lines)
    if found is None:
        return None
    head, options = found
    question = head.splitlines()
    if question and _HEADING.fullmatch(question[-1].strip()):
        question.pop()
    asked = _QUESTION.sub("", "\n".join(question).strip(), count=1)
    return asked, options, _words(" ".join(lines[end:]))


def _inline(lines: Sequence[str]) -> tuple[str, dict[str, str]] | None:
    """Return options that stand on the last line but one: `A) tea B) coffee`."""
    if len(lines) < _LEAST:
        return None
    line = lines[-2].strip()
    starts = [match.start() for match in _INLINE.finditer(line)]
    if len(starts) < _LEAST:
        return None
    pieces = [line[a:b].strip(" ,;") for a, b in zip(starts, [*starts[1:], len(line)], strict=True)]
    before = [*lines[:-2], *([line[: starts[0]].strip()] if line[: starts[0]].strip() else [])]
    return _labelled([*before, *pieces], _OPTION_LINE)


def _fits(what: str, options: dict[str, str]) -> bool:
    """Whether the labels are what the instruction calls them."""
    digits = next(iter(options)).isdigit()
    return what.casefold() == "code" or digits == (what.casefold() != "letter")


def _plain(text: str) -> _Found | None:
    found = _listing(text)
    if found is None:
        return None
    question, options, instruction = found
    if _CUE.fullmatch(instruction):
        return _by_label(question, options)
    label = _LABEL_INSTRUCTION.fullmatch(instruction)
    if label is not None:
        return _by_label(question, options) if _fits(label["what"], options) else None
    if _TEXT_INSTRUCTION.fullmatch(instruction):
        return _by_text(question, list(options.values()))
    return None


def _json(text: str) -> _Found | None:
    found = _templated(text)
    return None if found is None or "action" in found[1] else found[0]


def _tinytroupe(text: str) -> _Found | None:
    found = _templated(text)
    if found is None:
        return None
    action = found[1].get("action")
    talks = isinstance(action, dict) and cast("dict[str, object]", action).get("type") == "TALK"
    return found[0] if talks else None


_PLACE = re.compile(
    r"<(?:the |your )?(?:chosen |selected )?(?:letter|number|code|digit|option|choice)>"
)
_BARE = re.compile(rf'(?<!"){_PLACE.pattern}(?!")')
_LABEL_WORD = re.compile("letter|number|code|digit")


def _templated(text: str) -> tuple[_Found, dict[str, object]] | None:
    """Return a question whose answer takes a marked place in a JSON object, and the object."""
    found = _listing(text)
    match = None if found is None else _JSON_INSTRUCTION.fullmatch(found[2])
    if found is None or match is None or len(_PLACE.findall(match["template"])) != 1:
        return None
    question, options, _ = found
    # A place without quotes is for a number.
    template, bare = _BARE.subn(r'"\g<0>"', match["template"])
    place = _PLACE.findall(template)[0]
    labelled = _LABEL_WORD.search(place)
    fits = not bare if labelled is None else _fits(labelled[0], options)
    shape = _object(template)
    if shape is None or not fits or (bare and not next(iter(options)).isdigit()):
        return None
    chosen = _by_label(question, options) if labelled else _by_text(question, [*options.values()])

    def write(action: ActionValue) -> str:
        value = chosen.write(action)
        filled = _filled(shape, place, int(value) if bare else value)
        return json.dumps(filled, ensure_ascii=False)

    return _Found(question, chosen.space, write), shape


def _object(text: str) -> dict[str, object] | None:
    """Return the JSON object that a text is; None for any other text."""
    try:
        found: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, object]", found) if isinstance(found, dict) else None


def _filled(shape: object, place: str, value: object) -> object:
    if isinstance(shape, dict):
        return {k: _filled(v, place, value) for k, v in cast("dict[str, object]", shape).items()}
    if isinstance(shape, list):
        return [_filled(one, place, value) for one in cast("list[object]", shape)]
    return value if shape == place else shape


_ENDING = r"(?:(?<=[.?!])[ \t]+|\n[ \t]*)"
_ONE_OF = re.compile(
    rf"{_ENDING}{_VERB}{_ONLY} with{_ONLY} (?:exactly )?one(?: word)? of"
    r"(?: the following| these)?(?: words| options| labels| categories| values)?: "
    r"(?P<list>[^.?!\n:]+)\.?\s*\Z",
    re.IGNORECASE,
)
_YES_NO = re.compile(
    rf"{_ENDING}{_VERB}{_ONLY}(?: with)?{_ONLY}(?: either)? (?P<q>[\"']?)(?P<yes>yes|true)(?P=q)"
    rf" or (?P=q)(?P<no>no|false)(?P=q){_NO_MORE}\.?\s*\Z",
    re.IGNORECASE,
)
_RANGE = re.compile(
    rf"{_ENDING}{_VERB}{_ONLY} with{_ONLY} (?:a|one|the) (?:whole |single )?(?:number|integer)"
    rf"{_NO_MORE} (?:from|between) (?P<low>\d{{1,6}}) (?:to|and) (?P<high>\d{{1,6}}){_NO_MORE}"
    r"\.?\s*\Z",
    re.IGNORECASE,
)


def _one_of(text: str) -> _Found | None:
    match = _ONE_OF.search(text)
    if match is None:
        return None
    listed = match["list"].strip().removeprefix("[").removesuffix("]")
    options = [one.strip().strip("\"'`") for one in re.split(r",(?: or)? |,| or |/|;|\|", listed)]
    return _by_text(text[: match.start()].strip(), options)


def _yes_no(text: str) -> _Found | None:
    match = _YES_NO.search(text)
    if match is None or (match["yes"].casefold() == "yes") != (match["no"].casefold() == "no"):
        return None
    return _by_text(text[: match.start()].strip(), [match["yes"], match["no"]])


def _range(text: str) -> _Found | None:
    match = _RANGE.search(text)
    if match is None:
        return None
    low, high = int(match["low"]), int(match["high"])
    question = text[: match.start()].strip()
    if not low < high:
        return None
    if high - low < MOST_STEPS:
        space = Scale(tuple(str(step) for step in range(low, high + 1)))
        return _Found(question, space, str)
    number = Number(low=low, high=high, integer=True)
    return _Found(question, number, number.render)


# ---------------------------------------------------------------------- the forms

_COMMENT_LINE = (
    "\n\nAfter the answer, you can put a comment explaining why you chose that option on the "
    "next line.\n"
)

PROMPT_FORMS: tuple[PromptForm, ...] = (
    PromptForm(
        name="edsl multiple choice",
        read=_edsl_choice,
        preamble=_EDSL_PREAMBLE,
        example="\nWhich drink?\n\n    \ntea\n    \ncoffee\n    \n\nOnly 1 option may be selected."
        "\n\nRespond only with a string corresponding to one of the options.\n" + _COMMENT_LINE,
    ),
    PromptForm(
        name="edsl coded choice",
        read=_edsl_coded,
        preamble=_EDSL_PREAMBLE,
        example="\nWhich drink?\n\n0: tea\n    \n1: coffee\n    \n\nOnly 1 option may be selected."
        "\n\nRespond only with the code corresponding to one of the options.\n" + _COMMENT_LINE,
    ),
    PromptForm(
        name="edsl linear scale",
        read=_edsl_scale,
        preamble=_EDSL_PREAMBLE,
        example="How likely?\n\n1 : not at all\n\n2 : \n\n3 : very\n\nOnly 1 option may be "
        "selected.\n\n\nRespond only with the code corresponding to one of the options. "
        'E.g., "1" or "5" by itself.\n' + _COMMENT_LINE,
    ),
    PromptForm(
        name="edsl yes/no",
        read=_edsl_yes_no,
        preamble=_EDSL_PREAMBLE,
        example="\nDo you like tea?\n\n    \nNo\n    \nYes\n    \n\nOnly 1 option may be selected."
        "\n\nPlease respond with just your answer. \n\n\nAfter the answer, you can put a comment "
        "explaining your response.\n\n",
    ),
    PromptForm(
        name="edsl checkbox",
        read=_edsl_checkbox,
        preamble=_EDSL_PREAMBLE,
        example="Which drinks?\n\n    \ntea\n    \ncoffee\n        \n\n\n\nPlease respond only "
        "with a comma-separated list of the options that apply, with square brackets. "
        "E.g., ['Good', 'Bad', 'Ugly']\n\n\nAfter the answer, you can put a comment explaining "
        "your choice on the next line.\n",
    ),
    PromptForm(
        name="edsl coded checkbox",
        read=_edsl_checkbox_coded,
        preamble=_EDSL_PREAMBLE,
        example="Which drinks?\n\n    \n0: tea\n    \n1: coffee\n    \n\n\nMinimum number of "
        "options that must be selected: 1.\n\n\nPlease respond only with a comma-separated list of "
        "the code of the options that apply, with square brackets. E.g., [0, 1, 3]\n",
    ),
    PromptForm(
        name="edsl numerical",
        read=_edsl_number,
        preamble=_EDSL_PREAMBLE,
        example="How many cups?\n\n    Minimum answer value: 1\n\n\n    Maximum answer value: 20\n"
        "This question requires a numerical response in the form of an integer or decimal (e.g., "
        "-12, 0, 1, 2, 3.45, ...).\nRespond with just your number on a single line.\nIf your "
        "response is equivalent to zero, report '0'\n",
    ),
    PromptForm(
        name="labelled options",
        read=_plain,
        example="Which drink?\nA) tea\nB) coffee\nAnswer with the letter only.",
    ),
    PromptForm(
        name="labelled options, answered in JSON",
        read=_json,
        example="Which drink?\n1. tea\n2. coffee\n"
        'Respond only with a JSON object: {"answer": <number>}',
    ),
    PromptForm(
        name="tinytroupe action",
        read=_tinytroupe,
        example="Which drink?\nA) tea\nB) coffee\nReply only with a JSON object of the form: "
        '{"action": {"type": "TALK", "content": "<option>", "target": ""}}',
    ),
    PromptForm(
        name="one of a list",
        read=_one_of,
        example="Which drink do you take?\nAnswer with only one of: tea, coffee, water.",
    ),
    PromptForm(
        name="yes or no",
        read=_yes_no,
        example="Do you like tea? Answer with only yes or no.",
    ),
    PromptForm(
        name="number in a range",
        read=_range,
        example="How much do you like tea? Answer with a number from 1 to 5.",
    ),
)
"""Every form that is recognized; a further one is a further entry."""
