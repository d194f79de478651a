"""The arms of a measurement by name: what each is called, and where its traces come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from usersim.config import Recipe
from usersim.errors import ArgumentError
from usersim.simulator.experimental import CONTROLS
from usersim.simulator.sources import SOURCES, TraceSource

__all__ = [
    "ARMS",
    "DEFAULT_ARMS",
    "MEMORIES",
    "SYNTHESIZERS",
    "TITLES",
    "ArmName",
    "check_arms",
    "source_of",
    "title_of",
]

ArmName = Literal[
    "chance",
    "others",
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

TITLES: dict[ArmName, str] = {
    "none": "B2 SFT without reasoning",
    "after_answer": "B7 Recon's traces after the answer",
    "backward": "B3 Backward Synthesis",
    "guarded_backward": "B3g Backward Synthesis, leaks redrawn",
    "random": "B4 random of N",
    "random_eligible": "B4e random of eligible",
    "best_eligible": "B4b best of eligible",
    "positive_gain": "B4g best with a gain, or none",
    "longest": "B5 longest of N",
    "oracle": "B12 leak oracle",
    "forward": "B6 forward reasoning SFT",
    "recon_select": "Recon-Select",
}
SYNTHESIZERS: dict[ArmName, tuple[Recipe, str]] = {
    "recon_rft": ("rft", "Recon-RFT"),
    "recon_dpo": ("dpo", "Recon-DPO"),
    "recon_grpo": ("grpo", "Recon-GRPO"),
}
"""Arms whose traces come from a trained synthesizer, selected as Recon-Select does."""
MEMORIES: dict[ArmName, tuple[TraceSource, str]] = {
    "recon_memory": ("recon_select", "Recon-Memory"),
    "memory_eligible": ("random_eligible", "B1 with random-eligible traces"),
    "memory_backward": ("backward", "B1 with backward traces"),
}
"""Arms of the base model with past answers and traces in the prompt."""


def check_arms(arms: Sequence[str]) -> None:
    """Refuse what is not an arm, before any work is done for it.

    Raises:
        ArgumentError: Listing the arms.
    """
    unknown = sorted(set(arms) - set(ARMS))
    if unknown:
        raise ArgumentError(f"unknown arms {unknown!r}; there are {list(ARMS)!r}")


def source_of(arm: ArmName) -> str:
    """Return in words where the traces of a trained arm come from."""
    if arm in SYNTHESIZERS:
        return f"the best traces of a synthesizer trained by {SYNTHESIZERS[arm][0]}"
    if arm in CONTROLS:
        return "the reward of its own predictions (a control)"
    return next(text for source, text in SOURCES.items() if source == arm)


def title_of(arm: ArmName) -> str:
    """Return what a trained arm is called in tables."""
    if arm in SYNTHESIZERS:
        return SYNTHESIZERS[arm][1]
    return next((title for name, title in CONTROLS.items() if name == arm), "") or TITLES[arm]
