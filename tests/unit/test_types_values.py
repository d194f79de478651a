"""Raw values against an action space: one set of rules for every source of answers."""

from __future__ import annotations

import datetime
import decimal
import math

import numpy as np
import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st

from usersim.errors import ActionError
from usersim.types import Choice, FreeText, MultiChoice, Number, Scale
from usersim.types.moments import read_moment
from usersim.types.values import (
    ValueReader,
    implied_codes,
    lookalikes,
    normalized,
    number_in,
    plain_value,
)

TRUST = Scale(tuple(str(point) for point in range(11)))
KIDS = Choice(("0", "1", "2", "3 or more"))
TEA = Choice(("Strongly agree", "R&D team", "No, thanks"))


@pytest.mark.parametrize(
    "value",
    [None, "", "  ", math.nan, decimal.Decimal("NaN"), pandas.NA, pandas.NaT, np.float64("nan")],
)
def test_what_stands_for_missing_is_no_answer(value: object) -> None:
    """None, blank text and every library's mark of a missing value are no answer."""
    for space in (FreeText(), TEA, Number(), MultiChoice(("a", "b"))):
        assert ValueReader(space)(value) is None


@pytest.mark.parametrize("value", [-99, "-99", "-99.0", -99.0, np.int64(-99), "−99"])
def test_the_callers_missing_values_win(value: object) -> None:
    """A value listed as missing is no answer, however it is written, even where it is a label."""
    assert ValueReader(Number(), missing=["-99"])(value) is None
    assert ValueReader(Choice(("-99", "1")), missing=[-99])(value) is None


@pytest.mark.parametrize("one", [1, 1.0, "1", "1.0", " 1 ", np.int64(1), decimal.Decimal("1.0")])
def test_one_is_the_label_1_where_there_is_one(one: object) -> None:
    """A label that is a number is matched by its value, never by its position."""
    assert ValueReader(TRUST)(one) == "1"
    assert ValueReader(KIDS)(one) == "1"
    assert ValueReader(KIDS, codes=implied_codes(KIDS.options))(one) == "1"


@pytest.mark.parametrize("two", [2, 2.0, "2", "2.0", np.float32(2)])
def test_a_code_means_its_label(two: object) -> None:
    """Where no label is that number, a code is read in every form that a table gives it."""
    assert ValueReader(TEA, codes=implied_codes(TEA.options))(two) == "R&D team"


def test_a_label_that_is_another_options_code_is_ambiguous() -> None:
    """It is an error that names both readings, unless the values are known to be codes."""
    codes = {"7": "6", "8": "7"}
    with pytest.raises(ActionError, match="'7' is ambiguous: it is the option '7' and the code of"):
        ValueReader(TRUST, codes=codes)("7")
    assert ValueReader(TRUST, codes=codes, coded=True)("8.0") == "7"
    assert ValueReader(TRUST, codes={"7": "7"})("7") == "7"


def test_codes_are_implied_by_position_only_where_no_label_is_a_number() -> None:
    """Options such as "0", "1", "2 or more" have no implied codes."""
    assert implied_codes(TEA.options, start=0)["0"] == "Strongly agree"
    assert implied_codes(KIDS.options) == {}


@pytest.mark.parametrize(
    "text",
    [
        "Strongly agree",
        " Strongly\u00a0agree",
        "strongly agree.",
        "Strongly\n agree",
        "\u200bStrongly agree",
    ],
)
def test_labels_match_up_to_a_stated_normalization(text: str) -> None:
    """White space, invisible characters, case and a full stop do not tell options apart."""
    assert ValueReader(TEA)(text) == "Strongly agree"
    assert ValueReader(TEA)("R&amp;D team") == "R&D team"


def test_a_text_that_could_be_two_options_is_an_error() -> None:
    """Options that only look alike are not chosen between; an exact text still is."""
    alike = Choice(("caf\u00e9", "cafe\u0301", "tea"))
    assert lookalikes(alike.options) == [("caf\u00e9", "cafe\u0301")]
    assert ValueReader(alike)("caf\u00e9") == "caf\u00e9"
    with pytest.raises(ActionError, match="names several options"):
        ValueReader(alike)(" caf\u00e9")


@pytest.mark.parametrize(
    ("space", "value", "words"),
    [
        (TEA, "Coffee", "'Coffee' is not among the options"),
        (TEA, 9, "9 is not among the options"),
        (TEA, True, "True is not among the options"),
        (TEA, ["R&D team"], "is not a choice"),
        (Number(low=0, high=100), 101, "outside the range 0.* to 100"),
        (Number(low=0, high=100), "-5", "outside the range"),
        (Number(), math.inf, "not a finite number"),
        (Number(), "nan", "not a finite number"),
        (Number(), "1e400", "not a finite number"),
        (Number(), True, "True is not a number"),
        (Number(integer=True), 1.5, "not a whole number"),
        (FreeText(), {}, "is not a free_text"),
        (MultiChoice(("a", "b")), "a, c", "'c' is not among"),
        (MultiChoice(("a", "b")), ["a", "c"], "'c' is not among"),
    ],
)
def test_what_does_not_belong_to_its_space_is_an_error(
    space: Number, value: object, words: str
) -> None:
    """The value is in the message."""
    with pytest.raises(ActionError, match=words):
        ValueReader(space)(value)


@pytest.mark.parametrize(
    ("value", "number"),
    [("1,000", 1000.0), ("$40", 40.0), ("12 ", 12.0), (decimal.Decimal("3.50"), 3.5), ("7.0", 7.0)],
)
def test_numbers_are_read_as_people_and_tables_write_them(value: object, number: float) -> None:
    """Thousands commas and currency signs are dropped; Decimals are numbers."""
    assert ValueReader(Number())(value) == number


def test_free_text_is_kept_as_it_is() -> None:
    """Spaces stay, and a number or a date becomes its shortest text."""
    read = ValueReader(FreeText())
    assert read(" two  words ") == " two  words "
    assert (read(3.0), read(np.int64(3)), read(datetime.date(2024, 5, 1))) == (
        "3",
        "3",
        "2024-05-01",
    )


@pytest.mark.parametrize(
    ("value", "chosen"),
    [
        ("tea, hot,cake", ("tea, hot", "cake")),
        ("cake; tea", ("tea", "cake")),
        ("tea|cake", ("tea", "cake")),
        ("1,3", ("tea", "cake")),
        ("3.0", ("cake",)),
        (3, ("cake",)),
        (["cake", 1], ("tea", "cake")),
        (np.array(["cake"]), ("cake",)),
        ([], ()),
        ("(none of these)", ()),
    ],
)
def test_several_choices_are_told_apart(value: object, chosen: tuple[str, ...]) -> None:
    """Lists, and texts cut at separators that stand in no option, give the options chosen."""
    space = MultiChoice(("tea", "tea, hot", "cake"))
    assert ValueReader(space, codes=implied_codes(space.options))(value) == chosen


@pytest.mark.parametrize(
    ("codes", "words"),
    [
        ({"1": "Beer"}, "'Beer', which is not among"),
        ({"1": "R&D team", "1.0": "No, thanks"}, "two labels"),
    ],
)
def test_codes_that_contradict_themselves_are_an_error(codes: dict[str, str], words: str) -> None:
    """A code of no option, or one code for two, is found before any value is read."""
    with pytest.raises(ActionError, match=words):
        ValueReader(TEA, codes=codes)


@given(
    st.sampled_from(TRUST.options), st.sampled_from([str, float, int, np.int64, lambda t: f"{t}.0"])
)
def test_every_form_of_a_number_is_the_same_label(label: str, form: object) -> None:
    """Text, float, integer and pandas' "7.0" are one answer."""
    assert ValueReader(TRUST)(form(label)) == label  # pyright: ignore[reportCallIssue]


@given(st.text(max_size=30))
def test_normalization_is_stable(text: str) -> None:
    """A normalized text without entities is its own normal form."""
    once = normalized(text.replace("&", ""))
    assert normalized(once) == once


def test_plain_values_keep_what_they_say() -> None:
    """Arrays, dates and Decimals become lists, ISO texts and numbers; booleans are no numbers."""
    assert plain_value(np.array([1, 2])) == [1, 2]
    assert plain_value(np.datetime64("2024-05-01T10:00")) == "2024-05-01T10:00"
    assert plain_value(np.datetime64("NaT")) is None
    assert plain_value(decimal.Decimal("12")) == 12
    assert plain_value((1, decimal.Decimal("0.5"))) == [1, 0.5]
    assert number_in(True) is None
    assert number_in(10**400) is None
    assert number_in("1_000") is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("2024-05-01", "2024-05-01"),
        ("2024-05-01T10:00:00Z", "2024-05-01T10:00:00Z"),
        ("2024-05-01 10:00:00 UTC", "2024-05-01T10:00:00+00:00"),
        ("2024/05/01 10:00:00 AM GMT+1", "2024-05-01T10:00:00+01:00"),
        ("2024/05/01 12:00:00 AM GMT-3:30", "2024-05-01T00:00:00-03:30"),
        ("1714557600", "2024-05-01T10:00:00+00:00"),
        (1714557600000, "2024-05-01T10:00:00+00:00"),
        ("1714557600000000", "2024-05-01T10:00:00+00:00"),
        (1714557600000000000, "2024-05-01T10:00:00+00:00"),
        ("20240501", "2024-05-01T00:00:00"),
        ("20240501103000", "2024-05-01T10:30:00"),
        (45413.5, "2024-05-01T12:00:00+00:00"),
        ("01.05.2024 10:00", "2024-05-01T10:00:00"),
        ("May 1, 2024 10:00 PM", "2024-05-01T22:00:00"),
        ("01-May-2024 10:00:00", "2024-05-01T10:00:00"),
        (
            "Wed May 01 2024 10:00:00 GMT+0200 (Central European Summer Time)",
            "2024-05-01T10:00:00+02:00",
        ),
        ("Wed, 1 May 2024 10:00:00 +0200", "2024-05-01T10:00:00+02:00"),
        (datetime.date(2024, 5, 1), "2024-05-01"),
        (pandas.Timestamp("2024-05-01 10:00"), "2024-05-01T10:00:00"),
        (decimal.Decimal(1714557600), "2024-05-01T10:00:00+00:00"),
    ],
)
def test_a_time_that_says_which_one_it_is_is_read(value: object, text: str) -> None:
    """Epochs, forms, spreadsheets, browsers and mail: each to ISO 8601 and its moment."""
    found = read_moment(value)
    assert found is not None
    assert found.text == text
    moment = datetime.datetime.fromisoformat(text)
    aware = moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
    assert found.seconds == aware.timestamp()


@pytest.mark.parametrize(
    "value",
    [
        "May",
        "05/01/2024 10:00",
        "1-2-24",
        "2024-13-01",
        "2024/05/01 13:00 PM",
        "99.99.2024",
        1e30,
        True,
        None,
        "",
        [],
        "Marie 1, 2024",
        "2024-05-01 25:00",
    ],
)
def test_a_time_that_does_not_say_which_one_it_is_is_not_read(value: object) -> None:
    """Neither invented nor guessed: day and month are not told apart by chance."""
    assert read_moment(value) is None


def test_the_order_of_day_and_month_can_be_named() -> None:
    """Named by the caller, both orders are read; years of two digits are of this century."""
    assert read_moment("05/01/2024 10:00", date_order="mdy") == read_moment("2024-05-01T10:00:00")
    assert read_moment("5-1-24", date_order="dmy") == read_moment("2024-01-05")
    assert read_moment("13/01/2024", date_order="mdy") is None
