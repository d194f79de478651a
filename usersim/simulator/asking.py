"""What a caller may ask, as items for the simulation; knows the store and the adapter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from usersim.config import PipelineConfig
from usersim.corpus import Corpus
from usersim.engines import AdapterRef
from usersim.errors import ActionError, ConfigError
from usersim.simulation import RespondItem, derive_seed
from usersim.simulator.history import Histories
from usersim.types import ActionSpace, FreeText, Interaction, Message, Question, action_space

__all__ = ["Asker", "Context", "as_question"]

Context = str | Question | Interaction | Sequence[Message]
"""A question, an observed interaction (its context is asked again), a text, or messages."""


def as_question(
    context: Context, *, options: Sequence[str] | None = None, kind: str | None = None
) -> Question:
    """Return `context` as a question with its action space.

    Args:
        context: What is asked.
        options: Options of a closed question, in order.
        kind: `choice` (the default where options are given), `scale`, `number`,
            `multi_choice` or `free_text`.

    Returns:
        The question.

    Raises:
        ActionError: If kind and options do not fit each other.
        ConfigError: If the context is empty, or holds something else than messages.

    Example:
        >>> as_question("Tea or coffee?", options=["tea", "coffee"]).space
        Choice(options=('tea', 'coffee'), kind='choice')
    """
    question = _plain(context)
    if not any(message.content.strip() for message in question.context):
        raise ConfigError(f"the context is empty: {context!r}")
    if options is None and kind is None:
        return question
    if not isinstance(question.space, FreeText):
        raise ActionError(f"the question already says what an answer may be: {question.space!r}")
    space: ActionSpace = action_space(
        kind or "choice", tuple(options) if options is not None else None
    )
    return Question(question.context, space)


def _plain(context: Context) -> Question:
    if isinstance(context, Interaction):
        return context.question
    if isinstance(context, str | Question):
        return Question.of(context)
    for message in context:
        if not isinstance(message, Message):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigError(
                f"a context holds {message!r}, which is no Message",
                hint="give a string, a Question, or a list of usersim.Message",
            )
    return Question(tuple(context))


@dataclass(frozen=True, slots=True)
class Asker:
    """Puts questions to simulated people.

    Attributes:
        corpus: The store.
        config: Settings of every stage.
        histories: Finds what is shown.
        adapter: Trained weights; None for the base model.
        reasoning_weight: Fitted with the adapter; 1 where there is none.
        kept: Kept reasoning by interaction key, shown while there is no adapter (Recon-Memory).
        gains: Their reconstruction gains.
    """

    corpus: Corpus
    config: PipelineConfig
    histories: Histories
    adapter: AdapterRef | None
    reasoning_weight: float
    kept: Mapping[str, str]
    gains: Mapping[str, float]

    def item(self, user_id: str, question: Question, *, seed: int | None = None) -> RespondItem:
        """Return `question` to `user_id` with the history of the train split.

        Raises:
            UserNotFoundError: If there is no such user.
        """
        history = self.histories.of(user_id, question, before=None)
        messages = [(m.role, m.name, m.content) for m in question.context]
        own = self.config.simulation.seed if seed is None else seed
        shown = {past.key: self.kept[past.key] for past in history if self.kept.get(past.key)}
        return RespondItem(
            user_id=user_id,
            question=question,
            history=history,
            seed=derive_seed(own, user_id, messages),
            adapter=self.adapter,
            reasoning_weight=self.reasoning_weight,
            reasonings={} if self.adapter else shown,
            gains={} if self.adapter else {key: self.gains[key] for key in shown},
        )
