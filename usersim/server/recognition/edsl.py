"""EDSL's question types, word for word as EDSL 1.0.9 writes them."""

from __future__ import annotations

import json
import re

from usersim.server.recognition.parts import (
    LEAST_OPTIONS,
    MOST_OPTIONS,
    ClosedQuestion,
    PromptForm,
    by_label,
    by_text,
    labeled,
    selection,
    words,
)
from usersim.types import Number

__all__ = ["EDSL_FORMS"]

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
    return head, words(_EDSL_COMMENT.sub("", tail))


def _edsl_plain(head: str) -> tuple[str, list[str]] | None:
    """Return the question and the options without codes."""
    question, gap, block = head.partition(f"\n{_EDSL_GAP}")
    options = [option.strip() for option in block.rstrip().split(_EDSL_GAP)]
    if not gap or len(options) > MOST_OPTIONS or any("\n" in option for option in options):
        return None
    return question.strip(), options


def _edsl_choice(text: str) -> ClosedQuestion | None:
    parts = _edsl_parts(text, _EDSL_ONE)
    if parts is None or parts[1] != (
        "Respond only with a string corresponding to one of the options."
    ):
        return None
    found = _edsl_plain(parts[0])
    return None if found is None else by_text(*found)


def _edsl_yes_no(text: str) -> ClosedQuestion | None:
    parts = _edsl_parts(text, _EDSL_ONE)
    if parts is None or parts[1] != "Please respond with just your answer.":
        return None
    found = _edsl_plain(parts[0])
    return None if found is None else by_text(*found)


def _edsl_coded(text: str) -> ClosedQuestion | None:
    parts = _edsl_parts(text, _EDSL_ONE)
    if parts is None or parts[1] not in {
        "Respond only with the code corresponding to one of the options.",
        "Respond only with the letter corresponding to one of the options (e.g., A, B, C, D).",
    }:
        return None
    found = labeled(parts[0].splitlines(), _EDSL_CODED)
    return None if found is None else by_label(found[0].strip(), found[1])


def _edsl_scale(text: str) -> ClosedQuestion | None:
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
    if codes != sorted(set(codes)) or not LEAST_OPTIONS <= len(codes) <= MOST_OPTIONS:
        return None
    shown = {
        point["label"]: f"{point['label']} ({label})" if label else point["label"]
        for point in points
        for label in [point["text"].strip()]
    }
    return by_label("\n".join(lines).strip(), shown, ordered=True)


_EDSL_SEVERAL = "Please respond only with a comma-separated list of "
_EDSL_LEAST = re.compile(r"Minimum number of options that must be selected: (\d{1,3})\.\s*\Z")
_EDSL_MOST = re.compile(r"Maximum number of options that must be selected: (\d{1,3})\.\s*\Z")
_EDSL_EXACTLY = re.compile(r"You must select exactly (\d{1,3}) options\.\s*\Z")


def _edsl_checkbox(text: str) -> ClosedQuestion | None:
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
    return selection(
        question,
        options,
        least=least,
        most=len(options) if most is None else most,
        write=lambda chosen: json.dumps(chosen, ensure_ascii=False),
    )


def _edsl_checkbox_coded(text: str) -> ClosedQuestion | None:
    parts = _edsl_parts(text, _EDSL_SEVERAL)
    if parts is None or parts[1] != (
        "the code of the options that apply, with square brackets. E.g., [0, 1, 3]"
    ):
        return None
    head, least, most = _edsl_limits(parts[0])
    found = labeled(head.splitlines(), _EDSL_CODED)
    if found is None:
        return None
    question, options = found
    code_of = {option: int(label) for label, option in options.items() if label.isdigit()}
    if len(code_of) < len(options):
        return None
    return selection(
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


def _edsl_number(text: str) -> ClosedQuestion | None:
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
    return ClosedQuestion(head.strip(), space, space.render)


_COMMENT_LINE = (
    "\n\nAfter the answer, you can put a comment explaining why you chose that option on the "
    "next line.\n"
)

EDSL_FORMS: tuple[PromptForm, ...] = (
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
)
