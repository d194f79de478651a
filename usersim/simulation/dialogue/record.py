"""What a dialogue is: its scenario, its turns, why it ended; and its plain forms.

Frozen values. Knows nothing of how turns are made, of the store or of files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from usersim.simulation.dialogue.faults import Faults, count_faults
from usersim.simulation.dialogue.patience import Patience
from usersim.simulation.dialogue.turns import Speaker, Turn
from usersim.types.counting import counted
from usersim.views import Cell, in_words, printed, shortened

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = ["ENDINGS", "Dialogue", "Ending", "Scenario", "Stop", "fault_rate"]

Ending = Literal["done", "gave_up", "reached", "repetition", "patience", "limit"]

ENDINGS: Mapping[Ending, str] = {
    "done": "the person said that they are done",
    "gave_up": "the person said that they give up",
    "reached": "the goal is reached, by the caller's own test",
    "repetition": "the person repeated themselves too often",
    "patience": "the person left, with the probability seen in their past conversations",
    "limit": "the maximum number of turns was reached",
}
"""Every way in which a dialogue ends, and what it means."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Who talks with the assistant, and what for.

    Attributes:
        goal: What the person wants, in a few words of theirs. The assistant never sees it.
        user_id: The person; None where the simulator holds only one.
        begins: Who speaks first.
        opening: A fixed first message of whoever begins; empty has it made.
        draw: Tells dialogues of the same scenario apart: another number, other turns.
        metadata: What else the caller says about it; comes back with the dialogue.

    Example:
        >>> Scenario(goal="a cup of tea", opening="Good morning.").begins
        'user'
    """

    goal: str = ""
    user_id: str | None = None
    begins: Speaker = "user"
    opening: str = ""
    draw: int = 0
    metadata: Mapping[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Why a dialogue ended.

    Attributes:
        reason: One of `ENDINGS`.
        detail: The figure or the words behind it.
    """

    reason: Ending
    detail: str = ""

    @property
    def truncated(self) -> bool:
        """True if only the limit ended it: the person would have gone on."""
        return self.reason == "limit"

    def __str__(self) -> str:
        """Say it in one line."""
        return ENDINGS[self.reason] + (f" ({self.detail})" if self.detail else "")


@printed(in_words)
@dataclass(frozen=True, slots=True, kw_only=True)
class Dialogue:
    """A dialogue of a simulated person with an assistant, from its first turn to its end.

    It is a model's guess at how the person would talk, not what they said.

    Attributes:
        key: Content hash of everything that it depends on; its identity in a file.
        user_id: Who was simulated.
        scenario: What for.
        assistant: The assistant's name.
        turns: What was said, oldest first.
        stop: Why it ended.
        patience: What the corpus showed of the person's patience and persistence.
        engine: Identity of the engine behind the person.
        seed: Seed of the person's turns.
        simulated: Always True; travels with every export.

    Example:
        >>> from usersim import UserSimulator
        >>> rows = [{"user_id": "ada", "context": "Tea?", "action": "Yes."}]
        >>> with UserSimulator.from_corpus(rows, user_id="ada", engine="scripted") as sim:
        ...     talk = sim.dialogue(lambda messages: "We have green tea.", "buy tea")
        >>> talk.user_id, len(talk.turns) > 1, talk.simulated
        ('ada', True, True)
    """

    key: str
    user_id: str
    scenario: Scenario
    assistant: str
    turns: tuple[Turn, ...]
    stop: Stop
    patience: Patience
    engine: str
    seed: int
    simulated: Literal[True] = True

    @property
    def user_turns(self) -> int:
        """How often the person spoke."""
        return sum(bool(turn.speaker == "user" and turn.text) for turn in self.turns)

    @property
    def faults(self) -> Faults:
        """Turns that the simulator itself spoiled; see `usersim.simulation.dialogue.FAULTS`."""
        return count_faults(self.turns, repeats=max(1, self.patience.repeats))

    def messages(self, *, traces: bool = False) -> list[dict[str, str]]:
        """Return the turns as chat messages: the person is `user`, as in any chat.

        Args:
            traces: Add the reasoning behind each turn of the person, as `reasoning`.

        Example:
            >>> from usersim import UserSimulator
            >>> rows = [{"user_id": "ada", "context": "Tea?", "action": "Yes."}]
            >>> with UserSimulator.from_corpus(rows, engine="scripted") as sim:
            ...     dialogue = sim.dialogue(lambda messages: "With milk?", "a cup of tea")
            >>> [message["role"] for message in dialogue.messages()][:2]
            ['user', 'assistant']
        """
        return [message(turn, traces=traces) for turn in self.turns if turn.text]

    def cells(self) -> dict[str, Cell]:
        """Return what stands of the dialogue in a list of dialogues."""
        return {
            "user": self.user_id,
            "goal": shortened(self.scenario.goal, 40),
            "turns": len(self.turns),
            "faults": len(self.faults.found),
            "ended": shortened(str(self.stop), 60),
        }

    def __repr__(self) -> str:
        """Say who talked with whom, for how long and why it ended."""
        return (
            f"Dialogue(user={self.user_id!r}, assistant={self.assistant!r}, "
            f"{counted(len(self.turns), 'turn')}, {self.stop.reason})"
        )

    def __str__(self) -> str:
        """Return what was said, line by line, and why it ended."""
        names = {"user": self.user_id, "assistant": "assistant"}
        lines = [f"{names[turn.speaker]}: {turn.text}" for turn in self.turns if turn.text]
        return "\n".join([*lines, f"-- {self.stop}"])

    def to_dict(self) -> dict[str, object]:
        """Return the dialogue as plain data, traces included."""
        data: dict[str, object] = _adapter().dump_python(self, mode="json")
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Dialogue:
        """Return the dialogue that `to_dict` wrote."""
        return _adapter().validate_python(data)

    def to_chat(self, *, traces: bool = False) -> dict[str, object]:
        """Return the dialogue as one record of a `messages` file, marked as simulated.

        Example:
            >>> from usersim import UserSimulator
            >>> rows = [{"user_id": "ada", "context": "Tea?", "action": "Yes."}]
            >>> with UserSimulator.from_corpus(rows, engine="scripted") as sim:
            ...     dialogue = sim.dialogue(lambda messages: "With milk?", "a cup of tea")
            >>> record = dialogue.to_chat()
            >>> record["user_id"], record["goal"], record["simulated"]
            ('ada', 'a cup of tea', True)
        """
        return {
            "id": self.key,
            "user_id": self.user_id,
            "simulated": self.simulated,
            "messages": self.messages(traces=traces),
            "goal": self.scenario.goal,
            "assistant": self.assistant,
            "stop": {"reason": self.stop.reason, "detail": self.stop.detail},
            "metadata": dict(self.scenario.metadata),
        }


def fault_rate(dialogues: Iterable[Dialogue]) -> Faults:
    """Return how many turns of many dialogues the simulator spoiled.

    Args:
        dialogues: Dialogues, for example a batch of `UserSimulator.dialogues`.

    Returns:
        The sums; places are those within each dialogue.
    """
    each = [dialogue.faults for dialogue in dialogues]
    return Faults(
        turns=sum(one.turns for one in each),
        found=tuple(found for one in each for found in one.found),
    )


def message(turn: Turn, *, traces: bool) -> dict[str, str]:
    """Return a turn as a chat message; without its trace unless it is asked for."""
    found = {"role": turn.speaker, "content": turn.text}
    if traces and turn.answer is not None:
        found["reasoning"] = turn.answer.reasoning
    return found


@lru_cache(maxsize=1)
def _adapter() -> TypeAdapter[Dialogue]:
    from pydantic import TypeAdapter

    return TypeAdapter(Dialogue)
