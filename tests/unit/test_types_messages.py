"""What may stand for a message, a context, options and a question."""

from __future__ import annotations

import pickle

import pytest

from usersim.errors import ActionError, ConfigError
from usersim.types import (
    Batch,
    Choice,
    Failure,
    FreeText,
    Message,
    Question,
    Scale,
    as_messages,
    as_options,
)

SAID = {"role": "assistant", "content": "Tea?"}


@pytest.mark.parametrize(
    "context",
    ["Tea?", Message("Tea?"), {"content": "Tea?"}, [Message("Tea?")], ({"content": "Tea?"},)],
)
def test_a_text_a_message_and_a_dict_are_one_message(context) -> None:
    """Whatever a caller gives, the same question comes of it."""
    assert as_messages(context) == (Message("Tea?"),)


@pytest.mark.parametrize(
    ("given", "role"),
    [("assistant", "assistant"), ("human", "user"), ("developer", "system"), (None, "user")],
)
def test_roles_of_other_chat_formats_are_known(given, role) -> None:
    """The roles that a corpus may have are those that a caller may use."""
    assert as_messages({"role": given, "content": "Tea?"})[0].role == role


def test_names_text_parts_and_empty_fields_of_chat_apis_are_read() -> None:
    """A message as an API returns it is read; what it leaves empty does not matter."""
    parts = [{"type": "text", "text": "Tea?"}, {"type": "text", "text": "Now?"}]
    (message,) = as_messages([{**SAID, "content": parts, "name": "bob", "tool_calls": None}])
    assert message == Message("Tea?\nNow?", "assistant", "bob")


@pytest.mark.parametrize(
    ("context", "said"),
    [
        (None, "a context must be a text or messages; got None"),
        (3, "got 3"),
        (b"Tea?", "got b'Tea"),
        ([3], "messages must be Message objects or"),
        (["Tea?"], "got 'Tea"),
        ([{"role": "assistant"}], "has no 'content'"),
        ([{**SAID, "tool_calls": [1]}], "has unknown fields"),
        ([{**SAID, "role": "bot3"}], "has the role 'bot3'"),
        ([{**SAID, "content": None}], "has the content None"),
        ([{**SAID, "content": [{"type": "image_url"}]}], "image_url"),
        ([{**SAID, "name": 4}], "has the name 4"),
    ],
)
def test_what_is_no_message_is_named(context, said) -> None:
    """Each mistake is told with its value."""
    with pytest.raises(ConfigError, match=said):
        as_messages(context)


def test_a_question_says_what_an_answer_may_be() -> None:
    """Options make a choice, a kind says otherwise, and a space is taken as it is."""
    assert Question("Tea?").space == FreeText()
    assert Question("Tea?", options=["yes", "no"]).space == Choice(("yes", "no"))
    assert Question("Tea?", options=["no", "yes"], kind="scale").space == Scale(("no", "yes"))
    assert Question("Tea?", Choice(("yes", "no"))) == Question("Tea?", options=["yes", "no"])
    asked = Question([SAID], kind="number")
    assert pickle.loads(pickle.dumps(asked)) == asked


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"options": "ABC"}, "got the text 'ABC'"),
        ({"options": {"a", "b"}}, "in order"),
        ({"options": ["a", 2]}, "got 2"),
        ({"options": ["a"]}, "at least two options"),
        ({"options": ["a", "b"], "kind": "number"}, "of kind 'number' have no options"),
        ({"options": ["a", "b"], "space": FreeText()}, "already has"),
    ],
)
def test_options_that_are_no_list_of_texts_are_refused(fields, said) -> None:
    """A lone text would become letters, a set has no order, a number is no option."""
    with pytest.raises(ActionError, match=said):
        Question("Tea?", **fields)


def test_a_choice_is_not_made_of_letters() -> None:
    """The spaces themselves refuse a lone text too, with the right call."""
    with pytest.raises(ActionError, match="'ABC'") as caught:
        Choice("ABC")  # type: ignore[arg-type]
    assert "options=['ABC', …]" in caught.value.hint
    assert as_options(iter(["a", "b"])) == ("a", "b")


def test_a_batch_is_indexed_by_what_was_asked() -> None:
    """A place is that of the question; a failed one raises with what was drawn."""
    lost = Failure(index=1, item="bob", error="ActionError", message="no option", text="perhaps")
    batch = Batch(("tea", None, "rain"), (lost,))
    assert (batch[0], batch[-1], list(batch), len(batch)) == ("tea", "rain", ["tea", "rain"], 3)
    with pytest.raises(Exception, match="no option") as caught:
        _ = batch[1]
    assert "perhaps" in "".join(caught.value.__notes__)
    with pytest.raises(IndexError):
        _ = batch[3]
    rest = batch[1:]
    assert (rest.items, rest.failures[0].index, rest[1]) == ((None, "rain"), 0, "rain")
    assert repr(batch) == "Batch(3 items, 1 failed)"
