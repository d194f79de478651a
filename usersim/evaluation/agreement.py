"""Whether another reconstructor would have chosen the same traces (guard L8, at selection).

A score that only one model understands tells about that model, not about the trace. So the choice
of the first reconstructor is measured by a second one, which had no part in it: what remains of
its advantage over a random eligible trace is what a user model can hope to learn from the score.

Knows scored candidates and selections as plain values; asks no model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from usersim.evaluation.bootstrap import FloatArray, Interval, Resampling, divide, ratio
from usersim.evaluation.leakage import CHOICE, diagnostic
from usersim.types import Interaction, ScoredCandidate, Selection
from usersim.views import in_words, printed

__all__ = ["Agreement", "agreement"]

_LEAST = 2
"""Eligible candidates without which there is nothing to choose."""


@printed(in_words)
@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Two reconstructors on the same candidates; the first one chose.

    Gains are reported gains, in the scorer's unit; intervals are over people, then
    conversations.

    Attributes:
        unit: Unit of the gains; several, joined, where scorers differ.
        first: Gain of the chosen trace over the mean of the eligible, by the first
            reconstructor. Above 0 also where the score is noise: it was chosen by it.
        second: The same traces, by the second one; near 0, the choice makes no difference to it.
        most: The same of the second one's own best: what could have been gained at the most, and
            also above 0 where its score is noise.
        chosen: Gain of the chosen traces over no reasoning, by the second reconstructor.
        correlation: Of the two reconstructors' rankings within an interaction, pooled; from −1
            to 1 (Spearman's, over interactions).
        n: Interactions with at least two eligible candidates.

    Example:
        >>> from usersim.evaluation.bootstrap import Interval
        >>> one, none = Interval(0.4, 0.2, 0.6), Interval(0.02, -0.1, 0.14)
        >>> found = Agreement(unit="nats", first=one, second=none, most=one, chosen=none,
        ...                   correlation=none, n=120)
        >>> found.second.excludes(0.0)  # the second model does not see the choice
        False
        >>> found.to_figures()["L8 chosen over eligible, by the second reconstructor, n = 120"]
        0.02
    """

    unit: str
    first: Interval
    second: Interval
    most: Interval
    chosen: Interval
    correlation: Interval
    n: int

    def __str__(self) -> str:
        return (
            f"second reconstructor: chosen minus eligible {self.second} {self.unit} (by the one "
            "that"
            f" chose {self.first}), rank correlation {self.correlation}, n = {self.n}"
        )

    def to_figures(self) -> dict[str, float]:
        """Return the figures by name, as the table of leakage diagnostics shows them."""
        named = {
            "L8 chosen over eligible, by the reconstructor that chose": self.first,
            CHOICE: self.second,
            "L8 the second reconstructor's own best over eligible": self.most,
            "L8 gain of the chosen traces, by the second reconstructor": self.chosen,
            "L8 rank correlation of the two reconstructors' gains": self.correlation,
        }
        figures: dict[str, float] = {}
        for name, found in named.items():
            figures |= diagnostic(name, value=found.value, low=found.low, high=found.high, n=self.n)
        return figures


def agreement(
    interactions: Sequence[Interaction],
    first: Mapping[str, Sequence[ScoredCandidate]],
    second: Mapping[str, Sequence[ScoredCandidate]],
    selections: Mapping[str, Selection],
    *,
    seed: int = 0,
) -> Agreement | None:
    """Compare two reconstructors' gains of the same candidates.

    Args:
        interactions: Whose candidates were scored.
        first: Scored candidates by interaction key, of the reconstructor that chose.
        second: The same candidates, scored by the second one.
        selections: The first one's decisions by interaction key; their utilities name the
            eligible candidates, and the largest the choice, whatever its gain.
        seed: Of the resamples.

    Returns:
        The figures; None if no interaction has two eligible candidates with both scores.

    Example:
        >>> from usersim.types import Candidate, FreeText, Leakage, Message, TraceScores
        >>> tea = Interaction(key="k", user_id="ada", position=0, context=(Message("Tea?"),),
        ...                   action="Yes.", space=FreeText(), conversation="c")
        >>> def trace(index, gain):
        ...     drawn = Candidate(interaction_key="k", direction="forward", draw=index, seed=0,
        ...                       reasoning=f"Thought {index}.", complete=True, model="m",
        ...                       prompt_id="p")
        ...     scores = TraceScores(scorer="s", unit="nats", raw_gain=gain, masked_gain=gain,
        ...                          reported_gain=gain)
        ...     return ScoredCandidate(candidate=drawn, scores=scores, leakage=Leakage())
        >>> first, second = [trace(0, 0.1), trace(1, 0.4)], [trace(0, 0.0), trace(1, 0.2)]
        >>> best = first[1].candidate.key
        >>> chosen = Selection(interaction_key="k", kept=best, reason="kept the best",
        ...                    utilities={first[0].candidate.key: -0.7, best: 0.7})
        >>> found = agreement([tea], {"k": first}, {"k": second}, {"k": chosen})
        >>> found.n, round(found.second.value, 2)
        (1, 0.1)
    """
    rows: list[list[float]] = []
    told: list[Interaction] = []
    units: dict[str, None] = {}
    for one in interactions:
        selection = selections.get(one.key)
        if selection is None:
            continue
        gains = [_gains(scored.get(one.key, ())) for scored in (first, second)]
        eligible = [key for key in selection.utilities if all(key in each for each in gains)]
        if len(eligible) < _LEAST:
            continue
        utilities = [selection.utilities[key] for key in eligible]
        choice = utilities.index(max(utilities))
        rows.append(_row([[each[key] for key in eligible] for each in gains], choice))
        told.append(one)
        units |= dict.fromkeys(c.scores.unit for c in first[one.key])
    if not rows:
        return None
    resampling = Resampling.of(
        [one.user_id for one in told], [one.conversation for one in told], seed=seed
    )
    table = np.array(rows)
    means = [resampling.estimate(_counted(table[:, column]), ratio) for column in range(4)]
    return Agreement(
        unit=" / ".join(units),
        first=means[0],
        second=means[1],
        most=means[2],
        chosen=means[3],
        correlation=resampling.estimate(table[:, 4:], _correlation),
        n=len(rows),
    )


def _gains(scored: Sequence[ScoredCandidate]) -> dict[str, float]:
    return {one.candidate.key: one.scores.reported_gain for one in scored}


def _row(gains: Sequence[Sequence[float]], choice: int) -> list[float]:
    """Return four gains and three products, for one interaction."""
    first, second = gains
    ranks = [_ranks(each) for each in gains]
    return [
        first[choice] - fmean(first),
        second[choice] - fmean(second),
        max(second) - fmean(second),
        second[choice],
        float(ranks[0] @ ranks[1]),
        float(ranks[0] @ ranks[0]),
        float(ranks[1] @ ranks[1]),
    ]


def _ranks(values: Sequence[float]) -> FloatArray:
    """Return ranks around 0, ties sharing theirs: the size of a gain differs by question."""
    own = np.array(values)
    return np.sign(own[:, None] - own).sum(axis=1)


def _counted(values: FloatArray) -> FloatArray:
    return np.column_stack([values, np.ones_like(values)])


def _correlation(totals: FloatArray) -> FloatArray:
    """Return the pooled correlation of `(..., 3)` totals of products and squares."""
    return divide(totals[..., 0], np.sqrt(totals[..., 1] * totals[..., 2]))
