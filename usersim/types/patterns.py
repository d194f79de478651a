"""Action spaces as regular expressions, for engines that can keep a draw to one.

Knows values and their text. Free text has no pattern.
"""

from __future__ import annotations

import re

from usersim.types.actions import (
    MULTI_SEPARATOR,
    NOTHING_CHOSEN,
    ActionSpace,
    FreeText,
    MultiChoice,
    Number,
)

__all__ = ["pattern_of"]

MOST_LISTED = 1_000
"""Whole numbers of a range that are listed one by one; a wider range is drawn freely and checked
when it is read."""
WHOLE_DIGITS = 9
"""Digits before the point where nothing is listed."""
DECIMALS = 4
"""Digits after the point."""


def pattern_of(space: ActionSpace) -> str:
    """Return the regular expression of the texts of `space`; empty for free text.

    Every text that it matches can be read as a value of `space`, but for a number whose range is
    unknown on one side, not whole, or wider than `MOST_LISTED`: such a range is not in the
    pattern. Only literals, groups, alternatives, classes and counts are used.

    Example:
        >>> from usersim.types import Choice
        >>> pattern_of(Choice(("tea", "coffee")))
        '(tea|coffee)'
        >>> pattern_of(Number(low=1, high=3, integer=True))
        '(1|2|3)'
    """
    if isinstance(space, FreeText):
        return ""
    if isinstance(space, Number):
        return _listed(space) or _digits(space)
    one = f"({'|'.join(map(_literal, space.options))})"
    if not isinstance(space, MultiChoice):
        return one
    # In any order and possibly twice: the space reads both as the same set.
    more = f"({_literal(MULTI_SEPARATOR)}{one}){{0,{len(space.options) - 1}}}"
    return f"({one}{more}|{_literal(NOTHING_CHOSEN)})"


def _literal(text: str) -> str:
    # `re.escape` also escapes spaces and dashes, which some engines refuse.
    return re.sub(r"([\\.^$*+?{}\[\]|()])", r"\\\1", text)


def _listed(space: Number) -> str:
    """Return the numbers of a range one by one; empty where there are too many."""
    low, high = space.low, space.high
    if low is None or high is None or high - low > MOST_LISTED:
        return ""
    if not (float(low).is_integer() and float(high).is_integer()):
        return ""
    whole = [str(number) for number in range(int(low), int(high) + 1)]
    if space.integer or low < 0:
        return f"({'|'.join(whole)})"
    between = f"({'|'.join(whole[:-1])})(\\.[0-9]{{1,{DECIMALS}}})?|" if len(whole) > 1 else ""
    return f"({between}{whole[-1]})"


def _digits(space: Number) -> str:
    sign = "-?" if space.low is None or space.low < 0 else ""
    rest = "" if space.integer else rf"(\.[0-9]{{1,{DECIMALS}}})?"
    return f"{sign}(0|[1-9][0-9]{{0,{WHOLE_DIGITS - 1}}}){rest}"
