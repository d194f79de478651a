# pyright: basic
"""The figures of a synthesizer's training as a TensorBoard log."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from usersim.errors import MissingDependencyError

__all__ = ["Board"]


class Board:
    """Writes the figures of each step into a folder that TensorBoard reads.

    Pass it as `note=` to `UserSimulator.train`. Nothing is sent anywhere.

    Args:
        folder: Where the log goes.

    Raises:
        MissingDependencyError: If the extra `tensorboard` is not installed.

    Example:
        ```python
        sim.train(recipe="grpo", note=Board("runs/ada"))
        ```
    """

    def __init__(self, folder: str | Path) -> None:
        try:
            from torch.utils.tensorboard.writer import SummaryWriter
        except ImportError as error:
            raise MissingDependencyError(
                "tensorboard", extra="tensorboard", why="a TensorBoard log"
            ) from error
        self._writer: Any = SummaryWriter(str(folder))

    def __call__(self, step: int, steps: int, figures: Mapping[str, float]) -> None:
        """Write the figures of one step."""
        del steps
        for name, value in figures.items():
            self._writer.add_scalar(f"synthesizer/{name}", value, step)
        self._writer.flush()
