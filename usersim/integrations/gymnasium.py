"""`UserEnv`: a simulated person as a Gymnasium environment, to train assistants against.

An action is the assistant's message, an observation the person's next turn. Knows Gymnasium and
the simulator; knows nothing of any learning algorithm.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from typing import Any

from usersim.config import DialogueConfig
from usersim.errors import ConfigError, MissingDependencyError, UsersimError
from usersim.simulation.dialogue import Reached, Scenario, Talk, Turn
from usersim.simulator import UserSimulator
from usersim.simulator.dialogue import Voices

try:
    import gymnasium
    from gymnasium import spaces
except ImportError as error:
    raise MissingDependencyError("gymnasium", extra="gym", why="UserEnv") from error

__all__ = ["Reward", "UserEnv", "Utterance", "goal_reward"]

Reward = Callable[[Talk], float]
"""Returns what the last step was worth, from the dialogue so far."""

LONGEST = 20_000
"""Longest message, characters: what the corpus takes as one message."""


class Utterance(spaces.Text):
    """Any text up to a length, in any script.

    Gymnasium's `Text` lists the characters that it takes, and people write any. What is sampled
    is words of the Latin alphabet.

    Args:
        max_length: Characters at the most.
        min_length: Characters at the least.

    Example:
        >>> Utterance(10).contains("naïve ☕"), Utterance(3).contains("four")
        (True, False)
    """

    def __init__(self, max_length: int = LONGEST, *, min_length: int = 0) -> None:
        super().__init__(max_length, min_length=min_length, charset=string.ascii_letters + " .?!")

    def contains(self, x: Any) -> bool:  # noqa: ANN401 - Gymnasium's signature
        """Return whether `x` is a text of such a length."""
        return isinstance(x, str) and self.min_length <= len(x) <= self.max_length

    def sample(self, mask: Any = None, probability: Any = None) -> str:  # noqa: ANN401 - Gymnasium's signature
        """Return a few made words; masks do not apply to open text.

        Raises:
            ConfigError: If a mask is given.
        """
        if mask is not None or probability is not None:
            raise ConfigError("an utterance is sampled without a mask")
        letters = self.np_random.choice(list(string.ascii_lowercase), size=(4, 5))
        text = " ".join("".join(word) for word in letters)
        return text[: self.max_length].ljust(self.min_length, ".")


def goal_reward(talk: Talk) -> float:
    """Return 1 at the end of a dialogue whose goal is reached or whose person is done, else 0.

    Example:
        >>> goal_reward(Talk("ada", Scenario()))
        0.0
    """
    return float(talk.stop is not None and talk.stop.reason in {"done", "reached"})


class UserEnv(gymnasium.Env[str, str]):
    """A simulated person to talk with.

    `reset` begins a dialogue and returns the person's first turn, or an empty text where the
    assistant begins. `step` takes the assistant's message and returns the person's next turn: an
    empty text if they left without a word. An episode is *terminated* when the person leaves or
    the goal is reached, *truncated* when the turns run out or no turn could be made. `info` holds
    the trace, which is for whoever trains and must not become part of an observation. It is made
    directly, not by `gymnasium.make`, which copies its arguments: a simulator cannot be copied.

    Args:
        sim: Whose people talk.
        scenarios: Who talks and what for; an episode takes one of them at random.
        reward: What a step is worth; the default is `goal_reward`.
        reached: Test of whether the goal is reached.
        config: When a dialogue ends.
        max_length: Characters of a message at the most.

    Raises:
        ConfigError: If there is no scenario.

    Example:
        >>> rows = [{"user_id": "ada", "context": "Tea?", "action": "Yes."}]
        >>> with UserSimulator.from_corpus(rows, engine="scripted") as sim:
        ...     env = UserEnv(sim, [Scenario(goal="a cup of tea")])
        ...     said, info = env.reset(seed=0)
        ...     said, reward, terminated, truncated, info = env.step("With milk?")
        ...     sorted(info), reward
        (['messages', 'reasoning', 'user_id'], 0.0)
    """

    metadata = {"render_modes": ["ansi"], "render_fps": 1}  # noqa: RUF012 - Gymnasium's declaration

    def __init__(
        self,
        sim: UserSimulator,
        scenarios: Sequence[Scenario],
        *,
        reward: Reward = goal_reward,
        reached: Reached | None = None,
        config: DialogueConfig = DialogueConfig(),
        max_length: int = LONGEST,
        render_mode: str | None = None,
    ) -> None:
        if not scenarios:
            raise ConfigError(
                "dialogues need at least one scenario", hint="pass at least one Scenario"
            )
        self.action_space = Utterance(max_length, min_length=1)
        self.observation_space = Utterance(max_length)
        self.render_mode = render_mode
        self._longest = max_length
        self._voices = Voices(sim, config)
        self._scenarios = tuple(scenarios)
        self._reward = reward
        self._reached = reached
        self._talk: Talk | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[str, dict[str, Any]]:
        """Begin a dialogue.

        Args:
            seed: Reproduces the episodes from here on.
            options: `scenario` is the place of the scenario to take; none is drawn then.

        Returns:
            The person's first turn, and `info`.

        Raises:
            ConfigError: If there is no such option or scenario.
            UsersimError: If no first turn could be made.
        """
        super().reset(seed=seed)
        place = self._place(options or {})
        # Python's integers: numpy's do not survive the content hash.
        own = int(self.np_random.integers(2**62))
        self._talk = talk = self._voices.begin(
            self._scenarios[place], seed=own, reached=self._reached
        )
        turn = None
        if talk.speaker == "user" and talk.stop is None:
            turn = self._voices.speak(talk)
        elif talk.turns and talk.turns[-1].speaker == "user":
            turn = talk.turns[-1]
        return self._seen(turn), self._info(talk, turn)

    def _place(self, options: dict[str, Any]) -> int:
        unknown = sorted(options.keys() - {"scenario"})
        if unknown:
            raise ConfigError(f"reset has no options {unknown!r}", hint="it has: scenario")
        place = options.get("scenario")
        if place is None:
            return int(self.np_random.integers(len(self._scenarios)))
        if place not in range(len(self._scenarios)):
            raise ConfigError(
                f"there is no scenario {place!r}; there are {len(self._scenarios)}, from 0"
            )
        return int(place)

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Let the assistant speak, then the person.

        Args:
            action: The assistant's message.

        Returns:
            The person's turn, the reward, whether the person is gone, whether the episode was
            cut, and `info`; with `failure` where no turn could be made.

        Raises:
            ConfigError: If no dialogue is in progress.
            AssistantError: If the message is empty.
            UsersimError: If the engine is gone for the moment.
        """
        talk = self._talk
        if talk is None or talk.stop is not None:
            raise ConfigError("no dialogue is in progress", hint="call reset() first")
        talk.hear(action)
        turn, failure = None, None
        if talk.stop is None:
            try:
                turn = self._voices.speak(talk)
            except UsersimError as error:
                if error.retryable:
                    raise
                failure, self._talk = error, None
        info = self._info(talk, turn)
        if failure is not None:
            info["failure"] = str(failure)
        cut = failure is not None or (talk.stop is not None and talk.stop.truncated)
        ended = talk.stop is not None and not cut
        return self._seen(turn), float(self._reward(talk)), ended, cut, info

    def _seen(self, turn: Turn | None) -> str:
        """Return the person's words, cut to what the observation space takes."""
        return turn.text[: self._longest] if turn else ""

    def _info(self, talk: Talk, turn: Turn | None) -> dict[str, Any]:
        """Return what is known beside the observation."""
        info: dict[str, Any] = {"user_id": talk.user_id, "messages": talk.messages}
        if turn is not None and turn.answer is not None:
            info["reasoning"] = turn.answer.reasoning
        if talk.stop is not None:
            info["stop"] = {"reason": talk.stop.reason, "detail": talk.stop.detail}
        return info

    def render(self) -> str:
        """Return what was said so far, line by line."""
        turns = self._talk.turns if self._talk else []
        return "\n".join(f"{turn.speaker}: {turn.text}" for turn in turns if turn.text)
