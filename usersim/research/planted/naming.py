"""Whether traces name the reason that was planted.

A gain says that a trace predicts; this says that it predicts for the right reason. Knows texts,
rules and facts; knows nothing of who wrote the traces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from usersim.errors import EvaluationError
from usersim.evaluation.bootstrap import Interval, Resampling, ratio
from usersim.research.planted.rules import PlantedFacts, PlantedRule, PlantedSituation
from usersim.research.planted.words import named_attributes
from usersim.types import Interaction
from usersim.types.counting import counted

__all__ = ["NamingRate", "names_other", "names_reason", "naming_rate"]


def names_reason(reasoning: str, rule: PlantedRule, situation: PlantedSituation) -> bool:
    """Return whether a trace names the attribute that decided.

    Args:
        reasoning: The trace.
        rule: The person's rule.
        situation: Where it was applied: the occasion tells which attribute decided.

    Returns:
        True if a word for it stands in the trace, whatever else does.

    Example:
        >>> rule = PlantedRule(attribute="price")
        >>> here = PlantedSituation(circumstance="own", best={})
        >>> names_reason("They always go for the cheapest.", rule, here)
        True
        >>> names_reason("They trust a long warranty.", rule, here)
        False
    """
    return rule.active(situation) in named_attributes(reasoning)


def names_other(reasoning: str, rule: PlantedRule, situation: PlantedSituation) -> bool:
    """Return whether a trace names another attribute instead of the one that decided.

    Arguments as in `names_reason`; False where the deciding attribute is named too.
    """
    named = named_attributes(reasoning)
    return bool(named) and rule.active(situation) not in named


@dataclass(frozen=True, slots=True, kw_only=True)
class NamingRate:
    """How often traces name the planted reason; the first three shares sum to 1.

    Attributes:
        n: Traces.
        reason: Share that names the attribute that decided.
        other: Share that names others only.
        neither: Share that names none; the empty trace is one of these.
        alone: Share that names the attribute that decided and no other: a trace that lists
            everything names the reason too, and explains nothing.

    Example:
        >>> from usersim import Corpus
        >>> from usersim.research import planted_users
        >>> people = planted_users(users=2, interactions=4, noise=0)
        >>> with Corpus.open(":memory:") as corpus:
        ...     report = corpus.add(people.rows)
        ...     traces = [(one, "They like it.") for one in corpus.interactions()]
        >>> rate = naming_rate(traces, people.facts, resamples=50)
        >>> rate.n, rate.reason.value, rate.neither.value
        (8, 0.0, 1.0)
    """

    n: int
    reason: Interval
    other: Interval
    neither: Interval
    alone: Interval

    def __str__(self) -> str:
        return (
            f"{counted(self.n, 'trace')}: names the reason {self.reason} (and no other "
            f"{self.alone}), "
            f"only another {self.other}, none {self.neither}"
        )


def naming_rate(
    traces: Sequence[tuple[Interaction, str]],
    facts: PlantedFacts,
    *,
    resamples: int = 2000,
    seed: int = 0,
) -> NamingRate:
    """Return how often traces name the planted reason, with intervals.

    Rows in which a random offer was taken are left out: nothing decided there.

    Args:
        traces: Interactions of planted users, each with a trace for it. Shape `(n,)`.
        facts: What was planted.
        resamples: Resamples of the bootstrap over people, then conversations.
        seed: Seed of the resamples.

    Returns:
        Shares with 95 % intervals.

    Raises:
        EvaluationError: If there is no trace, or an interaction is of nobody that was planted.
    """
    known = [(i, text, facts.situation(i)) for i, text in traces]
    decided = [(i, text, where) for i, text, where in known if not where.random]
    if not decided:
        raise EvaluationError(
            "a naming rate needs at least one trace of a row that a rule decided; got "
            f"{counted(len(traces), 'trace')}"
        )
    flags = np.zeros((len(decided), 4))
    for place, (interaction, text, where) in enumerate(decided):
        rule = facts.rule(interaction.user_id)
        named = named_attributes(text)
        reason = names_reason(text, rule, where)
        flags[place] = (
            reason,
            names_other(text, rule, where),
            not named,
            reason and len(named) == 1,
        )
    sampling = Resampling.of(
        [i.user_id for i, _, _ in decided],
        [i.conversation for i, _, _ in decided],
        resamples=resamples,
        seed=seed,
    )
    ones = np.ones(len(decided))
    shares = [sampling.estimate(np.stack([column, ones], axis=1), ratio) for column in flags.T]
    return NamingRate(
        n=len(decided), reason=shares[0], other=shares[1], neither=shares[2], alone=shares[3]
    )
