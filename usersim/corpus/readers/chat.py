"""Chats with an assistant: one record is one conversation, one row per turn of the person.

The messages before a turn are its context, with the roles of the source; the person's own
earlier turns carry the person's id as their name. What a source has beside spoken turns, such as
calls of tools, is left out and counted. `Chat` is what the shapes of records are brought into;
`messages` and ShareGPT are read here, exports of vendors and published data sets beside it.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import cast

from usersim.corpus.readers.records import MOST_CONTEXT, LeftOut
from usersim.corpus.readers.talk import OPENING
from usersim.corpus.store.values import RowError
from usersim.errors import SpeakerNotFoundError
from usersim.types import content_key

__all__ = ["EMPTY", "TOOLS", "Chat", "ChatRows", "ChatTurn", "messages_chat"]

TOOLS = "tool turns"
EMPTY = "empty turns"
SILENT = "conversations in which the person does not speak"

_TIMES = ("timestamp", "created_at", "create_time", "time", "date")
_CONVERSATIONS = (
    "conversation_id", "id", "conversation", "session", "thread_id", "conversation_hash", "uuid",
)  # fmt: skip
_ROLES = {
    "human": "user",
    "user": "user",
    "prompter": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "ai": "assistant",
    "assistant": "assistant",
    "system": "system",
    "developer": "system",
}
_TOOLS = frozenset(
    {
        "tool", "function", "tools", "function_call", "function_response", "function-call",
        "observation", "tool_call", "tool_calls", "tool_response", "tool_result", "ipython",
        "environment",
    }
)  # fmt: skip
_LISTS = ("messages", "conversations", "conversation")
_OWN = frozenset({*_LISTS, "user_id", "_refused", *_TIMES, *_CONVERSATIONS})


@dataclass(slots=True)
class ChatTurn:
    """One spoken turn.

    Attributes:
        role: `user`, `assistant` or `system`.
        label: The role as the source names it.
        content: What was said.
        name: Who said it, where known.
        time: When, as the source says it.
    """

    role: str
    label: str
    content: str
    name: str | None = None
    time: object = None


@dataclass(slots=True)
class Chat:
    """One conversation.

    Attributes:
        turns: What was said, in its order.
        left: What was left out, by reason.
        conversation: Its id; None to name it by its beginning.
        time: When it began, for turns that have no time of their own.
        owner: Whose it is, where the record says so.
        metadata: What else the record says.
    """

    turns: list[ChatTurn]
    left: Counter[str] = field(default_factory=Counter[str])
    conversation: object = None
    time: object = None
    owner: object = None
    metadata: Mapping[str, object] = field(default_factory=dict[str, object])


class ChatRows:
    """Makes rows of conversations.

    Args:
        read: From a record to a chat; raises `RowError` where it is none.
        person: Role or name of the modeled person; the human side if not given.
        user_id: The person's id where a record has none; their name if not given.
        named: Whether records may name their person; if not and nobody is named, the load ends
            with an error that lists who speaks.
    """

    def __init__(
        self,
        read: Callable[[Mapping[str, object]], Chat],
        *,
        person: str | None,
        user_id: str | None,
        named: bool,
    ) -> None:
        self._read = read
        self._person = person
        self._user_id = user_id
        self._named = named
        self._speakers: Counter[str] = Counter()
        self._heard = False

    def __call__(self, record: Mapping[str, object]) -> Iterator[Mapping[str, object] | LeftOut]:
        """Yield one row per turn of the person, and what is left out.

        Args:
            record: One conversation.

        Yields:
            Rows of the row format; they share `conversation_id`.

        Raises:
            RowError: If the record is not a chat, or has no turn of the human side.
        """
        chat = self._read(record)
        for reason, count in chat.left.items():
            yield LeftOut(reason, count)
        self._speakers.update(turn.name or turn.label for turn in chat.turns)
        who = self._person or "user"
        spoken = [turn for turn in chat.turns if _is_person(turn, who)]
        self._heard = self._heard or bool(spoken)
        if not spoken and (self._person or not self._named):
            yield LeftOut(SILENT)
            return
        owner = chat.owner or self._user_id or _named(spoken) or self._person
        if not owner and not self._named:
            return
        yield from _rows(chat, spoken, owner, who)

    def finish(self) -> Iterator[LeftOut]:
        """Check, after the last record, that the person was there.

        Yields:
            Nothing.

        Raises:
            SpeakerNotFoundError: If the person never speaks, or has no id. Nothing was kept then.
        """
        if self._person and self._speakers and not self._heard:
            raise SpeakerNotFoundError(self._person, self._speakers)
        if self._heard and not self._named and not self._user_id and not self._person:
            raise SpeakerNotFoundError(
                None,
                self._speakers,
                hint='set the id to store the person by: user_id="mira"; the human side is '
                'person="user"',
                cli_hint="set the id to store the person by: --user mira; the human side is "
                "--person user",
            )
        yield from ()


def _rows(
    chat: Chat, spoken: list[ChatTurn], owner: object, who: str
) -> Iterator[Mapping[str, object]]:
    if not isinstance(owner, str | int) or not owner:
        raise RowError("user_id", owner, "is missing, and the chat has no name for that role")
    if not spoken:
        speakers = sorted({str(turn.name or turn.role) for turn in chat.turns})
        raise RowError("person", who, f"does not speak; speakers are {speakers}")
    own = {id(turn) for turn in spoken}
    conversation = chat.conversation
    if conversation is None:
        # From the beginning alone, so that the chat keeps its identity when it grows.
        begun = [turn.content for turn in chat.turns[: chat.turns.index(spoken[0]) + 1]]
        conversation = "chat-" + content_key(str(owner), begun)[:16]
    opening = {"role": "system", "name": "conversation", "content": OPENING}
    context: deque[dict[str, object]] = deque(maxlen=MOST_CONTEXT)
    for turn in chat.turns:
        if id(turn) in own:
            yield {
                "user_id": str(owner),
                "conversation_id": conversation,
                "timestamp": turn.time or chat.time,
                "context": list(context) or [opening],
                "action": turn.content,
                "action_type": "free_text",
                "metadata": chat.metadata or None,
            }
        name = str(owner) if id(turn) in own else turn.name
        context.append({"role": turn.role, "name": name, "content": turn.content})


def messages_chat(record: Mapping[str, object]) -> Chat:
    """Return the chat of a record with messages.

    Read are `messages` (role, content, name) and `conversations` (from, value).

    Raises:
        RowError: If it is not a chat.
    """
    name = next((one for one in _LISTS if isinstance(record.get(one), list)), None)
    name = name or next((one for one in _LISTS if one in record), "messages")
    value = record.get(name)
    if not isinstance(value, list) or not value:
        raise RowError(name, cast("object", value), "is not a list of messages")
    chat = Chat(
        [],
        conversation=next((record[n] for n in _CONVERSATIONS if n != name and record.get(n)), None),
        time=next((record[n] for n in _TIMES if record.get(n)), None),
        owner=record.get("user_id"),
        metadata={n: v for n, v in record.items() if n not in _OWN},
    )
    for index, item in enumerate(cast("list[object]", value)):
        if not isinstance(item, dict):
            raise RowError(f"{name}[{index}]", item, "is not a message")
        turn = _turn(cast("dict[str, object]", item), f"{name}[{index}]")
        if isinstance(turn, str):
            chat.left[turn] += 1
        else:
            chat.turns.append(turn)
    return chat


def _turn(message: dict[str, object], where: str) -> ChatTurn | str:
    """Return a spoken turn, or why the message is none.

    Raises:
        RowError: If it has another shape.
    """
    label = message.get("role") or message.get("from")
    content = message.get("content", message.get("value"))
    if isinstance(content, list):
        content = _joined(cast("list[object]", content))
    if _calls(message, label, content):
        return TOOLS
    if content is not None and not isinstance(content, str):
        raise RowError(f"{where}.content", content, "is not a text")
    if content is None or not content.strip():
        return EMPTY
    if not isinstance(label, str):
        raise RowError(f"{where}.role", label, "is missing")
    name = message.get("name")
    role = _ROLES.get(label.lower())
    if role is None:  # a speaker's name stands where a role is expected
        role, name = "user", name or label
    time = next((message[key] for key in _TIMES if message.get(key)), None)
    return ChatTurn(role, label, content, None if name is None else str(name), time)


def _calls(message: Mapping[str, object], label: object, content: object) -> bool:
    """Return whether a message is a call of a tool or its result."""
    if isinstance(label, str) and label.lower() in _TOOLS:
        return True
    return not content and bool(message.get("tool_calls") or message.get("function_call"))


def _joined(parts: list[object]) -> str | None:
    """Return the text of a message in parts; None if it has no text."""
    texts: list[str] = []
    for part in parts:
        text = cast("dict[str, object]", part).get("text") if isinstance(part, dict) else part
        if isinstance(text, str):
            texts.append(text)
    return "\n".join(texts) or None


def _is_person(turn: ChatTurn, who: str) -> bool:
    if who in {turn.name, turn.label}:
        return True
    known = _ROLES.get(who.lower())
    # Where the speaker is known by a name, a role alone does not mean them.
    return known == turn.role and turn.label.lower() in _ROLES


def _named(spoken: list[ChatTurn]) -> str | None:
    """Return the one name of the person's turns; None if they have none, or several."""
    names = {turn.name for turn in spoken}
    return names.pop() if len(names) == 1 else None
