"""What the report says of the synthesizers."""

from __future__ import annotations

import math

import pytest

from usersim.config import SynthesizerConfig
from usersim.engines import AdapterRef
from usersim.simulator.pages import PANELS, curves_of, synthesizer_section
from usersim.training import TraceEvaluation, TrainedAdapter
from usersim.training.manifest import Counts, Manifest, SynthesizerRecord

BASE = TraceEvaluation(
    step=0, gain=-0.0126, second_gain=None, reward=-0.5, malformed=0.25, refused=0.5, n=8
)
BETTER = TraceEvaluation(
    step=3, gain=0.25, second_gain=0.125, reward=0.75, malformed=0.0, refused=0.125, n=8
)


def synthesizer(**record: object) -> TrainedAdapter:
    """A synthesizer whose manifest tells `record`; its weights are nowhere."""
    config = SynthesizerConfig()
    manifest = Manifest(
        name="shared-synthesizer",
        created="2026-01-01T00:00:00+00:00",
        fingerprint="f" * 64,
        users=("ada",),
        base_model="embedded",
        base_model_digest="b" * 64,
        config=config,
        config_key=config.key,
        examples_digest="e" * 64,
        versions={},
        counts=Counts(train=8, with_reasoning=8, validation=2, refused=0),
        steps=3,
        planned_steps=4,
        stopped="stalled",
        losses=(2.0, 1.0, 0.5),
        synthesizer=SynthesizerRecord.model_validate({"recipe": "grpo"} | record),
    )
    return TrainedAdapter(
        ref=AdapterRef("shared-synthesizer-0", "nowhere", "d" * 64), manifest=manifest
    )


def test_a_synthesizer_is_told_with_its_held_out_figures_before_and_after() -> None:
    """Recipe, steps, gains under both reconstructors, shares and warnings stand in the section."""
    warned = "The reward rose while the held-out gain fell."
    section = synthesizer_section(
        "Recon-GRPO", synthesizer(before=BASE, after=BETTER, warnings=(warned,))
    )
    assert section.heading == "The synthesizer of Recon-GRPO"
    text = " ".join(section.paragraphs)
    assert "Recipe 'grpo': policy gradients" in text
    assert "3 of 4 steps; it stopped early because the held-out gain no longer rose" in text
    assert warned in text
    assert "no cause" not in text
    assert section.rows == (
        ("base model", "−0.013", "not measured", "−0.500", "25 %", "50 %", "8"),
        ("after step 3", "+0.250", "+0.125", "+0.750", "0 %", "12 %", "8"),
    )
    assert len(section.columns) == len(section.rows[0])


def test_a_synthesizer_that_nothing_was_kept_out_for_says_so() -> None:
    """Without held-out figures there is no table, and the page says that nothing was measured."""
    section = synthesizer_section("Recon-DPO", synthesizer(recipe="dpo"))
    assert (section.columns, section.rows) == ((), ())
    assert "its effect was not measured" in " ".join(section.paragraphs)
    assert section.paragraphs[-1] == "No warnings."


def test_curves_hold_the_figures_that_there_are() -> None:
    """Known figures come in the page's order, a step without one is NaN, others are left out."""
    figures = ({"kl": 0.0, "reward": 1.0, "traces": 4.0, "loss": 5.0}, {"reward": 2.0, "L1": 0.5})
    curves = curves_of("Recon-GRPO", synthesizer(figures=figures))
    assert curves.heading == "Training the synthesizer of Recon-GRPO"
    names = [name for name, text in PANELS.items() if text in curves.panels]
    assert names == ["reward", "kl", "L1", "loss"]
    assert list(curves.panels) == [PANELS[name] for name in names]
    assert curves.panels[PANELS["reward"]] == [1.0, 2.0]
    assert curves.panels[PANELS["kl"]] == pytest.approx([0.0, math.nan], nan_ok=True)
    assert curves.panels[PANELS["loss"]] == pytest.approx([5.0, math.nan], nan_ok=True)


def test_a_synthesizer_without_step_figures_shows_its_loss() -> None:
    """Expert iteration is drawn by the losses of its training."""
    curves = curves_of("Recon-RFT", synthesizer(recipe="rft"))
    assert curves.panels == {PANELS["loss"]: [2.0, 1.0, 0.5]}
