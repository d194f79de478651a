"""How many nodes a person's interactions add to a token tree, told without building it.

A run of thousands of people is laid out before it begins; rendering every window for that would
cost as much as a part of the training. Each interaction is measured once instead. Knows prompts
and tokens; knows nothing of windows or steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from usersim.config import HistoryConfig
from usersim.engines.options import needs_end
from usersim.engines.packing import common_length
from usersim.prompts import respond_prompt, turn_text, why_prompt
from usersim.prompts.view import cut_end
from usersim.training.dataset import Encoder
from usersim.transcript import OPEN, action_text, prefix
from usersim.types import (
    Choice,
    FreeText,
    Interaction,
    Message,
    MultiChoice,
    PersonLesson,
    Question,
    Scale,
)

__all__ = ["LessonSizes", "Row", "Sizes"]

PAGE_FRAME = 16
"""Tokens around a question and a past item in the form `page`, generously."""

Counts = npt.NDArray[np.int32]


def _tree_size(sequences: Iterable[Sequence[int]]) -> int:
    """Return the nodes of the tree that token sequences form."""
    size = 0
    last: tuple[int, ...] = ()
    for sequence in sorted(map(tuple, sequences)):
        size += len(sequence) - common_length(last, sequence)
        last = sequence
    return size


@dataclass(slots=True)
class Row:
    """Interactions of one person, in the order in which they are shown, and their nodes.

    Attributes:
        sizes: The person's.
        tokens: Nodes so far.
        members: Places of the interactions.
        shown: Options that were shown last; they are not repeated.
    """

    sizes: LessonSizes
    tokens: int
    members: list[int] = field(default_factory=list[int])
    shown: tuple[str, ...] = ()

    def cost(self, place: int) -> int:
        """Return how many nodes an interaction would add now."""
        options = self.sizes.options(place)
        repeated = bool(options) and options == self.shown
        return int((self.sizes.without_options if repeated else self.sizes.whole)[place])

    def add(self, place: int) -> None:
        """Append an interaction."""
        self.tokens += self.cost(place)
        self.members.append(place)
        self.shown = self.sizes.options(place) or self.shown


@dataclass(frozen=True, slots=True)
class LessonSizes:
    """The sizes of one person's interactions, by their places.

    Attributes:
        lesson: The person.
        base: Nodes that they all share: the system message.
        whole: Nodes that each adds: question with its options, answer, trace. Shape `(n,)`.
        without_options: The same where the options need not be repeated. Shape `(n,)`.
        alone: Tokens of its longest sequence if nothing is shown before it. Shape `(n,)`.
    """

    lesson: PersonLesson
    base: int
    whole: Counts
    without_options: Counts
    alone: Counts

    def row(self) -> Row:
        """Return an empty row."""
        return Row(self, self.base)

    def options(self, place: int) -> tuple[str, ...]:
        """Return the options that an interaction shows; empty if there are none."""
        space = self.lesson.interactions[place].space
        return space.options if isinstance(space, Choice | Scale | MultiChoice) else ()


class _Frame(NamedTuple):
    """What a chat template puts around turns.

    Attributes:
        turn: Tokens around a question and the answer to it.
        lost: Tokens at the end of a prompt that are others once the answer stands there; 0 for
            most templates.
        answers_shared: Whether the answer of a past turn has the tokens that the model writes.
    """

    turn: int
    lost: int
    answers_shared: bool


class _Answer(NamedTuple):
    nodes: int
    longest: int


class Sizes:
    """Measures people; what many of them share is measured once.

    Args:
        encoder: The engine's encoding.
        history: Form and limits of the prompt.
    """

    def __init__(self, encoder: Encoder, history: HistoryConfig) -> None:
        self._encoder = encoder
        self._history = history
        self._answer = lru_cache(maxsize=4096)(self._answer_of)

    def of(self, lesson: PersonLesson) -> LessonSizes:
        """Measure one person."""
        asked = respond_prompt(
            lesson.user_id, _NOTHING, (), config=self._history, profile=lesson.profile
        )
        frame = len(self._encoder.prompt(asked, "")) - self._count(asked[-1][1])
        rows = [
            self._interaction(one, lesson.reasonings.get(one.key, ""), after=lesson.after)
            for one in lesson.interactions
        ]
        table = np.array(rows, dtype=np.int32).reshape(len(rows), 3)
        whole, without_options, alone = table.T
        # What frames the next turn is counted with each; the last one has none.
        base = frame - self._frame.turn
        return LessonSizes(lesson, base, whole, without_options, frame + alone)

    def _interaction(
        self, one: Interaction, reasoning: str, *, after: bool
    ) -> tuple[int, int, int]:
        """Return its nodes, those without its options, and the tokens of its longest sequence."""
        space = one.space
        options = space.options if isinstance(space, Choice | Scale) else ()
        answer = self._answer(one.action_text, options, "" if after else reasoning)
        if after and reasoning:
            answer = self._explained(answer, one.action_text, reasoning)
        if self._history.form == "page":
            question = self._count(
                respond_prompt(one.user_id, one.question, (), config=self._history)[-1][1]
            )
            nodes = 2 * question + self._count(one.action_text) + answer.nodes + PAGE_FRAME
            return nodes, nodes, question + answer.longest
        whole, without_options = (self._turn(one, options=shown) for shown in (True, False))
        asked = self._count(turn_text(one.user_id, one.question, config=self._history))
        return whole + answer.nodes, without_options + answer.nodes, asked + answer.longest

    def _turn(self, one: Interaction, *, options: bool) -> int:
        """Return the nodes of a question as it is asked, and of its past form if that is cut."""
        asked, shown = (
            turn_text(one.user_id, one.question, config=self._history, past=past, options=options)
            for past in (False, True)
        )
        nodes = self._count(asked) + self._frame.turn
        if asked == shown:
            return nodes
        return nodes + self._count(shown) + self._frame.turn + self._count(one.action_text)

    def _answer_of(self, action: str, options: tuple[str, ...], reasoning: str) -> _Answer:
        """Return the nodes of what follows a question, and its longest sequence."""
        written = [action_text(text) for text in options or (action,)]
        end = not options or needs_end(written)
        ends = [tuple(self._encoder.continuation(text, end=end)) for text in written]
        terms = list(ends)
        if reasoning:
            before = tuple(self._encoder.continuation(prefix(reasoning), end=False))
            opened = self._encoder.continuation(OPEN, end=False)
            rest = self._encoder.continuation(prefix(reasoning).removeprefix(OPEN), end=False)
            terms += [(*before, *one) for one in ends] + [(*opened, *rest)]
        shown = action_text(cut_end(action, self._history.max_item_chars))
        said = tuple(self._encoder.continuation(shown, end=False))
        shared = self._frame.answers_shared
        # The last token of a term is predicted and predicts nothing: it is no node.
        nodes = _tree_size([*(term[:-1] for term in terms), *([said] if shared else [])])
        apart = 0 if shared else len(said)
        return _Answer(nodes + apart + self._frame.lost, max(map(len, terms)))

    def _explained(self, answer: _Answer, action: str, reasoning: str) -> _Answer:
        """Add the turn after the answer in which its trace is learned."""
        ((_, why),) = why_prompt((), "")[1:]
        trace = prefix(reasoning)
        turn = self._frame.turn + self._count(why) + self._count(trace)
        said = self._count(action_text(action))
        # The answer is cut in the prompt and whole here, so it may not be shared.
        whole = len(action) > self._history.max_item_chars or not self._frame.answers_shared
        return _Answer(
            answer.nodes + turn + (said if whole else 1),
            max(answer.longest, said + turn),
        )

    @cached_property
    def _frame(self) -> _Frame:
        said = "yes"
        past = Interaction(
            key="",
            user_id="-",
            position=0,
            context=_NOTHING.context,
            action=said,
            space=FreeText(),
            conversation="",
        )
        before, after = (
            respond_prompt("-", _NOTHING, history, config=self._history)
            for history in ((), (past,))
        )
        first, second = (self._encoder.prompt(messages, "") for messages in (before, after))
        answer = self._encoder.continuation(said, end=False)
        common = common_length([*first, *answer], second)
        return _Frame(
            turn=len(second) - len(first) - len(answer) - self._count(after[-1][1]),
            lost=max(len(first) - common, 0),
            answers_shared=common == len(first) + len(answer),
        )

    def _count(self, text: str) -> int:
        return len(self._encoder.continuation(text, end=False))


_NOTHING = Question((Message("-"),))
