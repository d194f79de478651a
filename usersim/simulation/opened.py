"""Draw the action of open questions after given reasoning, and draw again what is malformed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from usersim import transcript
from usersim.config import SimulationConfig
from usersim.engines import AdapterRef, ChatPrompt, Draw, Engine, GenerateRequest
from usersim.errors import ActionError, TranscriptError
from usersim.simulation.reasoning import derive_seed
from usersim.types import ActionSpace, ActionValue, Number
from usersim.types.patterns import pattern_of

__all__ = ["ActionRequest", "ActionResult", "combine", "draw_actions", "read_action"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRequest:
    """Ask for one action after one prompt and one reasoning."""

    prompt: ChatPrompt
    reasoning: str
    space: ActionSpace
    seed: int
    adapter: AdapterRef | None = None


@dataclass(slots=True)
class ActionResult:
    """What was drawn for one request.

    Attributes:
        action: The typed value; None if every draw was malformed.
        malformed: Texts that could not be read, whole, in the order drawn.
        reason: Why the last one could not be read.
    """

    action: ActionValue | None = None
    malformed: list[str] = field(default_factory=list[str])
    reason: str = ""


def read_action(draw: Draw, space: ActionSpace) -> ActionValue:
    """Read one draw as a value of `space`.

    Raises:
        TranscriptError: If it was cut, or holds a tag.
        ActionError: If it is no value of `space`.
    """
    text = transcript.parse_action(draw.text, complete=draw.finish == "end")
    return space.parse(text.strip())


def draw_actions(
    engine: Engine, requests: Sequence[ActionRequest], config: SimulationConfig
) -> list[ActionResult]:
    """Draw one action per request; malformed ones are drawn again, `config.redraws` times.

    A text is malformed if it was cut at the token limit, holds a tag of the reasoning, or is
    no value of the action space. It is kept and never becomes an answer. An engine that can is
    asked to keep the action to the space's pattern; the reasoning before it is always free.
    """
    results = [ActionResult() for _ in requests]
    structured = engine.capabilities.structured
    for attempt in range(config.redraws + 1):
        missing = [i for i, result in enumerate(results) if result.action is None]
        if not missing:
            break
        drawn = engine.generate(
            [
                GenerateRequest(
                    prompt=requests[i].prompt,
                    prefix=transcript.prefix(requests[i].reasoning),
                    max_tokens=config.max_action_tokens,
                    temperature=config.temperature,
                    top_p=config.top_p,
                    pattern=pattern_of(requests[i].space) if structured else "",
                    seed=derive_seed(requests[i].seed, "action", attempt),
                    adapter=requests[i].adapter,
                )
                for i in missing
            ]
        )
        for i, (draw,) in zip(missing, drawn, strict=True):
            try:
                results[i].action = read_action(draw, requests[i].space)
            except (TranscriptError, ActionError) as error:
                results[i].malformed.append(draw.text)
                results[i].reason = str(error)
    return results


def combine(space: ActionSpace, actions: Sequence[ActionValue]) -> ActionValue:
    """Return one answer from one action per trace.

    A number is the median of the draws (the value that minimizes the expected absolute error);
    anything else is the first trace's.

    Example:
        >>> combine(Number(), [3.0, 10.0, 4.0])
        4.0
    """
    if isinstance(space, Number):
        return float(median(float(str(value)) for value in actions))
    return actions[0]
