"""Single values of a source: text that every store can hold, times, numbers, canonical JSON.

Pure functions. What cannot be used raises `RowError`, which a load turns into a refused row.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from hashlib import sha256
from types import MappingProxyType
from typing import cast

import orjson

from usersim.types import DateOrder, plain_value, read_moment

__all__ = [
    "CUT_MARK",
    "RowError",
    "clean_text",
    "dump_json",
    "interaction_key",
    "moment_of",
    "number_of",
    "shortened",
]

_KEY_CHARS = 40  # 160 bits of SHA-256: collisions are out of the question, indexes stay small
CUT_MARK = " […] "


class RowError(Exception):
    """One row cannot be used. Never leaves the package: a load records it as a refused row.

    Attributes:
        field: Name of the field.
        value: What stands there.
        reason: Why it cannot be used; reads on after "field value".
    """

    def __init__(self, field: str, value: object, reason: str) -> None:
        super().__init__(f"{field} {value!r} {reason}")
        self.field = field
        self.value = value
        self.reason = reason


def clean_text(text: str) -> str:
    r"""Return `text` without what no store can hold; the same object if there is nothing.

    Halves of a surrogate pair are joined; a lone half and a NUL become U+FFFD.

    Example:
        >>> clean_text("a\x00b\ud800")
        'a�b�'
    """
    if text.isascii():
        return text.replace("\x00", "\ufffd") if "\x00" in text else text
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text.replace("\x00", "\ufffd") if "\x00" in text else text


def dump_json(value: object, *, replaced: list[str] | None = None) -> bytes:
    """Return the canonical JSON of `value`: keys sorted, no white space, UTF-8.

    Args:
        value: Plain data. What JSON has no form for becomes its text.
        replaced: Texts that had to be cleaned are appended here.

    Returns:
        UTF-8 text.
    """
    try:
        data = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # a lone surrogate, a foreign type, a huge integer, a key that is no text
        return _dump_odd(value, replaced)
    return _dump_odd(value, replaced) if b"\\u0000" in data else data


def _dump_odd(value: object, replaced: list[str] | None) -> bytes:
    found: list[str] = [] if replaced is None else replaced
    return orjson.dumps(_plain(value, found), option=orjson.OPT_SORT_KEYS)


def _plain(value: object, replaced: list[str]) -> object:
    if isinstance(value, str):
        cleaned = clean_text(value)
        if cleaned is not value:
            replaced.append(value)
        return cleaned
    if isinstance(value, Mapping):
        items = cast("Mapping[object, object]", value).items()
        return {str(_plain(str(k), replaced)): _plain(v, replaced) for k, v in items}
    if isinstance(value, set | frozenset):
        value = list(cast("set[object]", value))
    plain = plain_value(value)
    if isinstance(plain, list):
        return [_plain(item, replaced) for item in cast("list[object]", plain)]
    fits = isinstance(plain, int) and -(2**63) <= plain < 2**63
    return plain if plain is None or fits or isinstance(plain, float) else str(plain)


def shortened(text: str, limit: int) -> str:
    """Return the first and last halves of `text` with a mark between, `limit` characters long.

    The mark counts, so that a shortened text is never shortened again.

    Example:
        >>> shortened("abcdefghijklmnopqrstuvwxyz", 15)
        'abcde […] vwxyz'
    """
    room = limit - len(CUT_MARK)
    head = (room + 1) // 2
    return text[:head] + CUT_MARK + text[len(text) - (room - head) :]


def number_of(value: object, name: str) -> float | None:
    """Return `value` as a finite number; None if it is missing.

    Raises:
        RowError: If it is something else.
    """
    if type(value) is int:
        return float(value)
    if value is None or value == "":
        return None
    plain = plain_value(value)
    if plain is None:
        return None
    if isinstance(plain, bool) or not isinstance(plain, int | float | str):
        raise RowError(name, value, "is not a number")
    try:
        number = float(plain)
    except (ValueError, OverflowError):
        raise RowError(name, value, "is not a number") from None
    if not math.isfinite(number):
        raise RowError(name, value, "is not a finite number")
    return number


def moment_of(
    value: object, *, date_order: DateOrder | None = None
) -> tuple[str | None, float | None]:
    """Return a time as ISO 8601 text and as seconds since 1970, UTC.

    Args:
        value: What the source says; see `usersim.types.read_moment` for the forms that are read.
        date_order: How dates like `05/01/2024` are written.

    Returns:
        The text, as it was given where that is ISO 8601, and its moment; both None if there is
        none.

    Raises:
        RowError: If it does not say a time.

    Example:
        >>> moment_of("1970-01-02")
        ('1970-01-02', 86400.0)
    """
    if value is None or value == "":
        return None, None
    found = read_moment(value, date_order=date_order)
    if found is None:
        if plain_value(value) is None:
            return None, None
        raise RowError("timestamp", value, "is not a valid time")
    return found.text, found.seconds


def interaction_key(
    head: tuple[str, str | None, float | None, float | None, str | None, str, str | None],
    context: bytes,
    action: str,
    unread: Mapping[str, object] = MappingProxyType({}),
) -> str:
    """Return the identity of a row: a hash over everything but its metadata.

    Args:
        head: User, conversation, moment, order, id in the source, kind and JSON of its space.
        context: Canonical JSON.
        action: As text.
        unread: Optional fields that could not be read; rows are distinguished by what they say, as
            they would be if they could.
    """
    told = orjson.dumps(head) + (dump_json(unread) if unread else b"")
    digest = sha256(b"%b\n%b\n%b" % (told, context, action.encode()))
    return digest.hexdigest()[:_KEY_CHARS]
