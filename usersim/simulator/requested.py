"""What a caller may give as the requests of a run, as rows that the corpus checks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias, cast

from usersim.corpus import AskedRow
from usersim.corpus.readers.frames import is_frame
from usersim.errors import ConfigError
from usersim.simulator.asking import Context, seen_before
from usersim.types import ActionSpace, FreeText, Interaction, Message, Number, Question, as_messages

__all__ = ["RequestSource", "row_of", "rows_of"]

RequestSource: TypeAlias = str | Path | Iterable[tuple[str | None, Context] | Mapping[str, object]]
"""A JSONL, CSV or Parquet file, or an iterable of (user_id, context) pairs or of rows without an
action (`user_id`, `context`, `action_type`, `options`, `metadata`)."""

_PAIR = 2


def rows_of(source: RequestSource) -> object:
    """Return `source` as the corpus reads it: pairs become rows, one at a time."""
    given = cast("object", source)
    if isinstance(given, str | Path | Mapping | bytes) or is_frame(given):
        return cast("object", given)
    return _rows(cast("Iterable[object]", given)) if isinstance(given, Iterable) else given


def _rows(source: Iterable[object]) -> Iterator[object]:
    for item in source:
        yield _row(cast("tuple[str, Context]", item)) if _is_pair(item) else item


def _is_pair(item: object) -> bool:
    return isinstance(item, tuple) and len(cast("tuple[object, ...]", item)) == _PAIR


def _row(pair: tuple[str, Context]) -> AskedRow:
    """Return a pair as a row; what is wrong with it, the check of rows says."""
    user_id, context = pair
    row: dict[str, object] = {"user_id": user_id}
    messages: object = context
    if isinstance(context, Question | Interaction):
        row |= _limits(context.space)
        messages = context.context
    if not isinstance(messages, str):
        with suppress(ConfigError):  # what is no message, the check of rows says
            messages = [_message(one) for one in as_messages(messages)]
    return AskedRow({**row, "context": messages}, seen_before(user_id, context))


def row_of(user_id: str, question: Question) -> dict[str, object]:
    """Return a question to a person as a row of the row format, without an action."""
    context = [_message(one) for one in question.context]
    return {"user_id": user_id, **_limits(question.space), "context": context}


def _message(message: Message) -> dict[str, object]:
    return {"role": message.role, "name": message.name, "content": message.content}


def _limits(space: ActionSpace) -> dict[str, object]:
    """Return the fields of a row that describe an action space."""
    if isinstance(space, FreeText):
        return {}
    if not isinstance(space, Number):
        return {"action_type": space.kind, "options": list(space.options)}
    limits = {name: getattr(space, name) for name in ("low", "high", "unit", "integer")}
    return {"action_type": space.kind, **limits}
