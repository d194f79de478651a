# pyright: basic
"""The optimiser loop: Hugging Face's `Trainer` on packed micro-batches.

The `Trainer` carries devices, optimiser, scheduler, random states and their restoring; what is
ours is the loss, the measuring, the checkpoints' completeness and when to stop, which `Run`
holds without knowing the `Trainer`.
Knows steps and losses; knows nothing of users, text or artifacts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from usersim.errors import DivergedError
from usersim.training.batches import MicroBatch, Step, make_batch
from usersim.training.checkpoints import Checkpoints, History
from usersim.training.dataset import EncodedExample
from usersim.training.lora import batch_loss, evaluate, save_adapter, spoilt_weight
from usersim.training.schedule import (
    StopReason,
    best_evaluation,
    diverged,
    evaluation_steps,
    learning_rate_factor,
    stalled,
)

__all__ = ["Hooks", "Run", "StepProgress", "train"]

CHECKPOINT_STEPS = 50
"""Steps after which a checkpoint is due, if no evaluation made one before."""

StepProgress = Callable[[int, int, float], None]
"""Called with (steps done, steps in all, loss of the last step)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """What the caller has to say while a run goes on.

    Attributes:
        progress: Told after each step.
        stop_when: Asked after each step; True ends the run with the best so far.
        max_minutes: Minutes after which the run ends with the best so far; None for no limit.
    """

    progress: StepProgress | None = None
    stop_when: Callable[[], bool] | None = None
    max_minutes: float | None = None


@dataclass
class Run:
    """One run: what is to be done, what was seen, and what follows from it.

    Attributes:
        examples: What is trained on.
        plan: Examples of each optimiser step.
        validation: Micro-batches that are measured, never trained on; may be empty.
        checkpoints: Where the states go.
        history: Losses and evaluations so far.
        base_model: Name for the adapter's configuration.
        n_evaluations: How often to measure.
        reasoning_weight: Weight of the mean over reasoning tokens.
        hooks: The caller's.
        stop: Why the run ended; None while it goes on.
    """

    examples: Sequence[EncodedExample]
    plan: Sequence[Step]
    validation: Sequence[MicroBatch]
    checkpoints: Checkpoints
    history: History
    base_model: str
    n_evaluations: int
    reasoning_weight: float
    hooks: Hooks
    stop: StopReason | None = None
    planned: frozenset[int] = field(init=False)
    deadline: float = field(init=False)

    def __post_init__(self) -> None:
        self.planned = evaluation_steps(len(self.plan), self.n_evaluations)
        minutes = self.hooks.max_minutes
        self.deadline = float("inf") if minutes is None else time.monotonic() + 60 * minutes
        self._judge(len(self.history.losses))

    def _judge(self, step: int) -> None:
        """Notice the ends that lie in the history itself."""
        if stalled(self.history.evaluations, self.planned):
            self.stop = "stalled"
        elif step >= len(self.plan):
            self.stop = "complete"

    def after_loss(self, step: int, loss: float) -> None:
        """Note the loss of a step.

        Raises:
            DivergedError: If it is not finite, or the losses have exploded.
        """
        self.history.losses.append(loss)
        if diverged(self.history.losses):
            self._diverge(f"the training loss is {loss!r} at step {step} of {len(self.plan)}")
        if self.hooks.progress:
            self.hooks.progress(step, len(self.plan), loss)

    def _diverge(self, what: str) -> NoReturn:
        kept = self.checkpoints.newest()
        where = (
            "no checkpoint was made before"
            if kept is None
            else (f"the last good checkpoint is {str(self.checkpoints.path(kept))!r}")
        )
        raise DivergedError(f"{what}; {where}", hint="lower TrainingConfig.learning_rate")

    def due(self, step: int) -> tuple[bool, bool]:
        """Return whether to measure and whether to save after a step; notice the outer ends."""
        self._judge(step)
        if self.stop is None and self.hooks.stop_when is not None and self.hooks.stop_when():
            self.stop = "asked"
        if self.stop is None and time.monotonic() >= self.deadline:
            self.stop = "time"
        point = step in self.planned or self.stop is not None
        return point and bool(self.validation), point or step % CHECKPOINT_STEPS == 0

    def measure(self, model: Any, step: int) -> None:
        """Measure the validation examples.

        Raises:
            DivergedError: If the likelihood is not finite.
        """
        found = evaluate(model, self.validation, step)
        if diverged([found.action_logprob]):
            self._diverge(f"the validation likelihood is {found.action_logprob!r} at step {step}")
        self.history.evaluations.append(found)
        if self.stop is None:
            self._judge(step)

    def check_weights(self, model: Any, step: int) -> None:
        """Refuse to save weights that are not finite: a checkpoint is there to go on from.

        Raises:
            DivergedError: If one is not.
        """
        name = spoilt_weight(model)
        if name is not None:
            last = self.history.losses[-1]
            self._diverge(f"the weight {name!r} is not finite after step {step} (loss {last!r})")

    def save(self, step: int) -> None:
        """Seal the checkpoint of a step that the trainer has written, and drop older ones."""
        self.history.write(self.checkpoints.path(step))
        self.checkpoints.seal(step)
        self.checkpoints.keep({step, self.best_step(step)})

    def best_step(self, last: int) -> int:
        """Return the step whose state is the result; the last one where nothing is measured."""
        best = best_evaluation(self.history.evaluations)
        return last if best is None else best.step


class _Steps:
    """The plan as a dataset: step `i` is item `i`, built when it is asked for."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def __len__(self) -> int:
        return len(self.run.plan)

    def __getitem__(self, index: int) -> MicroBatch:
        return make_batch([self.run.examples[i] for i in self.run.plan[index]])


def _collate(items: list[MicroBatch]) -> dict[str, MicroBatch]:
    (batch,) = items
    return {"batch": batch}


def _trainer_class() -> Any:
    """Return our `Trainer`; made here, because transformers is heavy."""
    from transformers import Trainer

    class PackedTrainer(Trainer):
        run: Run

        def compute_loss(self, model: Any, inputs: Any, *_: Any, **__: Any) -> Any:
            return batch_loss(model, inputs["batch"], self.run.reasoning_weight)

        def training_step(self, *args: Any, **kwargs: Any) -> Any:
            loss = super().training_step(*args, **kwargs)
            self.run.after_loss(self.state.global_step + 1, float(loss))
            return loss

        def floating_point_ops(self, *_: Any) -> int:
            return 0  # nobody reads it, and it walks over all parameters at each step

        def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
            self.run.measure(self.model, self.state.global_step)
            self.control.should_training_stop |= self.run.stop is not None
            return {}

        def save_model(self, output_dir: str | None = None, *_: Any, **__: Any) -> None:
            self.run.check_weights(self.model, self.state.global_step)
            folder = Path(output_dir or self.run.checkpoints.folder)
            folder.mkdir(parents=True, exist_ok=True)
            save_adapter(self.model, folder, base_model=self.run.base_model)

        def _save_checkpoint(self, *args: Any) -> None:
            super()._save_checkpoint(*args)
            self.run.save(self.state.global_step)

    return PackedTrainer


def _steering(run: Run) -> Any:
    """Return the callback that tells the `Trainer` what the run wants after each step."""
    from transformers import TrainerCallback

    class Steering(TrainerCallback):
        def on_step_end(self, _: Any, state: Any, control: Any, **__: Any) -> Any:
            control.should_evaluate, control.should_save = run.due(state.global_step)
            control.should_training_stop = run.stop is not None
            return control

        def on_epoch_end(self, _: Any, __: Any, control: Any, **___: Any) -> Any:
            # The trainer measures and saves once more here, with the last step's flags.
            control.should_evaluate = control.should_save = False
            return control

    return Steering()


def _arguments(run: Run, device: Any) -> Any:
    from transformers import TrainingArguments

    arguments = TrainingArguments(
        output_dir=str(run.checkpoints.folder),
        per_device_train_batch_size=1,
        num_train_epochs=1,
        train_sampling_strategy="sequential",
        max_grad_norm=1.0,
        eval_strategy="no",
        save_strategy="no",
        logging_strategy="no",
        report_to=[],
        disable_tqdm=True,
        remove_unused_columns=False,
        label_names=["labels"],
        dataloader_pin_memory=device.type == "cuda",
        use_cpu=device.type == "cpu",
    )
    # One packed row cannot be split over GPUs inside one process; one process per GPU can.
    arguments._n_gpu = min(1, arguments.n_gpu)  # noqa: SLF001 - there is no public way
    return arguments


def train(peft_model: Any, run: Run, *, learning_rate: float) -> int:
    """Do what remains of a run.

    Args:
        peft_model: A model whose adapter is trainable and fresh.
        run: The run; its checkpoints are gone on from.
        learning_rate: Peak rate of AdamW.

    Returns:
        Steps done in all.

    Raises:
        DivergedError: If the loss is not finite or has exploded.
    """
    import torch
    from transformers import PrinterCallback

    done = len(run.history.losses)
    if run.stop is not None:
        return done
    trained = [parameter for parameter in peft_model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=learning_rate, weight_decay=0.0)
    total = len(run.plan)
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: learning_rate_factor(step, total)
    )
    trainer = _trainer_class()(
        model=peft_model,
        args=_arguments(run, peft_model.device),
        train_dataset=_Steps(run),
        data_collator=_collate,
        optimizers=(optimiser, scheduler),
        callbacks=[_steering(run)],
    )
    trainer.run = run
    trainer.remove_callback(PrinterCallback)
    trainer.train(resume_from_checkpoint=str(run.checkpoints.path(done)) if done else None)
    return len(run.history.losses)
