"""Pack token sequences into token trees, so that what they share is computed once.

Sequences that begin alike (one person's history, one context under many traces, one trace
under many options) form a tree. A row holds one tree: every node is a token, its position is
its depth, and it attends to its ancestors and to itself. One forward pass over the row gives
each sequence exactly what a pass over that sequence alone would give, up to rounding.

Knows tokens and masks; knows nothing of models or text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["LONG", "PackedRow", "by_beginning", "common_length", "pack"]

LONG = 256
"""Tokens from which a beginning is worth rows of its own, and worth keeping: the pass over a short
row costs little beside that over as many tokens."""


@dataclass(frozen=True, slots=True)
class PackedRow:
    """One token tree, laid out as a row of `t` nodes.

    Attributes:
        tokens: Token id of each node. Shape `(t,)`.
        positions: Depth of each node, 0 for the first token of a sequence. Shape `(t,)`.
        paths: For each sequence, its nodes in order; `tokens[path]` is the sequence.
        members: Index, in the input of `pack`, of each sequence.
    """

    tokens: npt.NDArray[np.int64]
    positions: npt.NDArray[np.int64]
    paths: tuple[npt.NDArray[np.int64], ...]
    members: tuple[int, ...]

    def after(self, length: int) -> PackedRow:
        """Return the row without the first `length` nodes, which every path must share.

        Positions are counted from there.
        """
        return PackedRow(
            self.tokens[length:],
            self.positions[length:] - length,
            tuple(path[length:] - length for path in self.paths),
            self.members,
        )

    def branches(self, least: int) -> tuple[int, list[tuple[int, int]]]:
        """Return how many nodes all sequences share, and runs that are the row together.

        But for the shared nodes, which begin the first run, nodes of two runs never attend to
        each other.

        Args:
            least: Nodes of a run at the least; only the last may have fewer.

        Returns:
            The number of shared nodes, and (first, end) of each run.

        Example:
            >>> (row,) = pack([[5, 6, 7], [5, 8, 9], [5, 8, 2]], row_tokens=64)
            >>> row.branches(1)
            (1, [(0, 3), (3, 6)])
        """
        end = len(self.paths[0])
        begins: list[tuple[int, int]] = []
        for path in self.paths[1:]:
            common = int(np.searchsorted(path, end))  # nodes that an earlier path brought
            begins.append((common, end))
            end += len(path) - common
        trunk = min((common for common, _ in begins), default=end)
        cuts = [0]
        for common, begin in begins:
            if common == trunk and begin - cuts[-1] >= least:
                cuts.append(begin)
        return trunk, list(zip(cuts, [*cuts[1:], end], strict=True))

    def mask(self) -> npt.NDArray[np.bool_]:
        """Return which node attends to which: True for ancestors and itself. Shape `(t, t)`."""
        allowed = np.zeros((len(self.tokens), len(self.tokens)), dtype=np.bool_)
        for path in self.paths:
            # Nodes that an earlier path brought are a beginning of this one, and are done.
            start = int(allowed[path, path].sum())
            added = path[start:]
            allowed[np.ix_(added, path[:start])] = True
            allowed[np.ix_(added, added)] = np.tri(len(added), dtype=np.bool_)
        return allowed


def common_length(first: Sequence[int], second: Sequence[int]) -> int:
    """Return the length of the longest common beginning of two lists, or of two tuples."""
    limit = min(len(first), len(second))
    if first[:limit] == second[:limit]:
        return limit
    low, high = 0, limit
    while low + 1 < high:
        middle = (low + high) // 2
        if first[:middle] == second[:middle]:
            low = middle
        else:
            high = middle
    return low


class _Row:
    """A row that is being filled with sequences in sorted order."""

    def __init__(self) -> None:
        self.tokens: list[int] = []
        self.positions: list[int] = []
        self.paths: list[npt.NDArray[np.int64]] = []
        self.members: list[int] = []
        self.last: Sequence[int] = ()
        self.longest = 0

    def cost(self, sequence: Sequence[int]) -> int:
        return len(sequence) - common_length(self.last, sequence)

    def add(self, sequence: Sequence[int], member: int) -> None:
        shared = common_length(self.last, sequence)
        start = len(self.tokens)
        self.tokens.extend(sequence[shared:])
        self.positions.extend(range(shared, len(sequence)))
        new = np.arange(start, len(self.tokens), dtype=np.int64)
        path = np.concatenate([self.paths[-1][:shared], new]) if self.paths else new
        self.paths.append(path)
        self.members.append(member)
        self.last = sequence
        self.longest = max(self.longest, len(sequence))

    def done(self) -> PackedRow:
        return PackedRow(
            np.asarray(self.tokens, dtype=np.int64),
            np.asarray(self.positions, dtype=np.int64),
            tuple(self.paths),
            tuple(self.members),
        )


def pack(sequences: Sequence[Sequence[int]], *, row_tokens: int) -> list[PackedRow]:
    """Pack sequences into rows of at most about `row_tokens` nodes.

    Sequences are taken in sorted order, so that those which begin alike meet in one row. A row
    may hold up to twice its longest sequence where that is more than `row_tokens`: otherwise a
    long shared beginning would be computed for every sequence again.

    Args:
        sequences: Token ids; none may be empty.
        row_tokens: Nodes of a row.

    Returns:
        Rows that together hold each sequence once.

    Example:
        >>> rows = pack([[5, 6, 7], [5, 6, 8, 9]], row_tokens=64)
        >>> rows[0].tokens.tolist(), rows[0].positions.tolist()
        ([5, 6, 7, 8, 9], [0, 1, 2, 2, 3])
        >>> rows[0].mask()[3].tolist()
        [True, True, False, True, False]
    """
    rows: list[PackedRow] = []
    row = _Row()
    for member in sorted(range(len(sequences)), key=lambda i: list(sequences[i])):
        sequence = list(sequences[member])
        assert sequence, "an empty sequence has no node"
        limit = max(row_tokens, 2 * max(row.longest, len(sequence)))
        if row.tokens and len(row.tokens) + row.cost(sequence) > limit:
            rows.append(row.done())
            row = _Row()
        row.add(sequence, member)
    if row.tokens:
        rows.append(row.done())
    return rows


def by_beginning(
    sequences: Sequence[Sequence[int]], alone: Callable[[Sequence[int]], bool]
) -> list[list[int]]:
    """Group sequences by long beginnings, which are then computed once and kept.

    A row computes once what all of its sequences share, so rows of several people would share
    next to nothing.

    Args:
        sequences: Token ids.
        alone: Whether a sequence that shares its beginning with no other gets a row of its own.

    Returns:
        Places of the sequences, group by group; those without a long beginning are the last.

    Example:
        >>> first, second = [1] * 300, [2] * 300
        >>> by_beginning([[*first, 7], [5], [*second, 7], [*first, 8]], lambda _: False)
        [[0, 3], [2, 1]]
    """
    groups: list[list[int]] = []
    shared = 0
    for place in sorted(range(len(sequences)), key=lambda place: list(sequences[place])):
        if groups:
            common = common_length(sequences[groups[-1][0]], sequences[place])
            if common >= max(LONG, shared // 2):
                groups[-1].append(place)
                shared = common
                continue
        groups.append([place])
        shared = len(sequences[place])
    own = [g for g in groups if len(g) > 1 or _long(sequences[g[0]], alone)]
    rest = [g[0] for g in groups if len(g) == 1 and not _long(sequences[g[0]], alone)]
    return [*own, *([rest] if rest else [])]


def _long(sequence: Sequence[int], alone: Callable[[Sequence[int]], bool]) -> bool:
    return len(sequence) > LONG and alone(sequence)
