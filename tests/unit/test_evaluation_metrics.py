"""Metrics against hand-computed values, and against scikit-learn as an independent oracle."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest

from usersim.errors import EvaluationError, MissingDependencyError
from usersim.evaluation.metrics import (
    ABSOLUTE_ERROR,
    ACCURACY,
    BITS_PER_CHARACTER,
    BRIER,
    CHRF,
    CRPS,
    DISTINCT_2,
    ECE,
    JACCARD,
    KAPPA,
    LENGTH_RATIO,
    LOG_LIKELIHOOD,
    LOG_SCORE,
    MACRO_F1,
    METRICS,
    OPTION_LOG_SCORE,
    RANGE_CRPS,
    RANGE_ERROR,
    ROUGE_L,
    RPS,
    SCALE_MAE,
    STYLE_DISTANCE,
    default_metrics,
    distribution,
    text,
)
from usersim.types import (
    ActionSpace,
    ActionValue,
    Choice,
    FreeText,
    Interaction,
    Message,
    MultiChoice,
    Number,
    Prediction,
    Scale,
)

COLORS = Choice(("red", "green", "blue"))
POINTS = Scale(("1", "2", "3", "4", "5"))


def item(space: ActionSpace, action: ActionValue, key: str = "k") -> Interaction:
    """Return one interaction of Ada's."""
    return Interaction(
        key=key,
        user_id="ada",
        position=0,
        context=(Message("?"),),
        action=action,
        space=space,
        conversation=key,
        split="held_out",
    )


def said(action: str | None, *p: float, space: Choice | Scale = COLORS, **more) -> Prediction:
    """Return a prediction with probabilities in the options' order."""
    return Prediction(
        action=action, probabilities=dict(zip(space.options, p, strict=False)), **more
    )


NOTHING = Prediction(action=None)


def test_closed_scores_by_hand() -> None:
    """Accuracy, log score and Brier of one choice are what the formulas give."""
    one, prediction = item(COLORS, "green"), said("red", 0.5, 0.3, 0.2)
    assert ACCURACY.value([one], [prediction]) == 0
    assert LOG_SCORE.value([one], [prediction]) == pytest.approx(math.log(0.3))
    assert BRIER.value([one], [prediction]) == pytest.approx(0.25 + 0.49 + 0.04)


def test_rps_by_hand() -> None:
    """RPS is the squared gap of cumulative probabilities over K − 1, and knows the order."""
    one = item(POINTS, "2")
    prediction = said("3", 0.1, 0.2, 0.3, 0.4, 0.0, space=POINTS)
    wanted = (0.1**2 + (0.3 - 1) ** 2 + (0.6 - 1) ** 2 + 0) / 4
    assert RPS.value([one], [prediction]) == pytest.approx(wanted)
    near, far = (said(str(k), *np.eye(5)[k - 1], space=POINTS) for k in (3, 5))
    assert RPS.value([one], [near]) < RPS.value([one], [far])


def test_scale_error_uses_the_given_answer() -> None:
    """MAE is in scale points of the answer; a failure costs the mean error of a uniform one."""
    items = [item(POINTS, "5"), item(POINTS, "1")]
    assert SCALE_MAE.value(items, [said("3"), NOTHING]) == pytest.approx((2 + 2) / 2)
    assert list(SCALE_MAE.items(items, [said("3"), NOTHING])) == [2, 2]


def test_failures_are_charged_never_dropped() -> None:
    """A failed item is wrong, and uniform for the probability scores."""
    one = [item(COLORS, "green")]
    assert ACCURACY.value(one, [NOTHING]) == 0
    assert LOG_SCORE.value(one, [NOTHING]) == pytest.approx(-math.log(3))
    assert BRIER.value(one, [NOTHING]) == pytest.approx(2 / 3)
    assert LOG_LIKELIHOOD.value(one, [NOTHING]) == -10
    assert BITS_PER_CHARACTER.value([item(FreeText(), "abc")], [NOTHING]) == 8


def test_an_answer_outside_the_options_is_wrong() -> None:
    """What cannot be read as an option counts as a wrong answer, not as an error."""
    assert ACCURACY.value([item(COLORS, "green")], [said("mauve")]) == 0


def test_log_score_has_a_floor() -> None:
    """One impossible answer costs log 10⁻⁴, not minus infinity."""
    value = LOG_SCORE.value([item(COLORS, "green")], [said("red", 1.0, 0.0, 0.0)])
    assert value == pytest.approx(math.log(1e-4))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"mauve": 1.0}, "have unknown options: \\['mauve'\\]"),
        ({"red": 0.5}, "not a distribution: {'red': 0.5}"),
        ({"red": 1.5, "blue": -0.5}, "of 'k' \\(user 'ada'\\) are not a distribution"),
        ({"red": math.nan}, "not a distribution"),
    ],
)
def test_bad_probabilities_are_refused(given: dict[str, float], message: str) -> None:
    """Probabilities that are not a distribution over the options raise, naming item and values."""
    with pytest.raises(EvaluationError, match=message):
        distribution(item(COLORS, "red"), Prediction(action="red", probabilities=given))


def test_aggregates_agree_with_scikit_learn() -> None:
    """Macro-F1 and quadratic kappa equal scikit-learn's on random answers."""
    sk = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(3)
    true, predicted = rng.integers(0, 3, 200), rng.integers(0, 3, 200)
    items = [item(COLORS, COLORS.options[t]) for t in true]
    value = MACRO_F1.value(items, [said(COLORS.options[p]) for p in predicted])
    assert value == pytest.approx(sk.f1_score(true, predicted, average="macro"))
    true = rng.integers(0, 5, 200)
    predicted = np.clip(true + rng.integers(-2, 3, 200), 0, 4)
    items = [item(POINTS, POINTS.options[t]) for t in true]
    value = KAPPA.value(items, [said(POINTS.options[p]) for p in predicted])
    assert value == pytest.approx(sk.cohen_kappa_score(true, predicted, weights="quadratic"))


def test_kappa_of_chance_and_of_failures() -> None:
    """Kappa is 1 for perfect answers, negative for failures, NaN where nothing varies."""
    items = [item(POINTS, p) for p in POINTS.options]
    assert KAPPA.value(items, [said(p) for p in POINTS.options]) == pytest.approx(1)
    assert KAPPA.value(items, [NOTHING] * 5) < 0
    assert math.isnan(KAPPA.value([items[0]], [said("1")]))


def test_ece_by_hand() -> None:
    """ECE sums the gaps of confidence and hits over the bins, weighted by their size."""
    items = [item(COLORS, "red"), item(COLORS, "green"), item(COLORS, "red")]
    predictions = [said("red", 0.75, 0.2, 0.05), said("red", 0.72, 0.2, 0.08), said("red", 1, 0, 0)]
    assert ECE.value(items, predictions) == pytest.approx((abs(1.47 - 1) + 0) / 3)


def test_multi_choice_overlap() -> None:
    """Jaccard is the shared part of the union; two empty sets agree."""
    space = MultiChoice(("a", "b", "c"))
    assert JACCARD.value([item(space, ("a", "b"))], [said("b | c")]) == pytest.approx(1 / 3)
    assert JACCARD.value([item(space, ())], [said("(none of these)")]) == 1
    assert JACCARD.value([item(space, ("a",))], [NOTHING]) == 0
    assert ACCURACY.value([item(space, ("a", "b"))], [said("b | a")]) == 1


def test_number_errors() -> None:
    """Errors are in the answers' unit and over the range; failures cost a uniform answer's."""
    ranged, free = Number(low=0, high=10), Number()
    assert ABSOLUTE_ERROR.value([item(ranged, 4.0)], [said("7")]) == 3
    assert RANGE_ERROR.value([item(ranged, 4.0)], [said("7")]) == pytest.approx(0.3)
    assert ABSOLUTE_ERROR.value([item(ranged, 0.0)], [NOTHING]) == 5
    items = [item(free, 1.0), item(free, 5.0)]
    assert list(ABSOLUTE_ERROR.items(items, [NOTHING, said("5")])) == [2, 0]
    assert not RANGE_ERROR.applies(items[0])


def test_crps_by_hand() -> None:
    """A number is scored by its whole distribution; a number alone is one that is certain."""
    ranged = Number(low=0, high=10)
    spread = Prediction(action="4", probabilities={"2": 0.5, "6": 0.5})
    # E|X - 4| = 2, and two draws are 2 apart on average.
    assert CRPS.value([item(ranged, 4.0)], [spread]) == pytest.approx(2 - 1)
    assert RANGE_CRPS.value([item(ranged, 4.0)], [spread]) == pytest.approx(0.1)
    assert CRPS.value([item(ranged, 4.0)], [said("7")]) == 3
    # Uniform on the range: mean error 5 at its end, mean distance of two draws 10 / 3.
    assert CRPS.value([item(ranged, 0.0)], [NOTHING]) == pytest.approx(5 - 10 / 6)
    items = [item(Number(), 1.0), item(Number(), 5.0)]
    assert list(CRPS.items(items, [NOTHING, said("5")])) == [pytest.approx(2 - 2 / 2), 0]
    assert not RANGE_CRPS.applies(items[0])


def test_crps_is_the_squared_gap_of_the_cumulative_probabilities() -> None:
    """The energy form agrees with the integral of (F - step)^2, in any order of the values."""
    random = np.random.default_rng(0)
    for _ in range(50):
        values = random.permutation(40)[:7].astype(float)
        p = random.dirichlet(np.ones(7))
        true = float(random.integers(40))
        grid = np.arange(40)[:, None]
        gaps = (p * (values <= grid)).sum(axis=1) - (true <= grid[:, 0])
        one = Prediction(
            action="1",
            probabilities={Number().render(v): q for v, q in zip(values, p, strict=True)},
        )
        assert CRPS.value([item(Number(), true)], [one]) == pytest.approx((gaps**2).sum())


def test_each_option_of_a_multiple_choice_is_an_event() -> None:
    """The score is the mean log probability of what happened to each option, with a floor."""
    space = MultiChoice(("a", "b"))
    asked = [item(space, ("a",))]
    sure = Prediction(action="a", probabilities={"a": 0.8, "b": 0.4})
    by_hand = (math.log(0.8) + math.log(0.6)) / 2
    assert OPTION_LOG_SCORE.value(asked, [sure]) == pytest.approx(by_hand)
    wrong = Prediction(action="b", probabilities={"b": 1.0})
    assert OPTION_LOG_SCORE.value(asked, [wrong]) == pytest.approx(math.log(1e-4))
    assert OPTION_LOG_SCORE.value(asked, [NOTHING]) == pytest.approx(math.log(0.5))


def test_likelihood_units() -> None:
    """Log-likelihood is per token; bits are per character of the true text, over all items."""
    items = [item(FreeText(), "abcd"), item(FreeText(), "ab")]
    told = [
        said("x", log_likelihood=-4 * math.log(2), n_tokens=2),
        said("x", log_likelihood=-2 * math.log(2), n_tokens=1),
    ]
    assert LOG_LIKELIHOOD.value(items, told) == pytest.approx(-2 * math.log(2))
    assert BITS_PER_CHARACTER.value(items, told) == pytest.approx(1.0)


def test_text_metrics_know_the_same_text() -> None:
    """Every text metric is best for the very text, and worst for a failure."""
    pytest.importorskip("sacrebleu")
    pytest.importorskip("rouge_score")
    items = [item(FreeText(), "Well, I would rather go on Friday."), item(FreeText(), "No.")]
    same, wrong = [said(i.action_text) for i in items], [said("Purchase 12 tons"), said("@@")]
    best = {CHRF: 100, ROUGE_L: 1, STYLE_DISTANCE: 0, LENGTH_RATIO: 1, DISTINCT_2: 1}
    worst = {CHRF: 0, ROUGE_L: 0, STYLE_DISTANCE: 1, LENGTH_RATIO: 0}
    for metric, value in best.items():
        assert metric.value(items, same) == pytest.approx(value), metric.name
    for metric, value in worst.items():
        assert metric.value(items, [NOTHING] * 2) == pytest.approx(value), metric.name
        assert metric.better(metric.value(items, same), metric.value(items, wrong)), metric.name


def test_diversity_sees_repetition() -> None:
    """An arm that says the same everywhere has a diversity below 1."""
    items = [item(FreeText(), t) for t in ("I like red cars", "you hate wet dogs")]
    assert DISTINCT_2.value(items, [said("yes of course")] * 2) == pytest.approx(0.5)


@pytest.mark.parametrize(("metric", "package"), [(CHRF, "sacrebleu"), (ROUGE_L, "rouge-score")])
def test_a_missing_package_names_the_extra(monkeypatch, metric, package) -> None:
    """Naming a text metric without its package raises with the install command."""
    for cached in (text._chrf_scorer, text._rouge_scorer):
        cached.cache_clear()
    for module in ("sacrebleu.metrics", "rouge_score.rouge_scorer"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependencyError, match=package) as caught:
        metric.value([item(FreeText(), "a")], [said("a")])
    assert "[metrics]" in caught.value.hint


def test_metrics_are_chosen_by_kind() -> None:
    """The default metrics are those that apply to some item; names are unique."""
    assert len({m.name for m in METRICS}) == len(METRICS)
    names = {m.name for m in default_metrics([item(POINTS, "1")])}
    assert {"rps", "scale_mae", "log_score"} <= names
    assert not names & {"chrf", "macro_f1", "absolute_error"}


def test_direction_and_target() -> None:
    """`better` follows the direction, and closeness where a metric has a target."""
    assert ACCURACY.better(0.6, 0.5)
    assert RPS.better(0.1, 0.2)
    assert LENGTH_RATIO.better(1.1, 0.7)
