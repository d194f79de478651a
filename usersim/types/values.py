"""Raw values read against an action space: cells of a table, JSON, scalars of a data frame.

One set of rules for every source of answers (corpora, human samples, survey exports), so that
the same cell never means two things. Knows values and action spaces; knows no file format.

The rules, in order:

1. *Missing.* None, NaN, pandas' NA and NaT, blank text, and what the caller lists as missing are
   no answer: `None`.
2. *Plain values.* numpy scalars, `Decimal`, dates and times are read as what they say; `1.0` and
   `"1.0"` are the number 1.
3. *Labels.* An option is matched exactly, then up to white space, invisible characters, HTML
   entities and Unicode composition (`normalized`), then as a number (`"1.0"` is the option `"1"`),
   then without case, quotes or a final full stop.
4. *Codes.* A code means its label, unless the value is itself a label. A value that is one option's
   label and another option's code is an error, unless the caller says that the values are codes.
5. *Numbers.* Thousands commas, a unit and `$`, `€`, `£`, `%` are dropped; NaN, infinity and what
   lies outside the range are errors.

Nothing is guessed: what these rules do not decide raises `ActionError` with the value.
"""

from __future__ import annotations

import html
import math
import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Protocol, cast

from usersim.errors import ActionError
from usersim.types.actions import (
    NOTHING_CHOSEN,
    ActionSpace,
    ActionValue,
    FreeText,
    MultiChoice,
    Number,
    match_option,
)

__all__ = [
    "ValueReader",
    "implied_codes",
    "lookalikes",
    "normalized",
    "number_in",
    "plain_value",
]

_PLAIN_NUMBER = re.compile(r"[-+\u2212]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?")
_SEPARATORS = re.compile(r"[,;|\n]")
_JOINERS = "\u200c\u200d"  # they shape letters and emoji: not invisible in effect


class _Array(Protocol):
    def tolist(self) -> object: ...


def plain_value(value: object) -> object:
    """Return a value as plain Python data; None for whatever stands for "missing".

    numpy scalars and arrays become numbers and lists, `Decimal` a number, dates and times ISO
    8601 text. What is plain already, or unknown, is returned as it is.

    Example:
        >>> plain_value(Decimal("3.50")), plain_value(date(2024, 5, 1)), plain_value(math.nan)
        (3.5, '2024-05-01', None)
    """
    if isinstance(value, float):
        return None if math.isnan(value) else float(value)
    if isinstance(value, list | tuple):
        return [plain_value(item) for item in cast("Sequence[object]", value)]
    return value if isinstance(value, str | int | None) else _of_library(value)


def _of_library(value: object) -> object:
    """Return a scalar or an array of a library as plain data; what is unknown as it is."""
    kind = type(value).__name__
    if kind in {"NAType", "NaTType"} or (kind == "datetime64" and str(value) == "NaT"):
        return None
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    if kind == "datetime64":  # `tolist` makes an integer of nanoseconds
        return str(value)
    if isinstance(value, Decimal):
        return None if value.is_nan() else _decimal(value)
    to_list = getattr(value, "tolist", None)
    return plain_value(cast("_Array", value).tolist()) if callable(to_list) else value


def _decimal(value: Decimal) -> float:
    whole = value == value.to_integral_value() and abs(value) < 10**15
    return int(value) if whole else float(value)


def number_in(value: object) -> float | None:
    """Return the number that a plain value is, as a number or as its text; None if it is none.

    Example:
        >>> number_in("1.0"), number_in(" -99"), number_in("1,000"), number_in(True)
        (1.0, -99.0, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if isinstance(value, str):
        bare = value.strip()
        if not _PLAIN_NUMBER.fullmatch(bare):
            return None
        value = bare.replace("\u2212", "-")
    try:
        number = float(value)
    except OverflowError:  # an integer beyond every float
        return None
    return number if math.isfinite(number) else None


def normalized(text: str) -> str:
    r"""Return `text` in the form in which labels are compared.

    HTML entities are resolved, invisible characters (zero width, byte order and direction marks,
    soft hyphens) are removed, Unicode is composed (NFC), and white space is one space between
    words. Case stays.

    Example:
        >>> normalized(" R&amp;D\u00a0 \u200bteam\n")
        'R&D team'
    """
    text = html.unescape(text)
    if not text.isascii():
        text = "".join(c for c in text if c in _JOINERS or unicodedata.category(c) != "Cf")
        text = unicodedata.normalize("NFC", text)
    return " ".join(text.split())


def lookalikes(options: Iterable[str]) -> list[tuple[str, ...]]:
    r"""Return the groups of options that cannot be distinguished after normalization.

    Example:
        >>> lookalikes(["Yes", "No", "Yes\u200b"])
        [('Yes', 'Yes\u200b')]
    """
    groups: dict[str, list[str]] = {}
    for option in options:
        groups.setdefault(normalized(option), []).append(option)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def implied_codes(options: Sequence[str], *, start: int = 1) -> dict[str, str]:
    """Return the codes that options have by position; none where an option is itself a number.

    Example:
        >>> implied_codes(["no", "yes"])
        {'1': 'no', '2': 'yes'}
        >>> implied_codes(["0", "1", "2 or more"])
        {}
    """
    if any(number_in(option) is not None for option in options):
        return {}
    return {str(code): option for code, option in enumerate(options, start=start)}


class ValueReader:
    """Reads raw values as actions of one space; see the module's text for the rules.

    Args:
        space: What the person could have done.
        codes: Code to label, where the source writes codes. `1`, `"1"` and `"1.0"` are one code.
        missing: Values that are no answer, such as `-99`; they win over labels and codes.
        coded: Whether values are known to be codes: a code then wins over an equal label.

    Raises:
        ActionError: If a code's label is not an option, or two codes are the same number.

    Example:
        >>> from usersim.types import Choice
        >>> read = ValueReader(Choice(("no", "yes")), codes={"0": "no", "1": "yes"}, missing=[-99])
        >>> read(1.0), read("YES"), read("-99.0")
        ('yes', 'yes', None)
    """

    __slots__ = ("_by_number", "_by_text", "_coded", "_codes", "_missing", "_options", "space")

    def __init__(
        self,
        space: ActionSpace,
        *,
        codes: Mapping[str, str] | None = None,
        missing: Collection[object] = (),
        coded: bool = False,
    ) -> None:
        self.space = space
        self._options: tuple[str, ...] = getattr(space, "options", ())
        self._coded = coded
        self._missing = _Keys({plain_value(one): "" for one in missing})
        self._codes = _Keys(dict(codes or {}))
        self._by_text: dict[str, list[str]] = {}
        self._by_number: dict[float, list[str]] = {}
        for option in self._options:
            self._by_text.setdefault(normalized(option), []).append(option)
            number = number_in(option)
            if number is not None:
                self._by_number.setdefault(number, []).append(option)
        for code, label in (codes or {}).items():
            if self._options and label not in self._options:
                raise ActionError(
                    f"code {code!r} stands for {label!r}, which is not among the options "
                    f"{list(self._options)!r}"
                )

    def __call__(self, raw: object) -> ActionValue | None:
        """Return the action that `raw` stands for; None if it is not an answer.

        Raises:
            ActionError: If it does not belong to the space, or could mean two options.
        """
        value = plain_value(raw)
        if value is None or (isinstance(value, str) and not value.strip()):
            return None
        if not isinstance(value, list) and value in self._missing:
            return None
        if isinstance(self.space, MultiChoice):
            return self._several(cast("object", value))
        if isinstance(value, list | dict):
            raise ActionError(f"{raw!r} is not a {self.space.kind}")
        if self._options:
            return self._option(value)
        return self._open(value)

    def _open(self, value: object) -> ActionValue:
        label = self._codes.get(value)
        if label is not None:
            value = label
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ActionError(f"{value!r} is not a {self.space.kind}")
        if isinstance(self.space, FreeText):
            return value if isinstance(value, str) else _text_of(value)
        text = value if isinstance(value, str) else _text_of(value)
        return cast("Number", self.space).parse(text)

    def _option(self, value: object) -> str:
        label, coded = self._label(value), self._codes.get(value)
        if coded is None:
            if label is None:
                raise ActionError(
                    f"{value!r} is not among the options {list(self._options)!r}"
                    + (f" or their codes {self._codes.names!r}" if self._codes else "")
                )
            return label
        if label is None or label == coded or self._coded:
            return coded
        raise ActionError(
            f"{value!r} is ambiguous: it is the option {label!r} and the code of {coded!r}"
        )

    def _label(self, value: object) -> str | None:
        """Return the option that a value names by its text or number; None if there is none.

        Raises:
            ActionError: If it names several.
        """
        text = value if isinstance(value, str) else _text_of(value)
        if text in self._options:
            return text
        number = number_in(value)
        found = self._by_text.get(normalized(text)) or (
            self._by_number.get(number) if number is not None else None
        )
        if found is None:
            try:
                return match_option(normalized(text), self._options)
            except ActionError:
                return None
        if len(found) > 1:
            raise ActionError(f"{value!r} names several options: {found!r}")
        return found[0]

    def _several(self, value: object) -> tuple[str, ...]:
        if isinstance(value, list):
            chosen = {self._option(item) for item in cast("list[object]", value)}
        elif isinstance(value, str) and value.strip() == NOTHING_CHOSEN:
            chosen = set[str]()
        elif isinstance(value, str):
            chosen = {self._option(part) for part in self._parts(value)}
        else:
            chosen = {self._option(value)}
        return tuple(option for option in self._options if option in chosen)

    def _parts(self, text: str) -> list[str]:
        """Cut a text at the commas, semicolons, bars or line breaks that are in no option.

        Raises:
            ActionError: If a part is not an option.
        """
        known = sorted((*self._options, *self._codes.names), key=len, reverse=True)
        forms = [(normalized(name).casefold(), name) for name in known]
        rest, parts = text.strip(), list[str]()
        while rest:
            here = _at_start(rest, forms)
            if here is None:
                raise ActionError(f"{rest!r} is not among the options {list(self._options)!r}")
            name, length = here
            parts.append(name)
            rest = rest[length:].lstrip(" ,;|\n")
        return parts


def _at_start(text: str, forms: Sequence[tuple[str, str]]) -> tuple[str, int] | None:
    """Return the longest name that `text` begins with, up to a separator, and where it ends."""
    ends = [*(mark.start() for mark in _SEPARATORS.finditer(text)), len(text)]
    found: tuple[str, int] | None = None
    for end in ends:
        piece = normalized(text[:end]).casefold()
        number = number_in(piece)
        for form, name in forms:
            if form == piece or (number is not None and number_in(form) == number):
                found = (name, end)
                break
    return found


def _text_of(value: object) -> str:
    """Return the shortest text of a number; of anything else its `str`."""
    if isinstance(value, float) and math.isfinite(value):
        return Number().render(value)
    return str(value)


class _Keys:
    """A mapping whose keys may be written as numbers or as texts: 1, 1.0, "1" and "1.0"."""

    __slots__ = ("_by_number", "_by_text", "names")

    def __init__(self, values: Mapping[object, str] | Mapping[str, str]) -> None:
        self.names = [str(key) for key in values]
        self._by_text: dict[str, str] = {}
        self._by_number: dict[float, str] = {}
        for key, value in values.items():
            number = number_in(key)
            if number is not None and self._by_number.setdefault(number, value) != value:
                raise ActionError(f"code {key!r} stands for two labels")
            self._by_text[normalized(_text_of(key))] = value

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, key: object) -> bool:
        return self.get(key) is not None

    def get(self, key: object) -> str | None:
        number = number_in(key)
        if number is not None and number in self._by_number:
            return self._by_number[number]
        return self._by_text.get(normalized(_text_of(key)))
