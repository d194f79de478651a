"""Patterns of action spaces: what they match can be read, and what a person said is matched."""

from __future__ import annotations

import re

from hypothesis import assume, given
from hypothesis import strategies as st

from usersim.types import Choice, FreeText, MultiChoice, Number, Scale
from usersim.types.patterns import pattern_of

OPTIONS = st.lists(
    st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1).filter(
        lambda text: "|" not in text
    ),
    min_size=2,
    max_size=6,
    unique=True,
).map(tuple)


@given(OPTIONS, st.data())
def test_every_option_matches_and_reads_back(options: tuple[str, ...], data: st.DataObject) -> None:
    """A choice's and a scale's pattern match exactly the options, whatever signs they hold."""
    chosen = data.draw(st.sampled_from(options))
    for space in (Choice(options), Scale(options)):
        assert re.fullmatch(pattern_of(space), chosen)
        assert space.parse(chosen) == chosen
        assert not re.fullmatch(pattern_of(space), chosen + "?" * 40)


@given(OPTIONS, st.data())
def test_every_subset_matches_and_reads_back(options: tuple[str, ...], data: st.DataObject) -> None:
    """A multiple choice's pattern matches every subset's text, the empty one's too."""
    space = MultiChoice(options)
    subset = data.draw(st.lists(st.sampled_from(options), unique=True).map(tuple))
    text = space.render(subset)
    assert re.fullmatch(pattern_of(space), text)
    assert set(space.parse(text)) == set(subset)


@given(st.integers(-300, 300), st.integers(0, 900), st.booleans(), st.data())
def test_a_listed_number_is_within_its_range(
    low: int, width: int, integer: bool, data: st.DataObject
) -> None:
    """Whatever the pattern of a whole range matches can be read: no draw is out of range."""
    space = Number(low=low, high=low + width, integer=integer)
    text = data.draw(
        st.from_regex(pattern_of(space), fullmatch=True, alphabet=st.characters(max_codepoint=127))
    )
    assert low <= space.parse(text) <= low + width
    inside = data.draw(st.integers(low, low + width))
    assert re.fullmatch(pattern_of(space), space.render(inside))


@given(st.floats(-1e8, 1e8, allow_nan=False), st.booleans())
def test_an_open_number_is_matched(value: float, integer: bool) -> None:
    """Without a range, every number of usual size is matched."""
    number = float(int(value)) if integer else round(value, 4)
    space = Number(integer=integer)
    text = space.render(number)
    assume("e" not in text)
    assert re.fullmatch(pattern_of(space), text)


def test_free_text_has_no_pattern() -> None:
    """Free text is kept to nothing."""
    assert pattern_of(FreeText()) == ""
