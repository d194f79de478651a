"""Mailboxes (mbox): what a person wrote in mail, and what they answered to.

The rule for quotes: in a mail the person's own words end at the first line that introduces a
quotation ("On … wrote:", "-----Original Message-----", a block of From/Sent/To/Subject) and at the
signature mark "-- "; of what is before it, lines that begin with ">" are quoted. What was quoted is
the context where the mail that it answers is not in the mailbox.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from email import message_from_bytes, policy
from email.errors import MessageError
from email.message import EmailMessage, Message
from email.utils import getaddresses, parsedate_to_datetime
from itertools import takewhile
from typing import cast

from usersim.corpus.readers.archive import MOST_LINE, Member, guarded
from usersim.corpus.readers.records import LeftOut, Unreadable
from usersim.corpus.readers.talk import Speaker, Speakers, spoken_name
from usersim.errors import CorpusFormatError
from usersim.markup import pieces
from usersim.types import content_key, read_moment

__all__ = ["Mailbox", "looks_like_mbox", "own_words"]

MOST_TEXT = 1 << 30
"""Characters of all mails' own words that are held while a mailbox is read."""
MOST_MAIL = 64 << 20
"""Largest mail, bytes, attachments included."""
_UNREADABLE = (MessageError, ValueError, LookupError, TypeError, AttributeError, IndexError,
               RecursionError)  # fmt: skip
"""What the standard library raises at mails that mailers, or others, wrote wrongly."""
_MOST_CONTEXT = 20
_MOST_PARTS = 100
"""Mails within a mail, and parts within its parts; reading one looks for the end of each."""
"""Mails of a thread that stand before one."""
AUTOMATIC = "automatic mails"
DRAFTS = "drafts"
EMPTY = "mails without own words"
LARGE = f"mails above {MOST_MAIL >> 20} MiB"
QUOTED = "quoted lines"
TWICE = "mails that are there twice"

_FROM = re.compile(rb"From \S+.*\d{4}\s*$")
_HEADER = re.compile(rb"[!-9;-~]+:")
_WROTE = re.compile(
    r"^(?:on|am|le|el|il|op|em|den|w dniu|dnia)\b(?=.*\d).{4,200}"
    r"(?:wrote|schrieb(?:en)?.{0,80}|a écrit|escribió|ha scritto|schreef.{0,80}|escreveu"
    r"|skrev.{0,80}|napisał\(?a?\)?)\s?:$",
    re.IGNORECASE,
)
_ORIGINAL = re.compile(
    r"^-{3,}\s*(?:original message|forwarded message|ursprüngliche nachricht"
    r"|weitergeleitete nachricht|message d'origine|mensaje original|messaggio originale"
    r"|mensagem original|oorspronkelijk bericht)\s*-{3,}$|^_{20,}$",
    re.IGNORECASE,
)
_BLOCK = re.compile(r"^\*?(?:from|von|de|da|van)\s?:\*?\s.+", re.IGNORECASE)
_BLOCK_NEXT = re.compile(
    r"^\*?(?:sent|date|to|subject|cc|gesendet|datum|an|betreff|envoyé|à|objet|enviado|para|asunto"
    r"|inviato|a|oggetto|verzonden|aan|onderwerp|assunto)\s?:\*?",
    re.IGNORECASE,
)
_BREAKS = frozenset({"p", "div", "br", "li", "tr", "blockquote", "h1", "h2", "h3"})


def looks_like_mbox(head: bytes) -> bool:
    """Return whether a file begins as a mailbox does: "From ", then headers."""
    first, _, rest = head.lstrip(b"\r\n").partition(b"\n")
    return bool(_FROM.match(first.strip())) and bool(_HEADER.match(rest))


@dataclass(frozen=True, slots=True)
class _Mail:
    """One mail, without what is not needed to answer it."""

    number: int
    key: str
    speaker: Speaker
    text: str
    quoted: str
    subject: str
    time: str | None
    seconds: float
    parents: tuple[str, ...]


@dataclass(slots=True)
class Mailbox:
    """A mailbox, read once into the words of its mails.

    Args:
        member: The file.
    """

    member: Member
    speakers: Speakers = field(default_factory=Speakers)
    _mails: dict[str, _Mail] = field(default_factory=dict[str, _Mail])
    _roots: dict[str, str] = field(default_factory=dict[str, str])
    _left: list[tuple[int, LeftOut | Unreadable]] = field(
        default_factory=list[tuple[int, LeftOut | Unreadable]]
    )

    def read(self) -> None:
        """Read every mail.

        Raises:
            CorpusFormatError: If the file cannot be read, or holds more text than fits.
        """
        held = 0
        for number, raw in enumerate(_messages(self.member), start=1):
            found = _mail(raw, number)
            if not isinstance(found, _Mail):
                self._left.append((number, found))
                continue
            held += len(found.text) + len(found.quoted)
            if held > MOST_TEXT:
                raise CorpusFormatError(
                    f"{self.member.name!r} has more than {MOST_TEXT} characters of text",
                    hint="split the mailbox, for instance by year, and load the parts",
                )
            known = self._mails.get(found.key)
            if known is not None and known.text == found.text:
                self._left.append((number, LeftOut(TWICE)))
                continue
            key = found.key if known is None else f"{found.key} ({number})"
            self._mails[key] = replace(found, key=key)
            self.speakers.hear(found.speaker)

    def rows(
        self, key: str, owner: str
    ) -> Iterator[tuple[int, Mapping[str, object] | LeftOut | Unreadable]]:
        """Yield a row per mail of the person, and what is none.

        Args:
            key: Whose mails are actions.
            owner: The id under which they are stored.
        """
        yield from self._left
        for mail in self._mails.values():
            quoted = mail.quoted.count("\n") + bool(mail.quoted)
            if mail.speaker.key != key:
                continue
            context, root, used = self._context(mail, key, owner)
            if quoted and not used:
                yield mail.number, LeftOut(QUOTED, quoted)
            yield (
                mail.number,
                {
                    "user_id": owner,
                    "conversation_id": root,
                    "timestamp": mail.time,
                    "id": mail.key,
                    "context": context,
                    "action": mail.text,
                    "action_type": "free_text",
                    "metadata": {"subject": mail.subject} if mail.subject else None,
                },
            )

    def _context(
        self, mail: _Mail, key: str, owner: str
    ) -> tuple[list[dict[str, object]], str, bool]:
        """Return what was written before a mail, its thread, and whether its quotation was used."""
        before: list[_Mail] = []
        seen = {mail.key}
        here = mail
        while len(before) < _MOST_CONTEXT and (parent := self._parent(here)) is not None:
            if parent.key in seen:
                break
            seen.add(parent.key)
            before.append(parent)
            here = parent
        root = self._root(mail)
        messages = [_message(one, key, owner) for one in before[::-1]]
        if messages:
            return messages, root, False
        if mail.quoted:
            return [{"role": "user", "name": None, "content": mail.quoted}], root, True
        opening = f"(A new mail. Subject: {mail.subject or 'none'})"
        return [{"role": "system", "name": "mail", "content": opening}], root, False

    def _root(self, mail: _Mail) -> str:
        """Return what a mail's thread began with; each mail's is found once."""
        way: dict[str, None] = {}
        here: _Mail | None = mail
        root = ""
        while here is not None and not root and here.key not in way:
            way[here.key] = None
            root = self._roots.get(here.key, "")
            top, here = here, self._parent(here)
            if not root and (here is None or here.key in way):
                root = (top.parents or (top.key,))[0]
        self._roots.update(dict.fromkeys(way, root))
        return root

    def _parent(self, mail: _Mail) -> _Mail | None:
        """Return the nearest mail of the thread that is in the mailbox."""
        return next((self._mails[p] for p in reversed(mail.parents) if p in self._mails), None)


def _message(mail: _Mail, key: str, owner: str) -> dict[str, object]:
    own = mail.speaker.key == key
    return {"role": "user", "name": owner if own else mail.speaker.name, "content": mail.text}


def _messages(member: Member) -> Iterator[bytes | LeftOut]:
    """Yield each mail's bytes; one that is too large is left out.

    A mail begins at a line "From … 2024" at the beginning of the file or after a blank line.
    """

    def read() -> Iterator[bytes | LeftOut]:
        lines: list[bytes] = []
        size, blank, begun = 0, True, False
        with member.open() as file:
            # A line that is too long comes in parts, which are as good as lines to a mail's size.
            for line in iter(lambda: file.readline(MOST_LINE), b""):
                if blank and line.startswith(b"From ") and _FROM.match(line.strip()):
                    if begun:
                        yield LeftOut(LARGE) if size > MOST_MAIL else b"".join(lines)
                    lines, size, begun = [], 0, True
                elif begun:
                    size += len(line)
                    if size <= MOST_MAIL:
                        lines.append(line[1:] if re.match(rb">+From ", line) else line)
                blank = not line.strip()
        if begun:
            yield LeftOut(LARGE) if size > MOST_MAIL else b"".join(lines)

    return guarded(read(), member.name)


def _mail(raw: bytes | LeftOut, number: int) -> _Mail | LeftOut | Unreadable:
    if isinstance(raw, LeftOut):
        return raw
    if raw.lower().count(b"multipart/") > _MOST_PARTS:
        return Unreadable(raw[:2_000], f"has more than {_MOST_PARTS} parts of parts")
    try:
        # The modern policy decodes headers; it fails on some that mailers wrote wrongly.
        return _read_mail(message_from_bytes(raw, policy=policy.default), number)
    except _UNREADABLE as error:
        return Unreadable(raw, f"cannot be read as a mail: {type(error).__name__}: {error}")


def _read_mail(message: EmailMessage, number: int) -> _Mail | LeftOut | Unreadable:
    automatic = str(message.get("Auto-Submitted", "no")).strip().lower()
    if not automatic.startswith("no") or message.get("X-Autoreply"):
        return LeftOut(AUTOMATIC)
    if "drafts" in str(message.get("X-Gmail-Labels", "")).lower().split(","):
        return LeftOut(DRAFTS)
    name, address = next(iter(getaddresses([str(message.get("From", ""))])), ("", ""))
    if not address:
        return Unreadable(bytes(message)[:2_000], "has no sender")
    own, quoted = own_words(_body(message))
    if not own:
        return LeftOut(EMPTY)
    key = address.strip().lower()
    text, seconds = _date(message)
    listed = re.findall(r"<[^<>\s]+>", f"{message.get('References', '')} ")
    answered = re.findall(r"<[^<>\s]+>", str(message.get("In-Reply-To", "")))
    given = re.findall(r"<[^<>\s]+>", str(message.get("Message-ID", "")))
    shown = spoken_name(name) or key
    return _Mail(
        number,
        given[0] if given else "mail-" + content_key(key, text, own)[:16],
        Speaker(key, shown),
        own,
        quoted,
        " ".join(str(message.get("Subject", "")).split()),
        text,
        seconds,
        tuple(dict.fromkeys([*listed, *answered])),
    )


def _date(message: Message) -> tuple[str | None, float]:
    given = str(message.get("Date", ""))
    try:
        moment = read_moment(parsedate_to_datetime(given))
    except (ValueError, TypeError, IndexError):
        moment = None
    return (None, 0.0) if moment is None else (moment.text, moment.seconds)


def _body(message: EmailMessage) -> str:
    """Return the text of a mail: its plain part, else its page without tags."""
    part = message.get_body(("plain", "html"))
    if part is None:
        return ""
    try:
        content = part.get_content()
    except (LookupError, UnicodeError):  # an unknown character set
        content = cast("bytes", part.get_payload(decode=True)).decode("utf-8", "replace")
    if not isinstance(content, str):
        return ""
    return _without_tags(content) if part.get_content_subtype() == "html" else content


def own_words(text: str) -> tuple[str, str]:
    r"""Return what a person wrote in a mail, and what they quoted; see the module for the rule.

    Example:
        >>> own_words("Yes, gladly.\n\nOn Mon, 1 Jan 2024, Bo <b@x.org> wrote:\n> Tea?\n")
        ('Yes, gladly.', 'Tea?')
    """
    lines = text.replace("\r\n", "\n").split("\n")
    end, quote = _end_of_own(lines)
    own: list[str] = []
    quoted: list[str] = []
    for line in lines[:end]:
        (quoted if line.startswith(">") else own).append(line)
    quoted += takewhile(lambda line: line != "-- ", lines[quote:])
    bare = [re.sub(r"^(?:> ?)+", "", line) for line in quoted]
    return "\n".join(own).strip(), "\n".join(bare).strip()


def _end_of_own(lines: list[str]) -> tuple[int, int]:
    """Return where own words end, and where the quotation after them begins."""
    for place, line in enumerate(lines):
        bare = line.strip()
        if not bare:
            continue
        if line.rstrip("\r") == "-- ":
            return place, len(lines)
        for length in (1, 2, 3):  # mailers wrap the line that introduces a quotation
            joined = " ".join(part.strip() for part in lines[place : place + length])
            if _WROTE.match(joined):
                return place, place + length
        if _ORIGINAL.match(bare):
            return place, place + 1
        after = [one.strip() for one in lines[place + 1 : place + 3]]
        if _BLOCK.match(bare) and sum(bool(_BLOCK_NEXT.match(one)) for one in after) == 2:  # noqa: PLR2004
            return place, place + 1
    return len(lines), len(lines)


def _without_tags(page: str) -> str:
    """Return the text of a page; quotations begin with `> `, the head and styles are left out."""
    texts: list[str] = []
    quotes = head = 0
    for kind, value in pieces(page):
        step = 1 if kind == "start" else -1
        if kind == "text":
            if not head:
                texts.append(" ".join(value.split()) + (" " if value[-1:].isspace() else ""))
        elif value == "head":
            head = max(head + step, 0)
        elif value == "blockquote":
            quotes = max(quotes + step, 0)
        if value in _BREAKS and (kind == "start" or (kind == "end" and value != "br")):
            texts.append("\n" + "> " * quotes)
    lines = [line.rstrip() for line in "".join(texts).split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(line for line in lines if line != ">"))
