"""Whether drawn texts can be told from what the person wrote, and by what.

A likelihood says how well a person is predicted; it does not say whether a reader would notice a
machine. So a classifier learns to tell an arm's drawn texts from the true ones and is tried on
conversations it did not see: the *classifier two-sample test*. Beside it stand plain marks of
both, which say what to mend.

Knows finished evaluations; draws nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from usersim.errors import ArgumentError, EvaluationError, MissingDependencyError
from usersim.evaluation.bootstrap import FloatArray, Interval, Resampling, ratio
from usersim.evaluation.results import Evaluation
from usersim.style import words
from usersim.types import FreeText, Interaction, Prediction
from usersim.types.counting import counted
from usersim.views import in_words, printed

__all__ = ["TRUE", "Marks", "Realism", "marks", "realism", "told_apart"]

TRUE = "What people wrote"
"""Name of the true texts in a table of arms."""
LEAST_PAIRS = 20
"""Pairs of a true and a drawn text, below which a classifier learns nothing."""
FOLDS = 5
TELLS = 5
"""Words that are named as telling true from drawn texts, on each side."""

_QUESTION = re.compile(r"[?？؟]")
_POLITE = re.compile(r"\b(?:please|thanks?|thank you|thx|sorry|appreciate|kindly|welcome)\b", re.I)
_LINK = re.compile(r"https?://|\bwww\.", re.I)
_CODE = re.compile(r"```|`[^`\n]+`|^(?: {4}|\t)\S.*[;{}():]|\w+\([^)\n]*\)\s*[;{:]", re.M)


class Marks(NamedTuple):
    """Plain facts about some texts, each a mean over them.

    Attributes:
        words: Median number of words.
        questions: Share with a question mark.
        polite: Share with an English word of courtesy.
        code: Share with code.
        links: Share with a link.
        distinct: Distinct word bigrams as a share of all of them: 1 if nothing is said twice.

    Example:
        >>> marks(["Is it late?", "Please see https://example.org"]).questions
        0.5
    """

    words: float
    questions: float
    polite: float
    code: float
    links: float
    distinct: float


@printed(in_words)
@dataclass(frozen=True, slots=True, kw_only=True)
class Realism:
    """How far the texts of one arm can be told from what people wrote.

    Attributes:
        arm: Name of the arm.
        told_apart: Share of texts that the classifier assigned rightly, in conversations it did
            not learn from: 0.5 if drawn and true texts cannot be told apart, 1 if always. None
            with too few pairs, or with one conversation.
        drawn: Marks of the drawn texts.
        true: Marks of the true texts of the same items.
        ended: Share of the items whose text came to an end by itself within the limit.
        drawn_tells: Words and pieces of words by which the drawn texts are recognized.
        true_tells: Those by which the true ones are.
        n_items: Items with a drawn text.

    Example:
        >>> from usersim.evaluation import Arm, evaluate
        >>> from usersim.types import Batch, FreeText, Interaction, Message, Prediction
        >>> tea = Interaction(key="k", user_id="ada", position=0, context=(Message("Tea?"),),
        ...                   action="Yes, please.", space=FreeText(), conversation="c",
        ...                   split="held_out")
        >>> echo = Arm("Echo", lambda asked: Batch((Prediction(action="Yes?"),) * len(asked)))
        >>> [found] = realism(evaluate([echo], [tea], bootstrap=10))
        >>> found.told_apart, found.drawn.questions, found.true.polite
        (None, 1.0, 1.0)
    """

    arm: str
    told_apart: Interval | None
    drawn: Marks
    true: Marks
    ended: float
    drawn_tells: tuple[str, ...] = ()
    true_tells: tuple[str, ...] = ()
    n_items: int

    def __str__(self) -> str:
        if self.told_apart is None:
            found = f"too few texts to tell ({self.n_items})"
        else:
            found = f"told from what people wrote in {self.told_apart} of the texts (0.5: never)"
        return f"{self.arm}: {found}; {self.ended:.0%} of the texts came to an end"


def realism(
    evaluation: Evaluation,
    *,
    embed: Callable[[list[str]], Any] | None = None,
    seed: int = 0,
) -> tuple[Realism, ...]:
    """Return how real the drawn texts of each arm are; nothing where no text was drawn.

    Each text is compared with what the person wrote at the same place, so that topics do not
    give it away. An item without a drawn text counts in `ended` alone.

    Args:
        evaluation: Holds the texts: `evaluate --texts`, or arms that return them.
        embed: Texts to vectors, one row per text; the classifier then looks at these. None takes
            words, pairs of words and pieces of words.
        seed: Of the division into folds.

    Returns:
        One value per arm that drew a text.

    Raises:
        ArgumentError: If `embed` does not return one finite vector for each text.
        MissingDependencyError: If scikit-learn is not installed.

    Notes:
        Interval: bootstrap over people, then conversations, with the classifier as it is; it does
        not contain the chance in its training.
        Source: Lopez-Paz and Oquab, Revisiting classifier two-sample tests, ICLR 2017.
    """
    places = [n for n, one in enumerate(evaluation.interactions) if _open(one)]
    found: list[Realism] = []
    for arm, predictions in evaluation.predictions.items():
        drawn = [n for n in places if predictions[n].action]
        if drawn:
            share = len(drawn) / len(places)
            found.append(_of_arm(arm, evaluation, predictions, drawn, share, embed, seed))
    return tuple(found)


def _of_arm(
    arm: str,
    evaluation: Evaluation,
    predictions: Sequence[Prediction],
    places: Sequence[int],
    ended: float,
    embed: Callable[[list[str]], Any] | None,
    seed: int,
) -> Realism:
    items = [evaluation.interactions[n] for n in places]
    drawn = [predictions[n].action or "" for n in places]
    true = [one.action_text for one in items]
    share, tells = None, _Tells((), ())
    conversations = [f"{one.user_id}\n{one.conversation}" for one in items]
    if len(items) >= LEAST_PAIRS and len(set(conversations)) > 1:
        right = told_apart(true, drawn, conversations, embed=embed, seed=seed)
        resampling = Resampling.of(
            [one.user_id for one in items], conversations, resamples=evaluation.resamples, seed=seed
        )
        share = resampling.estimate(np.stack([right, np.ones_like(right)], axis=1), ratio)
        tells = _tells(true, drawn)
    return Realism(
        arm=arm,
        told_apart=share,
        drawn=marks(drawn),
        true=marks(true),
        ended=ended,
        drawn_tells=tells.drawn,
        true_tells=tells.true,
        n_items=len(items),
    )


def marks(texts: Sequence[str]) -> Marks:
    """Return plain facts about texts.

    Args:
        texts: At least one.

    Raises:
        EvaluationError: If there is none.

    Example:
        >>> marks(["Thanks, it works now.", "Run `make` again"])
        Marks(words=3.5, questions=0.0, polite=0.5, code=0.5, links=0.0, distinct=1.0)
    """
    if not texts:
        raise EvaluationError("there is no text to describe")
    listed = [words(text) for text in texts]
    bigrams = [gram for each in listed for gram in pairwise(each)]

    def share(pattern: re.Pattern[str]) -> float:
        return sum(pattern.search(text) is not None for text in texts) / len(texts)

    return Marks(
        words=float(np.median([len(each) for each in listed])),
        questions=share(_QUESTION),
        polite=share(_POLITE),
        code=share(_CODE),
        links=share(_LINK),
        distinct=len(set(bigrams)) / len(bigrams) if bigrams else 1.0,
    )


def told_apart(
    true: Sequence[str],
    drawn: Sequence[str],
    groups: Sequence[str],
    *,
    embed: Callable[[list[str]], Any] | None = None,
    seed: int = 0,
) -> FloatArray:
    """Return how much of each pair of a true and a drawn text a classifier assigns rightly.

    Logistic regression learns from the other groups; a pair's texts are always tried together.

    Args:
        true: What people wrote. Shape `(n,)`.
        drawn: What was drawn in its place. Shape `(n,)`.
        groups: What each pair belongs to, such as its conversation; at least two.
        embed: Texts to vectors; None takes the frequencies of words and pieces of words.
        seed: Of the division into folds.

    Returns:
        0, 0.5 or 1 of each pair. Shape `(n,)`. Texts that get the same score count half.

    Raises:
        ArgumentError: If the lengths differ, there is one group, or `embed` does not return one
            finite vector for each text.
        MissingDependencyError: If scikit-learn is not installed.

    Example:
        >>> pairs = [("yes dear", "As an AI model, yes")] * 30
        >>> true, drawn = zip(*pairs, strict=True)
        >>> told_apart(true, drawn, [str(n) for n in range(30)]).mean()
        np.float64(1.0)
    """
    if not len(true) == len(drawn) == len(groups) or len(set(groups)) < 2:  # noqa: PLR2004
        raise ArgumentError(
            f"{counted(len(true), 'true text')}, {counted(len(drawn), 'drawn text')} and "
            f"{counted(len(groups), 'group')} ({len(set(groups))} distinct) cannot be compared",
            hint="give as many of each, from at least two groups",
        )
    texts = [*true, *drawn]
    vectors = None if embed is None else _embedded(embed, texts)
    learn = _sklearn()
    n = len(true)
    labels = np.repeat([0, 1], n)
    owners = np.array([*groups, *groups])
    folds = learn.GroupKFold(min(FOLDS, len(set(groups))), shuffle=True, random_state=seed)
    score = np.zeros(2 * n)
    for fitted, tried in folds.split(np.zeros((2 * n, 1)), labels, owners):
        if vectors is None:
            features = _features(learn)
            first = features.fit_transform([texts[i] for i in fitted])
            second = features.transform([texts[i] for i in tried])
        else:
            scale = learn.StandardScaler().fit(vectors[fitted])
            first, second = scale.transform(vectors[fitted]), scale.transform(vectors[tried])
        classifier = learn.LogisticRegression(max_iter=1000).fit(first, labels[fitted])
        score[tried] = classifier.decision_function(second)
    rightly = np.where(labels == 1, score, -score)
    credit = np.where(rightly == 0, 0.5, rightly > 0)
    return (credit[:n] + credit[n:]) / 2


class _Tells(NamedTuple):
    true: tuple[str, ...]
    drawn: tuple[str, ...]


def _tells(true: Sequence[str], drawn: Sequence[str]) -> _Tells:
    """Return the words that weigh most on either side, by a classifier of all texts."""
    learn = _sklearn()
    vectorizer = learn.TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, tokenizer=words,
                                       token_pattern=None, lowercase=False, min_df=2)  # fmt: skip
    try:
        features = vectorizer.fit_transform([*true, *drawn])
    except ValueError:  # no word stands in two texts
        return _Tells((), ())
    labels = np.repeat([0, 1], len(true))
    weights = learn.LogisticRegression(max_iter=1000).fit(features, labels).coef_[0]
    names = vectorizer.get_feature_names_out()
    order = np.argsort(weights, kind="stable")
    return _Tells(
        tuple(str(names[i]) for i in order[:TELLS] if weights[i] < 0),
        tuple(str(names[i]) for i in order[::-1][:TELLS] if weights[i] > 0),
    )


def _features(learn: _Sklearn) -> Any:  # noqa: ANN401 - scikit-learn has no types
    """Words and pairs of words, and pieces of words: what is said, and how it is written."""
    return learn.FeatureUnion(
        [
            (
                "words",
                learn.TfidfVectorizer(
                    ngram_range=(1, 2), sublinear_tf=True, tokenizer=words, token_pattern=None,
                    lowercase=False,
                ),
            ),
            (
                "pieces",
                learn.TfidfVectorizer(
                    analyzer="char_wb", ngram_range=(1, 4), sublinear_tf=True, lowercase=False
                ),
            ),
        ]
    )  # fmt: skip


def _embedded(embed: Callable[[list[str]], Any], texts: list[str]) -> FloatArray:
    found = np.asarray(embed(texts), dtype=np.float64)
    if found.ndim != 2 or len(found) != len(texts) or not np.isfinite(found).all():  # noqa: PLR2004
        raise ArgumentError(
            f"the embedding of {counted(len(texts), 'text')} has the shape {found.shape!r}, or "
            "contains non-finite numbers",
            hint="return one vector for each text",
        )
    return found


class _Sklearn(NamedTuple):
    """What is used of scikit-learn, which has no type stubs."""

    FeatureUnion: Any
    GroupKFold: Any
    LogisticRegression: Any
    StandardScaler: Any
    TfidfVectorizer: Any


def _sklearn() -> _Sklearn:
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer  # pyright: ignore[reportMissingTypeStubs]
        from sklearn.linear_model import LogisticRegression  # pyright: ignore[reportMissingTypeStubs]
        from sklearn.model_selection import GroupKFold  # pyright: ignore[reportMissingTypeStubs]
        from sklearn.pipeline import FeatureUnion  # pyright: ignore[reportMissingTypeStubs]
        from sklearn.preprocessing import StandardScaler  # pyright: ignore[reportMissingTypeStubs]
    except ImportError as error:
        raise MissingDependencyError(
            "scikit-learn", extra="metrics", why="telling drawn texts from true ones"
        ) from error
    return _Sklearn(FeatureUnion, GroupKFold, LogisticRegression, StandardScaler, TfidfVectorizer)


def _open(one: Interaction) -> bool:
    return isinstance(one.space, FreeText)
