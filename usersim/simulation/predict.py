"""How likely a simulated person is to do what the real one did: predictions to be measured.

The reasoning is marginalized: p(a | x) is the mean over K drawn traces of p(a | x, r_k). A draw
that cannot be read counts as the no-reasoning likelihood and is never dropped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from usersim import transcript
from usersim.config import HistoryConfig, SimulationConfig
from usersim.engines import Engine, Score, ScoreRequest
from usersim.simulation.closed import distributions, mixed
from usersim.simulation.items import RespondItem
from usersim.simulation.reasoning import ReasoningRequest, draw_reasoning
from usersim.types import ActionValue, Batch, Distribution, Prediction, Question, is_closed
from usersim.views import Progress

__all__ = ["Likelihoods", "likelihoods", "predict", "prediction"]

COUNTS = (1, 4, 16)
"""Numbers of traces at which likelihoods are reported, up to the one that was drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Likelihoods:
    """Log-likelihoods of the true action of one item.

    Attributes:
        given: log p(a | x, r_k) of each of the K draws, nats for the whole action.
        without: log p(a | x) with the no-reasoning marker, nats.
        n_tokens: Action tokens, the end of the turn included; 1 for a closed question, whose
            probabilities are normalized over the options.
        reasonings: The traces that were read; fewer than K where draws were malformed.
        options: Option distributions: one per draw, then the marker's; empty for open ones.
    """

    given: tuple[float, ...]
    without: float
    n_tokens: int
    reasonings: tuple[str, ...]
    options: tuple[Distribution, ...] = ()

    def mixture(self, weight: float) -> float:
        """Return log(w * mean_k p(a | x, r_k) + (1 - w) * p(a | x)), nats."""
        if not self.given:
            return self.without
        given = _log_mean(self.given)
        parts = [(weight, given), (1 - weight, self.without)]
        return _log_sum([math.log(w) + value for w, value in parts if w > 0])

    def at(self, weight: float) -> dict[int, float]:
        """Return what `mixture` is with fewer traces, by their number, nats.

        A number below K is measured on disjoint groups of the same draws and averaged, so that
        its value has less noise than one group's.
        """
        total = len(self.given)
        found: dict[int, float] = {}
        for k in sorted({*(k for k in COUNTS if k < total), total} - {0}):
            n = total // k
            # Every n-th: draws that stand for malformed ones come last, and are shared out.
            groups = [self.given[start : n * k : n] for start in range(n)]
            parts = [replace(self, given=group).mixture(weight) for group in groups]
            found[k] = sum(parts) / len(parts)
        return found


def _log_sum(values: Sequence[float]) -> float:
    top = max(values)
    return top + math.log(sum(math.exp(value - top) for value in values))


def _log_mean(values: Sequence[float]) -> float:
    return _log_sum(values) - math.log(len(values))


def likelihoods(
    engine: Engine,
    items: Sequence[tuple[RespondItem, ActionValue]],
    *,
    reasonings: Sequence[Sequence[str]] | None = None,
    config: SimulationConfig = SimulationConfig(),
    history: HistoryConfig = HistoryConfig(),
    progress: Progress | None = None,
) -> list[Likelihoods]:
    """Return how likely each item's action is, after K traces and without reasoning.

    Args:
        engine: Needs `logprobs`.
        items: What was asked, and what the person did.
        reasonings: Traces of each item, at most K; None draws them.
        config: `traces` is K; 0 scores without reasoning alone.
        history: Limits of the prompt.
        progress: Called while traces are drawn.

    Returns:
        One entry per item.

    Raises:
        CapabilityError: If the engine cannot score given text.
    """
    texts = _drawn(engine, items, config, history, progress) if reasonings is None else reasonings
    closed = [i for i, (item, _) in enumerate(items) if is_closed(item.question.space)]
    found: dict[int, Likelihoods] = {}
    found.update(_closed(engine, items, texts, closed, config, history))
    opened = [i for i in range(len(items)) if i not in found]
    found.update(_opened(engine, items, texts, opened, config, history))
    return [found[i] for i in range(len(items))]


def _drawn(
    engine: Engine,
    items: Sequence[tuple[RespondItem, ActionValue]],
    config: SimulationConfig,
    history: HistoryConfig,
    progress: Progress | None,
) -> list[list[str]]:
    """Draw K traces of each item; what is malformed is counted, not drawn again."""
    if not config.traces:
        return [[] for _ in items]
    once = config.model_copy(update={"redraws": 0, "long_reasoning": "close"})
    requests = [
        ReasoningRequest(
            prompt=item.reasoning_prompt(history),
            n=config.traces,
            seed=item.seed,
            adapter=item.adapter,
            paragraph=item.drafted,
        )
        for item, _ in items
    ]
    drawn = draw_reasoning(engine, requests, once, progress=progress)
    return [[trace.reasoning for trace in result.traces] for result in drawn]


def _closed(
    engine: Engine,
    items: Sequence[tuple[RespondItem, ActionValue]],
    texts: Sequence[Sequence[str]],
    which: Sequence[int],
    config: SimulationConfig,
    history: HistoryConfig,
) -> dict[int, Likelihoods]:
    asked = [(items[i][0], [*texts[i], ""]) for i in which]
    rows_of = distributions(engine, asked, history=history, orders=config.option_orders)
    found: dict[int, Likelihoods] = {}
    for i, rows in zip(which, rows_of, strict=True):
        padded = [*rows[:-1], *([rows[-1]] * (config.traces - len(texts[i]))), rows[-1]]
        logs = [math.log(max(row[str(items[i][1])], 1e-300)) for row in padded]
        found[i] = Likelihoods(
            given=tuple(logs[:-1]),
            without=logs[-1],
            n_tokens=1,
            reasonings=tuple(texts[i]),
            options=tuple(padded),
        )
    return found


def _opened(
    engine: Engine,
    items: Sequence[tuple[RespondItem, ActionValue]],
    texts: Sequence[Sequence[str]],
    which: Sequence[int],
    config: SimulationConfig,
    history: HistoryConfig,
) -> dict[int, Likelihoods]:
    requests: list[ScoreRequest] = []
    for i in which:
        item, action = items[i]
        prompt = item.prompt(history)
        text = transcript.action_text(item.question.space.render(action))
        requests.extend(
            ScoreRequest(
                prompt=prompt,
                prefix=transcript.prefix(reasoning),
                continuation=text,
                adapter=item.adapter,
            )
            for reasoning in (*texts[i], "")
        )
    scores = iter(engine.score(requests) if requests else [])
    found: dict[int, Likelihoods] = {}
    for i in which:
        own: list[Score] = [next(scores) for _ in range(len(texts[i]) + 1)]
        without = own[-1].total
        missing = config.traces - len(texts[i])
        found[i] = Likelihoods(
            given=(*(score.total for score in own[:-1]), *([without] * missing)),
            without=without,
            n_tokens=len(own[-1].logprobs),
            reasonings=tuple(texts[i]),
        )
    return found


def predict(
    engine: Engine,
    items: Sequence[tuple[RespondItem, ActionValue]],
    *,
    config: SimulationConfig = SimulationConfig(),
    history: HistoryConfig = HistoryConfig(),
    progress: Progress | None = None,
) -> Batch[Prediction]:
    """Predict each item's action, to be measured against the true one.

    Closed questions get probabilities and the likeliest option. Open ones get the likelihood of
    the true action; their text is drawn only where a caller asks `respond` for it, since the
    primary measure needs none.

    Args:
        engine: Needs `logprobs`.
        items: What was asked, and what the person did.
        config: `traces` is K; 0 predicts without reasoning.
        history: Limits of the prompt.
        progress: Called while traces are drawn.

    Returns:
        One prediction per item.

    Raises:
        CapabilityError: If the engine cannot score given text.
    """
    found = likelihoods(engine, items, config=config, history=history, progress=progress)
    return Batch(
        tuple(
            prediction(one, item.question, item.reasoning_weight)
            for (item, _), one in zip(items, found, strict=True)
        )
    )


def prediction(
    found: Likelihoods, question: Question, weight: float, *, action: str | None = ""
) -> Prediction:
    """Return what is predicted at one reasoning weight.

    Args:
        found: The likelihoods of one item.
        question: Its question.
        weight: 1 with reasoning, 0 without, else the mixture.
        action: What was drawn for an open question; empty if nothing was, None if no draw could
            be read.

    Returns:
        For a closed question its probabilities and the likeliest option; for an open one the
        likelihood of the true action, and `action`.
    """
    probabilities: dict[str, float] = {}
    if is_closed(question.space):
        probabilities = mixed(found.options[:-1], found.options[-1], weight)
        action = question.space.likeliest(probabilities)
    at = {str(k): value for k, value in found.at(weight).items()} if weight else {}
    return Prediction(
        action=action,
        probabilities=probabilities,
        log_likelihood=found.mixture(weight),
        n_tokens=found.n_tokens,
        detail={
            "reasonings": list(found.reasonings) if weight else [],
            "malformed": len(found.given) - len(found.reasonings),
            "reasoning_weight": weight,
            **({"log_likelihood_at": at} if at else {}),
        },
    )
