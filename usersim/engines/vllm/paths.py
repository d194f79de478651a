"""Which tokens to force, so that one prompt's continuations take as few decode steps as possible.

One decode step gives the log-probabilities of every token that may come next. Continuations of
one prompt form a tree: options that part at their first token need one step for all of them, and
only what follows a shared beginning is forced. Knows token ids; knows no vLLM.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

__all__ = ["MOST_TOGETHER", "ForcedPath", "forced_paths"]

MOST_TOGETHER = 128
"""Continuations of one tree. Each adds at most one token to those that a path asks for beside the
forced ones, and vLLM returns at most 128 named tokens a step."""


@dataclass(frozen=True, slots=True)
class ForcedPath:
    """One request: tokens that are forced after the prompt, and what is read on the way.

    Attributes:
        start: Tokens between the prompt and the first step; another path reads them.
        tokens: Tokens to be forced, one a step.
        beside: Further tokens whose log-probabilities are wanted at one of the steps.
        reads: Per continuation the places of its tokens that are read here: the token at place
            `len(start) + s` at step `s`.
    """

    start: tuple[int, ...]
    tokens: tuple[int, ...]
    beside: set[int] = field(default_factory=set[int])
    reads: dict[int, range] = field(default_factory=dict[int, range])

    def read(self, continuation: int, depth: int, token: int) -> None:
        """Have one more token of a continuation read, its tokens in order."""
        first = self.reads.get(continuation, range(depth, depth)).start
        self.reads[continuation] = range(first, depth + 1)
        if token != self.tokens[depth - len(self.start)]:
            self.beside.add(token)


def forced_paths(continuations: Mapping[int, Sequence[int]]) -> list[ForcedPath]:
    """Return the paths that together read every token of every continuation once.

    Args:
        continuations: Token ids after one prompt by the continuation's number; none may be empty.

    Returns:
        Paths that together take one step for every different beginning of the continuations, none
        for a whole continuation. Trees hold `MOST_TOGETHER` continuations each.

    Example:
        >>> one, two = forced_paths({0: [7, 1], 1: [7, 2, 3], 2: [8, 4], 3: [9]})
        >>> one.start, one.tokens, sorted(one.beside), one.reads
        ((), (7, 2, 3), [1, 8, 9], {1: range(0, 3), 0: range(0, 2), 2: range(0, 1), 3: range(0, 1)})
        >>> two.start, two.tokens, two.reads
        ((8,), (4,), {2: range(1, 2)})
    """
    ordered = sorted(continuations.items(), key=lambda item: tuple(item[1]))
    return [
        path
        for first in range(0, len(ordered), MOST_TOGETHER)
        for path in _tree_paths(ordered[first : first + MOST_TOGETHER])
    ]


def _tree_paths(continuations: Sequence[tuple[int, Sequence[int]]]) -> list[ForcedPath]:
    paths: list[ForcedPath] = []
    children: dict[tuple[int, int], int] = {}
    stepped: dict[int, ForcedPath] = {}
    # The longest first: it begins at the prompt, and what is left to the others is short.
    for number, own in sorted(continuations, key=lambda item: -len(item[1])):
        node, begun = 0, False
        for depth, token in enumerate(own):
            if node not in stepped:
                if not begun:
                    paths.append(ForcedPath(tuple(own[:depth]), tuple(own[depth:])))
                    begun = True
                stepped[node] = paths[-1]
            stepped[node].read(number, depth, token)
            node = children.setdefault((node, token), len(children) + 1)
    return paths
