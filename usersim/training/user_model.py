"""Training the user model: from examples to an adapter folder.

The stage's entry: splits, encodes, plans, trains or goes on with a run that was cut off, and
writes the artifact. Knows the order of these steps; knows nothing of where examples come from.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from usersim.config import TrainingConfig
from usersim.engines.embedded import model_folder
from usersim.engines.identity import model_digest
from usersim.engines.loading import load_model, load_tokenizer
from usersim.errors import SHORTEN_PROMPT, NoTrainingDataError, TrainingError, boundary
from usersim.training.artifact import (
    Counts,
    Manifest,
    TrainedAdapter,
    checked_provenance,
    find_artifact,
    library_versions,
)
from usersim.training.batches import MicroBatch, make_batch, plan_steps
from usersim.training.checkpoints import Checkpoints, run_folder
from usersim.training.dataset import (
    EncodedExample,
    EngineEncoder,
    choose_no_reasoning,
    encode_examples,
    examples_digest,
    split_validation,
)
from usersim.training.lora import adapted, evaluate, max_tokens, own_randomness
from usersim.training.run import Hooks, Run, StepProgress, go_on, keep_result
from usersim.training.schedule import Evaluation, best_evaluation
from usersim.training.trainer import train
from usersim.types import Failure, TrainingExample, content_key

__all__ = ["train_user_model"]

logger = logging.getLogger(__name__)

RECIPE = 2
"""Changes when the same settings and examples would no longer give the same adapter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """What is to be trained, before any model is loaded."""

    name: str
    base_model: str
    folder: Path | str
    digest: str
    config: TrainingConfig
    train: Sequence[TrainingExample]
    validation: Sequence[TrainingExample]

    @property
    def fingerprint(self) -> str:
        """Equal where a run may go on with another's checkpoints."""
        return content_key(
            RECIPE,
            self.name,
            self.digest,
            self.config.key,
            examples_digest(self.train),
            examples_digest(self.validation),
        )


@dataclass(frozen=True, slots=True)
class _Data:
    """The examples as tokens, and those that do not fit the model."""

    train: tuple[EncodedExample, ...]
    validation: tuple[MicroBatch, ...]
    counts: Counts
    refused: tuple[Failure, ...]


def train_user_model(  # noqa: PLR0913 - keyword-only, each a plain value of the run
    examples: Sequence[TrainingExample],
    *,
    base_model: str,
    out_dir: str | Path,
    config: TrainingConfig = TrainingConfig(),
    name: str = "user",
    validation: Sequence[TrainingExample] | None = None,
    provenance: Mapping[str, object] | None = None,
    progress: StepProgress | None = None,
    stop_when: Callable[[], bool] | None = None,
    max_minutes: float | None = None,
    model: object | None = None,
) -> TrainedAdapter:
    """Train an adapter that reasons and acts like the people of the examples.

    One user's adapter and one shared by a population are the same call with other examples.
    The loss of an example is `reasoning_weight * mean over reasoning tokens + mean over action
    tokens`; a share of the examples is trained with the no-reasoning marker instead of the
    trace. Training stops early when the validation actions no longer become likelier, and the
    best state is kept.

    Called again after it was killed, or after it was stopped by the clock or the caller, it
    goes on and ends with the same adapter as an uninterrupted run on the same machine. Called
    again after it finished, it returns the adapter that is there.

    Args:
        examples: What to learn from, oldest first within each user.
        base_model: `"embedded"`, a model folder or a hub name.
        out_dir: The artifact's folder and the checkpoints are made in here.
        config: The settings.
        name: Beginning of the artifact's name, often the user's.
        validation: Examples to measure on; None keeps each user's newest ones of `examples`.
        provenance: Facts for the manifest: corpus digest, prompt digests, other settings.
        progress: Called with (steps done, steps in all, loss) after each step.
        stop_when: Asked after each step; True ends the run with the best so far.
        max_minutes: Minutes of training after which the run ends with the best so far.
        model: The base model, already loaded and without adapters; left as it was.

    Returns:
        The adapter, with its manifest.

    Raises:
        NoTrainingDataError: If there are no examples, or none fits the model.
        DivergedError: If the loss is not finite or has exploded; the last good checkpoint is
            kept, and named in the message.
        TrainingError: If the trainer fails, another process trains the same, or a provenance
            value is not JSON.
        ArtifactError: If the adapter cannot be written.

    Example:
        ```python
        adapter = train_user_model(examples, base_model="embedded", out_dir="adapters", name="ada")
        adapter.ref, adapter.manifest.after
        ```
    """
    facts = checked_provenance(provenance or {})
    task = _task(examples, validation, name=name, base_model=base_model, config=config)
    out = Path(out_dir).expanduser()
    fingerprint = task.fingerprint
    done = find_artifact(out, fingerprint)
    if done is not None:
        logger.info("%s is trained already: %s", name, done.folder)
        return done
    hooks = Hooks(progress=progress, stop_when=stop_when, max_minutes=max_minutes)
    what = f"training the user model {name!r}"
    users = {example.user_id for example in (*task.train, *task.validation)}
    with boundary(TrainingError, what), run_folder(out, fingerprint, users) as checkpoints:
        base = load_model(task.folder, dtype="auto", device="auto") if model is None else model
        data = _encode(task, base)
        run, before = _train(task, data, base, checkpoints, hooks)
        manifest = _manifest(task, data, run, fingerprint).model_copy(
            update={"before": before, "provenance": facts}
        )
        return keep_result(run, out, manifest)


def _task(
    examples: Sequence[TrainingExample],
    validation: Sequence[TrainingExample] | None,
    *,
    name: str,
    base_model: str,
    config: TrainingConfig,
) -> _Task:
    if not examples:
        raise NoTrainingDataError(
            f"there is nothing to train {name!r} on: no examples were given",
            hint="load interactions and select their traces first",
        )
    if validation is None:
        train_part, held = split_validation(examples, config.validation_share)
    else:
        train_part, held = tuple(examples), tuple(validation)
    folder = model_folder(base_model)
    return _Task(
        name=name,
        base_model=str(base_model),
        folder=folder,
        digest=model_digest(folder),
        config=config,
        train=train_part,
        validation=held,
    )


def _encode(task: _Task, model: object) -> _Data:
    """Turn the examples into tokens; those that do not fit the model are refused.

    Raises:
        NoTrainingDataError: If none fits.
    """
    encoder = EngineEncoder(load_tokenizer(task.folder))
    limit = max_tokens(model)
    marked = choose_no_reasoning(
        task.train, share=task.config.no_reasoning_share, seed=task.config.seed
    )
    train_part = encode_examples(task.train, encoder, marked=marked, max_tokens=limit)
    held = encode_examples(task.validation, encoder, measured=True, max_tokens=limit)
    refused = (*train_part.refused, *held.refused)
    for failure in refused:
        logger.warning("refused: %s", failure.message)
    if not train_part.examples:
        raise NoTrainingDataError(
            f"none of the {len(task.train)} examples of {task.name!r} fits the model: "
            f"{train_part.refused[0].message}",
            hint="shorten the history (HistoryConfig) or choose a model with a longer context",
            cli_hint=SHORTEN_PROMPT,
        )
    steps = plan_steps(held.examples, batch_tokens=task.config.batch_tokens, epochs=1, seed=0)
    return _Data(
        train_part.examples,
        tuple(make_batch([held.examples[i] for i in step]) for step in steps),
        Counts(
            train=len(train_part.examples),
            with_reasoning=sum(len(example.terms) > 1 for example in train_part.examples),
            validation=len(held.examples),
            refused=len(refused),
        ),
        refused,
    )


def _train(
    task: _Task, data: _Data, base: object, checkpoints: Checkpoints, hooks: Hooks
) -> tuple[Run, Evaluation | None]:
    """Run what remains; return the run and the base model's own validation figures."""
    config = task.config
    plan = plan_steps(
        data.train, batch_tokens=config.batch_tokens, epochs=config.epochs, seed=config.seed
    )

    def measure(model: object, step: int) -> Evaluation:
        return evaluate(model, data.validation, step)

    run = Run(
        steps=len(plan),
        measure=measure if data.validation else None,
        checkpoints=checkpoints,
        history=go_on(checkpoints),
        base_model=task.base_model,
        n_evaluations=config.evaluations,
        hooks=hooks,
    )
    before = measure(base, 0) if data.validation else None
    with (
        own_randomness(config.seed),
        adapted(base, rank=config.rank, alpha=config.alpha) as peft_model,
    ):
        train(
            peft_model,
            run,
            data.train,
            plan,
            learning_rate=config.learning_rate,
            reasoning_weight=config.reasoning_weight,
        )
    return run, before


def _manifest(task: _Task, data: _Data, run: Run, fingerprint: str) -> Manifest:
    users = {example.user_id for example in data.train}
    found = [one for one in run.history.evaluations if isinstance(one, Evaluation)]
    return Manifest(
        name=task.name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        fingerprint=fingerprint,
        users=tuple(sorted(users)),
        base_model=task.base_model,
        base_model_digest=task.digest,
        config=task.config,
        config_key=task.config.key,
        examples_digest=examples_digest(task.train),
        versions=library_versions(),
        counts=data.counts,
        steps=len(run.history.losses),
        planned_steps=run.steps,
        stopped=run.stop or "complete",
        losses=tuple(run.history.losses),
        after=best_evaluation(found),
        evaluations=tuple(found),
        refused=data.refused,
    )
