"""The checkpoints of one run: complete or not there.

A checkpoint is a folder that the trainer fills. It counts once its marker stands in it, and
the marker is written last, with the digest of every other file; a process that is killed at
any moment leaves at worst a folder without a marker, which the next run removes.
Knows folders and files; knows nothing of models.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Collection, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from filelock import FileLock, Timeout

from usersim.errors import TrainingError, UserForgottenError
from usersim.files import file_digest, sync_tree, write_bytes
from usersim.training.schedule import ActionEvaluation, Measured, TraceEvaluation

__all__ = ["Checkpoints", "History", "check_one_process", "run_folder"]

logger = logging.getLogger(__name__)

MARKER = "complete.json"
HISTORY = "history.json"
USERS = "users.json"
NOTE = "note.json"


class History:
    """What a run has seen so far; goes on where a checkpoint left it.

    Attributes:
        losses: Training loss of each step, nats.
        evaluations: Validation figures, in order.
        figures: What else was noted of each step, by name.
        seconds: Time that the steps took, without measuring and saving.
    """

    def __init__(
        self,
        losses: Collection[float] = (),
        evaluations: Collection[Measured] = (),
        figures: Collection[dict[str, float]] = (),
        seconds: float = 0.0,
    ) -> None:
        self.losses = list(losses)
        self.evaluations = list(evaluations)
        self.figures = list(figures)
        self.seconds = seconds

    def write(self, folder: Path) -> None:
        """Write into a checkpoint's folder."""
        data = {
            "losses": self.losses,
            "evaluations": self.evaluations,
            "figures": self.figures,
            "seconds": self.seconds,
        }
        (folder / HISTORY).write_bytes(orjson.dumps(data))

    @classmethod
    def read(cls, folder: Path) -> History:
        """Read from a complete checkpoint."""
        data = orjson.loads((folder / HISTORY).read_bytes())
        return cls(
            data["losses"],
            [_evaluation(values) for values in data["evaluations"]],
            data.get("figures", ()),
            data.get("seconds", 0.0),
        )


def _evaluation(values: dict[str, Any]) -> Measured:
    """Bring back one evaluation; its fields tell its kind."""
    return TraceEvaluation(**values) if "gain" in values else ActionEvaluation(**values)


class Checkpoints:
    """The checkpoints in one run's folder.

    Args:
        folder: Holds `checkpoint-STEP` folders, and nothing of another run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def note(self) -> bytes:
        """What was noted of the run when it began; empty if nothing was."""
        try:
            return (self.folder / NOTE).read_bytes()
        except FileNotFoundError:
            return b""

    def begin(self, note: bytes) -> None:
        """Note what every state of the run has in common; states of another run are removed."""
        if self.note != note:
            self.keep(())
            partial = self.folder / f".{NOTE}"
            partial.write_bytes(note)
            partial.replace(self.folder / NOTE)

    def check_there(self) -> None:
        """Stop where the folder was taken away: somebody in it was forgotten.

        Raises:
            TrainingError: If it was.
        """
        if not (self.folder / USERS).is_file():
            raise TrainingError(
                f"the checkpoints in {str(self.folder)!r} were deleted during the training: "
                "somebody in its data was forgotten",
                hint="train again without them",
            )

    def path(self, step: int) -> Path:
        """Return the folder of a step's checkpoint, whether it exists or not."""
        return self.folder / f"checkpoint-{step}"

    def _steps(self) -> list[int]:
        found = (path.name.removeprefix("checkpoint-") for path in self.folder.glob("checkpoint-*"))
        return sorted(int(step) for step in found if step.isdecimal())

    def is_complete(self, step: int) -> bool:
        """Return whether every file stands there as it was when the marker was written."""
        folder = self.path(step)
        try:
            files = orjson.loads((folder / MARKER).read_bytes())
            return all(file_digest(folder / name) == digest for name, digest in files.items())
        except (OSError, orjson.JSONDecodeError):
            return False

    def seal(self, step: int) -> None:
        """Write the marker: from here on the checkpoint counts."""
        folder = self.path(step)
        files = {path.name: file_digest(path) for path in sorted(folder.iterdir())}
        # An earlier checkpoint is removed after this, so nothing may still wait for the disk.
        sync_tree(folder)
        write_bytes(folder / MARKER, orjson.dumps(files), what="a checkpoint", error=TrainingError)

    def keep(self, steps: Collection[int]) -> None:
        """Remove every checkpoint but those of `steps`."""
        for step in self._steps():
            if step not in steps:
                self._remove(step)

    def newest(self) -> int | None:
        """Return the last complete step, after removing what is not complete; None if none is."""
        for step in reversed(self._steps()):
            if self.is_complete(step):
                return step
            logger.info("removing the incomplete checkpoint %s", self.path(step))
            self._remove(step)
        return None

    def _remove(self, step: int) -> None:
        # The marker goes first: half of a checkpoint must not look like a whole one.
        (self.path(step) / MARKER).unlink(missing_ok=True)
        shutil.rmtree(self.path(step))

    def clear(self) -> None:
        """Remove the whole folder: the run is finished."""
        shutil.rmtree(self.folder)


def check_one_process() -> None:
    """Refuse to be one of several processes that train together: plan and store are not shared.

    Raises:
        TrainingError: If `accelerate launch` or torchrun started more than one.

    Example:
        >>> check_one_process()
    """
    world = os.environ.get("WORLD_SIZE", "1")
    if world != "1":
        raise TrainingError(
            f"training runs in a single process, but there are {world} (WORLD_SIZE)",
            hint="start it without accelerate launch or torchrun; use other GPUs to serve"
            " the model (usersim serve-engine) or to train other people",
        )


@contextmanager
def run_folder(
    out_dir: Path, fingerprint: str, users: Collection[str] = ()
) -> Generator[Checkpoints]:
    """Open the checkpoints of one run, for this process alone.

    Runs with other settings, data or base models have other fingerprints and so other folders:
    they can neither be resumed by mistake nor get in each other's way.

    Args:
        out_dir: Where adapters are made.
        fingerprint: Identity of the run.
        users: Whose data it holds, written beside the checkpoints: forgetting a person looks
            there for runs that were cut off and never ended.

    Yields:
        The run's checkpoints.

    Raises:
        TrainingError: If another process is training the same, or this is one of several.
    """
    check_one_process()
    folder = out_dir / "checkpoints" / fingerprint[:16]
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.with_suffix(".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise TrainingError(
            f"another process is training the same adapter in {str(out_dir)!r}",
            hint="wait for it to end, or choose another out_dir",
            cli_hint="wait for it to end",
        ) from None
    try:
        folder.mkdir(exist_ok=True)  # the process before may have finished and removed it
        write_bytes(
            folder / USERS,
            orjson.dumps(sorted(users)),
            what="a checkpoint",
            error=TrainingError,
        )
        with _nothing_forgotten_left(folder):
            yield Checkpoints(folder)
    finally:
        lock.release()


@contextmanager
def _nothing_forgotten_left(folder: Path) -> Generator[None]:
    """Remove what a training wrote of somebody who was forgotten meanwhile.

    Forgetting deletes the folder; what was being written at that moment would come back.

    Yields:
        Nothing.

    Raises:
        UserForgottenError: As it came.
    """
    try:
        yield
    except UserForgottenError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    except Exception:
        if not (folder / USERS).is_file():
            shutil.rmtree(folder, ignore_errors=True)
        raise
