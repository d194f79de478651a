"""One dialogue under way: whose move it is, what is read next, and whether it ended.

Holds the turns; makes none: answers and replies come from outside. No engine, no store.
"""

from __future__ import annotations

from dataclasses import asdict, replace

from usersim.config import DialogueConfig
from usersim.errors import AssistantError, ConfigError, boundary
from usersim.simulation.answer import Answer
from usersim.simulation.dialogue import rules
from usersim.simulation.dialogue.patience import Patience
from usersim.simulation.dialogue.record import Dialogue, Scenario, Stop
from usersim.simulation.dialogue.roles import Marks, for_assistant, for_user, goes_on_question
from usersim.simulation.dialogue.turns import Speaker, Turn, said_before
from usersim.simulation.reasoning import derive_seed
from usersim.types import Question

__all__ = ["Talk"]


class Talk:
    """A dialogue under way.

    Args:
        user_id: Who is simulated.
        scenario: What for.
        config: When it ends.
        patience: What the corpus shows of the person.
        seed: Seed of the person's turns and of when they leave.
        limit: Characters of the dialogue that the person reads at the most.
        reached: The caller's test of whether the goal is reached.

    Attributes:
        turns: What was said so far.
        stop: Why it ended; None while it goes on.
    """

    def __init__(
        self,
        user_id: str,
        scenario: Scenario,
        *,
        config: DialogueConfig = DialogueConfig(),
        patience: Patience = Patience(),
        seed: int = 0,
        limit: int = 3_000,
        reached: rules.Reached | None = None,
    ) -> None:
        self.user_id = user_id
        self.scenario = scenario
        self.patience = patience
        self.seed = seed if scenario.draw == 0 else derive_seed(seed, "draw", scenario.draw)
        self.turns: list[Turn] = []
        self.stop: Stop | None = None
        self._config = config
        self._limit = limit
        self._reached = reached
        # Not the seed alone: people of one batch share it, and do not leave at the same time.
        self._chance = derive_seed(self.seed, user_id, scenario.goal, scenario.begins)
        marks = Marks(config.done_mark, config.give_up_mark)
        self._marks = marks if config.leaving == "said" else None
        if scenario.opening.strip():
            self._add(Turn(speaker=scenario.begins, text=scenario.opening))

    @property
    def speaker(self) -> Speaker:
        """Whose move it is."""
        if not self.turns:
            return self.scenario.begins
        return "assistant" if self.turns[-1].speaker == "user" else "user"

    @property
    def question(self) -> Question:
        """What the person reads before their next turn."""
        return for_user(
            self.user_id, self.scenario, self.turns, marks=self._marks, limit=self._limit
        )

    @property
    def leaving_question(self) -> Question | None:
        """The closed question whether the person goes on; None where it is not to be asked."""
        begun = bool(said_before(self.turns, "user"))
        if self._config.leaving != "asked" or self.speaker != "user" or not begun:
            return None
        return None if self.stop else goes_on_question(self.question)

    @property
    def messages(self) -> list[dict[str, str]]:
        """What the assistant reads: roles and words."""
        return for_assistant(self.turns)

    def say(self, answer: Answer) -> Turn:
        """Take the person's next turn; what it means for the dialogue stands in `stop`."""
        text, left = answer.action_text, None
        if self._marks is not None:
            text, left = rules.said(text, self._marks)
        turn = self._add(Turn(speaker="user", text=text, answer=answer))
        repeats = self._config.repeats or self.patience.repeats
        self.stop = left or self.stop or rules.repetition(self.turns, repeats)
        return turn

    def hear(self, text: str) -> Turn:
        """Take the assistant's next turn; what it means for the dialogue stands in `stop`.

        Raises:
            AssistantError: If it is not a text, or empty.
        """
        if not isinstance(text, str) or not text.strip():  # pyright: ignore[reportUnnecessaryIsInstance]
            raise AssistantError(
                f"the assistant said {text!r} to user {self.user_id!r}, which is not a message",
                hint="an assistant must take a list of messages and return its reply as a text",
            )
        turn = self._add(Turn(speaker="assistant", text=text))
        spoken = len(said_before(self.turns, "user"))
        if self.stop is None and spoken:
            self.stop = rules.limit(spoken, self._config.max_turns) or self._lost_patience(spoken)
        return turn

    def decide(self, answer: Answer) -> None:
        """Take the answer to `leaving_question`."""
        self.turns[-1] = replace(self.turns[-1], leaving=answer)
        self.stop = rules.asked(answer)

    def _lost_patience(self, spoken: int) -> Stop | None:
        if self._config.patience == "off":
            return None
        return rules.out_of_patience(self.patience, spoken, self._chance)

    def _add(self, turn: Turn) -> Turn:
        self.turns.append(turn)
        if self._reached is not None:
            with boundary(
                ConfigError,
                f"testing whether the goal {self.scenario.goal!r} of user {self.user_id!r} is "
                f"reached",
                hint="`reached` must take the turns so far and return a bool",
            ):
                if self._reached(tuple(self.turns)):
                    self.stop = Stop(reason="reached", detail=f"after turn {len(self.turns)}")
        return turn

    def record(self, key: str, assistant: str, engine: str) -> Dialogue:
        """Return the dialogue as it ended.

        Args:
            key: Its identity.
            assistant: The assistant's name.
            engine: Identity of the engine behind the person.
        """
        assert self.stop is not None, "only a finished dialogue can be recorded"
        return Dialogue(
            key=key,
            user_id=self.user_id,
            scenario=replace(self.scenario, user_id=self.user_id),
            assistant=assistant,
            turns=tuple(self.turns),
            stop=self.stop,
            patience=self.patience,
            engine=engine,
            seed=self.seed,
        )

    def identity(self) -> dict[str, object]:
        """Return what the dialogue depends on, as far as it is known here."""
        scenario = asdict(self.scenario) | {"user_id": self.user_id}
        return {
            "scenario": {name: scenario[name] for name in scenario if name != "metadata"},
            "config": self._config.model_dump(mode="json", exclude=_UNSEEN),
            "patience": asdict(self.patience),
            "seed": self.seed,
            "limit": self._limit,
        }


_UNSEEN = {"at_once", "assistant_calls", "assistant_seconds"}
"""Settings that change how fast a dialogue is held, and not what is said."""
