"""What an in-process engine runs together: requests by adapter, draws by count and width."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from usersim.engines.base import AdapterRef, GenerateRequest, ScoreRequest
from usersim.engines.transformers.decoding import DrawState

__all__ = ["by_adapter", "decode_batches"]


def by_adapter(
    requests: Sequence[GenerateRequest] | Sequence[ScoreRequest],
) -> list[tuple[AdapterRef | None, list[int]]]:
    """Group requests by adapter, the base model first."""
    groups: dict[AdapterRef | None, list[int]] = {}
    for index, request in enumerate(requests):
        groups.setdefault(request.adapter, []).append(index)
    return sorted(groups.items(), key=lambda group: group[0].name if group[0] else "")


def decode_batches(queue: Sequence[DrawState], most: int, tokens: int) -> Iterator[list[DrawState]]:
    """Cut the queue into batches of at most `most` draws whose padded rows hold `tokens`.

    Yields:
        Batches, in order; one draw is always a batch, however long it is.
    """
    batch: list[DrawState] = []
    width = 0
    for state in queue:
        wider = max(width, len(state.prompt) + state.max_tokens)
        if batch and (len(batch) == most or wider * (len(batch) + 1) > tokens):
            yield batch
            batch, wider = [], len(state.prompt) + state.max_tokens
        batch.append(state)
        width = wider
    if batch:
        yield batch
