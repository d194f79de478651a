"""One step of Recon-GRPO, against trl's own trainer with a plain-function reward.

Both take the same prompts, group, length and model, the embedded one; the reward is a count of
letters, so that what is measured is drawing, likelihoods and the gradient. Ours draws through the
engine and computes a group's prompt once; it also writes the policy to disk at each step, as any
engine could be the one that draws. Steps alternate in blocks; medians and the ratio are printed.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import torch

from usersim.config import SynthesizerConfig
from usersim.engines import AdapterRef, GenerateRequest
from usersim.engines.embedded import model_folder
from usersim.engines.loading import load_model, load_tokenizer
from usersim.engines.transformers.engine import TransformersEngine
from usersim.training.checkpoints import Checkpoints, History
from usersim.training.dataset import EngineEncoder
from usersim.training.lora import adapted, own_randomness
from usersim.training.policy import Policy, train_policy
from usersim.training.run import Hooks, TrainingRun
from usersim.transcript import OPEN
from usersim.types import RewardedTrace, TracePrompt

ROUNDS, STEPS = 2, 3
PROMPTS, GROUP, LENGTH, WORDS_SHOWN = 2, 8, 48, 120
WORDS = ("river", "letter", "quiet", "window", "often", "friend", "late", "train", "music", "rain")


def text(words: int, offset: int) -> str:
    """Return `words` words of a fixed, varied sequence."""
    return " ".join(WORDS[(offset * 7 + i * i + i) % len(WORDS)] for i in range(words)) + "."


def prompts(count: int) -> list[TracePrompt]:
    """Return prompts that differ from the first word on."""
    return [
        TracePrompt(
            key=str(n),
            user_id="ada",
            direction="forward",
            messages=(("system", f"{n} {text(20, n)}"), ("user", text(WORDS_SHOWN, 3 * n))),
        )
        for n in range(count)
    ]


def worth(drawn: str) -> float:
    """Return the share of one letter."""
    return drawn.count("e") / max(1, len(drawn))


def settings() -> SynthesizerConfig:
    """Return what both ways train with."""
    return SynthesizerConfig(prompts=PROMPTS, group=GROUP, grpo_steps=STEPS, grpo_beta=0.04)


def ours(engine: TransformersEngine, model: object, tokenizer: object) -> float:
    """Return seconds a step through our trainer, the first step of a run left out."""

    def rollouts(
        asked: list[TracePrompt], *, adapter: AdapterRef | None, n: int, seed: int
    ) -> list[tuple[RewardedTrace, ...]]:
        requests = [
            GenerateRequest(
                prompt=one.messages, prefix=OPEN, max_tokens=LENGTH, n=n, seed=seed, adapter=adapter
            )
            for one in asked
        ]
        return [
            tuple(
                RewardedTrace(
                    reasoning=draw.text,
                    reward=worth(draw.text),
                    components={},
                    cut=False,
                    readable=False,
                )
                for draw in many
            )
            for many in engine.generate(requests)
        ]

    ends: list[float] = []
    with tempfile.TemporaryDirectory() as folder, own_randomness(0):
        run = TrainingRun(
            steps=STEPS,
            measure=None,
            checkpoints=Checkpoints(Path(folder)),
            history=History(),
            base_model="embedded",
            n_evaluations=1,
            hooks=Hooks(progress=lambda *_: ends.append(time.perf_counter())),
            signed=True,
        )
        policy = Policy(
            prompts=prompts(STEPS * PROMPTS),
            rollouts=rollouts,
            encoder=EngineEncoder(tokenizer),  # type: ignore[arg-type]
            tokenizer=tokenizer,
            config=settings(),
            max_tokens=LENGTH,
        )
        with adapted(model, rank=8, alpha=16) as peft_model:
            train_policy(peft_model, run, policy)
    return (ends[-1] - ends[0]) / (len(ends) - 1)


def theirs(model: object, tokenizer: object) -> float:
    """Return seconds a step through trl's trainer as it comes, its CPU defaults mended."""
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl.trainer.grpo_config import GRPOConfig
    from trl.trainer.grpo_trainer import GRPOTrainer

    ends: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, *_: object, **__: object) -> None:
            ends.append(time.perf_counter())

    def reward(completions: list[str], **_: object) -> list[float]:
        return [worth(one) for one in completions]

    config = settings()
    rows = [
        tokenizer.apply_chat_template(  # type: ignore[attr-defined]
            [{"role": role, "content": said} for role, said in one.messages],
            tokenize=False,
            add_generation_prompt=True,
        )
        + OPEN
        for one in prompts(STEPS * PROMPTS)
    ]
    with tempfile.TemporaryDirectory() as folder, adapted(model, rank=8, alpha=16) as peft_model:
        trainer = GRPOTrainer(
            model=peft_model,
            reward_funcs=reward,
            args=GRPOConfig(
                output_dir=folder,
                per_device_train_batch_size=PROMPTS * GROUP,
                num_generations=GROUP,
                steps_per_generation=1,
                max_steps=STEPS,
                max_completion_length=LENGTH,
                temperature=1.0,
                beta=config.grpo_beta,
                learning_rate=config.grpo_learning_rate,
                loss_type="dr_grpo",
                scale_rewards="none",
                shuffle_dataset=False,
                gradient_checkpointing=False,
                bf16=False,
                use_cpu=True,
                save_strategy="no",
                logging_strategy="no",
                report_to=[],
                disable_tqdm=True,
            ),
            train_dataset=Dataset.from_dict({"prompt": rows}),
            processing_class=tokenizer,
            callbacks=[Clock()],
        )
        peft_model.delete_adapter("ref")
        trainer.train()
    return (ends[-1] - ends[0]) / (len(ends) - 1)


def main() -> None:
    """Alternate both ways; print medians and the ratio."""
    folder = model_folder("embedded")
    tokenizer = load_tokenizer(folder)
    print(
        f"{PROMPTS} prompts of about {WORDS_SHOWN + 40} tokens, group {GROUP}, {LENGTH} tokens;"
        f" {len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}"
    )
    seconds: dict[str, list[float]] = {"usersim": [], "trl": []}
    with TransformersEngine("embedded") as engine:
        for turn in range(ROUNDS):
            for name in ("usersim", "trl") if turn % 2 == 0 else ("trl", "usersim"):
                # trl patches the model that it is given: each way gets its own.
                model = load_model(folder, dtype="float32", device="cpu")
                took = (
                    ours(engine, model, tokenizer)
                    if name == "usersim"
                    else theirs(model, tokenizer)
                )
                seconds[name].append(took)
                print(f"  {name:<8} {took:6.2f} s a step", file=sys.stderr)
    medians = {name: median(found) for name, found in seconds.items()}
    for name, value in medians.items():
        runs = ", ".join(f"{one:.2f}" for one in seconds[name])
        print(f"  {name:<8} {value:6.2f} s a step   ({runs})")
    print(f"  ratio {medians['usersim'] / medians['trl']:.2f} (target: at most 1.0)")
    print(f"  torch threads: {torch.get_num_threads()}")


if __name__ == "__main__":
    main()
