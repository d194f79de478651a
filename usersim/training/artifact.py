"""The adapter folder: PEFT's two files, a model card, and the manifest that makes it one.

    NAME-DIGEST/
      adapter_config.json          PEFT
      adapter_model.safetensors    PEFT
      README.md                    model card
      usersim.json                 manifest, written last

Knows files and digests; knows nothing of how the weights came about. A folder without a
manifest is not an artifact; weights in a folder never change.
"""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from usersim.engines.adapters import adapter_ref
from usersim.engines.base import AdapterRef
from usersim.errors import AdapterLoadError, ArtifactError
from usersim.files import file_digest, sync, sync_tree, write_text
from usersim.training.card import SHOWN_USERS, model_card
from usersim.training.manifest import FORMAT, Frozen, Manifest
from usersim.training.mixture import ReasoningWeight
from usersim.training.schedule import FINISHED
from usersim.types.counting import counted
from usersim.views import Sheet, facts, printed

__all__ = [
    "MANIFEST",
    "TrainedAdapter",
    "find_artifact",
    "load_artifact",
    "remove_artifact",
    "set_reasoning_weight",
    "write_artifact",
]

logger = logging.getLogger(__name__)

MANIFEST = "usersim.json"
CARD = "README.md"
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")
_FREE = "free some space, or make the folder writable"
_TRAIN_AGAIN = "retrain it, or restore the folder from a copy"


def _sheet(adapter: TrainedAdapter) -> Sheet:
    """Return what a person wants to see of an adapter."""
    told = adapter.manifest
    before, after = told.before, told.after
    better = (
        f"{before.action_logprob:.2f} → {after.action_logprob:.2f} nats"
        if before is not None and after is not None
        else None
    )
    fitted = told.reasoning_weight
    people = told.learned_from
    more = len(people) > SHOWN_USERS
    return facts(
        f"Adapter {adapter.ref.name}",
        {
            "learned from": ", ".join(people[:SHOWN_USERS]) + (", …" if more else ""),
            "base model": told.base_model,
            "examples": f"{told.counts.train}, {told.counts.with_reasoning} with reasoning",
            "pace": told.pace or None,
            "steps": f"{told.steps} of {told.planned_steps}",
            "held-out actions, mean log p": better,
            "reasoning": fitted.summary if fitted is not None else None,
            "folder": str(adapter.folder),
        },
    )


@printed(_sheet)
class TrainedAdapter(Frozen):
    """An adapter on disk, whole and verified.

    Example:
        ```python
        adapter = load_artifact("adapters/ada-1c9e2b7a")
        adapter.ref.name, adapter.manifest.users, adapter.manifest.after
        ```
    """

    ref: AdapterRef
    """What an engine needs."""
    manifest: Manifest
    """Where it comes from and how good it is."""

    def __repr__(self) -> str:
        """Say its name, whom it learned from and on which model."""
        users = self.manifest.users
        whom = repr(users[0]) if len(users) == 1 else counted(len(users), "person", "people")
        return f"TrainedAdapter({self.ref.name!r}, for {whom}, on {self.manifest.base_model!r})"

    @property
    def folder(self) -> Path:
        """The artifact's folder."""
        return Path(self.ref.path)

    @property
    def losses(self) -> tuple[float, ...]:
        """Training loss of each step, nats."""
        return self.manifest.losses


def _slug(name: str) -> str:
    """Return `name` as one harmless part of a path."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:40] or "adapter"


@contextmanager
def _half_made(parent: Path, fingerprint: str) -> Generator[Path]:
    """Give a folder beside the final one, and remove it whatever happens.

    A process that was killed may have left one; the run's lock makes sure that it is dead.

    Yields:
        The folder.

    Raises:
        ArtifactError: If the disk is full, read-only or otherwise refuses.
    """
    folder = parent / f".half-made-{fingerprint[:16]}"
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        raise ArtifactError(
            f"the adapter cannot be written to {str(parent)!r}: {error.strerror or error}",
            hint="free some space or choose another folder; no partial files were left",
        ) from error


def write_artifact(
    out_dir: Path, manifest: Manifest, write_adapter: Callable[[Path], None]
) -> TrainedAdapter:
    """Write an adapter folder: all of it, or nothing.

    Args:
        out_dir: The folder is made in here, and named after adapter and content.
        manifest: Without digests; they are filled in.
        write_adapter: Writes PEFT's two files into the folder that it is given.

    Returns:
        The adapter, as it stands on disk.

    Raises:
        ArtifactError: If the disk refuses.
    """
    with _half_made(out_dir, manifest.fingerprint) as folder:
        write_adapter(folder)
        digest = adapter_ref(folder).digest
        manifest = manifest.model_copy(
            update={
                "adapter_digest": digest,
                "files": {name: file_digest(folder / name) for name in ADAPTER_FILES},
            }
        )
        _write_texts(folder, manifest)
        final = out_dir / f"{_slug(manifest.name)}-{digest[:8]}"
        if final.exists():
            # The same weights, made before: their folder stays, and tells the newest run.
            _write_texts(final, manifest)
        else:
            sync_tree(folder)
            folder.rename(final)
            sync(out_dir)
    return load_artifact(final)


def _write_texts(folder: Path, manifest: Manifest) -> None:
    """Write card and manifest, each in one move, the manifest last."""
    texts = {CARD: model_card(manifest), MANIFEST: manifest.model_dump_json(indent=2) + "\n"}
    for name, text in texts.items():
        write_text(folder / name, text, what="the adapter", error=ArtifactError, hint=_FREE)


def _read_manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ArtifactError(
            f"{str(folder)!r} is not a complete adapter: cannot read {MANIFEST!r} "
            f"({error.strerror or error})",
            hint="the manifest is written last, so the training was interrupted: rerun it",
        ) from error
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"]))
        raise ArtifactError(
            f"{str(path)!r} is not a manifest of this version of usersim: "
            f"{where!r}: {problem['msg']}",
            hint=_TRAIN_AGAIN,
        ) from error
    if manifest.format != FORMAT:
        raise ArtifactError(
            f"{str(path)!r} has format {manifest.format!r}; this version reads {FORMAT!r}",
            hint="use the version of usersim that made it, or train again",
        )
    return manifest


def load_artifact(folder: str | Path) -> TrainedAdapter:
    """Load an adapter folder and verify that it is whole and unaltered.

    Args:
        folder: What `train_user_model` made.

    Returns:
        The adapter.

    Raises:
        ArtifactError: If the manifest is missing, or a file is missing or was altered.

    Example:
        ```python
        adapter = load_artifact("adapters/ada-1c9e2b7a")
        engine.generate([GenerateRequest(prompt=prompt, adapter=adapter.ref)])
        ```
    """
    path = Path(folder).expanduser()
    manifest = _read_manifest(path)
    for name in ADAPTER_FILES:
        try:
            digest = file_digest(path / name)
        except OSError as error:
            raise ArtifactError(
                f"{str(path / name)!r} is missing from the adapter of {manifest.name!r}: "
                f"{error.strerror or error}",
                hint=_TRAIN_AGAIN,
            ) from error
        if digest != manifest.files.get(name):
            raise ArtifactError(
                f"{str(path / name)!r} was altered after the adapter of {manifest.name!r} was made",
                hint=_TRAIN_AGAIN,
            )
    try:
        ref = adapter_ref(path)
    except AdapterLoadError as error:
        raise ArtifactError(str(error), hint=error.hint) from error
    return TrainedAdapter(
        ref=replace(ref, base_digest=manifest.base_model_digest), manifest=manifest
    )


def find_artifact(out_dir: Path, fingerprint: str, name: str) -> TrainedAdapter | None:
    """Return the adapter of a run that came to its end, if there is one.

    Adapters of runs that the clock or the caller stopped do not count: those runs go on.
    Damaged ones are passed over.

    Args:
        out_dir: Where adapters are made.
        fingerprint: Identity of the run.
        name: Its name, with which its folder begins: there may be thousands of other people's.
    """
    for path in sorted(out_dir.glob(f"{_slug(name)}-*/{MANIFEST}")):
        try:
            manifest = _read_manifest(path.parent)
            if manifest.fingerprint == fingerprint and manifest.stopped in FINISHED:
                return load_artifact(path.parent)
        except ArtifactError as error:
            logger.warning("skipped %s: %s", path.parent, error)
    return None


def remove_artifact(adapter: TrainedAdapter) -> None:
    """Delete an adapter's files, and its folder if nothing else is in it.

    Args:
        adapter: The artifact; nothing else in its folder is touched.

    Raises:
        ArtifactError: If the disk refuses.

    Example:
        ```python
        remove_artifact(load_artifact("adapters/ada-1f0c"))
        ```
    """
    folder = adapter.folder
    try:
        for name in (*reversed(ADAPTER_FILES), CARD, MANIFEST):  # weights first, manifest last
            (folder / name).unlink(missing_ok=True)
        if not any(folder.iterdir()):
            folder.rmdir()
    except OSError as error:
        raise ArtifactError(
            f"the adapter in {str(folder)!r} cannot be deleted: {error.strerror or error}",
            hint="make the folder writable and delete it",
        ) from error


def set_reasoning_weight(adapter: TrainedAdapter, weight: ReasoningWeight) -> TrainedAdapter:
    """Write a fitted reasoning weight into manifest and card; the weights stay as they are.

    Args:
        adapter: The artifact.
        weight: As `fit_reasoning_weight` returned it.

    Returns:
        The artifact, read again.

    Raises:
        ArtifactError: If the disk refuses.

    Example:
        ```python
        adapter = set_reasoning_weight(adapter, fit_reasoning_weight(given, without))
        ```
    """
    manifest = adapter.manifest.model_copy(update={"reasoning_weight": weight})
    _write_texts(adapter.folder, manifest)
    return load_artifact(adapter.folder)
