"""Recon on a corpus: synthesize, score, select, each step stored as it is done.

Knows the order of the steps and the ledger that makes them resumable. What was stored under
the same settings, prompts and model is never done again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Self, TypeVar

from usersim.config import PipelineConfig
from usersim.corpus import Corpus
from usersim.engines import AdapterRef, Engine
from usersim.engines.options import OPTION_RULE
from usersim.errors import ConfigError
from usersim.prompts import templates_key
from usersim.recon import Aids
from usersim.recon.scoring import score_candidates
from usersim.recon.selection import select
from usersim.recon.synthesis import synthesize
from usersim.simulator.history import Histories
from usersim.types import (
    Batch,
    Candidate,
    Failure,
    Interaction,
    ScoredCandidate,
    Selection,
    content_key,
)
from usersim.views import Progress, Sheet, facts, printed

__all__ = ["Recon", "Reconstruction", "chunks", "spread"]

CHUNK = 16
"""Interactions between two commits: what a kill can lose."""
STEPS = 1
"""Changes when a stage would no longer give the same result for the same settings."""

T = TypeVar("T")


def _sheet(found: Reconstruction) -> Sheet:
    candidates = [one for many in found.scored.values() for one in many]
    gains = [one.scores.reported_gain for one in found.kept_traces().values()]
    return facts(
        "Reconstruction",
        {
            "interactions": len(found.interactions),
            "candidate traces": len(candidates),
            "malformed draws": found.malformed,
            "rejected by a guard": sum(not one.leakage.valid for one in candidates),
            "interactions with a kept trace": found.kept,
            "mean reported gain of the kept ones": f"{fmean(gains):.3f}" if gains else None,
            "failed": len(found.failures),
        },
    )


@printed(_sheet)
@dataclass(frozen=True, slots=True, kw_only=True)
class Reconstruction:
    """What Recon found for a list of interactions.

    Attributes:
        interactions: The interactions, in order.
        scored: Scored candidates by interaction key; missing where the item failed, and where
            only some of each person's were to get traces.
        selections: The decision by interaction key.
        failures: Interactions that could not be synthesized or scored.
        stage: Key under which the store holds the decisions.

    Example:
        >>> from usersim import UserSimulator
        >>> rows = [{"user_id": "ada", "context": f"Tea {i}?", "action": "Yes."} for i in range(4)]
        >>> with UserSimulator.from_corpus(rows, engine="scripted", config="tiny") as sim:
        ...     found = sim.reconstruct(progress=False)
        >>> first = found.interactions[0].key
        >>> len(found.scored[first]), found.selections[first].kept is None
        (4, False)
    """

    interactions: tuple[Interaction, ...]
    scored: dict[str, list[ScoredCandidate]]
    selections: dict[str, Selection]
    failures: tuple[Failure, ...]
    stage: str

    @classmethod
    def stored(
        cls,
        corpus: Corpus,
        stage: str,
        interactions: Sequence[Interaction],
        failures: Sequence[Failure] = (),
    ) -> Self:
        """Return what the store holds for `interactions`, without computing anything."""
        keys = [interaction.key for interaction in interactions]
        return cls(
            interactions=tuple(interactions),
            scored=corpus.ledger.scored(stage, keys),
            selections=corpus.ledger.selections(stage, keys),
            failures=tuple(failures),
            stage=stage,
        )

    def __repr__(self) -> str:
        """Say how many interactions have a trace."""
        return f"Reconstruction({self.kept} of {len(self.interactions)} interactions with a trace)"

    @property
    def kept(self) -> int:
        """How many interactions have a trace; the others train without reasoning."""
        return sum(selection.kept is not None for selection in self.selections.values())

    @property
    def malformed(self) -> int:
        """How many draws could not be read, or were only a rating or an option."""
        return sum(not one.candidate.complete for many in self.scored.values() for one in many)

    def kept_traces(self) -> dict[str, ScoredCandidate]:
        """Return the kept candidate of every interaction that has one, by interaction key."""
        return {
            key: one
            for key, selection in self.selections.items()
            for one in self.scored.get(key, [])
            if one.candidate.key == selection.kept
        }

    def reasoning(self, key: str, selection: Selection | None = None) -> str:
        """Return the kept reasoning of interaction `key`; empty for the empty trace.

        Args:
            key: The interaction.
            selection: Another decision over the same candidates; None takes Recon's.
        """
        chosen = selection or self.selections.get(key)
        for one in self.scored.get(key, []):
            if chosen is not None and one.candidate.key == chosen.kept:
                return one.candidate.reasoning
        return ""


class Recon:
    """Runs Recon over a corpus with one engine.

    Args:
        corpus: Where interactions come from and results go to.
        engine: Synthesizer and reconstructor.
        config: Settings of every stage.
        histories: Finds what is shown with an interaction.
        synthesizer: Weights of a trained synthesizer; None draws from the base model.
        aids: What some scorers use besides the engine.

    Raises:
        ConfigError: If the traces would be ranked by nobody, or by their reconstructor.
    """

    def __init__(
        self,
        corpus: Corpus,
        engine: Engine,
        config: PipelineConfig,
        histories: Histories,
        *,
        synthesizer: AdapterRef | None = None,
        aids: Aids = Aids(),
    ) -> None:
        aids.check(config.scoring, engine)
        self._aids = aids
        self._corpus = corpus
        self._engine = engine
        self._config = config
        self._histories = histories
        self._synthesizer = synthesizer
        shared = (STEPS, engine.identity, templates_key(), config.history.key)
        drawn = (config.synthesis.key, *([synthesizer.digest] if synthesizer else []))
        self.synthesis_key = content_key("synthesis", *shared, *drawn)
        self.scoring_key = content_key(
            "scoring", self.synthesis_key, OPTION_RULE, config.scoring.key, config.guards.key
        )

    def run(
        self,
        interactions: Sequence[Interaction],
        *,
        traced: int | None = None,
        progress: Progress | None = None,
    ) -> Reconstruction:
        """Bring `interactions` from nothing, or from wherever they were left, to a selection.

        Args:
            interactions: Of the train split.
            traced: Of each person, how many get traces; None for all.
            progress: Called after every chunk with the stage's name.

        Returns:
            Everything found, failures included, for all interactions.
        """
        wanted = spread(interactions, traced)
        failures = [*self._synthesize(wanted, progress), *self._score(wanted, progress)]
        # The store may hold traces of more: a result must not depend on what was made before.
        found = Reconstruction.stored(self._corpus, self.scoring_key, wanted, failures)
        return replace(found, interactions=tuple(interactions))

    def _synthesize(
        self, interactions: Sequence[Interaction], progress: Progress | None
    ) -> Iterator[Failure]:
        ledger = self._corpus.ledger
        have = ledger.candidates(self.synthesis_key, [i.key for i in interactions])
        todo = [i for i in interactions if i.key not in have]
        for chunk in chunks(todo, "synthesize", len(interactions), progress):
            batch = synthesize(
                self._engine,
                [self._histories.around(one) for one in chunk],
                self._config.synthesis,
                self._config.history,
                adapter=self._synthesizer,
            )
            found: list[Candidate] = [one for many in batch for one in many]
            ledger.put_candidates(self.synthesis_key, found, of=chunk)
            yield from batch.failures

    def _score(
        self, interactions: Sequence[Interaction], progress: Progress | None
    ) -> Iterator[Failure]:
        ledger, config = self._corpus.ledger, self._config
        have = ledger.selections(self.scoring_key, [i.key for i in interactions])
        drawn = ledger.candidates(self.synthesis_key, [i.key for i in interactions])
        todo = [i for i in interactions if i.key not in have and i.key in drawn]
        for chunk in chunks(todo, "score", len(interactions), progress):
            cases = [
                replace(self._histories.around(one), candidates=tuple(drawn[one.key]))
                for one in chunk
            ]
            batch: Batch[tuple[ScoredCandidate, ...]] = score_candidates(
                self._engine,
                cases,
                config.scoring,
                config.guards,
                config.history,
                adapters=[self._synthesizer] if self._synthesizer else [],
                embed=self._aids.embed,
                judge=self._aids.judge,
            )
            scored = list(batch)
            ledger.put_scored(self.scoring_key, [one for many in scored for one in many], of=chunk)
            # Last: an interaction is done when its decision is stored.
            chosen = [select(many, config.guards) for many in scored if many]
            ledger.put_selections(self.scoring_key, chosen, of=chunk)
            yield from batch.failures


def spread(interactions: Sequence[Interaction], each: int | None) -> list[Interaction]:
    """Return `each` interactions of every person, evenly spaced over those that they have.

    Args:
        interactions: Oldest first within each person.
        each: How many of each person; None, or more than there are, for all.

    Raises:
        ConfigError: If it is less than one.

    Example:
        >>> from usersim import Corpus
        >>> rows = [{"user_id": "ada", "context": f"{n}?", "action": "Yes."} for n in range(9)]
        >>> with Corpus.open(":memory:") as corpus:
        ...     _ = corpus.add(rows)
        ...     [one.position for one in spread(list(corpus.interactions(["ada"])), 3)]
        [1, 4, 7]
    """
    if each is None:
        return list(interactions)
    if each < 1:
        raise ConfigError(
            f"at least one interaction of each person must get traces; got {each}",
            hint="traces='none' learns without any",
            cli_hint="--traces none learns without any",
        )
    of: dict[str, list[Interaction]] = {}
    for one in interactions:
        of.setdefault(one.user_id, []).append(one)
    return [
        rows[int((n + 0.5) * len(rows) / min(each, len(rows)))]
        for rows in of.values()
        for n in range(min(each, len(rows)))
    ]


def chunks(
    todo: Sequence[T], stage: str, total: int, progress: Progress | None
) -> Iterator[Sequence[T]]:
    """Yield what is left of `total` items, and report how many are done as each chunk ends."""
    done = total - len(todo)
    if progress:
        progress(stage, done, total)
    for start in range(0, len(todo), CHUNK):
        chunk = todo[start : start + CHUNK]
        yield chunk
        done += len(chunk)
        if progress:
            progress(stage, done, total)
