"""What the forms share: lists of options, and the answers that they are read as."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

from usersim.types import ActionSpace, ActionValue, Choice, MultiChoice, Scale

__all__ = [
    "LEAST_OPTIONS",
    "MOST_OPTIONS",
    "MOST_SUBSETS",
    "ClosedQuestion",
    "PromptForm",
    "by_label",
    "by_text",
    "labeled",
    "selection",
    "words",
]

MOST_OPTIONS = 200
LEAST_OPTIONS = 2
"""Fewer options are no choice."""
MOST_SUBSETS = 64
"""Selections of a multiple choice that are scored one by one; of more, one is written."""


@dataclass(frozen=True, slots=True)
class ClosedQuestion:
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
    read: Callable[[str], ClosedQuestion | None]
    example: str
    preamble: re.Pattern[str] | None = None


def _labels(count: int, first: str) -> list[str]:
    """Return labels in a row: A, B, C or 0, 1, 2."""
    if first.isdigit():
        return [str(int(first) + step) for step in range(count)]
    return [chr(ord(first) + step) for step in range(count)]


def labeled(lines: Sequence[str], pattern: re.Pattern[str]) -> tuple[str, dict[str, str]] | None:
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
    if not LEAST_OPTIONS <= len(found) <= MOST_OPTIONS or labels[0] not in {"A", "a", "0", "1"}:
        return None
    same_mark = len({match["mark"] for match in found}) == 1
    if not same_mark or labels != _labels(len(labels), labels[0]):
        return None
    if any(pattern.fullmatch(line.strip()) for line in kept):
        return None  # a second list: which of them holds the options is not said
    options = {match["label"]: match["text"].strip() for match in found}
    return "\n".join(kept), options


def by_label(question: str, options: dict[str, str], *, ordered: bool = False) -> ClosedQuestion:
    """Return a choice that is answered with an option's label."""
    space = (Scale if ordered else Choice)(tuple(options.values()))
    label_of = {option: label for label, option in options.items()}
    return ClosedQuestion(question, space, lambda action: label_of[str(action)])


def by_text(question: str, options: Sequence[str]) -> ClosedQuestion:
    """Return a choice that is answered with an option's text."""
    space = (Scale if tuple(options) == _LIKERT else Choice)(tuple(options))
    return ClosedQuestion(question, space, str)


_LIKERT = ("Strongly disagree", "Disagree", "Neutral", "Agree", "Strongly agree")


def selection(
    question: str,
    options: Sequence[str],
    *,
    least: int,
    most: int,
    write: Callable[[list[str]], str],
) -> ClosedQuestion | None:
    """Return a multiple choice: scored selection by selection where there are not too many."""
    several = MultiChoice(tuple(options))
    subsets = _subsets(options, range(least, min(most, len(options)) + 1))
    if len(subsets) <= MOST_SUBSETS:
        by_text = {several.render(chosen): chosen for chosen in subsets}
        return ClosedQuestion(
            question, Choice(tuple(by_text)), lambda action: write(list(by_text[str(action)]))
        )
    if least > 0 or most < len(options):
        return None  # a selection that is written keeps to no limits
    return ClosedQuestion(
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


def words(text: str) -> str:
    """Return a text on one line."""
    return " ".join(text.split())
