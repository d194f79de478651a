"""Every arm of an evaluation, in one table: how it gets its traces, learns and answers.

Plain values that builders, plans and tables read. Knows the names of what other stages do, and
nothing of how they do it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import Literal, get_args

from usersim.config import Recipe
from usersim.errors import ArgumentError
from usersim.types import WITHOUT_REASONING, Predictor, TraceSource

__all__ = [
    "ARMS",
    "ARM_SPECS",
    "DEFAULT_ARMS",
    "ArmName",
    "ArmSpec",
    "Control",
    "Shown",
    "check_arms",
    "title_of",
]

ArmName = Literal[
    "chance",
    "others",
    "own_scale",
    "panel",
    "persona",
    "profile",
    "few_shot",
    "recon_memory",
    "memory_eligible",
    "memory_backward",
    "none",
    "after_answer",
    "forward",
    "backward",
    "guarded_backward",
    "random",
    "random_eligible",
    "best_eligible",
    "positive_gain",
    "longest",
    "oracle",
    "recon_select",
    "recon_rft",
    "recon_dpo",
    "recon_grpo",
    "likelihood_rl",
    "e2e_grpo",
    "pool_without_reasoning",
    "pool",
]

ARMS: tuple[ArmName, ...] = get_args(ArmName)
"""Every arm by name, in the order of the tables."""

DEFAULT_ARMS: tuple[ArmName, ...] = (
    "others",
    "few_shot",
    "none",
    "backward",
    "random_eligible",
    "recon_select",
)
"""What is compared where nobody says otherwise, in Python and on the command line."""

Control = Literal["likelihood_rl", "e2e_grpo"]
"""Trainings that reward the user model itself; they exist to be measured against."""

Shown = Literal["persona", "profile", "history", "kept"]
"""What of the person stands in the prompt: facts in the plain instruction of persona tools, facts
in usersim's own prompt, the history, or the history with its kept traces (Recon-Memory)."""

_ALL: tuple[Predictor, ...] = get_args(Predictor)
_NO_REASONING: tuple[Predictor, ...] = tuple(one for one in _ALL if one not in {"reasoning"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmSpec:
    """What one arm is.

    Attributes:
        name: What plans, Python and the command line call it.
        title: What tables call it.
        answers: How it answers: without a model, from a prompt of the base model, with weights of
            its own, or by pooling predictors.
        shown: What of the person stands in the prompt.
        traces: Which traces it learns from or is shown; None where it has none.
        training: Recipe of the synthesizer whose traces it learns from (`select`: untrained), or
            the control that trains it; None where nothing is trained.
        predictors: Which predictors it pools.
    """

    name: ArmName
    title: str
    answers: Literal["reference", "prompt", "adapter", "pool"]
    shown: Shown = "history"
    traces: TraceSource | None = None
    training: Recipe | Control | None = None
    predictors: tuple[Predictor, ...] = ()

    @property
    def control(self) -> Control | None:
        """The control that trains it; None for any other arm."""
        return next((one for one in get_args(Control) if one == self.training), None)

    @property
    def recipe(self) -> Recipe | None:
        """How the synthesizer of its traces is trained; None where it has none."""
        return next((one for one in get_args(Recipe) if one == self.training), None)

    @property
    def needs_traces(self) -> bool:
        """Whether the untrained synthesizer has to draw traces for it."""
        return self.traces not in {None, "none"} and self.training in {None, "select"}

    @property
    def reasons(self) -> bool:
        """Whether traces are drawn before it answers."""
        if self.answers == "pool":
            return "reasoning" in self.predictors
        return self.control is not None or (
            self.traces is not None and self.traces not in WITHOUT_REASONING
        )

    @property
    def runs_model(self) -> bool:
        """Whether a language model reads the question."""
        if self.answers == "pool":
            return bool({"reasoning", "no_reasoning"}.intersection(self.predictors))
        return self.answers != "reference"

    @property
    def timed(self) -> bool:
        """Whether its training is short and regular enough to be timed beforehand."""
        return self.training in {None, "select"}


def _prompt(name: ArmName, title: str, shown: Shown, traces: TraceSource | None = None) -> ArmSpec:
    return ArmSpec(name=name, title=title, answers="prompt", shown=shown, traces=traces)


def _sft(name: ArmName, title: str, traces: TraceSource, recipe: Recipe = "select") -> ArmSpec:
    return ArmSpec(name=name, title=title, answers="adapter", traces=traces, training=recipe)


def _control(name: ArmName, title: str, control: Control) -> ArmSpec:
    return ArmSpec(name=name, title=title, answers="adapter", training=control)


def _pool(name: ArmName, title: str, *predictors: Predictor) -> ArmSpec:
    return ArmSpec(name=name, title=title, answers="pool", predictors=predictors)


_SPECS = (
    ArmSpec(name="chance", title="Chance", answers="reference"),
    ArmSpec(name="others", title="Others", answers="reference"),
    _pool("own_scale", "Own use of the scale", "own_scale"),
    _pool("panel", "Panel model", "panel"),
    _prompt("persona", "Persona prompt", "persona"),
    _prompt("profile", "B0 profile prompt", "profile"),
    _prompt("few_shot", "B1 history in the prompt", "history"),
    _prompt("recon_memory", "Recon-Memory", "kept", "recon_select"),
    _prompt("memory_eligible", "B1 with random-eligible traces", "kept", "random_eligible"),
    _prompt("memory_backward", "B1 with backward traces", "kept", "backward"),
    _sft("none", "B2 SFT without reasoning", "none"),
    _sft("after_answer", "B7 Recon's traces after the answer", "after_answer"),
    _sft("forward", "B6 forward reasoning SFT", "forward"),
    _sft("backward", "B3 Backward Synthesis", "backward"),
    _sft("guarded_backward", "B3g Backward Synthesis, leaks redrawn", "guarded_backward"),
    _sft("random", "B4 random of N", "random"),
    _sft("random_eligible", "B4e random of eligible", "random_eligible"),
    _sft("best_eligible", "B4b best of eligible", "best_eligible"),
    _sft("positive_gain", "B4g best with a gain, or none", "positive_gain"),
    _sft("longest", "B5 longest of N", "longest"),
    _sft("oracle", "B12 leak oracle", "oracle"),
    _sft("recon_select", "Recon-Select", "recon_select"),
    _sft("recon_rft", "Recon-RFT", "recon_select", "rft"),
    _sft("recon_dpo", "Recon-DPO", "recon_select", "dpo"),
    _sft("recon_grpo", "Recon-GRPO", "recon_select", "grpo"),
    _control("likelihood_rl", "B9 likelihood RL", "likelihood_rl"),
    _control("e2e_grpo", "B11 E2E-GRPO", "e2e_grpo"),
    _pool("pool_without_reasoning", "Pool without reasoning", *_NO_REASONING),
    _pool("pool", "Pool", *_ALL),
)

ARM_SPECS: Mapping[ArmName, ArmSpec] = MappingProxyType({one.name: one for one in _SPECS})
"""What each arm is, in the order of the tables."""


def check_arms(arms: Sequence[str]) -> tuple[ArmName, ...]:
    """Reject what is not an arm, before any work is done for it.

    Args:
        arms: Names.

    Returns:
        The same names.

    Raises:
        ArgumentError: If one is unknown or stands twice; the nearest name is suggested.

    Example:
        >>> check_arms(["others", "recon_select"])
        ('others', 'recon_select')
    """
    unknown = sorted(set(arms) - set(ARMS))
    if unknown:
        near = get_close_matches(unknown[0], ARMS, n=1)
        raise ArgumentError(
            f"unknown arms {unknown!r}; there are {list(ARMS)!r}",
            hint=f"did you mean {near[0]!r}?" if near else "",
        )
    return tuple(name for name in ARMS for one in arms if one == name)


def title_of(arm: ArmName) -> str:
    """Return what tables call an arm.

    Args:
        arm: Its name.

    Example:
        >>> title_of("backward")
        'B3 Backward Synthesis'
    """
    return ARM_SPECS[arm].title
