"""Slack's export: a folder or zip of channels, a JSON file per channel and day.

`users.json` says who is meant by an id. Replies of a thread are a conversation of their own that
begins with the message they reply to. Memory holds one day of a channel, and what was said last in
each of its threads.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import cast

import orjson

from usersim.corpus.readers.archive import Archive, Member
from usersim.corpus.readers.records import LeftOut, Unreadable
from usersim.corpus.readers.talk import Piece, Speaker, Turn, spoken_name
from usersim.errors import CorpusFormatError
from usersim.types import Moment, read_moment

__all__ = ["Slack", "looks_like_slack"]

SYSTEM = "system lines"
MEDIA = "media"
EMPTY = "empty messages"
DELETED = "deleted messages"
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}\.json")
_ABOUT = frozenset(
    {
        "users.json",
        "channels.json",
        "groups.json",
        "dms.json",
        "mpims.json",
        "integration_logs.json",
    }
)
_SPOKEN = frozenset(
    {"", "thread_broadcast", "me_message", "file_share", "bot_message", "reply_broadcast"}
)
_MARK = re.compile(r"<(?P<sign>[@#!]?)(?P<what>[^<>|]*)(?:\|(?P<label>[^<>]*))?>")

Object = Mapping[str, object]


def looks_like_slack(archive: Archive) -> bool:
    """Return whether a folder or zip has Slack's users and days."""
    names = [PurePosixPath(name) for name in archive.members]
    return any(name.name == "users.json" for name in names) and any(
        _DAY.fullmatch(name.name) for name in names
    )


@dataclass(slots=True)
class Slack:
    """An export, read again and again.

    Args:
        archive: The folder or zip.
    """

    archive: Archive
    _users: dict[str, Speaker] = field(default_factory=dict[str, Speaker])

    def pieces(self) -> Iterator[Piece]:
        """Yield the turns channel by channel, day by day, and what is not a turn."""
        if not self._users:
            self._read_users()
        number = others = 0
        for path, member in self._days():
            if path is None:
                others += 1
                continue
            channel = path.parent.name
            messages = _array(member)
            if messages is None:
                yield Unreadable(member.name.encode(), "is not a JSON array of messages")
                continue
            for message in messages:
                number += 1
                yield self._piece(message, channel, number)
        if others:
            yield LeftOut("other files", others)

    def _days(self) -> Iterator[tuple[PurePosixPath | None, Member]]:
        for name, member in self.archive.members.items():
            path = PurePosixPath(name)
            if _DAY.fullmatch(path.name):
                yield path, member
            elif path.name not in _ABOUT:
                yield None, member

    def _read_users(self) -> None:
        for name, member in self.archive.members.items():
            base = PurePosixPath(name).name
            if base == "users.json":
                users = _array(member)
                if users is None:
                    raise CorpusFormatError(f"{name!r} is not a JSON array of users")
                self._users.update({str(_of(u).get("id")): _speaker(_of(u)) for u in users})

    def _name(self, key: str) -> str:
        known = self._users.get(key)
        return key if known is None else known.name

    def _piece(self, message: object, channel: str, number: int) -> Piece:
        if not isinstance(message, dict):
            return Unreadable(repr(message).encode(), "is not a message")
        fields = cast("Object", message)
        subtype = str(fields.get("subtype") or "")
        if subtype == "tombstone":
            return LeftOut(DELETED)
        if subtype not in _SPOKEN:
            return LeftOut(SYSTEM)
        text = self._text(str(fields.get("text") or ""))
        if not text.strip():
            media = fields.get("files") or fields.get("attachments") or fields.get("blocks")
            return LeftOut(MEDIA if media else EMPTY)
        stamp = str(fields.get("ts") or "")
        thread = str(fields.get("thread_ts") or "")
        return Turn(
            self._author(fields),
            text,
            _moment(stamp),
            number,
            channel,
            channel,
            thread=thread if thread and thread != stamp else None,
            id=stamp or None,
            own=subtype != "bot_message",
            root=thread == stamp and bool(thread),
        )

    def _author(self, message: Object) -> Speaker:
        key = str(message.get("user") or message.get("bot_id") or message.get("username") or "?")
        if key in self._users:
            return self._users[key]
        profile = _of(message.get("user_profile"))
        if profile:
            return _speaker({"id": key, "profile": profile})
        return Speaker(key, spoken_name(str(message.get("username") or key)))

    def _text(self, text: str) -> str:
        """Return a text with names instead of ids, and without Slack's own marks."""

        def shown(mark: re.Match[str]) -> str:
            what, label = mark["what"], mark["label"]
            if mark["sign"] == "@":
                return f"@{label or self._name(what)}"
            if mark["sign"] == "#":
                return f"#{label or what}"
            if mark["sign"] == "!":
                return label or f"@{what.partition('^')[0]}"
            return what if not label or label == what else f"{label} ({what})"

        return html.unescape(_MARK.sub(shown, text))


def _speaker(user: Object) -> Speaker:
    profile = _of(user.get("profile"))
    names = [
        str(name)
        for name in (
            profile.get("display_name"), profile.get("real_name"), user.get("real_name"),
            user.get("name"), profile.get("email"),
        )
        if name
    ]  # fmt: skip
    key = str(user.get("id"))
    return Speaker(key, spoken_name(names[0]) if names else key, tuple(names[1:]))


def _moment(stamp: str) -> Moment | None:
    return read_moment(stamp) if stamp else None


def _array(member: Member) -> list[object] | None:
    try:
        value: object = orjson.loads(member.read())
    except orjson.JSONDecodeError:
        return None
    return cast("list[object]", value) if isinstance(value, list) else None


def _of(value: object) -> Object:
    return cast("Object", value) if isinstance(value, dict) else {}
