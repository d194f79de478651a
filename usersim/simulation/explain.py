"""How far a trace really moves the answer: without it, and with another context's trace.

A trace that can be deleted or swapped without changing the answer explains nothing, however
well it reads.
"""

from __future__ import annotations

from collections.abc import Sequence

from usersim import transcript
from usersim.config import HistoryConfig, SimulationConfig
from usersim.engines import Engine, ScoreRequest, require
from usersim.simulation.answer import Answer, Influence
from usersim.simulation.closed import distributions, pooled
from usersim.simulation.items import RespondItem
from usersim.simulation.opened import ActionRequest, draw_actions
from usersim.simulation.reasoning import derive_seed
from usersim.types import is_closed

__all__ = ["influences"]


def influences(
    engine: Engine,
    answered: Sequence[tuple[RespondItem, Answer]],
    *,
    config: SimulationConfig,
    history: HistoryConfig,
) -> list[Influence]:
    """Measure, for each answer, how far its trace moves it.

    The other context's trace is one that was drawn in the same batch for the same person, or,
    for a lone question, the kept trace of one of their past interactions; where there is
    neither, `swapped` is None.

    Args:
        engine: Needs `logprobs`.
        answered: Items with their answers.
        config: How actions are drawn.
        history: Limits of the prompt.

    Returns:
        One influence per answer.

    Raises:
        CapabilityError: If the engine cannot score given text.
    """
    require(engine, "logprobs", "the influence of a trace")
    others = [_other_reasoning(i, answered) for i in range(len(answered))]
    closed = [i for i, (item, _) in enumerate(answered) if is_closed(item.question.space)]
    opened = [i for i in range(len(answered)) if i not in set(closed)]
    found: dict[int, Influence] = {}
    found.update(_closed(engine, answered, others, closed, config, history))
    found.update(_opened(engine, answered, others, opened, config, history))
    return [found[i] for i in range(len(answered))]


def _other_reasoning(index: int, answered: Sequence[tuple[RespondItem, Answer]]) -> str | None:
    item, _ = answered[index]
    for step in range(1, len(answered)):
        other, answer = answered[(index + step) % len(answered)]
        same = other.user_id == item.user_id
        if same and other.question.context != item.question.context and answer.reasoning:
            return answer.reasoning
    return next(iter(item.reasonings.values()), None)


def _closed(
    engine: Engine,
    answered: Sequence[tuple[RespondItem, Answer]],
    others: Sequence[str | None],
    which: Sequence[int],
    config: SimulationConfig,
    history: HistoryConfig,
) -> dict[int, Influence]:
    """Measure how far the trace moves the answer's probabilities: the pool's, where one answered.

    Without the trace, and after another one, the reasoning predictor says what the model then
    says; the other predictors and all weights stay.
    """
    asked = [
        (
            answered[i][0],
            [drawn.reasoning for drawn in answered[i][1].trace.drawn] + ["", others[i] or ""],
        )
        for i in which
    ]
    found: dict[int, Influence] = {}
    rows_of = distributions(engine, asked, history=history, orders=config.option_orders)
    for i, rows in zip(which, rows_of, strict=True):
        item, answer = answered[i]
        chosen, space = str(answer.action), item.question.space
        assert is_closed(space), "only closed questions have options"
        given = [rows[:-2], rows[-2:-1], *([rows[-1:]] if others[i] else [])]
        own, without, *rest = (
            pooled(item, one, rows[-2], weight=1.0).probabilities for one in given
        )
        swapped = rest[0] if rest else None
        found[i] = Influence(
            own=own[chosen],
            without=without[chosen],
            swapped=swapped[chosen] if swapped else None,
            action=chosen,
            action_without=space.likeliest(without),
            action_swapped=space.likeliest(swapped) if swapped else None,
            unit="probability",
        )
    return found


def _opened(
    engine: Engine,
    answered: Sequence[tuple[RespondItem, Answer]],
    others: Sequence[str | None],
    which: Sequence[int],
    config: SimulationConfig,
    history: HistoryConfig,
) -> dict[int, Influence]:
    """Score the answer's text after its own trace, the marker and the other trace."""
    scores: list[ScoreRequest] = []
    draws: list[ActionRequest] = []
    for i in which:
        item, answer = answered[i]
        prompt = item.prompt(history)
        action = transcript.action_text(item.question.space.render(answer.action))
        for reasoning in (answer.reasoning, "", others[i] or ""):
            prefix = transcript.prefix(reasoning)
            scores.append(
                ScoreRequest(
                    prompt=prompt, prefix=prefix, continuation=action, adapter=item.adapter
                )
            )
        draws.extend(
            ActionRequest(
                prompt=prompt,
                reasoning=reasoning,
                space=item.question.space,
                # The stream of the answer's own draw: what differs is the reasoning alone.
                seed=derive_seed(item.seed, 0),
                adapter=item.adapter,
            )
            for reasoning in ("", others[i] or "")
        )
    values = iter(engine.score(scores))
    actions = iter(draw_actions(engine, draws, config))
    found: dict[int, Influence] = {}
    for i in which:
        space = answered[i][0].question.space
        own, without, swapped = (next(values).mean() for _ in range(3))
        plain, other = next(actions).action, next(actions).action
        found[i] = Influence(
            own=own,
            without=without,
            swapped=swapped if others[i] else None,
            action=space.render(answered[i][1].action),
            action_without="" if plain is None else space.render(plain),
            action_swapped=space.render(other) if others[i] and other is not None else None,
            unit="nats per token",
        )
    return found
