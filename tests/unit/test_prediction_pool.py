"""The pool: at least as good as its best predictor, whoever that is."""

from __future__ import annotations

import numpy as np
import pytest

from usersim.errors import ConfigError
from usersim.prediction.pool import (
    FEW,
    PREDICTORS,
    PRIOR,
    Observation,
    Pool,
    fit_pool,
    group_of,
)
from usersim.types import Choice, MultiChoice, Number, PoolGroup, Predictor, Scale

OPTIONS = ("a", "b", "c", "d")


def drawn(
    n: int,
    skill: dict[Predictor, float],
    sharpness: dict[Predictor, float] | None = None,
    *,
    seed: int = 0,
) -> list[Observation]:
    """Return answers drawn from a true distribution that each predictor sees through noise.

    Args:
        n: Answers.
        skill: 1 sees the truth, 0 sees nothing of it.
        sharpness: Factor on the predictor's log-odds; 5 is overconfident.
        seed: Of the draws.
    """
    random = np.random.default_rng(seed)
    sharp = sharpness or {}
    found: list[Observation] = []
    for i in range(n):
        logits = 1.5 * random.normal(size=len(OPTIONS))
        p = np.exp(logits) / np.exp(logits).sum()
        predictors = {}
        for name, s in skill.items():
            own = s * logits + (1 - s) * 1.5 * random.normal(size=len(OPTIONS))
            own = np.exp(sharp.get(name, 1.0) * own)
            predictors[name] = dict(zip(OPTIONS, (own / own.sum()).tolist(), strict=True))
        found.append(
            Observation(
                person=f"p{i // 4}",
                group="scale, known",
                predictors=predictors,
                truth=str(random.choice(OPTIONS, p=p)),
            )
        )
    return found


def mean_log(observations: list[Observation], pool: Pool) -> float:
    """Return the pool's mean log score."""
    return float(
        np.mean(
            [
                np.log(pool.combine(o.group, o.predictors).probabilities[o.truth])
                for o in observations
            ]
        )
    )


def best_single(observations: list[Observation]) -> float:
    """Return the mean log score of the best predictor alone, or of chance."""
    chance = -np.log(len(OPTIONS))
    scores = [
        float(np.mean([np.log(max(o.predictors[name][o.truth], 1e-6)) for o in observations]))
        for name in observations[0].predictors
    ]
    return max(chance, *scores)


@pytest.mark.parametrize("n", [8, 40, 200, 1_000])
@pytest.mark.parametrize(
    "skill",
    [
        {"panel": 0.9, "reasoning": 0.0, "no_reasoning": 0.0},
        {"panel": 0.0, "reasoning": 0.9, "no_reasoning": 0.2},
        {"panel": 0.6, "reasoning": 0.6, "no_reasoning": 0.1},
        {"panel": 0.0, "reasoning": 0.0, "no_reasoning": 0.0},
    ],
)
def test_the_pool_is_not_worse_than_its_best_predictor(
    n: int, skill: dict[Predictor, float]
) -> None:
    """On new answers it loses at most 0.01 nats to the best of them, or to chance, once 200 fit.

    With fewer answers the prior stands for what they cannot tell, and it may cost up to what the
    prior itself costs.
    """
    sharp: dict[Predictor, float] = {"reasoning": 5.0, "no_reasoning": 5.0}
    pool = fit_pool(drawn(n, skill, sharp))
    new = drawn(4_000, skill, sharp, seed=1)
    allowed = 0.01 if n >= 200 else max(0.01, best_single(new) - mean_log(new, Pool()) + 0.02)
    assert mean_log(new, pool) >= best_single(new) - allowed


def test_overconfidence_is_tempered() -> None:
    """A skilled but five times too sure predictor gets a fifth of the weight, and helps."""
    skill: dict[Predictor, float] = {"reasoning": 1.0}
    seen = [
        Observation(
            person=o.person,
            group=o.group,
            predictors={**o.predictors, "others": dict.fromkeys(OPTIONS, 0.25)},
            truth=o.truth,
        )
        for o in drawn(2_000, skill, {"reasoning": 5.0})
    ]
    weight = fit_pool(seen).groups["scale, known"].weights["reasoning"]
    assert weight == pytest.approx(0.2, abs=0.03)


def test_useless_predictors_get_no_weight() -> None:
    """Weights can be 0, and the interval says so."""
    seen = drawn(1_500, {"panel": 0.9, "reasoning": 0.0}, {"reasoning": 5.0})
    own = fit_pool(seen).groups["scale, known"]
    assert own.weights["reasoning"] < 0.03
    assert own.intervals["reasoning"][0] <= own.weights["reasoning"] + 1e-6
    assert own.weights["panel"] > 0.7
    assert own.answers == 1_500


def test_a_group_without_answers_follows_nothing() -> None:
    """What was fitted on scales does not change choices: their prior stands."""
    pool = fit_pool(drawn(300, {"panel": 0.9, "reasoning": 0.1}))
    assert pool.groups["choice, new"].weights == PRIOR["choice, new"]
    assert pool.groups["choice, new"].answers == 0
    assert pool.fitted


def test_nothing_fitted_is_the_prior() -> None:
    """Without answers the pool says that it was not fitted."""
    pool = fit_pool([])
    assert not pool.fitted
    assert pool == Pool()


def test_shares_tell_where_an_answer_comes_from() -> None:
    """Shares sum to 1, the one that moved the answer most stands first."""
    predictors: dict[Predictor, dict[str, float]] = {
        "panel": {"no": 0.1, "yes": 0.9},
        "reasoning": {"no": 0.5, "yes": 0.5},
    }
    found = Pool().combine("scale, known", predictors)
    p, shares = found.probabilities, found.shares
    assert [one.predictor for one in shares] == ["panel", "reasoning"]
    assert shares[0].share == pytest.approx(1.0)
    weight = PRIOR["scale, known"]["panel"]
    assert p["yes"] == pytest.approx(0.9**weight / (0.9**weight + 0.1**weight))


def test_one_predictor_alone_is_itself() -> None:
    """Asked for alone, a predictor answers as it is, whatever its weight."""
    alone = {"no": 0.3, "yes": 0.7}
    found = Pool().combine("scale, known", {"own_scale": alone})
    p, shares = found.probabilities, found.shares
    assert p == alone
    assert shares[0].share == 1.0


def test_predictors_of_weight_zero_count_alike() -> None:
    """Where the pool trusts none of those at hand it does not answer "every option alike"."""
    p = (
        Pool()
        .combine(
            "scale, new",
            {"others": {"no": 0.2, "yes": 0.8}, "panel": {"no": 0.2, "yes": 0.8}},
        )
        .probabilities
    )
    assert p["yes"] == pytest.approx(0.8)


def test_without_the_panel_model_the_others_stand_in_for_it() -> None:
    """Before anything was fitted, whoever leaves the panel model out still hears the others."""
    said = {"no": 0.2, "yes": 0.8}
    alike = {"no": 0.5, "yes": 0.5}
    own: dict[Predictor, dict[str, float]] = {"own_scale": alike, "others": said}
    model: dict[Predictor, dict[str, float]] = {"own_scale": alike, "panel": said}
    pool = Pool()
    assert (
        pool.combine("scale, known", own).probabilities
        == pool.combine("scale, known", model).probabilities
    )


def test_a_sure_and_wrong_predictor_does_not_forbid_an_option() -> None:
    """A probability of 0 is floored: no answer becomes impossible."""
    p = (
        Pool()
        .combine(
            "scale, known", {"panel": {"no": 1.0, "yes": 0.0}, "reasoning": {"no": 0.5, "yes": 0.5}}
        )
        .probabilities
    )
    assert p["yes"] > 0


def test_bad_predictors_are_named() -> None:
    """No predictor, or one with other options, is an error that says so."""
    with pytest.raises(ConfigError, match="no predictor"):
        Pool().combine("scale, known", {})
    with pytest.raises(ConfigError, match=r"'panel'.*'maybe'"):
        Pool().combine(
            "scale, known", {"reasoning": {"no": 1.0, "yes": 0.0}, "panel": {"maybe": 1.0}}
        )


def test_groups_tell_kind_and_how_many_answered() -> None:
    """Every kind has groups for many and few others; those with options one for nobody as well."""
    options = ("x", "y")
    closed, counted = (Scale(options), Choice(options)), (Number(), MultiChoice(options))
    found = {
        group_of(space, respondents=people)
        for spaces, sizes in ((closed, (FEW, FEW - 1, 0)), (counted, (FEW, FEW - 1)))
        for space in spaces
        for people in sizes
    }
    assert found == set(PRIOR)
    assert set().union(*PRIOR.values()) <= set(PREDICTORS)


@pytest.mark.parametrize(
    ("few", "many"), [("scale, few", "scale, known"), ("choice, few", "choice, known")]
)
def test_a_panel_of_few_leaves_room_for_the_persons_own_use_of_the_scale(
    few: PoolGroup, many: PoolGroup
) -> None:
    """Where few people answered, the person's own answers move the pool further than elsewhere."""
    predictors: dict[Predictor, dict[str, float]] = {
        "panel": {"no": 0.6, "yes": 0.4},
        "own_scale": {"no": 0.1, "yes": 0.9},
    }
    of_few = Pool().combine(few, predictors).probabilities["yes"]
    assert of_few > 0.7 > Pool().combine(many, predictors).probabilities["yes"]
