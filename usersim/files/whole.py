"""One file, written in one move: beside its place, checked, brought to the disk, renamed.

Knows files; knows nothing of what they hold.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from hashlib import file_digest as hashlib_digest
from pathlib import Path

from usersim.errors import UsersimError

__all__ = [
    "DISK_HINT",
    "Check",
    "expect",
    "file_digest",
    "make_folder",
    "remove_quietly",
    "replacing",
    "sync",
    "sync_tree",
    "write_bytes",
    "write_text",
]

DISK_HINT = "choose a file in a writable folder, on a disk with free space"

Check = Callable[[Path], None]

_SHOWN_NAME = 40
"""Characters of a file's name that the file beside it carries: names may not grow too long."""


@contextmanager
def replacing(
    path: str | Path,
    *,
    what: str,
    error: type[UsersimError],
    hint: str = DISK_HINT,
    check: Check | None = None,
) -> Generator[Path]:
    """Give the path of a file to be filled; at the end of the `with` it takes the place of `path`.

    A file that was there is replaced, with its permissions; a link is followed. What is no
    regular file (a pipe, `/dev/stdout`) is written to directly. If the block fails, the old file
    stays and nothing is left beside it.

    Args:
        path: The file.
        what: What is written, for messages, as in `"the answers"`.
        error: Raised in place of an `OSError`.
        hint: Its hint.
        check: Called with the filled file before it is moved; raises `OSError` if the file does
            not hold what was written.

    Yields:
        A path in the same folder.

    Raises:
        UsersimError: Of class `error`, if the file cannot be written.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from usersim.errors import CorpusError
        >>> with TemporaryDirectory() as folder:
        ...     with replacing(f"{folder}/a.txt", what="a note", error=CorpusError) as half:
        ...         _ = half.write_text("tea", encoding="utf-8")
        ...     Path(folder, "a.txt").read_text(encoding="utf-8")
        'tea'
    """
    try:
        target = Path(path)
        if target.exists() and not target.is_file() and not target.is_dir():
            yield target
            return
        real = Path(os.path.realpath(target))
        half = real.with_name(f".{real.name[:_SHOWN_NAME]}.{secrets.token_hex(4)}.partial")
        try:
            yield half
            if check is not None:
                check(half)
            if real.is_file():
                half.chmod(stat.S_IMODE(real.stat().st_mode))
            sync(half)
            half.replace(real)
        except BaseException:
            remove_quietly(half)
            raise
        sync(real.parent)
    except OSError as cause:
        raise error(
            f"{what} cannot be written to {str(path)!r}: {cause.strerror or cause}", hint=hint
        ) from cause


def make_folder(
    path: str | Path, *, what: str, error: type[UsersimError], hint: str = DISK_HINT
) -> Path:
    """Make a folder, with those above it, unless it is there.

    Args:
        path: The folder.
        what: What is to be written there, for messages.
        error: Raised in place of an `OSError`.
        hint: Its hint.

    Returns:
        The folder.

    Raises:
        UsersimError: Of class `error`, if it cannot be made.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as cause:
        raise error(
            f"{what} cannot be written to {str(path)!r}: {cause.strerror or cause}", hint=hint
        ) from cause
    return folder


def write_bytes(
    path: str | Path,
    content: bytes,
    *,
    what: str,
    error: type[UsersimError],
    hint: str = DISK_HINT,
) -> Path:
    """Write a file in one move.

    Args:
        path: The file.
        content: All of it.
        what: What is written, for messages.
        error: Raised in place of an `OSError`.
        hint: Its hint.

    Returns:
        `path`.

    Raises:
        UsersimError: Of class `error`, if the file cannot be written.
    """

    def check(half: Path) -> None:
        expect(half.stat().st_size, len(content), "bytes")

    with replacing(path, what=what, error=error, hint=hint, check=check) as half:
        half.write_bytes(content)
    return Path(path)


def write_text(
    path: str | Path, text: str, *, what: str, error: type[UsersimError], hint: str = DISK_HINT
) -> Path:
    """Write a text in one move, as UTF-8; a lone surrogate becomes a question mark.

    Args:
        path: The file.
        text: All of it.
        what: What is written, for messages.
        error: Raised in place of an `OSError`.
        hint: Its hint.

    Returns:
        `path`.

    Raises:
        UsersimError: Of class `error`, if the file cannot be written.
    """
    return write_bytes(path, text.encode("utf-8", "replace"), what=what, error=error, hint=hint)


def expect(found: int, written: int, of: str) -> None:
    """Check what was read back.

    Raises:
        OSError: If it is not what was written.
    """
    if found != written:
        raise OSError(errno.EIO, f"{found} {of} can be read back of {written} written")


def sync(path: Path) -> None:
    """Bring a file's content, or a folder's entries, to the disk.

    Not every file system can do this for a folder (none on Windows); its files are safe then.

    Raises:
        OSError: If a file's content does not reach the disk.
    """
    if path.is_dir():
        with suppress(OSError):
            _fsync(path)
    else:
        _fsync(path)


def sync_tree(folder: Path) -> None:
    """Bring everything in a folder to the disk, the folder itself last.

    Raises:
        OSError: If a file's content does not reach the disk.
    """
    for path in sorted(folder.rglob("*"), reverse=True):
        if not path.is_symlink():
            sync(path)
    sync(folder)


def _fsync(path: Path) -> None:
    # A file may be read-only by now, which Windows alone minds.
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_quietly(path: Path) -> None:
    """Remove a file that is in the way; that it cannot be removed must hide no other error."""
    with suppress(OSError):
        path.unlink()


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal.

    Raises:
        OSError: If it cannot be read.
    """
    with path.open("rb") as stream:
        return hashlib_digest(stream, "sha256").hexdigest()
