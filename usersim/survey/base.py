"""What every survey question shares: words, conditions, and the checks of labels.

Knows texts and labels; knows nothing of models, of order or of what was answered.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import ConfigDict, Field, FiniteFloat, StringConstraints, field_validator

from usersim.config.base import Config
from usersim.types import ActionSpace, normalized

__all__ = [
    "WRITABLE",
    "Code",
    "Identifier",
    "Label",
    "Labels",
    "Part",
    "QuestionBase",
    "coded",
    "conditional",
    "distinct",
    "doubled",
    "unfit",
]

RESERVED = frozenset(
    {"and", "or", "not", "in", "is", "if", "else", "lambda", "true", "false", "none"}
    | {"answered", "refused", "selected", "item"}
)
"""Words of the expression language; no question may be called so."""

_UNFIT = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Unicode categories: control, half of a pair, line and paragraph separators."""

WRITABLE = ConfigDict(str_max_length=1_000_000)
"""Of an instrument's texts: what cannot be written to a file as UTF-8, half a character, is
rejected. Pydantic looks for it where a length is limited, and nowhere else."""
Identifier = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", min_length=1, max_length=64)
]
"""Letters, digits and underscores, a letter first: it is a name in expressions and files."""
Label = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
"""An option, a row or a part as the respondent reads it."""
Labels = Annotated[tuple[Label, ...], Field(min_length=2, max_length=200)]
Code = int | FiniteFloat
"""Number that stands for a label in files and in comparisons with numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One elementary question of a survey question.

    Attributes:
        item: Which option, row or part it is about; empty where the question is asked whole.
        text: What is added to the question's text; empty where that says it all.
        space: What an answer may be; closed spaces are scored.
    """

    item: str = ""
    text: str = ""
    space: ActionSpace


class QuestionBase(Config):
    """A question of a survey, as the instrument states it."""

    model_config = WRITABLE

    id: Identifier
    """Name in expressions, placeholders, results and files; unique in the survey."""
    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=5000)]
    """What is asked; `{{ other }}` stands for the answer to the earlier question `other`."""
    instruction: str = ""
    """How it is to be answered, shown before the text."""
    refusal: tuple[Label, ...] = ()
    """Answers that are none, such as `don't know`; empty where the instrument allows none. They
    stand last and never move."""
    show_if: str = ""
    """Asked only if this expression over earlier answers is true; empty: always."""

    @field_validator("id")
    @classmethod
    def _is_no_word_of_the_language(cls, value: str) -> str:
        if value.lower() in RESERVED:
            raise ValueError(
                f"{value!r} is a reserved word of the expression language; choose another id"
            )
        return value

    @field_validator("refusal")
    @classmethod
    def _refusals_differ(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return distinct("refusal", value)

    @property
    def items(self) -> tuple[str, ...]:
        """Options, rows or parts that get an answer each; one without a name if it has but one."""
        return ("",)

    @property
    def labels(self) -> tuple[str, ...]:
        """What an answer may be, refusals last; these alone where it is a number or a text."""
        return self.refusal

    @property
    def shown_if(self) -> Mapping[str, str]:
        """Conditions under which single options, or rows of a matrix, are shown at all."""
        return {}


def doubled(labels: Sequence[str]) -> list[str]:
    r"""Return the labels that stand there more than once for whoever reads them.

    Compared without case, and as `usersim.types.normalized` has it: white space, invisible signs,
    HTML entities and the composition of accents make no other label.

    Example:
        >>> doubled(["Tea", "coffee", "tea ", "R&D", "R&amp;D", "cof\u200bfee"])
        ['tea ', 'R&amp;D', 'cof\u200bfee']
    """
    seen: set[str] = set()
    found: list[str] = []
    for label in labels:
        folded = normalized(label).casefold()
        if folded in seen:
            found.append(label)
        seen.add(folded)
    return found


def unfit(text: str) -> str:
    r"""Return the first sign of a one-line text that is a line break or steers a terminal.

    Example:
        >>> unfit("fine"), unfit("two\nlines")
        ('', '\n')
    """
    return next((sign for sign in text if unicodedata.category(sign) in _UNFIT), "")


def distinct(field: str, labels: tuple[str, ...]) -> tuple[str, ...]:
    """Return labels that differ and hold no placeholder.

    Raises:
        ValueError: Naming the field and the labels.
    """
    if twice := doubled(labels):
        raise ValueError(f"{field} has {twice!r} twice; every label must differ from the others")
    if odd := [label for label in labels if unfit(label)]:
        raise ValueError(f"{field} has {odd!r}, which contains line breaks or control characters")
    if piped := [label for label in labels if re.search(r"\{\{|\}\}", label)]:
        raise ValueError(
            f"{field} has a placeholder in {piped!r}; placeholders are only allowed in texts and "
            "instructions, so that all respondents see the same options"
        )
    return labels


def conditional(
    field: str, conditions: Mapping[str, str], labels: Sequence[str]
) -> Mapping[str, str]:
    """Return conditions of single labels, which are all there and have a condition each.

    Raises:
        ValueError: Naming the field and the labels.
    """
    if unknown := [label for label in conditions if label not in labels]:
        raise ValueError(f"{field} names {unknown!r}, not among {tuple(labels)!r}")
    if empty := [label for label, text in conditions.items() if not text.strip()]:
        raise ValueError(f"{field} has no condition for {empty!r}; leave those labels out")
    return conditions


def coded(
    codes: Mapping[str, float], options: Sequence[str], refusal: Sequence[str]
) -> Mapping[str, float]:
    """Return numbers of labels: one for every option, and no number twice.

    Raises:
        ValueError: Naming the labels.
    """
    if not codes:
        return codes
    if unknown := [label for label in codes if label not in {*options, *refusal}]:
        raise ValueError(f"codes names {unknown!r}, not among {(*options, *refusal)!r}")
    if missing := [label for label in options if label not in codes]:
        raise ValueError(
            f"codes has no number for {missing!r}; set a number for every option, or for none"
        )
    if len(set(codes.values())) != len(codes):
        raise ValueError(f"codes gives a number twice: {dict(codes)!r}")
    return codes
