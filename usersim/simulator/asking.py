"""What a caller may ask, as items for the simulation; knows the store and the adapter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias, TypeVar, cast

from usersim.config import PipelineConfig
from usersim.corpus import Corpus, Response
from usersim.engines import Engine
from usersim.errors import (
    SHORTEN_PROMPT,
    ActionError,
    ArgumentError,
    ConfigError,
    ContextLengthError,
    UserForgottenError,
    UserNotFoundError,
    UsersimError,
)
from usersim.simulation import Answer, RespondItem, derive_seed, respond
from usersim.simulator.adapters import Adapters, reasoning_weight
from usersim.simulator.calls import in_call
from usersim.simulator.predicting import Predictions
from usersim.training import TrainedAdapter
from usersim.types import (
    Batch,
    ContextLike,
    Failure,
    FreeText,
    Interaction,
    Message,
    Predictor,
    Question,
    ScoredCandidate,
    as_options,
    question_key,
)
from usersim.types.counting import counted
from usersim.views import Progress

__all__ = [
    "Asker",
    "Context",
    "as_contexts",
    "as_question",
    "narrowed",
    "only",
    "response_of",
    "seen_before",
]

T = TypeVar("T")

_BRIEF = 60
"""Characters of a context that are repeated in a hint."""

Context: TypeAlias = ContextLike | Question | Interaction
"""A text, messages (dicts are messages too), a question, or an observed interaction, whose context
is asked again."""


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
        >>> as_question([{"role": "assistant", "content": "Tea?"}]).context[0].role
        'assistant'
    """
    question = context.question if isinstance(context, Interaction) else Question.of(context)
    if not any(message.content.strip() for message in question.context):
        raise ConfigError(f"the context must not be empty; got {context!r}")
    if options is None and kind is None:
        return question
    if not isinstance(question.space, FreeText):
        raise ActionError(f"the question already has an action space: {question.space!r}")
    return Question(question.context, options=options, kind=kind)


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


def as_contexts(
    contexts: object,
    *,
    options: Sequence[str] | Sequence[Sequence[str] | None] | None = None,
    kind: str | Sequence[str | None] | None = None,
) -> list[Context]:
    """Return what is asked one by one, each with the action space that is asked for.

    Args:
        contexts: Contexts, in order.
        options: Of all of them, or of each; None leaves them as they are.
        kind: Of all of them, or of each; None leaves them as they are.

    Raises:
        ActionError: If kind and options of a context do not fit each other.
        ArgumentError: If this is a single context.
        ConfigError: If options or kinds are not as many as contexts, or one is not a context.

    Example:
        >>> asked = as_contexts(["Tea?", "Sugar?"], options=["yes", "no"])
        >>> [question.space.options for question in asked]
        [('yes', 'no'), ('yes', 'no')]
    """
    if isinstance(contexts, str | Question | Interaction | Message | Mapping | bytes):
        one = _brief(cast("object", contexts))
        raise ArgumentError(
            f"contexts must be a list of contexts; got the single one {contexts!r}",
            hint=f"call respond_many([{one}]) for a list of one, or respond({one}) for one answer",
        )
    if not isinstance(contexts, Iterable):
        raise ArgumentError(
            f"contexts must be a list of contexts; got {contexts!r}",
            hint='for example ["Tea or coffee?", "Early or late?"]',
        )
    listed = list(cast("Iterable[Context]", contexts))
    each = zip(_options_each(options, len(listed)), _kind_each(kind, len(listed)), strict=True)
    found: list[Context] = []
    for place, (context, (own, name)) in enumerate(zip(listed, each, strict=True)):
        with in_call(f"context {place}"):
            as_question(context)
            found.append(narrowed(context, options=own, kind=name))
    return found


def _brief(context: object) -> str:
    """Return a context as it stands in a call; a long one as an ellipsis."""
    text = repr(context)
    return text if len(text) <= _BRIEF else "…"


def _options_each(options: object, n: int) -> Sequence[Sequence[str] | None]:
    """Return the options of each context: the same for all, or those listed."""
    if options is None:
        return [None] * n
    several = isinstance(options, list | tuple) and not any(
        isinstance(one, str) for one in cast("Sequence[object]", options)
    )
    if several and options:
        return _as_many("options", cast("Sequence[Sequence[str] | None]", options), n)
    return [as_options(cast("object", options))] * n


def _kind_each(kind: str | Sequence[str | None] | None, n: int) -> Sequence[str | None]:
    """Return the kind of each context: the same for all, or those listed."""
    if kind is None or isinstance(kind, str):
        return [kind] * n
    return _as_many("kind", kind, n)


def _as_many(name: str, given: Sequence[T], n: int) -> Sequence[T]:
    if len(given) != n:
        raise ConfigError(
            f"{name} has {counted(len(given), 'entry', 'entries')} for {counted(n, 'context')}",
            hint="pass one for all contexts, or one for each",
        )
    return given


@dataclass(frozen=True, slots=True)
class Asker:
    """Puts questions to simulated people.

    Attributes:
        corpus: The store.
        config: Settings of every stage.
        predictions: Finds what is shown, and what is known before a model reads the question.
        model: Name of the base model.
        adapters: Says which adapter answers for whom.
        kept: Kept traces by interaction key, shown while there is no adapter (Recon-Memory).
        predictors: Whose distributions are pooled; None for those of the configuration.

    Example:
        >>> from usersim import UserSimulator
        >>> rows = [{"user_id": "ada", "context": "Tea?", "action": "Yes."}]
        >>> with UserSimulator.from_corpus(rows, engine="scripted") as sim:
        ...     item = sim.asker(predictors=["reasoning"]).item("ada", "Milk?", seed=1)
        >>> item.user_id, item.question.context[0].content
        ('ada', 'Milk?')
    """

    corpus: Corpus
    config: PipelineConfig
    predictions: Predictions
    model: str
    adapters: Adapters
    kept: Mapping[str, ScoredCandidate]
    predictors: tuple[Predictor, ...] | None = None

    @property
    def pooled(self) -> tuple[Predictor, ...]:
        """The predictors whose distributions are pooled."""
        return self.predictors or self.config.prediction.predictors

    def under(self, config: PipelineConfig) -> Asker:
        """Return what puts the same questions under other settings."""
        return replace(self, config=config, predictions=self.predictions.under(config))

    def answering(self, adapter: TrainedAdapter) -> Asker:
        """Return what puts the same questions to one adapter, whoever is asked."""
        adapters = Adapters(self.corpus, self.adapters.base, "fixed", adapter)
        return replace(self, adapters=adapters)

    def simulator(self, user_id: str) -> str:
        """Return what answers for a person: digest of the adapter, or name of the base model."""
        adapter = self.adapters.for_person(user_id)
        return adapter.ref.digest if adapter else self.model

    def held_answers(self, user_id: str) -> frozenset[str] | None:
        """Return the keys of the answers that a person's adapter did not learn from.

        Returns:
            None if it learned from none of theirs, or there is no adapter.
        """
        adapter = self.adapters.for_person(user_id)
        if adapter is None or user_id not in adapter.manifest.learned_from:
            return None
        return frozenset(adapter.manifest.held)

    def item(
        self, user_id: str, context: Context, *, seed: int | None = None, as_new: bool = False
    ) -> RespondItem:
        """Return `context` to `user_id` with the history of the train split.

        An interaction of that person that was learned from is asked with what came before it:
        its own answer must not stand in the prompt.

        Raises:
            UserNotFoundError: If there is no such user.
        """
        before = seen_before(user_id, context)
        question = as_question(context)
        return self.prepared(user_id, question, before=before, seed=seed, as_new=as_new)

    def prepared(
        self,
        user_id: str,
        question: Question,
        *,
        before: int | None,
        seed: int | None = None,
        as_new: bool = False,
    ) -> RespondItem:
        """Return `question` to `user_id` with the history before position `before`.

        Raises:
            UserNotFoundError: If there is no such user.
        """
        adapter = self.adapters.for_person(user_id)
        known = self.predictions.foresee(
            user_id,
            question,
            before=before,
            simulator=adapter.ref.digest if adapter else self.model,
            predictors=self.predictors,
            as_new=as_new,
        )
        messages = [(m.role, m.name, m.content) for m in question.context]
        own = self.config.simulation.seed if seed is None else seed
        shown = {
            past.key: self.kept[past.key]
            for past in known.history
            if adapter is None and past.key in self.kept
        }
        return RespondItem(
            user_id=user_id,
            question=question,
            history=known.history,
            seed=derive_seed(own, user_id, messages),
            adapter=adapter.ref if adapter else None,
            reasoning_weight=reasoning_weight(adapter),
            reasonings={key: one.candidate.reasoning for key, one in shown.items()},
            gains={key: one.scores.reported_gain for key, one in shown.items()},
            predictors=known.predictors,
            group=known.group,
            combine=known.combine,
            asked=known.asked,
            evidence=known.evidence,
            edges=known.edges,
            # By worked examples a model is shown how a person reasons; an adapter that learned
            # traces knows, and one that learned none never closes one.
            drafted=not shown and (adapter is None or not adapter.manifest.counts.with_reasoning),
        )

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
            None if answer is None else response_of(item, answer)
            for item, answer in zip(items, batch.items, strict=True)
        ]


def response_of(item: RespondItem, answer: Answer) -> Response:
    """Return an answer in the form in which the store keeps it."""
    key = question_key(item.user_id, item.question.context)
    return Response(
        user_id=item.user_id,
        question_key=key,
        record=answer.to_dict(),
        shown=answer.trace.history,
        shortfall=_shortfall(answer),
    )


def _unkept(index: int, user_id: str, error: UserNotFoundError) -> Failure:
    return Failure(
        index=index,
        item=user_id,
        error=UserForgottenError.__name__,
        message=f"the answer was not stored: {error}",
    )


def _shortfall(answer: Answer) -> Failure | None:
    """Return what an answer had to do without; None if it is complete."""
    if not answer.trace.reasoning_failed:
        return None
    texts = answer.trace.unreadable
    return Failure(
        index=0,
        item=answer.trace.user_id,
        error="TranscriptError",
        message=f"answered without reasoning: none of the {len(texts)} drawn traces was readable",
        text="\n---\n".join(texts),
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
            raise UserForgottenError([failure.item], "an answer was being simulated for them")
        error = _error_of(failure)
        if failure.text:
            error.add_note(f"the draw was:\n{failure.text}")
        raise error
    return answer


def _error_of(failure: Failure) -> UsersimError:
    """Return a failure as an error with the next step for its kind."""
    if failure.error == ContextLengthError.__name__:
        hint = "shorten the history (HistoryConfig) or choose a model with a longer context"
        return UsersimError(failure.message, hint=hint, cli_hint=SHORTEN_PROMPT)
    if failure.error == ConfigError.__name__:
        return ConfigError(
            failure.message,
            hint="allow more predictors, such as 'reasoning', 'no_reasoning' or 'own_scale'",
        )
    return UsersimError(
        failure.message,
        hint="allow more tokens or redraws (SimulationConfig)",
        cli_hint="try another --seed, a larger --model, or a larger --preset, which allows longer "
        "answers",
    )
