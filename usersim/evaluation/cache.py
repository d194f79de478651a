"""Predictions kept on disk, so that an interrupted evaluation repeats no finished work.

Knows predictions and content keys; knows nothing of arms or metrics. Failures are not kept: the
next run tries them again.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

from pydantic import TypeAdapter

from usersim.errors import EvaluationError
from usersim.types import Prediction

__all__ = ["FileCache", "PredictionCache"]

_PREDICTION = TypeAdapter(Prediction)
_FILE = "predictions-cache.jsonl"


class PredictionCache(Protocol):
    """Where predictions are kept between runs.

    Example:
        >>> from usersim.types import Prediction
        >>> class InMemory:
        ...     def __init__(self):
        ...         self.kept = {}
        ...     def get(self, key):
        ...         return self.kept.get(key)
        ...     def put(self, key, prediction):
        ...         self.kept[key] = prediction
        >>> cache: PredictionCache = InMemory()
        >>> cache.put("k1", Prediction(action="yes"))
        >>> cache.get("k1").action
        'yes'
    """

    def get(self, key: str) -> Prediction | None:
        """Return what was put under `key`, or None."""
        ...

    def put(self, key: str, prediction: Prediction) -> None:
        """Keep `prediction` under `key`."""
        ...


class FileCache:
    """A cache in one JSON Lines file that survives being killed at any moment.

    Each prediction is one append by one system call, with a line break before and after it. A
    half-written line is skipped when the file is read, and cannot swallow the next one. Two
    processes may append to the same file; each sees what was there when it opened it.
    `detail` comes back as JSON: tuples as lists, unknown objects as their text.

    Attributes:
        path: The file.
        damaged: Lines that could not be read.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from usersim.types import Prediction
        >>> with TemporaryDirectory() as folder:
        ...     cache = FileCache(folder)
        ...     cache.put("k1", Prediction(action="yes"))
        ...     cache.get("k1").action, cache.get("k2")
        ('yes', None)
    """

    def __init__(self, folder: str | Path) -> None:
        self.path = Path(folder) / _FILE
        self.damaged = 0
        self._known: dict[str, Prediction] = {}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.exists():
                self._read()
        except OSError as error:
            raise EvaluationError(
                f"the cache {str(self.path)!r} cannot be opened: {error}",
                hint="choose a writable folder",
            ) from error

    def __len__(self) -> int:
        """Return how many predictions are kept."""
        return len(self._known)

    def get(self, key: str) -> Prediction | None:
        """Return what was put under `key`, or None."""
        return self._known.get(key)

    def put(self, key: str, prediction: Prediction) -> None:
        """Append `prediction`.

        Raises:
            EvaluationError: If the file cannot be written, or the disk is full.
        """
        body = {"key": key, "prediction": asdict(prediction)}
        line = f"\n{json.dumps(body, default=str)}\n".encode("ascii")
        try:
            handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                written = os.write(handle, line)
            finally:
                os.close(handle)
        except OSError as error:
            raise EvaluationError(
                f"a prediction cannot be written to {str(self.path)!r}: {error}",
                hint="free some space or choose another folder; finished predictions are kept",
            ) from error
        if written < len(line):
            raise EvaluationError(
                f"a prediction was cut after {written} of {len(line)} bytes in {str(self.path)!r}",
                hint="free some space and run again; finished predictions are kept",
            )
        self._known[key] = prediction

    def _read(self) -> None:
        with self.path.open("rb") as lines:
            for line in lines:
                if line.strip():
                    self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            body = json.loads(line)
            self._known[str(body["key"])] = _PREDICTION.validate_python(body["prediction"])
        except (ValueError, KeyError, TypeError):  # pydantic's and JSON's errors are ValueErrors
            self.damaged += 1
