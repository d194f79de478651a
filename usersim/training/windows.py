"""One person, one sequence: interactions of a person as turns of one chat, every action learned.

A *window* is as much of a person as one optimizer step holds. Each of its interactions is asked
with all that stand before it, so the prompts begin alike and form one token tree: a single
forward pass teaches every action in it. Knows people, prompts and tokens; knows no model and no
loss.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from math import ceil
from typing import NamedTuple

import numpy as np

from usersim.config import HistoryConfig
from usersim.engines.packing import common_length
from usersim.prompts import PersonChat, respond_prompt
from usersim.training.batches import MicroBatch, make_batch, own_tokens
from usersim.training.dataset import EncodedExample, Encoder, encode_example, encode_examples
from usersim.training.sizes import Sizes
from usersim.types import (
    Choice,
    Failure,
    Interaction,
    PersonLesson,
    Question,
    Scale,
    TrainingExample,
    content_key,
)

__all__ = ["AsAsked", "LearnableCounts", "TrainingStep", "Window", "Windows", "lessons_digest"]

AsAsked = Callable[[PersonLesson, Interaction], Sequence[Interaction]]
"""Returns the past interactions that the prompt shows with a question at run time, in the order
of the prompt."""

SLACK = 16
"""Tokens by which an estimated length may be wrong: a template may join texts as it likes."""
ANSWERS_EACH = 4
"""Held-out answers asked of one person, where there are people enough: what they did before is
computed once for all of them."""
SHORTEST_FIRST = 0.25
"""Least share of a window that the first one of an ordered person fills."""


class Window(NamedTuple):
    """Some interactions of one person, in the order in which they are shown.

    Attributes:
        lesson: Index of the person's lesson.
        members: Indices of the interactions.
        first: Place in `members` of the first whose action is predicted; those before it are
            only shown.
        apart: Whether each prediction sees what stands before `first` alone, and no other
            predicted one.
        shown: What the predicted ones are asked after in place of that: the interactions of a
            run-time prompt, which need not be in the lesson. None for the members themselves.
    """

    lesson: int
    members: tuple[int, ...]
    first: int = 0
    apart: bool = False
    shown: tuple[Interaction, ...] | None = None


class TrainingStep(NamedTuple):
    """What one optimizer step learns from.

    Attributes:
        windows: Of one person or of several.
        tokens: Nodes of their token tree, about.
    """

    windows: tuple[Window, ...]
    tokens: int

    @property
    def answers(self) -> int:
        """Interactions whose action is predicted."""
        return sum(len(window.members) - window.first for window in self.windows)


class LearnableCounts(NamedTuple):
    """What can be learned of some people.

    Attributes:
        learned: Interactions that are learned from.
        with_reasoning: Of them those with a trace before the action.
        refused: Interactions, held-out ones too, that do not fit the model.
    """

    learned: int
    with_reasoning: int
    refused: tuple[Failure, ...]


class _Sized(NamedTuple):
    window: Window
    tokens: int


def lessons_digest(lessons: Sequence[PersonLesson]) -> str:
    """Return the SHA-256 over everything that is learned from, in order."""
    digest = sha256()
    for one in lessons:
        rows = [(i.key, one.reasonings.get(i.key, ""), i.key in one.held) for i in one.interactions]
        after = ("after",) if one.after else ()
        digest.update(content_key(one.user_id, one.ordered, one.profile, rows, *after).encode())
    return digest.hexdigest()


class Windows:
    """Cuts people into windows, and turns windows into token trees.

    Args:
        lessons: The people.
        encoder: The engine's encoding.
        history: Form and limits of the prompt.
        window_tokens: Tokens of a window; an interaction that is longer is one by itself.
        max_tokens: Tokens that the model takes; None if it has no limit.
        as_asked: What the prompts of the run time show; what is held out is measured with them.
            None measures it after what the person did before.
    """

    def __init__(
        self,
        lessons: Sequence[PersonLesson],
        encoder: Encoder,
        history: HistoryConfig,
        *,
        window_tokens: int,
        max_tokens: int | None,
        as_asked: AsAsked | None = None,
    ) -> None:
        self._lessons = lessons
        self._as_asked = as_asked
        self._encoder = encoder
        self._history = history
        self._max_tokens = max_tokens
        most = window_tokens if max_tokens is None else max_tokens - SLACK
        self._limit = min(window_tokens, most)
        sizes = Sizes(encoder, history)
        self._sizes = [sizes.of(lesson) for lesson in lessons]
        refused = [self._too_long(index) for index in range(len(lessons))]
        self._refused = tuple(one for own in refused for one in own.values())
        self._places = [
            [place for place in range(len(lesson.interactions)) if place not in own]
            for lesson, own in zip(lessons, refused, strict=True)
        ]

    def check(self) -> LearnableCounts:
        """Return what can be learned, and what does not fit the model even by itself."""
        learned = with_reasoning = 0
        for lesson, places in zip(self._lessons, self._places, strict=True):
            keys = [lesson.interactions[place].key for place in places]
            own = [key for key in keys if key not in lesson.held]
            learned += len(own)
            if not lesson.after:
                with_reasoning += sum(bool(lesson.reasonings.get(key)) for key in own)
        return LearnableCounts(learned, with_reasoning, self._refused)

    def plan(self, *, epochs: float, seed: int) -> list[TrainingStep]:
        """Return every optimizer step of a run, laid out beforehand.

        Windows come in another order in each epoch. Where a person's order means nothing it is
        another one too; where it does, the windows are cut at other places.

        Args:
            epochs: Passes over everybody; of the last one a part if it is not whole.
            seed: Decides the orders.
        """
        steps: list[TrainingStep] = []
        for epoch in range(ceil(epochs)):
            random = np.random.default_rng([seed, epoch])
            windows = [w for index in range(len(self._lessons)) for w in self._cut(index, random)]
            rows = self._joined([windows[int(i)] for i in random.permutation(len(windows))])
            part = min(1.0, epochs - epoch)
            steps += rows[: max(1, round(part * len(rows)))]
        return steps

    def validation(self, *, most: int) -> list[TrainingStep]:
        """Return steps that predict what was held out, about `most` answers.

        Half of them are later answers of people who are learned from, half are answers of people
        who are not, where there are both. Each is asked with the prompt of the run time where
        `as_asked` tells it, otherwise after as much of what the person did before as half a
        window holds.

        Args:
            most: Answers at the most, of as many people as give `ANSWERS_EACH` of them.
        """
        held = [i for i in range(len(self._lessons)) if self._held(i)]
        groups = [
            [i for i in held if not self._learned(i)],
            [i for i in held if self._learned(i)],
        ]
        groups = [group for group in groups if group]
        windows: list[_Sized] = []
        for group in groups:
            answers = max(most // len(groups), 1)
            people = max(answers // ANSWERS_EACH, 1)
            chosen = group[:: ceil(len(group) / people)]
            for index in chosen:
                windows += self._measuring(index, max(answers // len(chosen), 1))
        return self._joined(windows)

    def batch(self, step: TrainingStep) -> MicroBatch:
        """Return a step as one token tree."""
        return make_batch([one for window in step.windows for one in self._encoded(window)])

    def _encoded(self, window: Window) -> Iterator[EncodedExample]:
        lesson = self._lessons[window.lesson]
        chat = self._chat(lesson)
        for past in window.shown or ():
            chat.add(past)
        for place, member in enumerate(window.members):
            one = lesson.interactions[member]
            predicted = place >= window.first
            if predicted:
                yield encode_example(_example(lesson, one, chat.ask(one.question)), self._encoder)
            if not (predicted and window.apart):
                chat.add(one)

    def _cut(self, index: int, random: np.random.Generator) -> Iterator[_Sized]:
        """Cut one person into windows.

        Yields:
            Windows, in order.
        """
        lesson, sizes = self._lessons[index], self._sizes[index]
        members = self._learned(index)
        if not members:
            return
        limit = float(self._limit)
        if lesson.ordered:
            # A first window that is a part of one lets the others begin elsewhere.
            limit *= random.uniform(SHORTEST_FIRST, 1.0)
        else:
            members = [members[int(i)] for i in random.permutation(len(members))]
        row = sizes.row()
        for member in members:
            if row.members and row.tokens + row.cost(member) > limit:
                yield _Sized(Window(index, tuple(row.members)), row.tokens)
                row, limit = sizes.row(), self._limit
            row.add(member)
        yield _Sized(Window(index, tuple(row.members)), row.tokens)

    def _measuring(self, index: int, most: int) -> Iterator[_Sized]:
        """Ask what was held out of one person, the newest.

        Yields:
            Windows of single answers with their prompts, or with one context for all.
        """
        held = self._held(index)
        least = 0 if self._learned(index) else len(held) // 2
        wanted = held[max(len(held) - most, least) :]
        past = [place for place in self._places[index] if place not in set(wanted)]
        if self._as_asked is not None:
            fitting = self._fitting(index, wanted, self._as_asked)
            yield from fitting
            apart = {window.members[0] for window, _ in fitting}
            wanted = [place for place in wanted if place not in apart]
        if wanted:
            yield from self._after_the_past(index, wanted, past)

    def _after_the_past(
        self, index: int, wanted: Sequence[int], past: Sequence[int]
    ) -> Iterator[_Sized]:
        """Ask held-out answers of one person after what came before.

        Args:
            index: The person.
            wanted: Places of the answers.
            past: Places of what may be shown, oldest first.

        Yields:
            Windows with one context.
        """
        sizes = self._sizes[index]
        room = self._limit // 2
        if self._max_tokens is not None:
            longest = max(sizes.alone[place] for place in wanted)
            room = min(room, self._max_tokens - longest - SLACK)
        context: list[int] = []
        used = sizes.base
        for place in reversed(past):
            used += int(sizes.whole[place])
            if used > room:
                break
            context.insert(0, place)
        begin = sizes.row()
        for place in context:
            begin.add(place)
        asked: list[int] = []
        used = begin.tokens
        for place in wanted:
            cost = begin.cost(place)
            if asked and used + cost > self._limit:
                members = (*context, *asked)
                yield _Sized(Window(index, members, len(context), apart=True), used)
                asked, used = [], begin.tokens
            asked.append(place)
            used += cost
        yield _Sized(Window(index, (*context, *asked), len(context), apart=True), used)

    def _fitting(self, index: int, places: Sequence[int], as_asked: AsAsked) -> list[_Sized]:
        """Return held-out answers with their prompts of the run time, but for those too long.

        Tokens of one that begins as the one before it count once: they share a step's tree.
        """
        lesson = self._lessons[index]
        found: list[_Sized] = []
        before: tuple[int, ...] = ()
        for place in places:
            shown = tuple(as_asked(lesson, lesson.interactions[place]))
            window = Window(index, (place,), apart=True, shown=shown)
            (example,) = self._encoded(window)
            terms = [term.tokens for term in example.terms]
            if self._max_tokens is not None and max(map(len, terms)) > self._max_tokens:
                continue
            found.append(_Sized(window, own_tokens(example) - common_length(before, terms[0])))
            before = terms[0]
        return found

    def _joined(self, windows: Sequence[_Sized]) -> list[TrainingStep]:
        """Join windows into steps of about the tokens of one window."""
        steps: list[TrainingStep] = []
        row: list[Window] = []
        used = 0
        for window, tokens in windows:
            if row and used + tokens > self._limit:
                steps.append(TrainingStep(tuple(row), used))
                row, used = [], 0
            row.append(window)
            used += tokens
        return [*steps, TrainingStep(tuple(row), used)] if row else steps

    def _learned(self, index: int) -> list[int]:
        lesson = self._lessons[index]
        return [p for p in self._places[index] if lesson.interactions[p].key not in lesson.held]

    def _held(self, index: int) -> list[int]:
        lesson = self._lessons[index]
        return [p for p in self._places[index] if lesson.interactions[p].key in lesson.held]

    def _too_long(self, index: int) -> dict[int, Failure]:
        """Return the interactions of one person that do not fit the model, by their places."""
        if self._max_tokens is None:
            return {}
        lesson, found = self._lessons[index], dict[int, Failure]()
        for place, length in enumerate(self._sizes[index].alone):
            if length + SLACK <= self._max_tokens:
                continue
            one = lesson.interactions[place]
            example = _example(lesson, one, self._chat(lesson).ask(one.question))
            for failure in encode_examples(
                [example], self._encoder, max_tokens=self._max_tokens
            ).refused:
                found[place] = failure
        return found

    def _chat(self, lesson: PersonLesson) -> PersonChat | _Page:
        if self._history.form == "turns":
            return PersonChat(lesson.user_id, config=self._history, profile=lesson.profile)
        return _Page(lesson, self._history)


class _Page:
    """A chat of the form `page`: one text that is rewritten for each question."""

    def __init__(self, lesson: PersonLesson, history: HistoryConfig) -> None:
        self._lesson = lesson
        self._history = history
        self._shown: list[Interaction] = []

    def ask(self, question: Question) -> tuple[tuple[str, str], ...]:
        """Return the prompt that puts a question now."""
        lesson = self._lesson
        return respond_prompt(
            lesson.user_id, question, self._shown, config=self._history, profile=lesson.profile
        )

    def add(self, past: Interaction) -> None:
        """Append an interaction."""
        self._shown.append(past)


def _example(
    lesson: PersonLesson, one: Interaction, messages: tuple[tuple[str, str], ...]
) -> TrainingExample:
    return TrainingExample(
        key=one.key,
        user_id=one.user_id,
        messages=messages,
        reasoning=lesson.reasonings.get(one.key, ""),
        action=one.action_text,
        options=one.space.options if isinstance(one.space, Choice | Scale) else (),
        after=lesson.after,
    )
