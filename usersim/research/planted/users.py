"""Planted users: simulated people whose reasons are known, because a rule made their choices.

Of a real person nobody knows why they chose, so no trace of theirs can be called right. Planted
users have an attribute that decides for them, perhaps another one on some occasions: whether a
trace names it can be told. They are synthetic and say so. Makes rows and facts; knows
nothing of traces or models.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TypeVar

from usersim.errors import EvaluationError
from usersim.research.planted.rules import (
    ROW_NUMBER,
    PlantedFacts,
    PlantedRule,
    PlantedSituation,
    PlantedUser,
    check_share,
)
from usersim.research.planted.words import (
    ATTRIBUTES,
    CIRCUMSTANCES,
    CLOSINGS,
    DOMAINS,
    NAMES,
    OPENINGS,
    OWN,
    Domain,
)
from usersim.types import content_key

__all__ = ["PlantedPopulation", "planted_users"]

_ASKED = "Which one?"
_TEXT_ASKED = "Which one, in a sentence?"
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class PlantedPopulation:
    """Planted users: rows that a corpus reads, and the facts behind them.

    Attributes:
        rows: Rows in the corpus format, person by person, in order.
        facts: Rules and situations.

    Example:
        >>> from usersim import Corpus
        >>> people = planted_users(users=2, interactions=3)
        >>> with Corpus.open(":memory:") as corpus:
        ...     corpus.add(people.rows).kept
        6
    """

    rows: tuple[dict[str, object], ...]
    facts: PlantedFacts


def planted_users(
    *,
    users: int = 12,
    interactions: int = 40,
    seed: int = 0,
    noise: float = 0.05,
    flipping: float = 0.5,
    texts: float = 0.25,
) -> PlantedPopulation:
    """Return simulated people whose decision rule is known.

    Everybody chooses between two or three offers that differ in five attributes, and takes the
    one that is best in the attribute that decides for them. Which offer is best in one attribute
    says nothing about which is best in another, so only the right reason predicts the choices.

    Args:
        users: How many people; attributes are dealt evenly among them.
        interactions: Rows each.
        seed: Equal arguments make equal people and rows, on every machine.
        noise: Probability that a random offer is taken.
        flipping: Share of the people for whom another attribute decides on one occasion.
        texts: Share of the questions that are answered in a sentence.

    Returns:
        Rows, each marked `synthetic` in its metadata, and facts.

    Raises:
        EvaluationError: If a count is below 1 or a share is not between 0 and 1.

    Example:
        >>> people = planted_users(users=2, interactions=3, noise=0)
        >>> [user.user_id for user in people.facts.users]
        ['planted-00', 'planted-01']
        >>> all(people.facts.explains(row) for row in people.rows)
        True
    """
    for name, count in (("users", users), ("interactions", interactions)):
        if count < 1:
            raise EvaluationError(f"{name} must be at least 1; got {count!r}")
    for name, share in (("noise", noise), ("flipping", flipping), ("texts", texts)):
        check_share(name, share)
    people = [_person(n, seed, noise, flipping) for n in range(users)]
    rows: list[dict[str, object]] = []
    situations: dict[str, tuple[PlantedSituation, ...]] = {}
    for person in people:
        own = list(_rows(person, interactions, texts, _random(seed, person.user_id)))
        rows += [row for row, _ in own]
        situations[person.user_id] = tuple(situation for _, situation in own)
    return PlantedPopulation(tuple(rows), PlantedFacts(tuple(people), situations))


def _random(*parts: object) -> random.Random:
    return random.Random(content_key("planted users", *parts))  # noqa: S311 - not secret


def _person(n: int, seed: int, noise: float, flipping: float) -> PlantedUser:
    """Deal person `n` a rule; it does not depend on how many people there are."""
    rng = _random(seed, "rule", n)
    deck = _random(seed, "deck", n // len(ATTRIBUTES)).sample(ATTRIBUTES, len(ATTRIBUTES))
    attribute = deck[n % len(ATTRIBUTES)]
    others = [name for name in ATTRIBUTES if name != attribute]
    flipped = rng.choice(others)
    circumstance = rng.choice([name for name in CIRCUMSTANCES if name != OWN])
    # Flips are spread evenly: the whole part of n·share grows at every (1/share)th person.
    flips = int((n + 1) * flipping + 1e-9) > int(n * flipping + 1e-9)
    rule = PlantedRule(
        attribute=attribute,
        circumstance=circumstance if flips else None,
        flipped=flipped if flips else None,
        noise=noise,
    )
    return PlantedUser(f"planted-{n:02}", rule)


def _dealt(items: Sequence[_T], rng: random.Random) -> Iterator[_T]:
    """Yield items without end, each as often as the others: one shuffled deck after another."""
    while True:
        yield from rng.sample(items, len(items))


def _design(n_offers: int) -> list[tuple[int, ...]]:
    """Return which offer is best in each attribute, balanced over the questions of a block.

    Columns a, b, c, a+b+1 and a+c, modulo the number of offers, over all a, b and c: in any two
    of them every pair of offers stands equally often, so no attribute predicts another. With
    these constants there is no row in which one offer is best in everything.

    Notes:
        Source: Hedayat, Sloane and Stufken, Orthogonal Arrays, 1999, chapter 3.
    """
    return [
        (a, b, c, (a + b + 1) % n_offers, (a + c) % n_offers)
        for a, b, c in product(range(n_offers), repeat=3)
    ]


def _rows(
    person: PlantedUser, count: int, texts: float, rng: random.Random
) -> Iterator[tuple[dict[str, object], PlantedSituation]]:
    """Yield a person's rows with their situations."""
    columns = rng.sample(ATTRIBUTES, len(ATTRIBUTES))
    designs = {size: _dealt(_design(size), rng) for size in (2, 3)}
    circumstances, domains = _dealt(tuple(CIRCUMSTANCES), rng), _dealt(DOMAINS, rng)
    sizes = _dealt((2, 3), rng)
    voice = (rng.sample(OPENINGS, 2), rng.sample(CLOSINGS, 2))
    for number in range(count):
        size = next(sizes)
        winners = dict(zip(columns, next(designs[size]), strict=True))
        names = rng.sample(NAMES, size)
        circumstance = next(circumstances)
        drawn = rng.random() < person.rule.noise
        situation = PlantedSituation(
            circumstance=circumstance,
            best={name: names[winners[name]] for name in ATTRIBUTES},
            random=drawn,
        )
        taken = rng.choice(names) if drawn else person.rule.choice(situation)
        asked = _context(next(domains), names, winners, CIRCUMSTANCES[circumstance], rng)
        # Texts are spread evenly, as flips are over people.
        text = int((number + 1) * texts + 1e-9) > int(number * texts + 1e-9)
        said = f"{rng.choice(voice[0]).format(name=taken)}, {rng.choice(voice[1])}"
        question = f"{asked} {_TEXT_ASKED if text else _ASKED}"
        yield (
            {
                "user_id": person.user_id,
                "timestamp": None,
                "order": number,
                "context": [{"role": "user", "name": "shop", "content": question}],
                "action": said if text else taken,
                "action_type": "free_text" if text else "choice",
                "options": None if text else names,
                "metadata": {"synthetic": True, ROW_NUMBER: number},
            },
            situation,
        )


def _context(
    domain: Domain,
    names: Sequence[str],
    winners: Mapping[str, int],
    occasion: str,
    rng: random.Random,
) -> str:
    """Return the offers in words; the attributes stand in another order in each context."""
    stated: dict[str, list[str]] = {}
    for attribute in rng.sample(ATTRIBUTES, len(ATTRIBUTES)):
        values = domain.values[attribute]
        places = sorted(rng.sample(range(len(values)), len(names)))
        losers = rng.sample(places[1:], len(names) - 1)
        losers.insert(winners[attribute], places[0])
        stated[attribute] = [domain.wording[attribute].format(values[i]) for i in losers]
    offers = [
        f"{name}: {', '.join(stated[each][i] for each in stated)}." for i, name in enumerate(names)
    ]
    return f"You need {domain.thing}. {occasion} {' '.join(offers)}"
