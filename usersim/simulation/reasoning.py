"""Draw the reasoning of an answer, and draw again what cannot be read.

Knows the engine and the transcript format; does not know what the answer may be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from usersim import transcript
from usersim.config import SimulationConfig
from usersim.engines import AdapterRef, ChatPrompt, Draw, Engine, GenerateRequest
from usersim.errors import TranscriptError
from usersim.simulation.answer import DrawnTrace
from usersim.types import content_key
from usersim.views import Progress

__all__ = ["ReasoningRequest", "ReasoningResult", "derive_seed", "draw_reasoning", "read_reasoning"]


def derive_seed(*parts: object) -> int:
    """Return a 63-bit seed that depends on `parts` alone.

    Example:
        >>> derive_seed(0, "ada") == derive_seed(0, "ada") != derive_seed(1, "ada")
        True
    """
    return int(content_key(*parts)[:15], 16)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasoningRequest:
    """Ask for `n` traces after one prompt."""

    prompt: ChatPrompt
    n: int
    seed: int
    adapter: AdapterRef | None = None
    paragraph: bool = False
    """Whether a line break ends the trace, as it does for a synthesizer."""


@dataclass(slots=True)
class ReasoningResult:
    """What was drawn for one request.

    Attributes:
        traces: The readable traces, at most `n`.
        malformed: Texts that could not be read, whole, in the order drawn.
    """

    traces: list[DrawnTrace] = field(default_factory=list[DrawnTrace])
    malformed: list[str] = field(default_factory=list[str])


def read_reasoning(draw: Draw, *, close: bool, paragraph: bool = False) -> tuple[str, bool]:
    """Read one draw.

    Args:
        draw: Drawn after `transcript.OPEN`, stopped at `transcript.REASONING_STOP`.
        close: Whether reasoning cut at the limit may be closed after its last sentence, and
            reasoning in which the model ended its turn at that end.
        paragraph: Whether a line break ends the trace; the end of the turn then does as well.

    Returns:
        The reasoning, and whether it was closed.

    Raises:
        TranscriptError: If it is not reasoning.
    """
    if draw.finish == "length" and close:
        return transcript.close_reasoning(draw.text), True
    if draw.finish == "end" and (paragraph or close):
        # A draft ends so; what learned few traces ends its turn where it should close them.
        return transcript.parse_reasoning(draw.text, stopped=True), not paragraph
    return transcript.parse_reasoning(draw.text, stopped=draw.finish == "stop"), False


def draw_reasoning(
    engine: Engine,
    requests: Sequence[ReasoningRequest],
    config: SimulationConfig,
    *,
    progress: Progress | None = None,
) -> list[ReasoningResult]:
    """Draw traces; what cannot be read is drawn again, `config.redraws` times at the most.

    A request may end with fewer than `n` traces, and with none: the caller decides what that
    means. Every unreadable text is kept.

    Args:
        engine: Generates.
        requests: One per answer.
        config: Limits, temperature and redraws.
        progress: Called with (stage, requests done, requests) of the first round.

    Returns:
        One result per request.
    """
    results = [ReasoningResult() for _ in requests]
    for attempt in range(config.redraws + 1):
        missing = [i for i, r in enumerate(requests) if len(results[i].traces) < r.n]
        if not missing:
            break
        seeds = {i: derive_seed(requests[i].seed, "reasoning", attempt) for i in missing}
        drawn = engine.generate(
            [
                GenerateRequest(
                    prompt=requests[i].prompt,
                    prefix=transcript.OPEN,
                    max_tokens=config.max_reasoning_tokens,
                    temperature=config.temperature,
                    top_p=config.top_p,
                    stop=(transcript.REASONING_STOP, *(["\n"] if requests[i].paragraph else [])),
                    n=requests[i].n - len(results[i].traces),
                    seed=seeds[i],
                    adapter=requests[i].adapter,
                )
                for i in missing
            ],
            progress=progress if attempt == 0 else None,
        )
        for i, draws in zip(missing, drawn, strict=True):
            for draw in draws:
                try:
                    text, closed = read_reasoning(
                        draw,
                        close=config.long_reasoning == "close",
                        paragraph=requests[i].paragraph,
                    )
                except TranscriptError as error:
                    results[i].malformed.append(error.text)
                else:
                    trace = DrawnTrace(reasoning=text, seed=seeds[i], closed=closed)
                    results[i].traces.append(trace)
    return results
