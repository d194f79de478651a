"""What a person's history holds for a question: the newest interactions, and similar ones.

Two retrievers behind `usersim.types.Retriever`: full-text search in the store, and embeddings
by a function that the caller gives. Both see the train split alone, and only what lies before
the moment in question.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from usersim.config import HistoryConfig
from usersim.corpus.database import Database
from usersim.corpus.owners import user_row_id
from usersim.corpus.reading import InteractionReader
from usersim.corpus.search import find_similar, index_user, query_words, search_text
from usersim.types import Interaction, Question

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Embed", "EmbeddingMemory", "SearchMemory"]

Embed = Callable[[list[str]], "NDArray[Any] | Sequence[Sequence[float]]"]
"""Texts to vectors, one row per text. Shape `(n, d)`."""


class SearchMemory:
    """Recent interactions, and similar ones by BM25 in the store.

    Args:
        database: The store.
        config: How many recent and how many similar ones.
    """

    def __init__(self, database: Database, config: HistoryConfig) -> None:
        self._database = database
        self._reader = InteractionReader(database)
        self._config = config

    def retrieve(
        self, user_id: str, question: Question, *, before: int | None, limit: int
    ) -> list[Interaction]:
        """Return at most `limit` interactions of the train split, oldest first.

        Args:
            user_id: Whose history.
            question: What is to be answered.
            before: Only interactions whose `position` is smaller; None for the whole split.
            limit: How many at the most; recent ones come first in claim.
        """
        recent = _recent(self._reader, user_id, before, min(self._config.recent, limit))
        wanted = min(self._config.similar, limit - len(recent))
        if wanted < 1:
            return recent
        with self._database.read() as connection:
            owner = user_row_id(connection, user_id)
        index_user(self._database, owner)
        with self._database.read() as connection:
            ids = find_similar(
                connection,
                self._database,
                owner,
                query_words(search_text(question.context)),
                before=recent[0].position if recent else before,
                limit=wanted,
            )
        return [*self._reader.by_row_id(ids), *recent]


class EmbeddingMemory:
    """Recent interactions, and similar ones by the cosine of embeddings.

    Vectors are kept for the life of this object, by interaction.

    Args:
        database: The store.
        config: How many recent and how many similar ones.
        embed: Texts to vectors.
    """

    def __init__(self, database: Database, config: HistoryConfig, embed: Embed) -> None:
        self._reader = InteractionReader(database)
        self._config = config
        self._embed = embed
        self._vectors: dict[str, NDArray[np.float64]] = {}

    def retrieve(
        self, user_id: str, question: Question, *, before: int | None, limit: int
    ) -> list[Interaction]:
        """Return at most `limit` interactions of the train split, oldest first.

        Args:
            user_id: Whose history.
            question: What is to be answered.
            before: Only interactions whose `position` is smaller; None for the whole split.
            limit: How many at the most; recent ones come first in claim.
        """
        past = self._reader.history(user_id, before=before, limit=None)
        n_recent = min(self._config.recent, limit, len(past))
        older, recent = past[: len(past) - n_recent], past[len(past) - n_recent :]
        wanted = min(self._config.similar, limit - n_recent)
        if wanted < 1 or not older:
            return recent
        asked = self._unit([search_text(question.context)])[0]
        closeness = self._known(older) @ asked
        best = np.argsort(-closeness, kind="stable")[:wanted]
        return [*(older[index] for index in sorted(best.tolist())), *recent]

    def _known(self, items: Sequence[Interaction]) -> NDArray[np.float64]:
        """Return the unit vectors of `items`. Shape `(n, d)`."""
        new = [item for item in items if item.key not in self._vectors]
        if new:
            texts = [search_text(item.context, item.action_text) for item in new]
            self._vectors |= zip((item.key for item in new), self._unit(texts), strict=True)
        return np.stack([self._vectors[item.key] for item in items])

    def _unit(self, texts: list[str]) -> NDArray[np.float64]:
        vectors = np.asarray(self._embed(texts), dtype=np.float64)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors / np.where(lengths > 0, lengths, 1.0)


def _recent(
    reader: InteractionReader, user_id: str, before: int | None, limit: int
) -> list[Interaction]:
    return reader.history(user_id, before=before, limit=max(limit, 0))
