"""What a person already did, as it stands in a prompt: from the store to items."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from usersim.config import HistoryConfig
from usersim.corpus import Corpus
from usersim.errors import ArgumentError
from usersim.prediction import (
    Expectation,
    PanelModel,
    Similarity,
    lexical_similarity,
    rank_evidence,
)
from usersim.types import Case, Interaction, Question, Retriever
from usersim.types.counting import counted

__all__ = ["Histories", "ShownHistory", "profile_of"]

PROFILE_FIELDS = 8
"""Facts of a profile at the most."""
PROFILE_CHARS = 60
"""Longest value of a profile; longer ones are texts, not facts."""
EXPECTATION = Expectation()
"""What likeness of meaning lets expect, before a panel says better."""
MOST_PAST = 2_000
"""Past interactions of a person that are ranked as evidence: the newest ones."""
FOUND_BY_WORDS = 200
"""Older ones that are ranked besides, where there are more: those that share most words."""


@dataclass(frozen=True, slots=True)
class ShownHistory:
    """What of a person's past stands in a prompt.

    Attributes:
        recent: The newest interactions, oldest first.
        evidence: Others that bear on the question, the strongest last.
        weights: How much each of them bears on the question, 0 to 1, by interaction key.
        past: Everything that it was chosen from, oldest first.
        past_weights: The same of everything.
    """

    recent: tuple[Interaction, ...] = ()
    evidence: tuple[Interaction, ...] = ()
    past: tuple[Interaction, ...] = ()
    past_weights: tuple[float, ...] = ()

    @property
    def interactions(self) -> tuple[Interaction, ...]:
        """All of them, in the order of the prompt."""
        return (*self.recent, *self.evidence)


class Histories:
    """Finds what of a person's past is shown with a question.

    Recent interactions come first, in time order, and evidence after them: questions of one
    person then share the beginning of their prompts, which engines compute once. For the same
    reason the window of recent ones moves in steps of half its width.

    Args:
        corpus: The store; only the train split is ever shown.
        config: How many of each.
        panel: Returns the panel model, or None where there is none.
        similarity: Likeness of meaning, for questions that the panel does not know.
        retriever: Chooses what is shown in place of all this.
    """

    def __init__(
        self,
        corpus: Corpus,
        config: HistoryConfig,
        *,
        panel: Callable[[], PanelModel | None] = lambda: None,
        similarity: Similarity = lexical_similarity,
        expectation: Expectation = EXPECTATION,
        retriever: Retriever | None = None,
    ) -> None:
        self._corpus = corpus
        self._config = config
        self._panel = panel
        self._similarity = similarity
        self._expectation = expectation
        self._retriever = retriever

    def of(
        self, user_id: str, question: Question, *, before: int | None
    ) -> tuple[Interaction, ...]:
        """Return what is shown with `question`, strictly earlier than position `before`.

        Args:
            user_id: Whose.
            question: What is asked.
            before: Position of the interaction in question; None for a new question.

        Returns:
            Recent interactions, oldest first, then evidence, the strongest last.
        """
        return self.shown(user_id, question, before=before).interactions

    def around(self, interaction: Interaction) -> Case:
        """Return an interaction with what is shown when its own question is asked.

        Args:
            interaction: Of this store; only what is strictly earlier is shown.
        """
        history = self.of(interaction.user_id, interaction.question, before=interaction.position)
        return Case(interaction, history)

    def shown(
        self, user_id: str, question: Question, *, before: int | None, as_new: bool = False
    ) -> ShownHistory:
        """Return the same with the weights behind it; see `of`.

        Args:
            user_id: Whose.
            question: What is asked.
            before: Position of the interaction in question; None for a new question.
            as_new: Meet the question as one that nobody else answered.

        Raises:
            ArgumentError: If the given retriever returns what must not be shown.
        """
        if self._retriever is not None:
            limit = self._config.recent + self._config.evidence
            found = self._retriever.retrieve(user_id, question, before=before, limit=limit)
            _check_retrieved(found, user_id, before, limit)
            return ShownHistory(
                evidence=tuple(found), past=tuple(found), past_weights=(1.0,) * len(found)
            )
        past = self._past(user_id, question, before)
        weights = self._weights(user_id, question, past, as_new=as_new)
        recent = self._anchored(past[max(len(past) - self._config.recent, 0) :], before)
        older = range(len(past) - len(recent)) if self._config.recent else range(len(past))
        best = sorted(older, key=lambda i: (-weights[i], -i))[: self._config.evidence]
        return ShownHistory(
            recent=tuple(recent),
            evidence=tuple(past[i] for i in reversed(best)),
            past=tuple(past),
            past_weights=tuple(weights),
        )

    def _past(self, user_id: str, question: Question, before: int | None) -> list[Interaction]:
        """Return the newest interactions, and of a long history also those that share words."""
        past = self._corpus.history(user_id, before=before, limit=MOST_PAST)
        if len(past) < MOST_PAST:
            return past
        found = self._corpus.search(
            user_id, question, before=past[0].position, limit=FOUND_BY_WORDS
        )
        return [*found, *past]

    def _weights(
        self, user_id: str, question: Question, past: Sequence[Interaction], *, as_new: bool
    ) -> list[float]:
        panel = None if as_new else self._panel()
        measured = panel.associations(question.key, person=user_id) if panel else {}
        return rank_evidence(
            question,
            past,
            measured=measured,
            similarity=self._similarity,
            expectation=self._expectation,
        )

    def _anchored(self, newest: Sequence[Interaction], before: int | None) -> list[Interaction]:
        if not self._config.recent:
            return []
        if before is None or len(newest) < self._config.recent:
            return list(newest)
        step = max(self._config.recent // 2, 1)
        # A held-out question lies past the train split: what counts is where that ends.
        end = min(before, newest[-1].position + 1)
        start = -(-(end - self._config.recent) // step) * step
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


def _check_retrieved(
    found: Sequence[Interaction], user_id: str, before: int | None, limit: int
) -> None:
    """Check what a user's own retriever returned.

    Raises:
        ArgumentError: If it is another person's, as new as the question, held out, or too much.
    """
    for one in found:
        if one.user_id != user_id or (before is not None and one.position >= before):
            raise ArgumentError(
                f"the retriever returned {one.key!r} of user {one.user_id!r}, position "
                f"{one.position}, for a question to {user_id!r} before position {before}",
                hint="return interactions of that user whose position is smaller",
            )
        if one.split != "train":
            raise ArgumentError(
                f"the retriever returned {one.key!r}, which is held out ({one.split!r})",
                hint="return interactions of the train split",
            )
    if len(found) > limit:
        said = counted(len(found), "interaction")
        raise ArgumentError(f"the retriever returned {said}, more than the limit of {limit}")
