"""Every recipe on the embedded model: killed in its training, it goes on to a user model.

Everything is real and small: the texts are what the model writes, the scores are its own.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

import usersim
from tests.fixtures.people import person
from usersim import UserSimulator
from usersim.config import (
    HistoryConfig,
    PipelineConfig,
    ScoringConfig,
    SimulationConfig,
    SynthesisConfig,
    SynthesiserConfig,
    TrainingConfig,
)

pytestmark = [pytest.mark.model, pytest.mark.slow]

CONFIG = PipelineConfig(
    history=HistoryConfig(recent=1, similar=0, max_item_chars=60, max_context_chars=100),
    synthesis=SynthesisConfig(n_forward=2, n_backward=1, max_tokens=16),
    scoring=ScoringConfig(option_orders=1, samples=2),
    training=TrainingConfig(rank=2, epochs=1, evaluations=1, batch_tokens=256),
    synthesiser=SynthesiserConfig(
        rank=2,
        rounds=1,
        rft_epochs=2,
        batch_tokens=64,
        held_out_share=0.25,
        grpo_steps=3,
        group=2,
        prompts=1,
        dpo_batch=1,
        evaluations=1,
    ),
    simulation=SimulationConfig(traces=1, max_reasoning_tokens=16),
)

CHILD = """
import os, signal, sys
from tests.integration.test_recipes_embedded import simulator

store, model, recipe = sys.argv[1:]

def report(stage, done, total):
    if "synthesiser" in stage and stage.startswith("train") and done == 2:
        os.kill(os.getpid(), signal.SIGKILL)

with simulator(store, model) as sim:
    sim.train(recipe=recipe, progress=report)
"""


def simulator(store: str | Path, model: str | Path) -> UserSimulator:
    """A simulator of one invented person."""
    return UserSimulator.from_corpus(
        person("ada", 12), store=store, model=model, engine="transformers", config=CONFIG
    )


@pytest.mark.parametrize("recipe", ["rft", "dpo", "grpo"])
def test_a_recipe_is_killed_and_ends_with_a_user_model(
    embedded_model: Path, tmp_path: Path, recipe: str
) -> None:
    """Killed after its second step, the training goes on there; then the person is answered for."""
    store = tmp_path / "ada.usersim.db"
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(store), str(embedded_model), recipe],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(usersim.__file__).parent.parent,
    )
    assert child.returncode == -signal.SIGKILL, child.stderr[-2000:]
    steps: list[int] = []

    def report(stage: str, done: int, _total: int) -> None:
        if "synthesiser" in stage and stage.startswith("train"):
            steps.append(done)

    with simulator(store, embedded_model) as sim:
        adapter = sim.train(recipe=recipe, progress=report)
        record = sim.synthesiser.manifest.synthesiser
        answer = sim.respond("Tea or coffee?", options=["tea", "coffee"])
    assert steps[0] > 1, "it began anew"
    assert record.recipe == recipe
    assert record.after.n == record.before.n > 0
    assert answer.trace.adapter == adapter.ref.name
