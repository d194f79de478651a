"""Metrics of free text: likelihood first, then likeness of the words, the style and the spread.

Likelihoods come from the arm and are judge-free; chrF and ROUGE-L are computed by the field's
own packages, loaded when first used. A failed item is charged the floor, never dropped.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from usersim.errors import MissingDependencyError
from usersim.evaluation.bootstrap import FloatArray, divide
from usersim.evaluation.metrics.base import MeanOf, Metric
from usersim.style import style_distance, words
from usersim.types import FreeText, Interaction, Prediction

if TYPE_CHECKING:
    from rouge_score.rouge_scorer import RougeScorer  # pyright: ignore[reportMissingTypeStubs]
    from sacrebleu.metrics import chrf as sacre

__all__ = [
    "BITS_FLOOR",
    "BITS_PER_CHARACTER",
    "CHRF",
    "DISTINCT_2",
    "LENGTH_RATIO",
    "LOG_LIKELIHOOD",
    "NATS_FLOOR",
    "ROUGE_L",
    "STYLE_DISTANCE",
    "action_bits",
    "chrf",
    "log_likelihood",
    "rouge_l",
    "style_error",
]

NATS_FLOOR = -10.0
"""Lowest mean log-likelihood of an item, nats per token: about a uniform draw from a vocabulary
of 22,000. It is also what a failure is charged, so that failing never pays."""
BITS_FLOOR = 8.0
"""Most bits that a character may cost, and the charge of a failure: a uniform draw of a byte."""


def _text(prediction: Prediction) -> str:
    return prediction.action or ""


def log_likelihood(interaction: Interaction, prediction: Prediction) -> float:
    """Return `max(log p(true action) / tokens, −10)`, nats per token; the floor for a failure."""
    del interaction  # the likelihood is already that of its action
    if prediction.log_likelihood is None or prediction.n_tokens < 1:
        return NATS_FLOOR
    return max(prediction.log_likelihood / prediction.n_tokens, NATS_FLOOR)


def action_bits(interaction: Interaction, prediction: Prediction) -> float:
    """Return `−log₂ p(true action)`, at most 8 bits a character; that for a failure."""
    ceiling = BITS_FLOOR * len(interaction.action_text)
    if prediction.log_likelihood is None:
        return ceiling
    return min(-prediction.log_likelihood / math.log(2), ceiling)


def _bits_statistics(
    interactions: Sequence[Interaction], predictions: Sequence[Prediction]
) -> FloatArray:
    pairs = zip(interactions, predictions, strict=True)
    rows = [(action_bits(i, p), float(len(i.action_text))) for i, p in pairs]
    return np.array(rows, dtype=np.float64).reshape(-1, 2)


@lru_cache(maxsize=1)
def _chrf_scorer() -> sacre.CHRF:
    try:
        from sacrebleu.metrics import chrf as sacre
    except ImportError as error:
        raise MissingDependencyError("sacrebleu", extra="metrics", why="chrF") from error
    return sacre.CHRF()


@lru_cache(maxsize=1)
def _rouge_scorer() -> RougeScorer:
    try:
        from rouge_score.rouge_scorer import RougeScorer  # pyright: ignore[reportMissingTypeStubs]
    except ImportError as error:
        raise MissingDependencyError("rouge-score", extra="metrics", why="ROUGE-L") from error
    return RougeScorer(["rougeL"])


def chrf(interaction: Interaction, prediction: Prediction) -> float:
    """Return sentence chrF (character 1- to 6-grams, β = 2), 0 to 100; 0 for a failure.

    Raises:
        MissingDependencyError: If sacrebleu is not installed.
    """
    scorer = _chrf_scorer()
    return float(scorer.sentence_score(_text(prediction), [interaction.action_text]).score)


def rouge_l(interaction: Interaction, prediction: Prediction) -> float:
    """Return ROUGE-L F1 (longest common subsequence of words), 0 to 1; 0 for a failure.

    Raises:
        MissingDependencyError: If rouge-score is not installed.
    """
    scores = _rouge_scorer().score(interaction.action_text, _text(prediction))  # pyright: ignore[reportUnknownVariableType]
    return float(scores["rougeL"].fmeasure)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]


def style_error(interaction: Interaction, prediction: Prediction) -> float:
    """Return the style distance of the predicted to the true text, 0 to 1; 1 for a failure."""
    text = _text(prediction)
    return style_distance(text, interaction.action_text) if text else 1.0


def _length_statistics(
    interactions: Sequence[Interaction], predictions: Sequence[Prediction]
) -> FloatArray:
    pairs = zip(interactions, predictions, strict=True)
    rows = [(float(len(_text(p))), float(len(i.action_text))) for i, p in pairs]
    return np.array(rows, dtype=np.float64).reshape(-1, 2)


def _distinct_rows(texts: Sequence[str]) -> FloatArray:
    """Share in the distinct bigrams, and number of bigrams, per text. Shape `(n, 2)`.

    A bigram that occurs c times in all texts gives 1/c to each occurrence, so the shares sum to
    the number of distinct ones.
    """
    bigrams = [_bigrams(text) for text in texts]
    counts = Counter(gram for grams in bigrams for gram in grams)
    rows = [(sum(1 / counts[g] for g in grams), float(len(grams))) for grams in bigrams]
    return np.array(rows, dtype=np.float64).reshape(-1, 2)


def _bigrams(text: str) -> list[tuple[str, str]]:
    tokens = words(text)
    return list(pairwise(tokens))


def _distinct_statistics(
    interactions: Sequence[Interaction], predictions: Sequence[Prediction]
) -> FloatArray:
    predicted = _distinct_rows([_text(p) for p in predictions])
    return np.concatenate(
        [predicted, _distinct_rows([i.action_text for i in interactions])], axis=1
    )


def _distinct_finish(totals: FloatArray) -> FloatArray:
    predicted, drawn, true, written = np.moveaxis(totals, -1, 0)
    return divide(predicted * written, drawn * true)


def _free_text(interaction: Interaction) -> bool:
    return isinstance(interaction.space, FreeText)


LOG_LIKELIHOOD = Metric(
    name="log_likelihood",
    label="Log-likelihood",
    version="1",
    unit="nats per token",
    greater_is_better=True,
    formula="mean over items of max(log p(true action) / tokens, −10), reasoning marginalized by "
    "the arm, end token included; a failure is −10",
    source="definition",
    needs="log_likelihood",
    applies=lambda _: True,
    statistics=MeanOf.each(log_likelihood),
)
BITS_PER_CHARACTER = Metric(
    name="bits_per_character",
    label="Bits/char",
    version="1",
    unit="bits per character",
    greater_is_better=False,
    formula="sum of −log₂ p(true action), at most 8 a character, / sum of characters",
    source="definition",
    needs="log_likelihood",
    applies=lambda i: _free_text(i) and bool(i.action_text),
    statistics=_bits_statistics,
)
CHRF = Metric(
    name="chrf",
    label="chrF",
    version="1",
    unit="0 to 100",
    greater_is_better=True,
    formula="mean of sentence chrF2 of the predicted text; a failure is 0",
    source="Popović, chrF: character n-gram F-score, WMT 2015; sacrebleu",
    needs="action",
    applies=_free_text,
    statistics=MeanOf.each(chrf),
)
ROUGE_L = Metric(
    name="rouge_l",
    label="ROUGE-L",
    version="1",
    unit="0 to 1",
    greater_is_better=True,
    formula="mean of the F1 of the longest common subsequence of words; a failure is 0",
    source="Lin, ROUGE, 2004; rouge-score",
    needs="action",
    applies=_free_text,
    statistics=MeanOf.each(rouge_l),
    headline=False,
)
STYLE_DISTANCE = Metric(
    name="style_distance",
    label="Style dist.",
    version="1",
    unit="0 to 1",
    greater_is_better=False,
    formula="mean of the style distance of predicted and true text; a failure is 1",
    source="usersim.style",
    needs="action",
    applies=_free_text,
    statistics=MeanOf.each(style_error),
)
LENGTH_RATIO = Metric(
    name="length_ratio",
    label="Length ratio",
    version="1",
    unit="predicted / true",
    greater_is_better=None,
    target=1.0,
    formula="sum of predicted characters / sum of true characters; a failure has none",
    source="definition",
    needs="action",
    applies=lambda i: _free_text(i) and bool(i.action_text),
    statistics=_length_statistics,
    headline=False,
)
DISTINCT_2 = Metric(
    name="distinct_2",
    label="Diversity",
    version="1",
    unit="predicted / true",
    greater_is_better=None,
    target=1.0,
    formula="distinct word bigrams / word bigrams of all predicted texts, over the same of the "
    "true texts; in a resample each bigram keeps its share of the full sample",
    source="Li et al., A diversity-promoting objective function, 2016; the ratio is ours",
    needs="action",
    applies=_free_text,
    statistics=_distinct_statistics,
    finish=_distinct_finish,
    itemwise=False,
    headline=False,
)
