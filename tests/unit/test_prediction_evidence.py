"""Evidence: what is measured over the panel counts, what is alike in meaning fills the gaps."""

from __future__ import annotations

import numpy as np
import pytest

from usersim.prediction.evidence import (
    EmbeddingSimilarity,
    Expectation,
    lexical_similarity,
    own_answer,
    own_scale,
    rank_evidence,
)
from usersim.types import (
    ActionSpace,
    Choice,
    FreeText,
    Interaction,
    Message,
    MultiChoice,
    Question,
    Scale,
)

YES_NO = Choice(("yes", "no"))


def did(text: str, action: str, space: ActionSpace = YES_NO, position: int = 0) -> Interaction:
    """Return one past interaction of ada."""
    return Interaction(
        key=text,
        user_id="ada",
        position=position,
        context=(Message(text),),
        action=action,
        space=space,
        conversation=text,
    )


def test_measured_association_outranks_shared_words() -> None:
    """With a thousand people behind it, an association decides; words only break its silence."""
    asked = Question((Message("Do you like green tea?"),), YES_NO)
    alike, linked, neither = (
        did("Do you like green paint?", "no"),
        did("Are mornings your time?", "yes"),
        did("Have you a car?", "no"),
    )
    measured = {
        linked.question.key: (0.6, 1_000),
        alike.question.key: (0.0, 1_000),
    }
    weights = rank_evidence(asked, [alike, linked, neither], measured=measured)
    assert weights[1] == pytest.approx(0.6, abs=0.01)
    assert weights[0] < 0.1
    without = rank_evidence(asked, [alike, linked, neither], measured={})
    assert without[0] > without[1]
    assert without[0] > without[2]


def test_few_people_count_little_against_the_expectation() -> None:
    """A perfect association of three people moves the weight, and does not decide it."""
    asked = Question((Message("Tea?"),), YES_NO)
    past = did("Boat?", "yes")
    (none,) = rank_evidence(asked, [past], measured={})
    (three,) = rank_evidence(asked, [past], measured={past.question.key: (1.0, 3)})
    (many,) = rank_evidence(asked, [past], measured={past.question.key: (1.0, 3_000)})
    assert none < three < 0.5 < many


def test_words_that_are_rare_count_more() -> None:
    """BM25: a shared rare word is worth more than a shared common one; the same text is worth 1."""
    texts = ["the cat and the dog", "the boat", "the cat", "the car"]
    found = lexical_similarity("the boat", texts)
    assert found[1] == pytest.approx(1.0)
    assert found.argmax() == 1
    assert lexical_similarity("", texts).tolist() == [0.0] * 4
    assert lexical_similarity("boat", []).shape == (0,)


def test_an_embedding_function_is_asked_once_per_text() -> None:
    """Vectors are kept; likeness is the cosine, and opposite texts are not alike."""
    asked: list[str] = []
    vectors = {"a": [1.0, 0.0], "b": [1.0, 1.0], "c": [-1.0, 0.0], "nothing": [0.0, 0.0]}

    def embed(texts: list[str]) -> list[list[float]]:
        asked.extend(texts)
        return [vectors[text] for text in texts]

    similarity = EmbeddingSimilarity(embed)
    found = similarity("a", ["b", "c", "a", "nothing"])
    assert found.tolist() == pytest.approx([2**-0.5, 0.0, 1.0, 0.0])
    similarity("b", ["a", "c"])
    assert sorted(asked) == ["a", "b", "c", "nothing"]


def test_the_expectation_learns_what_likeness_is_worth() -> None:
    """On a panel where likeness says nothing, likeness counts nothing; where it does, it does."""
    random = np.random.default_rng(0)
    likeness = random.random(300)
    blind = Expectation.fit(likeness, np.full(300, 0.2) + 0.01 * random.random(300))
    seeing = Expectation.fit(likeness, np.clip(0.05 + 0.8 * likeness, 0, 1))
    assert blind.slope < 0.01
    assert seeing.slope == pytest.approx(0.8, abs=0.01)
    assert seeing.of(np.array([0.0, 1.0])).tolist() == pytest.approx([0.05, 0.85], abs=0.01)
    assert Expectation.fit(np.zeros(5), np.ones(5)) == Expectation()


def test_an_earlier_answer_is_repeated_and_near_ones_of_a_scale_are_next() -> None:
    """Four of five times the same; the rest halves with each point of a scale, or is shared."""
    scale = own_answer(Scale(("a", "b", "c", "d")), ["b"])
    assert scale["b"] == pytest.approx(0.8)
    assert scale["a"] == scale["c"] == pytest.approx(2 * scale["d"])
    assert sum(scale.values()) == pytest.approx(1.0)
    choice = own_answer(Choice(("a", "b", "c")), ["c"])
    assert choice == pytest.approx({"a": 0.1, "b": 0.1, "c": 0.8})
    several = own_answer(MultiChoice(("a", "b", "c")), [("a", "c")])
    assert several == pytest.approx({"a": 0.8, "b": 0.2, "c": 0.8})
    two = Choice(("tea", "milk"))
    assert own_answer(two, ["milk"]) == pytest.approx({"tea": 0.2, "milk": 0.8})
    assert own_answer(two, ["tea"] * 20)["tea"] == pytest.approx(20 / 20.25)
    assert own_answer(two, [*["tea"] * 19, "milk"])["tea"] > 0.9, "the last one is one of twenty"


def test_own_use_of_a_scale_counts_what_bears_on_the_question() -> None:
    """Only answers with the same options count, those that bear on the question more."""
    scale = Scale(("low", "mid", "high"))
    past = [
        did("one", "high", scale),
        did("two", "low", scale),
        did("three", "yes"),
        did("four", "anything", FreeText()),
    ]
    found = own_scale(scale, past, [1.0, 0.0, 1.0, 1.0])
    assert found["high"] > found["low"] > found["mid"]
    assert sum(found.values()) == pytest.approx(1.0)
    others = {"low": 0.0, "mid": 1.0, "high": 0.0}
    assert own_scale(scale, [], [], others=others)["mid"] == pytest.approx(1.0)
