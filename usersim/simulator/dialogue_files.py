"""Files of dialogues: one that grows while they are held and is gone on with, and chats.

The growing file holds everything, traces included, one finished dialogue a line; a chat file
holds what other tools read. Both say on every line that it is simulated.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import orjson
from pydantic import ValidationError

from usersim.corpus.store.values import dump_json
from usersim.errors import ConfigError, CorpusError
from usersim.files import DISK_HINT, remove_quietly, write_rows
from usersim.simulation.dialogue import Dialogue

__all__ = ["DialogueFile", "read_dialogues", "write_chats"]

logger = logging.getLogger(__name__)


class DialogueFile:
    """A file that finished dialogues are appended to; used in a `with` block, by one at a time.

    Args:
        path: JSON Lines; made where it is missing.

    Attributes:
        found: The dialogues that were there, by key.
    """

    def __init__(self, path: str | Path) -> None:
        from filelock import FileLock

        self._path = Path(path)
        self._lock = FileLock(f"{self._path}.lock")
        self.found: dict[str, Dialogue] = {}

    def __enter__(self) -> Self:
        from filelock import Timeout

        with _writing(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._lock.acquire(timeout=0)
            except Timeout as error:
                raise ConfigError(
                    f"another process is writing dialogues to {str(self._path)!r}",
                    hint="wait for it, or name another file",
                ) from error
        try:
            self._mend()
            self.found = {one.key: one for one in read_dialogues(self._path)}
            self._out = self._path.open("ab")
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._out.close()
        remove_quietly(Path(self._lock.lock_file))
        self._lock.release()

    def append(self, dialogue: Dialogue) -> None:
        """Write a finished dialogue; it is on the disk when this returns.

        Raises:
            CorpusError: If it cannot be written.
        """
        with _writing(self._path):
            self._out.write(_line(dialogue))
            self._out.flush()
            os.fsync(self._out.fileno())

    def _mend(self) -> None:
        """Cut off a last line that an interruption left half written."""
        if not self._path.is_file():
            self._path.touch()
            return
        with self._path.open("r+b") as file:
            content = file.read()
            whole = content.rfind(b"\n") + 1
            if whole < len(content):
                logger.warning(
                    "the last line of %s was half written and is cut off", str(self._path)
                )
                file.truncate(whole)


def read_dialogues(path: str | Path) -> Iterator[Dialogue]:
    """Yield the dialogues of a file that grew while they were held.

    Args:
        path: As it was given to `dialogues`.

    Yields:
        Dialogues in the order in which they ended.

    Raises:
        CorpusError: If the file cannot be read, or a line is not a dialogue.
    """
    try:
        with Path(path).open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                yield _read(line, path, number)
    except OSError as error:
        raise CorpusError(f"dialogues cannot be read from {str(path)!r}: {error}") from error


def _line(dialogue: Dialogue) -> bytes:
    row = dialogue.to_dict()
    try:
        return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # an assistant said half a surrogate pair, which no file can hold
        return dump_json(row) + b"\n"


def _read(line: bytes, path: str | Path, number: int) -> Dialogue:
    try:
        return Dialogue.from_dict(orjson.loads(line))
    except (orjson.JSONDecodeError, ValidationError, TypeError) as error:
        raise CorpusError(
            f"line {number} of {str(path)!r} is not a valid dialogue: {line[:80]!r}",
            hint="name the file that `dialogues(path=...)` made, or a new one",
        ) from error


def write_chats(dialogues: Iterable[Dialogue], path: str | Path, *, traces: bool = False) -> int:
    """Write dialogues as chats in the usual `messages` form, each marked as simulated.

    The file appears when it is whole; one of that name is replaced. Without traces a file holds
    what the assistant saw, and can be given to whoever builds one.

    Args:
        dialogues: A batch of them, or any others.
        path: JSON Lines.
        traces: Add the reasoning behind each turn of the person, as `reasoning`.

    Returns:
        How many were written.

    Raises:
        CorpusError: If the file cannot be written.
    """
    rows = (one.to_chat(traces=traces) for one in dialogues)
    return write_rows(path, rows, what="dialogues", error=CorpusError, form="jsonl")


@contextmanager
def _writing(path: Path) -> Generator[None]:
    """Say of what the disk refuses which file it was, and what to do.

    Yields:
        Nothing.

    Raises:
        CorpusError: In place of an `OSError`.
    """
    try:
        yield
    except OSError as error:
        raise CorpusError(
            f"dialogues cannot be written to {str(path)!r}: {error}",
            hint=DISK_HINT,
        ) from error
