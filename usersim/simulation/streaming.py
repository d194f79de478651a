"""One answer, piece by piece: reasoning as it is written, then the action."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Literal

from usersim import transcript
from usersim.config import HistoryConfig, SimulationConfig
from usersim.engines import Draw, Engine, GenerateRequest
from usersim.errors import ActionError, TranscriptError
from usersim.simulation.answer import Answer, DrawnTrace
from usersim.simulation.closed import distributions, pooled
from usersim.simulation.counted import pooled_draws
from usersim.simulation.items import RespondItem
from usersim.simulation.opened import read_action
from usersim.simulation.reasoning import derive_seed, read_reasoning
from usersim.simulation.respond import answer_of
from usersim.types import ActionSpace, ActionValue, Predictor, is_closed
from usersim.types.patterns import pattern_of

__all__ = ["Piece", "stream_answer"]


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of an answer in the making.

    Attributes:
        part: `reasoning` or `action`; all of the reasoning comes first.
        text: The next characters.
        reasoning_failed: Of a closed question's action: True if the reasoning before it could not
            be read, so that the question was answered without.
    """

    part: Literal["reasoning", "action"]
    text: str
    reasoning_failed: bool = False


def stream_answer(
    engine: Engine,
    item: RespondItem,
    *,
    config: SimulationConfig = SimulationConfig(),
    history: HistoryConfig = HistoryConfig(),
) -> Generator[Piece, None, Answer]:
    """Yield one answer piece by piece, from a single trace and without redraws; return it.

    A closed question's action comes in one piece: the likeliest option given the trace, or given
    none if what was written cannot be read as reasoning and `config` does not require it. So does
    a number or a multiple choice that is pooled.

    Args:
        engine: Streams; needs `logprobs` for closed questions.
        item: What is asked of whom.
        config: How an answer is drawn.
        history: Limits of the prompt.

    Yields:
        Pieces.

    Returns:
        The answer that the pieces make, with everything behind it.

    Raises:
        TranscriptError: If what was written cannot be read as an action, or as reasoning that the
            answer needs; the pieces that were yielded before are then no answer.
        ActionError: If the action is no value of the question's action space.
    """
    started = time.perf_counter()
    prompt = item.prompt(history)
    space = item.question.space
    trace, unreadable = DrawnTrace(reasoning="", seed=item.seed), ()
    if config.traces and (item.combine is None or "reasoning" in item.asked):
        trace, unreadable = yield from _reasoning(engine, item, config, history)
    if is_closed(space):
        rows = distributions(
            engine, [(item, [trace.reasoning, ""])], history=history, orders=config.option_orders
        )[0]
        found = pooled(item, rows[:1] if trace.reasoning else [], rows[1])
        chosen = space.likeliest(found.probabilities)
        yield Piece("action", chosen, reasoning_failed=bool(unreadable))
        trace = replace(trace, probabilities=rows[0], action=space.likeliest(rows[0]))
        return answer_of(
            item,
            chosen,
            [trace],
            engine=engine,
            history=history,
            pooled=found,
            unreadable=unreadable,
            seconds=time.perf_counter() - started,
        )
    name: Predictor = "reasoning" if trace.reasoning else "no_reasoning"
    request = GenerateRequest(
        prompt=prompt,
        prefix=transcript.prefix(trace.reasoning),
        max_tokens=config.max_action_tokens,
        temperature=config.temperature,
        top_p=config.top_p,
        pattern=pattern_of(space) if engine.capabilities.structured else "",
        seed=derive_seed(derive_seed(item.seed, 0), "action", 0),
        adapter=item.adapter,
    )
    if item.combine is None:
        draw = yield from _pieces("action", engine.stream(request))
        action, found = read_action(draw, space), None
        trace = replace(trace, action=space.render(action))
    else:
        drawn: list[ActionValue] = []
        if name in item.asked:
            trace, drawn = _drawn(engine, request, trace, space)
        found, action = pooled_draws(item, name, drawn, config)
        yield Piece("action", space.render(action), reasoning_failed=bool(unreadable))
    return answer_of(
        item,
        action,
        [trace],
        engine=engine,
        history=history,
        pooled=found,
        unreadable=unreadable,
        seconds=time.perf_counter() - started,
    )


def _drawn(
    engine: Engine, request: GenerateRequest, trace: DrawnTrace, space: ActionSpace
) -> tuple[DrawnTrace, list[ActionValue]]:
    """Draw an action that is pooled before it is shown; none if it cannot be read."""
    ((draw,),) = engine.generate([request])
    try:
        action = read_action(draw, space)
    except (TranscriptError, ActionError):
        return trace, []
    return replace(trace, action=space.render(action)), [action]


def _reasoning(
    engine: Engine, item: RespondItem, config: SimulationConfig, history: HistoryConfig
) -> Generator[Piece, None, tuple[DrawnTrace, tuple[str, ...]]]:
    """Yield reasoning; return it, and what was written where that is none and need not be.

    Raises:
        TranscriptError: If what was written cannot be read as reasoning that the answer needs.
    """
    request = GenerateRequest(
        prompt=item.reasoning_prompt(history),
        prefix=transcript.OPEN,
        max_tokens=config.max_reasoning_tokens,
        temperature=config.temperature,
        top_p=config.top_p,
        stop=(transcript.REASONING_STOP, *(["\n"] if item.drafted else [])),
        seed=derive_seed(item.seed, "reasoning", 0),
        adapter=item.adapter,
    )
    draw = yield from _pieces("reasoning", engine.stream(request))
    try:
        text, cut = read_reasoning(
            draw, close=config.long_reasoning == "close", paragraph=item.drafted
        )
    except TranscriptError as error:
        spared = is_closed(item.question.space) or item.combine is not None
        if not spared or config.require_reasoning:
            raise
        return DrawnTrace(reasoning="", seed=item.seed), (error.text,)
    return DrawnTrace(reasoning=text, seed=request.seed, closed=cut), ()


def _pieces(
    part: Literal["reasoning", "action"], stream: Generator[str, None, Draw]
) -> Generator[Piece, None, Draw]:
    while True:
        try:
            text = next(stream)
        except StopIteration as end:
            draw: Draw = end.value
            return draw
        yield Piece(part, text)
