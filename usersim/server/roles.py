"""Whose turns a conversation's messages are: from the caller's roles to a person's context.

The person speaks next, so whoever spoke last is somebody else: a conversation that ends with the
person's own turn was sent with the other orientation, and is refused instead of being guessed at.
"""

from __future__ import annotations

from collections.abc import Sequence

from usersim.config import Roles
from usersim.errors import RefusedRequestError
from usersim.server.wire import ChatMessage
from usersim.types import Message

__all__ = ["ROLES_HEADER", "SCENARIO", "context_of", "is_scenario"]

ROLES_HEADER = "x-usersim-roles"
SCENARIO = "Scenario"
"""Name under which a system prompt stands in the context."""
_OWN: dict[Roles, str] = {"flipped": "assistant", "natural": "user"}


def context_of(
    messages: Sequence[ChatMessage], *, user_id: str, roles: Roles
) -> tuple[Message, ...]:
    """Return a conversation as the context that a person answers.

    A system prompt becomes a message of the name `Scenario`. The person's own turns carry their
    id as name; a message that the caller gave that name is theirs, whatever its role. A lone
    message is a plain question, as `UserSimulator.respond` takes it.

    Args:
        messages: The conversation, oldest first.
        user_id: The simulated person.
        roles: `flipped`: they speak as `assistant`; `natural`: as `user`.

    Returns:
        The context.

    Raises:
        RefusedRequestError: If nothing is said, or the last turn is the person's own.

    Example:
        >>> asked = [ChatMessage(role="user", content="Tea?")]
        >>> context_of(asked, user_id="ada", roles="flipped")
        (Message(content='Tea?', role='user', name=None),)
    """
    if not any(message.text.strip() for message in messages):
        raise RefusedRequestError(
            "every message is empty", code="empty_conversation", param="messages"
        )
    own = [_is_own(message, user_id, roles) for message in messages]
    spoken = [at for at, message in enumerate(messages) if not is_scenario(message)]
    if spoken and own[spoken[-1]]:
        other: Roles = "natural" if roles == "flipped" else "flipped"
        raise RefusedRequestError(
            f"the last turn, messages[{spoken[-1]}], is {user_id!r}'s own: with roles={roles!r} "
            f"the simulated person speaks as {_OWN[roles]!r}, and must speak next",
            code="own_turn_last",
            param="messages",
            hint=f"if {_OWN[roles]!r} is the other party, set roles to {other!r} "
            f'(extra_body={{"x_usersim": {{"roles": "{other}"}}}}, or the header {ROLES_HEADER})',
        )
    if len(messages) == 1 and spoken:
        return (Message(messages[0].text, name=messages[0].name),)
    return tuple(_turn(message, user_id, mine) for message, mine in zip(messages, own, strict=True))


def is_scenario(message: ChatMessage) -> bool:
    """Whether a message is a system prompt."""
    return message.role in {"system", "developer"}


def _is_own(message: ChatMessage, user_id: str, roles: Roles) -> bool:
    return not is_scenario(message) and (
        message.role == _OWN[roles] if message.name is None else message.name == user_id
    )


def _turn(message: ChatMessage, user_id: str, own: bool) -> Message:  # noqa: FBT001 - a fact
    if is_scenario(message):
        return Message(message.text, role="system", name=SCENARIO)
    if own:
        return Message(message.text, role="user", name=user_id)
    return Message(message.text, role="assistant", name=message.name)
