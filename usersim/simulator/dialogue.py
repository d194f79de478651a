"""Dialogues with the people of a simulator: their history, their patience, their adapter.

Between the store and `usersim.simulation.dialogue`, which knows none.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cached_property, wraps
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, cast

from usersim.config import AssistantEndpoint, DialogueConfig
from usersim.errors import ArgumentError, ConfigError, UsersimError
from usersim.prompts.environment import templates_key
from usersim.simulation import Answer
from usersim.simulation.dialogue import (
    Assistant,
    Assistants,
    Dialogue,
    Patience,
    Reached,
    Scenario,
    Talk,
    Turn,
    hold,
    learn_patience,
    name_of,
)
from usersim.simulator.asking import Asker, only
from usersim.simulator.dialogue_files import DialogueFile
from usersim.simulator.people import People
from usersim.types import Batch, Failure, FreeText, Interaction, Question, content_key
from usersim.views import Progress

if TYPE_CHECKING:
    from usersim.simulator.face import UserSimulator

__all__ = ["Voices", "hold_dialogue", "hold_dialogues", "in_loop"]


@dataclass(frozen=True)
class Voices:
    """Speaks for the people of a simulator in dialogues, turn by turn.

    What `UserSimulator.dialogues` is made of, for testbeds that hold the dialogue themselves.

    Attributes:
        sim: The simulator.
        config: When a dialogue ends.

    Example:
        >>> from usersim import UserSimulator
        >>> rows = [{"user_id": "ada", "context": "Tea?", "action": "Yes."}]
        >>> with UserSimulator.from_corpus(rows, engine="scripted") as sim:
        ...     voices = Voices(sim)
        ...     talk = voices.begin(Scenario(goal="a cup of tea"))
        ...     first = voices.speak(talk)
        ...     _ = talk.hear("With milk?")
        ...     [message["role"] for message in talk.messages]
        ['user', 'assistant']
    """

    sim: UserSimulator
    config: DialogueConfig = DialogueConfig()
    _known: dict[str, Patience] = field(default_factory=dict[str, Patience], repr=False)

    @cached_property
    def _people(self) -> People:
        return People(self.sim.corpus, self.sim.user_id)

    @cached_property
    def _asker(self) -> Asker:
        return self.sim.asker()

    def begin(
        self, scenario: Scenario, *, seed: int | None = None, reached: Reached | None = None
    ) -> Talk:
        """Return a dialogue in which nobody has spoken, or only the scenario's opening.

        Raises:
            ConfigError: If the simulator holds several people and the scenario names none.
            UserNotFoundError: If there is no such user.
        """
        user_id = self._people.one(scenario.user_id)
        return Talk(
            user_id,
            scenario,
            config=self.config,
            patience=self.patience(user_id),
            seed=self.sim.config.simulation.seed if seed is None else seed,
            limit=self.sim.config.history.max_context_chars,
            reached=reached,
        )

    def speak(self, talk: Talk) -> Turn | None:
        """Let the person speak, or leave without a word.

        Returns:
            Their turn; None if they left. Either way `talk.stop` says whether they are gone.

        Raises:
            UsersimError: If what was drawn stayed malformed.
        """
        question = talk.leaving_question
        if question is not None:
            talk.decide(only(self.answer([(talk, question)])))
        if talk.stop is not None:
            return None
        return talk.say(only(self.answer([(talk, talk.question)])))

    def answer(self, asked: Sequence[tuple[Talk, Question]]) -> Batch[Answer]:
        """Answer each question as the person of its dialogue, in one batch; all are stored."""
        asker = self._asker
        items = [
            asker.prepared(talk.user_id, question, before=None, seed=talk.seed)
            for talk, question in asked
        ]
        batch, stored = asker.answered(self.sim.engine, items)
        return asker.stored(batch, stored)

    def patience(self, user_id: str) -> Patience:
        """Return what the corpus shows of a person's patience and persistence.

        Their own conversations if there are enough with more than one turn; those of all people
        otherwise, and if these are too few, the default.
        """
        if user_id not in self._known:
            own = self._learned(user_id)
            self._known[user_id] = own if own.conversations else self._of_people
        return self._known[user_id]

    @cached_property
    def _of_people(self) -> Patience:
        return self._learned(None)

    def _learned(self, user_id: str | None) -> Patience:
        users = None if user_id is None else [user_id]
        rows = self.sim.corpus.interactions(users, split="train")
        conversations = _conversations(rows)
        found = learn_patience(conversations, "people" if user_id is None else "person")
        return found if found.conversations >= self.config.min_conversations else Patience()

    def settings(self, user_id: str) -> dict[str, object]:
        """Return what a person's dialogue depends on beside its scenario and the assistant."""
        asker, sim = self._asker, self.sim
        adapters = asker.adapters.settings(user_id)
        kept = {key: one.candidate.key for key, one in asker.kept.items()}
        return {
            "simulation": sim.config.simulation.model_dump(mode="json"),
            "history": sim.config.history.model_dump(mode="json"),
            "prompts": templates_key(),
            "engine": sim.engine.identity,
            "adapter": adapters["adapter digest"],
            "reasoning weight": adapters["reasoning weight"],
            "kept traces": kept if adapters["adapter"] is None else {},
        }

    def key(self, talk: Talk, assistant: str) -> str:
        """Return the identity of a dialogue that has not started."""
        return content_key(talk.identity(), assistant, self.settings(talk.user_id))


def _conversations(rows: Iterable[Interaction]) -> Iterable[list[str]]:
    """Yield a person's free turns, conversation by conversation; rows come person by person."""
    for _, own in groupby(rows, key=lambda row: row.user_id):
        talks: dict[str, list[str]] = {}
        for row in own:
            if isinstance(row.space, FreeText):
                talks.setdefault(row.conversation, []).append(row.action_text)
        yield from talks.values()


def hold_dialogues(  # noqa: PLR0913 - keyword-only, each a plain fact about the dialogues
    sim: UserSimulator,
    assistant: Assistant,
    scenarios: Iterable[Scenario],
    *,
    reached: Reached | None = None,
    config: DialogueConfig = DialogueConfig(),
    seed: int | None = None,
    path: str | Path | None = None,
    assistant_name: str | None = None,
    progress: Progress | None = None,
) -> Batch[Dialogue]:
    """Hold many dialogues at once; see `UserSimulator.dialogues`.

    Raises:
        ConfigError: If there is no scenario.
    """
    voices = Voices(sim, config)
    listed = _scenarios(scenarios)
    talks = [voices.begin(one, seed=seed, reached=reached) for one in listed]
    if not talks:
        raise ConfigError("dialogues need at least one scenario", hint="give at least one Scenario")
    name = assistant_name or name_of(assistant)
    keys = [voices.key(talk, name) for talk in talks]
    with ExitStack() as stack:
        file = None if path is None else stack.enter_context(DialogueFile(path))
        results = _Results(talks, keys, (name, sim.engine.identity), file, progress)
        left = [place for place in range(len(talks)) if results.items[place] is None]
        replies = stack.enter_context(Assistants(assistant, config)).replies
        hold(
            [talks[place] for place in left],
            voices.answer,
            replies,
            at_once=config.at_once,
            ended=lambda index, end: results.take(left[index], end),
        )
    return results.batch()


class _Results:
    """What became of each dialogue, kept as soon as it is known."""

    def __init__(
        self,
        talks: Sequence[Talk],
        keys: Sequence[str],
        names: tuple[str, str],
        file: DialogueFile | None,
        progress: Progress | None,
    ) -> None:
        self._keys, self._names = keys, names
        self._file, self._progress = file, progress
        found = file.found if file is not None else {}
        self.items: list[Dialogue | None] = [
            # Metadata do not tell dialogues apart: the caller gets those of this call.
            replace(found[key], scenario=replace(talk.scenario, user_id=talk.user_id))
            if key in found
            else None
            for talk, key in zip(talks, keys, strict=True)
        ]
        self._failures: list[Failure] = []
        self._tell()

    def take(self, place: int, end: Talk | Failure) -> None:
        """Keep the dialogue at `place`, or why it failed."""
        if isinstance(end, Failure):
            said = end.message.replace(f"dialogue {end.index}:", f"dialogue {place}:", 1)
            self._failures.append(
                Failure(index=place, item=end.item, error=end.error, message=said, text=end.text)
            )
        else:
            dialogue = end.record(self._keys[place], *self._names)
            self.items[place] = dialogue
            if self._file is not None:
                self._file.append(dialogue)
        self._tell()

    def _tell(self) -> None:
        if self._progress is not None:
            done = sum(one is not None for one in self.items) + len(self._failures)
            self._progress("dialogues", done, len(self.items))

    def batch(self) -> Batch[Dialogue]:
        failures = sorted(self._failures, key=lambda one: one.index)
        return Batch(tuple(self.items), tuple(failures))


def hold_dialogue(
    sim: UserSimulator,
    assistant: Assistant,
    scenario: Scenario,
    *,
    reached: Reached | None = None,
    config: DialogueConfig = DialogueConfig(),
    seed: int | None = None,
    path: str | Path | None = None,
    assistant_name: str | None = None,
) -> Dialogue:
    """Hold one dialogue; see `UserSimulator.dialogue`.

    Raises:
        UsersimError: If it failed; what was said is in its notes.
    """
    batch = hold_dialogues(
        sim,
        assistant,
        [scenario],
        reached=reached,
        config=config,
        seed=seed,
        path=path,
        assistant_name=assistant_name,
    )
    dialogue = batch.items[0]
    if dialogue is None:
        failure = batch.failures[0]
        error = UsersimError(failure.message)
        error.add_note(f"the dialogue so far:\n{failure.text}")
        raise error
    return dialogue


def _scenarios(scenarios: object) -> list[Scenario]:
    """Return scenarios as a list.

    Raises:
        ArgumentError: If one is something else.
    """
    listed = (
        list(cast("Iterable[object]", scenarios))
        if isinstance(scenarios, Iterable) and not isinstance(scenarios, str)
        else [scenarios]
    )
    for one in listed:
        if not isinstance(one, Scenario):
            raise ArgumentError(
                f"dialogues() takes Scenario objects; got {one!r}",
                hint=f"Scenario(goal={one!r})" if isinstance(one, str) else "Scenario(goal=…)",
            )
    if isinstance(scenarios, Scenario):
        raise ArgumentError(
            f"dialogues() takes a list of scenarios; got the single one {scenarios!r}",
            hint="put it into a list, or hold it with dialogue()",
        )
    return cast("list[Scenario]", listed)


def in_loop(assistant: Assistant) -> Assistant:
    """Return an assistant that is awaited in the running event loop, called from another thread.

    What an asynchronous assistant holds, as a client with its connections, belongs to the loop
    that it was made in. Anything else is returned as it is.
    """
    if isinstance(assistant, AssistantEndpoint) or not callable(assistant):
        return assistant
    loop = asyncio.get_running_loop()

    @wraps(assistant)
    def called(messages: list[dict[str, str]]) -> str | Awaitable[str]:
        said = assistant(messages)
        if not inspect.isawaitable(said):
            return said
        return _elsewhere(said, loop)

    return cast("Assistant", called)


async def _elsewhere(pending: Awaitable[str], loop: asyncio.AbstractEventLoop) -> str:
    """Await in another loop than the running one; cancelled here, it is cancelled there."""

    async def awaited() -> str:
        return await pending

    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(awaited(), loop))
