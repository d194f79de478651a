"""A simulator on disk: a manifest that names the store, the model and the adapter.

The corpus stays where it is, since it is personal data that must be found in one place when it
is to be deleted. The manifest is written last: a folder without one is no simulator.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from usersim.config import PipelineConfig
from usersim.errors import ArtifactError, ConfigError, boundary
from usersim.files import write_text
from usersim.training import TrainedAdapter, load_artifact

__all__ = ["SavedSimulator", "as_user_model", "named", "read_simulator", "write_simulator"]

MANIFEST = "simulator.json"


class SavedSimulator(BaseModel):
    """What is needed to bring a simulator back."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    format: Literal[1] = 1
    """Version of this layout."""
    store: str
    """URL or path of the corpus."""
    user_id: str | None
    """The person, or None for everybody in the store."""
    model: str
    """Base model."""
    config: PipelineConfig
    """Settings of every stage."""
    adapter: str | None = None
    """Folder of the adapter; None before training."""
    adapter_digest: str | None = None
    """Digest that the folder must have."""
    traces: str | None
    """Stage of the store whose kept traces are shown; None before any were selected."""

    synthesiser: str | None = None
    """Folder of the trained synthesiser; None where the base model writes."""
    synthesiser_digest: str | None = None
    """Digest that the folder must have."""

    def load(self, what: Literal["adapter", "synthesiser"]) -> TrainedAdapter | None:
        """Return the adapter or the synthesiser that is named, verified on disk; None if none is.

        Raises:
            ArtifactError: If its folder is incomplete, or holds other weights by now.
        """
        folder: str | None = getattr(self, what)
        if folder is None:
            return None
        found = load_artifact(folder)
        if found.ref.digest != getattr(self, f"{what}_digest"):
            raise ArtifactError(
                f"the simulator was saved with another {what} than the one in {folder!r}",
                hint="save the simulator again with this one, or put the old folder back",
            )
        return found


def named(what: Literal["adapter", "synthesiser"], found: TrainedAdapter | None) -> dict[str, Any]:
    """Return the fields of a `SavedSimulator` that name `found`; none of them if it is None."""
    if found is None:
        return {}
    return {what: str(found.folder.resolve()), f"{what}_digest": found.ref.digest}


def as_user_model(adapter: TrainedAdapter | str | Path) -> TrainedAdapter:
    """Return a trained user model, verified on disk where a folder is given.

    Raises:
        ArtifactError: If the folder is incomplete or altered, or holds a synthesiser.
    """
    found = adapter if isinstance(adapter, TrainedAdapter) else load_artifact(adapter)
    if found.manifest.synthesiser is not None:
        raise ArtifactError(
            f"the adapter {found.manifest.name!r} in {str(found.folder)!r} writes reasoning"
            " traces; it does not answer as anyone",
            hint="give the adapter that was trained on its traces",
        )
    return found


def write_simulator(folder: str | Path, saved: SavedSimulator) -> Path:
    """Write the manifest into `folder`, at once.

    Returns:
        The folder.

    Raises:
        ArtifactError: If the folder cannot be written.
        ConfigError: If the corpus is kept in memory only.
    """
    if ":memory:" in saved.store:
        raise ConfigError(
            "the corpus is in memory and would be lost",
            hint="give `store=` a file or a database URL when loading the corpus",
        )
    absolute = saved.model_copy(update={"store": _absolute(saved.store)})
    target = Path(folder)
    with boundary(ArtifactError, f"saving the simulator to {str(target)!r}"):
        target.mkdir(parents=True, exist_ok=True)
    text = absolute.model_dump_json(indent=2) + "\n"
    write_text(target / MANIFEST, text, what="the simulator", error=ArtifactError)
    return target


def read_simulator(folder: str | Path) -> SavedSimulator:
    """Read a manifest.

    Raises:
        ArtifactError: If the folder holds none, or one that cannot be read, or its corpus is
            gone.
    """
    path = Path(folder) / MANIFEST
    if not path.is_file():
        raise ArtifactError(
            f"{str(folder)!r} is no saved simulator: it holds no {MANIFEST!r}",
            hint="give the folder that `save` was given",
        )
    try:
        saved = SavedSimulator.model_validate_json(path.read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError) as error:
        raise ArtifactError(f"{str(path)!r} cannot be read: {error}") from error
    if "://" not in saved.store and not Path(saved.store).is_file():
        raise ArtifactError(
            f"{str(path)!r} names a corpus that is not there: {saved.store!r}",
            hint="put the corpus back, or write its new place into the manifest",
        )
    return saved


def _absolute(store: str) -> str:
    return store if "://" in store else str(Path(store).resolve())
