"""A simulator on disk: a manifest that names the store, the model and the adapter.

The corpus stays where it is, since it is personal data that must be found in one place when it
is to be deleted. The manifest is written last: a folder without one is no simulator.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from usersim.config import PipelineConfig
from usersim.errors import ArtifactError, ConfigError, boundary

__all__ = ["SavedSimulator", "read_simulator", "write_simulator"]

MANIFEST = "simulator.json"


class SavedSimulator(BaseModel):
    """What is needed to bring a simulator back."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    format: int = 1
    """Version of this layout."""
    store: str
    """URL or path of the corpus."""
    user_id: str | None
    """The person, or None for everybody in the store."""
    model: str
    """Base model."""
    config: PipelineConfig
    """Settings of every stage."""
    adapter: str | None
    """Folder of the adapter; None before training."""
    adapter_digest: str | None
    """Digest that the folder must have."""


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
    target = Path(folder)
    with boundary(ArtifactError, f"saving the simulator to {str(target)!r}"):
        target.mkdir(parents=True, exist_ok=True)
        half = target / f".{MANIFEST}.{os.getpid()}"
        half.write_text(saved.model_dump_json(indent=2) + "\n", encoding="utf-8")
        half.replace(target / MANIFEST)
    return target


def read_simulator(folder: str | Path) -> SavedSimulator:
    """Read a manifest.

    Raises:
        ArtifactError: If the folder holds none, or one that cannot be read.
    """
    path = Path(folder) / MANIFEST
    if not path.is_file():
        raise ArtifactError(
            f"{str(folder)!r} is no saved simulator: it holds no {MANIFEST!r}",
            hint="give the folder that `save` was given",
        )
    try:
        return SavedSimulator.model_validate_json(path.read_text(encoding="utf-8"))
    except (ValidationError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ArtifactError(f"{str(path)!r} cannot be read: {error}") from error
