r"""WhatsApp's text export ("Export chat").

A message begins on a line with its time: `[31.12.23, 18:05:09] Mira: Hello` on iOS,
`31/12/2023, 6:05 PM - Mira: Hello` on Android. How the date is written depends on the phone's
language; the whole file shows which is day and which is month: by numbers above 12, then by the
order that lets time run forward. Lines without a time continue the message before them.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime

from usersim.corpus.readers.archive import MOST_LINE, Member, guarded
from usersim.corpus.readers.records import LeftOut
from usersim.corpus.readers.talk import Piece, Speaker, Turn, spoken_name
from usersim.errors import CorpusFormatError
from usersim.types import DateOrder, Moment

__all__ = ["WhatsApp", "looks_like_whatsapp"]

SYSTEM = "system lines"
MEDIA = "media"
DELETED = "deleted messages"
EMPTY = "empty messages"
BEFORE = "lines before the first message"

_BIDI = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
_NO_BIDI = dict.fromkeys(map(ord, _BIDI))
_SPACES = str.maketrans({"\u00a0": " ", "\u202f": " ", "\u2009": " "})
_DATE = r"(?P<a>\d{1,4})(?P<mark>[-/.])\s?(?P<b>\d{1,2})(?P=mark)\s?(?P<c>\d{1,4})\.?"
_CLOCK = (
    r"(?:\s?[,\u060c]\s?|\s)(?P<word>[^\W\d_]{1,4}\.?\s?(?:[^\W\d_]\.?)?\s?)?"
    r"(?P<h>\d{1,2})[:.](?P<m>\d{2})(?:[:.](?P<s>\d{2}))?"
    r"(?:\s?(?P<half>[^\W\d_]\.?\s?[^\W\d_]?\.?))?"
)
_BRACKETS = re.compile(rf"\[{_DATE}{_CLOCK}\]\s(?P<rest>.*)", re.DOTALL)
_DASH = re.compile(rf"{_DATE}{_CLOCK}\s[-\u2013]\s(?P<rest>.*)", re.DOTALL)
_SENDER = re.compile(r"(?P<name>[^:\n]{1,100}):(?:\s(?P<text>.*)|$)", re.DOTALL)
_HALVES = {
    "am": 0, "pm": 12, "上午": 0, "下午": 12, "凌晨": 0, "早上": 0, "中午": 12, "晚上": 12,
    "오전": 0, "오후": 12, "午前": 0, "午後": 12, "fm": 0, "em": 12, "ص": 0, "م": 12,
    "πμ": 0, "μμ": 12, "пп": 12, "дп": 0, "vm": 0, "nm": 12,
}  # fmt: skip
_AT = frozenset({"à", "at", "um", "kl", "kl.", "klo", "às", "alle", "ore", "a", "las", "les", "o"})
# The words that phones put in place of what is not text, in the languages met most.
_LEFT_OUT_WORDS = (
    "omitted", "weggelassen", "ausgeschlossen", "omitido", "omitida", "omitidos", "omitidas",
    "omis", "omise", "omesso", "omessa", "omessi", "weggelaten", "pominięto", "oculta",
    "oculto", "ocultado", "пропущен", "без медиафайлов", "dahil edilmedi", "省略", "略過",
    "생략", "utelatt", "udeladt", "utelämnat", "utelämnad", "含まれていません", "absent",
    "absente", "assente",
)  # fmt: skip
_ATTACHED = re.compile(r"\u200e<(?:[^<>:\n]{2,24}: ?)[^<>\n]+\.\w{2,5}>")
_FILE = re.compile(
    r"\u200e?(?:(?:IMG|VID|AUD|PTT|DOC|STK)-\d{8}-WA\d+\.\w{2,5}"
    r"|[^\n/\\<>]{1,120}\.(?:jpe?g|png|webp|gif|mp4|mov|3gp|opus|ogg|m4a|mp3|aac|pdf|vcf|docx?|xlsx?"
    r"|pptx?|zip|txt))"
    r" \([^()\n]{4,30}\)(?:\n|$)",
    re.IGNORECASE,
)
_PLACE = re.compile(r"\u200e?[^\W\d_]{4,14}:? https://(?:maps\.google\.|foursquare\.)\S+$")
_EDITED = re.compile(
    r"\s?\u200e?<[^<>\n]*(?:edited|bearbeitet|editó|editada|modifié|modificato|bewerkt|изменено)"
    r"[^<>\n]*>$",
    re.IGNORECASE,
)
_DELETED = frozenset(
    {
        "this message was deleted", "you deleted this message",
        "this message was deleted by admin", "diese nachricht wurde gelöscht",
        "du hast diese nachricht gelöscht", "se eliminó este mensaje",
        "eliminaste este mensaje", "ce message a été supprimé", "ce message a été effacé",
        "vous avez supprimé ce message", "questo messaggio è stato eliminato",
        "hai eliminato questo messaggio", "mensagem apagada", "esta mensagem foi apagada",
        "você apagou esta mensagem", "dit bericht is verwijderd",
        "je hebt dit bericht verwijderd", "данное сообщение удалено",
        "вы удалили данное сообщение",
    }
)  # fmt: skip
_TWELVE = 12


def looks_like_whatsapp(head: bytes) -> bool:
    """Return whether a text begins with a line that WhatsApp would have written."""
    text = head.decode("utf-8-sig", "replace").translate(_SPACES)
    lines = [line for line in text.split("\n")[:20] if line.strip()]
    return any(_header(line.rstrip("\r")) is not None for line in lines[:5])


def _header(line: str, shape: re.Pattern[str] | None = None) -> re.Match[str] | None:
    """Return the match of a line that begins a message, in one shape or in either."""
    bare = line.lstrip(_BIDI).translate(_SPACES)
    # Some phones put direction marks inside the time; behind it they mark what the phone wrote.
    ends = [place for mark in ("] ", " - ", " \u2013 ") if 0 < (place := bare.find(mark)) < 50]  # noqa: PLR2004
    end = min(ends, default=0)
    bare = bare[:end].translate(_NO_BIDI) + bare[end:]
    for one in (shape,) if shape is not None else (_BRACKETS, _DASH):
        found = one.match(bare)
        if found is not None and _hour(found) is not None and len(found["a"]) != 3:  # noqa: PLR2004
            return found
    return None


def _hour(found: re.Match[str]) -> int | None:
    """Return the hour of a time, 0 to 23; None if what stands around it is not a time's word."""
    hour = int(found["h"])
    words = [_word(found["word"]), _word(found["half"])]
    half = next((_HALVES[word] for word in words if word in _HALVES), None)
    strange = [word for word in words if word and word not in _HALVES and word not in _AT]
    if strange or int(found["m"]) > 59 or hour > 23:  # noqa: PLR2004 - a clock
        return None
    if half is None or hour > _TWELVE:
        return hour
    return hour % _TWELVE + half


def _word(text: str | None) -> str:
    return re.sub(r"[.\s]", "", text or "").casefold()


@dataclass(slots=True)
class WhatsApp:
    """A text export, read again and again.

    Args:
        member: The file.
        order: How dates are written, where it is known.
    """

    member: Member
    order: DateOrder | None = None
    _shape: re.Pattern[str] | None = None
    _note: str = ""

    def pieces(self) -> Iterator[Piece]:
        """Yield the turns of the chat, and what is not a turn."""
        if self._shape is None:
            self._settle()
        chat = self.member.name
        found: re.Match[str] | None = None
        lines: list[str] = []
        begun = 0
        for number, line in enumerate(self._lines(), start=1):
            header = _header(line, self._shape)
            if header is None:
                lines.append(line)
                continue
            yield from self._message(found, lines, chat, begun)
            found, lines, begun = header, [], number
        yield from self._message(found, lines, chat, begun)

    def _message(
        self, found: re.Match[str] | None, lines: list[str], chat: str, number: int
    ) -> Iterator[Piece]:
        """Yield the piece that a header and the lines after it are."""
        if found is not None:
            yield self._piece(found, lines, chat, number)
        elif before := sum(bool(line.strip()) for line in lines):
            yield LeftOut(BEFORE, before)

    def notes(self) -> list[str]:
        """Return how dates were read, where the file does not settle it."""
        return [self._note] if self._note else []

    def _lines(self) -> Iterator[str]:
        def read() -> Iterator[str]:
            with self.member.open() as file:
                text = io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="\n")
                while line := text.readline(MOST_LINE + 1):
                    if len(line) > MOST_LINE:
                        raise CorpusFormatError(
                            f"{self.member.name!r} has a line of more than {MOST_LINE} characters"
                        )
                    yield line.rstrip("\r\n")

        return guarded(read(), self.member.name)

    def _settle(self) -> None:
        """Find the file's shape, and in which order its dates are written."""
        counts = {"dmy": _Order(), "mdy": _Order()}
        slashed_halves = False
        for line in self._lines():
            found = _header(line, self._shape)
            if found is None:
                continue
            self._shape = self._shape or found.re
            if len(found["a"]) == 4:  # noqa: PLR2004 - the year comes first
                continue
            slashed_halves |= found["mark"] == "/" and bool(found["half"])
            counts["dmy"].see(found["c"], found["b"], found["a"])
            counts["mdy"].see(found["c"], found["a"], found["b"])
        self._shape = self._shape or _DASH
        if self.order is None:
            day, month = counts["dmy"].faults, counts["mdy"].faults
            told = day != month
            self.order = "dmy" if (day < month if told else not slashed_halves) else "mdy"
            if not told and counts["dmy"].seen:
                shown = "day before month" if self.order == "dmy" else "month before day"
                self._note = (
                    f"{self.member.name}: the order of day and month is ambiguous in all dates; "
                    f"they are read with the {shown}"
                )

    def _piece(self, found: re.Match[str], lines: list[str], chat: str, number: int) -> Piece:
        rest = found["rest"]
        sender = _SENDER.match(rest)
        # A system line may quote a subject with a colon; a name has no quotation marks.
        if sender is None or re.search(r'["“”„«»]', sender["name"]):
            return LeftOut(SYSTEM)
        text = "\n".join([sender["text"] or "", *lines]).rstrip()
        reason, text = _cleaned(text)
        name = spoken_name(sender["name"]).removeprefix("~").strip()
        if reason:
            return LeftOut(reason)
        return Turn(Speaker(name, name), text, self._time(found), number, chat, "whatsapp")

    def _time(self, found: re.Match[str]) -> Moment | None:
        a, b, c = found["a"], found["b"], found["c"]
        if len(a) == 4:  # noqa: PLR2004 - a year
            year, month, day = a, b, c
        else:
            year, month, day = (c, b, a) if self.order == "dmy" else (c, a, b)
        clock = (_hour(found) or 0, int(found["m"]), int(found["s"] or 0))
        try:
            moment = datetime(_year(year), int(month), int(day), *clock, tzinfo=UTC)
        except ValueError:
            return None
        return Moment(moment.replace(tzinfo=None).isoformat(), moment.timestamp())


@dataclass(slots=True)
class _Order:
    """How badly one order of day and month fits a file.

    Attributes:
        seen: Dates.
        faults: Dates that do not exist in this order, and steps back in time.
    """

    seen: int = 0
    faults: int = 0
    _last: date = date.min

    def see(self, year: str, month: str, day: str) -> None:
        """Judge one date."""
        self.seen += 1
        try:
            here = date(_year(year), int(month), int(day))
        except ValueError:
            self.faults += 1_000
            return
        self.faults += here < self._last
        self._last = here


def _year(text: str) -> int:
    return int(text) if len(text) > 2 else 2000 + int(text)  # noqa: PLR2004 - two digits


def _cleaned(text: str) -> tuple[str, str]:
    """Return why a message is left out, or "", and its text without what the phone added."""
    bare = text.strip(_BIDI).strip()
    if bare.casefold().rstrip(".") in _DELETED:
        return DELETED, ""
    text, files = _ATTACHED.subn("", text)
    text, more = _FILE.subn("", text, count=1) if _FILE.match(text) else (text, 0)
    by_phone = text.startswith("\u200e") or (bare.startswith("<") and bare.endswith(">"))
    words = bare.casefold()
    named = by_phone and "\n" not in bare and any(word in words for word in _LEFT_OUT_WORDS)
    if named or words == "null" or _PLACE.match(bare):
        return MEDIA, ""
    if text.startswith("\u200e") and text.strip(_BIDI).strip():
        return SYSTEM, ""
    text = _EDITED.sub("", text).strip(_BIDI).strip()
    if not text:
        return (MEDIA if files or more else EMPTY), ""
    return "", text
