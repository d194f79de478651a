"""How long a person stays in a conversation, and how often they repeat themselves: a life table.

From counts of past conversations; knows neither the store nor any theory of persons. What the
corpus does not show has a stated default and says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from usersim.types.counting import counted

__all__ = ["DEFAULT_REPEATS", "Patience", "folded", "learn_patience"]

DEFAULT_REPEATS = 2
"""How often in a row a person may say the same where no corpus says otherwise: once more than a
misheard sentence needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """What past conversations show of how long a person stays and how they insist.

    The hazard after k turns is the share of the conversations with at least k turns of the
    person that had exactly k: a discrete life table. It is drawn toward the overall rate of
    leaving by the weight of one conversation, so that no single one decides, and beyond the
    longest conversation it is that rate. A corpus holds what a person did, so every conversation
    in it ended; what was said after their last turn it does not hold, so neither how satisfied
    they left nor who had the last word can be read from it, and neither is used.

    Attributes:
        source: Whose conversations: the person's own, those of all people together, or none:
            then nobody leaves for that reason.
        ended: How many conversations ended after 1, 2, 3, ... turns of the person.
        longest_run: Most times in a row that the same was said; 0 where nothing is known.

    Example:
        >>> past = learn_patience([["hi", "ok"], ["hi"], ["a", "b", "c"], ["x", "y"]], "person")
        >>> past.conversations, past.turns, past.ended
        (4, 8, (1, 2, 1))
        >>> [round(past.hazard(k), 2) for k in (1, 2, 3, 4)]
        [0.3, 0.62, 0.75, 0.5]
    """

    source: Literal["person", "people", "default"] = "default"
    ended: tuple[int, ...] = ()
    longest_run: int = 0

    @property
    def conversations(self) -> int:
        """Conversations behind the estimate."""
        return sum(self.ended)

    @property
    def turns(self) -> int:
        """Turns of the person in them."""
        return sum(k * n for k, n in enumerate(self.ended, start=1))

    @property
    def repeats(self) -> int:
        """How often in a row the person may say the same."""
        return max(self.longest_run, 1) if self.conversations else DEFAULT_REPEATS

    def at_risk(self, turn: int) -> int:
        """Return how many conversations had at least `turn` turns of the person."""
        return sum(self.ended[turn - 1 :])

    def hazard(self, turn: int) -> float:
        """Return the probability of leaving after `turn` turns, having stayed until then.

        Args:
            turn: Turns of the person so far, from 1.

        Returns:
            (ended + rate) / (at risk + 1), with rate = conversations / turns; 0 by default.
        """
        if not self.conversations:
            return 0.0
        rate = self.conversations / self.turns
        ended = self.ended[turn - 1] if turn <= len(self.ended) else 0
        return (ended + rate) / (self.at_risk(turn) + 1)

    def table(self) -> list[tuple[int, int, int, float]]:
        """Return (turn, conversations that came so far, ended there, hazard) for each turn."""
        return [
            (turn, self.at_risk(turn), ended, self.hazard(turn))
            for turn, ended in enumerate(self.ended, start=1)
        ]

    def __str__(self) -> str:
        """Say where it comes from and what it rests on."""
        if not self.conversations:
            return "no patience or persistence is known; defaults are used"
        whose = "their own" if self.source == "person" else "everybody's"
        return (
            f"from {counted(self.conversations, 'conversation')} of {whose} with "
            f"{counted(self.turns, 'turn')}"
        )


def learn_patience(
    conversations: Iterable[Sequence[str]], source: Literal["person", "people"]
) -> Patience:
    """Return what conversations show; the default if none has a second turn of the person.

    Args:
        conversations: For each the person's turns, oldest first.
        source: Whose they are.
    """
    counts: dict[int, int] = {}
    run = 0
    for turns in conversations:
        counts[len(turns)] = counts.get(len(turns), 0) + 1
        run = max([run, *(len(list(same)) for _, same in groupby(map(folded, turns)))])
    most = max(counts, default=0)
    if most < 2:  # noqa: PLR2004 - single answers are no conversations and show no leaving
        return Patience()
    ended = tuple(counts.get(k, 0) for k in range(1, most + 1))
    return Patience(source=source, ended=ended, longest_run=run)


def folded(text: str) -> str:
    """Return what two texts share that differ in case, signs and spaces alone.

    Example:
        >>> folded("No, thanks!") == folded("no thanks")
        True
    """
    letters = "".join(sign if sign.isalnum() else " " for sign in text.casefold())
    return " ".join(letters.split()) or text.strip()
