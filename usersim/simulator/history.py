"""What a person already did, as it stands in a prompt: from the store to items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from usersim.config import HistoryConfig
from usersim.corpus import Corpus
from usersim.types import Interaction, Question, Retriever

__all__ = ["Histories", "profile_of"]

PROFILE_FIELDS = 8
"""Facts of a profile at the most."""
PROFILE_CHARS = 60
"""Longest value of a profile; longer ones are texts, not facts."""


class Histories:
    """Finds the history that is shown with a question.

    Recent interactions come first, in time order, and similar ones after them: questions of
    one person then share the beginning of their prompts, which engines compute once. For the
    same reason the window of recent ones moves in steps of half its width.

    Args:
        corpus: The store; only the train split is ever shown.
        config: How many of each.
        retriever: Finds them; None takes the store's own search.
    """

    def __init__(
        self, corpus: Corpus, config: HistoryConfig, retriever: Retriever | None = None
    ) -> None:
        self._config = config
        self._retriever = retriever or corpus.memory(config)

    def of(
        self, user_id: str, question: Question, *, before: int | None
    ) -> tuple[Interaction, ...]:
        """Return the history for `question`, strictly earlier than position `before`.

        Args:
            user_id: Whose.
            question: What is asked.
            before: Position of the interaction in question; None for a new question.

        Returns:
            Recent interactions, oldest first, then similar ones, oldest first.
        """
        limit = self._config.recent + self._config.similar
        if limit == 0:
            return ()
        found = self._retriever.retrieve(user_id, question, before=before, limit=limit)
        newest = found[max(len(found) - self._config.recent, 0) :] if self._config.recent else []
        similar = found[: len(found) - len(newest)]
        return (*self._anchored(newest, before), *similar)

    def _anchored(self, newest: Sequence[Interaction], before: int | None) -> list[Interaction]:
        if before is None or len(newest) < self._config.recent:
            return list(newest)
        step = max(self._config.recent // 2, 1)
        start = -(-(before - self._config.recent) // step) * step
        return [past for past in newest if past.position >= start]


def profile_of(history: Sequence[Interaction]) -> str | None:
    """Return what the corpus says of a person: metadata that stay the same over their history.

    Args:
        history: The person's train split.

    Returns:
        `name: value` pairs, or None if nothing stays the same.

    Example:
        >>> profile_of([])
    """
    if not history:
        return None
    first: Mapping[str, object] = history[0].metadata
    stable = [
        f"{name}: {value}"
        for name, value in first.items()
        if isinstance(value, str | int | float)
        and not isinstance(value, bool)
        and len(str(value)) <= PROFILE_CHARS
        and all(past.metadata.get(name) == value for past in history)
    ]
    return "; ".join(stable[:PROFILE_FIELDS]) or None
