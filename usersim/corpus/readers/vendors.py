"""What people can export of their chats with an assistant: ChatGPT and Claude.

Both export an array of conversations in which an edited or repeated turn makes a branch. The
branch that the person last saw is followed; turns of other branches are left out and counted, and
so are tools, hidden instructions, written-out thinking and pictures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import cast

from usersim.corpus.readers.chat import EMPTY, TOOLS, Chat, ChatTurn
from usersim.corpus.store.values import RowError

__all__ = ["chatgpt_chat", "claude_chat"]

BRANCHES = "turns of other branches"
SYSTEM = "system turns"
HIDDEN = "hidden turns"
THINKING = "thinking turns"
MEDIA = "media"
_HIDDEN = ("user_editable_context", "model_editable_context")
_THINKING = ("thoughts", "reasoning_recap")
_SPOKEN = ("text", "multimodal_text")
_SENDERS = {"human": "user", "assistant": "assistant"}
_ROOTS = ("00000000-0000-4000-8000-000000000000",)

Object = Mapping[str, object]


def chatgpt_chat(record: Object) -> Chat:
    """Return the chat of one conversation of a ChatGPT export (`conversations.json`).

    Raises:
        RowError: If it is none.
    """
    mapping = record.get("mapping")
    if not isinstance(mapping, Mapping):
        raise RowError("mapping", mapping, "is not an object of messages")
    nodes = cast("Mapping[str, object]", mapping)
    parents = {key: _text(_object(node).get("parent")) for key, node in nodes.items()}
    current = record.get("current_node")
    if not isinstance(current, str) or current not in nodes:
        times = {key: _seconds(_object(_object(n).get("message"))) for key, n in nodes.items()}
        current = _newest_leaf(parents, times)
    path = _path(current, parents)
    chat = Chat(
        [],
        conversation=record.get("conversation_id") or record.get("id"),
        time=record.get("create_time"),
        metadata=_titled(record.get("title")),
    )
    on_path = set(path)
    for key in [*path, *(key for key in nodes if key not in on_path)]:
        message = _object(nodes[key]).get("message")
        if not isinstance(message, Mapping):
            continue  # the root, which nobody wrote
        turn = _chatgpt_turn(cast("Object", message), chat.left)
        if isinstance(turn, str):
            chat.left[turn] += 1
        elif key in on_path:
            chat.turns.append(turn)
        else:
            chat.left[BRANCHES] += 1
    return chat


def _chatgpt_turn(message: Object, left: Counter[str]) -> ChatTurn | str:
    """Return a spoken turn, or why the message is none; media in it are counted."""
    role = str(_object(message.get("author")).get("role"))
    content = _object(message.get("content"))
    unspoken = _unspoken(message, role, str(content.get("content_type")))
    if unspoken:
        return unspoken
    parts = content.get("parts")
    texts: list[str] = []
    for part in cast("list[object]", parts) if isinstance(parts, list) else []:
        text = part if isinstance(part, str) else _object(part).get("text")
        if isinstance(text, str):  # a transcription of what was spoken has a text too
            texts.append(text)
        else:
            left[MEDIA] += 1
    said = "\n".join(text for text in texts if text.strip())
    if not said.strip():
        return EMPTY
    return ChatTurn(role, role, said, time=message.get("create_time"))


def _unspoken(message: Object, role: str, kind: str) -> str:
    """Return why a message is none that was said; empty if it was."""
    hidden = _object(message.get("metadata")).get("is_visually_hidden_from_conversation")
    to_all = message.get("recipient") in {None, "all"}
    if role == "system":
        return SYSTEM
    if hidden or kind in _HIDDEN:
        return HIDDEN
    if kind in _THINKING:
        return THINKING
    return "" if role in _SENDERS.values() and kind in _SPOKEN and to_all else TOOLS


def claude_chat(record: Object) -> Chat:
    """Return the chat of one conversation of a Claude export (`conversations.json`).

    Raises:
        RowError: If it is none.
    """
    listed = record.get("chat_messages")
    if not isinstance(listed, list):
        raise RowError("chat_messages", listed, "is not a list of messages")
    messages = [_object(one) for one in cast("list[object]", listed)]
    chat = Chat(
        [],
        conversation=record.get("uuid"),
        time=record.get("created_at"),
        metadata=_titled(record.get("name")),
    )
    shown = _claude_branch(messages, record.get("current_leaf_message_uuid"))
    for index, message in enumerate(messages):
        turn = _claude_turn(message, chat.left)
        if isinstance(turn, str):
            chat.left[turn] += 1
        elif index in shown:
            chat.turns.append(turn)
        else:
            chat.left[BRANCHES] += 1
    return chat


def _claude_branch(messages: Sequence[Object], leaf: object) -> set[int]:
    """Return the places of the messages on the branch that was shown last; all if there is one."""
    places = {str(message.get("uuid")): n for n, message in enumerate(messages)}
    parents = {key: _text(messages[n].get("parent_message_uuid")) for key, n in places.items()}
    linked = [parent for parent in parents.values() if parent and parent not in _ROOTS]
    if not linked or len(places) != len(messages):
        return set(range(len(messages)))
    order = {key: float(n) for key, n in places.items()}
    chosen = leaf if isinstance(leaf, str) and leaf in places else _newest_leaf(parents, order)
    return {places[key] for key in _path(chosen, parents)}


def _claude_turn(message: Object, left: Counter[str]) -> ChatTurn | str:
    sender = _SENDERS.get(str(message.get("sender")))
    if sender is None:
        return SYSTEM
    for name in ("attachments", "files"):
        given = message.get(name)
        count = len(cast("list[object]", given)) if isinstance(given, list) else 0
        left.update({MEDIA: count} if count else {})
    content = message.get("content")
    listed = cast("list[object]", content) if isinstance(content, list) else []
    blocks = [_object(one) for one in listed]
    texts: list[str] = []
    for block in blocks:
        kind, text = block.get("type"), block.get("text")
        if isinstance(text, str) and kind in {"text", "voice_note", None}:
            texts.append(text)
        else:
            left[THINKING if kind == "thinking" else TOOLS] += 1
    said = "\n".join(text for text in texts if text.strip())
    if not said and not blocks:
        said = _text(message.get("text")) or ""
    if not said.strip():
        return EMPTY
    label = "user" if sender == "user" else sender
    return ChatTurn(sender, label, said, time=message.get("created_at"))


def _newest_leaf(parents: Mapping[str, str | None], order: Mapping[str, float]) -> str:
    """Return the newest of the messages that nothing follows; "" if there are no messages."""
    followed = set(parents.values())
    leaves = [key for key in parents if key not in followed]
    return max(leaves, key=lambda key: order[key], default="")


def _path(leaf: str, parents: Mapping[str, str | None]) -> list[str]:
    """Return the messages from the root to `leaf`; a circle is followed once."""
    path: list[str] = []
    seen: set[str] = set()
    key: str | None = leaf
    while key is not None and key in parents and key not in seen:
        seen.add(key)
        path.append(key)
        key = parents[key]
    return path[::-1]


def _titled(title: object) -> dict[str, object]:
    return {"title": title} if isinstance(title, str) and title.strip() else {}


def _object(value: object) -> Object:
    return cast("Object", value) if isinstance(value, Mapping) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _seconds(message: Object) -> float:
    time = message.get("create_time")
    return float(time) if isinstance(time, int | float) else 0.0
