"""Folders that are whole or not there: built once, checked on every opening.

Knows files, digests and locks; knows nothing of models. A folder is built under another name and
renamed into place, with a manifest written last, so that a kill at any moment, a full disk or a
second process leaves either a whole folder or none. Opening compares sizes and modification times
with the manifest and takes the full digests only where these differ, or when `verify=True`.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from usersim.errors import ModelLoadError
from usersim.files import file_digest, sync, write_text
from usersim.views import Progress

__all__ = [
    "DISK_HINT",
    "MANIFEST",
    "PreparedManifest",
    "folder_damage",
    "prepare_folder",
    "read_manifest",
]

logger = logging.getLogger(__name__)

MANIFEST = "usersim-model.json"
"""Written last into a prepared folder: the files with their sizes and digests."""
DISK_HINT = "free 1.1 GB there, or set USERSIM_CACHE to a folder that can be written"

_PARTIAL = ".partial"
_LOCK_SECONDS = 900.0
"""Patience with another process that builds the folder; it takes half a minute on one core."""


class _File(BaseModel):
    """One file of a prepared folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int
    mtime_ns: int
    sha256: str


class PreparedManifest(BaseModel):
    """What a prepared folder holds, and what it was made from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int
    source: str
    files: dict[str, _File]


def prepare_folder(
    target: Path,
    write: Callable[[Path], None],
    *,
    source: str,
    progress: Progress | None = None,
    verify: bool = False,
) -> Path:
    """Return `target`, built by `write` unless it is there and whole.

    Args:
        target: The folder.
        write: Fills an empty folder.
        source: What the folder is made from; another one in the manifest means a rebuild.
        progress: Called with (stage, steps done, steps in all).
        verify: Take the digest of every file.

    Returns:
        `target`.

    Raises:
        ModelLoadError: If it cannot be built.
    """

    def step(done: int) -> None:
        if progress is not None:
            progress("prepare the model", done, 2)

    if not folder_damage(target, source=source, verify=verify):
        step(2)
        return target
    step(0)
    with _writing(target), _locked(target):
        # Another process may have built it while this one waited.
        reason = folder_damage(target, source=source, verify=verify)
        if reason:
            _build(target, write, source=source, reason=reason, built=lambda: step(1))
    step(2)
    return target


@contextmanager
def _writing(target: Path) -> Generator[None, None, None]:
    """Name the folder and the way out where the cache cannot be written.

    Yields:
        Nothing.

    Raises:
        ModelLoadError: In place of an `OSError`.
    """
    try:
        yield
    except OSError as error:
        raise ModelLoadError(
            f"cannot prepare a model in {str(target.parent)!r}: {error}",
            hint=DISK_HINT,
        ) from error


@contextmanager
def _locked(target: Path) -> Generator[None, None, None]:
    target.parent.mkdir(parents=True, exist_ok=True)
    lock = target.parent / f"{target.name}.lock"
    try:
        with FileLock(lock, timeout=_LOCK_SECONDS):
            yield
    except Timeout as error:
        raise ModelLoadError(
            f"another process has held {str(lock)!r} for {_LOCK_SECONDS:.0f} s",
            hint="wait for it to finish, or stop it",
        ) from error


def _build(
    target: Path,
    write: Callable[[Path], None],
    *,
    source: str,
    reason: str,
    built: Callable[[], None],
) -> None:
    """Build `target` beside itself and rename it into place; the lock is held."""
    parent = target.parent
    # Whoever left these behind did not live to rename them: the lock was free.
    for stale in parent.glob(f"{target.name}.*{_PARTIAL}"):
        shutil.rmtree(stale, ignore_errors=True)
    if target.exists():
        logger.warning("rebuilding the prepared model in %s: %s", target, reason)
    else:
        logger.info("preparing a model in %s (once)", target)
    partial = Path(tempfile.mkdtemp(prefix=f"{target.name}.", suffix=_PARTIAL, dir=parent))
    try:
        write(partial)
        built()
        _write_manifest(partial, source)
        if target.exists():
            target.rename(
                Path(tempfile.mkdtemp(prefix=f"{target.name}.", suffix=_PARTIAL, dir=parent))
            )
        partial.rename(target)
        sync(parent)
    finally:
        for left in parent.glob(f"{target.name}.*{_PARTIAL}"):
            shutil.rmtree(left, ignore_errors=True)


def _write_manifest(folder: Path, source: str) -> None:
    """Bring every file to the disk, then the manifest that vouches for them."""
    files: dict[str, _File] = {}
    for path in sorted(folder.iterdir()):
        path.chmod(0o644)
        sync(path)
        stat = path.stat()
        files[path.name] = _File(
            size=stat.st_size, mtime_ns=stat.st_mtime_ns, sha256=file_digest(path)
        )
    text = PreparedManifest(format=1, source=source, files=files).model_dump_json(indent=2)
    folder.chmod(0o755)
    write_text(folder / MANIFEST, text, what="the model", error=ModelLoadError, hint=DISK_HINT)


def read_manifest(folder: Path) -> PreparedManifest | None:
    """Return the manifest of a prepared folder; None if there is none that can be read."""
    try:
        return PreparedManifest.model_validate_json((folder / MANIFEST).read_bytes())
    except (OSError, ValidationError):
        return None


def folder_damage(folder: Path, *, source: str | None = None, verify: bool = False) -> str:
    """Return what is wrong with a prepared folder; empty if nothing is.

    Args:
        folder: The folder.
        source: What it must have been made from; None for anything.
        verify: Take the digest of every file, also where size and modification time fit.
    """
    if not folder.is_dir():
        return "it does not exist"
    manifest = read_manifest(folder)
    if manifest is None:
        return f"{MANIFEST} is missing or unreadable"
    if source is not None and manifest.source != source:
        return f"it was made from {manifest.source!r}, not from {source!r}"
    for name, file in manifest.files.items():
        reason = _file_damage(folder / name, file, verify=verify)
        if reason:
            return reason
    return ""


def _file_damage(path: Path, known: _File, *, verify: bool) -> str:
    if not path.is_file():
        return f"{path.name} is missing"
    stat = path.stat()
    if stat.st_size != known.size:
        return f"{path.name} has {stat.st_size} bytes instead of {known.size}"
    unchanged = stat.st_mtime_ns == known.mtime_ns and not verify
    if not unchanged and file_digest(path) != known.sha256:
        return f"{path.name} was altered"
    return ""
