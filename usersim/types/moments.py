"""Times as people's files write them: ISO 8601, epochs, spreadsheets, forms, mail.

Pure functions. A time is read only where its text says which one it is: `05/01/2024` is May or
January, so it is not read unless the caller names the order.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone
from functools import lru_cache
from typing import Literal, NamedTuple

from usersim.types.values import number_in, plain_value

__all__ = ["DateOrder", "Moment", "read_moment"]

DateOrder = Literal["dmy", "mdy"]
"""How a date with slashes or dashes is written that does not begin with the year."""

_MILLISECONDS, _MICROSECONDS, _NANOSECONDS = 1e11, 1e14, 1e17
# Days since 1899-12-30 in Excel, for 1970 to 2099. As an epoch these would be one day of 1970.
_EXCEL_DAYS = (25_569.0, 73_050.0)
_EXCEL_ZERO = datetime(1899, 12, 30, tzinfo=UTC)
_COMPACT = {8: "%Y%m%d", 14: "%Y%m%d%H%M%S"}
_NOON = 12
_TEXT = re.compile(
    r"(?P<a>\d{1,4})(?P<mark>[-/.])(?P<b>\d{1,2})(?P=mark)(?P<c>\d{1,4})\.?"
    r"(?:(?:,?\s+|T|,)(?P<h>\d{1,2})[:.](?P<m>\d{2})(?:[:.](?P<s>\d{2})(?:[.,](?P<f>\d{1,6})\d*)?)?"
    r"\s*(?P<half>[AaPp]\.?\s?[Mm]\.?)?)?"
    r"\s*(?P<zone>Z|(?:UTC|GMT)?(?:\s*(?P<sign>[-+])(?P<zh>\d{1,2}):?(?P<zm>\d{2})?)?)"
)
_REMARK = re.compile(r"\s*\([^()]*\)\s*$")  # a browser's "(Central European Summer Time)"
_NAMED = re.compile(
    r"(?:[A-Za-z]{3,9},?\s+)?(?P<d>\d{1,2})[\s-]+(?P<mon>[A-Za-z]{3,9})\.?[\s,-]+(?P<y>\d{4})"
    r"|(?:[A-Za-z]{3,9},?\s+)?(?P<mon2>[A-Za-z]{3,9})\.?\s+(?P<d2>\d{1,2}),?\s+(?P<y2>\d{4})"
)
_MONTHS = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip


class Moment(NamedTuple):
    """A point in time.

    Attributes:
        text: ISO 8601.
        seconds: Seconds since 1970, UTC.
    """

    text: str
    seconds: float


def read_moment(value: object, *, date_order: DateOrder | None = None) -> Moment | None:
    """Return the time that `value` stands for; None if it does not say one.

    Read are ISO 8601, `datetime` and `date`, epochs (seconds, or milliseconds, microseconds and
    nanoseconds by their size; also as text), Excel's day numbers from 1970 to 2099, dates with the
    year first, with dots (day first) or with an English month, 12-hour clocks, and offsets such
    as `UTC` or `GMT+1`. A time without an offset counts as UTC.

    Args:
        value: What a source holds.
        date_order: How dates like `05/01/2024` are written; they are not read otherwise.

    Returns:
        The moment. An ISO text is kept as it is written.

    Example:
        >>> read_moment("2024/05/01 10:00:00 AM GMT+1")
        Moment(text='2024-05-01T10:00:00+01:00', seconds=1714554000.0)
        >>> read_moment("05/01/2024") is None, read_moment("05/01/2024", date_order="mdy").text
        (True, '2024-05-01')
    """
    plain = value if value.__class__ is str else plain_value(value)
    if isinstance(plain, str):
        return _of_text(plain, date_order)
    number = number_in(plain)
    return None if number is None else _of_number(number)


def _of_number(number: float) -> Moment | None:
    size = abs(number)
    if _EXCEL_DAYS[0] <= number < _EXCEL_DAYS[1]:
        return _moment(_EXCEL_ZERO + timedelta(seconds=round(number * 86_400)))
    for least, scale in ((_NANOSECONDS, 1e9), (_MICROSECONDS, 1e6), (_MILLISECONDS, 1e3)):
        if size > least:
            number /= scale
            break
    try:
        return Moment(datetime.fromtimestamp(number, UTC).isoformat(), number)
    except (OverflowError, ValueError, OSError):
        return None


@lru_cache(maxsize=4096)
def _of_text(given: str, order: DateOrder | None) -> Moment | None:
    text = _REMARK.sub("", given).strip()
    if (number := number_in(text)) is not None:
        return _compact(text) or _of_number(number)
    try:
        return Moment(text, _aware(datetime.fromisoformat(text)).timestamp())
    except (ValueError, OverflowError):
        pass
    found = _TEXT.fullmatch(text)
    if found is not None:
        return _of_parts(found, order)
    return _of_months(text)


def _compact(text: str) -> Moment | None:
    """Return a time written in digits alone, such as 20240501; None if it is a number."""
    form = _COMPACT.get(len(text))
    if form is None or not text.isdigit() or text[:2] not in {"19", "20"}:
        return None
    try:
        return _moment(datetime.strptime(text, form).replace(tzinfo=UTC), naive=True)
    except ValueError:
        return None


def _of_parts(found: re.Match[str], order: DateOrder | None) -> Moment | None:
    a, b, c = found["a"], found["b"], found["c"]
    if len(a) == 4:  # noqa: PLR2004 - a year
        year, month, day = a, b, c
    elif len(a) > 2 or len(c) not in {2, 4}:  # noqa: PLR2004 - neither a day nor a year
        return None
    elif found["mark"] == "." or order == "dmy":
        year, month, day = c, b, a
    elif order == "mdy":
        year, month, day = c, a, b
    else:
        return None
    whole_year = int(year) if len(year) == 4 else 2000 + int(year)  # noqa: PLR2004
    try:
        day_found = date(whole_year, int(month), int(day))
        return _with_clock(day_found, found)
    except (ValueError, OverflowError):
        return None


def _with_clock(day: date, found: re.Match[str]) -> Moment:
    """Return the moment of a day and a match's clock and zone.

    Raises:
        ValueError: If there is no such time.
    """
    zone = _zone(found)
    if found["h"] is None:
        return Moment(
            day.isoformat(), datetime(day.year, day.month, day.day, tzinfo=zone or UTC).timestamp()
        )
    hour = int(found["h"])
    if found["half"]:
        if not 1 <= hour <= _NOON:
            raise ValueError(hour)
        hour = hour % _NOON + (_NOON if found["half"][0] in "Pp" else 0)
    fraction = int((found["f"] or "0").ljust(6, "0"))
    clock = (hour, int(found["m"]), int(found["s"] or 0), fraction)
    moment = datetime(day.year, day.month, day.day, *clock, tzinfo=zone or UTC)
    return _moment(moment, naive=zone is None)


def _zone(found: re.Match[str]) -> timezone | None:
    if not found["zone"]:
        return None
    if found["sign"] is None:
        return UTC
    offset = timedelta(hours=int(found["zh"]), minutes=int(found["zm"] or 0))
    return timezone(-offset if found["sign"] == "-" else offset)


def _of_months(text: str) -> Moment | None:
    """Return a time with an English month: of mail, of SPSS, of people."""
    found = _NAMED.match(text)
    if found is None:
        return None
    name = (found["mon"] or found["mon2"]).casefold()
    month = next((n for n, full in enumerate(_MONTHS, start=1) if full.startswith(name)), None)
    if month is None:
        return None
    day, year = found["d"] or found["d2"], found["y"] or found["y2"]
    again = _TEXT.fullmatch(f"{year}/{month}/{day} {text[found.end() :].lstrip(' ,T')}".strip())
    return None if again is None else _of_parts(again, None)


def _moment(moment: datetime, *, naive: bool = False) -> Moment:
    text = (moment.replace(tzinfo=None) if naive else moment).isoformat()
    return Moment(text, moment.timestamp())


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
