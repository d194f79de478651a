"""Telegram's and Discord's exports as JSON: one document with an array of messages.

Both are read message by message, so memory stays flat however long the chat is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

from usersim.corpus.readers.archive import Member
from usersim.corpus.readers.json_stream import beginning, builder, events, items
from usersim.corpus.readers.records import LeftOut, Unreadable
from usersim.corpus.readers.talk import Piece, Speaker, Turn, spoken_name
from usersim.types import read_moment

__all__ = ["discord_pieces", "looks_like_discord", "looks_like_telegram", "telegram_pieces"]

SYSTEM = "system lines"
MEDIA = "media"
EMPTY = "empty messages"
TELEGRAM_CHATS = frozenset(
    {
        "personal_chat", "bot_chat", "saved_messages", "private_group", "private_supergroup",
        "public_supergroup", "private_channel", "public_channel",
    }
)  # fmt: skip
_MEDIA = (
    "photo", "file", "media_type", "sticker_emoji", "poll", "location_information",
    "contact_information", "game_title", "live_location_period_seconds",
)  # fmt: skip
_CHATS = frozenset({"chats.list.item", "left_chats.list.item"})
_IN_ACCOUNT = frozenset(f"{chat}.messages.item" for chat in _CHATS)
_DISCORD_SPOKEN = frozenset({"Default", "Reply", "ThreadStarterMessage", "ChatInputCommand"})

Object = Mapping[str, object]


def looks_like_telegram(start: Object) -> bool:
    """Return whether a document's beginning is that of Telegram's `result.json`."""
    whole = {"about", "personal_information"} <= start.keys() or "chats.list" in start
    return whole or (start.get("type") in TELEGRAM_CHATS and "id" in start)


def looks_like_discord(start: Object) -> bool:
    """Return whether a document's beginning is that of DiscordChatExporter's JSON."""
    return {"guild", "channel"} <= start.keys() and "channel.id" in start


def telegram_pieces(member: Member) -> Iterator[Piece]:
    """Yield the turns of one exported chat, or of all chats of an account's export."""
    number = 0
    for chat, message in _telegram_messages(member):
        number += 1
        if not isinstance(message, dict):
            yield Unreadable(repr(message).encode(), "is not a message")
            continue
        yield _telegram_piece(cast("Object", message), chat, number)


def _telegram_messages(member: Member) -> Iterator[tuple[str, object]]:
    """Yield each message with what its chat is called.

    The chat's id stands before the messages; what is read of a chat is never more than one message.
    """
    start = beginning(member.head())
    if start.get("type") in TELEGRAM_CHATS:
        chat = _telegram_chat(start)
        for message in items(member, "messages.item"):
            yield chat, message
        return
    yield from _account_messages(member)


def _account_messages(member: Member) -> Iterator[tuple[str, object]]:
    """Yield each message of an account's export, chat by chat."""
    about: dict[str, object] = {}
    inside = None
    for prefix, event, value in events(member):
        if prefix in _IN_ACCOUNT and event == "start_map":
            inside = builder()
        if inside is not None:
            inside.event(event, value)
            if prefix in _IN_ACCOUNT and event == "end_map":
                yield _telegram_chat(about), inside.value
                inside = None
            continue
        place, _, name = prefix.rpartition(".")
        if prefix in _CHATS and event == "start_map":
            about = {}
        elif place in _CHATS and name in {"name", "id"}:
            about[name] = value


def _telegram_chat(about: Object) -> str:
    return f"telegram-{about.get('id') or about.get('name')}"


def _telegram_piece(message: Object, chat: str, number: int) -> Piece:
    if message.get("type") != "message":
        return LeftOut(SYSTEM)
    text = _telegram_text(message.get("text"))
    if not text.strip():
        return LeftOut(MEDIA if any(message.get(name) for name in _MEDIA) else EMPTY)
    key = message.get("from_id")
    name = message.get("from")
    shown = spoken_name(str(name)) if name else "Deleted Account"
    others = (str(key).removeprefix("user"),) if key else ()
    return Turn(
        Speaker(str(key or shown), shown, others),
        text,
        read_moment(message.get("date_unixtime") or message.get("date")),
        number,
        chat,
        chat,
        id=None if message.get("id") is None else str(message["id"]),
        own=not message.get("forwarded_from") and not message.get("via_bot"),
    )


def _telegram_text(value: object) -> str:
    """Return a text that is given whole, or as a list of texts and entities."""
    if isinstance(value, list):
        parts = cast("list[object]", value)
        return "".join(
            part if isinstance(part, str) else str(cast("Object", part).get("text", ""))
            for part in parts
            if isinstance(part, str | dict)
        )
    return value if isinstance(value, str) else ""


def discord_pieces(member: Member) -> Iterator[Piece]:
    """Yield the turns of an exported channel."""
    about = _discord_channel(member)
    for number, message in enumerate(items(member, "messages.item"), start=1):
        if not isinstance(message, dict):
            yield Unreadable(repr(message).encode(), "is not a message")
            continue
        yield _discord_piece(cast("Object", message), about, number)


def _discord_channel(member: Member) -> str:
    channel: dict[str, object] = {}
    for prefix, event, value in events(member):
        if prefix.startswith("channel.") and event in {"string", "number"}:
            channel[prefix.removeprefix("channel.")] = value
        if prefix == "channel" and event == "end_map":
            break
    return f"discord-{channel.get('id') or channel.get('name')}"


def _discord_piece(message: Object, chat: str, number: int) -> Piece:
    if message.get("type", "Default") not in _DISCORD_SPOKEN:
        return LeftOut(SYSTEM)
    text = message.get("content")
    if not isinstance(text, str) or not text.strip():
        media = any(message.get(name) for name in ("attachments", "stickers", "embeds"))
        return LeftOut(MEDIA if media else EMPTY)
    author = message.get("author")
    who: Object = cast("Object", author) if isinstance(author, dict) else {}
    name = spoken_name(str(who.get("nickname") or who.get("name") or "unknown"))
    others = tuple(str(who[key]) for key in ("name",) if who.get(key))
    return Turn(
        Speaker(str(who.get("id") or name), name, others),
        text,
        read_moment(message.get("timestamp")),
        number,
        chat,
        chat,
        id=None if message.get("id") is None else str(message["id"]),
        own=not message.get("forwardedMessage"),
    )
