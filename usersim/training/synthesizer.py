"""Training the synthesizer: from a lesson to an adapter that writes traces.

The stage's entry: prepares the lesson, trains or resumes an interrupted run, measures,
and writes the artifact. Knows the order of these steps; what a lesson teaches stands in
`usersim.training.lessons`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from usersim.config import SynthesizerConfig
from usersim.engines.embedded import model_folder
from usersim.engines.identity import model_digest
from usersim.engines.loading import load_model, load_tokenizer
from usersim.errors import TrainingError, boundary
from usersim.training.artifact import TrainedAdapter, find_artifact
from usersim.training.checkpoints import Checkpoints, run_folder
from usersim.training.dataset import EngineEncoder
from usersim.training.lessons import Lesson, PreparedLesson
from usersim.training.lora import adapted, max_tokens, own_randomness
from usersim.training.manifest import (
    Counts,
    Manifest,
    SynthesizerRecord,
    checked_provenance,
    library_versions,
)
from usersim.training.rollouts import PolicyFolders, Probe
from usersim.training.run import Hooks, TrainingRun, go_on, keep_result
from usersim.training.schedule import TraceEvaluation, best_evaluation
from usersim.training.watch import suspicions
from usersim.types import content_key

__all__ = ["train_synthesizer"]

logger = logging.getLogger(__name__)

VERSION = 1
"""Changes when the same settings and lesson would no longer give the same adapter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """What is to be trained, before any model is loaded."""

    lesson: Lesson
    name: str
    base_model: str
    folder: Path | str
    digest: str
    config: SynthesizerConfig
    probe: Probe | None

    @property
    def fingerprint(self) -> str:
        """Equal where a run may resume from another run's checkpoints."""
        return content_key(
            "synthesiser",  # as it was spelled when the first of these keys were stored
            VERSION,
            self.name,
            self.digest,
            self.config.key,
            self.lesson.key,
            self.probe.identity if self.probe else None,
        )


def train_synthesizer(
    lesson: Lesson,
    *,
    base_model: str,
    out_dir: str | Path,
    config: SynthesizerConfig = SynthesizerConfig(),
    name: str = "synthesizer",
    probe: Probe | None = None,
    provenance: Mapping[str, object] | None = None,
    hooks: Hooks = Hooks(),
) -> TrainedAdapter:
    """Train an adapter that writes reasoning traces.

    Called again after it was killed, or after it was stopped by the clock or the caller, it
    goes on and ends with the same adapter as an uninterrupted run on the same machine. Called
    again after it finished, it returns the adapter that is there.

    Args:
        lesson: What it learns from: kept traces, pairs, or rewards.
        base_model: `"embedded"`, a model folder or a hub name.
        out_dir: The artifact's folder and the checkpoints are made in here.
        config: The settings.
        name: Beginning of the artifact's name.
        probe: Measures the weights on interactions that are never trained on; None measures
            nothing, and the last state is kept.
        provenance: Facts for the manifest.
        hooks: Progress, figures, time limit, and when to stop.

    Returns:
        The adapter, with its manifest.

    Raises:
        NoTrainingDataError: If the lesson is empty, or nothing of it fits the model.
        DivergedError: If the loss is not finite; the last good checkpoint is kept.
        TrainingError: If the trainer fails, or another process trains the same.
        ArtifactError: If the adapter cannot be written.

    Example:
        ```python
        lesson = PairLesson(preferences(scored, prompts, guards))
        adapter = train_synthesizer(lesson, base_model="embedded", out_dir="adapters")
        adapter.manifest.synthesizer.after
        ```
    """
    facts = checked_provenance(provenance or {})
    folder = model_folder(base_model)
    task = _Task(
        lesson=lesson,
        name=name,
        base_model=str(base_model),
        folder=folder,
        digest=model_digest(folder),
        config=config,
        probe=probe,
    )
    out = Path(out_dir).expanduser()
    done = find_artifact(out, task.fingerprint, name)
    if done is not None:
        logger.info("%s is already trained: %s", name, done.folder)
        return done
    with (
        boundary(TrainingError, f"training the synthesizer {name!r} ({lesson.recipe})"),
        run_folder(out, task.fingerprint, lesson.users) as checkpoints,
    ):
        run, prepared, before = _train(task, checkpoints, hooks)
        manifest = _manifest(task, run, prepared, before).model_copy(update={"provenance": facts})
        return keep_result(run, out, manifest)


def _train(
    task: _Task, checkpoints: Checkpoints, hooks: Hooks
) -> tuple[TrainingRun, PreparedLesson, TraceEvaluation | None]:
    """Run what remains; return the run, the lesson as it was taken, and the base's figures."""
    config, probe = task.config, task.probe
    tokenizer = load_tokenizer(task.folder)
    base = load_model(task.folder, dtype="auto", device="auto")
    prepared = task.lesson.prepare(config, EngineEncoder(tokenizer), max_tokens(base))
    for failure in prepared.refused:
        logger.warning("refused: %s", failure.message)
    folders = PolicyFolders(checkpoints.folder, task.base_model)

    def measure(model: object, step: int) -> TraceEvaluation:
        assert probe is not None
        with own_randomness(config.seed):  # as in `policy`: the run's random numbers are its own
            return probe.measure(folders.write(model, step), step)

    run = TrainingRun(
        steps=prepared.steps,
        measure=measure if probe else None,
        checkpoints=checkpoints,
        history=go_on(checkpoints),
        base_model=task.base_model,
        n_evaluations=task.lesson.evaluations(config),
        hooks=hooks,
        signed=task.lesson.recipe == "grpo",
    )
    before = probe.measure(None, 0) if probe else None
    with (
        own_randomness(config.seed),
        adapted(base, rank=config.rank, alpha=config.alpha) as peft_model,
    ):
        prepared.train(peft_model, run, tokenizer)
    return run, prepared, before


def _manifest(
    task: _Task, run: TrainingRun, prepared: PreparedLesson, before: TraceEvaluation | None
) -> Manifest:
    found = [one for one in run.history.evaluations if isinstance(one, TraceEvaluation)]
    return Manifest(
        name=task.name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        fingerprint=task.fingerprint,
        users=tuple(sorted(task.lesson.users)),
        base_model=task.base_model,
        base_model_digest=task.digest,
        config=task.config,
        config_key=task.config.key,
        examples_digest=task.lesson.key,
        versions=library_versions(),
        counts=Counts(
            train=prepared.size,
            with_reasoning=prepared.size,
            validation=before.n if before else 0,
            refused=len(prepared.refused),
        ),
        steps=len(run.history.losses),
        planned_steps=run.steps,
        stopped=run.stop or "complete",
        losses=tuple(run.history.losses),
        refused=prepared.refused,
        synthesizer=SynthesizerRecord(
            recipe=task.lesson.recipe,
            before=before,
            after=best_evaluation(found),
            evaluations=tuple(found),
            figures=tuple(run.history.figures),
            warnings=tuple(suspicions(before, found, run.history.figures)),
        ),
    )
