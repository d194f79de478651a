"""Lists that commands print: as text that is never broken in the middle of a value, or as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, cast

import orjson
import typer
from rich.cells import cell_len
from rich.text import Text

from usersim.cli.console import console, notes
from usersim.terminal import visible, visible_json

__all__ = ["Column", "JsonOption", "Row", "WideOption", "print_json", "print_rows"]

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
WideOption = Annotated[
    bool, typer.Option("--wide", help="Print all columns, even if lines get long.")
]

Row = Mapping[str, object]
"""One line of a list: what JSON has of it, by name."""
GAP = "  "


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a list.

    Attributes:
        name: Name in the rows, and the heading (with spaces for underscores).
        align: Numbers are aligned to the right.
        drop: Columns with a larger number are left out first where a terminal is too narrow, and
            where nothing but zeros stands in them; 0: never left out.
        heading: Another heading than the name.
    """

    name: str
    align: Literal["left", "right"] = "left"
    drop: int = 0
    heading: str = ""

    @property
    def title(self) -> str:
        """The heading."""
        return self.heading or self.name.replace("_", " ")


def print_json(value: object) -> None:
    """Print a value as JSON on standard output, whatever the width of the terminal.

    What is piped on is exact, and commands no terminal.
    """
    pretty = orjson.dumps(value, default=str, option=orjson.OPT_INDENT_2).decode()
    typer.echo(visible_json(pretty))


def print_rows(
    rows: Iterable[Row],
    columns: Sequence[Column],
    *,
    as_json: bool = False,
    wide: bool = True,
    hint: bool = True,
    title: str = "",
) -> None:
    """Print a list.

    A value is never cut or broken. Where the terminal is too narrow, columns that may be are
    left out, which standard error says; what is then still too long runs over the edge.

    Args:
        rows: The lines. JSON has all their fields, a table those that have a column.
        columns: What a table shows, in order.
        as_json: Print JSON instead.
        wide: Leave nothing out.
        hint: Say what was left out; False where there is no `--wide`.
        title: Line above the table.
    """
    lines = list(rows)
    if as_json:
        print_json(lines)
        return
    if not lines:
        notes.print(Text("none", style="dim"))
        return
    cells = {column: [_cell(row.get(column.name)) for row in lines] for column in columns}
    widths = {column: max(map(cell_len, [column.title, *texts])) for column, texts in cells.items()}
    told = [one for one in columns if wide or not one.drop or _tells(lines, one.name)]
    shown = told if wide else _fitting(told, widths)
    if title:
        console.print(Text(title, style="bold"), soft_wrap=True)
    _line([(column, column.title) for column in shown], widths, style="dim")
    for place in range(len(lines)):
        _line([(column, cells[column][place]) for column in shown], widths)
    missing = [column.title for column in told if column not in shown]
    if missing and hint:
        notes.print(Text(f"columns left out: {', '.join(missing)}; --wide prints them"))


def _tells(rows: Sequence[Row], name: str) -> bool:
    """Return whether a column has anything but zeros and blanks."""
    return any(row.get(name) not in (None, 0, "", []) for row in rows)


def _fitting(columns: Sequence[Column], widths: Mapping[Column, int]) -> list[Column]:
    shown = list(columns)
    while sum(widths[one] for one in shown) + len(GAP) * (len(shown) - 1) > console.width:
        droppable = [one for one in shown if one.drop]
        if not droppable:
            break
        shown.remove(max(droppable, key=lambda one: one.drop))
    return shown


def _line(
    cells: Sequence[tuple[Column, str]], widths: Mapping[Column, int], *, style: str = ""
) -> None:
    padded: list[str] = []
    for column, text in cells:
        space = " " * (widths[column] - cell_len(text))
        padded.append(space + text if column.align == "right" else text + space)
    console.print(Text(GAP.join(padded).rstrip(), style=style), soft_wrap=True, highlight=False)


def _cell(value: object) -> str:
    """Return a value as one line of text."""
    if value is None:
        return "–"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, list):
        return ", ".join(_cell(one) for one in cast("list[object]", value))
    return visible(str(value))
