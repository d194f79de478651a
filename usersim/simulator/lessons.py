"""What a user model learns from whom: whole people, and what of theirs is held out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from usersim.config import TrainingConfig
from usersim.simulator.history import Histories
from usersim.training import TrainedAdapter
from usersim.types import Interaction, PersonLesson, content_key

__all__ = ["held_out_people", "person_lessons", "shown_when_asked"]

MIN_PEOPLE = 10
"""People below which none is held out as a whole."""


def person_lessons(
    interactions: Sequence[Interaction],
    reasonings: Mapping[str, str],
    config: TrainingConfig,
    *,
    ordered: Collection[str],
    start: TrainedAdapter | None = None,
    after: bool = False,
) -> list[PersonLesson]:
    """Return one lesson per person, in the order in which they come.

    Held out are the newest interactions of each person, and some people as a whole. Of a person
    whom `start` learned from, what it held out is held out again.

    Args:
        interactions: Of the train split, oldest first within each person.
        reasonings: A trace by interaction key; empty where there is none.
        config: How much is held out.
        ordered: Users whose interactions stand in an order that means something.
        start: Adapter that the training starts from.
        after: Whether the traces are learned after the answers.
    """
    of: dict[str, list[Interaction]] = {}
    for one in interactions:
        of.setdefault(one.user_id, []).append(one)
    whole = held_out_people(list(of), config.validation_people)
    return [
        PersonLesson(
            user_id=user,
            interactions=tuple(rows),
            reasonings={i.key: reasonings[i.key] for i in rows if reasonings.get(i.key)},
            held=frozenset(
                [i.key for i in rows]
                if user in whole
                else _held_before(user, rows, start) or _newest(rows, config.validation_share)
            ),
            ordered=user in ordered,
            after=after,
        )
        for user, rows in of.items()
    ]


def held_out_people(users: Sequence[str], share: float) -> frozenset[str]:
    """Return who is not learned from at all: a share of the people, chosen by their ids' hashes.

    Args:
        users: Their ids, each once.
        share: Share of them, rounded; none of fewer than ten people.

    Example:
        >>> len(held_out_people([f"user {n}" for n in range(20)], 0.1))
        2
    """
    if len(users) < MIN_PEOPLE:
        return frozenset()
    ranked = sorted(users, key=lambda user: content_key("held-out person", user))
    return frozenset(ranked[: int(len(users) * share + 0.5)])


def shown_when_asked(
    histories: Histories, lesson: PersonLesson, one: Interaction
) -> tuple[Interaction, ...]:
    """Return what the prompt shows with an interaction that a training holds out.

    The held-out part of the corpus is unknown to `respond`, and so are here the other
    interactions of this person that are held out. Of a person who is held out as a whole the
    first half is known.

    Args:
        histories: Finds what `respond` shows.
        lesson: The person.
        one: The interaction.
    """
    rows = lesson.interactions
    known = [r for r in rows if r.key not in lesson.held] or list(rows[: len(rows) // 2])
    earlier = [r.position for r in known if r.position < one.position]
    before = max(earlier) + 1 if earlier else 0
    hidden = lesson.held - {r.key for r in known}
    shown = histories.of(lesson.user_id, one.question, before=before)
    return tuple(past for past in shown if past.key not in hidden)


def _newest(rows: Sequence[Interaction], share: float) -> list[str]:
    count = int(len(rows) * share + 0.5)
    return [one.key for one in rows[len(rows) - count :]]


def _held_before(user: str, rows: Sequence[Interaction], start: TrainedAdapter | None) -> list[str]:
    if start is None or user not in start.manifest.learned_from:
        return []
    held = set(start.manifest.held)
    return [one.key for one in rows if one.key in held]
