"""Option probabilities of closed questions, from an engine that scores given text.

Knows prompts as chat messages and options as texts; knows nothing of persons or traces.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from usersim.engines.base import (
    AdapterRef,
    ChatPrompt,
    Engine,
    Score,
    ScoreRequest,
    require,
)
from usersim.transcript import action_text
from usersim.views import Progress

__all__ = [
    "OPTION_RULE",
    "OptionQuery",
    "needs_end",
    "normalized",
    "option_probabilities",
    "option_requests",
]


OPTION_RULE = 2
"""Changes when the same model would give the same options other probabilities."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionQuery:
    """One closed question as it is put to a model.

    Attributes:
        prompt: The chat.
        prefix: What the model has already written: the reasoning, or the marker without one.
        options: The options, in the order of the wanted probabilities (which need not be the
            order in which the prompt shows them).
        adapter: Applied to this query alone.
    """

    prompt: ChatPrompt
    prefix: str
    options: tuple[str, ...]
    adapter: AdapterRef | None = None


def option_requests(query: OptionQuery) -> list[ScoreRequest]:
    """Return one request per option: the whole option string.

    The end of the turn is scored only where one option begins another, as 1 begins 10. A model
    that was not trained on this form wants to go on after an option: it gave the end between
    -7 and -15 nats, and options differed by it more than by anything that had been reasoned
    (docs/adr/0022-options-without-their-end.md).
    """
    texts = [action_text(option) for option in query.options]
    end = needs_end(texts)
    return [
        ScoreRequest(
            prompt=query.prompt,
            prefix=query.prefix,
            continuation=text,
            end=end,
            adapter=query.adapter,
        )
        for text in texts
    ]


def needs_end(texts: Sequence[str]) -> bool:
    """Return whether one of the options begins another, so that only its end distinguishes them.

    Example:
        >>> needs_end(["1", "2", "10"]), needs_end(["no", "yes"])
        (True, False)
    """
    return any(a != b and b.startswith(a) for a in texts for b in texts)


def normalized(scores: Sequence[Score]) -> tuple[float, ...]:
    """Return probabilities that are proportional to the options' likelihoods and sum to 1.

    Example:
        >>> normalized([Score((0.0,)), Score((0.0,))])
        (0.5, 0.5)
    """
    totals = [score.total for score in scores]
    # Against the largest: exp of a long option's log-probability alone would be 0.
    weights = [math.exp(total - max(totals)) for total in totals]
    return tuple(weight / sum(weights) for weight in weights)


def option_probabilities(
    engine: Engine, queries: Sequence[OptionQuery], *, progress: Progress | None = None
) -> list[tuple[float, ...]]:
    """Return p(option | prompt, prefix, one of the options) for every query.

    All options of all queries go to the engine in one call, so that an engine which shares
    prompt beginnings computes each beginning once.

    Args:
        engine: Needs `logprobs`.
        queries: What to ask.
        progress: Called with (stage, requests done, requests in all).

    Returns:
        Per query one probability per option, in the options' order; they sum to 1.

    Raises:
        CapabilityError: If the engine cannot score given text.
    """
    require(engine, "logprobs", "option probabilities")
    requests = [option_requests(query) for query in queries]
    scores = iter(engine.score([one for many in requests for one in many], progress=progress))
    return [normalized([next(scores) for _ in many]) for many in requests]
