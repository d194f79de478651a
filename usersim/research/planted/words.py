"""Wording of planted users: what is on offer, for whom it is, and how people say what they take.

Everything here is invented. Knows texts and the words that name an attribute; knows no rules.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = [
    "ATTRIBUTES",
    "CIRCUMSTANCES",
    "CLOSINGS",
    "DOMAINS",
    "NAMES",
    "OPENINGS",
    "OWN",
    "SYNONYMS",
    "Domain",
    "named_attributes",
]

ATTRIBUTES: tuple[str, ...] = ("price", "speed", "guarantee", "distance", "rating")
"""What offers differ in; each of them decides for some people."""

OWN = "own"
CIRCUMSTANCES: Mapping[str, str] = MappingProxyType(
    {
        OWN: "It is for yourself.",
        "gift": "It is a gift for a friend.",
        "shared": "You will share it with a flatmate.",
        "work": "It is for your office.",
    }
)
"""What a context says of the occasion, by its name; `own` changes nobody's rule."""

NAMES = (
    "Alder", "Birk", "Corvin", "Dorna", "Elmo", "Farrow", "Gellert", "Hazel", "Ilmar", "Juno",
    "Kestrel", "Lorne", "Merle", "Nadir", "Orrin", "Pelham",
)  # fmt: skip
"""Names of offers: they say nothing of what is offered."""

OPENINGS = (
    "{name} it is",
    "I'd go with {name}",
    "Let me have {name}, please",
    "I'm taking {name}",
    "{name} for me",
    "Put me down for {name}",
)
CLOSINGS = (
    "no need to look any further.",
    "that one is right for this.",
    "and I won't think about it twice.",
    "the rest don't do it for me.",
    "it was clear as soon as I saw the list.",
    "I'd do the same again.",
)
"""How people say what they take: none of these sentences says why."""

SYNONYMS: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "price": (
        "price", "priced", "pricing", "pricey", "pricier", "cost", "costing", "costly", "cheap",
        "cheaper", "cheapest", "cheaply", "expensive", "inexpensive", "euro", "money", "budget",
        "afford", "affording", "affordable", "spend", "spending", "spent", "bargain", "savings",
        "frugal", "thrifty", "pay less", "pay more", "paying less", "paying more",
    ),
    "speed": (
        "speed", "speedy", "speedily", "fast", "faster", "fastest", "quick", "quicker", "quickest",
        "quickly", "sooner", "soonest", "rapid", "rapidly", "promptly", "deliver", "delivered",
        "delivering", "delivery", "deliveries", "arrive", "arrived", "arrival", "arriving", "wait",
        "waited", "waiting", "earlier", "earliest", "delay", "delayed", "ready", "on time",
    ),
    "guarantee": (
        "guarantee", "guaranteed", "guaranteeing", "warranty", "warranties", "refund", "refunded",
        "refunding", "refundable", "insurance", "insured", "protection", "coverage",
    ),
    "distance": (
        "distance", "distant", "near", "nearer", "nearest", "nearby", "closer", "closest",
        "farther", "farthest", "km", "kilometre", "kilometer", "walk", "walking", "travel",
        "travelling", "traveling", "local", "locally", "close by", "close to home", "far away",
        "too far", "not far", "how far",
    ),
    "rating": (
        "rating", "rated", "star", "review", "reviewed", "reviewer", "reputation", "popular",
        "popularity", "recommended", "recommendation", "well liked", "opinions of others",
    ),
})  # fmt: skip
"""Words that name an attribute; a plural counts too, and a hyphen is a space.

Words that mean other things as often ("far", "close", "soon", "save", "return", "value") are
left out, so that a trace is not said to name what it does not.
"""


def _pattern(phrases: tuple[str, ...]) -> re.Pattern[str]:
    either = "|".join(re.escape(phrase).replace(r"\ ", r"[\s-]+") for phrase in phrases)
    return re.compile(rf"\b(?:{either})s?\b", re.IGNORECASE)


_PATTERNS = {attribute: _pattern(phrases) for attribute, phrases in SYNONYMS.items()}


def named_attributes(text: str) -> frozenset[str]:
    """Return the attributes that `text` names, by a word of `SYNONYMS`, whole and without case.

    Being named is all that is told: "the price does not matter" names the price.

    Args:
        text: A trace, or any text.

    Returns:
        Names out of `ATTRIBUTES`; none if the text names none.

    Example:
        >>> sorted(named_attributes("She takes the cheapest, however long the wait."))
        ['price', 'speed']
        >>> named_attributes("Waiters nearly stared at a costume.")
        frozenset()
    """
    return frozenset(name for name, pattern in _PATTERNS.items() if pattern.search(text))


@dataclass(frozen=True, slots=True)
class Domain:
    """A kind of thing that is offered.

    Attributes:
        thing: What it is, as it stands behind "You need".
        wording: How each attribute is stated, `{}` for its value.
        values: Values of each attribute, the best first.
    """

    thing: str
    wording: Mapping[str, str]
    values: Mapping[str, tuple[str, ...]]


def _domain(thing: str, **stated: tuple[str, str]) -> Domain:
    """Return a domain; each attribute is given as its wording and its values, best first."""
    return Domain(
        thing,
        {name: wording for name, (wording, _) in stated.items()},
        {name: tuple(values.split()) for name, (_, values) in stated.items()},
    )


DOMAINS = (
    _domain(
        "a kettle",
        price=("{} euros", "19 24 29 36 45"),
        speed=("delivered in {} days", "2 3 5 7 9"),
        guarantee=("{}-year guarantee", "6 5 4 3 2"),
        distance=("shop {} km away", "1 3 6 9 14"),
        rating=("{} stars", "4.9 4.6 4.2 3.8 3.3"),
    ),
    _domain(
        "a bicycle service",
        price=("costs {} euros", "48 55 63 74 89"),
        speed=("ready in {} days", "2 4 6 8 11"),
        guarantee=("{}-month guarantee", "24 18 12 9 6"),
        distance=("{} km to ride", "2 4 7 11 15"),
        rating=("rated {} of 10", "9.6 9.1 8.4 7.7 6.9"),
    ),
    _domain(
        "headphones",
        price=("price {} euros", "39 52 68 85 109"),
        speed=("arrives in {} days", "2 3 4 6 8"),
        guarantee=("{}-month warranty", "48 36 24 18 12"),
        distance=("shop at {} km", "1 2 4 8 12"),
        rating=("reviews average {}", "4.8 4.5 4.1 3.7 3.2"),
    ),
    _domain(
        "a cooking course",
        price=("{} euros", "35 42 49 60 75"),
        speed=("a wait of {} days", "3 6 9 14 20"),
        guarantee=("refund for {} days", "30 21 14 10 7"),
        distance=("kitchen {} km away", "1 3 5 8 13"),
        rating=("rated {} of 5", "4.9 4.7 4.3 3.9 3.4"),
    ),
    _domain(
        "a desk lamp",
        price=("for {} euros", "22 28 34 43 57"),
        speed=("delivery in {} days", "2 4 5 8 10"),
        guarantee=("guaranteed {} years", "7 5 4 3 2"),
        distance=("stocked {} km off", "2 5 8 10 16"),
        rating=("{} of 5 stars", "4.8 4.4 4.0 3.6 3.1"),
    ),
    _domain(
        "a backpack",
        price=("{} euros", "45 54 66 79 95"),
        speed=("arrives in {} days", "2 3 6 7 9"),
        guarantee=("warranty of {} years", "10 8 5 3 2"),
        distance=("depot {} km off", "1 4 7 10 13"),
        rating=("reviews {} of 100", "97 92 86 79 71"),
    ),
    _domain(
        "a framed print",
        price=("costs {} euros", "25 31 38 47 59"),
        speed=("ready after {} days", "3 5 7 10 15"),
        guarantee=("refund for {} weeks", "12 8 6 4 2"),
        distance=("gallery {} km away", "2 3 6 9 12"),
        rating=("rated {} of 5", "4.9 4.5 4.2 3.7 3.0"),
    ),
    _domain(
        "a coffee grinder",
        price=("price {} euros", "32 40 49 61 78"),
        speed=("a wait of {} days", "2 4 6 9 12"),
        guarantee=("{}-year warranty", "6 5 4 3 2"),
        distance=("pick-up at {} km", "1 2 5 8 11"),
        rating=("{} stars", "4.7 4.4 4.0 3.5 3.1"),
    ),
)
