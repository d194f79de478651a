# pyright: basic
"""One training run: what was seen, what follows from it, and a `Trainer` that obeys.

Hugging Face's `Trainer` (and trl's, which are made from it) carries devices, optimizer, scheduler,
random states and their restoring; what is ours is the measuring, the checkpoints' completeness
and when to stop, which `TrainingRun` holds without knowing the `Trainer`.
Knows steps, losses and checkpoints; knows nothing of objectives, users or text.
"""

from __future__ import annotations

import logging
import shutil
import time
import warnings
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from usersim.errors import DivergedError
from usersim.training.artifact import ADAPTER_FILES, TrainedAdapter, write_artifact
from usersim.training.checkpoints import Checkpoints, History
from usersim.training.lora import save_adapter, spoilt_weight
from usersim.training.manifest import Manifest
from usersim.training.schedule import (
    FINISHED,
    Measured,
    StopReason,
    best_evaluation,
    diverged,
    evaluation_steps,
    learning_rate_factor,
    stalled,
)
from usersim.views import Progress

__all__ = [
    "Hooks",
    "StepNote",
    "TrainingRun",
    "drop_reference_copy",
    "follow",
    "go_on",
    "guided",
    "keep_result",
    "on_one_device",
    "optimizers",
    "quiet_arguments",
    "trl_warnings",
]

logger = logging.getLogger(__name__)

CHECKPOINT_STEPS = 50
"""Steps after which a checkpoint is due, if no evaluation made one before."""

StepNote = Callable[[int, int, Mapping[str, float]], None]
"""Called with (steps done, steps in all, figures of the last step)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """What the caller has to say while a run goes on.

    Attributes:
        progress: Called after each step with (stage, steps done, steps in all).
        note: Called with the figures of each step, where the objective has any.
        stop_when: Asked after each step; True ends the run with the best so far.
        max_minutes: Minutes after which the run ends with the best so far; None for no limit.

    Example:
        >>> steps = []
        >>> hooks = Hooks(progress=lambda *at: steps.append(at), max_minutes=30)
        >>> hooks.progress("train", 1, 10)
        >>> steps
        [('train', 1, 10)]
    """

    progress: Progress | None = None
    note: StepNote | None = None
    stop_when: Callable[[], bool] | None = None
    max_minutes: float | None = None


@dataclass
class TrainingRun:
    """One run: what is to be done, what was seen, and what follows from it.

    Attributes:
        steps: Optimizer steps in all.
        measure: Measures the model after a step on what is never trained on; None where nothing
            is kept for it.
        checkpoints: Where the states go.
        history: Losses, figures and evaluations so far.
        base_model: Name for the adapter's configuration.
        n_evaluations: How often to measure.
        hooks: The caller's.
        signed: Whether a loss may be of either sign, as a policy's is: then only a loss that is
            no number counts as diverged.
        stop: Why the run ended; None while it goes on.
    """

    steps: int
    measure: Callable[[Any, int], Measured] | None
    checkpoints: Checkpoints
    history: History
    base_model: str
    n_evaluations: int
    hooks: Hooks
    signed: bool = False
    stop: StopReason | None = None
    planned: frozenset[int] = field(init=False)
    deadline: float = field(init=False)
    _since: float = field(init=False)

    def __post_init__(self) -> None:
        self.planned = evaluation_steps(self.steps, self.n_evaluations)
        minutes = self.hooks.max_minutes
        self._since = time.monotonic()
        self.deadline = float("inf") if minutes is None else self._since + 60 * minutes
        self._judge(len(self.history.losses))

    def begin(self) -> None:
        """Start the clock of the next step."""
        self._since = time.monotonic()

    def _judge(self, step: int) -> None:
        """Notice the ends that lie in the history itself."""
        if stalled(self.history.evaluations, self.planned):
            self.stop = "stalled"
        elif step >= self.steps:
            self.stop = "complete"

    def after_loss(self, step: int, loss: float) -> None:
        """Note the loss of a step.

        Raises:
            DivergedError: If it is not finite, or the losses have exploded.
        """
        now = time.monotonic()
        self.history.seconds += now - self._since
        self._since = now
        self.history.losses.append(loss)
        seen = self.history.losses[-1:] if self.signed else self.history.losses
        if diverged(seen):
            self._diverge(f"the training loss is {loss!r} at step {step} of {self.steps}")
        if self.hooks.progress:
            self.hooks.progress("train", step, self.steps)

    def after_figures(self) -> None:
        """Tell the figures of the last step."""
        if self.hooks.note:
            self.hooks.note(len(self.history.losses), self.steps, self.history.figures[-1])

    def _diverge(self, what: str) -> NoReturn:
        kept = self.checkpoints.newest()
        where = (
            "there is no earlier checkpoint"
            if kept is None
            else (f"the last good checkpoint is {str(self.checkpoints.path(kept))!r}")
        )
        raise DivergedError(
            f"{what}; {where}",
            hint="lower TrainingConfig.learning_rate",
            cli_hint="choose another --preset: the learning rate is part of it",
        )

    def due(self, step: int) -> tuple[bool, bool]:
        """Return whether to measure and whether to save after a step; notice the outer ends.

        Raises:
            TrainingError: If the checkpoints were taken away.
        """
        self.checkpoints.check_there()
        self._judge(step)
        if self.stop is None and self.hooks.stop_when is not None and self.hooks.stop_when():
            self.stop = "asked"
        if self.stop is None and time.monotonic() >= self.deadline:
            self.stop = "time"
        point = step in self.planned or self.stop is not None
        return point and self.measure is not None, point or step % CHECKPOINT_STEPS == 0

    def evaluate(self, model: Any, step: int) -> None:
        """Measure what is kept for it.

        Raises:
            DivergedError: If the figure is not finite.
        """
        if self.measure is None:
            return
        found = self.measure(model, step)
        self.begin()
        if diverged([found.watched]):
            self._diverge(f"the validation figure is {found.watched!r} at step {step}")
        self.history.evaluations.append(found)
        if self.stop is None:
            self._judge(step)

    def check_weights(self, model: Any, step: int) -> None:
        """Refuse to save weights that are not finite: a checkpoint is for resuming.

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
        self.begin()

    def best_step(self, last: int) -> int:
        """Return the step whose state is the result; the last one where nothing is measured."""
        best = best_evaluation(self.history.evaluations)
        return last if best is None else best.step


def go_on(checkpoints: Checkpoints) -> History:
    """Return what the last usable checkpoint knows; an empty history if there is none."""
    while (step := checkpoints.newest()) is not None:
        history = History.read(checkpoints.path(step))
        best = best_evaluation(history.evaluations)
        if best is None or checkpoints.is_complete(best.step):
            logger.info("resuming from step %d", step)
            return history
        checkpoints.keep(())
    return History()


def guided(base: type[Any]) -> type[Any]:
    """Return a class of trainers like `base` that do what their `run` says.

    Args:
        base: `transformers.Trainer`, or a trainer made from it.

    Returns:
        The class; its instances need the attribute `run`.
    """

    class Guided(base):
        run: TrainingRun
        step_loss: float = 0.0

        def training_step(self, *args: Any, **kwargs: Any) -> Any:
            loss = super().training_step(*args, **kwargs)
            self.step_loss += float(loss)  # a share of the step's, where it has several parts
            if self.accelerator.sync_gradients:
                total, self.step_loss = self.step_loss, 0.0
                self.run.after_loss(self.state.global_step + 1, total)
            return loss

        def floating_point_ops(self, *_: Any) -> int:
            return 0  # nobody reads it, and it walks over all parameters at each step

        def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
            self.run.evaluate(self.model, self.state.global_step)
            self.control.should_training_stop |= self.run.stop is not None
            return {}

        def save_model(self, output_dir: str | None = None, *_: Any, **__: Any) -> None:
            self.run.check_weights(self.model, self.state.global_step)
            folder = Path(output_dir or self.run.checkpoints.folder)
            folder.mkdir(parents=True, exist_ok=True)
            save_adapter(self.model, folder, base_model=self.run.base_model)

        def _save_checkpoint(self, *args: Any) -> None:
            # Past what trl adds here: a model card of its own.
            from transformers import Trainer

            Trainer._save_checkpoint(self, *args)  # noqa: SLF001 - the method that this overrides
            self.run.save(self.state.global_step)

    return Guided


def _steering(run: TrainingRun) -> Any:
    """Return the callback that passes to the `Trainer` what the run wants after each step."""
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


@contextmanager
def trl_warnings() -> Generator[None]:
    """Silence what trl says about things that are not so here; our tests hold them instead.

    Yields:
        Nothing.
    """
    with warnings.catch_warnings():
        # We draw through our own engines, never through trl's use of vLLM.
        warnings.filterwarnings(
            "ignore", message="TRL currently supports vLLM", category=UserWarning
        )
        # The hook for draws is called experimental.
        warnings.filterwarnings("ignore", message=".*'rollout_func'", category=UserWarning)
        yield


def quiet_arguments(run: TrainingRun, device: Any) -> dict[str, Any]:
    """Return the arguments that every trainer shares: `run` measures, saves and reports."""
    return {
        "output_dir": str(run.checkpoints.folder),
        "num_train_epochs": 1,
        "max_grad_norm": 1.0,
        "eval_strategy": "no",
        "save_strategy": "no",
        "logging_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "remove_unused_columns": False,
        "dataloader_pin_memory": device.type == "cuda",
        "use_cpu": device.type == "cpu",
    }


def on_one_device(arguments: Any) -> Any:
    """Return a trainer's arguments, held to one device.

    A step is one packed row, one pair at a time or one group: none can be split over devices.
    """
    arguments._n_gpu = min(1, arguments.n_gpu)  # noqa: SLF001 - there is no public way
    return arguments


def drop_reference_copy(peft_model: Any) -> None:
    """Remove trl's copy of the fresh adapter: switching the adapter off is the same, for free."""
    if "ref" in peft_model.peft_config:
        peft_model.delete_adapter("ref")


def keep_result(run: TrainingRun, out: Path, manifest: Manifest) -> TrainedAdapter:
    """Make an artifact of a run's best state; a run that came to its end leaves nothing else.

    Raises:
        ArtifactError: If the adapter cannot be written.
        TrainingError: If the checkpoints were taken away.
    """
    run.checkpoints.check_there()
    source = run.checkpoints.path(run.best_step(len(run.history.losses)))

    def copy(folder: Path) -> None:
        for name in ADAPTER_FILES:
            shutil.copyfile(source / name, folder / name)

    adapter = write_artifact(out, manifest, copy)
    if run.stop in FINISHED:
        run.checkpoints.clear()
    return adapter


def optimizers(peft_model: Any, run: TrainingRun, learning_rate: float) -> tuple[Any, Any]:
    """Return AdamW over the trainable weights, and its schedule over the run's steps."""
    import torch

    trained = [parameter for parameter in peft_model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=learning_rate, weight_decay=0.0)
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: learning_rate_factor(step, run.steps)
    )
    return optimizer, scheduler


def follow(trainer: Any, run: TrainingRun) -> None:
    """Let `trainer`, of a `guided` class, do what remains of a run.

    Raises:
        DivergedError: If the loss is not finite or has exploded.
    """
    from transformers import PrinterCallback

    done = len(run.history.losses)
    run.begin()
    trainer.run = run
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(_steering(run))
    trainer.train(resume_from_checkpoint=str(run.checkpoints.path(done)) if done else None)
