"""Raking: margins met, structure of the solution, errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from usersim.errors import EmptyCellError, ImpossibleMarginsError, WeightingError
from usersim.survey.estimates import effective_n, rake

MARGINS = {"sex": {"f": 0.5, "m": 0.5}, "age": {"young": 0.3, "middle": 0.4, "old": 0.3}}


def people(seed: int, n: int) -> dict[str, list[str]]:
    """Return people of whom too many are young and female."""
    rng = np.random.default_rng(seed)
    return {
        "sex": [str(v) for v in rng.choice(["f", "m"], n, p=[0.7, 0.3])],
        "age": [str(v) for v in rng.choice(["young", "middle", "old"], n, p=[0.6, 0.3, 0.1])],
    }


def share(categories: list[str], wanted: str, weights: np.ndarray) -> float:
    """Return the weighted share of a category."""
    return float(weights[np.array(categories) == wanted].sum() / weights.sum())


SEXES, AGES = tuple(MARGINS["sex"]), tuple(MARGINS["age"])
some = st.integers(1, 60)


@st.composite
def met(draw: st.DrawFn) -> dict[str, list[str]]:
    """People for whom weights exist that meet MARGINS.

    Any two age groups hold more than half of the population and any one less, and each sex half.
    So weights above 0 exist exactly when every age group has somebody and each sex is in at least
    two of them: no two age groups then have to come out of one sex alone.
    """
    groups = st.sets(st.sampled_from(AGES), min_size=2)
    both = st.tuples(groups, groups).filter(lambda pair: pair[0] | pair[1] == set(AGES))
    return _sample(
        {
            (sex, age): draw(some)
            for sex, present in zip(SEXES, draw(both), strict=True)
            for age in AGES
            if age in present
        }
    )


@st.composite
def unmet(draw: st.DrawFn) -> dict[str, list[str]]:
    """People of every sex and age among whom one sex is in one age group only: see `met`."""
    rare = draw(st.sampled_from(SEXES))
    only = draw(st.sampled_from(AGES))
    return _sample(
        {(sex, age): draw(some) for sex in SEXES for age in AGES if sex != rare or age == only}
    )


def _sample(counts: dict[tuple[str, str], int]) -> dict[str, list[str]]:
    everybody = [cell for cell, n in counts.items() for _ in range(n)]
    return {"sex": [sex for sex, _ in everybody], "age": [age for _, age in everybody]}


@given(met(), st.integers(0, 10_000))
@settings(max_examples=40)
def test_raked_shares_are_the_margins_and_weights_are_one_factor_per_category(
    told: dict[str, list[str]], seed: int
) -> None:
    """Margins hold to 1e-8, and log weights are a sum of category effects: the raking solution."""
    start = np.random.default_rng(seed).uniform(0.5, 2, len(told["sex"]))
    found = rake(told, MARGINS, start=start)
    for name, shares in MARGINS.items():
        for category, wanted in shares.items():
            assert share(told[name], category, found.values) == pytest.approx(wanted, abs=1e-8)
    columns = [np.array(told[a]) == c for a, shares in MARGINS.items() for c in shares]
    design = np.stack(columns, axis=1).astype(float)
    effects = np.log(found.values / start)
    fitted = design @ np.linalg.lstsq(design, effects, rcond=None)[0]
    assert np.abs(fitted - effects).max() < 1e-8
    assert found.values.mean() == pytest.approx(1)


@given(unmet())
@settings(max_examples=10)
def test_margins_that_no_weights_can_meet_are_an_error(told: dict[str, list[str]]) -> None:
    """Where one sex would have to fill two age groups, which hold more than half, nothing fits."""
    with pytest.raises(ImpossibleMarginsError, match=r"still off by 0\.\d+"):
        rake(told, MARGINS)


def test_diagnostics_follow_kish() -> None:
    """Equal weights cost nothing; a known set costs what the formula says."""
    told = people(1, 300)
    found = rake(told, MARGINS)
    w = found.values
    assert found.effective_n == pytest.approx(w.sum() ** 2 / (w**2).sum())
    assert found.design_effect == pytest.approx(1 + w.var() / w.mean() ** 2)
    assert effective_n(np.ones(7)) == pytest.approx(7)
    assert "300 respondents weigh as much as" in str(found)


def test_trimming_caps_weights_and_says_how_far_margins_then_hold() -> None:
    """No weight is above the cap, and the gap is the real one."""
    told = people(2, 400)
    found = rake(told, MARGINS, most=1.8, rounds=200)
    assert found.largest <= 1.8 * (1 + 1e-6)
    assert found.values.mean() == pytest.approx(1)
    assert found.trimmed > 0
    off = max(
        abs(share(told[a], c, found.values) - wanted)
        for a, shares in MARGINS.items()
        for c, wanted in shares.items()
    )
    assert found.gap == pytest.approx(off, abs=1e-9)
    assert found.gap > 1e-6


def test_contradicting_margins_raise_instead_of_giving_the_last_one() -> None:
    """Two attributes that are one in the sample cannot have two margins."""
    told = {"a": ["x"] * 5 + ["y"] * 5, "b": ["p"] * 5 + ["q"] * 5}
    with pytest.raises(ImpossibleMarginsError, match=r"still off by 0\.2.*contradict"):
        rake(told, {"a": {"x": 0.5, "y": 0.5}, "b": {"p": 0.3, "q": 0.7}})


@pytest.mark.parametrize(
    ("margins", "error", "message"),
    [
        ({"sex": {"f": 0.5, "m": 0.3, "d": 0.2}}, EmptyCellError, r"shares for \['d'\]"),
        ({"sex": {"f": 1.0}}, EmptyCellError, r"has no share for \['m'\]"),
        ({"sex": {"f": 1.0, "m": 0.0}}, EmptyCellError, r"has no share for \['m'\]"),
        ({"sex": {"f": 50, "m": 50}}, ImpossibleMarginsError, "sum to 100 instead of 1"),
        ({"sex": {"f": 1.5, "m": -0.5}}, ImpossibleMarginsError, "share below 0"),
        ({"height": {"tall": 1.0}}, WeightingError, r"no attribute \['height'\]"),
        ({}, WeightingError, "needs at least one margin"),
    ],
)
def test_margins_that_cannot_be_met_are_refused(
    margins: dict[str, dict[str, float]], error: type[WeightingError], message: str
) -> None:
    """Each has its class, and the message names the category or the sum."""
    with pytest.raises(error, match=message):
        rake(people(0, 50), margins)


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"most": 1.0}, r"greater than 1, got 1\.0"),
        ({"start": [1.0] * 3}, "one category per respondent"),
        ({"start": [0.0] * 50}, "greater than 0"),
        ({"start": [float("nan")] * 50}, "greater than 0"),
    ],
)
def test_starting_weights_and_caps_are_checked(settings_: dict[str, object], message: str) -> None:
    """A cap below the mean and weights that are none raise."""
    with pytest.raises(WeightingError, match=message):
        rake(people(0, 50), MARGINS, **settings_)  # type: ignore[arg-type]
