"""What one respondent has given so far: the answers that conditions and texts may look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from usersim.types import Number

__all__ = ["MOST_CHARS", "GivenAnswer", "ItemValue"]

ItemValue = str | float
"""A label, `yes` or `no`, a number, a rank, an amount, or a text."""
MOST_CHARS = 600
"""Longest form of an earlier answer in a text or in the memory; the rest is cut and marked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenAnswer:
    """What came of one question for one respondent.

    Attributes:
        state: Whether there is an answer, and if not, why not.
        items: The value of each item; one without a name where the question has one answer.
            Of a multiple choice `yes` or `no`, of a ranking ranks, of a budget amounts.
        codes: Number of each label of an ordered question, for comparisons with numbers.
        label: The refusal that was chosen; empty otherwise.
        reason: Why it was skipped or failed; empty otherwise.
        kind: Type of the question.

    Example:
        >>> drinks = {"tea": "yes", "milk": "no"}
        >>> GivenAnswer(state="answered", items=drinks, kind="multiple_choice").text
        'tea'
    """

    state: Literal["answered", "refused", "skipped", "failed"]
    items: Mapping[str, ItemValue] = field(default_factory=dict[str, ItemValue])
    codes: Mapping[str, float] = field(default_factory=dict[str, float])
    label: str = ""
    reason: str = ""
    kind: str = ""

    @property
    def value(self) -> ItemValue | None:
        """The answer of a question that has one, or the refusal; None otherwise."""
        return self.label if self.state == "refused" else self.items.get("")

    @property
    def chosen(self) -> tuple[str, ...]:
        """The options chosen in a multiple choice; of any other question its one answer."""
        if self.kind == "multiple_choice":
            return tuple(item for item, value in self.items.items() if value == "yes")
        return () if self.value is None else (str(self.value),)

    @property
    def text(self) -> str:
        """The answer in words, on one line, as it stands in later texts; empty if there is none."""
        words = self.label if self.state == "refused" else self._words()
        line = " ".join(words.split())
        return line if len(line) <= MOST_CHARS else f"{line[:MOST_CHARS]}[...]"

    def _words(self) -> str:
        if self.kind == "multiple_choice":
            return "; ".join(self.chosen) or ("none of these" if self.items else "")
        if self.kind == "ranking":
            ranked = sorted(self.items, key=lambda item: float(self.items[item]))
            return "; ".join(f"{place}. {item}" for place, item in enumerate(ranked, start=1))
        return "; ".join(
            f"{item}: {_plain(value)}" if item else _plain(value)
            for item, value in self.items.items()
        )


def _plain(value: ItemValue) -> str:
    return value if isinstance(value, str) else Number().render(value)
