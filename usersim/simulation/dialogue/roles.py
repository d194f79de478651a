"""Who sees what: the same turns, once as the person sees them and once as the assistant does.

The person's model reads a context in which its own turns carry its `user_id` as their name; the
assistant reads `user` and `assistant` messages, and of the person nothing but their words. Goal
and traces have no way from here to the assistant: what is made for it takes texts alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from usersim.prompts.view import CUT, cut_start
from usersim.simulation.dialogue.record import Scenario
from usersim.simulation.dialogue.turns import Turn
from usersim.types import Choice, Message, Question

__all__ = ["GOES_ON", "STAYS", "Marks", "for_assistant", "for_user", "goes_on_question"]

OPENING = Message("(The conversation begins.)", role="system", name="conversation")
"""What stands where nothing was said yet, as chats in the corpus have it."""
STAYS, DONE, GIVES_UP = "I go on", "I am done", "I give up"
GOES_ON = Choice((STAYS, DONE, GIVES_UP))
"""What a person who is asked can do after a reply."""
_GOAL = "what I want"
_LEAVING = "how I end it"
_EARLIER = Message(CUT, role="system", name="earlier")
_LEAST = 40
"""Fewest characters of a message that are worth showing."""


@dataclass(frozen=True, slots=True)
class Marks:
    """What a person writes who leaves.

    Attributes:
        done: They have what they want.
        give_up: They give up.
    """

    done: str
    give_up: str


def for_assistant(turns: Sequence[Turn]) -> list[dict[str, str]]:
    """Return turns as chat messages for the assistant: roles and words, nothing else.

    Example:
        >>> turns = [Turn(speaker="user", text="hi"), Turn(speaker="assistant", text="Hello.")]
        >>> for_assistant(turns)
        [{'role': 'user', 'content': 'hi'}, {'role': 'assistant', 'content': 'Hello.'}]
    """
    return [{"role": turn.speaker, "content": turn.text} for turn in turns if turn.text]


def for_user(
    user_id: str, scenario: Scenario, turns: Sequence[Turn], *, marks: Marks | None, limit: int
) -> Question:
    """Return what the person reads before their next turn.

    Args:
        user_id: Who; their own turns carry it as their name.
        scenario: Their goal stands first and is never cut.
        turns: What was said; the newest that fit into `limit`, the rest is marked as left out.
        marks: How they say that they leave; None if they do not.
        limit: Characters in all.

    Example:
        >>> turns = [Turn(speaker="user", text="hi"), Turn(speaker="assistant", text="Hello.")]
        >>> goal = Scenario(goal="a refund")
        >>> for one in for_user("ada", goal, turns, marks=None, limit=3000).context:
        ...     print(one.role, one.name, one.content)
        system what I want a refund
        user ada hi
        assistant None Hello.
    """
    head: list[Message] = []
    if scenario.goal.strip():
        head.append(Message(scenario.goal.strip(), role="system", name=_GOAL))
    if marks is not None:
        said = (
            f"When I have what I want I end my message with {marks.done}; "
            f"when I give up, with {marks.give_up}."
        )
        head.append(Message(said, role="system", name=_LEAVING))
    said_so_far = [_as_message(user_id, turn) for turn in turns if turn.text] or [OPENING]
    room = limit - sum(map(_size, head))
    return Question((*head, *_newest(said_so_far, room)))


def goes_on_question(question: Question) -> Question:
    """Return the closed question whether the person goes on after what they read."""
    return Question(question.context, GOES_ON)


def _as_message(user_id: str, turn: Turn) -> Message:
    own = turn.speaker == "user"
    return Message(turn.text, role=turn.speaker, name=user_id if own else None)


def _size(message: Message) -> int:
    """Return the characters of a message as one line of a prompt, its label included."""
    return len(message.content.strip()) + len(message.name or message.role) + len(": \n")


def _newest(messages: Sequence[Message], room: int) -> list[Message]:
    """Return the newest messages that fit; the first of them may be cut at its beginning."""
    if sum(map(_size, messages)) <= room:
        return list(messages)
    left = room - _size(_EARLIER)
    kept: list[Message] = []
    for message in reversed(messages):
        if _size(message) <= left:
            kept.append(message)
            left -= _size(message)
            continue
        shown = left - (_size(message) - len(message.content.strip()))
        if shown >= _LEAST or not kept:
            short = cut_start(message.content.strip(), max(shown, _LEAST))
            kept.append(Message(short, role=message.role, name=message.name))
        break
    return [_EARLIER, *reversed(kept)]
