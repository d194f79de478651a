"""Messages, and the one place that reads what a caller may give instead of them.

Knows values; knows nothing of people, prompts or storage.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias, cast

from usersim.errors import ConfigError

__all__ = [
    "ROLES",
    "ContextLike",
    "Message",
    "MessageLike",
    "Role",
    "as_message",
    "as_messages",
]

Role = Literal["system", "user", "assistant"]

ROLES: Mapping[str, Role] = MappingProxyType(
    {
        "system": "system",
        "user": "user",
        "assistant": "assistant",
        "human": "user",
        "gpt": "assistant",
        "ai": "assistant",
        "bot": "assistant",
        "model": "assistant",
        "developer": "system",
        "tool": "system",
        "function": "system",
    }
)
"""What chat formats call a role, and the role that it is here."""

_FIELDS = ("role", "content", "name")
_FORMS = 'messages must be Message objects or {"role", "content"} dicts'
_SHOWN = 120


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a context.

    Attributes:
        content: The text, as it was written.
        role: The role that the source gave it.
        name: Who wrote it, where known; equal to the `user_id` for the person's own turns.

    Example:
        >>> Message("Tea?", role="assistant")
        Message(content='Tea?', role='assistant', name=None)
    """

    content: str
    role: Role = "user"
    name: str | None = None


MessageLike: TypeAlias = Message | Mapping[str, object]
"""A `Message`, or the dict that chat APIs use: `{"role": "user", "content": "Tea?"}`."""

ContextLike: TypeAlias = str | MessageLike | Iterable[MessageLike]
"""A text (one message), a message, or several messages, oldest first."""


def as_message(value: object) -> Message:
    """Return a message.

    Args:
        value: A `Message`, or a dict with `content` and, if wanted, `role` (`user` unless it
            says otherwise; also the names of other chat formats, see `ROLES`) and `name`.
            `content` is a text, or a list of text parts as chat APIs use them.

    Returns:
        The message. Further fields of a dict may be there if they are empty.

    Raises:
        ConfigError: If it is neither, or a field is not what it should be.

    Example:
        >>> as_message({"role": "assistant", "content": "Tea?"})
        Message(content='Tea?', role='assistant', name=None)
    """
    if isinstance(value, Message):
        return value
    if not isinstance(value, Mapping):
        hint = "pass a single text without a list" if isinstance(value, str) else ""
        raise ConfigError(f"{_FORMS}; got {_shown(value)}", hint=hint)
    fields = cast("Mapping[str, object]", value)
    further = [str(name) for name, given in fields.items() if name not in _FIELDS and given]
    if further or "content" not in fields:
        wrong = f"has unknown fields: {further!r}" if further else "has no 'content'"
        raise ConfigError(
            f"the message {_shown(dict(fields))} {wrong}",
            hint="a message has 'role', 'content' and optionally 'name'; leave out tool calls",
        )
    role, name = fields.get("role") or "user", fields.get("name")
    if not isinstance(role, str) or role not in ROLES:
        raise ConfigError(f"a message has the role {role!r}", hint=f"roles are {list(ROLES)!r}")
    if name is not None and not isinstance(name, str):
        raise ConfigError(f"a message has the name {name!r}, which is not a text")
    return Message(_text(fields["content"]), ROLES[role], name)


def as_messages(context: object) -> tuple[Message, ...]:
    """Return what a caller gave as messages, oldest first.

    Args:
        context: A text (one message), a message, or an iterable of messages; dicts are messages
            as well, see `as_message`.

    Returns:
        The messages, possibly none.

    Raises:
        ConfigError: If it is something else.

    Example:
        >>> as_messages([{"role": "assistant", "content": "Tea?"}, Message("Or coffee?")])
        (Message(content='Tea?', role='assistant', name=None),
         Message(content='Or coffee?', role='user', name=None))
        >>> as_messages("Tea?") == as_messages(Message("Tea?")) == (Message("Tea?"),)
        True
    """
    if isinstance(context, str):
        return (Message(context),)
    if isinstance(context, Message | Mapping):
        return (as_message(cast("object", context)),)
    if isinstance(context, Iterable) and not isinstance(context, bytes | bytearray):
        return tuple(as_message(one) for one in cast("Iterable[object]", context))
    raise ConfigError(
        f"a context must be a text or messages; got {_shown(context)}",
        hint='for example "Tea or coffee?", or [{"role": "assistant", "content": "Tea?"}]',
    )


def _text(content: object) -> str:
    """Return the text of a message's content; text parts are joined line by line.

    Raises:
        ConfigError: If it holds something else than text.
    """
    if isinstance(content, str):
        return content
    if isinstance(content, list | tuple):
        parts = cast("list[object]", content)
        texts = [_part(part) for part in parts]
        if all(text is not None for text in texts):
            return "\n".join(text for text in texts if text is not None)
    raise ConfigError(
        f"a message has the content {_shown(cast('object', content))}",
        hint="content must be a text, or a list of parts {'type': 'text', 'text': …}",
    )


def _part(part: object) -> str | None:
    """Return the text of a content part; None if it is something else than text."""
    if not isinstance(part, Mapping):
        return None
    fields = cast("Mapping[str, object]", part)
    text = fields.get("text")
    return text if fields.get("type") == "text" and isinstance(text, str) else None


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
