"""Results as tables: one description, printed as text, in a terminal and in a notebook.

Knows texts and numbers. Text of a corpus or of a model stays text: it is never read as markup,
and what would steer a terminal is replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from usersim.terminal import visible

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["Cell", "Sheet", "facts", "in_words", "printed", "shortened"]

Cell: TypeAlias = str | int | float | None
"""A text, a number, or None where there is nothing to tell."""

C = TypeVar("C", bound=type[object])

_CELL_CHARS = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A table and what is to be said with it.

    Attributes:
        title: Above the table.
        columns: Heads; empty for a table without.
        rows: One tuple per row, as long as the heads.
        notes: Lines below the table.

    Example:
        >>> print(Sheet(title="Drinks", columns=("option", "share"),
        ...             rows=(("tea", 0.75), ("coffee", 0.25)), notes=("simulated",)))
        Drinks
        option  share
        tea     0.750
        coffee  0.250
        simulated
    """

    title: str = ""
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[Cell]] = ()
    notes: Sequence[str] = ()

    def __str__(self) -> str:
        """Return the table as plain text, columns aligned."""
        table = (self.columns, *self.rows)
        cells = [[" ".join(_text(cell).split("\n")) for cell in row] for row in table if row]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        right = self._numbers()
        lines = [
            "  ".join(
                cell.rjust(width) if at_right else cell.ljust(width)
                for cell, width, at_right in zip(row, widths, right, strict=True)
            ).rstrip()
            for row in cells
        ]
        head = [_text(self.title)] if self.title else []
        return "\n".join([*head, *lines, *map(_text, self.notes)])

    def _numbers(self) -> list[bool]:
        """Return for each column whether it holds numbers alone, which stand at the right."""
        return [
            any(cell is not None for cell in column)
            and all(cell is None or isinstance(cell, int | float) for cell in column)
            for column in zip(*self.rows, strict=True)
        ] or [False] * len(self.columns)

    def __rich__(self) -> RenderableType:
        """Return the table for a terminal."""
        from rich.box import SIMPLE_HEAD
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(
            title=Text(_text(self.title)) if self.title else None,
            title_justify="left",
            show_header=bool(self.columns),
            box=SIMPLE_HEAD if self.columns else None,
            padding=(0, 2, 0, 0),
        )
        right = self._numbers()
        for at, head in enumerate(self.columns or [""] * len(right)):
            table.add_column(
                Text(_text(head)), justify="right" if right[at] else "left", overflow="fold"
            )
        for row in self.rows:
            table.add_row(*(Text(_text(cell)) for cell in row))
        notes = [Text(_text(note), style="dim") for note in self.notes]
        return Group(*([table] if self.rows or self.columns else []), *notes)

    def html(self) -> str:
        """Return the table for a notebook; without scripts or outside resources."""
        right = self._numbers()
        heads = "".join(f"<th>{escape(_text(head))}</th>" for head in self.columns)
        rows = "".join(
            "<tr>"
            + "".join(
                f"<td{_RIGHT if at_right else _LEFT}>{escape(_text(cell))}</td>"
                for cell, at_right in zip(row, right, strict=True)
            )
            + "</tr>"
            for row in self.rows
        )
        caption = f"<p><b>{escape(_text(self.title))}</b></p>" if self.title else ""
        notes = "".join(f"<p><small>{escape(_text(note))}</small></p>" for note in self.notes)
        table = f"<table>{f'<tr>{heads}</tr>' if heads else ''}{rows}</table>" if right else ""
        return f"<div class='usersim'>{caption}{table}{notes}</div>"

    _repr_html_ = html


_RIGHT = " style='text-align:right'"
_LEFT = " style='text-align:left'"


def printed(make: Callable[[Any], Sheet]) -> Callable[[C], C]:
    """Have the values of a class printed as the sheet that `make` returns.

    `print(value)` gives text, rich and a notebook their own form. A `__str__` that the class
    itself has stays.

    Example:
        >>> @printed(lambda one: Sheet(title=f"{one.n} cups"))
        ... @dataclass
        ... class Cups:
        ...     n: int
        >>> print(Cups(3))
        3 cups
    """

    def dress(cls: C) -> C:
        def text(self: object) -> str:
            return str(make(self))

        def rich(self: object) -> RenderableType:
            return make(self).__rich__()

        def html(self: object) -> str:
            return make(self).html()

        methods: dict[str, Callable[[object], object]] = {
            "__str__": text,
            "__rich__": rich,
            "_repr_html_": html,
        }
        for name, method in methods.items():
            if name not in vars(cls):
                setattr(cls, name, method)
        return cls

    return dress


def in_words(value: object) -> Sheet:
    r"""Return a value that says itself in lines as a sheet, for a terminal and a notebook.

    Example:
        >>> in_words("one\ntwo").notes
        ('one', 'two')
    """
    return Sheet(notes=tuple(str(value).splitlines()))


def facts(title: str, values: Mapping[str, Cell], *notes: str) -> Sheet:
    """Return a sheet of one fact a row; facts without a value are left out.

    Example:
        >>> print(facts("Run", {"done": 3, "left": None}))
        Run
        done  3
    """
    rows = [(name, _text(value)) for name, value in values.items() if value is not None]
    return Sheet(title=title, rows=rows, notes=notes)


def shortened(text: str, limit: int = _CELL_CHARS) -> str:
    r"""Return a text in one line of at most `limit` characters.

    Example:
        >>> shortened("a long\nstory", 9)
        'a long s…'
    """
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def _text(cell: Cell) -> str:
    if cell is None:
        return "–"
    if isinstance(cell, float):
        return f"{cell:.3f}"
    return visible(str(cell), indent="")
