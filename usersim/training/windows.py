"""One person, one sequence: interactions of a person as turns of one chat, every action learned.

A *window* is as much of a person as one optimiser step holds. Each of its interactions is asked
with all that stand before it, so that the prompts begin alike and form one token tree: a single
forward pass teaches every action in it. Knows people, prompts and tokens; knows no model and no
loss.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from math import ceil
from typing import NamedTuple

import numpy as np

from usersim.config import HistoryConfig
from usersim.prompts import respond_prompt
from usersim.training.batches import MicroBatch, make_batch
from usersim.training.dataset import EncodedExample, Encoder, encode_examples
from usersim.transcript import OPEN, action_text, prefix
from usersim.types import (
    Choice,
    Failure,
    Interaction,
    PersonLesson,
    Scale,
    TrainingExample,
    content_key,
)

__all__ = ["Checked", "Step", "Window", "Windows", "lessons_digest"]

FRAME_TOKENS = 12
"""Tokens that a chat template puts around a turn and its answer, generously."""
SYSTEM_TOKENS = 64
"""Tokens of the system message, generously."""
ANSWERS_EACH = 4
"""Held-out answers of one person, where there are people enough: their prompt is computed once."""


@dataclass(frozen=True, slots=True)
class Window:
    """Some interactions of one person, in the order in which they are shown.

    Attributes:
        lesson: Index of the person's lesson.
        members: Indices of the interactions.
        learned: Those of them whose action is predicted; the others are only shown.
        apart: Whether those that are predicted stand in nobody else's prompt, as held-out ones
            must not.
    """

    lesson: int
    members: tuple[int, ...]
    learned: frozenset[int]
    apart: bool = False


class Checked(NamedTuple):
    """What can be learned of some people.

    Attributes:
        learned: Interactions that are learned from.
        with_reasoning: Of them those with a trace.
        refused: Interactions that do not fit the model.
    """

    learned: int
    with_reasoning: int
    refused: tuple[Failure, ...]


Step = tuple[Window, ...]
"""Windows of one optimiser step."""


def lessons_digest(lessons: Sequence[PersonLesson]) -> str:
    """Return the SHA-256 over everything that is learned from, in order."""
    digest = sha256()
    for one in lessons:
        rows = [(i.key, one.reasonings.get(i.key, ""), i.key in one.held) for i in one.interactions]
        digest.update(content_key(one.user_id, one.ordered, one.profile, rows).encode())
    return digest.hexdigest()


class Windows:
    """Cuts people into windows, and turns windows into examples.

    Args:
        lessons: The people.
        encoder: The engine's encoding.
        history: Form and limits of the prompt.
        window_tokens: Tokens of a window, about.
        max_tokens: Tokens that the model takes; None if it has no limit.
    """

    def __init__(
        self,
        lessons: Sequence[PersonLesson],
        encoder: Encoder,
        history: HistoryConfig,
        *,
        window_tokens: int,
        max_tokens: int | None,
    ) -> None:
        self._lessons = lessons
        self._encoder = encoder
        self._history = history
        self._max_tokens = max_tokens
        self._window_tokens = min(window_tokens, max_tokens or window_tokens)

    def plan(self, *, epochs: float, seed: int) -> list[Step]:
        """Return the windows of every optimiser step of a run, laid out beforehand.

        People come in another order in each epoch. Where a person's order means nothing it is
        another one too; where it does, the windows are cut at other places.

        Args:
            epochs: Passes over everybody; of the last one a part if it is not whole.
            seed: Decides the orders.
        """
        steps: list[Step] = []
        for epoch in range(ceil(epochs)):
            random = np.random.default_rng([seed, epoch])
            windows: list[Window] = []
            for index in random.permutation(len(self._lessons)):
                windows += self._of_person(int(index), random)
            rows = self._filled([windows[int(i)] for i in random.permutation(len(windows))])
            part = min(1.0, epochs - epoch)
            steps += rows[: max(1, round(part * len(rows)))]
        return steps

    def validation(self, *, most: int) -> list[Step]:
        """Return windows that predict what was held out, at most about `most` answers.

        Of someone who is learned from: the newest of the held-out interactions, after as much of
        what came before as half a window holds. Of someone who is not: the same, the earlier ones
        shown.

        Args:
            most: Answers at the most, of as many people as give `ANSWERS_EACH` of them.
        """
        measured = [i for i, one in enumerate(self._lessons) if one.held]
        people = max(most // ANSWERS_EACH, 1)
        chosen = measured[:: ceil(len(measured) / people)] if measured else []
        each = max(most // max(len(chosen), 1), 1)
        return self._filled([self._measuring(index, each) for index in chosen])

    def check(self) -> Checked:
        """Return what can be learned, and what does not fit the model even by itself."""
        learned = with_reasoning = 0
        refused: list[Failure] = []
        for lesson in self._lessons:
            for one in lesson.interactions:
                if one.key in lesson.held:
                    continue
                found = encode_examples(
                    [self._example(lesson, one, ())], self._encoder, max_tokens=self._max_tokens
                )
                refused += found.refused
                learned += len(found.examples)
                with_reasoning += sum(len(e.decisions) > 1 for e in found.examples)
        return Checked(learned, with_reasoning, tuple(refused))

    def batch(self, step: Step) -> MicroBatch:
        """Return the windows of a step as one token tree.

        What does not fit the model after all that stands before it is asked by itself; what does
        not fit even so was refused.
        """
        return make_batch(self._encode(step))

    def _encode(self, step: Step) -> list[EncodedExample]:
        encoded: list[EncodedExample] = []
        for window in step:
            lesson = self._lessons[window.lesson]
            shown: list[Interaction] = []
            for place in window.members:
                one = lesson.interactions[place]
                if place in window.learned:
                    encoded += self._fitting(lesson, one, shown)
                if not (window.apart and place in window.learned):
                    shown.append(one)
        return encoded

    def _fitting(
        self, lesson: PersonLesson, one: Interaction, shown: Sequence[Interaction]
    ) -> tuple[EncodedExample, ...]:
        """Encode one interaction after the newest of `shown` with which it fits the model."""
        for start in (0, len(shown) // 2, len(shown)):
            example = self._example(lesson, one, shown[start:])
            found = encode_examples([example], self._encoder, max_tokens=self._max_tokens)
            if found.examples:
                return found.examples
        return ()

    def _of_person(self, index: int, random: np.random.Generator) -> Iterator[Window]:
        lesson = self._lessons[index]
        members = [i for i, one in enumerate(lesson.interactions) if one.key not in lesson.held]
        if not members:
            return
        if lesson.ordered:
            # The first window is a part of one, so that the others begin elsewhere.
            first = float(random.uniform(0.25, 1.0))
        else:
            members, first = [members[int(i)] for i in random.permutation(len(members))], 1.0
        own: list[int] = []
        used, limit = 0, first * (self._window_tokens - SYSTEM_TOKENS)
        for place in members:
            cost = self._cost(lesson, place, own[-1] if own else None)
            if own and used + cost > limit:
                yield Window(index, tuple(own), frozenset(own))
                own, used, limit = [], 0, self._window_tokens - SYSTEM_TOKENS
                cost = self._cost(lesson, place, None)
            own.append(place)
            used += cost
        yield Window(index, tuple(own), frozenset(own))

    def _measuring(self, index: int, most: int) -> Window:
        """Return a window that shows what came before, and predicts what was held out."""
        lesson = self._lessons[index]
        held = [i for i, one in enumerate(lesson.interactions) if one.key in lesson.held]
        alone = len(held) == len(lesson.interactions)
        wanted = held[max(len(held) - most, len(held) // 2 if alone else 0) :]
        context: list[int] = []
        used = 0
        for place in reversed([i for i in range(len(lesson.interactions)) if i not in set(wanted)]):
            used += self._cost(lesson, place, None)
            if context and used > (self._window_tokens - SYSTEM_TOKENS) // 2:
                break
            context.insert(0, place)
        return Window(index, (*context, *wanted), frozenset(wanted), apart=True)

    def _filled(self, windows: Sequence[Window]) -> list[Step]:
        """Join windows into steps of about the tokens of one window."""
        steps: list[Step] = []
        row: list[Window] = []
        used = 0
        for window in windows:
            cost = SYSTEM_TOKENS + self._size(window)
            if row and used + cost > self._window_tokens:
                steps.append(tuple(row))
                row, used = [], 0
            row.append(window)
            used += cost
        return [*steps, tuple(row)] if row else steps

    def _size(self, window: Window) -> int:
        lesson = self._lessons[window.lesson]
        previous: list[int | None] = [None, *window.members]
        return sum(
            self._cost(lesson, place, last)
            for place, last in zip(window.members, previous, strict=False)
        )

    def _cost(self, lesson: PersonLesson, place: int, previous: int | None) -> int:
        """Return about how many nodes an interaction adds to a tree."""
        one = lesson.interactions[place]
        shown = () if previous is None else (lesson.interactions[previous],)
        example = self._example(lesson, one, shown)
        texts = (example.messages[-1][1], *(action_text(o) for o in example.options))
        if example.reasoning:
            texts = (*texts, prefix(example.reasoning).removeprefix(OPEN), *texts[1:])
        written = (*texts, action_text(example.action))
        return FRAME_TOKENS + sum(len(self._encoder.continuation(t, end=False)) for t in written)

    def _example(
        self, lesson: PersonLesson, one: Interaction, shown: Sequence[Interaction]
    ) -> TrainingExample:
        space = one.space
        return TrainingExample(
            key=one.key,
            user_id=one.user_id,
            messages=respond_prompt(
                one.user_id, one.question, shown, config=self._history, profile=lesson.profile
            ),
            reasoning=lesson.reasonings.get(one.key, ""),
            action=one.action_text,
            options=space.options if isinstance(space, Choice | Scale) else (),
        )
