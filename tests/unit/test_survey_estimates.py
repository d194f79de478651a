"""Intervals cover what they say they cover; diagnostics are what they are by definition."""

from __future__ import annotations

import math

import numpy as np
import pytest

from usersim.errors import EvaluationError
from usersim.survey.estimates import (
    AnswerTable,
    Item,
    correlation_gap,
    correlations,
    estimate,
    misfit,
    split_half,
    survey_fit,
)
from usersim.survey.estimates.distances import total_variation
from usersim.survey.estimates.proportions import share_interval

SCALE = ("low", "middle", "high")


def table(
    values: np.ndarray, *, simulated: bool = False, prefix: str = "p", weights: object = None
) -> AnswerTable:
    """A table of places on a three-point scale. Shape `(draws, people, items)`."""
    _, people, items = values.shape
    return AnswerTable(
        items=tuple(Item(key=f"q{i}", options=SCALE, ordered=True) for i in range(items)),
        respondents=tuple(f"{prefix}{i}" for i in range(people)),
        values=values.astype(float),
        weights=np.ones(people) if weights is None else np.asarray(weights, dtype=float),
        simulated=simulated,
    )


def test_intervals_over_people_cover_the_share_in_the_population() -> None:
    """In 80 samples of 80 people the interval holds the true share and mean in about 95 %."""
    rng = np.random.default_rng(0)
    held = np.zeros(2)
    for run in range(80):
        found = estimate(table(rng.choice(3, (1, 80, 1), p=[0.2, 0.5, 0.3])), "q0", seed=run)
        assert found.mean is not None
        held += [
            found.shares[2].low <= 0.3 <= found.shares[2].high,
            found.mean.low <= 2.1 <= found.mean.high,
        ]
    assert (held / 80 >= 0.95 - 3.3 * math.sqrt(0.95 * 0.05 / 80)).all()


def test_intervals_over_draws_cover_what_these_people_say_on_average() -> None:
    """Fixed people with their own chances: draws vary, the people do not."""
    rng = np.random.default_rng(1)
    chances = rng.uniform(0.05, 0.95, 60)
    held: list[bool] = []
    widths: list[float] = []
    for run in range(100):
        given = (rng.random((4, 60)) < chances) * 2
        found = estimate(table(given[:, :, None]), "q0", covers="draws", seed=run)
        held.append(found.shares[2].low <= chances.mean() <= found.shares[2].high)
        widths.append(found.shares[2].high - found.shares[2].low)
        if run == 0:
            over_people = estimate(table(given[:, :, None]), "q0").shares[2]
    assert np.mean(held) >= 0.95 - 3.3 * math.sqrt(0.95 * 0.05 / 100)
    assert over_people.high - over_people.low > 1.5 * np.mean(widths)


def test_answers_that_are_all_alike_have_an_interval_with_a_width() -> None:
    """Forty of forty: as many others are possible as Clopper and Pearson allow."""
    alike = table(np.zeros((1, 40, 1)))
    first, _, last = estimate(alike, "q0").shares
    assert (first.value, first.high, last.value, last.low) == (1, 1, 0, 0)
    assert last.high == pytest.approx(1 - 0.025 ** (1 / 40), abs=1e-6)
    assert first.low == pytest.approx(1 - last.high)
    mean = estimate(alike, "q0").mean
    assert mean is not None
    assert (mean.value, mean.low, mean.high) == pytest.approx((1, 1, 1 + 2 * last.high))
    uneven = estimate(table(np.zeros((1, 40, 1)), weights=[9.0] * 4 + [1.0] * 36), "q0")
    assert uneven.shares[0].low < first.low
    assert uneven.mean is not None
    assert uneven.mean.high > mean.high
    odd = estimate(table(np.zeros((1, 8, 1)), weights=[0.6, 1.4] * 4), "q0")
    assert odd.mean is not None
    assert odd.mean.high > 1.5  # whatever weights like these leave to rounding
    twice = estimate(table(np.zeros((2, 40, 1))), "q0", covers="draws").shares[0]
    assert first.low < twice.low < 1


def test_probabilities_that_are_all_alike_have_an_interval_with_a_width() -> None:
    """Forty people with the same probabilities: as many others may be sure of another option."""
    others = 1 - 0.025 ** (1 / 40)
    answers = {f"p{i}": [{"q": "low"}] for i in range(40)}
    told = {p: {"q": {"low": 0.7, "middle": 0.3, "high": 0.0}} for p in answers}
    alike = AnswerTable.of([Item(key="q", options=SCALE, ordered=True)], answers,
                           probabilities=told)  # fmt: skip
    found = estimate(alike, "q", by="probabilities")
    ends = [(one.low, one.high) for one in found.shares]
    assert np.array(ends) == pytest.approx(
        np.array([(p - others * p, p + others * (1 - p)) for p in (0.7, 0.3, 0.0)])
    )
    mean = found.mean
    assert mean is not None
    assert (mean.value, mean.low, mean.high) == pytest.approx(
        (1.3, 1.3 - others * 0.3, 1.3 + others * 1.7)
    )


def test_rare_answers_are_covered_with_few_people_and_uneven_weights() -> None:
    """Where resamples miss: 5 per cent of 40 people, some of whom count six times as much."""
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(200):
        weights = np.exp(0.6 * rng.standard_normal(40))
        values = np.where(rng.random((1, 40, 1)) < 0.05, 2, 0)
        share = estimate(table(values, weights=weights), "q0").shares[2]
        held += share.low <= 0.05 <= share.high
    assert held / 200 >= 0.95 - 2.6 * math.sqrt(0.95 * 0.05 / 200)


@pytest.mark.parametrize(("hits", "n"), [(0, 7), (1, 12), (5, 9), (30, 40), (12, 12)])
def test_share_intervals_are_those_of_exact_binomial_tails(hits: int, n: int) -> None:
    """At each end the observed count, or one farther out, has a probability of 2.5 per cent."""
    found = share_interval(hits / n, n)

    def tail(p: float, counts: range) -> float:
        return sum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in counts)

    if hits:
        assert tail(found.low, range(hits, n + 1)) == pytest.approx(0.025, abs=1e-9)
    else:
        assert found.low == 0
    if hits < n:
        assert tail(found.high, range(hits + 1)) == pytest.approx(0.025, abs=1e-9)
    else:
        assert found.high == 1


def test_intervals_with_misfit_cover_real_people_and_the_others_do_not() -> None:
    """A simulation that is off at random on every item: only the misfit's interval holds."""
    rng = np.random.default_rng(2)
    held = {"people": 0, "misfit": 0}
    for run in range(20):
        true = rng.dirichlet(np.full(3, 4), 21)
        false = np.array([rng.dirichlet(60 * p + 1) for p in true])
        draws = [[rng.choice(3, 150, p=row) for row in rows] for rows in (true, false)]
        human, guess = (table(np.array(d).T[None]) for d in draws)
        gaps = misfit(human.without("q20"), guess.without("q20"))
        plain = estimate(guess, "q20", seed=run)
        wide = estimate(guess, "q20", covers="misfit", gaps=gaps, seed=run)
        for name, found in (("people", plain), ("misfit", wide)):
            held[name] += sum(
                one.low <= truth <= one.high
                for one, truth in zip(found.shares, true[20], strict=True)
            )
    assert held["misfit"] / 60 >= 0.88
    assert held["people"] / 60 < 0.85


def test_weights_move_estimates_and_effective_numbers() -> None:
    """A respondent with weight 3 counts three times."""
    told = table(np.array([[[0], [2], [2], [2]]]), weights=[3, 1, 1, 1])
    found = estimate(told, "q0")
    assert found.shares[0].value == pytest.approx(0.5)
    assert found.mean is not None
    assert found.mean.value == pytest.approx(2.0)
    assert found.effective_n == pytest.approx(36 / 12)


def test_numbers_have_a_mean_and_no_shares() -> None:
    """And missing answers are left out."""
    cups = AnswerTable.of([Item(key="cups")], {"a": [{"cups": 2}], "b": [{"cups": 4}], "c": [{}]})
    found = estimate(cups, "cups")
    assert (found.shares, found.n) == ((), 2)
    assert found.mean is not None
    assert found.mean.value == 3


def test_probabilities_are_counted_where_asked_for() -> None:
    """The share of expected answers differs from that of the likeliest ones."""
    item = Item(key="q", options=("no", "yes"))
    told = {p: {"q": {"no": 0.4, "yes": 0.6}} for p in "abcdef"}
    answers = {p: [{"q": "yes"}] for p in "abcdef"}
    both = AnswerTable.of([item], answers, probabilities=told)
    assert estimate(both, "q").shares[1].value == 1
    assert estimate(both, "q", by="probabilities").shares[1].value == pytest.approx(0.6)


def test_what_cannot_be_estimated_raises() -> None:
    """One draw has no spread, a misfit must be known, a column must be there."""
    one = table(np.zeros((1, 10, 1)))
    with pytest.raises(EvaluationError, match="one draw"):
        estimate(one, "q0", covers="draws")
    with pytest.raises(EvaluationError, match="needs measured misfits"):
        estimate(one, "q0", covers="misfit")
    with pytest.raises(EvaluationError, match="'q9'"):
        estimate(one, "q9")
    with pytest.raises(EvaluationError, match="nobody answered"):
        estimate(table(np.full((1, 10, 1), np.nan)), "q0")
    with pytest.raises(EvaluationError, match="1 item with both"):
        misfit(one, one)
    with pytest.raises(EvaluationError, match=r"'tea'.*'a'"):
        AnswerTable.of([Item(key="q", options=("x", "y"))], {"a": [{"q": "tea"}]})
    with pytest.raises(EvaluationError, match="cannot be halved"):
        split_half(one.keep(["p0"]))


def latent(rng: np.random.Generator, n: int, items: int, load: float) -> np.ndarray:
    """Answers that hang together by one factor. Shape `(1, n, items)`."""
    factor = rng.normal(size=(n, 1))
    z = load * factor + math.sqrt(1 - load**2) * rng.normal(size=(n, items))
    return np.digitize(z, [0.5, 1.5])[None]


def test_the_same_people_fit_as_well_as_halves_of_them_do() -> None:
    """Two samples of one population: distances at the floor, correlations too."""
    rng = np.random.default_rng(3)
    human, guess = (table(latent(rng, 400, 8, 0.7), prefix=p) for p in "ab")
    fit = survey_fit(human, guess)
    assert fit.total_variation.value < 2 * fit.floor
    assert fit.correlation is not None
    assert fit.correlation.gap.value < 1.5 * fit.correlation.floor
    assert fit.correlation.strength == pytest.approx(1, abs=0.15)
    assert fit.entropy_ratio.value == pytest.approx(1, abs=0.05)
    assert fit.score.value > 85
    assert fit.score.high <= 100


def test_right_shares_with_mixed_up_people_are_found_by_correlations() -> None:
    """Each item shuffled among people: marginals perfect, structure gone."""
    rng = np.random.default_rng(4)
    given = latent(rng, 400, 8, 0.8)
    mixed = np.stack([rng.permutation(given[0, :, i]) for i in range(8)], axis=1)[None]
    fit = survey_fit(table(given), table(mixed, simulated=True))
    assert fit.total_variation.value == 0
    assert fit.correlation is not None
    assert fit.correlation.gap.low > fit.correlation.floor
    assert fit.correlation.strength < 0.3


def test_everybody_alike_is_found_by_entropy_and_groups_by_their_gap() -> None:
    """All simulated people give the group's favorite; one group is simulated as the other."""
    rng = np.random.default_rng(5)
    group = np.arange(200) % 2
    given = np.where(rng.random(200) < 0.8, group * 2, 1)[None, :, None]
    flat = np.zeros((3, 200, 1))
    names = tuple("even" if g == 0 else "odd" for g in group)
    human, guess = (
        AnswerTable(
            items=t.items, respondents=t.respondents, values=t.values, weights=t.weights,
            groups={"parity": names},
        )
        for t in (table(given), table(flat))
    )  # fmt: skip
    fit = survey_fit(human, guess)
    assert fit.entropy_ratio.value == 0
    assert fit.same_again == 1
    gaps = {one.category: one.total_variation for one in fit.groups}
    assert gaps["even"] < 0.35
    assert gaps["odd"] == 1
    item = fit.items[0]
    assert item.distances.total_variation == total_variation(item.simulated, item.human)


def test_weighted_correlations_are_those_of_repeated_people() -> None:
    """A weight of 2 is the same person twice; blanks count pairwise."""
    rng = np.random.default_rng(6)
    values = rng.normal(size=(40, 3))
    values[:10, 2] = np.nan
    weights = rng.integers(1, 4, 40).astype(float)
    repeated = np.repeat(values, weights.astype(int), axis=0)
    found = correlations(values, weights)
    both = ~np.isnan(repeated[:, 2])
    assert found[0, 1] == pytest.approx(np.corrcoef(repeated[:, 0], repeated[:, 1])[0, 1])
    assert found[0, 2] == pytest.approx(np.corrcoef(repeated[both, 0], repeated[both, 2])[0, 1])
    constant = table(np.zeros((1, 30, 2)))
    assert correlation_gap(constant, constant, ["q0", "q1"]) is None


def test_surveys_without_a_common_item_raise() -> None:
    """And other options are no common item."""
    one = table(np.zeros((1, 10, 1)))
    with pytest.raises(EvaluationError, match="no item with options"):
        survey_fit(one, AnswerTable.of([Item(key="z", options=SCALE)], {"a": [{"z": "low"}]}))
    other = AnswerTable.of([Item(key="q0", options=("x", "y"))], {"a": [{"q0": "x"}]})
    with pytest.raises(EvaluationError, match="different options"):
        survey_fit(one, other)
