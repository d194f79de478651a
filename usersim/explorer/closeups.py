"""What an explorer shows beyond what is stored: close-ups of traces and answers, on demand.

Knows which prompt, history and adapter belong to a stored trace or answer; knows nothing of pages.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TypeVar, cast

from usersim.config import PipelineConfig
from usersim.corpus import Corpus, StoredAnswer, TraceRecord
from usersim.engines import AdapterRef, Engine
from usersim.engines.tokens import TokenGains
from usersim.errors import AdapterLoadError, CapabilityError, ConfigError
from usersim.recon.closeup import SentenceGain, TraceGains, sentence_gains, trace_gains
from usersim.simulation import Answer
from usersim.simulation.closeup import SentenceInfluences, answer_gains, sentence_influences
from usersim.simulator.adapter_list import ref_of
from usersim.simulator.face import UserSimulator
from usersim.simulator.plugs import Plugs
from usersim.simulator.predicting import Predictions
from usersim.training import TrainedAdapter

__all__ = ["AnswerCloseup", "Explorer", "TraceCloseup"]

T = TypeVar("T")

REMEMBERED = 256
"""Close-ups that are kept, so that a page that is opened again computes nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceCloseup:
    """A candidate in close-up.

    Attributes:
        gains: The gain of each token of the action.
        sentences: What each sentence of the trace adds to the gain of its score.
        engine: Identity of the engine that measured.
    """

    gains: TraceGains
    sentences: tuple[SentenceGain, ...]
    engine: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerCloseup:
    """A simulated answer in close-up.

    Attributes:
        gains: The gain of each token of the answer.
        sentences: How far each sentence of the shown trace moves the answer.
        engine: Identity of the engine that measured.
    """

    gains: TokenGains
    sentences: SentenceInfluences
    engine: str


class Explorer:
    """Looks at one store, and measures what people ask to see closer.

    One measurement runs at a time: engines are not made for being called from several threads.

    Args:
        corpus: The store.
        config: Settings under which traces are measured: those that they were made with.
        engine: Returns the engine, loaded when it is first needed; None measures nothing.
        chosen: Returns an adapter that answers may name beside those of the store.
        plugs: What chooses evidence and aids scorers in place of what ships.
    """

    def __init__(
        self,
        corpus: Corpus,
        *,
        config: PipelineConfig,
        engine: Callable[[], Engine] | None = None,
        chosen: Callable[[], TrainedAdapter | None] = lambda: None,
        plugs: Plugs = Plugs(),
    ) -> None:
        self.corpus = corpus
        self._config = config
        self._engine = engine
        self._chosen = chosen
        self._histories = Predictions(corpus, config, plugs).histories
        self._aids = plugs.aids
        self._turn = threading.Lock()
        self._found: dict[Hashable, object] = {}

    @classmethod
    def of(cls, simulator: UserSimulator, *, measures: bool = True) -> Explorer:
        """Return an explorer of a simulator's store.

        Args:
            simulator: Whose store, settings and engine.
            measures: Whether its engine may be used.
        """
        engine = (lambda: simulator.engine) if measures else None
        return cls(
            simulator.corpus,
            config=simulator.config,
            engine=engine,
            chosen=lambda: simulator.asker().adapters.shared,
            plugs=simulator.plugs,
        )

    @property
    def measures(self) -> bool:
        """Whether there is an engine for what is not stored."""
        return self._engine is not None

    def trace(self, record: TraceRecord) -> TraceCloseup:
        """Return a candidate in close-up.

        Args:
            record: The candidate, as the store has it.

        Raises:
            ConfigError: If there is no engine.
            ScoringError: If its score says nothing about the action.
        """
        candidate, config = record.candidate, self._config

        def measure(engine: Engine) -> TraceCloseup:
            case = self._histories.around(self.corpus.interaction(candidate.interaction_key))
            return TraceCloseup(
                gains=trace_gains(
                    engine,
                    case,
                    candidate.reasoning,
                    view=config.history,
                    floor=config.scoring.logprob_floor,
                ),
                sentences=sentence_gains(
                    engine,
                    case,
                    candidate.reasoning,
                    view=config.history,
                    scoring=config.scoring,
                    aids=self._aids,
                ),
                engine=engine.identity,
            )

        return self._once(("trace", candidate.interaction_key, candidate.key), measure)

    def answer(self, stored: StoredAnswer) -> AnswerCloseup:
        """Return a simulated answer in close-up.

        Args:
            stored: The answer, as the store has it.

        Raises:
            AdapterLoadError: If the adapter that answered is not in the store.
            ConfigError: If there is no engine.
            CapabilityError: If the answer has no reasoning, or the engine cannot score.
        """
        answer = Answer.from_dict(stored.response.record)
        if not answer.reasoning:
            raise CapabilityError(
                f"answer {stored.response.id!r} was drawn without reasoning",
                hint="it has no trace to measure",
            )

        def measure(engine: Engine) -> AnswerCloseup:
            adapter = self._adapter(answer.trace.adapter)
            return AnswerCloseup(
                gains=answer_gains(engine, answer, adapter=adapter),
                sentences=sentence_influences(engine, answer, adapter=adapter),
                engine=engine.identity,
            )

        return self._once(("answer", stored.response.id), measure)

    def _adapter(self, name: str | None) -> AdapterRef | None:
        """Return the adapter of a served name.

        Raises:
            AdapterLoadError: If the store knows no such adapter.
        """
        if name is None:
            return None
        chosen = self._chosen()
        if chosen is not None and chosen.ref.name == name:
            return chosen.ref
        for record in self.corpus.ledger.adapters():
            if record.name == name:
                return ref_of(record)
        raise AdapterLoadError(
            f"the adapter {name!r} that answered is not in the store {self.corpus.name!r}",
            hint="without it the answer's likelihoods cannot be recomputed",
        )

    def _once(self, key: Hashable, measure: Callable[[Engine], T]) -> T:
        """Return what was found under `key`, measured now if it is asked for the first time.

        Raises:
            ConfigError: If there is no engine.
        """
        if self._engine is None:
            raise ConfigError(
                "nothing can be measured without an engine",
                hint="start the explorer without --no-engine",
            )
        with self._turn:
            if key not in self._found:
                while len(self._found) >= REMEMBERED:
                    del self._found[next(iter(self._found))]
                self._found[key] = measure(self._engine())
            return cast("T", self._found[key])
