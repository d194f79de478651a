"""Where in an answer its trace helps, and which of the trace's sentences move the answer.

For people who look at one stored answer. It is measured in the very prompt that the answer was
drawn from, which the answer keeps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from usersim.engines import AdapterRef, Engine, ScoreRequest, require
from usersim.engines.options import OptionQuery, option_probabilities
from usersim.engines.tokens import GainQuery, TokenGains, token_gains
from usersim.simulation.answer import Answer
from usersim.transcript import action_text, prefix, sentences

__all__ = ["SentenceInfluence", "SentenceInfluences", "answer_gains", "sentence_influences"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SentenceInfluence:
    """How far one sentence moves the answer.

    Attributes:
        text: The sentence.
        without: The value without this sentence.
        moved: The value of the whole trace minus `without`.
    """

    text: str
    without: float
    moved: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SentenceInfluences:
    """How far each sentence of the shown trace moves the answer.

    For closed questions the value is the probability of the chosen option, with the options in
    the order in which the prompt shows them; otherwise the mean log-probability of the answer.

    Attributes:
        own: With the whole trace.
        without: With the no-reasoning marker.
        sentences: Left out one at a time.
        unit: `probability` or `nats per token`.
    """

    own: float
    without: float
    sentences: tuple[SentenceInfluence, ...]
    unit: Literal["probability", "nats per token"]


def answer_gains(engine: Engine, answer: Answer, *, adapter: AdapterRef | None) -> TokenGains:
    """Return how much the shown trace helps to predict each token of the answer.

    Args:
        engine: Needs `logprobs`.
        answer: The answer, with its prompt.
        adapter: The adapter that answered; None for the base model.
    """
    query = GainQuery(
        prompt=answer.trace.prompt,
        continuation=action_text(answer.action_text),
        given=prefix(answer.reasoning),
        without=prefix(""),
        adapter=adapter,
    )
    return token_gains(engine, [query])[0]


def sentence_influences(
    engine: Engine, answer: Answer, *, adapter: AdapterRef | None
) -> SentenceInfluences:
    """Return how far each sentence of the shown trace moves the answer, left out one at a time.

    Args:
        engine: Needs `logprobs`.
        answer: The answer, with its prompt.
        adapter: The adapter that answered; None for the base model.

    Raises:
        CapabilityError: If the engine cannot score given text.
    """
    require(engine, "logprobs", "the influence of a sentence")
    parts = sentences(answer.reasoning)
    rest = ["".join(parts[:i] + parts[i + 1 :]).strip() for i in range(len(parts))]
    texts = list(dict.fromkeys([answer.reasoning, "", *rest]))
    closed = answer.kind in {"choice", "scale"}
    measured = _probabilities if closed else _likelihoods
    values = dict(zip(texts, measured(engine, answer, texts, adapter), strict=True))
    own = values[answer.reasoning]
    return SentenceInfluences(
        own=own,
        without=values[""],
        sentences=tuple(
            SentenceInfluence(text=part, without=values[left], moved=own - values[left])
            for part, left in zip(parts, rest, strict=True)
        ),
        unit="probability" if closed else "nats per token",
    )


def _probabilities(
    engine: Engine, answer: Answer, texts: Sequence[str], adapter: AdapterRef | None
) -> list[float]:
    options = tuple(answer.probabilities)
    queries = [
        OptionQuery(
            prompt=answer.trace.prompt, prefix=prefix(text), options=options, adapter=adapter
        )
        for text in texts
    ]
    place = options.index(answer.action_text)
    return [row[place] for row in option_probabilities(engine, queries)]


def _likelihoods(
    engine: Engine, answer: Answer, texts: Sequence[str], adapter: AdapterRef | None
) -> list[float]:
    action = action_text(answer.action_text)
    requests = [
        ScoreRequest(
            prompt=answer.trace.prompt, prefix=prefix(text), continuation=action, adapter=adapter
        )
        for text in texts
    ]
    return [score.mean() for score in engine.score(requests)]
