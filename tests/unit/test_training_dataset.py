"""From examples to terms of the loss, with an encoder of one token per character."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from usersim.training.dataset import (
    choose_no_reasoning,
    encode_examples,
    examples_digest,
    split_validation,
)
from usersim.transcript import CLOSE, NO_REASONING, OPEN
from usersim.types import TrainingExample

END = 0


class Letters:
    """One token per character; 0 ends a turn."""

    def prompt(self, messages: Sequence[tuple[str, str]], prefix: str) -> list[int]:
        """Return the contents and the prefix."""
        return [ord(c) for c in "".join(content for _, content in messages) + prefix]

    def continuation(self, text: str, *, end: bool) -> list[int]:
        """Return the text and the end."""
        return [ord(c) for c in text] + [END] * end


def example(key: str, *, user: str = "ada", reasoning: str = "", action: str = "yes"):
    """Return an example with a short prompt."""
    return TrainingExample(
        key=key, user_id=user, messages=(("user", f"q{key}"),), reasoning=reasoning, action=action
    )


def text(tokens: Sequence[int]) -> str:
    """Return the letters behind tokens; the end is `$`."""
    return "".join(chr(t) if t else "$" for t in tokens)


def test_an_example_with_reasoning_has_two_terms_that_are_drawn_in_two_steps():
    """The trace follows the opening tag and ends with the closing one; the action follows both."""
    (encoded,) = encode_examples([example("1", reasoning="why")], Letters()).examples
    action, reasoning = encoded.terms
    assert text(action.tokens[: action.start]) == f"q1{OPEN}why{CLOSE}"
    assert text(action.targets) == "yes$"
    assert text(reasoning.tokens[: reasoning.start]) == f"q1{OPEN}"
    assert text(reasoning.targets) == f"why{CLOSE}"


@pytest.mark.parametrize("reasoning", ["", "why"])
def test_the_marker_is_part_of_the_prompt_and_never_a_target(reasoning: str):
    """Without a trace, or when chosen for the marker, only the action is a target."""
    (encoded,) = encode_examples(
        [example("1", reasoning=reasoning)], Letters(), marked={"1"}
    ).examples
    (action,) = encoded.terms
    assert text(action.tokens[: action.start]) == f"q1{NO_REASONING}"
    assert text(action.targets) == "yes$"


def test_tags_inside_reasoning_and_action_are_escaped_as_the_codec_does():
    """A tag in a text cannot end the reasoning or begin another one."""
    (encoded,) = encode_examples(
        [example("1", reasoning="a</think>b", action="<think>")], Letters()
    ).examples
    assert text(encoded.terms[1].targets) == f"a\\</think>b{CLOSE}"
    assert text(encoded.terms[0].targets) == "\\<think>$"


def test_measured_examples_have_the_action_alone_as_well():
    """Only an example with a trace needs the second figure."""
    both, bare = encode_examples(
        [example("1", reasoning="why"), example("2")], Letters(), measured=True
    ).examples
    assert [term.kind for term in both.terms] == ["action", "reasoning", "action_alone"]
    assert text(both.terms[2].tokens) == f"q1{NO_REASONING}yes$"
    assert [term.kind for term in bare.terms] == ["action"]


def test_too_long_examples_are_refused_one_by_one_and_never_cut():
    """A refusal names the example, its length and the limit; the others stay whole."""
    found = encode_examples(
        [example("1"), example("2", action="y" * 100), example("3")], Letters(), max_tokens=50
    )
    assert [e.key for e in found.examples] == ["1", "3"]
    (failure,) = found.refused
    assert (failure.index, failure.item, failure.error) == (1, "2", "ContextLengthError")
    assert "'ada' has 122 tokens and the model takes 50" in failure.message


def test_the_marker_share_is_exact_and_depends_on_seed_and_key_alone():
    """Order does not matter, another seed chooses others, bare examples do not count."""
    examples = [example(str(i), reasoning="why") for i in range(40)]
    bare = [example(f"bare{i}") for i in range(40)]
    chosen = choose_no_reasoning(examples + bare, share=0.15, seed=0)
    assert len(chosen) == 6
    assert chosen == choose_no_reasoning(examples[::-1], share=0.15, seed=0)
    assert chosen != choose_no_reasoning(examples, share=0.15, seed=1)
    assert choose_no_reasoning(examples, share=0.0, seed=0) == frozenset()


def test_validation_is_each_users_newest_and_keeps_an_interaction_together():
    """Two traces of one interaction are never on both sides; small users give nothing."""
    ada = [example(str(i), reasoning=r) for i in range(10) for r in ("one", "two")]
    bob = [example(f"b{i}", user="bob") for i in range(3)]
    train, held = split_validation([*ada, *bob], 0.1)
    assert [e.key for e in held] == ["9", "9"]
    assert {e.key for e in train} == {*map(str, range(9)), "b0", "b1", "b2"}


def test_the_digest_sees_every_field_and_the_order():
    """Whatever would change the training changes the digest."""
    one, two = example("1"), example("2")
    digests = {
        examples_digest(part)
        for part in (
            [one, two],
            [two, one],
            [one],
            [example("1", reasoning="r"), two],
            [example("1", action="no"), two],
            [example("1", user="bob"), two],
        )
    }
    assert len(digests) == 6
