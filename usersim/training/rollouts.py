"""What the training of a synthesizer asks of the world: draws with their rewards, and a measure.

The policy under training is handed out as an adapter folder, so that any engine can draw from
it: in this process, vLLM, or a server beside it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, pstdev
from typing import Protocol

from usersim.engines.adapters import adapter_ref
from usersim.engines.base import AdapterRef
from usersim.training.lora import save_adapter
from usersim.training.schedule import TraceEvaluation
from usersim.types import RewardedTrace, TracePrompt

__all__ = ["PolicyFolders", "Probe", "Rollouts", "has_spread", "step_figures"]


class Rollouts(Protocol):
    """Draws traces from a synthesizer and says what each is worth."""

    def __call__(
        self, prompts: Sequence[TracePrompt], *, adapter: AdapterRef | None, n: int, seed: int
    ) -> Sequence[Sequence[RewardedTrace]]:
        """Draw `n` traces for each prompt.

        Args:
            prompts: What is asked.
            adapter: The synthesizer's weights; None for the base model.
            n: Draws a prompt.
            seed: Decides the draws, together with each prompt.

        Returns:
            For each prompt its `n` traces; none where the prompt failed.
        """
        ...


@dataclass(frozen=True, slots=True)
class Probe:
    """Measures a synthesizer's weights on interactions that it never trains on.

    Attributes:
        measure: Called with (weights, step); None for the base model.
        identity: Tells by what it measures and on what: it decides when a run stops.

    Example:
        >>> def measure(adapter, step):
        ...     return TraceEvaluation(step=step, gain=0.1, second_gain=None, reward=0.1,
        ...                            malformed=0.0, refused=0.0, n=64)
        >>> probe = Probe(measure, identity="held-out interactions of October")
        >>> probe.measure(None, 0).gain
        0.1
    """

    measure: Callable[[AdapterRef | None, int], TraceEvaluation]
    identity: str


class PolicyFolders:
    """The weights of the current policy on disk, each step in a folder of its own.

    An adapter folder is immutable and its name is never used for other weights, so that no
    engine can answer with what it kept of an older step.

    Args:
        folder: The run's; the policies stand in a subfolder.
        base_model: Name for the adapter's configuration.
    """

    def __init__(self, folder: Path, base_model: str) -> None:
        self.folder = folder / "policy"
        self.base_model = base_model

    def write(self, peft_model: object, step: int) -> AdapterRef:
        """Write the weights after `step`, and remove those of the steps before."""
        shutil.rmtree(self.folder, ignore_errors=True)
        folder = self.folder / f"step-{step:06d}"
        folder.mkdir(parents=True)
        save_adapter(peft_model, folder, base_model=self.base_model)
        return adapter_ref(folder)


def step_figures(groups: Sequence[Sequence[RewardedTrace]]) -> dict[str, float]:
    """Return the figures of one step: means of every component, and the spread in the groups.

    Returns:
        The mean of each component over the traces that have it; `spread`, the mean standard
        deviation of the rewards within a group; `flat_groups`, the share of groups without any
        spread, which teach nothing; `traces`.

    Example:
        >>> one = RewardedTrace(reasoning="x", reward=1.0, components={"reward": 1.0}, cut=False,
        ...                     readable=True)
        >>> step_figures([[one, one]])["flat_groups"]
        1.0
    """
    traces = [one for group in groups for one in group]
    figures: dict[str, float] = {"traces": float(len(traces))}
    for name in sorted({name for one in traces for name in one.components}):
        figures[name] = fmean(v for one in traces if (v := one.components.get(name)) is not None)
    spreads = [pstdev([one.reward for one in group]) for group in groups if group]
    if spreads:
        figures["spread"] = fmean(spreads)
        figures["flat_groups"] = fmean(float(not has_spread(group)) for group in groups if group)
    return figures


SMALLEST_SPREAD = 1e-6


def has_spread(group: Sequence[RewardedTrace]) -> bool:
    """Return whether the rewards of a group differ."""
    rewards = [one.reward for one in group]
    return max(rewards) - min(rewards) > SMALLEST_SPREAD
