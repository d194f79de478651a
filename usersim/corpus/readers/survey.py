"""Surveys: wide tables (a row per respondent) and long ones (a row per answer)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

from usersim.corpus.readers.codebook import Codebook, CodebookItem
from usersim.corpus.readers.records import LeftOut, UnusableRow
from usersim.corpus.store.values import RowError
from usersim.errors import ActionError, CorpusFormatError
from usersim.types import plain_value

__all__ = ["WideRows", "long_rows"]

MISSING = "answers marked as missing"
_LONG = {"question": "context", "answer": "action"}


class WideRows:
    """Makes rows of the respondents of a wide table.

    Args:
        codebook: What the columns mean.
        user_id: Id where a record has none.
        first: The first record.

    Raises:
        CorpusFormatError: If no column says who answered.
    """

    def __init__(
        self, codebook: Codebook, *, user_id: str | None, first: Mapping[str, object]
    ) -> None:
        self._codebook = codebook
        self._user_id = user_id
        self._columns: dict[str, None] = {}
        if user_id is None and first and not codebook.names_respondents(first):
            raise CorpusFormatError(
                f"no column identifies the respondent; the columns are {list(first)!r}",
                hint='mark one in the codebook: {"COLUMN": {"kind": "id"}}; the usual names, such '
                "as respondent_id, need no mark",
            )

    def __call__(
        self, record: Mapping[str, object]
    ) -> Iterator[Mapping[str, object] | UnusableRow | LeftOut | None]:
        """Yield one row per answer of a respondent, None per blank cell.

        Args:
            record: One respondent.

        Yields:
            Rows of the row format, and what cannot be one.

        Raises:
            RowError: If a record has none of the codebook's columns.
        """
        codebook = self._codebook
        self._columns.update(dict.fromkeys(record))
        if len(codebook.absent(record)) == len(codebook.items):
            raise RowError("", list(record), "has none of the codebook's columns")
        respondent = codebook.respondent(record)
        shared = {
            "user_id": self._user_id if respondent is None else respondent,
            "timestamp": codebook.time(record),
        }
        others = codebook.others(record)
        for item in codebook.items.values():
            cell = codebook.cell(record, item.column)
            row = {**shared, "order": item.order, "metadata": {"column": item.column, **others}}
            yield _answer(cell, item, row)

    def notes(self) -> list[str]:
        """Return what is worth a look after the last record."""
        absent = self._codebook.absent(self._columns) if self._columns else []
        said = [f"columns of the codebook that are missing in the table: {', '.join(absent)}"]
        return [*self._codebook.notes, *(said if absent else [])]


def _answer(
    cell: object, item: CodebookItem, row: dict[str, object]
) -> dict[str, object] | UnusableRow | LeftOut | None:
    """Return the row of a cell; None if it is blank."""
    plain = plain_value(cell)
    if plain is None or (isinstance(plain, str) and not plain.strip()):
        return None
    row |= item.asked()
    try:
        action = item.answer(plain)
    except ActionError as error:
        return UnusableRow({**row, "action": plain}, item.column, plain, str(error))
    if action is None:
        return LeftOut(MISSING)
    return {**row, "action": list(action) if isinstance(action, tuple) else action}


def long_rows(
    record: Mapping[str, object], codebook: Codebook | None
) -> Iterator[Mapping[str, object] | UnusableRow | LeftOut | None]:
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
    row = {name: value for name, value in record.items() if name not in _LONG}
    if "kind" in row:
        row["action_type"] = row.pop("kind")
    if isinstance(row.get("options"), str):
        parts = cast("str", row["options"]).split("|")
        row["options"] = [part.strip() for part in parts if part.strip()]
    item = codebook.items.get(question) if codebook else None
    if item is not None:
        yield _answer(answer, item, row)
        return
    plain = plain_value(answer)
    if plain is None or plain == "":
        yield None
        return
    context = [{"role": "user", "name": "survey", "content": question}]
    yield {**row, "context": context, "action": plain}
