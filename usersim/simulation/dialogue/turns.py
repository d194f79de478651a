"""What one of the two said in a dialogue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from usersim.simulation.answer import Answer

__all__ = ["Speaker", "Turn", "said_before"]

Speaker = Literal["user", "assistant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What one of the two said.

    Attributes:
        speaker: Who.
        text: What the other one read; empty where a person left without a word.
        answer: The simulated answer behind a turn of the person, with its trace; None for the
            assistant, and for a fixed opening. The assistant never sees it.
        leaving: The answer to whether the person goes on, where that was asked after this turn.

    Example:
        >>> from usersim import UserSimulator
        >>> rows = [{"user_id": "ada", "context": "Tea?", "action": "Yes."}]
        >>> with UserSimulator.from_corpus(rows, user_id="ada", engine="scripted") as sim:
        ...     talk = sim.dialogue(lambda messages: "We have green tea.", "buy tea")
        >>> [turn.speaker for turn in talk.turns[:2]], talk.turns[0].answer.kind
        (['user', 'assistant'], 'free_text')
    """

    speaker: Speaker
    text: str
    answer: Answer | None = None
    leaving: Answer | None = None


def said_before(turns: Sequence[Turn], speaker: Speaker) -> list[str]:
    """Return what one of the two said so far, oldest first, words alone."""
    return [turn.text for turn in turns if turn.speaker == speaker and turn.text]
