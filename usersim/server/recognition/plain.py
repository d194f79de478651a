"""Forms of no single client: labeled options, lists, yes or no, numbers, JSON templates."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import cast

from usersim.server.recognition.parts import (
    LEAST_OPTIONS,
    ClosedQuestion,
    PromptForm,
    by_label,
    by_text,
    labeled,
    words,
)
from usersim.types import ActionValue, Number, Scale

__all__ = ["PLAIN_FORMS"]

MOST_STEPS = 11
"""Points of a numeric scale whose points are options; more are a number."""

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
    """Return the question, the labeled options and the instruction after them."""
    lines = [line for line in text.strip().splitlines() if line.strip()]
    places = [at for at, line in enumerate(lines) if _OPTION_LINE.fullmatch(line.strip())]
    end = places[-1] + 1 if places else 0
    found = labeled(lines[:end], _OPTION_LINE)
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
    return asked, options, words(" ".join(lines[end:]))


def _inline(lines: Sequence[str]) -> tuple[str, dict[str, str]] | None:
    """Return options that stand on the last line but one: `A) tea B) coffee`."""
    if len(lines) < LEAST_OPTIONS:
        return None
    line = lines[-2].strip()
    starts = [match.start() for match in _INLINE.finditer(line)]
    if len(starts) < LEAST_OPTIONS:
        return None
    pieces = [line[a:b].strip(" ,;") for a, b in zip(starts, [*starts[1:], len(line)], strict=True)]
    before = [*lines[:-2], *([line[: starts[0]].strip()] if line[: starts[0]].strip() else [])]
    return labeled([*before, *pieces], _OPTION_LINE)


def _fits(what: str, options: dict[str, str]) -> bool:
    """Whether the labels are what the instruction calls them."""
    digits = next(iter(options)).isdigit()
    return what.casefold() == "code" or digits == (what.casefold() != "letter")


def _plain(text: str) -> ClosedQuestion | None:
    found = _listing(text)
    if found is None:
        return None
    question, options, instruction = found
    if _CUE.fullmatch(instruction):
        return by_label(question, options)
    label = _LABEL_INSTRUCTION.fullmatch(instruction)
    if label is not None:
        return by_label(question, options) if _fits(label["what"], options) else None
    if _TEXT_INSTRUCTION.fullmatch(instruction):
        return by_text(question, list(options.values()))
    return None


def _json(text: str) -> ClosedQuestion | None:
    found = _templated(text)
    return None if found is None or "action" in found[1] else found[0]


def _tinytroupe(text: str) -> ClosedQuestion | None:
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


def _templated(text: str) -> tuple[ClosedQuestion, dict[str, object]] | None:
    """Return a question whose answer takes a marked place in a JSON object, and the object."""
    found = _listing(text)
    match = None if found is None else _JSON_INSTRUCTION.fullmatch(found[2])
    if found is None or match is None or len(_PLACE.findall(match["template"])) != 1:
        return None
    question, options, _ = found
    # A place without quotes is for a number.
    template, bare = _BARE.subn(r'"\g<0>"', match["template"])
    place = _PLACE.findall(template)[0]
    labeled = _LABEL_WORD.search(place)
    fits = not bare if labeled is None else _fits(labeled[0], options)
    shape = _object(template)
    if shape is None or not fits or (bare and not next(iter(options)).isdigit()):
        return None
    chosen = by_label(question, options) if labeled else by_text(question, [*options.values()])

    def write(action: ActionValue) -> str:
        value = chosen.write(action)
        filled = _filled(shape, place, int(value) if bare else value)
        return json.dumps(filled, ensure_ascii=False)

    return ClosedQuestion(question, chosen.space, write), shape


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


def _one_of(text: str) -> ClosedQuestion | None:
    match = _ONE_OF.search(text)
    if match is None:
        return None
    listed = match["list"].strip().removeprefix("[").removesuffix("]")
    options = [one.strip().strip("\"'`") for one in re.split(r",(?: or)? |,| or |/|;|\|", listed)]
    return by_text(text[: match.start()].strip(), options)


def _yes_no(text: str) -> ClosedQuestion | None:
    match = _YES_NO.search(text)
    if match is None or (match["yes"].casefold() == "yes") != (match["no"].casefold() == "no"):
        return None
    return by_text(text[: match.start()].strip(), [match["yes"], match["no"]])


def _range(text: str) -> ClosedQuestion | None:
    match = _RANGE.search(text)
    if match is None:
        return None
    low, high = int(match["low"]), int(match["high"])
    question = text[: match.start()].strip()
    if not low < high:
        return None
    if high - low < MOST_STEPS:
        space = Scale(tuple(str(step) for step in range(low, high + 1)))
        return ClosedQuestion(question, space, str)
    number = Number(low=low, high=high, integer=True)
    return ClosedQuestion(question, number, number.render)


PLAIN_FORMS: tuple[PromptForm, ...] = (
    PromptForm(
        name="labeled options",
        read=_plain,
        example="Which drink?\nA) tea\nB) coffee\nAnswer with the letter only.",
    ),
    PromptForm(
        name="labeled options, answered in JSON",
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
