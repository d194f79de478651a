# pyright: basic
"""Supervised steps: packed rows of examples under the user model's loss.

Knows examples, plans and the loss; when to measure, save and stop is the run's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from usersim.training.batches import MicroBatch, Step, make_batch
from usersim.training.dataset import EncodedExample
from usersim.training.lora import batch_loss
from usersim.training.run import (
    Run,
    follow,
    guided,
    on_one_device,
    optimisers,
    quiet_arguments,
)

__all__ = ["train"]


class _Steps:
    """The plan as a dataset: step `i` is item `i`, built when it is asked for."""

    def __init__(self, examples: Sequence[EncodedExample], plan: Sequence[Step]) -> None:
        self.examples = examples
        self.plan = plan

    def __len__(self) -> int:
        return len(self.plan)

    def __getitem__(self, index: int) -> MicroBatch:
        return make_batch([self.examples[i] for i in self.plan[index]])


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


def _arguments(run: Run, device: Any) -> Any:
    from transformers import TrainingArguments

    return TrainingArguments(
        per_device_train_batch_size=1,
        train_sampling_strategy="sequential",
        label_names=["labels"],
        **quiet_arguments(run, device),
    )


def train(
    peft_model: Any,
    run: Run,
    examples: Sequence[EncodedExample],
    plan: Sequence[Step],
    *,
    learning_rate: float,
    reasoning_weight: float,
) -> int:
    """Do what remains of a run.

    Args:
        peft_model: A model whose adapter is trainable and fresh.
        run: The run; its checkpoints are gone on from.
        examples: What is trained on.
        plan: Examples of each optimiser step.
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
            train_dataset=_Steps(examples, plan),
            data_collator=_collate,
            optimizers=optimisers(peft_model, run, learning_rate),
        )
        follow(trainer, run)
    return len(run.history.losses)
