"""One answer, piece by piece: reasoning as it is written, then the action."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Literal

from usersim import transcript
from usersim.config import HistoryConfig, SimulationConfig
from usersim.engines import Draw, Engine, GenerateRequest
from usersim.simulation.closed import distributions, mixed
from usersim.simulation.items import RespondItem
from usersim.simulation.opened import read_action
from usersim.simulation.reasoning import derive_seed, read_reasoning
from usersim.types import is_closed
from usersim.types.patterns import pattern_of

__all__ = ["Piece", "stream_answer"]


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of an answer in the making.

    Attributes:
        part: `reasoning` or `action`; all of the reasoning comes first.
        text: The next characters.
    """

    part: Literal["reasoning", "action"]
    text: str


def stream_answer(
    engine: Engine,
    item: RespondItem,
    *,
    config: SimulationConfig = SimulationConfig(),
    history: HistoryConfig = HistoryConfig(),
) -> Iterator[Piece]:
    """Yield one answer piece by piece, from a single trace and without redraws.

    A closed question's action comes in one piece: the likeliest option given the trace.

    Args:
        engine: Streams; needs `logprobs` for closed questions.
        item: What is asked of whom.
        config: How an answer is drawn.
        history: Limits of the prompt.

    Yields:
        Pieces.

    Raises:
        TranscriptError: If what was written cannot be read as reasoning, or as an action; the
            pieces that were yielded before are then no answer.
        ActionError: If the action is no value of the question's action space.
    """
    prompt = item.prompt(history)
    reasoning = ""
    if config.traces:
        request = GenerateRequest(
            prompt=prompt,
            prefix=transcript.OPEN,
            max_tokens=config.max_reasoning_tokens,
            temperature=config.temperature,
            top_p=config.top_p,
            stop=(transcript.REASONING_STOP,),
            seed=derive_seed(item.seed, "reasoning", 0),
            adapter=item.adapter,
        )
        draw = yield from _pieces("reasoning", engine.stream(request))
        reasoning, _ = read_reasoning(draw, close=config.long_reasoning == "close")
    if is_closed(item.question.space):
        rows = distributions(
            engine, [(item, [reasoning, ""])], history=history, orders=config.option_orders
        )[0]
        probabilities = mixed(rows[:1], rows[1], item.reasoning_weight if reasoning else 0.0)
        yield Piece("action", max(probabilities, key=probabilities.__getitem__))
        return
    request = GenerateRequest(
        prompt=prompt,
        prefix=transcript.prefix(reasoning),
        max_tokens=config.max_action_tokens,
        temperature=config.temperature,
        top_p=config.top_p,
        pattern=pattern_of(item.question.space) if engine.capabilities.structured else "",
        seed=derive_seed(derive_seed(item.seed, 0), "action", 0),
        adapter=item.adapter,
    )
    draw = yield from _pieces("action", engine.stream(request))
    read_action(draw, item.question.space)


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
