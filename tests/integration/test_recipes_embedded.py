"""Every recipe on the embedded model: killed in its training, it goes on to a user model.

Everything is real and small: the texts are what the model writes, the scores are its own.
"""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.fixtures.children import Nursery
from tests.fixtures.people import person
from usersim import UserSimulator
from usersim.config import (
    HistoryConfig,
    PipelineConfig,
    ScoringConfig,
    SimulationConfig,
    SynthesisConfig,
    SynthesizerConfig,
    TrainingConfig,
)

pytestmark = [pytest.mark.model, pytest.mark.slow]

CONFIG = PipelineConfig(
    history=HistoryConfig(recent=1, evidence=0, max_item_chars=60, max_context_chars=100),
    synthesis=SynthesisConfig(n_forward=3, n_backward=2, max_tokens=24, redraws=0),
    scoring=ScoringConfig(option_orders=1, samples=2),
    training=TrainingConfig(rank=2, epochs=1, evaluations=1, batch_tokens=512),
    synthesizer=SynthesizerConfig(
        rank=2,
        rounds=1,
        rft_epochs=2,
        batch_tokens=64,
        held_out_share=0.3,
        grpo_steps=2,
        group=2,
        prompts=1,
        dpo_batch=1,
        evaluations=2,
    ),
    simulation=SimulationConfig(traces=1, max_reasoning_tokens=12),
)

CHILD = """
import os, signal, sys
from tests.integration.test_recipes_embedded import simulator

store, model, recipe, steps = sys.argv[1:]

def report(stage, done, total):
    if "synthesizer" in stage and stage.startswith("train") and done == int(steps):
        os.kill(os.getpid(), signal.SIGKILL)

with simulator(store, model) as sim:
    sim.train(recipe=recipe, progress=report)
"""


def simulator(store: str | Path, model: str | Path) -> UserSimulator:
    """A simulator of one invented person."""
    return UserSimulator.from_corpus(
        person("ada", 5),
        user_id="ada",
        store=store,
        model=model,
        engine="transformers",
        config=CONFIG,
    )


@pytest.mark.parametrize(("recipe", "steps"), [("rft", 1), ("dpo", 1), ("grpo", 2)])
def test_a_recipe_is_killed_and_ends_with_a_user_model(
    embedded_model: Path, tmp_path: Path, recipe: str, steps: int, learners: Nursery
) -> None:
    """Killed after its first steps, it draws nothing twice, and ends with a person who answers."""
    store = tmp_path / "ada.usersim.db"
    child = learners.run(CHILD, store, embedded_model, recipe, str(steps))
    assert child.returncode == -signal.SIGKILL, child.stderr[-2000:]
    first: dict[str, tuple[int, int]] = {}

    def report(stage: str, done: int, total: int) -> None:
        kind = "train synthesizer" if stage.startswith("train ada-synth") else stage
        first.setdefault(kind, (done, total))

    with simulator(store, embedded_model) as sim:
        adapter = sim.train(recipe=recipe, progress=report)
        record = sim.synthesizer.manifest.synthesizer
        answer = sim.respond("Tea or coffee?", options=["tea", "coffee"])
    if recipe == "grpo":  # it draws in its steps, and each was measured and kept
        assert first["train synthesizer"][0] > 1
    else:  # what it learns from was drawn and scored before the kill
        assert first["synthesize"][0] == first["synthesize"][1] > 0
        assert first["score"][0] == first["score"][1] > 0
    assert record.recipe == recipe
    assert record.after.n == record.before.n > 0
    assert answer.trace.adapter == adapter.ref.name
