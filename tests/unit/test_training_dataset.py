"""From examples to terms of the loss, with an encoder of one token per character."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.fixtures.lessons import Letters, letters
from usersim.prompts import why_prompt
from usersim.training.dataset import encode_example, encode_examples
from usersim.transcript import CLOSE, OPEN
from usersim.types import TrainingExample


def example(
    key: str, *, reasoning: str = "", action: str = "yes", options: tuple[str, ...] = ()
) -> TrainingExample:
    """Return an example with a short prompt."""
    return TrainingExample(
        key=key,
        user_id="ada",
        messages=(("user", f"q{key}"),),
        reasoning=reasoning,
        action=action,
        options=options,
    )


def parts(examples: TrainingExample) -> list[tuple[str, str, str]]:
    """Return kind, what stands before, and targets of each term."""
    return [
        (term.kind, letters(term.tokens[: term.start]), letters(term.targets))
        for term in encode_example(examples, Letters()).terms
    ]


def test_an_open_action_without_a_trace_is_one_term():
    """It stands right after the prompt, and ends the turn."""
    assert parts(example("1")) == [("action", "q1\n", "yes$")]
    (decision,) = encode_example(example("1"), Letters()).decisions
    assert (decision.terms, decision.truth, decision.reasoned) == ((0,), 0, False)


def test_a_trace_adds_the_action_after_it_and_the_trace_itself():
    """The action is learned both ways; the trace from the opening tag up to the closing one."""
    assert parts(example("1", reasoning="why")) == [
        ("action", "q1\n", "yes$"),
        ("action", f"q1\n{OPEN}why{CLOSE}", "yes$"),
        ("reasoning", f"q1\n{OPEN}", f"why{CLOSE}"),
    ]
    plain, reasoned = encode_example(example("1", reasoning="why"), Letters()).decisions
    assert (plain.terms, plain.reasoned) == ((0,), False)
    assert (reasoned.terms, reasoned.reasoned) == ((1,), True)


def test_a_closed_question_has_a_term_per_option_with_and_without_the_trace():
    """Options are scored whole and without the end of the turn, as at run time."""
    asked = example("1", reasoning="why", action="no", options=("yes", "no"))
    assert parts(asked) == [
        ("option", "q1\n", "yes"),
        ("option", "q1\n", "no"),
        ("option", f"q1\n{OPEN}why{CLOSE}", "yes"),
        ("option", f"q1\n{OPEN}why{CLOSE}", "no"),
        ("reasoning", f"q1\n{OPEN}", f"why{CLOSE}"),
    ]
    plain, reasoned = encode_example(asked, Letters()).decisions
    assert (plain.terms, plain.truth, plain.reasoned) == ((0, 1), 1, False)
    assert (reasoned.terms, reasoned.truth, reasoned.reasoned) == ((2, 3), 1, True)


def test_a_trace_after_the_answer_is_learned_in_a_turn_of_its_own():
    """The action is learned without it, once; the trace follows the answer and a question why."""
    asked = replace(example("1", reasoning="why", action="no", options=("yes", "no")), after=True)
    (_, question) = why_prompt((), "")[-1]
    assert parts(asked) == [
        ("option", "q1\n", "yes"),
        ("option", "q1\n", "no"),
        ("reasoning", f"q1\nno\n{question}\n{OPEN}", f"why{CLOSE}"),
    ]
    (plain,) = encode_example(asked, Letters()).decisions
    assert (plain.terms, plain.truth, plain.reasoned) == ((0, 1), 1, False)
    bare = replace(example("1"), after=True)
    assert parts(bare) == parts(example("1"))


def test_an_option_that_begins_another_is_told_apart_by_its_end():
    """With 1 and 10 among the options every one of them carries the end of the turn."""
    asked = example("1", action="1", options=("1", "2", "10"))
    assert [targets for _, _, targets in parts(asked)] == ["1$", "2$", "10$"]


def test_tags_inside_reasoning_action_and_options_are_escaped_as_the_codec_does():
    """A tag in a text cannot end the reasoning or begin another one."""
    tagged = example("1", reasoning="a</think>b", action="<think>")
    assert [targets for _, _, targets in parts(tagged)] == [
        "\\<think>$",
        "\\<think>$",
        f"a\\</think>b{CLOSE}",
    ]
    asked = example("1", action="<think>", options=("<think>", "no"))
    assert [targets for _, _, targets in parts(asked)] == ["\\<think>", "no"]


@pytest.mark.parametrize(
    ("long", "length"),
    [
        (example("2", action="y" * 100), 104),
        (example("2", reasoning="y" * 100), 126),
        (example("2", action="no", options=("no", "y" * 100)), 103),
    ],
)
def test_too_long_examples_are_refused_one_by_one_and_never_cut(long: TrainingExample, length: int):
    """A refusal names the example, its length and the limit; the others stay whole."""
    found = encode_examples([example("1"), long, example("3")], Letters(), max_tokens=50)
    assert [e.key for e in found.examples] == ["1", "3"]
    (failure,) = found.refused
    assert (failure.index, failure.item, failure.error) == (1, "2", "ContextLengthError")
    assert f"'ada' has {length} tokens and the model takes 50" in failure.message
