"""What a person did: messages, the context they stood in, and the action that followed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from hashlib import sha256
from typing import Literal, Protocol

from usersim.types.actions import ActionSpace, ActionValue, FreeText

__all__ = [
    "Interaction",
    "Message",
    "Question",
    "Retriever",
    "Role",
    "Split",
    "content_key",
    "question_key",
]

Role = Literal["system", "user", "assistant"]
Split = Literal["train", "held_out"]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a context.

    Attributes:
        content: The text, as it was written.
        role: The role that the source gave it.
        name: Who wrote it, where known; equal to the `user_id` for the person's own turns.
    """

    content: str
    role: Role = "user"
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """A context to be answered, and what an answer may be.

    Attributes:
        context: Messages, oldest first.
        space: What the person can do.
    """

    context: tuple[Message, ...]
    space: ActionSpace = field(default_factory=FreeText)

    @property
    def key(self) -> str:
        """Identity of the question, whoever is asked.

        By the texts of its messages, the kind of answer and the options; names and roles do not
        count.
        """
        space = {field.name: getattr(self.space, field.name) for field in fields(self.space)}
        return content_key([message.content for message in self.context], space)

    @classmethod
    def of(cls, context: str | Question | tuple[Message, ...] | list[Message]) -> Question:
        """Return `context` as a question; a string is one message, messages are free text.

        Example:
            >>> Question.of("Tea or coffee?").context[0].content
            'Tea or coffee?'
        """
        if isinstance(context, Question):
            return context
        if isinstance(context, str):
            return cls((Message(context),))
        return cls(tuple(context))


@dataclass(frozen=True, slots=True, kw_only=True)
class Interaction:
    """One observed (context, action) pair of one person.

    Attributes:
        key: Content hash; the identity in the store and in every cache.
        user_id: Whose behaviour it is.
        position: Place in that person's history, 0 for the oldest.
        context: Messages, oldest first.
        action: The typed value of what the person did.
        space: What the person could have done.
        conversation: Interactions that share it are never split apart.
        timestamp: ISO 8601 text, where known.
        split: Part that it belongs to.
        metadata: What else the source said.
    """

    key: str
    user_id: str
    position: int
    context: tuple[Message, ...]
    action: ActionValue
    space: ActionSpace
    conversation: str
    timestamp: str | None = None
    split: Split = "train"
    metadata: Mapping[str, object] = field(default_factory=dict[str, object])

    @property
    def action_text(self) -> str:
        """The action as the model reads and writes it."""
        return self.space.render(self.action)

    @property
    def question(self) -> Question:
        """The context and action space, without the action."""
        return Question(self.context, self.space)


class Retriever(Protocol):
    """Finds what a person already did that bears on a question."""

    def retrieve(
        self, user_id: str, question: Question, *, before: int | None, limit: int
    ) -> list[Interaction]:
        """Return at most `limit` interactions of the train split, oldest first.

        Args:
            user_id: Whose history.
            question: What is to be answered.
            before: Only interactions whose `position` is smaller; None for the whole train split.
            limit: How many at the most.
        """
        ...


def content_key(*parts: object) -> str:
    """Return the SHA-256 of the canonical JSON of `parts`, in hexadecimal.

    Canonical: keys sorted, no white space, UTF-8. The same content has the same key on every
    machine and in every session.

    Example:
        >>> content_key("ada", 1)[:12]
        '2316b0efde16'
    """
    text = json.dumps(parts, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def question_key(user_id: str, context: Sequence[Message]) -> str:
    """Return the identity of a context put to a person, by the texts of its messages.

    Example:
        >>> asked = question_key("ada", [Message("Tea?")])
        >>> asked == question_key("ada", [Message("Tea?", name="bob")])
        True
        >>> asked == question_key("bob", [Message("Tea?")])
        False
    """
    return content_key(user_id, [message.content for message in context])
