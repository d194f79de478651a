"""Training the user model: from people to an adapter folder.

The stage's entry: encodes, plans, trains or resumes an interrupted run, and
writes the artifact. Knows the order of these steps; knows nothing of where examples come from.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path

from usersim.config import HistoryConfig, TrainingConfig
from usersim.engines.embedded import model_folder
from usersim.engines.identity import is_model, model_digest
from usersim.engines.loading import load_tokenizer
from usersim.errors import SHORTEN_PROMPT, NoTrainingDataError, TrainingError, boundary
from usersim.prompts import templates_key
from usersim.training.arithmetic import BaseModelCache, arithmetic_of
from usersim.training.artifact import TrainedAdapter, find_artifact
from usersim.training.batches import MicroBatch
from usersim.training.checkpoints import Checkpoints, run_folder
from usersim.training.dataset import EngineEncoder
from usersim.training.lora import adapted, evaluate, max_tokens, own_randomness
from usersim.training.manifest import (
    Arithmetic,
    Counts,
    Manifest,
    checked_provenance,
    library_versions,
)
from usersim.training.run import Hooks, TrainingRun, go_on, keep_result
from usersim.training.schedule import ActionEvaluation, best_evaluation
from usersim.training.trainer import train
from usersim.training.windows import AsAsked, TrainingStep, Windows, lessons_digest
from usersim.types import Failure, PersonLesson, content_key
from usersim.types.counting import counted
from usersim.views import Progress

__all__ = ["train_user_model"]

logger = logging.getLogger(__name__)

RECIPE = 4
"""Changes when the same settings and examples would no longer give the same adapter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """What is to be trained, before any model is loaded."""

    name: str
    base_model: str
    folder: Path | str
    digest: str
    config: TrainingConfig
    history: HistoryConfig
    lessons: Sequence[PersonLesson]
    start: TrainedAdapter | None
    as_asked: AsAsked | None

    @property
    def people(self) -> tuple[str, ...]:
        """Who is learned from, sorted."""
        learned = {one.user_id for one in self.lessons if len(one.interactions) > len(one.held)}
        return tuple(sorted(learned))

    @property
    def users(self) -> tuple[str, ...]:
        """Whose data is in the weights: also those whom the first weights were trained on."""
        before = self.start.manifest.users if self.start is not None else ()
        return tuple(sorted({*self.people, *before}))

    @property
    def fingerprint(self) -> str:
        """Equal where a run may resume from another run's checkpoints."""
        return content_key(
            RECIPE,
            self.name,
            self.digest,
            self.config.key,
            (self.history.form, self.history.max_item_chars, self.history.max_context_chars),
            (self.history.recent, self.history.evidence) if self.as_asked else None,
            templates_key(),
            lessons_digest(self.lessons),
            self.start.ref.digest if self.start is not None else None,
        )


@dataclass(frozen=True, slots=True)
class _Data:
    """The people as windows of tokens, and what does not fit the model."""

    windows: Windows
    plan: list[TrainingStep]
    validation: tuple[MicroBatch, ...]
    counts: Counts
    refused: tuple[Failure, ...]

    def done(self, steps: int) -> tuple[int, int]:
        """Return the answers and the tokens of the first `steps` steps."""
        first = self.plan[:steps]
        return sum(step.answers for step in first), sum(step.tokens for step in first)


def train_user_model(  # noqa: PLR0913 - keyword-only, each a plain value of the run
    lessons: Sequence[PersonLesson],
    *,
    base_model: str,
    out_dir: str | Path,
    config: TrainingConfig = TrainingConfig(),
    history: HistoryConfig = HistoryConfig(),
    name: str = "user",
    start: TrainedAdapter | None = None,
    as_asked: AsAsked | None = None,
    provenance: Mapping[str, object] | None = None,
    progress: Progress | None = None,
    stop_when: Callable[[], bool] | None = None,
    max_minutes: float | None = None,
    model: object | None = None,
    cache: BaseModelCache | None = None,
) -> TrainedAdapter:
    """Train an adapter that reasons and acts like some people.

    One person's adapter and one shared by a population are the same call with other people. A
    person's interactions stand in one chat, and every action in it is learned: of a closed
    question by `-log p(option)` normalized over its options, of an open one by the mean over its
    tokens, each without reasoning, and after its trace where it has one; a trace by
    `reasoning_weight` times the mean over its tokens. Training stops early when the held-out
    actions no longer become likelier, and the best state is kept.

    Called again after it was killed, or after it was stopped by the clock or the caller, it
    resumes and ends with the same adapter as an uninterrupted run on the same machine. Called
    again after it finished, it returns the adapter that is there.

    Args:
        lessons: The people, and what of theirs is held out.
        base_model: `"embedded"`, a model folder or a hub name.
        out_dir: The artifact's folder and the checkpoints are made in here.
        config: The settings.
        history: Form and limits of the prompts; those of the run time.
        name: Beginning of the artifact's name, often the user's.
        start: Adapter of the same base model whose weights are the first ones, as one that many
            people share is for one person; None begins with fresh ones. Rank and alpha have to
            be those of `config`.
        as_asked: Returns the past interactions that the prompt shows with a held-out question at
            run time. Training then stops by the score of the prompts that `respond` makes; None
            measures each held-out answer after what the person did before.
        provenance: Facts for the manifest: corpus digest, prompt digests, other settings.
        progress: Called after each step with (stage, answers learned, answers planned); an answer
            counts as often as it is learned.
        stop_when: Asked after each step; True ends the run with the best so far.
        max_minutes: Minutes of training after which the run ends with the best so far.
        model: The base model, already loaded and without adapters; left as it was.
        cache: Keeps the base model for the next training; None loads it for this one alone.

    Returns:
        The adapter, with its manifest.

    Raises:
        NoTrainingDataError: If there is nothing to learn from, or nothing fits the model.
        DivergedError: If the loss is not finite or has exploded; the last good checkpoint is
            kept, and named in the message.
        TrainingError: If the trainer fails, another process trains the same, a provenance value
            is not JSON, or `start` is an adapter of another model or form.
        ArtifactError: If the adapter cannot be written.

    Example:
        ```python
        adapter = train_user_model(lessons, base_model="embedded", out_dir="adapters", name="ada")
        adapter.ref, adapter.manifest.after
        ```
    """
    facts = checked_provenance(provenance or {})
    task = _task(
        lessons,
        name=name,
        base_model=base_model,
        config=config,
        history=history,
        start=start,
        as_asked=as_asked,
    )
    out = Path(out_dir).expanduser()
    fingerprint = task.fingerprint
    done = find_artifact(out, fingerprint, name)
    if done is not None:
        logger.info("%s is already trained: %s", name, done.folder)
        return done
    what = f"training the user model {name!r}"
    users = {lesson.user_id for lesson in lessons} | set(task.users)
    with boundary(TrainingError, what), run_folder(out, fingerprint, users) as checkpoints:
        base, arithmetic = _base(task, model, checkpoints, cache or BaseModelCache())
        data = _encode(task, base)
        hooks = Hooks(stop_when=stop_when, max_minutes=max_minutes)
        run, before = _train(task, data, base, checkpoints, hooks, progress)
        manifest = _manifest(task, data, run, fingerprint).model_copy(
            update={"before": before, "provenance": facts, "arithmetic": arithmetic}
        )
        _compare(manifest)
        return keep_result(run, out, manifest)


def _compare(manifest: Manifest) -> None:
    """Warn where the training was of no use: its user would otherwise learn it from answers."""
    before, after = manifest.before, manifest.after
    if before is None or after is None or after.watched > before.watched:
        return
    logger.warning(
        "the adapter %r is no better than the model before training: mean log-probability of %s"
        " %.3f after and %.3f before; lower TrainingConfig.learning_rate, train on more people, or"
        " do not use it",
        manifest.name,
        counted(after.n, "held-out answer"),
        after.watched,
        before.watched,
    )


def _base(
    task: _Task, model: object | None, checkpoints: Checkpoints, cache: BaseModelCache
) -> tuple[object, Arithmetic]:
    """Return the base model; an interrupted run resumes in the arithmetic that it began in."""
    if model is not None:
        found: tuple[object, Arithmetic] = (model, arithmetic_of(model))
    elif checkpoints.note:
        begun = Arithmetic.model_validate_json(checkpoints.note)
        loaded, _ = cache.load(task.folder, task.digest, begun.dtype)
        found = (loaded, begun)
    else:
        found = cache.load(task.folder, task.digest, task.config.dtype)
    checkpoints.begin(found[1].model_dump_json().encode())
    return found


def _task(
    lessons: Sequence[PersonLesson],
    *,
    name: str,
    base_model: str,
    config: TrainingConfig,
    history: HistoryConfig,
    start: TrainedAdapter | None,
    as_asked: AsAsked | None,
) -> _Task:
    learned = sum(one.key not in lesson.held for lesson in lessons for one in lesson.interactions)
    if not learned:
        raise NoTrainingDataError(
            f"no training data for {name!r}: no interactions were given",
            hint="load a corpus with at least two interactions of the person",
        )
    folder = model_folder(base_model)
    digest = model_digest(folder)
    if start is not None:
        _check_start(start, str(base_model), folder)
    return _Task(
        name=name,
        base_model=str(base_model),
        folder=folder,
        digest=digest,
        config=config,
        history=history,
        lessons=lessons,
        start=start,
        as_asked=as_asked,
    )


def _check_start(start: TrainedAdapter, base_model: str, folder: Path | str) -> None:
    """Reject weights that belong to another model.

    Raises:
        TrainingError: If they do, or write traces instead of answers.
    """
    own = start.manifest
    if own.synthesizer is not None:
        raise TrainingError(
            f"the adapter {start.ref.name!r} writes reasoning traces and is not a user model",
            hint="start from an adapter that answers, or from none",
        )
    if not is_model(folder, own.base_model_digest):
        raise TrainingError(
            f"the adapter {start.ref.name!r} was trained on {own.base_model!r}, this training"
            f" uses {base_model!r}",
            hint="start from an adapter of the same base model, or from none",
        )


def _encode(task: _Task, model: object) -> _Data:
    """Lay the run out; what does not fit the model is refused.

    Raises:
        NoTrainingDataError: If nothing fits.
    """
    config = task.config
    windows = Windows(
        task.lessons,
        EngineEncoder(load_tokenizer(task.folder)),
        task.history,
        window_tokens=config.batch_tokens,
        max_tokens=max_tokens(model),
        as_asked=task.as_asked,
    )
    found = windows.check()
    for failure in found.refused:
        logger.warning("refused: %s", failure.message)
    if not found.learned:
        raise NoTrainingDataError(
            f"all interactions of {task.name!r} are too long for the model: "
            f"{found.refused[0].message}",
            hint="shorten the history (HistoryConfig) or choose a model with a longer context",
            cli_hint=SHORTEN_PROMPT,
        )
    validation = [windows.batch(step) for step in windows.validation(most=config.validation_most)]
    return _Data(
        windows,
        windows.plan(epochs=config.epochs, seed=config.seed),
        tuple(validation),
        Counts(
            train=found.learned,
            with_reasoning=found.with_reasoning,
            validation=sum(batch.n_examples for batch in validation),
            refused=len(found.refused),
        ),
        found.refused,
    )


def _train(
    task: _Task,
    data: _Data,
    base: object,
    checkpoints: Checkpoints,
    hooks: Hooks,
    progress: Progress | None,
) -> tuple[TrainingRun, ActionEvaluation | None]:
    """Run what remains; return the run and the base model's own validation figures."""
    config = task.config

    def measure(model: object, step: int) -> ActionEvaluation:
        return evaluate(model, data.validation, step)

    run = TrainingRun(
        steps=len(data.plan),
        measure=measure if data.validation else None,
        checkpoints=checkpoints,
        history=go_on(checkpoints),
        base_model=task.base_model,
        n_evaluations=config.evaluations,
        hooks=hooks,
    )
    if progress is not None:
        run.hooks = replace(hooks, progress=_in_answers(progress, data.plan))
    before = measure(base, 0) if data.validation else None
    start = task.start.folder if task.start is not None else None
    with (
        own_randomness(config.seed),
        adapted(base, rank=config.rank, alpha=config.alpha, start=start) as peft_model,
    ):
        train(
            peft_model,
            run,
            lambda place: data.windows.batch(data.plan[place]),
            learning_rate=config.learning_rate,
            reasoning_weight=config.reasoning_weight,
        )
    return run, before


def _in_answers(progress: Progress, plan: Sequence[TrainingStep]) -> Progress:
    """Return what a run calls after each step, to report answers in place of steps."""
    answers = [0, *accumulate(step.answers for step in plan)]
    return lambda stage, done, _: progress(stage, answers[done], answers[-1])


def _manifest(task: _Task, data: _Data, run: TrainingRun, fingerprint: str) -> Manifest:
    found = [one for one in run.history.evaluations if isinstance(one, ActionEvaluation)]
    answers, tokens = data.done(len(run.history.losses))
    return Manifest(
        name=task.name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        fingerprint=fingerprint,
        users=task.users,
        people=task.people,
        start=task.start.ref.name if task.start is not None else None,
        base_model=task.base_model,
        base_model_digest=task.digest,
        config=task.config,
        config_key=task.config.key,
        examples_digest=lessons_digest(task.lessons),
        versions=library_versions(),
        counts=data.counts,
        answers=answers,
        tokens=tokens,
        seconds=round(run.history.seconds, 3),
        held=tuple(sorted(key for one in task.lessons for key in one.held)),
        form=task.history.form,
        steps=len(run.history.losses),
        planned_steps=run.steps,
        stopped=run.stop or "complete",
        losses=tuple(run.history.losses),
        after=best_evaluation(found),
        evaluations=tuple(found),
        refused=data.refused,
    )
