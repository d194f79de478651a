"""Evidence: which of a person's past answers bear on a question, and how much.

Two sources, one number. Over a panel that answered both questions, the association of their
answers is measured; for any two questions, likeness of meaning tells what association to expect.
A measured association counts with the people behind it against the expected one. Knows questions,
texts and numbers; knows no store and no prompt.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np

from usersim.errors import ArgumentError
from usersim.types import (
    ActionValue,
    Choice,
    Distribution,
    Interaction,
    MultiChoice,
    Question,
    Scale,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = [
    "Embed",
    "EmbeddingSimilarity",
    "Expectation",
    "Similarity",
    "asked_text",
    "lexical_similarity",
    "own_answer",
    "own_scale",
    "rank_evidence",
]

Embed = Callable[[list[str]], "Floats | Sequence[Sequence[float]]"]
"""Texts to vectors, one row per text. Shape `(n, d)`."""

PRIOR_PEOPLE = 20.0
"""People whose weight an expected association has against a measured one."""
LAST_MESSAGES = 3
MATRIX = 2
TEXT_CHARS = 2_000
K1, B = 1.2, 0.75
"""Of BM25 (Robertson and Zaragoza 2009)."""
OWN_PRIOR = 4.0
"""Answers whose weight the other people's use of the options has against the person's own."""
EQUAL_SHARE = 0.2
"""Weight of a past answer whatever it is about; what bears on the question counts up to 1 more."""

REPEATED = 0.8
"""How often a person answers a question as they did before. The people of arXiv 2411.10109 repeated
81 % of their answers to the General Social Survey after two weeks."""

_WORD = re.compile(r"\w+")


class Similarity(Protocol):
    """How alike texts are in meaning.

    Example:
        >>> def same_length(text, others):
        ...     return np.array([1 - abs(len(text) - len(one)) / 100 for one in others])
        >>> similarity: Similarity = same_length
        >>> similarity("Tea?", ["Milk?", "Tea?"]).tolist()
        [0.99, 1.0]
    """

    def __call__(self, text: str, others: Sequence[str]) -> Floats:
        """Return the likeness of `text` and each of `others`, 0 to 1. Shape `(n,)`."""
        ...


def asked_text(question: Question) -> str:
    """Return what of a question is compared: the end of its context."""
    return "\n".join(message.content for message in question.context[-LAST_MESSAGES:])[-TEXT_CHARS:]


def lexical_similarity(text: str, others: Sequence[str]) -> Floats:
    """Return BM25 of each text for the words of `text`, over what `text` itself would get.

    Word weights are counted over `others`. 1 is a text with all the words, 0 one with none.

    Example:
        >>> lexical_similarity("green tea?", ["Tea at noon?", "A walk?"]).round(2).tolist()
        [0.24, 0.0]
    """
    if not len(others):
        return np.zeros(0)
    words = [_words(other) for other in others]
    found = Counter(word for own in words for word in set(own))
    n = len(words)
    mean = max(sum(map(len, words)) / n, 1.0)
    asked = set(_words(text))
    weights = {w: math.log(1 + (n - found[w] + 0.5) / (found[w] + 0.5)) for w in asked}
    whole = _bm25(Counter(_words(text)), weights, mean)
    scores = [_bm25(Counter(own), weights, mean) for own in words]
    return np.clip(np.array(scores) / whole, 0.0, 1.0) if whole > 0 else np.zeros(n)


def _words(text: str) -> list[str]:
    return [word.casefold() for word in _WORD.findall(text)]


def _bm25(counts: Counter[str], weights: Mapping[str, float], mean: float) -> float:
    size = sum(counts.values())
    norm = K1 * (1 - B + B * size / mean)
    return sum(
        weight * counts[word] * (K1 + 1) / (counts[word] + norm)
        for word, weight in weights.items()
        if counts[word]
    )


class EmbeddingSimilarity:
    """Cosine of embeddings, negative ones as 0; vectors are kept for the life of this object.

    Args:
        embed: Texts to vectors.
    """

    def __init__(self, embed: Embed) -> None:
        self._embed = embed
        self._vectors: dict[str, Floats] = {}

    def __call__(self, text: str, others: Sequence[str]) -> Floats:
        """Return the likeness of `text` and each of `others`, 0 to 1. Shape `(n,)`.

        Raises:
            ArgumentError: If there is not one finite vector for each text.
        """
        new = [one for one in dict.fromkeys([text, *others]) if one not in self._vectors]
        if new:
            rows = np.asarray(self._embed(new), dtype=np.float64)
            if rows.ndim != MATRIX or len(rows) != len(new) or not np.isfinite(rows).all():
                raise ArgumentError(
                    f"the embedding of {len(new)} texts has the shape {rows.shape!r}, or "
                    "contains non-finite numbers",
                    hint="return one vector, all of one length, for each text",
                )
            lengths = np.linalg.norm(rows, axis=1, keepdims=True)
            self._vectors |= zip(new, rows / np.where(lengths > 0, lengths, 1.0), strict=True)
        if not len(others):
            return np.zeros(0)
        return np.clip(np.stack([self._vectors[o] for o in others]) @ self._vectors[text], 0, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What association to expect of two questions that are so alike in meaning.

    Attributes:
        base: Of questions that are not alike at all.
        slope: More of it for full likeness.
        pairs: Pairs of panel questions that it was fitted on; 0 for the default.

    Example:
        >>> expected = Expectation(base=0.1, slope=0.4)
        >>> round(expected.base + expected.slope * 0.5, 2)  # of questions that are half alike
        0.3
    """

    base: float = 0.1
    slope: float = 0.4
    pairs: int = 0

    def of(self, likeness: Floats) -> Floats:
        """Return the expected association. Shape as `likeness`."""
        return np.clip(self.base + self.slope * likeness, 0.0, 1.0)

    @classmethod
    def fit(cls, likeness: Floats, association: Floats) -> Expectation:
        """Return the least-squares line of association on likeness; it never falls.

        Args:
            likeness: Of pairs of panel questions. Shape `(n,)`.
            association: Measured, of the same pairs. Shape `(n,)`.
        """
        if len(likeness) < 2 or likeness.std() == 0:  # noqa: PLR2004 - a line needs two points
            return cls()
        slope = max(float(np.cov(likeness, association)[0, 1] / likeness.var(ddof=1)), 0.0)
        base = float(association.mean() - slope * likeness.mean())
        return cls(base=max(base, 0.0), slope=slope, pairs=len(likeness))


def rank_evidence(
    question: Question,
    past: Sequence[Interaction],
    *,
    measured: Mapping[str, tuple[float, int]],
    similarity: Similarity = lexical_similarity,
    expectation: Expectation = Expectation(),
) -> list[float]:
    """Return how much each past interaction bears on a question, 0 to 1.

    Args:
        question: What is asked.
        past: What the person did.
        measured: By question key: association over the panel, and people who answered both.
        similarity: Likeness of meaning.
        expectation: What likeness of meaning lets expect.

    Returns:
        One weight per past interaction, in their order.
    """
    texts = [asked_text(one.question) for one in past]
    expected = expectation.of(_likeness(similarity, asked_text(question), texts))
    weights: list[float] = []
    for one, guess in zip(past, expected.tolist(), strict=True):
        association, people = measured.get(one.question.key, (0.0, 0))
        square = (people * association**2 + PRIOR_PEOPLE * guess**2) / (people + PRIOR_PEOPLE)
        weights.append(math.sqrt(square))
    return weights


def _likeness(similarity: Similarity, text: str, others: Sequence[str]) -> Floats:
    """Return what a similarity says, checked: it may be a stranger's.

    Raises:
        ArgumentError: If it is not one finite number for each text.
    """
    found = np.asarray(similarity(text, others), dtype=np.float64)
    if found.shape != (len(others),) or not np.isfinite(found).all():
        raise ArgumentError(
            f"the similarity of {len(others)} texts has the shape {found.shape!r}, or "
            "contains non-finite numbers",
            hint="return one number, 0 to 1, for each text",
        )
    return np.clip(found, 0.0, 1.0)


def own_answer(
    space: Choice | Scale | MultiChoice, actions: Sequence[ActionValue]
) -> dict[str, float]:
    """Return what to expect of a person who answered the same question before.

    After one answer they repeat it with probability `REPEATED`; of what is left each point of a
    scale that lies one further from it has half, and the other options of a choice have the same.
    Several answers count alike, whenever they were given, and that doubt counts as a quarter of one
    answer: who has said the same twenty times says it with probability 0.99.

    Args:
        space: The options.
        actions: The earlier answers, at least one.

    Returns:
        Probability of each option; of a multiple choice, how probable it is to be chosen.

    Example:
        >>> found = own_answer(Choice(("tea", "coffee", "milk")), ["tea"])
        >>> {option: round(p, 2) for option, p in found.items()}
        {'tea': 0.8, 'coffee': 0.1, 'milk': 0.1}
    """
    doubt = 1 / REPEATED - 1
    rows = [_repeated(space, action) for action in actions]
    said = {option: sum(row[0][option] for row in rows) for option in space.options}
    away = {option: sum(row[1][option] for row in rows) / len(rows) for option in space.options}
    return {o: (said[o] + doubt * away[o]) / (len(rows) + doubt) for o in space.options}


def _repeated(
    space: Choice | Scale | MultiChoice, action: ActionValue
) -> tuple[dict[str, float], dict[str, float]]:
    """Return which options one answer named, and where it would go if it were not repeated."""
    if isinstance(space, MultiChoice):
        chosen = {action} if isinstance(action, str) else set(cast("Sequence[str]", action))
        named = {o: float(o in chosen) for o in space.options}
        return named, {o: 1.0 - yes for o, yes in named.items()}
    place = space.options.index(str(action))
    parts = {
        o: 0.0 if i == place else 0.5 ** abs(i - place) if isinstance(space, Scale) else 1.0
        for i, o in enumerate(space.options)
    }
    whole = sum(parts.values())
    named = {o: float(i == place) for i, o in enumerate(space.options)}
    return named, {o: part / whole for o, part in parts.items()} if whole else named


def own_scale(
    space: Choice | Scale,
    past: Sequence[Interaction],
    weights: Sequence[float],
    *,
    others: Distribution | None = None,
) -> dict[str, float]:
    """Return how the person used the same options in past answers.

    Each past answer with these options counts `0.2 + its weight as evidence`; what the other
    people answer, or every option alike, counts like four answers.

    Args:
        space: The options.
        past: What the person did.
        weights: How much each bears on the question, 0 to 1.
        others: Distribution of the other people over these options, whatever was asked.

    Returns:
        Probability of each option.

    Example:
        >>> own_scale(Scale(("no", "yes")), [], [])
        {'no': 0.5, 'yes': 0.5}
    """
    options = space.options
    counts = {o: OWN_PRIOR * (others[o] if others else 1 / len(options)) for o in options}
    for one, weight in zip(past, weights, strict=True):
        if one.space == space:
            counts[str(one.action)] += EQUAL_SHARE + weight
    total = sum(counts.values())
    return {option: count / total for option, count in counts.items()}
