"""Turns that the simulator itself spoiled: counted, so that they are not blamed on the assistant.

Each rule reads the words alone and looks for what a person hardly writes; what it does not know
counts as sound, so the share is a lower bound. Knows turns; knows no engine and no store.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from usersim import transcript
from usersim.simulation.dialogue.patience import folded
from usersim.simulation.dialogue.turns import Turn
from usersim.types.counting import counted

__all__ = ["FAULTS", "Fault", "Faults", "count_faults", "fault_of"]

Fault = Literal["empty", "flipped", "assistant_voice", "reasoning", "repeated"]
FAULTS: Mapping[Fault, str] = {
    "empty": "the person says nothing, and the dialogue goes on",
    "flipped": "the turn says what the assistant said, or writes the turns of both",
    "assistant_voice": "the person offers help, as an assistant does",
    "reasoning": "the turn holds a tag of the reasoning, or a sentence of it",
    "repeated": "the person says the same as before, more often in a row than they may",
}
"""Every fault of a simulator, and what it means."""

_LEAST_WORDS = 5
"""Words of a text that nobody repeats by chance."""
_BOTH = re.compile(r"^\s*(?:assistant|agent|user|customer)\s*:", re.IGNORECASE | re.MULTILINE)
_VOICE = re.compile(
    r"\bhow (?:can|may) i (?:help|assist) you\b"
    r"|\bi(?:'m| am|'d be| would be) (?:here|happy|glad) to (?:help|assist)\b"
    r"|\bis there anything else (?:that )?i can (?:help|assist|do)\b"
    r"|\b(?:feel free to|let me know if you) (?:have any (?:other|more|further) questions|need any)"
    r"|\bas an ai\b|\bthank you for (?:contacting|reaching out to) (?:us|our)\b",
    re.IGNORECASE,
)
_TAGS = tuple(dict.fromkeys((transcript.OPEN.strip(), transcript.REASONING_STOP)))
_SENTENCE = re.compile(r"[^.!?\n]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How many of a simulator's turns it spoiled itself.

    Attributes:
        turns: Turns that the simulator made.
        found: Of those, the spoiled ones: place in the dialogue and fault, in their order.
    """

    turns: int
    found: tuple[tuple[int, Fault], ...] = ()

    @property
    def rate(self) -> float:
        """Share of the simulator's turns that it spoiled; 0 without a turn."""
        return len(self.found) / self.turns if self.turns else 0.0

    @property
    def counts(self) -> dict[Fault, int]:
        """Spoiled turns by fault, every fault named."""
        seen = Counter(fault for _, fault in self.found)
        return {fault: seen[fault] for fault in get_args(Fault)}

    def __str__(self) -> str:
        """Return the share in one line.

        Example:
            >>> print(Faults(turns=8, found=((2, "empty"),)))
            1 of 8 turns spoiled by the simulator (12.5%): 1 empty
        """
        first = f"{len(self.found)} of {counted(self.turns, 'turn')} spoiled by the simulator"
        kinds = ", ".join(f"{n} {fault}" for fault, n in self.counts.items() if n)
        return f"{first} ({self.rate:.1%})" + (f": {kinds}" if kinds else "")


def fault_of(turns: Sequence[Turn], place: int, *, repeats: int = 1) -> Fault | None:
    """Return what is wrong with one turn of the person; None for a sound one.

    Args:
        turns: The dialogue, oldest first.
        place: Of the turn.
        repeats: How often in a row the person may say the same.
    """
    turn = turns[place]
    if not turn.text.strip():
        return "empty" if place < len(turns) - 1 else None
    said, before = folded(turn.text), turns[:place]
    if _leaked(turn):
        return "reasoning"
    heard = {folded(one.text) for one in before if one.speaker == "assistant"}
    if _BOTH.search(turn.text) or (len(said.split()) >= _LEAST_WORDS and said in heard):
        return "flipped"
    if _VOICE.search(turn.text):
        return "assistant_voice"
    own = [folded(one.text) for one in before if one.speaker == turn.speaker]
    run = own[-repeats:]
    return "repeated" if len(run) == repeats and set(run) == {said} else None


def _leaked(turn: Turn) -> bool:
    """Whether a turn shows reasoning: a tag, or a long sentence of its own trace."""
    if any(tag in turn.text for tag in _TAGS):
        return True
    if turn.answer is None:
        return False
    said = f" {folded(turn.text)} "
    thought = [folded(sentence) for sentence in _SENTENCE.findall(turn.answer.reasoning)]
    return any(f" {one} " in said for one in thought if len(one.split()) > _LEAST_WORDS)


def count_faults(turns: Sequence[Turn], *, repeats: int = 1) -> Faults:
    """Return how many turns of a dialogue the simulator spoiled.

    Turns of the speaker `user` count; a fixed opening, which nobody simulated, does not where the
    record tells it from the others.

    Args:
        turns: The dialogue, oldest first; of a testbed's record, `Turn(speaker=…, text=…)`.
        repeats: How often in a row the person may say the same.

    Example:
        >>> from usersim.simulation.dialogue import Turn
        >>> said = [("user", "Hello"), ("assistant", "Hi!"), ("user", "How can I help you?")]
        >>> print(count_faults([Turn(speaker=who, text=text) for who, text in said]))
        1 of 2 turns spoiled by the simulator (50.0%): 1 assistant_voice
    """
    traced = any(turn.answer is not None for turn in turns)
    places = [
        place
        for place, turn in enumerate(turns)
        if turn.speaker == "user" and not (traced and turn.answer is None)
    ]
    found: list[tuple[int, Fault]] = []
    for place in places:
        fault = fault_of(turns, place, repeats=repeats)
        if fault is not None:
            found.append((place, fault))
    return Faults(turns=len(places), found=tuple(found))
