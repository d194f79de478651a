"""vLLM draws for the training of a synthesizer: always from the newest weights."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("vllm", reason="vLLM is not installed: make test-vllm")

from tests.integration.test_training_synthesizer import CONFIG, PROMPTS, TOKENS, Letters
from usersim.config import VllmConfig
from usersim.engines import Engine
from usersim.engines.vllm.engine import VllmEngine
from usersim.training import RewardLesson, TrainedAdapter, train_synthesizer

pytestmark = pytest.mark.vllm

STEPS = 4


def train(model: Path, out: Path, engine: Engine | None) -> TrainedAdapter:
    """Train on the letters with draws of one engine; None for the one in this process."""
    lesson = RewardLesson(
        prompts=PROMPTS,
        rollouts=Letters(model, engine),
        identity="letters",
        max_tokens=TOKENS,
    )
    config = CONFIG.model_copy(update={"grpo_steps": STEPS})
    return train_synthesizer(lesson, base_model=str(model), out_dir=out, config=config)


def test_training_on_draws_of_vllm_is_training_on_draws_of_transformers(
    tiny_model: Path, tmp_path: Path
) -> None:
    """Both draw the same texts from each step's weights, so rewards and losses are the same."""
    plain = train(tiny_model, tmp_path / "transformers", None)
    settings = VllmConfig(kv_cache_gib=0.25, adapter_slots=2, adapter_rank=4)
    with VllmEngine(tiny_model, settings) as engine:
        through = train(tiny_model, tmp_path / "vllm", engine)
    rewards = [
        [figures["reward"] for figures in one.manifest.synthesizer.figures]
        for one in (plain, through)
    ]
    assert rewards[1] == pytest.approx(rewards[0], abs=0.05)
    assert through.losses == pytest.approx(plain.losses, abs=0.02)
    assert rewards[0][0] != rewards[0][-1]
