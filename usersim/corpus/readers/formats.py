"""Formats: which shape a record has, and how it becomes rows of the row format."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Literal, Protocol, get_args

from usersim.corpus.readers.chat import ChatRows, messages_chat
from usersim.corpus.readers.codebook import Codebook
from usersim.corpus.readers.datasets import OasstRows, arena_rows, hh_chat
from usersim.corpus.readers.records import LeftOut, UnusableRow
from usersim.corpus.readers.survey import WideRows, long_rows
from usersim.corpus.readers.vendors import chatgpt_chat, claude_chat
from usersim.errors import CorpusFormatError

__all__ = ["Format", "Made", "RowMaker", "row_maker"]

Format = Literal[
    "auto",
    "rows",
    "messages",
    "sharegpt",
    "survey_wide",
    "survey_long",
    "chatgpt",
    "claude",
    "whatsapp",
    "telegram",
    "slack",
    "discord",
    "mbox",
    "oasst",
    "lmsys",
    "arena",
    "hh",
    "limesurvey",
    "surveymonkey",
    "spss",
]
"""How a source is to be read; `auto` detects it from the content."""

SOURCE_FORMATS = frozenset({"whatsapp", "telegram", "slack", "discord", "mbox"})
"""Formats of whole files and folders, whose records cannot be distinguished one by one."""
TABLE_FORMATS = frozenset({"limesurvey", "surveymonkey", "spss"})
"""Tables that bring their codebook along; their records are wide."""

Made = Mapping[str, object] | UnusableRow | LeftOut | None
"""A row, one that cannot be used, what is not a row, or an answer that was left blank."""


class RowMaker(Protocol):
    """From records to rows."""

    def __call__(self, record: Mapping[str, object]) -> Iterator[Made]:
        """Yield the rows that a record completes."""
        ...

    def finish(self) -> Iterator[Made]:
        """Yield what was waiting for more, after the last record."""
        ...

    def notes(self) -> list[str]:
        """Return what was settled on the way and is worth a look."""
        ...


class _Plain:
    """A row maker without memory.

    Args:
        make: From a record to its rows.
        whole: One with memory whose end counts too.
    """

    def __init__(
        self,
        make: Callable[[Mapping[str, object]], Iterator[Made]],
        *,
        finish: Callable[[], Iterator[Made]] | None = None,
        notes: Callable[[], list[str]] = list[str],
    ) -> None:
        self._make = make
        self._finish = finish
        self._notes = notes

    def __call__(self, record: Mapping[str, object]) -> Iterator[Made]:
        return self._make(record)

    def finish(self) -> Iterator[Made]:
        return iter(()) if self._finish is None else self._finish()

    def notes(self) -> list[str]:
        return self._notes()


def row_maker(
    name: str,
    first: Mapping[str, object] | None,
    *,
    codebook: Codebook | None,
    person: str | None,
    user_id: str | None,
) -> tuple[str, RowMaker]:
    """Return the format's name and what makes rows of it.

    Args:
        name: A `Format`.
        first: The first record, from which `auto` detects the format.
        codebook: What the columns of a survey mean.
        person: Role or name of the modeled person in a chat.
        user_id: Id where a record has none.

    Returns:
        The format and the function.

    Raises:
        CorpusFormatError: If the format is unknown, or a wide survey has no codebook.
    """
    if name not in get_args(Format):
        raise CorpusFormatError(f"format {name!r} is not one of {list(get_args(Format))}")
    found = _recognized(first or {}, codebook) if name == "auto" else name
    if found in {"survey_wide", *TABLE_FORMATS}:
        return found, _wide(codebook, first or {}, user_id)
    if found == "survey_long":
        return found, _Plain(lambda record: long_rows(record, codebook))
    return found, _talk(found, person, user_id) or _Plain(lambda record: iter((record,)))


def _talk(name: str, person: str | None, user_id: str | None) -> RowMaker | None:
    """Return what makes rows of chats; None if the format is none."""
    if name == "arena":
        return _Plain(lambda record: arena_rows(record, user_id=user_id))
    if name == "oasst":
        oasst = OasstRows(person=person, user_id=user_id)
        return _Plain(oasst, finish=oasst.finish)
    if name not in _CHATS:
        return None
    read, named = _CHATS[name]
    chats = ChatRows(read, person=person, user_id=user_id, named=named)
    return _Plain(chats, finish=chats.finish)


_CHATS = {
    "messages": (messages_chat, True),
    "sharegpt": (messages_chat, True),
    "lmsys": (messages_chat, False),
    "chatgpt": (chatgpt_chat, False),
    "claude": (claude_chat, False),
    "hh": (hh_chat, False),
}
"""Reader of a record, and whether a record may say whose it is."""


def _wide(codebook: Codebook | None, first: Mapping[str, object], user_id: str | None) -> RowMaker:
    if codebook is None:
        raise CorpusFormatError(
            "a wide survey needs a codebook",
            hint='give codebook={"Q1": {"text": "…", "kind": "scale", "options": […]}, …}',
            cli_hint="give --codebook FILE, which holds "
            '{"Q1": {"text": "…", "kind": "scale", "options": […]}, …}',
        )
    if not codebook.items:
        raise CorpusFormatError("the codebook has no questions")
    wide = WideRows(codebook, user_id=user_id, first=first)
    return _Plain(wide, notes=wide.notes)


def _recognized(first: Mapping[str, object], codebook: Codebook | None) -> str:
    for name, fields in _SIGNS:
        if all(field in first for field in fields):
            return name
    if isinstance(first.get("conversation"), list):
        return "lmsys"
    return "rows" if codebook is None else "survey_wide"


_SIGNS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("rows", ("context", "action")),
    ("chatgpt", ("mapping", "current_node")),
    ("claude", ("chat_messages",)),
    ("arena", ("conversation_a", "conversation_b", "winner")),
    ("hh", ("chosen", "rejected")),
    ("oasst", ("message_tree_id", "prompt")),
    ("oasst", ("message_id", "parent_id", "role", "text")),
    ("messages", ("messages",)),
    ("sharegpt", ("conversations",)),
    ("survey_long", ("question", "answer")),
)
"""Fields by which the first record tells its format; the first that fits wins."""
