"""Action spaces: values, their text, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usersim.errors import ActionError
from usersim.types import (
    Choice,
    FreeText,
    MultiChoice,
    Number,
    Scale,
    action_space,
    content_key,
    is_closed,
)

AGREE = ("Strongly disagree", "Disagree", "Agree", "Strongly agree")


@pytest.mark.parametrize("text", ["Agree", "agree", ' "Agree." ', "AGREE", "*Agree*"])
def test_an_option_is_recognized_without_case_quotes_or_stop(text: str) -> None:
    """What clearly names an option is that option, spelled as in the question."""
    assert Scale(AGREE).parse(text) == "Agree"


@pytest.mark.parametrize("text", ["Agreed", "", "Agree or Disagree", "2"])
def test_a_text_that_names_no_option_is_refused(text: str) -> None:
    """An answer that is not among its options is an error that quotes it."""
    with pytest.raises(ActionError, match="is not among the options"):
        Choice(AGREE).parse(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [("12", 12.0), ("1,234.5", 1234.5), ("$40", 40.0), ("7 %", 7.0), ("3 years.", 3.0)],
)
def test_a_number_is_read_with_its_usual_dress(text: str, value: float) -> None:
    """Thousands commas, currency signs, a percent sign and the unit are not the number."""
    assert Number(unit="years").parse(text) == value


@pytest.mark.parametrize(
    ("space", "text", "words"),
    [
        (Number(), "many", "is not a number"),
        (Number(), "nan", "not a finite number"),
        (Number(low=0, high=10), "11", "outside the range 0 to 10"),
        (Number(integer=True), "1.5", "not a whole number"),
        (FreeText(), "  ", "the action is empty"),
        (MultiChoice(("a", "b")), "a | c", "'c' is not among"),
    ],
)
def test_a_value_outside_its_space_is_refused(space: Number, text: str, words: str) -> None:
    """Each space says what is wrong with the value."""
    with pytest.raises(ActionError, match=words):
        space.parse(text)


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        ("choice", ("one",), "at least two options"),
        ("scale", ("a", "a"), "the same option twice"),
        ("choice", ("a", " "), "an empty option"),
        ("multi_choice", ("a|b", "c"), "contains"),
        ("chioce", None, "'chioce' is not a kind of action; the kinds are free_text, choice, "),
        ("choice", None, "a choice needs options"),
        ("choice", ("one",), r"^a choice needs at least two options; got \['one'\]"),
    ],
)
def test_an_impossible_space_is_refused(
    kind: str, options: tuple[str, ...] | None, words: str
) -> None:
    """A space that no answer could fit is an error when it is made."""
    with pytest.raises(ActionError, match=words):
        action_space(kind, options)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_survives_its_text(value: float) -> None:
    """Reading the text of a number gives the number."""
    space = Number()
    assert space.parse(space.render(value)) == value


@given(st.sets(st.sampled_from(AGREE)))
def test_a_multiple_choice_survives_its_text(chosen: set[str]) -> None:
    """Reading the text of a multiple choice gives the options, in the question's order."""
    space = MultiChoice(AGREE)
    ordered = tuple(option for option in AGREE if option in chosen)
    assert space.parse(space.render(ordered)) == ordered


def test_only_choices_and_scales_are_closed() -> None:
    """Closed questions are those whose options can all be scored."""
    assert is_closed(Choice(AGREE))
    assert is_closed(Scale(AGREE))
    assert not is_closed(MultiChoice(AGREE))
    assert not is_closed(Number())


def test_the_key_depends_on_content_alone() -> None:
    """Equal content has an equal key; another value or another order of parts has another."""
    assert content_key({"a": 1, "b": 2}) == content_key({"b": 2, "a": 1})
    assert content_key("a", "b") != content_key("b", "a")
    assert content_key("1") != content_key(1)


@pytest.mark.parametrize(
    ("shares", "chosen"),
    [
        ({}, "c"),
        ({"a": 0.2, "b": 0.2, "c": 0.2, "d": 0.2, "e": 0.2}, "c"),
        ({"a": 0.1, "b": 0.3, "c": 0.1, "d": 0.3, "e": 0.2}, "d"),
        ({"a": 0.3, "b": 0.1, "c": 0.1, "d": 0.1 + 0.2, "e": 0.2}, "d"),
        ({"a": 1.0}, "a"),
        ({"a": 2.0, "e": 2.0}, "a"),
        ({"d": 1e-3, "e": 0.999}, "e"),
    ],
    ids=["nothing", "all alike", "two", "two but for rounding", "one", "the ends", "a sure one"],
)
def test_of_equally_likely_options_a_scale_takes_the_one_near_the_median(
    shares: dict[str, float], chosen: str
) -> None:
    """What is unknown is not told as an extreme; a choice has no middle and takes the first."""
    options = ("a", "b", "c", "d", "e")
    assert Scale(options).likeliest(shares) == chosen
    top = max(shares.values(), default=0.0)
    highest = [one for one in options if abs(shares.get(one, 0.0) - top) < 1e-12]
    assert Choice(options).likeliest(shares) == highest[0]
