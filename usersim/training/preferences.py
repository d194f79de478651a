# pyright: basic
"""DPO: the synthesizer learns from pairs, the better trace against the worse.

trl's `DPOTrainer` carries the objective and the frozen base, which is the same weights with the
adapter switched off; the tokens are the engine's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

import numpy as np

from usersim.config import SynthesizerConfig
from usersim.training.dataset import Encoder
from usersim.training.policy import trace_tokens
from usersim.training.run import (
    TrainingRun,
    drop_reference_copy,
    follow,
    guided,
    on_one_device,
    optimizers,
    quiet_arguments,
    trl_warnings,
)
from usersim.transcript import OPEN
from usersim.types import TracePair

__all__ = ["plan_pairs", "train_preferences"]


def plan_pairs(n: int, config: SynthesizerConfig) -> list[int]:
    """Return which pair stands where in the run: whole passes, each in its own order.

    Args:
        n: Pairs there are.
        config: Passes and pairs a step; of the last pass a part if it is not whole.

    Example:
        >>> sorted(plan_pairs(3, SynthesizerConfig(dpo_epochs=1.0, dpo_batch=1)))
        [0, 1, 2]
    """
    wanted = max(1, round(n * config.dpo_epochs))
    order: list[int] = []
    while len(order) < wanted:
        random = np.random.default_rng([config.seed, len(order)])
        order += [int(index) for index in random.permutation(n)]
    return order[:wanted]


def _trainer_class() -> Any:
    """Return our `DPOTrainer`; made here, because trl is heavy."""
    from trl.trainer.dpo_trainer import DPOTrainer

    class TraceDPOTrainer(guided(DPOTrainer)):
        def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
            return dataset  # these are tokens already

        def _get_train_sampler(self, *_: Any) -> Any:
            from torch.utils.data import SequentialSampler

            return SequentialSampler(self.train_dataset)  # the plan is the order

        def training_step(self, *args: Any, **kwargs: Any) -> Any:
            loss = super().training_step(*args, **kwargs)
            if not self.accelerator.sync_gradients:
                return loss
            names = {"rewards/margins": "margin", "rewards/accuracies": "accuracy"}
            found = {short: self._metrics["train"][long] for long, short in names.items()}
            figures = {name: fmean(map(float, values)) for name, values in found.items() if values}
            self.run.history.figures.append({**figures, "loss": self.run.history.losses[-1]})
            self._metrics["train"].clear()  # kept in the run's own history
            self.run.after_figures()
            return loss

    return TraceDPOTrainer


def _arguments(config: SynthesizerConfig, run: TrainingRun, device: Any) -> Any:
    from trl.trainer.dpo_config import DPOConfig

    return DPOConfig(
        # One pair at a time: what is kept for the gradients of eight long prompts is gigabytes.
        per_device_train_batch_size=1,
        gradient_accumulation_steps=config.dpo_batch,
        beta=config.dpo_beta,
        max_length=None,
        gradient_checkpointing=False,
        bf16=False,
        seed=config.seed,
        **quiet_arguments(run, device),
    )


def train_preferences(
    peft_model: Any,
    run: TrainingRun,
    pairs: Sequence[TracePair],
    config: SynthesizerConfig,
    encoder: Encoder,
    tokenizer: Any,
) -> None:
    """Do what remains of a run.

    Args:
        peft_model: A model whose adapter is trainable and fresh.
        run: The run; its checkpoints are gone on from.
        pairs: In the order of the steps, `config.dpo_batch` of them a step.
        config: The settings.
        encoder: Turns prompts and traces into the engine's tokens.
        tokenizer: The model's; trl asks for it.

    Raises:
        DivergedError: If the loss is not finite.
    """
    from datasets import Dataset

    if run.stop is not None:
        return
    rows = {
        "prompt_ids": [encoder.prompt(pair.prompt.messages, OPEN) for pair in pairs],
        "chosen_ids": [trace_tokens(encoder, pair.chosen) for pair in pairs],
        "rejected_ids": [trace_tokens(encoder, pair.rejected) for pair in pairs],
    }
    with trl_warnings():
        trainer = _trainer_class()(
            model=peft_model,
            args=on_one_device(_arguments(config, run, peft_model.device)),
            train_dataset=Dataset.from_dict(rows),
            processing_class=tokenizer,
            optimizers=optimizers(peft_model, run, config.dpo_learning_rate),
        )
    drop_reference_copy(peft_model)
    follow(trainer, run)
