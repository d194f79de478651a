"""What an evaluation will do, and about how long that takes on this machine.

The counts come from the corpus and the settings. The time comes from doing a little of each step
with the real model and the real prompts, and from the counts; nothing that is done here is kept.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from usersim import transcript
from usersim.config import PipelineConfig, TrainingConfig
from usersim.engines import Engine, ScoreRequest
from usersim.evaluation import ARM_SPECS, ArmName, check_arms
from usersim.prompts import PersonChat
from usersim.recon import Aids
from usersim.recon.scoring import score_candidates
from usersim.recon.synthesis import synthesize
from usersim.simulation import likelihoods
from usersim.simulator.face import UserSimulator
from usersim.simulator.history import Histories
from usersim.simulator.measure import pick_held_out
from usersim.simulator.people import People
from usersim.simulator.recon import spread
from usersim.simulator.train import MIN_FOR_WEIGHT, respond_item
from usersim.types import Choice, Interaction, Scale
from usersim.types.counting import counted
from usersim.views import Progress

__all__ = ["EvaluationPlan", "TimeEstimate", "plan_evaluation", "time_evaluation"]

SAMPLE = 2
"""Pairs and answers that are timed."""
WINDOW = 8
"""Interactions of one person that are timed as training sees them: one after the other."""
TRAINING_FACTOR = 3.0
"""A training step's cost, in forward passes over the same tokens: one forward, two backward."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationPlan:
    """What an evaluation will do; made by `plan_evaluation`.

    Attributes:
        people: People who are learned from and measured.
        train: Training pairs.
        reconstructed: Those of them that get traces; none where no arm needs any.
        held_out: Interactions that are predicted.
        arms: Arms by name.
        candidates: Candidate traces that are drawn and scored; 0 if no arm needs any.
        trainings: Adapters that are trained.
        predictions: Answers that are predicted by a model, over all arms.
        drawn: Those of them before which traces are drawn.
        traces: K, traces drawn before each of those; None takes that of the configuration.
    """

    people: int
    train: tuple[Interaction, ...]
    reconstructed: tuple[Interaction, ...]
    held_out: tuple[Interaction, ...]
    arms: tuple[ArmName, ...]
    candidates: int
    trainings: int
    predictions: int
    drawn: int
    traces: int | None = None

    def __str__(self) -> str:
        """Say it in two lines."""
        return (
            f"{counted(self.people, 'person', 'people')}, "
            f"{counted(len(self.train), 'training pair')}, "
            f"{counted(len(self.held_out), 'held-out answer')}, "
            f"{counted(len(self.arms), 'arm')}: {', '.join(self.arms)}\n"
            f"{counted(self.candidates, 'candidate trace')} to draw and score, "
            f"{counted(self.trainings, 'adapter')} to train, "
            f"{counted(self.predictions, 'answer')} to predict"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeEstimate:
    """About how long an evaluation takes.

    Attributes:
        stages: Seconds by stage: `traces`, `training`, `answers`.
        untimed: Arms whose own training is not in it.

    Example:
        >>> print(TimeEstimate(stages={"traces": 200.0, "training": 340.0, "answers": 60.0}))
        about 10 minutes: traces 3 min, training 6 min, answers 1 min
        >>> print(TimeEstimate(stages={"traces": 2.0, "answers": 9.0}))
        less than a minute
    """

    stages: Mapping[str, float]
    untimed: tuple[ArmName, ...] = ()

    @property
    def seconds(self) -> float:
        """All stages together."""
        return sum(self.stages.values())

    def __str__(self) -> str:
        """Say it in one line, no more exactly than it is known."""
        more = f"; training {', '.join(self.untimed)} is not included" if self.untimed else ""
        if self.seconds < 60:  # noqa: PLR2004 - a minute
            return f"less than a minute{more}"
        parts = ", ".join(f"{name} {_minutes(took)}" for name, took in self.stages.items() if took)
        return f"about {_duration(self.seconds)}: {parts}{more}"


def _duration(seconds: float) -> str:
    hours = seconds / 3600
    if hours >= 2:  # noqa: PLR2004 - below that, minutes say more
        return f"{hours:.1f} hours"
    return counted(round(seconds / 60), "minute")


def _minutes(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 7200 else f"{max(1, round(seconds / 60))} min"  # noqa: PLR2004 - as above


def plan_evaluation(
    sim: UserSimulator,
    *,
    arms: Sequence[ArmName],
    people: Sequence[str] | None = None,
    limit: int | None = None,
    traced: int | None = None,
    held_out: int | None = None,
    traces: int | None = None,
) -> EvaluationPlan:
    """Return what `sim.evaluate` will do with the same arguments; no model is loaded.

    Args:
        sim: The simulator.
        arms: What is to be compared.
        people: Who is learned from and measured; None takes everybody.
        limit: Training interactions of each person, the newest; None takes all.
        traced: Of these, how many of each person get traces; None for all.
        held_out: Held-out interactions in all; None takes every one.
        traces: K, traces drawn for each answer; None takes that of the configuration.

    Raises:
        EvaluationError: If nothing is held out, or an arm is unknown.
        EmptySplitError: If there is nothing to learn from.
    """
    check_arms(arms)
    specs = [ARM_SPECS[arm] for arm in arms]
    chosen = People(sim.corpus, sim.user_id).only(people)
    train = chosen.train(limit)
    measured = pick_held_out(sim.corpus, chosen.users, held_out)
    needed = any(spec.needs_traces for spec in specs)
    reconstructed = spread(train, traced) if needed else []
    each = sim.config.synthesis.n_forward + sim.config.synthesis.n_backward
    # Recon-Select's adapter is also measured after the traces of other contexts.
    swapped = int("recon_select" in arms)
    return EvaluationPlan(
        people=len({one.user_id for one in (*train, *measured)}),
        train=tuple(train),
        held_out=tuple(measured),
        arms=tuple(arms),
        candidates=len(reconstructed) * each,
        reconstructed=tuple(reconstructed),
        trainings=sum(spec.answers == "adapter" for spec in specs),
        predictions=len(measured) * (sum(spec.runs_model for spec in specs) + swapped),
        drawn=len(measured) * (sum(spec.reasons for spec in specs) + swapped),
        traces=traces,
    )


def time_evaluation(
    plan: EvaluationPlan,
    sim: UserSimulator,
    *,
    recon_engine: Engine | None = None,
    progress: Progress | None = None,
    now: Callable[[], float] = time.perf_counter,
) -> TimeEstimate:
    """Time a little of each step on this machine and return how long the whole plan takes.

    Loads the model. It takes as long as two pairs with traces, one pass over eight answers and
    two predictions: seconds, or minutes where the evaluation itself takes hours.

    Args:
        plan: What will be done.
        sim: The simulator.
        recon_engine: Another model that writes and scores the traces.
        progress: Called with (stage, done, total).
        now: A clock, seconds.

    Returns:
        The estimate; what an earlier run has finished is not taken off.
    """

    def tell(stage: str, done: int, total: int) -> None:
        if progress is not None:
            progress(stage, done, total)

    tell("load the model", 0, 1)
    engine = sim.engine
    tell("load the model", 1, 1)
    config = _with_traces(sim.config, plan.traces)
    plugs = sim.plugs
    histories = Histories(  # without the panel, which would have to be fitted first
        sim.corpus, config.history, similarity=plugs.meaning, retriever=plugs.over(sim.corpus)
    )
    probe = _Probe(engine, recon_engine or engine, config, histories, now, plugs.aids)
    traces = training = 0.0
    tell("time a few steps", 0, 4)
    # The first call pays for what later ones find ready; other rows, or their prompts would be.
    probe.forward(plan.held_out[-1:])
    tell("time a few steps", 1, 4)
    plain, drawn = probe.answers(plan.held_out[:SAMPLE], drawn=bool(plan.drawn))
    tell("time a few steps", 2, 4)
    if plan.candidates:
        # Diagnostics score some of the pairs again, with traces that argue for other actions.
        again = min(config.scoring.diagnostics, len(plan.reconstructed))
        traces = probe.pair(plan.reconstructed[:SAMPLE]) * (len(plan.reconstructed) + again)
    tell("time a few steps", 3, 4)
    untimed: tuple[ArmName, ...] = tuple(arm for arm in plan.arms if not ARM_SPECS[arm].timed)
    timed = plan.trainings - len(untimed)
    training = timed * _training(plan, config.training, probe, plain, drawn) if timed else 0.0
    tell("time a few steps", 4, 4)
    answers = (plan.predictions - plan.drawn) * plain + plan.drawn * drawn
    return TimeEstimate(
        stages=MappingProxyType({"traces": traces, "training": training, "answers": answers}),
        untimed=untimed,
    )


def _training(
    plan: EvaluationPlan, config: TrainingConfig, probe: _Probe, plain: float, drawn: float
) -> float:
    """Return how long one training takes, from the time of an answer without traces and with."""
    pairs = len(plan.train)
    learned = TRAINING_FACTOR * probe.window(_newest_of_one(plan.train)) * pairs * config.epochs
    measured = min(round(config.validation_share * pairs), config.validation_most)
    watched = measured * plain * (1 + config.evaluations)  # before it, and so often during it
    weighed = measured * drawn if measured >= MIN_FOR_WEIGHT else 0.0
    return learned + watched + weighed


def _newest_of_one(rows: Sequence[Interaction]) -> list[Interaction]:
    return [one for one in rows if one.user_id == rows[-1].user_id][-WINDOW:]


def _with_traces(config: PipelineConfig, traces: int | None) -> PipelineConfig:
    if traces is None:
        return config
    simulation = config.simulation.model_copy(update={"traces": traces})
    return config.model_copy(update={"simulation": simulation})


@dataclass(frozen=True, slots=True)
class _Probe:
    """Times single steps; seconds for one item each."""

    engine: Engine
    recon_engine: Engine
    config: PipelineConfig
    histories: Histories
    now: Callable[[], float]
    aids: Aids

    def answers(self, rows: Sequence[Interaction], *, drawn: bool) -> tuple[float, float]:
        """Return the time of an answer without traces, and of one with."""
        items = [
            (respond_item(one, self._history(one, before=None), seed=0), one.action) for one in rows
        ]

        def measure(traces: int) -> float:
            settings = self.config.simulation.model_copy(update={"traces": traces})
            return self._timed(
                lambda: likelihoods(
                    self.engine, items, config=settings, history=self.config.history
                ),
                len(items),
            )

        plain = measure(0)
        return plain, measure(self.config.simulation.traces) if drawn else plain

    def pair(self, rows: Sequence[Interaction]) -> float:
        """Return the time to draw and score the candidates of a training pair."""
        cases = [self.histories.around(one) for one in rows]

        def work() -> None:
            drawn = synthesize(
                self.recon_engine,
                cases,
                self.config.synthesis,
                self.config.history,
            )
            written = [
                replace(case, candidates=candidates)
                for case, candidates in zip(cases, drawn.items, strict=True)
                if candidates
            ]
            score_candidates(
                self.recon_engine,
                written,
                self.config.scoring,
                self.config.guards,
                self.config.history,
                embed=self.aids.embed,
                judge=self.aids.judge,
            )

        return self._timed(work, len(rows))

    def window(self, rows: Sequence[Interaction]) -> float:
        """Return the time of a forward pass over an answer that is learned with its person's.

        Each is asked after those before it, so their prompts begin alike and are computed once.
        """
        chat = PersonChat(rows[0].user_id, config=self.config.history)
        requests: list[ScoreRequest] = []
        for one in rows:
            prompt = chat.ask(one.question)
            options = one.space.options if isinstance(one.space, Choice | Scale) else ()
            requests += [
                ScoreRequest(prompt=prompt, continuation=transcript.action_text(text))
                for text in options or (one.action_text,)
            ]
            chat.add(one)
        return self._timed(lambda: self.engine.score(requests), len(rows))

    def forward(self, rows: Sequence[Interaction]) -> float:
        """Return the time of a forward pass over a training example."""
        requests = [
            ScoreRequest(
                prompt=respond_item(one, self.histories.around(one).history, seed=0).prompt(
                    self.config.history
                ),
                continuation=transcript.action_text(one.action_text),
            )
            for one in rows
        ]
        return self._timed(lambda: self.engine.score(requests), len(rows))

    def _history(self, one: Interaction, *, before: int | None) -> tuple[Interaction, ...]:
        return self.histories.of(one.user_id, one.question, before=before)

    def _timed(self, work: Callable[[], object], n: int) -> float:
        began = self.now()
        work()
        return (self.now() - began) / max(n, 1)
