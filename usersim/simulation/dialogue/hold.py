"""Many dialogues at once, move by move: all persons' turns in one batch, then all replies.

Takes dialogues under way and two callables, one that answers for persons and one that replies
for the assistant; knows no engine, no store and no network. One dialogue's failure is data.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from usersim.errors import EngineError, UsersimError
from usersim.simulation.answer import Answer
from usersim.simulation.dialogue.assistants import Messages, Reply
from usersim.simulation.dialogue.talk import Talk
from usersim.types import Batch, Failure, Question

__all__ = ["hold"]

Answering = Callable[[Sequence[tuple[Talk, Question]]], Batch[Answer]]
"""Answers each question as the talk's person."""
Replying = Callable[[Sequence[Messages]], Sequence[Reply]]
"""Replies to each list of messages as the assistant."""


@dataclass(slots=True)
class _Live:
    place: int
    talk: Talk
    failure: Failure | None = None

    def fail(self, error: str, message: str, text: str = "") -> None:
        """Note why the dialogue cannot go on, and what was said in it."""
        said = [f"{turn.speaker}: {turn.text}" for turn in self.talk.turns]
        self.failure = Failure(
            index=self.place,
            item=self.talk.user_id,
            error=error,
            message=message,
            text="\n".join([*said, *filter(None, [text])]),
        )


def hold(
    talks: Sequence[Talk],
    answer: Answering,
    reply: Replying,
    *,
    at_once: int,
    ended: Callable[[int, Talk | Failure], None],
) -> None:
    """Hold every dialogue to its end.

    Args:
        talks: Dialogues, not started or in progress.
        answer: Speaks for persons.
        reply: Speaks for the assistant.
        at_once: Dialogues under way at once; the next begins when one ends.
        ended: Called with place and dialogue, or with why it failed, as soon as that is known.

    Raises:
        EngineError: If the assistant's server refuses every dialogue of a round.
    """
    waiting = deque(_Live(place, talk) for place, talk in enumerate(talks))
    live: list[_Live] = []
    while waiting or live:
        while waiting and len(live) < at_once:
            live.append(waiting.popleft())
        for move in (_leavings, _persons):
            _answered(live, answer, move)
            live = _going_on(live, ended)
        _replied([one for one in live if one.talk.speaker == "assistant"], reply)
        live = _going_on(live, ended)


def _going_on(live: Sequence[_Live], ended: Callable[[int, Talk | Failure], None]) -> list[_Live]:
    """Hand over what ended and return the rest."""
    left: list[_Live] = []
    for one in live:
        if one.failure is not None:
            ended(one.place, one.failure)
        elif one.talk.stop is not None:
            ended(one.place, one.talk)
        else:
            left.append(one)
    return left


def _persons(talk: Talk) -> tuple[Question, Callable[[Answer], object]] | None:
    """Return what a person is asked for their next turn, and who takes it."""
    return (talk.question, talk.say) if talk.speaker == "user" else None


def _leavings(talk: Talk) -> tuple[Question, Callable[[Answer], object]] | None:
    """Return the question whether a person goes on, and who takes the answer."""
    question = talk.leaving_question
    return None if question is None else (question, talk.decide)


def _answered(
    live: Sequence[_Live],
    answer: Answering,
    move: Callable[[Talk], tuple[Question, Callable[[Answer], object]] | None],
) -> None:
    """Have every person whose move it is answer, in one batch."""
    asked = [(one, found) for one in live if not one.talk.stop and (found := move(one.talk))]
    if not asked:
        return
    batch = answer([(one.talk, question) for one, (question, _) in asked])
    failures = {failure.index: failure for failure in batch.failures}
    for index, ((one, (_, take)), given) in enumerate(zip(asked, batch.items, strict=True)):
        if given is None:
            failure = failures[index]
            said = failure.message.replace(f"item {index}:", f"dialogue {one.place}:", 1)
            one.fail(failure.error, said, failure.text)
            continue
        _taken(one, lambda take=take, given=given: take(given))


def _replied(live: Sequence[_Live], reply: Replying) -> None:
    """Have the assistant reply wherever it is its move.

    Raises:
        EngineError: If it is a server that refuses all of them: the run is at fault.
    """
    if not live:
        return
    replies = reply([one.talk.messages for one in live])
    refused = [one for one in replies if isinstance(one, EngineError)]
    if len(refused) == len(replies):
        raise refused[0]
    for one, said in zip(live, replies, strict=True):
        if isinstance(said, UsersimError):
            who = f"user {one.talk.user_id!r}, dialogue {one.place}"
            one.fail(type(said).__name__, f"{who}: {said}")
            continue
        _taken(one, lambda one=one, said=said: one.talk.hear(said))


def _taken(one: _Live, take: Callable[[], object]) -> None:
    try:
        take()
    except UsersimError as error:
        one.fail(type(error).__name__, f"user {one.talk.user_id!r}, dialogue {one.place}: {error}")
