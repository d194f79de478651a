"""Answer questions as a person would: reasoning first, action second.

Takes items that hold everything they need, and an engine; knows nothing of the store, of
training or of how traces are selected.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from usersim.config import HistoryConfig, SimulationConfig
from usersim.engines import Engine
from usersim.engines.batching import each
from usersim.prompts import load_template
from usersim.simulation.answer import Answer, AnswerTrace, DrawnTrace, Influence
from usersim.simulation.closed import distributions, pooled
from usersim.simulation.counted import pooled_draws
from usersim.simulation.explain import influences
from usersim.simulation.items import RespondItem, traces_for
from usersim.simulation.opened import ActionRequest, ActionResult, combine, draw_actions
from usersim.simulation.reasoning import (
    ReasoningRequest,
    ReasoningResult,
    derive_seed,
    draw_reasoning,
)
from usersim.types import (
    ActionValue,
    Batch,
    Choice,
    Failure,
    Pooled,
    Predictor,
    Scale,
    is_closed,
)
from usersim.views import Progress

__all__ = ["answer_of", "respond"]

NOBODY_KNOWS = "no predictor that was asked for can answer this question: nobody else answered it"


@dataclass(slots=True)
class _Work:
    """One item on its way to an answer."""

    index: int
    item: RespondItem
    traces: list[DrawnTrace]
    redraws: int
    pooled: Pooled | None = None
    action: ActionValue | None = None
    failure: Failure | None = None
    unreadable: tuple[str, ...] = ()

    @property
    def weight(self) -> float:
        """Share of the answer that comes from reasoning."""
        return 0.0 if self.unreadable else self.item.reasoning_weight

    def fail(self, error: str, message: str, texts: Sequence[str]) -> None:
        self.failure = Failure(
            index=self.index,
            item=self.item.user_id,
            error=error,
            message=f"user {self.item.user_id!r}, item {self.index}: {message}",
            text="\n---\n".join(texts),
        )


def respond(
    engine: Engine,
    items: Sequence[RespondItem],
    *,
    config: SimulationConfig = SimulationConfig(),
    history: HistoryConfig = HistoryConfig(),
    explain: bool = False,
    progress: Progress | None = None,
) -> Batch[Answer]:
    """Answer every item.

    Args:
        engine: Generates; needs `logprobs` for closed questions and for `explain`.
        items: What is asked of whom.
        config: How an answer is drawn.
        history: Limits of the prompt.
        explain: Also measure how far the trace moves the answer.
        progress: Called with (stage, items whose traces are drawn, items).

    Returns:
        Answers in the order of the items. An item whose texts stayed malformed is a failure
        that keeps them, and so is one that does not fit the model. A closed question needs no
        readable trace unless `config.require_reasoning` is set: it is then answered without
        reasoning, and its trace says so.

    Raises:
        CapabilityError: If the engine cannot do what the questions need.
    """
    run = partial(
        _respond, engine, config=config, history=history, explain=explain, progress=progress
    )
    return each(items, run, lambda item: item.user_id)


def _respond(
    engine: Engine,
    items: Sequence[RespondItem],
    *,
    config: SimulationConfig,
    history: HistoryConfig,
    explain: bool,
    progress: Progress | None,
) -> Batch[Answer]:
    """Answer a chunk; fails as a whole if one of its items does not fit the model."""
    started = time.perf_counter()
    work = _reason(engine, items, config, history, progress)
    closed = [w for w in work if not w.failure and is_closed(w.item.question.space)]
    opened = [w for w in work if not w.failure and not is_closed(w.item.question.space)]
    _decide(engine, closed, config, history)
    _act(engine, opened, config, history)
    seconds = (time.perf_counter() - started) / max(len(items), 1)
    answers = [None if w.failure else _answer(w, engine, history, seconds) for w in work]
    if explain:
        answers = _explained(engine, items, answers, config, history)
    return Batch(tuple(answers), tuple(w.failure for w in work if w.failure))


def _reason(
    engine: Engine,
    items: Sequence[RespondItem],
    config: SimulationConfig,
    history: HistoryConfig,
    progress: Progress | None,
) -> list[_Work]:
    """Draw the traces; open text needs one only, since its action follows one trace."""
    wanted = [traces_for(item.question.space, config) if _reasons(item) else 0 for item in items]
    requests = [
        ReasoningRequest(
            prompt=item.reasoning_prompt(history),
            n=n,
            seed=item.seed,
            adapter=item.adapter,
            paragraph=item.drafted,
        )
        for item, n in zip(items, wanted, strict=True)
        if n
    ]
    drawn = iter(draw_reasoning(engine, requests, config, progress=progress))
    work: list[_Work] = []
    for index, (item, n) in enumerate(zip(items, wanted, strict=True)):
        result = next(drawn) if n else ReasoningResult([DrawnTrace(reasoning="", seed=item.seed)])
        one = _Work(index, item, result.traces, len(result.malformed))
        if item.combine is not None and not item.predictors and not item.asked:
            one.fail("ConfigError", NOBODY_KNOWS, ())
        elif not result.traces:
            _without_reasoning(one, result.malformed, config)
        work.append(one)
    return work


def _without_reasoning(work: _Work, malformed: Sequence[str], config: SimulationConfig) -> None:
    """Let a pooled question be answered without reasoning where that is allowed, or fail."""
    item = work.item
    spared = is_closed(item.question.space) or item.combine is not None
    if spared and not config.require_reasoning:
        work.traces = [DrawnTrace(reasoning="", seed=item.seed)]
        work.unreadable = tuple(malformed)
        return
    message = f"none of {len(malformed)} drawn traces was readable"
    work.fail("TranscriptError", message, malformed)


def _decide(
    engine: Engine, work: Sequence[_Work], config: SimulationConfig, history: HistoryConfig
) -> None:
    """Choose the option of closed questions from the averaged probabilities."""
    if not work:
        return
    asked = [(w.item, _reasonings(w)) for w in work]
    found = distributions(engine, asked, history=history, orders=config.option_orders)
    for w, (_, reasonings), rows in zip(work, asked, found, strict=True):
        space = w.item.question.space
        assert is_closed(space), "only closed questions have options"
        given = [row for reasoning, row in zip(reasonings, rows, strict=True) if reasoning]
        without = rows[-1] if reasonings and not reasonings[-1] else None
        w.pooled = pooled(w.item, given, without)
        w.action = _option(w, space, config)
        if given:
            w.traces = [
                replace(trace, probabilities=row, action=space.likeliest(row))
                for trace, row in zip(w.traces, given, strict=True)
            ]
            # The trace that speaks most for the answer is the one that is shown.
            w.traces.sort(key=lambda trace: -trace.probabilities[str(w.action)])


def _reasons(item: RespondItem) -> bool:
    """Return whether reasoning has any part in the answer."""
    return item.combine is None or "reasoning" in item.asked


def _reasonings(work: _Work) -> list[str]:
    """Return the reasonings after which the options are scored, none last where it is wanted."""
    drawn = [trace.reasoning for trace in work.traces if trace.reasoning]
    if work.item.combine is None:
        alone = not drawn or work.item.reasoning_weight < 1
    else:
        alone = "no_reasoning" in work.item.asked or bool(work.unreadable)
    return [*drawn, ""] if alone else drawn


def _option(work: _Work, space: Choice | Scale, config: SimulationConfig) -> str:
    assert work.pooled is not None, "an option is chosen from its probabilities"
    probabilities = work.pooled.probabilities
    if config.decision != "sampled":
        return space.likeliest(probabilities)
    options, weights = zip(*probabilities.items(), strict=True)
    stream = random.Random(derive_seed(work.item.seed, "option"))  # noqa: S311 - not a secret
    return str(stream.choices(options, weights=weights)[0])


def _act(
    engine: Engine, work: Sequence[_Work], config: SimulationConfig, history: HistoryConfig
) -> None:
    """Draw the actions of open questions, one per trace, and pool what can be pooled."""
    asked = [w for w in work if _speaks(w)]
    requests = [
        ActionRequest(
            prompt=w.item.prompt(history),
            reasoning=trace.reasoning,
            space=w.item.question.space,
            seed=derive_seed(w.item.seed, place),
            adapter=w.item.adapter,
        )
        for w in asked
        for place, trace in enumerate(w.traces)
    ]
    results = iter(draw_actions(engine, requests, config) if requests else [])
    for w in work:
        own = [next(results) for _ in w.traces] if _speaks(w) else []
        w.redraws += sum(len(result.malformed) for result in own)
        _settle(w, own, config)


def _speaks(work: _Work) -> bool:
    """Return whether an action is drawn: always, unless the pool has no use for it."""
    return work.item.combine is None or _name(work) in work.item.asked


def _name(work: _Work) -> Predictor:
    """Return which predictor the drawn actions are."""
    return "reasoning" if work.traces[0].reasoning else "no_reasoning"


def _settle(work: _Work, results: Sequence[ActionResult], config: SimulationConfig) -> None:
    space = work.item.question.space
    read = [
        (replace(trace, action=space.render(result.action)), result.action)
        for trace, result in zip(work.traces, results, strict=False)  # one each, or none at all
        if result.action is not None
    ]
    if work.item.combine is not None:
        drawn = [action for _, action in read]
        work.pooled, work.action = pooled_draws(work.item, _name(work), drawn, config)
        work.traces = [trace for trace, _ in read] or work.traces
        return
    if not read:
        texts = [text for result in results for text in result.malformed]
        work.fail(
            "ActionError",
            f"none of the drawn actions is a valid {space.kind}: {results[-1].reason}",
            texts,
        )
        return
    work.traces = [trace for trace, _ in read]
    work.action = combine(space, [action for _, action in read])


def answer_of(  # noqa: PLR0913 - keyword-only, each a plain fact about the answer
    item: RespondItem,
    action: ActionValue,
    traces: Sequence[DrawnTrace],
    *,
    engine: Engine,
    history: HistoryConfig,
    pooled: Pooled | None = None,
    redraws: int = 0,
    unreadable: Sequence[str] = (),
    seconds: float,
) -> Answer:
    """Return an answer with everything behind it.

    Args:
        item: What was asked of whom.
        action: The answer itself.
        traces: What was drawn, the trace that is shown first.
        engine: What drew it.
        history: Limits of the prompt.
        pooled: Probabilities of a closed question, and where they come from.
        redraws: Malformed texts that were drawn again.
        unreadable: Texts of a closed question's traces, where none of them could be read.
        seconds: How long it took.
    """
    trace = AnswerTrace(
        user_id=item.user_id,
        question="\n".join(message.content for message in item.question.context),
        history=tuple(past.key for past in item.history),
        prompt=item.prompt(history),
        prompt_id=load_template("turns" if history.form == "turns" else "respond").id,
        drawn=tuple(traces),
        probabilities=dict(pooled.probabilities) if pooled else {},
        predictors=pooled.shares if pooled else (),
        calibrated=pooled is not None and pooled.calibrated,
        evidence=item.evidence,
        reasoning_weight=0.0 if unreadable else item.reasoning_weight,
        redraws=redraws,
        reasoning_failed=bool(unreadable),
        unreadable=tuple(unreadable),
        kept_gains=item.gains,
        adapter=item.adapter.name if item.adapter else None,
        engine=engine.identity,
        seed=item.seed,
        seconds=seconds,
    )
    return Answer(
        action=action,
        kind=item.question.space.kind,
        reasoning=traces[0].reasoning,
        trace=trace,
    )


def _answer(work: _Work, engine: Engine, history: HistoryConfig, seconds: float) -> Answer:
    assert work.action is not None, "an item without an action must be a failure"
    return answer_of(
        work.item,
        work.action,
        work.traces,
        engine=engine,
        history=history,
        pooled=work.pooled,
        redraws=work.redraws,
        unreadable=work.unreadable,
        seconds=seconds,
    )


def _explained(
    engine: Engine,
    items: Sequence[RespondItem],
    answers: Sequence[Answer | None],
    config: SimulationConfig,
    history: HistoryConfig,
) -> list[Answer | None]:
    done = [(item, answer) for item, answer in zip(items, answers, strict=True) if answer]
    found: list[Influence] = influences(engine, done, config=config, history=history)
    measured = iter(found)
    return [replace(answer, influence=next(measured)) if answer else None for answer in answers]
