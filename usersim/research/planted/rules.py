"""Rules of planted users, and the facts that say which rule made which row.

Knows rules and rows; knows nothing of how rows are worded or made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, cast

from usersim.errors import EvaluationError
from usersim.research.planted.words import ATTRIBUTES, CIRCUMSTANCES
from usersim.types import Interaction

__all__ = [
    "ROW_NUMBER",
    "PlantedFacts",
    "PlantedRule",
    "PlantedSituation",
    "PlantedUser",
    "check_share",
]

ROW_NUMBER = "planted_row"
"""Metadata of a row that says which facts are its own.

No fact stands in the metadata: what stays the same over a person's rows is shown to models as a
profile, and the deciding attribute would be.
"""


def check_share(name: str, share: float) -> None:
    """Check that a setting is a share.

    Raises:
        EvaluationError: If it does not lie between 0 and 1.
    """
    if not 0 <= share <= 1:
        raise EvaluationError(f"{name} must be between 0 and 1; got {share!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantedRule:
    """How a planted user chooses: the offer that is best in one attribute.

    Attributes:
        attribute: The one that decides, out of `ATTRIBUTES`.
        circumstance: On this occasion `flipped` decides instead; None if one attribute always
            does.
        flipped: What decides then.
        noise: Probability of a random offer in place of the rule's.

    Example:
        >>> rule = PlantedRule(attribute="price", circumstance="gift", flipped="guarantee")
        >>> rule.active(PlantedSituation(circumstance="gift", best={}))
        'guarantee'
    """

    attribute: str
    circumstance: str | None = None
    flipped: str | None = None
    noise: float = 0.0

    def __post_init__(self) -> None:
        for name in (self.attribute, self.flipped):
            if name is not None and name not in ATTRIBUTES:
                raise EvaluationError(
                    f"{name!r} is not an attribute of an offer", hint=f"one of {list(ATTRIBUTES)}"
                )
        if self.circumstance is not None and self.circumstance not in CIRCUMSTANCES:
            raise EvaluationError(
                f"{self.circumstance!r} is not a circumstance", hint=f"one of {list(CIRCUMSTANCES)}"
            )
        if (self.circumstance is None) != (self.flipped is None):
            raise EvaluationError(
                "a rule that flips needs a circumstance and an attribute; got "
                f"{self.circumstance!r} and {self.flipped!r}"
            )
        check_share("noise", self.noise)

    def active(self, situation: PlantedSituation) -> str:
        """Return the attribute that decides in `situation`.

        Example:
            >>> rule = PlantedRule(attribute="price", circumstance="gift", flipped="rating")
            >>> rule.active(PlantedSituation(circumstance="gift", best={}))
            'rating'
        """
        flips = self.flipped is not None and situation.circumstance == self.circumstance
        return cast("str", self.flipped) if flips else self.attribute

    def choice(self, situation: PlantedSituation) -> str:
        """Return the offer that the rule takes in `situation`."""
        return situation.best[self.active(situation)]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantedSituation:
    """What is known of one row beside its text.

    Attributes:
        circumstance: The occasion that its context states.
        best: For each attribute, the offer that is best in it.
        random: The offer was drawn at random; it may still be the rule's.

    Example:
        >>> here = PlantedSituation(circumstance="own", best={"price": "A", "guarantee": "B"})
        >>> here.best[PlantedRule(attribute="price").active(here)]
        'A'
    """

    circumstance: str
    best: Mapping[str, str]
    random: bool = False


@dataclass(frozen=True, slots=True)
class PlantedUser:
    """A planted person and the rule that they follow."""

    user_id: str
    rule: PlantedRule


@dataclass(frozen=True, slots=True)
class PlantedFacts:
    """What is true of planted users: whoever has the corpus alone does not know it.

    Attributes:
        users: People, with their rules.
        situations: For each `user_id`, the situations of their rows, in order.

    Example:
        >>> from usersim.research import planted_users
        >>> facts = planted_users(users=2, interactions=3).facts
        >>> len(facts.users), [len(own) for own in facts.situations.values()]
        (2, [3, 3])
    """

    users: tuple[PlantedUser, ...]
    situations: Mapping[str, tuple[PlantedSituation, ...]]

    def rule(self, user_id: str) -> PlantedRule:
        """Return the rule of a person.

        Raises:
            EvaluationError: If nobody of that name was planted.
        """
        for user in self.users:
            if user.user_id == user_id:
                return user.rule
        raise EvaluationError(
            f"{user_id!r} is not a planted user, so their reasons are unknown",
            hint="use the ground-truth file that was written with this corpus",
        )

    def situation(self, row: Interaction | Mapping[str, Any]) -> PlantedSituation:
        """Return the situation of a row, given as it was made or as a corpus returns it.

        Raises:
            EvaluationError: If it is no row of these people.
        """
        user_id, metadata, _ = _parts(row)
        own = self.situations.get(user_id, ())
        number = metadata.get(ROW_NUMBER)
        if not isinstance(number, int) or not 0 <= number < len(own):
            raise EvaluationError(
                f"row {number!r} of {user_id!r} is not a planted row",
                hint="use the ground-truth file that was written with this corpus",
            )
        return own[number]

    def explains(self, row: Interaction | Mapping[str, Any]) -> bool:
        """Return whether a row's action is what the person's rule says.

        Raises:
            EvaluationError: If it is no row of these people.
        """
        user_id, _, action = _parts(row)
        situation = self.situation(row)
        # An answer in words names one offer; names do not contain each other.
        taken = [name for name in set(situation.best.values()) if name in action]
        return taken == [self.rule(user_id).choice(situation)]

    def to_json(self) -> dict[str, object]:
        """Return the facts as JSON values; `of_json` reads them."""
        return {
            "synthetic": True,
            "users": [
                {
                    "user_id": user.user_id,
                    "rule": asdict(user.rule),
                    "situations": [asdict(one) for one in self.situations[user.user_id]],
                }
                for user in self.users
            ],
        }

    @classmethod
    def of_json(cls, value: Mapping[str, Any]) -> PlantedFacts:
        """Return the facts that `to_json` wrote.

        Raises:
            EvaluationError: If it is something else.
        """
        try:
            users = [
                PlantedUser(one["user_id"], PlantedRule(**one["rule"])) for one in value["users"]
            ]
            situations = {
                one["user_id"]: tuple(PlantedSituation(**each) for each in one["situations"])
                for one in value["users"]
            }
        except (KeyError, TypeError) as error:
            raise EvaluationError(
                f"this is not a ground-truth file of planted users: {type(error).__name__}: "
                f"{error}",
                hint="read the .facts.json that `usersim study planted` wrote beside the corpus",
            ) from error
        return cls(tuple(users), situations)


def _parts(row: Interaction | Mapping[str, Any]) -> tuple[str, Mapping[str, object], str]:
    """Return a row's person, metadata and action, from either of its forms."""
    if isinstance(row, Interaction):
        return row.user_id, row.metadata, row.action_text
    metadata = cast("Mapping[str, object]", row.get("metadata") or {})
    return str(row.get("user_id")), metadata, str(row.get("action"))
