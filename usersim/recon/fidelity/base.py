"""What a fidelity scorer is, and how many of them share one call to the engine.

A scorer first says what it wants to know (`plan`) and then reads the answers (`read`), so that
scorers of every kind, for every trace of a chunk, are asked of the engine together.
Knows prompts and engines; knows nothing of guards and selection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from usersim.config import HistoryConfig, ScoringConfig
from usersim.engines import ChatPrompt, Draw, Engine, GenerateRequest, Score, ScoreRequest
from usersim.errors import ConfigError, ScoringError
from usersim.prompts import respond_prompt
from usersim.types import Case, Question
from usersim.views import Progress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "Aids",
    "Answers",
    "Embed",
    "Fidelity",
    "Scorer",
    "ScoringPlan",
    "Trial",
    "ask",
    "measure",
    "planned",
    "read",
    "wrong_kind",
]

Embed = Callable[[list[str]], "NDArray[np.float64] | Sequence[Sequence[float]]"]
"""Turns texts into vectors, one per text. Shape `(n, d)`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aids:
    """What some scorers use besides the reconstructor.

    Attributes:
        embed: Turns texts into vectors, for `sampled_similarity`; None leaves the cosine out.
        judge: Ranks reconstructions, for `judge_listwise`, which needs one.

    Example:
        >>> from usersim.engines.scripted import ScriptedEngine
        >>> aids = Aids(judge=ScriptedEngine(name="judge"))
        >>> aids.check(ScoringConfig(scorer="judge_listwise"), ScriptedEngine())
    """

    embed: Embed | None = None
    judge: Engine | None = None

    def check(self, config: ScoringConfig, reconstructor: Engine) -> None:
        """Check, before anything is drawn, that who ranks did not write.

        Args:
            config: Names the scorer.
            reconstructor: Writes what is ranked.

        Raises:
            ConfigError: If a judge is needed and missing, or is the reconstructor.
        """
        if config.scorer != "judge_listwise":
            return
        if self.judge is None:
            raise ConfigError(
                "traces are ranked by a judge, and none was given: the model that writes the "
                "reconstructions may not rank its own",
                hint="give trace_judge=load_engine(...), a model of another family",
                cli_hint="give --trace-judge MODEL, a model of another family",
            )
        if self.judge.identity == reconstructor.identity:
            raise ConfigError(
                f"the judge {self.judge.model!r} would rank what it writes itself",
                hint="give another model as trace_judge=, or as recon_engine=",
                cli_hint="give another model as --trace-judge, or as --recon-model",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Traces whose help in predicting what a person did is to be measured.

    Attributes:
        case: What the person did, and the history that is shown with it.
        reasonings: The traces; the empty one is added by the scorer.
        view: Character limits of the prompt.
        withheld: The context and the history are not shown (guard L3).

    Example:
        >>> from usersim.engines.scripted import ScriptedEngine
        >>> from usersim.recon import indistinguishability
        >>> from usersim.types import FreeText, Interaction, Message
        >>> tea = Interaction(key="k", user_id="ada", position=0, context=(Message("Tea?"),),
        ...                   action="Always.", space=FreeText(), conversation="c")
        >>> trial = Trial(case=Case(tea), reasonings=("I like tea.", "It is early."),
        ...               view=HistoryConfig())
        >>> engine = ScriptedEngine()
        >>> (passes,) = indistinguishability(engine, engine, [trial], seed=0, temperature=0.7)
        >>> len(passes)
        2
    """

    case: Case
    reasonings: tuple[str, ...]
    view: HistoryConfig
    withheld: bool = False

    def prompt(self, option_order: Sequence[int] | None = None) -> ChatPrompt:
        """Return the reconstructor's prompt, the same for every trace of the trial."""
        one = self.case.interaction
        return respond_prompt(
            one.user_id,
            Question((), one.space) if self.withheld else one.question,
            () if self.withheld else self.case.history,
            config=self.view,
            option_order=option_order,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringPlan:
    """What is to be asked of the engine."""

    score: tuple[ScoreRequest, ...] = ()
    generate: tuple[GenerateRequest, ...] = ()


@dataclass(frozen=True, slots=True)
class Answers:
    """The engine's answers to a plan, in its order."""

    scores: tuple[Score, ...] = ()
    draws: tuple[tuple[Draw, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fidelity:
    """How much one trace helps to predict the action.

    Attributes:
        gain: Fidelity with the trace minus fidelity with the empty one, on the half of the
            random draws that selects.
        reported_gain: The same on the other half; equal to `gain` where nothing is random.
        components: The numbers behind it, by name.
    """

    gain: float
    reported_gain: float
    components: Mapping[str, float] = field(default_factory=dict[str, float])


class Scorer(Protocol):
    """One way to measure fidelity."""

    @property
    def name(self) -> str:
        """Name and version."""
        ...

    @property
    def unit(self) -> str:
        """Unit of the gains."""
        ...

    def check(self, engine: Engine) -> None:
        """Raise `CapabilityError` if `engine` cannot do what the scorer needs."""
        ...

    def plan(self, trial: Trial) -> ScoringPlan:
        """Return what to ask; raises `ScoringError` if the action's kind does not fit."""
        ...

    def read(self, trial: Trial, answers: Answers) -> tuple[Fidelity, ...]:
        """Return one value per trace; raises `ScoringError` if the answers say nothing."""
        ...


def ask(
    engine: Engine, plans: Sequence[ScoringPlan], *, progress: Progress | None = None
) -> list[Answers]:
    """Put many plans to the engine in one `score` and one `generate` call.

    Equal requests are asked once.

    Returns:
        One entry per plan.
    """
    wanted = dict.fromkeys(request for plan in plans for request in plan.score)
    scores = dict(zip(wanted, engine.score(list(wanted), progress=progress), strict=True))
    drawing = dict.fromkeys(request for plan in plans for request in plan.generate)
    draws: dict[GenerateRequest, tuple[Draw, ...]] = {}
    if drawing:
        found = engine.generate(list(drawing), progress=progress)
        draws = dict(zip(drawing, found, strict=True))
    return [
        Answers(
            tuple(scores[request] for request in plan.score),
            tuple(draws[request] for request in plan.generate),
        )
        for plan in plans
    ]


def measure(
    engine: Engine,
    trials: Sequence[Trial],
    scorers: Sequence[Scorer],
    *,
    progress: Progress | None = None,
) -> list[tuple[Fidelity, ...] | ScoringError]:
    """Return per trial one fidelity per trace, or why it cannot be had.

    Args:
        engine: The reconstructor.
        trials: What is to be measured; kinds of actions may be mixed.
        scorers: The scorer of each trial.
        progress: Called with (stage, requests done, requests in all).

    Raises:
        CapabilityError: If the engine cannot do what one of the scorers needs.
    """
    plans: list[ScoringPlan | ScoringError] = []
    for trial, scorer in zip(trials, scorers, strict=True):
        scorer.check(engine)
        plans.append(planned(scorer, trial))
    answers = iter(
        ask(engine, [plan for plan in plans if isinstance(plan, ScoringPlan)], progress=progress)
    )
    return [
        read(scorer, trial, next(answers)) if isinstance(plan, ScoringPlan) else plan
        for plan, scorer, trial in zip(plans, scorers, trials, strict=True)
    ]


def planned(scorer: Scorer, trial: Trial) -> ScoringPlan | ScoringError:
    """Return the plan, or the error as a value: one item's failure is data."""
    try:
        return scorer.plan(trial)
    except ScoringError as error:
        return error


def read(scorer: Scorer, trial: Trial, answers: Answers) -> tuple[Fidelity, ...] | ScoringError:
    """Return the fidelities, or the error as a value."""
    try:
        return scorer.read(trial, answers)
    except ScoringError as error:
        return error


def wrong_kind(scorer: str, trial: Trial) -> ScoringError:
    """Return the error of a scorer that is given a kind of action which it cannot score."""
    item = trial.case.interaction
    return ScoringError(
        f"scorer {scorer!r} cannot score a {item.space.kind!r} action"
        f" (user {item.user_id!r}, interaction {item.key[:12]!r})",
        hint="use scorer='auto', which takes the score that fits each action's kind",
        cli_hint="use an unchanged preset: it takes the score that fits each action's kind",
    )
