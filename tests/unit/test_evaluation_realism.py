"""Whether drawn texts can be told from true ones, on texts whose truth is known."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest

from usersim.errors import ArgumentError, EvaluationError
from usersim.evaluation import Arm, evaluate, realism
from usersim.evaluation.realism import LEAST_PAIRS, marks, told_apart
from usersim.types import Batch, Choice, FreeText, Interaction, Message, Prediction

WORDS = ("rain", "tea", "train", "letter", "garden", "quiet", "river", "stone", "window", "bread")


def sentence(seed: object, opening: str = "") -> str:
    """A sentence of words drawn at random."""
    return opening + " ".join(random.Random(f"{seed}").choices(WORDS, k=8)) + "."


def items(people: int = 6, each: int = 10) -> list[Interaction]:
    """Open answers of several people, two to a conversation."""
    return [
        Interaction(
            key=f"{person}-{place}",
            user_id=f"user {person}",
            position=place,
            context=(Message("What now?"),),
            action=sentence((person, place)),
            space=FreeText(),
            conversation=f"talk {place // 2}",
            split="held_out",
        )
        for person in range(people)
        for place in range(each)
    ]


def arm(name: str, write) -> Arm:
    """An arm that writes what a function returns for an item; None is a failure."""
    return Arm(name, lambda asked: Batch(tuple(Prediction(action=write(one)) for one in asked)))


def test_texts_of_the_same_kind_cannot_be_told_apart() -> None:
    """Texts from the same distribution are assigned rightly about half of the time."""
    found = realism(evaluate([arm("Same", lambda i: sentence(i.key))], items(), bootstrap=200))
    (one,) = found
    assert one.told_apart is not None
    assert 0.35 < one.told_apart.value < 0.65
    assert one.told_apart.low < 0.5 < one.told_apart.high


def test_a_phrase_of_a_machine_gives_every_text_away() -> None:
    """Texts that all begin alike are recognized, and the report names the words that do it."""
    opening = "As an assistant, "
    one = realism(evaluate([arm("Bot", lambda i: sentence(i.key, opening))], items()))[0]
    assert one.told_apart is not None
    assert one.told_apart.low > 0.95
    assert "assistant" in " ".join(one.drawn_tells)
    assert "assistant" not in " ".join(one.true_tells)


def test_the_true_text_itself_is_told_apart_in_half_of_the_cases() -> None:
    """An arm that repeats what was said is at exactly one half: both texts get the same score."""
    one = realism(evaluate([arm("Copy", lambda i: i.action_text)], items()))[0]
    assert one.told_apart is not None
    assert one.told_apart.value == pytest.approx(0.5)
    assert one.drawn == one.true


def test_what_separates_two_conversations_gives_nothing_away() -> None:
    """A name that occurs in one conversation only, in both texts of its pairs, is no help."""
    true = [f"{sentence(n)} topic{n // 4}" for n in range(80)]
    drawn = [f"{sentence(-n - 1)} topic{n // 4}" for n in range(80)]
    right = told_apart(true, drawn, [str(n // 4) for n in range(80)])
    assert set(right) <= {0.0, 0.5, 1.0}
    assert 0.35 < right.mean() < 0.65


def test_an_embedding_takes_the_place_of_words() -> None:
    """With `embed`, only what the vectors hold is seen: here the length, which differs."""
    pairs = items()
    asked: list[int] = []

    def length(texts: list[str]) -> list[list[float]]:
        asked.append(len(texts))
        return [[len(text)] for text in texts]

    found = evaluate([arm("Long", lambda i: sentence(i.key) + " More, and more yet.")], pairs)
    one = realism(found, embed=length)[0]
    assert one.told_apart is not None
    assert one.told_apart.value > 0.8
    assert asked == [2 * len(pairs)]
    with pytest.raises(ArgumentError, match=r"120 texts.*\(120,\)"):
        realism(found, embed=lambda texts: [1.0 for _ in texts])


def test_what_was_not_drawn_counts_as_not_ended() -> None:
    """A text that did not come to an end is left out of the comparison and counted."""
    write = lambda i: None if i.position % 5 == 0 else sentence(i.key)  # noqa: E731
    one = realism(evaluate([arm("Cut", write)], items()))[0]
    assert one.ended == pytest.approx(0.8)
    assert one.n_items == 48


def test_too_few_texts_are_described_and_not_told_apart() -> None:
    """Below the least number of pairs there are marks and no figure."""
    few = items(people=1, each=LEAST_PAIRS - 1)
    one = realism(evaluate([arm("Few", lambda i: sentence(i.key))], few))[0]
    assert one.told_apart is None
    assert one.drawn.words == 8
    assert "too few" in str(one)


def test_an_arm_that_writes_nothing_has_no_realism() -> None:
    """Likelihood-only arms and closed questions are left out."""
    closed = Interaction(key="c", user_id="user 0", position=99, context=(Message("Tea?"),),
                         action="yes", space=Choice(("yes", "no")), conversation="z",
                         split="held_out")  # fmt: skip
    silent = Arm("Silent", lambda asked: Batch(
        tuple(Prediction(action="", log_likelihood=-3.0, n_tokens=2) for _ in asked)))  # fmt: skip
    assert realism(evaluate([silent], items(people=2))) == ()
    says = arm("Says", lambda i: "yes" if i.key == "c" else sentence(i.key))
    assert realism(evaluate([says], [*items(), closed]))[0].n_items == 60


def test_marks_are_what_they_say() -> None:
    """Each mark is counted on texts of which it is known."""
    found = marks(
        [
            "Could you please look at https://example.org/a?",
            "```\nprint(1)\n```",
            "I went home (late) and slept.",
            "ありがとう。何時ですか？",
        ]
    )
    assert (found.questions, found.polite, found.links, found.code) == (0.5, 0.25, 0.25, 0.25)
    assert marks(["a b a b"]).distinct == pytest.approx(2 / 3)
    assert marks(["a"]).distinct == 1.0
    with pytest.raises(EvaluationError):
        marks([])


@pytest.mark.parametrize("groups", [["one"] * 4, ["one", "two"]])
def test_pairs_that_cannot_be_compared_are_refused(groups: list[str]) -> None:
    """One group, or another number of groups than of pairs, is an error."""
    with pytest.raises(ArgumentError, match=f"{len(groups)} groups"):
        told_apart(["a"] * 4, ["b"] * 4, groups)


def test_the_figure_depends_on_the_seed_alone() -> None:
    """Twice the same, and plain values for JSON."""
    measured = evaluate([arm("Same", lambda i: sentence(i.key))], items(), bootstrap=50)
    first, second = realism(measured, seed=3), realism(measured, seed=3)
    assert first == second
    assert json.dumps(first[0].drawn._asdict())
    assert np.isfinite(first[0].drawn).all()
