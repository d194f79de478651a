"""Formats: which shape a record has, and how it becomes rows of the row format."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Literal, cast, get_args

from usersim.corpus.readers.chat import chat_rows
from usersim.corpus.readers.survey import Codebook, long_rows, wide_rows
from usersim.errors import CorpusFormatError

__all__ = ["Format", "RowMaker", "row_maker"]

Format = Literal["auto", "rows", "messages", "sharegpt", "survey_wide", "survey_long"]
"""How a source is to be read; `auto` tells by the first record."""

RowMaker = Callable[[Mapping[str, object]], Iterator[Mapping[str, object] | None]]
"""From a record to its rows; None for an answer that was left blank."""


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
        first: The first record, by which `auto` tells the format.
        codebook: What the columns of a survey mean.
        person: Role or name of the modelled person in a chat.
        user_id: Id where a record has none.

    Returns:
        The format and the function.

    Raises:
        CorpusFormatError: If the format is unknown, or a wide survey has no codebook.
    """
    if name not in get_args(Format):
        raise CorpusFormatError(f"format {name!r} is not one of {list(get_args(Format))}")
    found = _recognised(first or {}, codebook) if name == "auto" else name
    if found == "survey_wide" and codebook is None:
        raise CorpusFormatError(
            "a wide survey needs a codebook",
            hint='give codebook={"Q1": {"text": "…", "kind": "scale", "options": […]}, …}',
        )

    def make(record: Mapping[str, object]) -> Iterator[Mapping[str, object] | None]:
        if found == "rows":
            return iter((record,))
        if found in {"messages", "sharegpt"}:
            return chat_rows(record, person=person, user_id=user_id)
        if found == "survey_long":
            return long_rows(record, codebook)
        return wide_rows(record, cast("Codebook", codebook), user_id=user_id)

    return found, make


def _recognised(first: Mapping[str, object], codebook: Codebook | None) -> str:
    if "context" in first and "action" in first:
        return "rows"
    if "messages" in first:
        return "messages"
    if "conversations" in first:
        return "sharegpt"
    if "question" in first and "answer" in first:
        return "survey_long"
    return "rows" if codebook is None else "survey_wide"
