"""What a load did: counts, and every refused row with the reason.

Refused rows go to a temporary file beyond a megabyte, so a load whose every row is refused
needs no more memory than a good one. Knows nothing of sources and stores.
"""

from __future__ import annotations

import json
import re
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from pathlib import Path
from typing import TYPE_CHECKING, cast

from usersim.corpus.store.prepared_rows import UnreadField
from usersim.errors import CorpusError
from usersim.files import replacing
from usersim.terminal import visible
from usersim.types.counting import counted
from usersim.views import in_words, printed

if TYPE_CHECKING:
    from rich.console import Group

__all__ = ["LoadReport", "RefusedGroup", "RefusedRow", "RefusedRows"]

_IN_MEMORY = 1 << 20
SHOWN_GROUPS = 5
"""Reasons of refusals that are shown where nobody asks for another number."""
_SHOWN_CHARS = 120
_FIRST = 3
"""Rows and values that are named of those refused for one reason."""
_MOST_GROUPS = 200
"""Reasons that are distinguished; any further ones are counted together."""
_VARIABLE = re.compile(r"""'[^']*'|"[^"]*"|\d+""")
"""What differs between two texts of one reason: quoted values and numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedRow:
    """One row that was not kept.

    Attributes:
        number: Place in the source: the line of a JSONL file, else the record, from 1.
        field: The field that is wrong; empty if the row as a whole is.
        value: What stands there.
        reason: Why it cannot be used.
        row: The whole row, as it was read.
    """

    number: int
    field: str
    value: object
    reason: str
    row: Mapping[str, object]

    def __str__(self) -> str:
        """Say it in one line."""
        return f"row {self.number}: {_said(self.field, [_short(self.value)], self.reason)}"


@dataclass(slots=True)
class RefusedGroup:
    """Rows that were refused for one reason.

    Attributes:
        field: The field that is wrong; empty if the rows as a whole are.
        reason: Why the first of them cannot be used.
        count: How many rows.
        numbers: Places of the first of them in the source.
        values: The first different values that stand there, as text.
    """

    field: str
    reason: str
    count: int = 0
    numbers: list[int] = dataclass_field(default_factory=list[int])
    values: list[str] = dataclass_field(default_factory=list[str])

    def add(self, number: int, value: object) -> None:
        """Count a row."""
        self.count += 1
        if number not in self.numbers and len(self.numbers) <= _FIRST:
            self.numbers.append(number)
        if len(self.values) <= _FIRST and (shown := _short(value)) not in self.values:
            self.values.append(shown)

    def __str__(self) -> str:
        """Say it in one line."""
        said = _said(self.field, _some(self.values), self.reason)
        if self.count == 1:
            return f"row {self.numbers[0]}: {said}"
        return f"{counted(self.count, 'row')} ({', '.join(_some(map(str, self.numbers)))}): {said}"


def _short(value: object) -> str:
    shown = repr(value)
    return shown[:_SHOWN_CHARS] + "…" if len(shown) > _SHOWN_CHARS else shown


def _some(texts: Iterable[str]) -> list[str]:
    """Return the first texts, and a mark if there are more."""
    shown = list(texts)
    return [*shown[:_FIRST], "…"] if len(shown) > _FIRST else shown


def _said(field: str, values: list[str], reason: str) -> str:
    if not field:
        return reason
    # Some reasons begin with the value themselves.
    if len(values) == 1 and reason.startswith(values[0]):
        return f"{field} {reason}"
    # "context None is missing" would say the same twice, the second time in Python.
    shown = [] if values == ["None"] and reason.startswith("is missing") else values
    return " ".join([field, *([", ".join(shown)] if shown else []), reason])


class RefusedRows:
    """Refused rows, in the order of the source; iterate, count, or write them out.

    Example:
        >>> rows = RefusedRows()
        >>> rows.add(RefusedRow(number=3, field="action", value=None, reason="is missing", row={}))
        >>> len(rows), str(next(iter(rows)))
        (1, 'row 3: action is missing')
    """

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - lives as long as the report
        self._count = 0
        self._groups: dict[tuple[str, str], RefusedGroup] = {}
        weakref.finalize(self, self._file.close)

    def add(self, refused: RefusedRow) -> None:
        """Append a row."""
        about = {
            "number": refused.number,
            "field": refused.field,
            "value": refused.value,
            "reason": refused.reason,
        }
        # ASCII keeps lone surrogates, and `default` what JSON has no form for.
        text = json.dumps({**refused.row, "_refused": about}, default=str, skipkeys=True)
        self._file.seek(0, 2)
        self._file.write(text.encode() + b"\n")
        self._count += 1
        self._group(refused).add(refused.number, refused.value)

    def _group(self, refused: RefusedRow) -> RefusedGroup:
        key = (refused.field, _VARIABLE.sub("", refused.reason))
        if key not in self._groups and len(self._groups) >= _MOST_GROUPS:
            return self._groups.setdefault(("", ""), RefusedGroup("", "is also unusable"))
        return self._groups.setdefault(key, RefusedGroup(refused.field, refused.reason))

    def groups(self) -> list[RefusedGroup]:
        """Return the refused rows by reason, the most frequent first.

        Two reasons count as one if they differ only in numbers and quoted values.

        Example:
            >>> rows = RefusedRows()
            >>> for number in (3, 8):
            ...     rows.add(
            ...         RefusedRow(
            ...             number=number, field="action", value="", reason="is empty", row={}
            ...         )
            ...     )
            >>> print(*rows.groups())
            2 rows (3, 8): action '' is empty
        """
        return sorted(self._groups.values(), key=lambda group: -group.count)

    def lines(self, more: str, *, limit: int = SHOWN_GROUPS) -> list[str]:
        """Return one line for each of the most frequent reasons.

        Args:
            more: How to get all rows, said where they do not stand in the lines; may be empty.
            limit: Most reasons.
        """
        groups = self.groups()
        lines = [str(group) for group in groups[:limit]]
        rest = groups[limit:]
        if rest:
            rows, reasons = sum(group.count for group in rest), len(rest)
            lines.append(f"and {counted(rows, 'row')} for {counted(reasons, 'other reason')}")
        if more and (rest or any(group.count > 1 for group in groups)):
            lines.append(more)
        return lines

    def __len__(self) -> int:
        """Return how many rows were refused."""
        return self._count

    def __iter__(self) -> Iterator[RefusedRow]:
        """Iterate over the refused rows.

        Yields:
            Each of them.
        """
        for line in self._lines():
            row = cast("dict[str, object]", json.loads(line))
            about = cast("dict[str, object]", row.pop("_refused"))
            yield RefusedRow(
                number=cast("int", about["number"]),
                field=cast("str", about["field"]),
                value=about["value"],
                reason=cast("str", about["reason"]),
                row=row,
            )

    def _lines(self) -> Iterator[bytes]:
        offset = 0
        while True:
            self._file.seek(offset)  # rows may be added, and read twice, at the same time
            line = self._file.readline()
            if not line:
                return
            offset += len(line)
            yield line

    def write(self, path: str | Path) -> int:
        """Write the rows as JSON Lines, each with the reason under `_refused`.

        Mend the rows and load the file again: `_refused` is ignored then. A line that was no
        JSON stands under `_raw`, and under `_base64` where it was not a text either.

        Args:
            path: The file; one of that name is replaced.

        Returns:
            How many rows were written.

        Raises:
            CorpusError: If the file cannot be written.
        """
        with (
            replacing(path, what="the refused rows", error=CorpusError) as half,
            half.open("wb") as out,
        ):
            out.writelines(self._lines())
        return self._count


@printed(in_words)
@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReport:
    """What a load did. `rows_read` is the sum of the five counts below it.

    Attributes:
        source: What was read.
        format: Format that it was read as.
        rows_read: Rows read; in chats one per turn of the person, in surveys one per answer.
        kept: New interactions.
        already_present: Rows that the store held before the load.
        merged: Exact duplicates of a row of the same load.
        refused: Rows that cannot be used, with the reasons.
        other_users: Rows of other users than the one asked for.
        unanswered: Blank cells of a survey; not counted as rows.
        left_out: What a source holds beside interactions, by reason, such as system lines, media
            and tool turns of a chat; not counted as rows.
        truncated_messages: Messages cut to `CorpusConfig.max_message_chars`.
        replaced_characters: Texts with NUL characters or lone surrogates, which became U+FFFD.
        repeated_ids: Ids of the source that name more than one different interaction of a
            user; all of them are kept.
        unknown_fields: Fields that the format does not know, kept in the metadata: rows each.
        unread_fields: Optional fields whose value could not be read, such as a time in an unknown
            form; the rows are kept, with the value in their metadata.
        conversations: Where the conversations come from: rows each.
        notes: What was settled while reading and is worth a look, such as the order of day and
            month.
        seconds: Duration.

    Example:
        >>> from usersim import Corpus
        >>> rows = [{"user_id": "ada", "context": "Tea?", "action": "Yes."},
        ...         {"user_id": "ada", "context": "Tea?", "action": "Yes."},
        ...         {"user_id": "ada", "context": "Milk?"}]
        >>> with Corpus.open(":memory:") as corpus:
        ...     report = corpus.add(rows)
        >>> report.rows_read, report.kept, report.merged
        (3, 1, 1)
        >>> [(row.number, row.field, row.reason) for row in report.refused]
        [(3, 'action', 'is missing')]
    """

    source: str
    format: str
    rows_read: int
    kept: int
    already_present: int
    merged: int
    refused: RefusedRows
    other_users: int = 0
    unanswered: int = 0
    left_out: Mapping[str, int] = dataclass_field(default_factory=dict[str, int])
    truncated_messages: int = 0
    replaced_characters: int = 0
    repeated_ids: int = 0
    unknown_fields: Mapping[str, int] = dataclass_field(default_factory=dict[str, int])
    unread_fields: Mapping[str, UnreadField] = dataclass_field(
        default_factory=dict[str, UnreadField]
    )
    conversations: Mapping[str, int] = dataclass_field(default_factory=dict[str, int])
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    def lines(self) -> list[str]:
        """Return the report as lines of text, the refused rows apart."""
        lines = [
            (
                f"{self.source} ({self.format}): {counted(self.rows_read, 'row')} read in "
                f"{self.seconds:.1f} s"
            ),
            (
                f"  kept {self.kept}, already present {self.already_present}, "
                f"merged duplicates {self.merged}, refused {len(self.refused)}"
            ),
        ]
        counts = {
            "rows of other users": self.other_users,
            "blank answers": self.unanswered,
            "messages cut to the longest allowed": self.truncated_messages,
            "texts with replaced characters": self.replaced_characters,
            "ids that name several interactions": self.repeated_ids,
        }
        lines += [f"  {what}: {count}" for what, count in counts.items() if count]
        if self.left_out:
            lines.append(f"  left out: {_counts(self.left_out)}")
        for name, unread in self.unread_fields.items():
            lines.append(
                f"  {name} not read in {counted(unread.rows, 'row')}, "
                f"kept as metadata: {unread.example}"
            )
        if self.unknown_fields:
            lines.append(f"  unknown fields kept as metadata: {_counts(self.unknown_fields)}")
        if self.conversations:
            lines.append(f"  conversations from: {_counts(self.conversations)}")
        return [*lines, *(f"  note: {note}" for note in self.notes)]

    def refusals(self, more: str = "report.refused.write(path) writes all of them") -> list[str]:
        """Return the refused rows as lines of text, one for each of the most frequent reasons.

        Args:
            more: How to get all rows, said where they do not stand in the lines.
        """
        return self.refused.lines(more)

    def __str__(self) -> str:
        """Return the report with the first refused rows."""
        return "\n".join([*self.lines(), *(f"  {line}" for line in self.refusals())])

    def __rich__(self) -> Group:
        """Return the report for a terminal; text of the source is never read as markup."""
        from rich.console import Group
        from rich.text import Text

        refusals = [Text(f"  {visible(line)}", style="yellow") for line in self.refusals()]
        return Group(*(Text(visible(line)) for line in self.lines()), *refusals)


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())
