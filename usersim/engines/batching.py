"""One item's failure is data: a chunk that fails is halved until the item at fault stands alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from usersim.errors import ContextLengthError
from usersim.types import Batch, Failure

__all__ = ["each"]

Item = TypeVar("Item")
Result = TypeVar("Result")


def each(
    items: Sequence[Item],
    run: Callable[[Sequence[Item]], Batch[Result]],
    name: Callable[[Item], str],
) -> Batch[Result]:
    """Run a whole chunk at once; if a request is too long for the model, halve the chunk.

    Args:
        items: The chunk.
        run: Does a chunk; reports failures of single items itself where it can.
        name: Key of an item, for its failure.

    Returns:
        One entry per item.
    """
    try:
        return run(items)
    except ContextLengthError as error:
        if len(items) == 1:
            failure = Failure(
                index=0, item=name(items[0]), error=type(error).__name__, message=str(error)
            )
            return Batch((None,), (failure,))
    middle = len(items) // 2
    first, second = each(items[:middle], run, name), each(items[middle:], run, name)
    moved = tuple(replace(one, index=one.index + middle) for one in second.failures)
    return Batch(first.items + second.items, first.failures + moved)
