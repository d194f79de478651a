"""Chats: a list of messages becomes one row per turn of the modelled person.

The messages before a turn are its context, with the roles of the source; the person's own
earlier turns carry the person's id as their name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

from usersim.corpus.values import RowError
from usersim.types import content_key

__all__ = ["chat_rows"]

OPENING = "(The conversation begins.)"
"""Context of a turn that nothing precedes; a neutral line, so that no context is empty."""

_TIMES = ("timestamp", "created_at", "create_time", "time", "date")
_CONVERSATIONS = ("conversation_id", "id", "conversation", "session", "thread_id")
_ROLES = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "ai": "assistant",
    "assistant": "assistant",
    "system": "system",
    "developer": "system",
    "tool": "system",
    "function": "system",
}
_OWN = frozenset({"messages", "conversations", "user_id", "_refused", *_TIMES, *_CONVERSATIONS})


def chat_rows(
    record: Mapping[str, object], *, person: str | None, user_id: str | None
) -> Iterator[dict[str, object]]:
    """Yield one row per turn of the person.

    Args:
        record: An object with `messages` (role, content, name) or `conversations` (from,
            value).
        person: Role or name of the person; the human side if not given.
        user_id: The person's id where the record has none.

    Yields:
        Rows of the row format; they share `conversation_id`.

    Raises:
        RowError: If the record is no chat, or the person does not speak in it.
    """
    field = "messages" if "messages" in record else "conversations"
    turns = _turns(record.get(field), field)
    who = person or "user"
    owner = record.get("user_id") or user_id or _named(turns, who)
    if not isinstance(owner, str | int) or not owner:
        raise RowError("user_id", owner, "is missing; give user_id= or the person's name")
    spoken = [index for index, turn in enumerate(turns) if _is_person(turn, who)]
    if not spoken:
        speakers = sorted({str(turn["name"] or turn["role"]) for turn in turns})
        raise RowError("person", who, f"does not speak; speakers are {speakers}")
    for index in spoken:
        turns[index]["name"] = str(owner)
    yield from _rows(record, turns, spoken, str(owner))


def _rows(
    record: Mapping[str, object],
    turns: list[dict[str, object]],
    spoken: list[int],
    owner: str,
) -> Iterator[dict[str, object]]:
    conversation = next((record[name] for name in _CONVERSATIONS if record.get(name)), None)
    if conversation is None:
        # From the beginning alone, so that the chat keeps its identity when it grows.
        begun = [turn["content"] for turn in turns[: spoken[0] + 1]]
        conversation = "chat-" + content_key(owner, begun)[:16]
    metadata = {name: value for name, value in record.items() if name not in _OWN}
    time = next((record[name] for name in _TIMES if record.get(name)), None)
    plain = [{name: turn[name] for name in ("role", "name", "content")} for turn in turns]
    opening = {"role": "system", "name": "conversation", "content": OPENING}
    for index in spoken:
        yield {
            "user_id": owner,
            "conversation_id": conversation,
            "timestamp": turns[index]["time"] or time,
            "context": plain[:index] or [opening],
            "action": turns[index]["content"],
            "action_type": "free_text",
            "metadata": metadata or None,
        }


def _turns(value: object, field: str) -> list[dict[str, object]]:
    if not isinstance(value, list) or not value:
        raise RowError(field, cast("object", value), "is not a list of messages")
    turns: list[dict[str, object]] = []
    for index, item in enumerate(cast("list[object]", value)):
        if not isinstance(item, dict):
            raise RowError(f"{field}[{index}]", item, "is not a message")
        turn = _turn(cast("dict[str, object]", item), f"{field}[{index}]")
        if turn is not None:
            turns.append(turn)
    return turns


def _turn(message: dict[str, object], where: str) -> dict[str, object] | None:
    said = message.get("role") or message.get("from")
    name = message.get("name")
    content = message.get("content", message.get("value"))
    if isinstance(content, list):
        content = _joined(cast("list[object]", content))
    if content is None:
        return None  # a call of a tool: nothing was said
    if not isinstance(content, str):
        raise RowError(f"{where}.content", content, "is not a text")
    if not isinstance(said, str):
        raise RowError(f"{where}.role", said, "is missing")
    role = _ROLES.get(said.lower())
    if role is None:  # a speaker's name stands where a role is expected
        role, name = "user", name or said
    time = next((message[key] for key in _TIMES if message.get(key)), None)
    return {"role": role, "name": name, "content": content, "said": said, "time": time}


def _joined(parts: list[object]) -> str | None:
    """Return the text of a message in parts; None if it has no text."""
    texts: list[str] = []
    for part in parts:
        text = cast("dict[str, object]", part).get("text") if isinstance(part, dict) else part
        if isinstance(text, str):
            texts.append(text)
    return "\n".join(texts) or None


def _is_person(turn: Mapping[str, object], who: str) -> bool:
    if not str(turn["content"]).strip():
        return False
    return who in {turn["name"], turn["said"]} or (
        _ROLES.get(who) == turn["role"] and not _by_name(who, turn)
    )


def _by_name(who: str, turn: Mapping[str, object]) -> bool:
    """Return whether the turn's speaker is known by a name, and `who` is only a role."""
    return who in _ROLES and str(turn["said"]).lower() not in _ROLES


def _named(turns: list[dict[str, object]], who: str) -> str | None:
    """Return `who` if it is a speaker's name, or the one name of the person's turns."""
    if who not in _ROLES:
        return who
    names = {turn["name"] for turn in turns if _is_person(turn, who)}
    only = names.pop() if len(names) == 1 else None
    return only if isinstance(only, str) else None
