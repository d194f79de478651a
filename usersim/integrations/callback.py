"""A simulated person as a callback: chat messages in, the person's next message out.

For testbeds that hold the dialogue themselves and ask for the user's turn. Nothing is kept
between two calls, so one callback serves many dialogues at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import cast

from usersim.config import DialogueConfig
from usersim.errors import ConfigError
from usersim.simulation import Answer
from usersim.simulation.dialogue import Reached, Scenario, Speaker, Stop, Turn
from usersim.simulator import UserSimulator
from usersim.simulator.dialogue import Voices
from usersim.types import Message, MessageLike

__all__ = ["UserCallback", "UserSaid"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UserSaid:
    """What the person said, and whether they are gone.

    Attributes:
        text: Their words; empty if they left without one.
        stop: Why they are gone; None while they stay.
        answer: The simulated answer with its trace, for the tester and never for the assistant;
            None where they left without a word.
    """

    text: str
    stop: Stop | None
    answer: Answer | None


class UserCallback:
    """Speaks as one person of a simulator.

    Args:
        sim: Whose person.
        scenario: Who talks, and what for.
        config: When they leave.
        seed: Reproduces what they say; None takes the configured one.
        reached: Test of whether the goal is reached.

    Example:
        >>> rows = [{"user_id": "ada", "context": "Tea?", "action": "Yes."}]
        >>> with UserSimulator.from_corpus(rows, engine="scripted") as sim:
        ...     person = UserCallback(sim, Scenario(goal="a cup of tea"))
        ...     first = person([])
        ...     turns = [
        ...         {"role": "user", "content": first.text},
        ...         {"role": "assistant", "content": "With milk?"},
        ...     ]
        ...     person(turns).text == person(turns).text
        True
    """

    def __init__(
        self,
        sim: UserSimulator,
        scenario: Scenario,
        *,
        config: DialogueConfig = DialogueConfig(),
        seed: int | None = None,
        reached: Reached | None = None,
    ) -> None:
        self._voices = Voices(sim, config)
        self._scenario = scenario
        self._seed = seed
        self._reached = reached

    def __call__(self, messages: Iterable[MessageLike]) -> UserSaid:
        """Return the person's next message.

        Args:
            messages: The dialogue so far, oldest first. `user` is the person, `assistant` the
                other; system prompts and calls of tools are the assistant's own and left out.

        Raises:
            ConfigError: If it is not the person's turn, or a message cannot be read.
            UsersimError: If what was drawn stayed malformed.
        """
        turns = [turn for turn in map(_turn, messages) if turn is not None]
        talk = self._voices.begin(self._scenario, seed=self._seed, reached=self._reached)
        if not turns and talk.turns and talk.speaker == "assistant":
            return UserSaid(text=talk.turns[0].text, stop=talk.stop, answer=None)
        # The messages hold the opening, if there was one.
        talk.turns[:] = turns[:-1]
        if turns and turns[-1].speaker == "user":
            raise ConfigError(
                f"the last message is from the person: {turns[-1].text!r}",
                hint="call it after the assistant has replied",
            )
        if turns:
            talk.hear(turns[-1].text)
        turn = self._voices.speak(talk) if talk.stop is None else None
        if turn is None:
            return UserSaid(text="", stop=talk.stop, answer=None)
        return UserSaid(text=turn.text, stop=talk.stop, answer=turn.answer)

    async def acall(self, messages: Iterable[MessageLike]) -> UserSaid:
        """Return the person's next message without blocking the event loop."""
        return await asyncio.to_thread(self, list(messages))


def _turn(message: MessageLike) -> Turn | None:
    """Return a chat message as a turn; None if the person never saw it.

    Raises:
        ConfigError: If it is not a chat message.
    """
    if isinstance(message, Message):
        message = {"role": message.role, "content": message.content}
    if not isinstance(message, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigError(
            f'messages must be Message objects or {{"role", "content"}} dicts; got {message!r}'
        )
    role, content = message.get("role"), message.get("content")
    if role not in {"user", "assistant"}:
        return None
    text = _text(content)
    if text is None:
        raise ConfigError(f"a message of {role!r} has no text: {content!r}")
    return Turn(speaker=cast("Speaker", role), text=text) if text.strip() else None


def _text(content: object) -> str | None:
    """Return a content's text, its parts joined; empty for a call of a tool."""
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        return None
    parts = cast("list[Mapping[str, object]]", content)
    return "\n".join(str(one.get("text", "")) for one in parts if one.get("type") == "text")
