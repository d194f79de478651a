"""Files wherever they lie: on disk, compressed, in a folder, in a zip archive.

A zip archive is read in place and never unpacked to disk. What it declares is checked before it
is read and counted while it is read, so that a small file cannot become an endless one; the same
holds of a file that gzip packed. Lines are read up to a limit, so that memory stays flat.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Protocol, TypeVar, cast

from usersim.errors import CorpusFormatError

__all__ = ["Archive", "LongLine", "Member", "file_of", "guarded", "is_zip"]

MOST_MEMBERS = 200_000
"""Files of an archive or a folder."""
MOST_BYTES = 64 << 30
"""What is read of one archive, uncompressed."""
MOST_RATIO = 200
"""How many times its compressed size a file of an archive may have; text reaches about 30."""
MOST_LINE = 32 << 20
"""Longest line of a file that is read line by line, bytes or characters."""
MOST_WHOLE = 256 << 20
"""Largest file that is read in one piece, bytes."""
_RATIO_FROM = 16 << 20  # bytes; below it a ratio harms nobody
_BUFFER = 1 << 20
_HEAD = 1 << 16
_SHOWN = 200
_GZIP = b"\x1f\x8b"
_ENCRYPTED = 0x1
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class LongLine:
    """A line that is longer than `MOST_LINE`.

    Attributes:
        beginning: Its first bytes.
    """

    beginning: bytes


@dataclass(frozen=True, slots=True)
class Member:
    """A file that can be opened again and again.

    Attributes:
        name: Its path, within its archive or folder.
        open: Opens it for reading bytes.
        size: Uncompressed bytes, where known.
        path: Where it lies on disk, if it does and is not compressed.
    """

    name: str
    open: Callable[[], AbstractContextManager[IO[bytes]]]
    size: int | None = None
    path: Path | None = None

    def head(self) -> bytes:
        """Return the beginning of the content.

        Raises:
            CorpusFormatError: If it cannot be read.
        """
        return b"".join(guarded(self._chunks(_HEAD, most=1), self.name))

    def read(self) -> bytes:
        """Return the whole content.

        Raises:
            CorpusFormatError: If it cannot be read to its end, or is too large for one piece.
        """
        size, chunks = 0, list[bytes]()
        for chunk in guarded(self._chunks(_BUFFER), self.name):
            size += len(chunk)
            if size > MOST_WHOLE:
                raise CorpusFormatError(
                    f"{self.name!r} is a single value of more than {MOST_WHOLE} bytes",
                    hint="write large corpora as JSON Lines, one object per line",
                )
            chunks.append(chunk)
        return b"".join(chunks)

    def lines(self) -> Iterator[bytes | LongLine]:
        """Yield the lines with their ends; of one that is too long, its beginning.

        Yields:
            Lines.

        Raises:
            CorpusFormatError: If it cannot be read to its end.
        """

        def read() -> Iterator[bytes | LongLine]:
            with self.open() as file:
                while line := file.readline(MOST_LINE + 1):
                    if len(line) <= MOST_LINE or line.endswith(b"\n"):
                        yield line
                        continue
                    while (more := file.readline(_BUFFER)) and not more.endswith(b"\n"):
                        pass
                    yield LongLine(line[:_SHOWN])

        return guarded(read(), self.name)

    def _chunks(self, size: int, *, most: int | None = None) -> Iterator[bytes]:
        with self.open() as file:
            count = 0
            while chunk := file.read(size):
                yield chunk
                count += 1
                if count == most:
                    return


def guarded(items: Iterator[_T], name: str) -> Iterator[_T]:
    """Yield `items`; a damaged file becomes a typed error.

    Raises:
        CorpusFormatError: If the file cannot be read to its end.
    """
    try:
        yield from items
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError) as error:
        raise CorpusFormatError(
            f"{name!r} cannot be read to its end: {error}",
            hint="rows read so far are kept; fix the file and load it again",
        ) from error


def file_of(path: Path) -> Member:
    """Return a file on disk, decompressed if gzip packed it.

    Raises:
        CorpusFormatError: If it cannot be opened.
    """
    try:
        with path.open("rb") as file:
            packed = file.read(2) == _GZIP
        size = path.stat().st_size
    except OSError as error:
        raise CorpusFormatError(
            f"{str(path)!r} cannot be read: {error.strerror or error}",
            hint="check the path; a relative one starts at the working directory",
        ) from error
    if packed:
        return Member(str(path), lambda: _unpacked(path))
    return Member(str(path), lambda: path.open("rb", buffering=_BUFFER), size, path)


def _unpacked(path: Path) -> AbstractContextManager[IO[bytes]]:
    packed = path.open("rb")
    counted = _Counted(cast("IO[bytes]", gzip.GzipFile(fileobj=packed)), _Ratio(str(path), packed))
    return closing(cast("IO[bytes]", io.BufferedReader(counted, _BUFFER)))


def is_zip(path: Path) -> bool:
    """Return whether a file is a zip archive, by its content."""
    with path.open("rb") as file:
        return file.read(4) in {b"PK\x03\x04", b"PK\x05\x06"}


@dataclass(slots=True)
class Archive:
    """A folder or a zip archive, as the files in it.

    Attributes:
        path: Where it is.
        members: Its files by name, in the order of their names and numbers; links are left out.
        links: How many links there are; they may lead anywhere, so none is followed.
    """

    path: Path
    members: dict[str, Member] = field(default_factory=dict[str, Member])
    links: int = 0

    @classmethod
    def open(cls, path: Path) -> Archive:
        """Look into a folder or a zip archive.

        Raises:
            CorpusFormatError: If it is damaged, encrypted, too large, or names files outside
                itself.
        """
        archive = cls(path)
        if path.is_dir():
            archive._walk()
        else:
            archive._list()
        archive.members = dict(sorted(archive.members.items(), key=lambda one: _natural(one[0])))
        return archive

    def _walk(self) -> None:
        for folder, _, names in os.walk(self.path):
            for name in names:
                file = Path(folder) / name
                if file.is_symlink() or not file.is_file():
                    self.links += 1
                    continue
                within = file.relative_to(self.path).as_posix()
                self._count(within)
                member = file_of(file)
                self.members[within] = Member(within, member.open, member.size, member.path)

    def _list(self) -> None:
        try:
            with zipfile.ZipFile(self.path) as packed:
                infos = packed.infolist()
        except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError) as error:
            raise CorpusFormatError(
                f"{str(self.path)!r} cannot be read as a zip archive: {error}",
                hint="download or copy it again",
            ) from error
        budget = _Budget(str(self.path), MOST_BYTES)
        for info in infos:
            self._check(info)
            if stat.S_ISLNK(info.external_attr >> 16):
                self.links += 1
            elif not info.is_dir():
                self._count(info.filename)
                opened = _opener(self.path, info, budget)
                self.members[info.filename] = Member(info.filename, opened, info.file_size)

    def _count(self, name: str) -> None:
        if name in self.members:
            raise CorpusFormatError(f"{str(self.path)!r} has the file {name!r} twice")
        if len(self.members) >= MOST_MEMBERS:
            raise CorpusFormatError(
                f"{str(self.path)!r} has more than {MOST_MEMBERS} files",
                hint="load a part of it",
            )

    def _check(self, info: zipfile.ZipInfo) -> None:
        name = info.filename
        parts = PurePosixPath(name.replace("\\", "/"))
        if parts.is_absolute() or ".." in parts.parts or ":" in name.partition("/")[0]:
            raise CorpusFormatError(f"{str(self.path)!r} has a file with an unsafe path: {name!r}")
        if info.flag_bits & _ENCRYPTED:
            raise CorpusFormatError(
                f"{name!r} in {str(self.path)!r} is encrypted", hint="unpack it with its password"
            )
        if info.file_size > max(_RATIO_FROM, MOST_RATIO * info.compress_size):
            raise CorpusFormatError(
                f"{name!r} in {str(self.path)!r} would unpack to {info.file_size} bytes from "
                f"{info.compress_size}, more than {MOST_RATIO} times as many",
                hint="if you trust the archive, unpack it and load the folder",
            )


def _natural(name: str) -> list[tuple[int, str]]:
    """Return what sorts "part 2" before "part 10"."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


class _Spent(Protocol):
    """What bytes that were unpacked are counted by."""

    def spend(self, count: int) -> None: ...

    def close(self) -> None: ...


@dataclass(slots=True)
class _Ratio:
    """How much a file that gzip packed unpacks to, compared with what was read of it."""

    name: str
    packed: IO[bytes]
    unpacked: int = 0

    def spend(self, count: int) -> None:
        """Count bytes.

        Raises:
            CorpusFormatError: If they are too many.
        """
        self.unpacked += count
        read = self.packed.tell()
        if self.unpacked > max(_RATIO_FROM, MOST_RATIO * read):
            raise CorpusFormatError(
                f"{self.name!r} unpacks to {self.unpacked} bytes from {read}, more than "
                f"{MOST_RATIO} times as many",
                hint="if you trust the file, unpack it and load what comes out",
            )

    def close(self) -> None:
        """Close the packed file, which the unpacking one leaves open."""
        self.packed.close()


@dataclass(slots=True)
class _Budget:
    """Bytes that may still be read of an archive, over all its files."""

    name: str
    left: int

    def spend(self, count: int) -> None:
        """Count bytes.

        Raises:
            CorpusFormatError: If they are too many.
        """
        self.left -= count
        if self.left < 0:
            raise CorpusFormatError(
                f"{self.name!r} unpacks to more than {MOST_BYTES} bytes",
                hint="if you trust the archive, unpack it and load the folder",
            )

    def close(self) -> None:
        """Do nothing: the other files of the archive are counted too."""


def _opener(
    path: Path, info: zipfile.ZipInfo, budget: _Budget
) -> Callable[[], AbstractContextManager[IO[bytes]]]:
    def opened() -> AbstractContextManager[IO[bytes]]:
        with zipfile.ZipFile(path) as archive:  # an opened file outlives the archive's own handle
            raw = archive.open(info)
        counted = _Counted(raw, budget)
        return closing(cast("IO[bytes]", io.BufferedReader(counted, _BUFFER)))

    return opened


class _Counted(io.RawIOBase):
    """A file that is being unpacked, its bytes counted."""

    def __init__(self, raw: IO[bytes], spent: _Spent) -> None:
        self._raw = raw
        self._spent = spent

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast("bytearray", buffer))
        data = self._raw.read(len(view))
        self._spent.spend(len(data))
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._raw.close()
        self._spent.close()
        super().close()
