"""Published data sets of talk with an assistant: OASST, LMSYS and Chatbot Arena, HH-RLHF."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import cast

from usersim.corpus.readers.chat import EMPTY, Chat, ChatTurn, messages_chat
from usersim.corpus.readers.records import MOST_CONTEXT, LeftOut, UnusableRow
from usersim.corpus.readers.talk import OPENING
from usersim.corpus.store.values import RowError
from usersim.errors import SpeakerNotFoundError

__all__ = ["OasstRows", "arena_rows", "hh_chat"]

ASSISTANT = "assistant turns"
DELETED = "deleted messages"
REJECTED = "rejected answers"
_OASST_ROLES = {"prompter": "user", "assistant": "assistant"}
_HH_TURN = re.compile(r"(?:^|\n\n)(Human|Assistant):[ ]?")
_ARENA = {
    "model_a": "Answer A",
    "model_b": "Answer B",
    "tie": "A tie",
    "tie (bothbad)": "A tie, both bad",
}
_WINNERS = {"tie (both bad)": "tie (bothbad)", "both_bad": "tie (bothbad)"}

Object = Mapping[str, object]


def hh_chat(record: Object) -> Chat:
    r"""Return the chosen chat of a row of HH-RLHF; the rejected last answer is left out.

    Raises:
        RowError: If `chosen` is not a text with `Human:` and `Assistant:` turns.

    Example:
        >>> [turn.content for turn in hh_chat({"chosen": "\n\nHuman: Hi\n\nAssistant: Yes?"}).turns]
        ['Hi', 'Yes?']
    """
    text = record.get("chosen")
    if isinstance(text, list):
        return messages_chat({"messages": cast("object", text)})
    if not isinstance(text, str):
        raise RowError("chosen", text, "is not a text")
    marks = list(_HH_TURN.finditer(text))
    if not marks or text[: marks[0].start()].strip():
        raise RowError("chosen", text[:80], "does not begin with 'Human:' or 'Assistant:'")
    chat = Chat([], left=Counter({REJECTED: 1} if record.get("rejected") else {}))
    for mark, after in zip(marks, [*marks[1:], None], strict=True):
        said = text[mark.end() : after.start() if after else None].strip()
        if not said:
            chat.left[EMPTY] += 1
            continue
        label = "user" if mark[1] == "Human" else "assistant"
        chat.turns.append(ChatTurn(label, label, said))
    return chat


def arena_rows(record: Object, *, user_id: str | None) -> Iterator[Mapping[str, object] | LeftOut]:
    """Yield the vote of a row of Chatbot Arena: which of two answers the judge preferred.

    Args:
        record: `conversation_a`, `conversation_b`, `winner`, `judge`.
        user_id: Id where the row names no judge.

    Yields:
        One row: a choice among the two answers and two kinds of tie.

    Raises:
        RowError: If a conversation or the vote cannot be read.
    """
    said: dict[str, list[Object]] = {}
    for name in ("conversation_a", "conversation_b"):
        turns = record.get(name)
        listed = cast("list[object]", turns) if isinstance(turns, list) else []
        if not listed or not all(isinstance(turn, Mapping) for turn in listed):
            raise RowError(name, cast("object", turns), "is not a list of messages")
        said[name] = [cast("Object", turn) for turn in listed]
    winner = str(record.get("winner"))
    label = _ARENA.get(_WINNERS.get(winner, winner))
    if label is None:
        raise RowError("winner", winner, f"is not one of {list(_ARENA)}")
    judge = record.get("judge") or user_id
    asked = [t for t in said["conversation_a"] if t.get("role") == "user"]
    shown = "\n\n".join(
        f"Answer {which}:\n" + "\n\n".join(_answers(said[f"conversation_{which.lower()}"]))
        for which in "AB"
    )
    yield {
        "user_id": judge,
        "conversation_id": record.get("question_id"),
        "timestamp": record.get("tstamp"),
        "context": [
            *({"role": "user", "name": judge, "content": str(t.get("content"))} for t in asked),
            {"role": "system", "name": "arena", "content": f"{shown}\n\nWhich answer is better?"},
        ],
        "action": label,
        "action_type": "choice",
        "options": list(_ARENA.values()),
        "metadata": {n: record[n] for n in ("model_a", "model_b", "language") if record.get(n)},
    }


def _answers(turns: list[Object]) -> list[str]:
    return [str(turn.get("content")) for turn in turns if turn.get("role") == "assistant"]


class OasstRows:
    """Makes rows of OASST: each prompt of a person, with the path that leads to it.

    Rows may be whole trees (`prompt` with `replies`) or single messages (`message_id`,
    `parent_id`); the messages of a tree stand together, as in the published files, so that memory
    holds one tree at a time.

    Args:
        person: Only this author's prompts; also the role, which is the same as None.
        user_id: Only this author's, too; the id where messages name nobody.
    """

    def __init__(self, *, person: str | None, user_id: str | None) -> None:
        role = person is not None and person.lower() in {*_OASST_ROLES, "user", "human"}
        self._person = None if role else person
        self._user_id = user_id
        self._tree: object = None
        self._messages: list[Object] = []
        self._authors: Counter[str] = Counter()
        self._heard = False

    def __call__(self, record: Object) -> Iterator[Mapping[str, object] | LeftOut | UnusableRow]:
        """Yield the rows that a record completes.

        Args:
            record: A tree or a message.

        Yields:
            Rows, messages that are none, and messages whose parent is not there.
        """
        prompt = record.get("prompt")
        if isinstance(prompt, Mapping):
            yield from self._flush()
            tree = {"message_tree_id": record.get("message_tree_id")}
            self._messages = [{**tree, **m} for m in _flat(cast("Object", prompt), None)]
            yield from self._flush()
            return
        tree = record.get("message_tree_id")
        if tree != self._tree:
            yield from self._flush()
            self._tree = tree
        self._messages.append(record)

    def finish(self) -> Iterator[Mapping[str, object] | LeftOut | UnusableRow]:
        """Yield what is left of the last tree.

        Yields:
            Rows, and what is none.

        Raises:
            SpeakerNotFoundError: If the person wrote nothing.
        """
        yield from self._flush()
        if self._person and not self._heard:
            raise SpeakerNotFoundError(self._person, self._authors)

    def _flush(self) -> Iterator[Mapping[str, object] | LeftOut | UnusableRow]:
        known = {str(message.get("message_id")): message for message in self._messages}
        self._messages = []
        for message in known.values():
            yield from self._made(message, known)

    def _made(
        self, message: Object, known: Mapping[str, Object]
    ) -> Iterator[Mapping[str, object] | LeftOut | UnusableRow]:
        role, text = message.get("role"), message.get("text")
        if role != "prompter":
            yield LeftOut(ASSISTANT)
            return
        if message.get("deleted") or not isinstance(text, str) or not text.strip():
            yield LeftOut(DELETED if message.get("deleted") else EMPTY)
            return
        author = message.get("user_id") or self._user_id
        self._authors[str(author)] += 1
        if self._person is not None and str(author) != self._person:
            yield LeftOut("prompts of others")
            return
        self._heard = True
        parent, context = message.get("parent_id"), list[dict[str, object]]()
        while parent is not None and len(context) < MOST_CONTEXT:
            before = known.get(str(parent))
            if before is None or len(context) > len(known):
                reason = "is not in the message's tree" if before is None else "is part of a cycle"
                yield UnusableRow(dict(message), "parent_id", parent, reason)
                return
            named = str(before.get("user_id")) if before.get("user_id") == author else None
            turn = {"role": _OASST_ROLES.get(str(before.get("role")), "user"), "name": named}
            context.append({**turn, "content": str(before.get("text") or "(deleted)")})
            parent = before.get("parent_id")
        opening = {"role": "system", "name": "conversation", "content": OPENING}
        yield {
            "user_id": author if self._user_id is None or self._person is None else self._user_id,
            "conversation_id": message.get("message_tree_id") or _root(message, known),
            "timestamp": message.get("created_date"),
            "id": message.get("message_id"),
            "context": context[::-1] or [opening],
            "action": text,
            "action_type": "free_text",
            "metadata": {"lang": message["lang"]} if message.get("lang") else None,
        }


def _root(message: Object, known: Mapping[str, Object]) -> object:
    seen = 0
    while (parent := known.get(str(message.get("parent_id")))) is not None and seen < len(known):
        message, seen = parent, seen + 1
    return message.get("message_id")


def _flat(message: Object, parent: object) -> Iterator[Object]:
    """Yield the messages of a tree, parents first."""
    waiting: list[tuple[Object, object]] = [(message, parent)]
    while waiting:
        one, above = waiting.pop()
        replies = one.get("replies")
        yield {**{k: v for k, v in one.items() if k != "replies"}, "parent_id": above}
        listed = cast("list[object]", replies) if isinstance(replies, list) else []
        below = [cast("Object", reply) for reply in listed if isinstance(reply, Mapping)]
        waiting.extend((reply, one.get("message_id")) for reply in reversed(below))
