"""Chats as messengers, servers and mail programs export them: found out, and opened.

The modeled person is settled before any row is made: the source is read once to hear who speaks,
then again for the rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import PurePosixPath

from usersim.corpus.readers.archive import Archive, Member
from usersim.corpus.readers.json_stream import beginning
from usersim.corpus.readers.mail import Mailbox, looks_like_mbox
from usersim.corpus.readers.messengers import (
    discord_pieces,
    looks_like_discord,
    looks_like_telegram,
    telegram_pieces,
)
from usersim.corpus.readers.records import LeftOut, Records
from usersim.corpus.readers.slack import Slack
from usersim.corpus.readers.talk import Piece, Speakers, Talk, Turn
from usersim.corpus.readers.whatsapp import WhatsApp, looks_like_whatsapp
from usersim.errors import CorpusFormatError
from usersim.types import DateOrder
from usersim.types.counting import counted

__all__ = ["ChatOptions", "conversation_files", "export_format", "open_chat", "open_slack"]

OTHER_FILES = "other files"
_CONVERSATIONS = re.compile(r"conversations(?:-\d+)?\.json")


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """How a chat of several people is read.

    Attributes:
        person: Who is modeled: a name or an id.
        user_id: The id under which they are stored; their name if not given.
        date_order: How WhatsApp's dates are written, where it is known.
        gap: Seconds of silence that end a conversation.
        most: Messages that a context has at most.
    """

    person: str | None
    user_id: str | None
    date_order: DateOrder | None
    gap: float
    most: int


def export_format(head: bytes) -> str | None:
    """Return which export a file is, by its beginning; None if it is none."""
    body = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if body.startswith(b"{"):
        start = beginning(head)
        if looks_like_discord(start):
            return "discord"
        return "telegram" if looks_like_telegram(start) else None
    if looks_like_mbox(head):
        return "mbox"
    return "whatsapp" if looks_like_whatsapp(head) else None


def conversation_files(archive: Archive) -> list[Member]:
    """Return the files of an archive that hold conversations with an assistant."""
    return [
        member
        for name, member in archive.members.items()
        if _CONVERSATIONS.fullmatch(PurePosixPath(name).name)
    ]


def open_slack(archive: Archive, options: ChatOptions) -> Records:
    """Open Slack's folder or zip.

    Raises:
        SpeakerNotFoundError: If the person is not named, or not found.
    """
    slack = Slack(archive)
    return _talk(str(archive.path), "slack", slack.pieces, options, list[str])


def open_chat(
    name: str, found: str, members: Sequence[Member], options: ChatOptions, *, others: int = 0
) -> Records:
    """Open one or more files of one format.

    Args:
        name: What the report calls them.
        found: The format.
        members: The files.
        options: How they are read.
        others: Files beside them that are not read.

    Returns:
        Rows of the modeled person, and what is none.

    Raises:
        SpeakerNotFoundError: If the person is not named, or not found.
    """
    left = [LeftOut(OTHER_FILES, others)] if others else []
    if found == "mbox":
        return _mail(name, members, options, left)
    chats = [WhatsApp(member, options.date_order) for member in members]
    readers: dict[str, list[Callable[[], Iterator[Piece]]]] = {
        "whatsapp": [chat.pieces for chat in chats],
        "telegram": [_bound(telegram_pieces, member) for member in members],
        "discord": [_bound(discord_pieces, member) for member in members],
    }

    def pieces() -> Iterator[Piece]:
        return chain(left, *(read() for read in readers[found]))

    def notes() -> list[str]:
        return [note for chat in chats for note in chat.notes()] if found == "whatsapp" else []

    return _talk(name, found, pieces, options, notes)


def _bound(
    read: Callable[[Member], Iterator[Piece]], member: Member
) -> Callable[[], Iterator[Piece]]:
    return lambda: read(member)


def _talk(
    name: str,
    found: str,
    pieces: Callable[[], Iterator[Piece]],
    options: ChatOptions,
    notes: Callable[[], list[str]],
) -> Records:
    speakers = Speakers()
    for piece in pieces():
        if isinstance(piece, Turn):
            speakers.hear(piece.speaker)
    key = speakers.find(options.person, options.user_id)
    owner = options.user_id or speakers.name(key)
    talk = Talk(key, owner, options.gap, options.most)
    return Records(name, "json", talk.rows(pieces()), format=found, notes=notes)


def _mail(
    name: str, members: Sequence[Member], options: ChatOptions, left: list[LeftOut]
) -> Records:
    if len(members) != 1:
        raise CorpusFormatError(
            f"{name!r} holds {counted(len(members), 'mailbox', 'mailboxes')}",
            hint="load them one by one into one store",
        )
    box = Mailbox(members[0])
    box.read()
    key = box.speakers.find(options.person, options.user_id)
    rows = box.rows(key, options.user_id or box.speakers.name(key))
    return Records(name, "json", chain(((0, one) for one in left), rows), format="mbox")
