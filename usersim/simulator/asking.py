"""What a caller may ask, as items for the simulation; knows the store and the adapter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self, TypedDict

from usersim.config import PipelineConfig
from usersim.corpus import Corpus, Response
from usersim.engines import AdapterRef, Engine, Progress
from usersim.errors import (
    ActionError,
    ConfigError,
    UserForgottenError,
    UserNotFoundError,
    UsersimError,
)
from usersim.simulation import Answer, RespondItem, derive_seed, respond
from usersim.simulator.history import Histories
from usersim.training import TrainedAdapter
from usersim.types import (
    ActionSpace,
    Batch,
    Failure,
    FreeText,
    Interaction,
    Message,
    Question,
    ScoredCandidate,
    action_space,
    question_key,
)

__all__ = ["Asked", "Asker", "Context", "as_question", "narrowed", "only", "seen_before"]

Context = str | Question | Interaction | Sequence[Message]
"""A question, an observed interaction (its context is asked again), a text, or messages."""


class Asked(TypedDict, total=False):
    """How a context is asked; see `UserSimulator.respond`."""

    user_id: str | None
    options: Sequence[str] | None
    kind: str | None
    explain: bool
    seed: int | None


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


def narrowed(
    context: Context, *, options: Sequence[str] | None = None, kind: str | None = None
) -> Context:
    """Return `context` with the action space that is asked for, and as it is if none is."""
    if options is None and kind is None:
        return context
    return as_question(context, options=options, kind=kind)


def seen_before(user_id: str, context: Context) -> int | None:
    """Return the position before which history may be shown; None for the whole train split."""
    if isinstance(context, Interaction) and context.user_id == user_id:
        return context.position if context.split == "train" else None
    return None


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
        kept: Kept traces by interaction key, shown while there is no adapter (Recon-Memory).
    """

    corpus: Corpus
    config: PipelineConfig
    histories: Histories
    adapter: AdapterRef | None
    reasoning_weight: float
    kept: Mapping[str, ScoredCandidate]

    @classmethod
    def of(
        cls,
        corpus: Corpus,
        config: PipelineConfig,
        histories: Histories,
        adapter: TrainedAdapter | None,
        kept: Mapping[str, ScoredCandidate],
    ) -> Self:
        """Return an asker with an adapter and the reasoning weight fitted with it."""
        fitted = adapter.manifest.reasoning_weight if adapter else None
        ref, weight = adapter.ref if adapter else None, fitted.w if fitted is not None else 1.0
        return cls(corpus, config, histories, ref, weight, kept)

    def item(self, user_id: str, context: Context, *, seed: int | None = None) -> RespondItem:
        """Return `context` to `user_id` with the history of the train split.

        An interaction of that person that was learned from is asked with what came before it:
        its own answer must not stand in the prompt.

        Raises:
            UserNotFoundError: If there is no such user.
        """
        before = seen_before(user_id, context)
        return self.prepared(user_id, as_question(context), before=before, seed=seed)

    def prepared(
        self, user_id: str, question: Question, *, before: int | None, seed: int | None = None
    ) -> RespondItem:
        """Return `question` to `user_id` with the history before position `before`.

        Raises:
            UserNotFoundError: If there is no such user.
        """
        history = self.histories.of(user_id, question, before=before)
        messages = [(m.role, m.name, m.content) for m in question.context]
        own = self.config.simulation.seed if seed is None else seed
        shown = {past.key: self.kept[past.key] for past in history if past.key in self.kept}
        if self.adapter:
            shown = {}
        return RespondItem(
            user_id=user_id,
            question=question,
            history=history,
            seed=derive_seed(own, user_id, messages),
            adapter=self.adapter,
            reasoning_weight=self.reasoning_weight,
            reasonings={key: one.candidate.reasoning for key, one in shown.items()},
            gains={key: one.scores.report_gain for key, one in shown.items()},
        )

    def ask(
        self,
        engine: Engine,
        people: Sequence[str],
        contexts: Sequence[Context],
        *,
        seed: int | None,
        explain: bool,
        progress: Progress | None,
    ) -> Batch[Answer]:
        """Answer every context as its person, and keep the answers in the store.

        Raises:
            ConfigError: If there are not as many people as contexts.
        """
        if len(people) != len(contexts):
            raise ConfigError(f"{len(people)} people for {len(contexts)} contexts")
        items = [
            self.item(person, context, seed=seed)
            for person, context in zip(people, contexts, strict=True)
        ]
        batch, answers = self.answered(engine, items, explain=explain, progress=progress)
        return self.stored(batch, answers)

    def stored(self, batch: Batch[Answer], answers: Sequence[Response | None]) -> Batch[Answer]:
        """Store answers; those of people who were forgotten meanwhile become failures.

        Args:
            batch: What was answered.
            answers: The same in the form in which the store keeps it.

        Returns:
            The batch, without the answers that were not stored.

        Raises:
            UserNotFoundError: If the store does not say who it is that it does not hold.
        """
        left = list(answers)
        failures = list(batch.failures)
        while True:
            try:
                self.corpus.ledger.put_responses([one for one in left if one is not None])
            except UserNotFoundError as error:
                gone = self._gone([one.user_id for one in left if one is not None], error)
                if not gone:
                    raise
                for at, one in enumerate(left):
                    if one is not None and one.user_id in gone:
                        failures.append(_unkept(at, one.user_id, error))
                        left[at] = None
            else:
                break
        items = [item if one else None for item, one in zip(batch.items, left, strict=True)]
        return Batch(tuple(items), tuple(sorted(failures, key=lambda one: one.index)))

    def _gone(self, people: Sequence[str], error: UserNotFoundError) -> set[str]:
        """Return who of those that were just asked is not in the store any more."""
        named = error.user_ids if isinstance(error, UserForgottenError) else ()
        return set(named) or {one for one in people if not self.corpus.holds(one)}

    def answered(
        self,
        engine: Engine,
        items: Sequence[RespondItem],
        *,
        explain: bool = False,
        progress: Progress | None = None,
    ) -> tuple[Batch[Answer], list[Response | None]]:
        """Answer items; return the answers, and each in the form in which the store keeps it."""
        batch = respond(
            engine,
            items,
            config=self.config.simulation,
            history=self.config.history,
            explain=explain,
            progress=progress,
        )
        return batch, [
            None if answer is None else _response(item, answer)
            for item, answer in zip(items, batch.items, strict=True)
        ]


def _response(item: RespondItem, answer: Answer) -> Response:
    key = question_key(item.user_id, item.question.context)
    return Response(
        user_id=item.user_id,
        question_key=key,
        record=answer.to_dict(),
        shown=answer.trace.history,
    )


def _unkept(index: int, user_id: str, error: UserNotFoundError) -> Failure:
    return Failure(
        index=index,
        item=user_id,
        error=UserForgottenError.__name__,
        message=f"the answer was not kept: {error}",
    )


def only(batch: Batch[Answer]) -> Answer:
    """Return the one answer of a batch of one.

    Raises:
        UserForgottenError: If the person was forgotten while they were asked.
        UsersimError: If it failed; the texts that were drawn are in its notes.
    """
    answer = batch.items[0]
    if answer is None:
        failure = batch.failures[0]
        if failure.error == UserForgottenError.__name__:
            raise UserForgottenError([failure.item], "they were being asked")
        error = UsersimError(
            failure.message, hint="allow more tokens or redraws (SimulationConfig)"
        )
        error.add_note(f"what was drawn:\n{failure.text}")
        raise error
    return answer
