"""The cache of prepared models and kept digests, read again byte by byte.

Opening a prepared model compares sizes and modification times alone, which a disk that flips bits
and whoever sets a time back do not change. Knows files and digests; knows nothing of models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from usersim.config import cache_dir
from usersim.engines.identity import kept_digests
from usersim.engines.prepared import MANIFEST, folder_damage
from usersim.errors import ModelLoadError
from usersim.files import file_digest

__all__ = ["CachePart", "remove_damaged", "verify_cache"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CachePart:
    """One part of the cache.

    Attributes:
        path: The prepared folder, or the file whose digest is kept.
        problem: What is wrong with it; empty if nothing is.
        note: What is removed to repair it: a prepared folder's manifest, or the kept digest.
    """

    path: Path
    problem: str
    note: Path


def verify_cache(*, reading: Callable[[Path], None] | None = None) -> list[CachePart]:
    """Read every prepared model, and every file whose digest is kept, and compare the digests.

    Args:
        reading: Called with each path before it is read; half a gigabyte takes about a second.

    Returns:
        Every part, in the order of their paths.

    Raises:
        ModelLoadError: If the cache cannot be read.
    """
    try:
        return [*_folders(reading), *_files(reading)]
    except OSError as error:
        raise ModelLoadError(
            f"the cache {str(cache_dir())!r} cannot be read: {error.strerror or error}",
            hint="set USERSIM_CACHE to another folder",
        ) from error


def remove_damaged(checked: CachePart) -> None:
    """Remove what vouches for a damaged part: the next use prepares or reads it again.

    Raises:
        ModelLoadError: If it cannot be removed.
    """
    try:
        checked.note.unlink(missing_ok=True)
    except OSError as error:
        raise ModelLoadError(
            f"{str(checked.note)!r} cannot be removed: {error.strerror or error}"
        ) from error


def _folders(reading: Callable[[Path], None] | None) -> Iterator[CachePart]:
    for manifest in sorted((cache_dir() / "models").glob(f"*/{MANIFEST}")):
        folder = manifest.parent
        if reading is not None:
            reading(folder)
        yield CachePart(path=folder, problem=folder_damage(folder, verify=True), note=manifest)


def _files(reading: Callable[[Path], None] | None) -> Iterator[CachePart]:
    for note, kept in kept_digests():
        if kept is None:
            yield CachePart(path=note, problem="the stored digest is damaged", note=note)
            continue
        path = Path(kept.path)
        if reading is not None:
            reading(path)
        try:
            stat = path.stat()
        except OSError:
            continue  # moved or removed: nothing asks for its digest under this name any more
        if (stat.st_size, stat.st_mtime_ns) != (kept.size, kept.mtime_ns):
            continue  # written anew: it is read again when it is next used
        altered = file_digest(path) != kept.sha256
        problem = f"{path.name} was altered, and its modification time is unchanged"
        yield CachePart(path=path, problem=problem if altered else "", note=note)
