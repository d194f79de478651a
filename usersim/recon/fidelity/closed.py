"""`choice` and `scale`: proper scores of the probabilities of all options.

Both condition on the answer being one of the options, and average over option orders: a model
that prefers a place in the list is not mistaken for one that knows the person.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from random import Random

from usersim.engines import Engine, require
from usersim.engines.options import OptionQuery, normalized, option_requests
from usersim.recon.fidelity.base import Answers, Fidelity, ScoringPlan, Trial, wrong_kind
from usersim.transcript import prefix
from usersim.types import Choice, Scale

__all__ = ["ChoiceScore", "ScaleScore", "brier", "ranked_probability_score"]

_Probabilities = tuple[float, ...]


def brier(probabilities: Sequence[float], chosen: int) -> float:
    """Return the Brier score, sum over options of (p_k - 1[k = chosen])^2; 0 is best, 2 worst.

    Example:
        >>> brier((0.5, 0.5), 0)
        0.5
    """
    return sum((p - (k == chosen)) ** 2 for k, p in enumerate(probabilities))


def ranked_probability_score(probabilities: Sequence[float], chosen: int) -> float:
    """Return the ranked probability score of an ordered answer; 0 is best, 1 worst.

    `sum_{k<K} (F_k - 1[chosen <= k])^2 / (K - 1)` with the cumulative probabilities F: being
    off by two places costs more than being off by one.

    Example:
        >>> ranked_probability_score((0.0, 1.0, 0.0), 0)
        0.5
    """
    total, cumulative = 0.0, 0.0
    for k, p in enumerate(probabilities[:-1]):
        cumulative += p
        total += (cumulative - (chosen <= k)) ** 2
    return total / (len(probabilities) - 1)


@dataclass(frozen=True, slots=True)
class ChoiceScore:
    """Gain in the log score of the chosen option, Brier beside it.

    Whole option strings are scored and normalized over the options; the probabilities are
    averaged over option orders, min(K!, `orders`) of them:

        gain(r) = log p(a | x, r, one of K) - log p(a | x, empty, one of K)

    Each logarithm is cut at `floor`. Where not all K! orders are taken they are random: the
    first half selects (`gain`), the second reports (`reported_gain`). Where all are taken, or
    one only (the options' own), nothing is random and both are equal.

    Unit: nats. Requirements: log-probabilities.

    Attributes:
        orders: Most option orders.
        floor: Smallest log-probability that counts, nats.
    """

    orders: int
    floor: float
    name: str = "choice@2"
    unit: str = "nats"

    def check(self, engine: Engine) -> None:
        """Raise unless the engine scores given text."""
        require(engine, "logprobs", self.name)

    def plan(self, trial: Trial) -> ScoringPlan:
        """Ask for every option in every order, after the empty reasoning and each trace."""
        space = self._space(trial)
        return _plan(trial, space, self._orders(trial, space))

    def read(self, trial: Trial, answers: Answers) -> tuple[Fidelity, ...]:
        """Return the log-score gains on both halves of the orders."""
        space = self._space(trial)
        orders = self._orders(trial, space)
        chosen = space.options.index(trial.case.interaction.action_text)
        random = 1 < len(orders) < math.factorial(len(space.options))
        half = (len(orders) + 1) // 2 if random else len(orders)
        table = _probabilities(space, len(orders), answers)
        select = [_mean(row[:half]) for row in table]
        report = [_mean(row[half:]) for row in table] if random else select
        return tuple(
            Fidelity(
                gain=self._log(select[i][chosen]) - self._log(select[0][chosen]),
                reported_gain=self._log(report[i][chosen]) - self._log(report[0][chosen]),
                components={
                    "p_action": select[i][chosen],
                    "p_action_none": select[0][chosen],
                    "brier": brier(select[i], chosen),
                    "brier_none": brier(select[0], chosen),
                    "orders": len(orders),
                },
            )
            for i in range(1, len(table))
        )

    def _space(self, trial: Trial) -> Choice | Scale:
        space = trial.case.interaction.space
        if not isinstance(space, Choice | Scale):
            raise wrong_kind(self.name, trial)
        return space

    def _log(self, p: float) -> float:
        return max(math.log(p), self.floor) if p > 0 else self.floor

    def _orders(self, trial: Trial, space: Choice | Scale) -> list[tuple[int, ...]]:
        """Return the option orders of a trial: the options' own first, then random ones."""
        own = tuple(range(len(space.options)))
        if self.orders >= math.factorial(len(own)):
            return list(permutations(own))
        random = Random(trial.case.interaction.key)  # noqa: S311 - reproducible, nothing secret
        found = {own: None}
        while len(found) < self.orders:
            found[tuple(random.sample(own, len(own)))] = None
        return list(found)


@dataclass(frozen=True, slots=True)
class ScaleScore:
    """Gain in the (negative) ranked probability score of an ordered answer.

        gain(r) = RPS(a | x, empty) - RPS(a | x, r)

    Probabilities as in `ChoiceScore`; the orders are the two directions of the scale, so that
    it always reads as a scale. Nothing is random: `reported_gain` equals `gain`.

    Unit: RPS, 0 to 1. Requirements: log-probabilities.

    Attributes:
        orders: 1 shows the scale in its own direction only, 2 or more in both.
    """

    orders: int
    name: str = "scale@2"
    unit: str = "ranked probability score"

    def check(self, engine: Engine) -> None:
        """Raise unless the engine scores given text."""
        require(engine, "logprobs", self.name)

    def plan(self, trial: Trial) -> ScoringPlan:
        """Ask for every option in both directions, after the empty reasoning and each trace."""
        space = self._space(trial)
        return _plan(trial, space, self._orders(space))

    def read(self, trial: Trial, answers: Answers) -> tuple[Fidelity, ...]:
        """Return how much each trace lowers the ranked probability score."""
        space = self._space(trial)
        chosen = space.rank(trial.case.interaction.action_text)
        table = _probabilities(space, len(self._orders(space)), answers)
        none, *rows = (_mean(row) for row in table)
        rps_none = ranked_probability_score(none, chosen)
        values = [rps_none - ranked_probability_score(row, chosen) for row in rows]
        return tuple(
            Fidelity(
                gain=value,
                reported_gain=value,
                components={
                    "rps": rps_none - value,
                    "rps_none": rps_none,
                    "p_action": row[chosen],
                    "p_action_none": none[chosen],
                },
            )
            for value, row in zip(values, rows, strict=True)
        )

    def _space(self, trial: Trial) -> Scale:
        space = trial.case.interaction.space
        if not isinstance(space, Scale):
            raise wrong_kind(self.name, trial)
        return space

    def _orders(self, space: Scale) -> list[tuple[int, ...]]:
        own = tuple(range(len(space.options)))
        return [own, own[::-1]][: self.orders]


def _plan(trial: Trial, space: Choice | Scale, orders: Sequence[tuple[int, ...]]) -> ScoringPlan:
    """Ask order by order, trace by trace, option by option: what is shared comes first."""
    return ScoringPlan(
        score=tuple(
            request
            for order in orders
            for prompt in [trial.prompt(order)]
            for reasoning in ("", *trial.reasonings)
            for request in option_requests(
                OptionQuery(prompt=prompt, prefix=prefix(reasoning), options=space.options)
            )
        )
    )


def _probabilities(
    space: Choice | Scale, n_orders: int, answers: Answers
) -> list[list[_Probabilities]]:
    """Return probabilities by trace (the empty one first), order and option."""
    k = len(space.options)
    cells = [
        normalized(answers.scores[start : start + k]) for start in range(0, len(answers.scores), k)
    ]
    n_traces = len(cells) // n_orders
    return [cells[trace::n_traces] for trace in range(n_traces)]


def _mean(rows: Sequence[_Probabilities]) -> _Probabilities:
    return tuple(sum(column) / len(rows) for column in zip(*rows, strict=True))
