"""Settings of the panel model, chosen by how well it predicts people who were left out.

Knows cases and their scores; knows nothing of questions, options or files.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from usersim.prediction.contingency import PanelItems
from usersim.prediction.discriminant import Discriminant, KnownAnswers, Moments, PanelRow

if TYPE_CHECKING:
    from usersim.prediction.contingency import Codes, Floats

__all__ = ["LEAK", "PanelFit", "lower", "tune"]

SMOOTHING = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0)
"""Candidates of α, the answers that are added to each option of a question (Lidstone 1920; 1 is
Laplace's rule). Chosen so, none of 13 panels of 5 to 200 people predicted later answers worse by
more than 0.0005 nats than with 1, and one by 0.021 better. With as many answers for a question of
two options as for one of seven, up to 0.028 were lost. (Measured once, by a script that was not
kept.)"""
UNTUNED_SMOOTHING = 2.0
"""α of a panel of fewer than `FEWEST` people."""
SHRINKAGE = (0.2, 0.5, 0.8, 0.9, 0.97)
"""Candidates of λ: off-diagonal correlations are multiplied by 1 − λ."""
SUPPORT = (3.0, 10.0, 30.0)
"""Candidates of the people whose weight each prior class mean has."""
STRENGTHS = (0.03, 0.06, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.75, 0.9, 1.1)
"""Candidates of t at ten known answers."""
SLOPES = (0.0, -0.15, -0.3, -0.5, -0.7)
"""Candidates of b in `t(n) = t(10) · (n / 10) ** b`: shrunken features count shared evidence
twice, the more of it the more are known."""
FRACTIONS = (1.0, 0.75, 0.5, 0.25)
"""Parts of the best temperature that are tried again when the gain must be certain."""
CAUTION = 0.5
"""Standard errors that are taken off a gain before it counts, where people are many."""
UNSURE = 60.0
"""People with whom twice as many are, and with `n` people `1 + 60 / n` times: the best of hundreds
of settings on a few people is largely luck. With 10 instead, SPI panels of 5 people lost to
their own marginal on average, by 0.2 nats in the worst of six; with 60 none of 5 to 20 people lost
more than 0.003."""
TUNING_PEOPLE = 160
TUNING_QUESTIONS = 4
"""Answers of each left-out person that are predicted."""
LOWERED_PEOPLE = (20, 80)
"""Fewest and most left-out people on whom the temperature of one question is lowered."""
LOWERED_CASES = 3_000
"""Left-out answers of all such questions together, where that leaves each enough people."""
FEWEST = 5
"""People below which nothing is tuned and the marginal stands."""
LEAK = 0.005
"""Share of the marginal in every prediction: bounds the cost of a sure and wrong one."""
TYPICAL = 10.0
"""Known answers at which `PanelFit.strength` is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelFit:
    """What was tuned on left-out people.

    Attributes:
        smoothing: α of the marginals, in answers to each option.
        shrinkage: λ of the correlations.
        support: People whose weight each prior class mean has.
        strength: t at ten known answers; 0 where the panel predicts no better than its marginal.
        slope: b of `t(n) = strength · (n / 10) ** b`.
        gain: Mean log score over the marginal of left-out people, nats per answer.
        error: Standard error of `gain` over people.
        people: People it was measured on.
        lowered: Questions whose temperature is a part of the others', and which part: pairs of an
            index and a factor from 0 to 1.
    """

    smoothing: float
    shrinkage: float = 0.9
    support: float = 10.0
    strength: float = 0.0
    slope: float = 0.0
    gain: float = 0.0
    error: float = 0.0
    people: int = 0
    lowered: tuple[tuple[int, float], ...] = ()

    def temperature(self, known: int) -> float:
        """Return t for so many known answers."""
        return self.strength * (max(known, 1) / TYPICAL) ** self.slope


def tune(items: PanelItems, codes: Codes, weights: Floats, pairs: Floats, *, seed: int) -> PanelFit:
    """Choose smoothing, shrinkage, support and temperature by the log score of left-out people.

    Args:
        items: The items.
        codes: Categories of everybody, -1 where missing. Shape `(n, n_items)`.
        weights: Of the people. Shape `(n,)`.
        pairs: Counts of everybody.
        seed: Of the people that are left out and of their answers.
    """
    base = PanelFit(smoothing=_best_smoothing(items, pairs, len(codes)))
    if len(codes) < FEWEST:
        return base
    cases = _cases(items, codes, weights, pairs, base.smoothing, np.random.default_rng(seed))
    people = len({case.person for case in cases})
    if people < FEWEST:
        return base
    highest, best = 0.0, base
    for shrinkage, support in product(SHRINKAGE, SUPPORT):
        gains = _Gains(cases, (shrinkage, support))
        for strength, slope in product(STRENGTHS, SLOPES):
            mean = float(gains.of(strength, slope).mean())
            if mean > highest:
                highest = mean
                best = replace(
                    base, shrinkage=shrinkage, support=support, strength=strength, slope=slope
                )
    if not highest:
        return replace(base, people=people)
    return _certain(best, _Gains(cases, (best.shrinkage, best.support)))


def lower(
    fit: PanelFit,
    questions: Sequence[int],
    *,
    items: PanelItems,
    codes: Codes,
    weights: Floats,
    pairs: Floats,
    seed: int,
) -> PanelFit:
    """Lower the temperature of single questions to where a gain over the marginal is certain.

    The temperature is tuned on all questions together. One that has nothing to do with the others
    would pay for it: with 30 people 0.1 nats and more.

    Args:
        fit: What was tuned.
        questions: Indices of the questions.
        items: The items.
        codes: Categories of everybody, -1 where missing. Shape `(n, n_items)`.
        weights: Of the people. Shape `(n,)`.
        pairs: Counts of everybody.
        seed: Of the people that are left out and of what is known of them.
    """
    if not fit.strength or not questions:
        return fit
    fewest, most = LOWERED_PEOPLE
    people = min(max(LOWERED_CASES // len(questions), fewest), most)
    random = np.random.default_rng(seed)
    setting = (fit.shrinkage, fit.support)
    found: list[tuple[int, float]] = []
    for question in questions:
        own = items.of_question[question]
        rows = random.permutation(np.flatnonzero((codes[:, list(own)] >= 0).all(axis=1)))[:people]
        cases = [
            case
            for row in map(int, rows)
            for case in _of_question(
                items, own, codes[row], row, float(weights[row]), pairs, fit, random
            )
        ]
        if len({case.person for case in cases}) < FEWEST:
            found.append((question, 0.0))
            continue
        certain = _certain(fit, _Gains(cases, setting))
        if certain.strength < fit.strength:
            found.append((question, certain.strength / fit.strength))
    return replace(fit, lowered=tuple(found))


def _of_question(
    items: PanelItems,
    places: Sequence[int],
    codes: Codes,
    row: int,
    weight: float,
    pairs: Floats,
    fit: PanelFit,
    random: np.random.Generator,
) -> list[_Case]:
    """Return one person's answer to each item of a question, predicted from some of the others."""
    question = items.items[places[0]].question
    rest = [i for i in map(int, np.flatnonzero(codes >= 0)) if items.items[i].question != question]
    if not rest:
        return []
    size = round(math.exp(random.uniform(0, math.log(len(rest)))))
    known = sorted(map(int, random.permutation(rest)[:size]))
    moments = Moments.of(items, pairs, smoothing=fit.smoothing, without=PanelRow(codes, weight))
    discriminant = Discriminant(places, KnownAnswers(items, codes, known, moments))
    scores = discriminant.scores(fit.shrinkage, fit.support)
    cases: list[_Case] = []
    start = 0
    for place in places:
        span = slice(items.start[place], items.start[place + 1])
        marginal = moments.smoothed[span]
        own = scores[start : start + len(marginal)]
        start += len(marginal)
        cases.append(
            _Case(row, int(codes[place]), size, marginal, {(fit.shrinkage, fit.support): own})
        )
    return cases


def _certain(chosen: PanelFit, gains: _Gains) -> PanelFit:
    """Lower the temperature to where the mean gain less its standard error is largest."""
    found = replace(chosen, strength=0.0, people=gains.people)
    highest = 0.0
    caution = CAUTION * (1 + UNSURE / gains.people)
    for fraction in FRACTIONS:
        own = gains.of(chosen.strength * fraction, chosen.slope)
        error = float(own.std(ddof=1) / math.sqrt(len(own)))
        if own.mean() - caution * error > highest:
            highest = float(own.mean()) - caution * error
            found = replace(
                found,
                strength=chosen.strength * fraction,
                gain=float(own.mean()),
                error=error,
            )
    return found


def _best_smoothing(items: PanelItems, pairs: Floats, people: int) -> float:
    """Return the α under which each answer is likeliest given all the others.

    Leaving one answer out of a count has a closed form: `(n_k − 1 + α) / (N − 1 + K α)`.
    """
    counts = np.diag(pairs)
    totals = np.add.reduceat(counts, items.start[:-1])[items.owner]
    sizes = np.diff(items.start)[items.owner]
    seen = (counts >= 1) & (totals > 1)
    if people < FEWEST or not seen.any():
        return UNTUNED_SMOOTHING
    n, total, size = counts[seen], totals[seen], sizes[seen]
    scores = [float((n * np.log((n - 1 + a) / (total - 1 + size * a))).sum()) for a in SMOOTHING]
    return SMOOTHING[int(np.argmax(scores))]


class _Case(NamedTuple):
    """One left-out answer: the smoothed marginal, and scores under every setting."""

    person: int
    truth: int
    known: int
    marginal: Floats
    scores: dict[tuple[float, float], Floats]


def _cases(
    items: PanelItems,
    codes: Codes,
    weights: Floats,
    pairs: Floats,
    smoothing: float,
    random: np.random.Generator,
) -> list[_Case]:
    """Draw people, and of each some answers to predict from a random number of the others."""
    cases: list[_Case] = []
    for row in map(int, random.permutation(len(codes))[:TUNING_PEOPLE]):
        own = codes[row]
        answered = [int(i) for i in np.flatnonzero(own >= 0)]
        without = PanelRow(own, float(weights[row]))
        moments = Moments.of(items, pairs, smoothing=smoothing, without=without)
        for place in map(int, random.permutation(answered)[:TUNING_QUESTIONS]):
            question = items.items[place].question
            rest = [i for i in answered if items.items[i].question != question]
            if not rest:
                continue
            # From one to all of them, evenly on a logarithmic scale.
            size = round(math.exp(random.uniform(0, math.log(len(rest)))))
            known = sorted(map(int, random.permutation(rest)[:size]))
            discriminant = Discriminant([place], KnownAnswers(items, own, known, moments))
            scores = {
                setting: discriminant.scores(*setting) for setting in product(SHRINKAGE, SUPPORT)
            }
            span = slice(items.start[place], items.start[place + 1])
            cases.append(_Case(row, int(own[place]), size, moments.smoothed[span], scores))
    return cases


class _Gains:
    """Mean gain over the marginal of each left-out person, at one shrinkage and support."""

    def __init__(self, cases: Sequence[_Case], setting: tuple[float, float]) -> None:
        width = max(len(case.marginal) for case in cases)
        rows = sorted({case.person for case in cases})
        place = {row: i for i, row in enumerate(rows)}
        self.people = len(rows)
        self._person = np.array([place[case.person] for case in cases])
        self._count = np.bincount(self._person)
        self._known = np.array([case.known for case in cases]) / TYPICAL
        self._truth = np.array([case.truth for case in cases])
        self._log_marginal = np.full((len(cases), width), -np.inf)
        self._scores = np.zeros((len(cases), width))
        for i, case in enumerate(cases):
            self._log_marginal[i, : len(case.marginal)] = np.log(case.marginal)
            self._scores[i, : len(case.marginal)] = case.scores[setting]

    def of(self, strength: float, slope: float) -> Floats:
        """Return the mean gain of each person, nats. Shape `(people,)`."""
        t = strength * self._known**slope
        logits = self._log_marginal + t[:, None] * self._scores
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        rows = np.arange(len(p))
        marginal = np.exp(self._log_marginal[rows, self._truth])
        mixed = (1 - LEAK) * p[rows, self._truth] / p.sum(axis=1) + LEAK * marginal
        gain = np.log(mixed) - np.log(marginal)
        return np.bincount(self._person, weights=gain) / self._count
