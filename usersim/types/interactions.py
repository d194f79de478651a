"""What a person did: the context they stood in, and the action that followed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from hashlib import sha256
from typing import Literal, Protocol

from usersim.errors import ActionError
from usersim.types.actions import ActionSpace, ActionValue, FreeText, asked_space
from usersim.types.messages import ContextLike, Message, as_messages

__all__ = [
    "Interaction",
    "Question",
    "Retriever",
    "Split",
    "content_key",
    "question_key",
]

Split = Literal["train", "held_out"]


@dataclass(frozen=True, slots=True, init=False)
class Question:
    """A context to be answered, and what an answer may be.

    Args:
        context: A text, a message, or messages, oldest first; dicts with `role` and `content`
            are messages.
        space: What the person can do; free text if nothing says otherwise.
        options: Options of a closed question, in order, instead of `space`.
        kind: `choice` (the default where options are given), `scale`, `number`,
            `multi_choice` or `free_text`, instead of `space`.

    Attributes:
        context: Messages, oldest first.
        space: What the person can do.

    Raises:
        ActionError: If options and kind do not fit each other, or stand beside `space`.
        ConfigError: If the context is not a text or messages.

    Example:
        >>> Question("Tea?", options=["yes", "no"]).space
        Choice(options=('yes', 'no'), kind='choice')
        >>> Question([{"role": "assistant", "content": "How many cups?"}], kind="number").context
        (Message(content='How many cups?', role='assistant', name=None),)
    """

    context: tuple[Message, ...]
    space: ActionSpace

    def __init__(
        self,
        context: ContextLike,
        space: ActionSpace | None = None,
        *,
        options: Iterable[str] | None = None,
        kind: str | None = None,
    ) -> None:
        if options is not None or kind is not None:
            if space is not None:
                raise ActionError(
                    f"the question already has an action space: {space!r}",
                    hint="leave out space=, or options= and kind=",
                    cli_hint="leave out --option and --kind",
                )
            space = asked_space(options, kind)
        object.__setattr__(self, "context", as_messages(context))
        object.__setattr__(self, "space", FreeText() if space is None else space)

    @property
    def key(self) -> str:
        """Identity of the question, whoever is asked.

        By the texts of its messages, the kind of answer and the options; names and roles do not
        count.
        """
        space = {one.name: getattr(self.space, one.name) for one in fields(self.space)}
        return content_key([message.content for message in self.context], space)

    @classmethod
    def of(cls, context: ContextLike | Question) -> Question:
        """Return `context` as a question; a question stays as it is.

        Example:
            >>> Question.of("Tea or coffee?").context[0].content
            'Tea or coffee?'
        """
        return context if isinstance(context, Question) else cls(context)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interaction:
    """One observed (context, action) pair of one person.

    Attributes:
        key: Content hash; the identity in the store and in every cache.
        user_id: Whose behavior it is.
        position: Place in that person's history, 0 for the oldest.
        context: Messages, oldest first; dicts are messages too.
        action: The typed value of what the person did.
        space: What the person could have done.
        conversation: Interactions that share it are never split apart.
        timestamp: ISO 8601 text, where known.
        split: Part that it belongs to.
        metadata: What else the source said.

    Example:
        >>> from usersim.types import Choice, Message
        >>> one = Interaction(
        ...     key="k1",
        ...     user_id="ada",
        ...     position=0,
        ...     context=(Message("Tea or coffee?"),),
        ...     action="tea",
        ...     space=Choice(("tea", "coffee")),
        ...     conversation="c1",
        ... )
        >>> one.action_text, one.question.space
        ('tea', Choice(options=('tea', 'coffee'), kind='choice'))
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

    def __post_init__(self) -> None:
        if not all(message.__class__ is Message for message in self.context):
            object.__setattr__(self, "context", as_messages(self.context))

    @property
    def action_text(self) -> str:
        """The action as the model reads and writes it."""
        return self.space.render(self.action)

    @property
    def question(self) -> Question:
        """The context and action space, without the action."""
        return Question(self.context, self.space)


class Retriever(Protocol):
    """Finds what a person already did that bears on a question.

    Example:
        >>> from usersim import Corpus, UserSimulator
        >>> class Newest:
        ...     def __init__(self, corpus):
        ...         self.corpus = corpus
        ...     def retrieve(self, user_id, question, *, before, limit):
        ...         return self.corpus.history(user_id, before=before, limit=limit)
        >>> rows = [{"user_id": "ada", "context": f"Tea {i}?", "action": "Yes."} for i in range(5)]
        >>> with Corpus.open(":memory:") as corpus:
        ...     report = corpus.add(rows)
        ...     sim = UserSimulator(corpus, engine="scripted", retriever=Newest(corpus))
        ...     len(sim.respond("Milk?").trace.history)
        4
    """

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


def question_key(user_id: str, context: ContextLike) -> str:
    """Return the identity of a context put to a person, by the texts of its messages.

    Example:
        >>> asked = question_key("ada", [Message("Tea?")])
        >>> asked == question_key("ada", [Message("Tea?", name="bob")])
        True
        >>> asked == question_key("bob", [Message("Tea?")])
        False
    """
    return content_key(user_id, [message.content for message in as_messages(context)])
