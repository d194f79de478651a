# pyright: basic
"""Supervised steps: packed rows of examples under the user model's loss.

Knows examples, plans and the loss; when to measure, save and stop is the run's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from usersim.training.batches import MicroBatch
from usersim.training.lora import batch_loss
from usersim.training.run import (
    TrainingRun,
    follow,
    guided,
    on_one_device,
    optimizers,
    quiet_arguments,
)

__all__ = ["train"]


class _Steps:
    """The plan as a dataset: step `i` is item `i`, built when it is asked for."""

    def __init__(self, batch: Callable[[int], MicroBatch], steps: int) -> None:
        self.batch = batch
        self.steps = steps

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, index: int) -> MicroBatch:
        return self.batch(index)


def _collate(items: list[MicroBatch]) -> dict[str, MicroBatch]:
    (batch,) = items
    return {"batch": batch}


def _trainer_class(reasoning_weight: float) -> Any:
    """Return our `Trainer`; made here, because transformers is heavy."""
    from transformers import Trainer

    class PackedTrainer(guided(Trainer)):
        def compute_loss(self, model: Any, inputs: Any, *_: Any, **__: Any) -> Any:
            return batch_loss(model, inputs["batch"], reasoning_weight)

    return PackedTrainer


def _arguments(run: TrainingRun, device: Any) -> Any:
    from transformers import TrainingArguments

    return TrainingArguments(
        per_device_train_batch_size=1,
        train_sampling_strategy="sequential",
        label_names=["labels"],
        **quiet_arguments(run, device),
    )


def train(
    peft_model: Any,
    run: TrainingRun,
    batch: Callable[[int], MicroBatch],
    *,
    learning_rate: float,
    reasoning_weight: float,
) -> int:
    """Do what remains of a run.

    Args:
        peft_model: A model whose adapter is trainable and fresh.
        run: The run; its checkpoints are gone on from.
        batch: Called with a step, from 0; returns what it learns from.
        learning_rate: Peak rate of AdamW.
        reasoning_weight: Weight of the mean over reasoning tokens.

    Returns:
        Steps done in all.

    Raises:
        DivergedError: If the loss is not finite or has exploded.
    """
    if run.stop is None:
        trainer = _trainer_class(reasoning_weight)(
            model=peft_model,
            args=on_one_device(_arguments(run, peft_model.device)),
            train_dataset=_Steps(batch, run.steps),
            data_collator=_collate,
            optimizers=optimizers(peft_model, run, learning_rate),
        )
        follow(trainer, run)
    return len(run.history.losses)
