"""Draws with their rewards: synthesis, scoring and reward put together for a training.

Knows the order of the three; the training that asks for them knows none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from usersim.config import PipelineConfig
from usersim.engines import AdapterRef, Engine
from usersim.engines.options import OPTION_RULE
from usersim.errors import ConfigError
from usersim.prompts import templates_key
from usersim.recon import (
    Aids,
    indistinguishability,
    reward,
    score_candidates,
    synthesize,
)
from usersim.recon.fidelity import Trial
from usersim.recon.selection import verdict
from usersim.training import TraceEvaluation
from usersim.types import (
    Candidate,
    Case,
    RewardedTrace,
    ScoredCandidate,
    TracePrompt,
    content_key,
)

__all__ = ["Rewards"]

DIRECTIONS = ("forward", "backward")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewards:
    """Draws traces with any weights and says what they are worth.

    Attributes:
        engine: Draws and reconstructs; the reconstructor is its base model, frozen.
        config: Settings of every stage.
        cases: What people did, by the interaction's key.
        second: A reconstructor of another model family: measures, and pays for nothing (guard
            L8) unless it is also to tell replies apart (`RewardConfig.reader`).
        aids: What some scorers use besides.
    """

    engine: Engine
    config: PipelineConfig
    cases: Mapping[str, Case]
    second: Engine | None = None
    aids: Aids = Aids()

    def __post_init__(self) -> None:
        """Check that there is a reader where one is asked for.

        Raises:
            ConfigError: If there is none.
        """
        asked = self.config.reward
        if asked.indistinguishability and asked.reader == "second" and self.second is None:
            raise ConfigError(
                "the reward needs a second reconstructor to compare replies, but none was passed",
                hint="pass second=, or set RewardConfig(reader='reconstructor')",
                cli_hint="name one with --second, or use another preset",
            )

    @property
    def identity(self) -> str:
        """Tells the reward: equal where the same trace is worth the same."""
        config = self.config
        return content_key(
            self.engine.identity,
            templates_key(),
            OPTION_RULE,
            config.history.key,
            config.scoring.key,
            config.guards.key,
            config.reward.key,
            *([self._reader.identity] if config.reward.indistinguishability else []),
        )

    def __call__(
        self, prompts: Sequence[TracePrompt], *, adapter: AdapterRef | None, n: int, seed: int
    ) -> list[tuple[RewardedTrace, ...]]:
        """Draw for GRPO: at its temperature, without a nucleus cut; see `training.Rollouts`."""
        warmth = {"temperature": self.config.synthesizer.temperature, "top_p": 1.0}
        drawn = self._drawn(prompts, adapter, n, {"seed": seed, **warmth})
        scored = self._scored(self.engine, drawn, adapter)
        passed = self._indistinct(scored)
        return [self._rewarded(scored.get(place, ()), passed) for place in range(len(prompts))]

    def measure(
        self, prompts: Sequence[TracePrompt], adapter: AdapterRef | None, step: int
    ) -> TraceEvaluation:
        """Measure the weights on prompts that are never trained on: one draw each, as at use.

        The draws' seeds are the same at every step, so that steps differ by the weights alone.
        """
        drawn = self._drawn(prompts, adapter, 1, {"seed": self.config.synthesis.seed})
        scored = self._scored(self.engine, drawn, adapter)
        ones = [one for many in scored.values() for one in many]
        rewarded = self._rewarded(ones, self._indistinct(scored))
        second = None
        if self.second is not None:
            again = self._scored(self.second, drawn, None)
            valid = {one.candidate.key for one in ones if not verdict(one, self.config.guards)}
            gains = [
                one.scores.masked_gain if one.candidate.key in valid else 0.0
                for many in again.values()
                for one in many
            ]
            second = _mean(gains)
        return TraceEvaluation(
            step=step,
            gain=_mean([self._worth(one) for one in ones]),
            second_gain=second,
            reward=_mean([one.reward for one in rewarded]),
            malformed=_mean([float(not one.readable) for one in rewarded]),
            refused=_mean([float(not one.leakage.valid) for one in ones if one.candidate.complete]),
            n=len(ones),
        )

    def _worth(self, one: ScoredCandidate) -> float:
        """Return the masked gain; 0 for what is refused, as for the empty trace."""
        return 0.0 if verdict(one, self.config.guards) else one.scores.masked_gain

    def _drawn(
        self,
        prompts: Sequence[TracePrompt],
        adapter: AdapterRef | None,
        n: int,
        how: Mapping[str, object],
    ) -> dict[int, tuple[Candidate, ...]]:
        """Return what was drawn, by place of the prompt; a prompt that failed is missing."""
        found: dict[int, tuple[Candidate, ...]] = {}
        for direction in DIRECTIONS:
            places = [i for i, prompt in enumerate(prompts) if prompt.direction == direction]
            # What is malformed gets its reward, and is not drawn again.
            counts = {"n_forward": 0, "n_backward": 0, f"n_{direction}": n, "redraws": 0}
            settings = self.config.synthesis.model_copy(update={**counts, **how})
            batch = synthesize(
                self.engine,
                [self.cases[prompts[i].key] for i in places],
                settings,
                self.config.history,
                adapter=adapter,
            )
            found |= {
                place: many
                for place, many in zip(places, batch.items, strict=True)
                if many is not None
            }
        return found

    def _scored(
        self,
        engine: Engine,
        drawn: Mapping[int, tuple[Candidate, ...]],
        adapter: AdapterRef | None,
    ) -> dict[int, tuple[ScoredCandidate, ...]]:
        config = self.config
        cases = [
            replace(self.cases[many[0].interaction_key], candidates=many) for many in drawn.values()
        ]
        batch = score_candidates(
            engine,
            cases,
            config.scoring,
            config.guards,
            config.history,
            adapters=[adapter] if adapter else [],
            embed=self.aids.embed,
            judge=self.aids.judge,
        )
        return {
            place: many for place, many in zip(drawn, batch.items, strict=True) if many is not None
        }

    @property
    def _reader(self) -> Engine:
        chosen = self.second if self.config.reward.reader == "second" else None
        return chosen or self.engine

    def _indistinct(
        self, scored: Mapping[int, Sequence[ScoredCandidate]]
    ) -> dict[str, float | None]:
        """Return how often each readable trace's reconstruction passes, by the trace's key."""
        config = self.config
        if not config.reward.indistinguishability:
            return {}
        readable = [
            [one.candidate for one in many if one.candidate.complete and one.candidate.reasoning]
            for many in scored.values()
        ]
        readable = [many for many in readable if many]
        trials = [
            Trial(
                case=self.cases[many[0].interaction_key],
                reasonings=tuple(one.reasoning for one in many),
                view=config.history,
            )
            for many in readable
        ]
        found = indistinguishability(
            self.engine,
            self._reader,
            trials,
            seed=config.synthesis.seed,
            temperature=config.simulation.temperature,
        )
        return {
            one.key: value
            for many, values in zip(readable, found, strict=True)
            for one, value in zip(many, values, strict=True)
        }

    def _rewarded(
        self, scored: Sequence[ScoredCandidate], passed: Mapping[str, float | None]
    ) -> tuple[RewardedTrace, ...]:
        config = self.config
        return tuple(
            reward(
                one,
                config.reward,
                config.guards,
                max_tokens=config.synthesis.max_tokens,
                indistinct=passed.get(one.candidate.key),
            )
            for one in scored
        )


def _mean(values: Sequence[float]) -> float:
    return fmean(values) if values else 0.0
