"""Metrics of closed questions: choice, scale, multiple choice.

An item without probabilities, failed ones included, is scored as the uniform distribution by the
probability scores, and as wrong by the others; no item is ever dropped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from usersim.errors import EvaluationError
from usersim.evaluation.bootstrap import FloatArray, divide
from usersim.evaluation.metrics.base import MeanOf, Metric, answer_of, checked_shares
from usersim.types import Choice, Interaction, MultiChoice, Prediction, Scale

__all__ = [
    "ACCURACY",
    "BRIER",
    "ECE",
    "ECE_BINS",
    "JACCARD",
    "KAPPA",
    "LOG_SCORE",
    "MACRO_F1",
    "OPTION_LOG_SCORE",
    "PROBABILITY_FLOOR",
    "RPS",
    "SCALE_MAE",
    "accuracy",
    "brier",
    "chances",
    "distribution",
    "jaccard",
    "log_score",
    "option_log_score",
    "rps",
    "scale_error",
    "top_option",
]

PROBABILITY_FLOOR = 1e-4
"""Smallest probability that the log score counts: one impossible answer costs 9.2 nats, not all."""
ECE_BINS = 10
"""Equal-width bins of confidence."""
_TIE = 1e-12
_ROUNDING = 1e-9


def _options(interaction: Interaction) -> tuple[str, ...]:
    assert isinstance(interaction.space, Choice | Scale)
    return interaction.space.options


def distribution(interaction: Interaction, prediction: Prediction) -> FloatArray:
    """Return the predicted probability of each option, in the options' order. Shape `(K,)`.

    Uniform where the prediction holds none. An option that is not named has probability 0.

    Raises:
        EvaluationError: If a probability is no finite number ≥ 0, belongs to no option, or if
            they do not sum to 1 (± 0.02, which is then normalized away).
    """
    options = _options(interaction)
    given = prediction.probabilities
    if not given:
        return np.full(len(options), 1 / len(options))
    where = f"of {interaction.key!r} (user {interaction.user_id!r})"
    strange = sorted(set(given) - set(options))
    if strange:
        raise EvaluationError(f"probabilities {where} have unknown options: {strange!r}")
    total = checked_shares(interaction, prediction).sum()
    return np.array([given.get(option, 0.0) for option in options], dtype=np.float64) / total


def _true(interaction: Interaction) -> int:
    return _options(interaction).index(str(interaction.action))


def accuracy(interaction: Interaction, prediction: Prediction) -> float:
    """Return 1 if the predicted action is the true one, else 0; a failure is 0."""
    return float(answer_of(interaction, prediction) == interaction.action)


def log_score(interaction: Interaction, prediction: Prediction) -> float:
    """Return `log max(p_true, 10⁻⁴)`, nats; strictly proper down to the floor."""
    p = distribution(interaction, prediction)[_true(interaction)]
    return math.log(max(p, PROBABILITY_FLOOR))


def brier(interaction: Interaction, prediction: Prediction) -> float:
    """Return `Σ_k (p_k − [k is true])²`, 0 to 2; strictly proper."""
    p = distribution(interaction, prediction)
    p[_true(interaction)] -= 1
    return float((p**2).sum())


def rps(interaction: Interaction, prediction: Prediction) -> float:
    """Return the ranked probability score, 0 to 1.

    `Σ_{k<K} (P_k − [true rank ≤ k])² / (K − 1)` with the cumulative probability P: unlike the
    log score it knows that a neighboring point of the scale is nearly right.
    """
    below = np.cumsum(distribution(interaction, prediction))[:-1]
    step = np.arange(len(below)) >= _true(interaction)
    return float(((below - step) ** 2).mean())


def _rank(interaction: Interaction, prediction: Prediction) -> int | None:
    answer = answer_of(interaction, prediction)
    return None if answer is None else _options(interaction).index(str(answer))


def scale_error(interaction: Interaction, prediction: Prediction) -> float:
    """Return `|rank of the predicted action − true rank|`, in scale points.

    The rank of the answer that was given, not the expected rank. A failure is charged the mean
    error of an answer drawn uniformly.
    """
    rank, true = _rank(interaction, prediction), _true(interaction)
    if rank is not None:
        return float(abs(rank - true))
    return float(np.abs(np.arange(len(_options(interaction))) - true).mean())


def jaccard(interaction: Interaction, prediction: Prediction) -> float:
    """Return the shared part of the predicted and the true set of options; both empty is 1."""
    answer = answer_of(interaction, prediction)
    if answer is None:
        return 0.0
    predicted, true = set(_chosen(answer)), set(_chosen(interaction.action))
    union = predicted | true
    return len(predicted & true) / len(union) if union else 1.0


def chances(interaction: Interaction, prediction: Prediction) -> FloatArray:
    """Return the predicted probability that each option is chosen, whatever else is. Shape `(K,)`.

    One half each where the prediction holds none. An option that is not named has probability 0.

    Raises:
        EvaluationError: If a probability is not between 0 and 1, or belongs to no option.
    """
    assert isinstance(interaction.space, MultiChoice)
    options, given = interaction.space.options, prediction.probabilities
    if not given:
        return np.full(len(options), 1 / 2)
    where = f"of {interaction.key!r} (user {interaction.user_id!r})"
    strange = sorted(set(given) - set(options))
    if strange:
        raise EvaluationError(f"probabilities {where} have unknown options: {strange!r}")
    p = np.array([given.get(option, 0.0) for option in options], dtype=np.float64)
    if not ((p >= 0) & (p <= 1 + _ROUNDING)).all():
        raise EvaluationError(f"probabilities {where} are not between 0 and 1: {dict(given)!r}")
    return np.minimum(p, 1.0)


def option_log_score(interaction: Interaction, prediction: Prediction) -> float:
    """Return the mean over the options of `log max(p, 10⁻⁴)`, nats.

    p is the probability of what happened to the option: that it was chosen, or that it was not.
    """
    assert isinstance(interaction.space, MultiChoice)
    p, chosen = chances(interaction, prediction), _chosen(interaction.action)
    happened = np.where([option in chosen for option in interaction.space.options], p, 1 - p)
    return float(np.log(np.maximum(happened, PROBABILITY_FLOOR)).mean())


def _chosen(value: object) -> tuple[str, ...]:
    return tuple(str(v) for v in value) if isinstance(value, tuple) else (str(value),)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def _f1_statistics(
    interactions: Sequence[Interaction], predictions: Sequence[Prediction]
) -> FloatArray:
    """Hits, predicted and true counts per class. Shape `(n, 3·classes)`."""
    classes = {c: j for j, c in enumerate(dict.fromkeys(str(i.action) for i in interactions))}
    counts = np.zeros((len(interactions), 3, len(classes)))
    for row, (interaction, prediction) in enumerate(zip(interactions, predictions, strict=True)):
        true, answer = str(interaction.action), answer_of(interaction, prediction)
        counts[row, 2, classes[true]] = 1
        counts[row, 0, classes[true]] = answer == true
        if answer in classes:
            counts[row, 1, classes[str(answer)]] = 1
    return counts.reshape(len(interactions), -1)


def _f1_finish(totals: FloatArray) -> FloatArray:
    hits, predicted, true = np.moveaxis(totals.reshape(*totals.shape[:-1], 3, -1), -2, 0)
    size = predicted + true
    scores = np.divide(2 * hits, size, out=np.zeros_like(size), where=size > 0)
    present = (true > 0).astype(np.float64)
    return divide((scores * present).sum(axis=-1), present.sum(axis=-1))


def top_option(interaction: Interaction, prediction: Prediction) -> tuple[float, float]:
    """Return the confidence, the largest probability, and whether its option is the true one.

    Where m options share the largest probability and one of them is true, the hit is 1/m: no
    order of the options may make a uniform prediction look better than chance.
    """
    p = distribution(interaction, prediction)
    top = float(p.max())
    best = p >= top - _TIE
    return top, float(best[_true(interaction)] / best.sum())


def _ece_statistics(
    interactions: Sequence[Interaction], predictions: Sequence[Prediction]
) -> FloatArray:
    """Confidence, hit and count in the item's bin. Shape `(n, 3·bins)`."""
    sums = np.zeros((len(interactions), 3, ECE_BINS))
    for row, (interaction, prediction) in enumerate(zip(interactions, predictions, strict=True)):
        confidence, hit = top_option(interaction, prediction)
        place = max(math.ceil(confidence * ECE_BINS) - 1, 0)
        sums[row, :, place] = confidence, hit, 1
    return sums.reshape(len(interactions), -1)


def _ece_finish(totals: FloatArray) -> FloatArray:
    confidence, hits, count = np.moveaxis(totals.reshape(*totals.shape[:-1], 3, -1), -2, 0)
    return divide(np.abs(confidence - hits).sum(axis=-1), count.sum(axis=-1))


def _kappa_statistics(
    interactions: Sequence[Interaction], predictions: Sequence[Prediction]
) -> FloatArray:
    """Sums of x, y, x², y², x·y and 1, ranks scaled to [0, 1]. Shape `(n, 6)`."""
    rows: list[tuple[float, ...]] = []
    for interaction, prediction in zip(interactions, predictions, strict=True):
        top = len(_options(interaction)) - 1
        y, rank = _true(interaction) / top, _rank(interaction, prediction)
        x = 1.0 - round(y) if rank is None else rank / top
        rows.append((x, y, x * x, y * y, x * y, 1.0))
    return np.array(rows, dtype=np.float64).reshape(-1, 6)


def _kappa_finish(totals: FloatArray) -> FloatArray:
    n = totals[..., 5]
    x, y, xx, yy, xy = (divide(totals[..., j], n) for j in range(5))
    expected = xx + yy - 2 * x * y
    observed = xx + yy - 2 * xy
    return 1 - divide(observed, expected)


def _closed(interaction: Interaction) -> bool:
    return isinstance(interaction.space, Choice | Scale)


def _scale(interaction: Interaction) -> bool:
    return isinstance(interaction.space, Scale)


ACCURACY = Metric(
    name="accuracy",
    label="Accuracy",
    version="1",
    unit="share",
    greater_is_better=True,
    formula="mean of [predicted action = true action]; a failure is 0",
    source="definition",
    needs="action",
    applies=lambda i: isinstance(i.space, Choice | Scale | MultiChoice),
    statistics=MeanOf.each(accuracy),
)
MACRO_F1 = Metric(
    name="macro_f1",
    label="Macro-F1",
    version="1",
    unit="share",
    greater_is_better=True,
    formula="mean over option texts that occur as a true answer of 2·hits / (predicted + true)",
    source="van Rijsbergen, Information Retrieval, 1979; averaged over classes",
    needs="action",
    applies=lambda i: isinstance(i.space, Choice),
    statistics=_f1_statistics,
    finish=_f1_finish,
    itemwise=False,
    headline=False,
)
LOG_SCORE = Metric(
    name="log_score",
    label="Log score",
    version="1",
    unit="nats",
    greater_is_better=True,
    formula="mean of log max(p(true option), 0.0001); without probabilities: uniform",
    source="Good, Rational Decisions, 1952",
    needs="probabilities",
    applies=_closed,
    statistics=MeanOf.each(log_score),
)
BRIER = Metric(
    name="brier",
    label="Brier",
    version="1",
    unit="0 to 2",
    greater_is_better=False,
    formula="mean of the sum over options of (p − [true])²; without probabilities: uniform",
    source="Brier, Verification of forecasts expressed in terms of probability, 1950",
    needs="probabilities",
    applies=_closed,
    statistics=MeanOf.each(brier),
    headline=False,
)
ECE = Metric(
    name="ece",
    label="ECE",
    version="1",
    unit="share",
    greater_is_better=False,
    formula="Σ over 10 equal-width bins of |sum of confidence − hits| / n; confidence: largest p, "
    "a hit among m tied options counts 1/m",
    source="Naeini, Cooper, Hauskrecht, AAAI 2015",
    needs="probabilities",
    applies=_closed,
    statistics=_ece_statistics,
    finish=_ece_finish,
    itemwise=False,
    headline=False,
)
SCALE_MAE = Metric(
    name="scale_mae",
    label="MAE",
    version="1",
    unit="scale points",
    greater_is_better=False,
    formula="mean of |rank of the predicted action − true rank|; a failure: a uniform answer's",
    source="definition",
    needs="action",
    applies=_scale,
    statistics=MeanOf.each(scale_error),
)
RPS = Metric(
    name="rps",
    label="RPS",
    version="1",
    unit="0 to 1",
    greater_is_better=False,
    formula="mean of Σ_{k<K} (P_k − [true rank ≤ k])² / (K − 1); without probabilities: uniform",
    source="Epstein, A scoring system for probability forecasts of ranked categories, 1969",
    needs="probabilities",
    applies=_scale,
    statistics=MeanOf.each(rps),
)
KAPPA = Metric(
    name="quadratic_kappa",
    label="Quadratic κ",
    version="1",
    unit="−1 to 1",
    greater_is_better=True,
    formula="1 − Σ(x − y)² / expected Σ(x − y)² by chance, ranks scaled to 0..1 so that scales of "
    "different length pool; a failure is the far end of the scale",
    source="Cohen, Weighted kappa, 1968",
    needs="action",
    applies=_scale,
    statistics=_kappa_statistics,
    finish=_kappa_finish,
    itemwise=False,
    headline=False,
)
JACCARD = Metric(
    name="jaccard",
    label="Jaccard",
    version="1",
    unit="share",
    greater_is_better=True,
    formula="mean of |predicted ∩ true| / |predicted ∪ true|; a failure is 0",
    source="Jaccard, 1912",
    needs="action",
    applies=lambda i: isinstance(i.space, MultiChoice),
    statistics=MeanOf.each(jaccard),
)
OPTION_LOG_SCORE = Metric(
    name="option_log_score",
    label="Log score / option",
    version="1",
    unit="nats",
    greater_is_better=True,
    formula="mean over a question's options of log max(p(chosen or not, as it was), 0.0001); "
    "without probabilities: one half each",
    source="Good, Rational Decisions, 1952; each option an event of its own",
    needs="probabilities",
    applies=lambda i: isinstance(i.space, MultiChoice),
    statistics=MeanOf.each(option_log_score),
)
