"""One row of a source, checked and made ready for the store.

The row format is the one shape that every source is brought into: `user_id`, `context`,
`action`, and optionally `timestamp`, `order`, `id`, `conversation_id`, `action_type`,
`options`, `low`, `high`, `unit`, `integer`, `metadata`. This is the hot path of a load, so it
is written by hand. Knows values; knows no file format and no database.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import orjson

from usersim.config import CorpusConfig
from usersim.corpus.store.prepared_rows import PreparedQuestion, PreparedRow, Tally
from usersim.corpus.store.spaces import RowSpaces
from usersim.corpus.store.values import (
    RowError,
    clean_text,
    dump_json,
    interaction_key,
    moment_of,
    number_of,
    shortened,
)
from usersim.errors import ActionError
from usersim.types import (
    ROLES,
    ActionSpace,
    Choice,
    DateOrder,
    FreeText,
    Scale,
    plain_value,
)

__all__ = ["ROW_FIELDS", "UNREAD", "RowChecker", "interaction_key"]

UNREAD = "unread_fields"
"""Where the metadata keep optional fields that could not be read; an export gives them back."""

ROW_FIELDS = frozenset(
    {
        "user_id",
        "timestamp",
        "order",
        "id",
        "conversation_id",
        "context",
        "action",
        "action_type",
        "options",
        "low",
        "high",
        "unit",
        "integer",
        "metadata",
        "_refused",
    }
)
"""Fields of the row format. `_refused` is what a written-out refusal adds; it is ignored."""

_CONVERSATION_FIELDS = (
    "conversation_id",
    "conversation",
    "session",
    "meeting",
    "case",
    "thread_id",
)
_CONVERSATION_SET = frozenset(_CONVERSATION_FIELDS)
_MESSAGE_FIELDS = frozenset({"role", "name", "content"})
_CANONICAL_ROLES = frozenset({"system", "user", "assistant"})
_ONE_OF = (Choice, Scale)
_Place = tuple[str | None, str | None, float | None, float | None, str | None]
"""Conversation, timestamp, moment, order and id of a row."""


class RowChecker:
    """Checks rows of the row format and computes their identity.

    Args:
        config: Longest message and action.
        user_id: Only this user's rows; also the user of rows that name none.
        keep_others: Keep the rows of other users too.
        tally: Where truncations and the like are counted.
        date_order: How dates like `05/01/2024` are written.
    """

    def __init__(
        self,
        config: CorpusConfig,
        *,
        user_id: str | None,
        keep_others: bool = False,
        tally: Tally,
        date_order: DateOrder | None = None,
    ) -> None:
        self._max_message = config.max_message_chars
        self._max_action = config.max_action_chars
        self._unnamed = user_id
        self._only = None if keep_others else user_id
        self._tally = tally
        # Rows mostly come user by user: the last checked id need not be checked again.
        self._last_user: str | None = None
        self._spaces = RowSpaces(self._clean)
        self._date_order: DateOrder | None = date_order

    def check(self, row: Mapping[str, object]) -> PreparedRow | None:
        """Return `row` ready for the store; None if it is another user's.

        Raises:
            RowError: Naming the field, its value and the reason.
        """
        given = row.get("user_id")
        user_id = given if type(given) is str and given == self._last_user else self._user(given)
        if user_id is None:
            self._tally.other_users += 1
            return None
        self._last_user = user_id
        extra = self._metadata(row)
        odd: dict[str, object] = {}
        context = self._context(row.get("context"), odd)
        if odd:
            extra = {**extra, "context_fields": odd}
        space, space_json = self._spaces.of(row)
        action = self._action(row.get("action"), space)
        place, unread = self._place(row)
        if unread:
            extra = {**extra, UNREAD: unread}
        metadata = self._json(extra).decode() if extra else None
        what = (user_id, space.kind, space_json, action)
        return self._identified(what, place, unread, context, metadata)

    def question(self, row: Mapping[str, object]) -> PreparedQuestion | None:
        """Return what a row asks, whatever was done; None if it is another user's.

        Raises:
            RowError: Naming the field, its value and the reason.
        """
        user_id = self._user(row.get("user_id"))
        if user_id is None:
            self._tally.other_users += 1
            return None
        odd: dict[str, object] = {}
        context = self._context(row.get("context"), odd).decode()
        extra = {**self._metadata(row), **({"context_fields": odd} if odd else {})}
        asked = {name: value for name, value in row.items() if name != "action"}
        space, space_json = self._spaces.of(asked)
        metadata = self._json(extra).decode() if extra else None
        return PreparedQuestion(user_id, space.kind, space_json, context, metadata)

    def _place(self, row: Mapping[str, object]) -> tuple[_Place, dict[str, object]]:
        """Return where a row stands in its person's history, and what of that cannot be read."""
        unread: dict[str, object] = {}
        given = row.get("timestamp")
        try:
            timestamp, moment = moment_of(given, date_order=self._date_order)
        except RowError:
            timestamp, moment = None, None
            unread["timestamp"] = given
        try:
            order = number_of(row.get("order"), "order")
        except RowError:
            order = None
            unread["order"] = row["order"]
        source_id = None if row.get("id") is None else self._optional_name(row, "id", unread)
        if unread:
            for name, value in unread.items():
                self._tally.unread(name, value)
        conversation = self._conversation(row)
        return (conversation, timestamp, moment, order, source_id), unread

    def _optional_name(
        self, row: Mapping[str, object], name: str, unread: dict[str, object]
    ) -> str | None:
        try:
            return self._name(row[name], name)
        except RowError:
            unread[name] = row[name]
            return None

    def _identified(
        self,
        what: tuple[str, str, str | None, str],
        place: _Place,
        unread: Mapping[str, object],
        context: bytes,
        metadata: str | None,
    ) -> PreparedRow:
        user_id, kind, space_json, action = what
        conversation, timestamp, moment, order, source_id = place
        # Clean texts and finite numbers by now: nothing that `dump_json` would have to mend.
        head = (user_id, conversation, moment, order, source_id, kind, space_json)
        values = (
            user_id,
            conversation,
            interaction_key(head, context, action, unread),
            moment,
            order,
            source_id,
            timestamp,
            kind,
            space_json,
            action,
            context.decode(),
            metadata,
        )
        return PreparedRow._make(values)  # two thirds of the time of PreparedRow(*values)

    def _user(self, value: object) -> str | None:
        if value is None or value == "":
            if self._unnamed is None:
                raise RowError("user_id", value, "is missing")
            return self._unnamed
        name = self._name(value, "user_id")
        return name if self._only is None or name == self._only else None

    def _name(self, value: object, name: str) -> str | None:
        if value is None:
            return None
        if value.__class__ is not str:
            value = plain_value(value)
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # a table with gaps turns whole numbers into floats
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise RowError(name, value, "is not a text or a whole number")
        return self._clean(str(value)) or None

    def _clean(self, text: str) -> str:
        cleaned = clean_text(text)
        if cleaned is not text:
            self._tally.replaced_characters += 1
        return cleaned

    def _json(self, value: object) -> bytes:
        try:
            data = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
        except TypeError:
            return self._odd_json(value)
        return self._odd_json(value) if b"\\u0000" in data else data

    def _odd_json(self, value: object) -> bytes:
        found: list[str] = []
        data = dump_json(value, replaced=found)
        self._tally.replaced_characters += len(found)
        return data

    def _metadata(self, row: Mapping[str, object]) -> dict[str, object]:
        value = row.get("metadata")
        if value is not None and not isinstance(value, dict):
            self._tally.unread("metadata", value)
            value = {"metadata": value}
        extra = cast("dict[str, object]", value) if value else {}
        if ROW_FIELDS.issuperset(row):
            return extra
        extra = dict(extra)
        for name in sorted(map(str, row.keys() - ROW_FIELDS)):
            self._tally.unknown(name)
            if row.get(name) is not None:
                extra.setdefault(name, row[name])
        return extra

    def _conversation(self, row: Mapping[str, object]) -> str | None:
        value = row.get("conversation_id")
        if value is not None and value != "":
            self._tally.conversations["conversation_id"] += 1
            return self._name(value, "conversation_id")
        given = row.get("metadata")
        metadata = cast("dict[str, object]", given) if isinstance(given, dict) else None
        if metadata and not _CONVERSATION_SET.isdisjoint(metadata):
            for name in _CONVERSATION_FIELDS:
                value = metadata.get(name)
                if isinstance(value, str | int) and value != "":
                    self._tally.conversations[f"metadata.{name}"] += 1
                    return self._clean(str(value))
        self._tally.conversations["each row its own"] += 1
        return None

    def _context(self, value: object, odd: dict[str, object]) -> bytes:
        if self._is_canonical(value):
            return self._json(value)
        if isinstance(value, str):
            value = [{"content": value}]
        if not isinstance(value, list | tuple):
            reason = "is missing" if value is None else "is neither a text nor a list of messages"
            raise RowError("context", value, reason)
        items = cast("list[object]", value)
        messages = [self._message(item, index, odd) for index, item in enumerate(items)]
        if not any((message["content"] or "").strip() for message in messages):
            raise RowError("context", items, "is empty; at least one message needs text")
        return self._json(messages)

    def _is_canonical(self, value: Any) -> bool:  # noqa: ANN401 - a cast costs as much as a check here
        """Return whether this is a list of messages that can be stored as it is, uncopied."""
        if value.__class__ is not list or not value:  # `type(x) is` would lose the Any
            return False
        longest = self._max_message
        for item in value:
            if item.__class__ is not dict or len(item) != 3:  # noqa: PLR2004 - role, name, content
                return False
            content, name = item.get("content"), item.get("name", 0)
            if (
                content.__class__ is not str
                or not 0 < len(content) <= longest
                or content.isspace()
                or not (name is None or name.__class__ is str)
                or item.get("role") not in _CANONICAL_ROLES
            ):
                return False
        return True

    def _message(self, item: object, index: int, odd: dict[str, object]) -> dict[str, str | None]:
        if not isinstance(item, dict):
            raise RowError(f"context[{index}]", item, "is not a message (role, name, content)")
        message = cast("dict[str, object]", item)
        content, name = message.get("content"), message.get("name")
        if not isinstance(content, str):
            reason = "is missing" if content is None else "is not a text"
            raise RowError(f"context[{index}].content", content, reason)
        if name is not None and not isinstance(name, str):
            name = self._speaker(name, index, odd)
        given = message.get("role") or "user"
        role = ROLES.get(given) if isinstance(given, str) else None
        if role is None:
            raise RowError(f"context[{index}].role", given, f"is not one of {list(ROLES)}")
        if len(content) > self._max_message:
            content = shortened(content, self._max_message)
            self._tally.truncated_messages += 1
        if not message.keys() <= _MESSAGE_FIELDS:
            for key in sorted(message.keys() - _MESSAGE_FIELDS):
                self._tally.unknown(f"context[].{key}")
                odd[f"{index}.{key}"] = message[key]
        return {"role": role, "name": name, "content": content}

    def _speaker(self, name: object, index: int, odd: dict[str, object]) -> str | None:
        """Return a speaker's name that is not a text: a number's text, else nothing."""
        try:
            return self._name(name, "name")
        except RowError:
            self._tally.unread("context[].name", name)
            odd[f"{index}.name"] = name
            return None

    def _action(self, value: object, space: ActionSpace) -> str:
        if value is None or value == "":
            raise RowError("action", value, "is missing" if value is None else "is empty")
        if value.__class__ is str and self._is_settled(cast("str", value), space):
            return cast("str", value)
        try:
            return self._action_text(value, space)
        except ActionError as error:
            raise RowError("action", value, str(error)) from None

    def _is_settled(self, value: str, space: ActionSpace) -> bool:
        """Return whether this text is the action as it is; false says nothing."""
        if isinstance(space, FreeText):
            longest = self._max_action
            return len(value) <= longest and not value.isspace() and clean_text(value) is value
        return isinstance(space, _ONE_OF) and value in space.options

    def _action_text(self, value: object, space: ActionSpace) -> str:
        text = self._clean(value) if isinstance(value, str) else value
        action = self._spaces.reader(space)(text)
        if action is None:  # NaN, or white space
            number = isinstance(value, float)
            raise RowError("action", value, "is not a finite number" if number else "is empty")
        rendered = self._clean(space.render(action))
        if len(rendered) > self._max_action:
            raise RowError("action", text, f"is longer than {self._max_action} characters")
        return rendered
