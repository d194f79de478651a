"""A simulator on disk: a manifest that names the store, the model and the adapter.

The corpus stays where it is, since it is personal data that must be found in one place when it
is to be deleted. The manifest is written last: a folder without one is not a simulator.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from usersim.config import PipelineConfig
from usersim.config.base import formerly
from usersim.errors import ArtifactError, ConfigError, boundary
from usersim.files import write_text
from usersim.training import TrainedAdapter, load_artifact

__all__ = ["SavedAdapter", "SavedSimulator", "named", "pinned", "read_simulator", "write_simulator"]

MANIFEST = "simulator.json"


class SavedAdapter(BaseModel):
    """An adapter by its folder and its content."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    folder: str
    """Where it is."""
    digest: str
    """Digest that the folder must have."""

    @classmethod
    def of(cls, adapter: TrainedAdapter) -> Self:
        """Return what finds an adapter again, and notices another one in its place."""
        return cls(folder=str(adapter.folder.resolve()), digest=adapter.ref.digest)

    def load(self, what: str = "adapter") -> TrainedAdapter:
        """Return the adapter, verified on disk.

        Raises:
            ArtifactError: If its folder is incomplete, or holds other weights by now.
        """
        found = load_artifact(self.folder)
        if found.ref.digest != self.digest:
            raise ArtifactError(
                f"the {what} in {self.folder!r} is not the one that the simulator was saved with",
                hint="save the simulator again with this one, or put the old folder back",
            )
        return found


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
    own_adapters: dict[str, SavedAdapter] = {}
    """Adapters of single people, where the simulator stands for several."""
    traces: str | None
    """Stage of the store whose kept traces are shown; None before any were selected."""

    synthesizer: str | None = Field(
        default=None, validation_alias=formerly("synthesizer", "synthesiser")
    )
    """Folder of the trained synthesizer; None where the base model writes."""
    synthesizer_digest: str | None = Field(
        default=None, validation_alias=formerly("synthesizer_digest", "synthesiser_digest")
    )
    """Digest that the folder must have."""

    def load(self, what: Literal["adapter", "synthesizer"]) -> TrainedAdapter | None:
        """Return the adapter or the synthesizer that is named, verified on disk; None if none is.

        Raises:
            ArtifactError: If its folder is incomplete, or holds other weights by now.
        """
        folder: str | None = getattr(self, what)
        if folder is None:
            return None
        return SavedAdapter(folder=folder, digest=getattr(self, f"{what}_digest") or "").load(what)


def pinned(adapters: Mapping[str, TrainedAdapter]) -> dict[str, SavedAdapter]:
    """Return the adapters of single people as a `SavedSimulator` names them."""
    return {user: SavedAdapter.of(one) for user, one in adapters.items()}


def named(what: Literal["adapter", "synthesizer"], found: TrainedAdapter | None) -> dict[str, Any]:
    """Return the fields of a `SavedSimulator` that name `found`; none of them if it is None."""
    if found is None:
        return {}
    pinned = SavedAdapter.of(found)
    return {what: pinned.folder, f"{what}_digest": pinned.digest}


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
            cli_hint="give --corpus a file or a database URL",
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
            f"{str(folder)!r} is not a saved simulator: it has no {MANIFEST!r}",
            hint="pass the folder that was passed to `save`",
        )
    try:
        saved = SavedSimulator.model_validate_json(path.read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError) as error:
        raise ArtifactError(f"{str(path)!r} cannot be read: {error}") from error
    if "://" not in saved.store and not Path(saved.store).is_file():
        raise ArtifactError(
            f"{str(path)!r} refers to a missing corpus: {saved.store!r}",
            hint="move the corpus back, or correct its path in the manifest",
        )
    return saved


def _absolute(store: str) -> str:
    return store if "://" in store else str(Path(store).resolve())
