"""Surveys: wide tables (a row per respondent) and long ones (a row per answer).

A codebook says for each column what was asked, what could be answered, and what the codes in
the table stand for.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from usersim.corpus.values import RowError
from usersim.errors import CorpusFormatError

__all__ = ["Codebook", "long_rows", "wide_rows"]

_ID_COLUMNS = ("user_id", "respondent_id", "respondent", "participant", "caseid", "id")
_KINDS = ("scale", "choice", "number", "multi_choice", "free_text")
_ROLES = ("id", "timestamp")
_SEPARATOR = "|"
_LONG = {"question": "context", "answer": "action"}
_LIMITS = ("low", "high", "unit", "integer")


@dataclass(frozen=True, slots=True)
class Item:
    """One question of a codebook."""

    column: str
    order: int
    text: str
    kind: str
    options: tuple[str, ...]
    codes: Mapping[str, str]
    limits: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Codebook:
    """What the columns of a survey mean.

    Attributes:
        items: Questions by column, in the codebook's order.
        id_column: Column of the respondent; None if it goes by a usual name.
        time_column: Column of the time; None if there is none.
    """

    items: Mapping[str, Item]
    id_column: str | None = None
    time_column: str | None = None

    @classmethod
    def read(cls, source: Mapping[str, object] | str | Path) -> Codebook:
        """Read a codebook from a dict, or from a JSON or CSV file.

        A dict maps a column to `{"text", "kind", "options", "codes"}`; `{"kind": "id"}` marks
        the respondent's column and `{"kind": "timestamp"}` the time. A CSV file has the
        columns `column, text, kind, options, codes`, options separated by `|`, codes as JSON.

        Raises:
            CorpusFormatError: If it cannot be read, naming the column.
        """
        entries = dict(source) if isinstance(source, Mapping) else _file_entries(Path(source))
        items: dict[str, Item] = {}
        roles: dict[str, str] = {}
        for order, (column, entry) in enumerate(entries.items()):
            if not isinstance(entry, Mapping):
                raise CorpusFormatError(f"codebook column {column!r}: {entry!r} is not an object")
            fields = cast("Mapping[str, object]", entry)
            kind = fields.get("kind")
            if kind in _ROLES:
                roles[str(kind)] = column
            else:
                items[column] = _item(column, order, fields)
        if not items:
            raise CorpusFormatError("the codebook has no question")
        return cls(items, roles.get("id"), roles.get("timestamp"))

    def respondent(self, record: Mapping[str, object]) -> object:
        """Return the respondent's id in `record`; None if there is none."""
        names = _ID_COLUMNS if self.id_column is None else (self.id_column,)
        return next((record[name] for name in names if record.get(name) is not None), None)

    def others(self, record: Mapping[str, object]) -> dict[str, object]:
        """Return what `record` says beside questions, respondent and time."""
        known = {*self.items, self.id_column, self.time_column, "_refused"}
        if self.id_column is None:
            known |= set(_ID_COLUMNS)
        return {k: v for k, v in record.items() if k not in known and v is not None}


def wide_rows(
    record: Mapping[str, object], codebook: Codebook, *, user_id: str | None
) -> Iterator[dict[str, object] | None]:
    """Yield one row per answer of a respondent, None per blank cell.

    Args:
        record: One respondent.
        codebook: What the columns mean.
        user_id: Id where the record has none.

    Yields:
        Rows of the row format.

    Raises:
        RowError: If a question of the codebook is no column of the table at all.
    """
    if not codebook.items.keys() & record.keys():
        raise RowError("", list(record), "has none of the codebook's columns")
    respondent = codebook.respondent(record)
    metadata = codebook.others(record)
    time = record.get(codebook.time_column) if codebook.time_column else None
    for item in codebook.items.values():
        raw = record.get(item.column)
        if raw is None or raw == "":
            yield None
            continue
        yield {
            "user_id": user_id if respondent is None else respondent,
            "timestamp": time,
            "order": item.order,
            "action": _decoded(raw, item),
            **_asked(item),
            "metadata": {"column": item.column, **metadata},
        }


def long_rows(
    record: Mapping[str, object], codebook: Codebook | None
) -> Iterator[dict[str, object] | None]:
    """Yield the one row of an answer, None if it is blank.

    Args:
        record: `user_id`, `question`, `answer`, and optionally the fields of the row format.
        codebook: Where `question` is a column of a codebook.

    Yields:
        The row.

    Raises:
        RowError: If there is no question.
    """
    question, answer = record.get("question"), record.get("answer")
    if not isinstance(question, str) or not question.strip():
        raise RowError("question", question, "is missing")
    if answer is None or answer == "":
        yield None
        return
    row = {name: value for name, value in record.items() if name not in _LONG}
    if "kind" in row:
        row["action_type"] = row.pop("kind")
    if isinstance(row.get("options"), str):
        row["options"] = _split(cast("str", row["options"]))
    item = codebook.items.get(question) if codebook else None
    if item is not None:
        yield {**row, **_asked(item), "action": _decoded(answer, item)}
    else:
        yield {**row, "context": _context(question), "action": answer}


def _asked(item: Item) -> dict[str, object]:
    options = list(item.options) or None
    return {
        "context": _context(item.text),
        "action_type": item.kind,
        "options": options,
        **item.limits,
    }


def _context(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "name": "survey", "content": text}]


def _decoded(raw: object, item: Item) -> object:
    """Return the answer that a cell stands for; a whole float and its integer are one code."""
    if item.kind == "multi_choice":
        cells = cast("list[object]", raw) if isinstance(raw, list) else _split(str(raw))
        return [item.codes.get(_code(cell), _code(cell)) for cell in cells]
    code = _code(raw)
    if code in item.codes:
        return item.codes[code]
    return raw if item.kind == "number" else code


def _code(raw: object) -> str:
    return str(int(raw)) if isinstance(raw, float) and raw.is_integer() else str(raw).strip()


def _item(column: str, order: int, fields: Mapping[str, object]) -> Item:
    text = fields.get("text") or fields.get("question")
    if not isinstance(text, str) or not text.strip():
        raise CorpusFormatError(f"codebook column {column!r} has no text", hint='add "text": "…"')
    codes = fields.get("codes")
    if codes is not None and not isinstance(codes, Mapping):
        raise CorpusFormatError(f"codebook column {column!r}: codes {codes!r} is not an object")
    named = {_code(k): str(v) for k, v in cast("Mapping[object, object]", codes or {}).items()}
    options = fields.get("options") or list(dict.fromkeys(named.values()))
    if isinstance(options, str):
        options = _split(options)
    if not isinstance(options, list | tuple):
        raise CorpusFormatError(f"codebook column {column!r}: options {options!r} is not a list")
    names = tuple(str(option) for option in cast("list[object]", options))
    kind = fields.get("kind") or ("choice" if names else "free_text")
    if kind not in _KINDS:
        raise CorpusFormatError(f"codebook column {column!r}: kind {kind!r} is not one of {_KINDS}")
    limits = {name: fields[name] for name in _LIMITS if fields.get(name) is not None}
    return Item(column, order, text, str(kind), names, named, limits)


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(_SEPARATOR) if part.strip()]


def _file_entries(path: Path) -> dict[str, object]:
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusFormatError(f"the codebook {str(path)!r} cannot be read: {error}") from error
    if text.lstrip().startswith("{"):
        return _json_object(text, f"the codebook {str(path)!r}")
    entries: dict[str, object] = {}
    for line in csv.DictReader(text.splitlines()):
        fields: dict[str, object] = {name: value for name, value in line.items() if value}
        column = fields.pop("column", None)
        if not isinstance(column, str):
            raise CorpusFormatError(
                f"the codebook {str(path)!r} has a line without a column: {fields!r}",
                hint="its header is: column,text,kind,options,codes",
            )
        if isinstance(fields.get("codes"), str):
            codes = cast("str", fields["codes"])
            fields["codes"] = _json_object(codes, f"codebook column {column!r}: codes")
        entries[column] = fields
    return entries


def _json_object(text: str, what: str) -> dict[str, object]:
    try:
        value: object = json.loads(text)
    except ValueError as error:
        raise CorpusFormatError(f"{what} cannot be read as JSON: {error}") from error
    if not isinstance(value, dict):
        raise CorpusFormatError(f"{what} is not a JSON object")
    return cast("dict[str, object]", value)
