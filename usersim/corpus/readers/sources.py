"""What a source is, told by its content: the first bytes of a file, the type of an object."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import cast

from usersim.corpus.readers.archive import Archive, Member, file_of, is_zip
from usersim.corpus.readers.codebook import Codebook, column_key
from usersim.corpus.readers.exports import (
    OTHER_FILES,
    ChatOptions,
    conversation_files,
    export_format,
    open_chat,
    open_slack,
)
from usersim.corpus.readers.formats import SOURCE_FORMATS
from usersim.corpus.readers.frames import is_frame, read_frame, read_parquet
from usersim.corpus.readers.json_stream import items
from usersim.corpus.readers.platforms import Platform, PlatformTable, platform_of
from usersim.corpus.readers.records import TOO_DEEP, LeftOut, Records, Unreadable, too_deep
from usersim.corpus.readers.slack import looks_like_slack
from usersim.corpus.readers.spss import SpssFile, is_spss
from usersim.corpus.readers.text import Table, read_document, read_lines
from usersim.delimited import Dialect, recognize
from usersim.errors import ConfigError, CorpusFormatError
from usersim.types import DateOrder

__all__ = ["SourceOptions", "open_source"]

MOST_DOCUMENT = 64 << 20
"""Largest JSON document that is read in one piece, bytes; a larger array is streamed."""
_KNOWN = (
    "supported formats are JSON Lines, JSON, CSV, Parquet, SPSS, and exports of ChatGPT, Claude, "
    "WhatsApp, "
    "Telegram, Slack, Discord and mail (mbox); each also compressed by gzip or in a zip archive"
)
LINKS = "links"
_TABLES = (".csv", ".tsv", ".json", ".jsonl", ".ndjson")
_UTF32 = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """How a source is read; see `Corpus.add`.

    Attributes:
        format: A `Format`.
        person: Role or name of the modeled person in a chat.
        user_id: Their id, or whose rows are read.
        encoding: Of a delimited text that is not UTF-8.
        date_order: How dates like `05/01/2024` are written.
        codebook: What the columns of a survey mean, where the caller says so.
        gap: Seconds of silence that end a conversation.
        most: Messages that the context of a chat among people has at most.
    """

    format: str = "auto"
    person: str | None = None
    user_id: str | None = None
    encoding: str | None = None
    date_order: DateOrder | None = None
    codebook: Codebook | None = None
    gap: float = 6 * 3600.0
    most: int = 40

    @property
    def chat(self) -> ChatOptions:
        """What a chat among people needs of it."""
        return ChatOptions(self.person, self.user_id, self.date_order, self.gap, self.most)


def open_source(source: object, options: SourceOptions = SourceOptions()) -> Records:
    """Open a path, a pandas or polars frame, or an iterable of dicts.

    Args:
        source: The source; a text is a path.
        options: How it is read.

    Returns:
        Its records, to be read once.

    Raises:
        CorpusFormatError: If it is none of these or its content is unknown.
        SpeakerNotFoundError: If the modeled person of a chat is not named, or not found.
    """
    if isinstance(source, str | Path):
        return _open_path(Path(source), options)
    if is_frame(source):
        return read_frame(source)
    if isinstance(source, dict | bytes) or not isinstance(source, Iterable):
        raise CorpusFormatError(
            f"{type(cast('object', source)).__name__!r} is not a source",
            hint="pass a path, an iterable of dicts, a pandas or polars frame, or a Corpus",
        )
    rows = cast("Iterable[object]", source)
    total = len(rows) if isinstance(rows, Sized) else None
    return Records("an iterable of rows", "json", enumerate(map(_shallow, rows), start=1), total)


def _shallow(row: object) -> object:
    if too_deep(row):
        return Unreadable(b"a row that was given", TOO_DEEP)
    return row


def _open_path(path: Path, options: SourceOptions) -> Records:
    folder = path.is_dir()
    member = None if folder else file_of(path)  # says in our words what is not there
    if member is not None and not is_zip(path):
        return _open_member(member, options)
    archive = Archive.open(path)
    records = _open_archive(archive, options)
    if not archive.links:
        return records
    return replace(records, items=chain([(0, LeftOut(LINKS, archive.links))], records.items))


def _open_archive(archive: Archive, options: SourceOptions) -> Records:
    """Open what a folder or a zip archive holds: an export, or the one table in it.

    Raises:
        CorpusFormatError: If it holds neither.
    """
    if options.format == "slack" or (options.format == "auto" and looks_like_slack(archive)):
        return open_slack(archive, options.chat)
    chats = conversation_files(archive)
    if chats and options.format in {"auto", "chatgpt", "claude"}:
        return _documents(str(archive.path), chats, len(archive.members) - len(chats))
    found, tables = _sorted_members(archive)
    if options.format in SOURCE_FORMATS:
        found = {name: those for name, those in found.items() if name == options.format}
    if len(found) == 1:
        ((name, members),) = found.items()
        others = len(archive.members) - len(members)
        return open_chat(str(archive.path), name, members, options.chat, others=others)
    if not found and len(tables) == 1:
        return _open_member(tables[0], options)
    if found:
        raise CorpusFormatError(
            f"{str(archive.path)!r} contains exports of several kinds: {sorted(found)!r}",
            hint="choose one as the format, or load its files one by one",
        )
    workbook = "[Content_Types].xml" in archive.members
    what = "is an Excel workbook" if workbook else "contains no supported export"
    raise CorpusFormatError(
        f"{str(archive.path)!r} {what}", hint="save it as CSV (UTF-8)" if workbook else _KNOWN
    )


def _sorted_members(archive: Archive) -> tuple[dict[str, list[Member]], list[Member]]:
    """Return the chats among an archive's files, by format, and the tables and JSON files."""
    found: dict[str, list[Member]] = {}
    tables: list[Member] = []
    for member in archive.members.values():
        head = member.head()
        name = export_format(head) if head.strip() else None
        if name is not None:
            found.setdefault(name, []).append(member)
        elif member.name.lower().endswith(_TABLES):
            tables.append(member)
    return found, tables


def _documents(name: str, members: list[Member], others: int) -> Records:
    """Read arrays of conversations, one conversation in memory at a time."""

    def read() -> Iterator[tuple[int, object]]:
        number = 0
        if others:
            yield number, LeftOut(OTHER_FILES, others)
        for member in members:
            for record in items(member, "item"):
                number += 1
                yield number, record

    return Records(name, "json", read())


def _open_member(member: Member, options: SourceOptions) -> Records:
    head = member.head()
    if head.startswith(b"PAR1"):
        return read_parquet(_on_disk(member, "a Parquet file"))
    if is_spss(head):
        return _open_spss(_on_disk(member, "an SPSS file"), options)
    _check_text(head, member.name)
    found = options.format
    if found == "auto":
        found = export_format(head) or "auto"
    if found in SOURCE_FORMATS:
        return open_chat(member.name, found, [member], options.chat)
    return _open_records(member, head, options)


def _open_records(member: Member, head: bytes, options: SourceOptions) -> Records:
    body = head.removeprefix(codecs.BOM_UTF8).lstrip()
    if _is_document(body):
        return _open_document(member, body)
    if body[:1] in {b"{", b"["} or member.name.endswith((".jsonl", ".jsonl.gz", ".ndjson")):
        return Records(member.name, "json", read_lines(member.lines()))
    return _open_table(member, head, options)


def _on_disk(member: Member, what: str) -> Path:
    if member.path is None:
        raise CorpusFormatError(
            f"{member.name!r} is {what} inside an archive", hint="unpack it and load the file"
        )
    return member.path


def _open_document(member: Member, body: bytes) -> Records:
    small = member.size is not None and member.size <= MOST_DOCUMENT
    if body.startswith(b"[") and not small:
        return Records(member.name, "json", enumerate(items(member, "item"), start=1))
    records = read_document(member.read(), member.name)
    return Records(member.name, "json", enumerate(records, start=1), len(records))


def _open_table(member: Member, head: bytes, options: SourceOptions) -> Records:
    try:
        dialect = recognize(head, encoding=options.encoding)
    except LookupError:
        raise ConfigError(f"unknown encoding {options.encoding!r}") from None
    if dialect is None and options.format != "auto":
        dialect = Dialect(",", options.encoding or "utf-8-sig")
    if dialect is None:
        raise CorpusFormatError(f"the content of {member.name!r} is not recognized", hint=_KNOWN)
    table = Table(member, dialect)
    named = options.format in {"limesurvey", "surveymonkey"}
    platform = cast("Platform", options.format) if named else None
    if options.format == "auto":
        platform = platform_of([cell for row in table.header() for cell in row])
    if platform is None:
        return Records(member.name, "table", table.records())
    export = PlatformTable(table, platform)
    if platform == "limesurvey" and _describes(options.codebook, table):
        rows = export.described(cast("Codebook", options.codebook))
        return Records(member.name, "table", rows, format=platform, notes=export.notes)
    book = _merged(export.codebook(), options.codebook)
    return Records(
        member.name, "json", export.records(), format=platform, notes=export.notes, codebook=book
    )


def _describes(book: Codebook | None, table: Table) -> bool:
    """Return whether a codebook speaks of a table's columns by their codes, not their questions."""
    if book is None:
        return False
    codes = {column_key(name).partition("[")[0] for name in table.columns() if " " not in name}
    return any(column_key(name).partition("[")[0] in codes for name in book.items)


def _open_spss(path: Path, options: SourceOptions) -> Records:
    file = SpssFile(path)
    book = _merged(file.codebook(), options.codebook)
    total = file.meta.number_rows
    rows = enumerate(file.records(), start=1)
    return Records(str(path), "json", rows, total, format="spss", codebook=book)


def _merged(own: Mapping[str, object], given: Codebook | None) -> Codebook:
    """Return a source's own codebook, with the columns that the caller describes in their form."""
    book = Codebook.read(own)
    if given is None:
        return book
    items = {**book.items, **given.items}
    other = {given.id_column, given.time_column, *given.skipped}
    return replace(
        book,
        items={column: item for column, item in items.items() if column not in other},
        id_column=given.id_column or book.id_column,
        time_column=given.time_column or book.time_column,
        skipped=given.skipped,
        notes=(*book.notes, *given.notes),
    )


def _check_text(head: bytes, name: str) -> None:
    if not head.removeprefix(codecs.BOM_UTF8).strip():
        raise CorpusFormatError(f"{name!r} is empty", hint=_KNOWN)
    if head.startswith(b"SQLite format 3\x00"):
        raise CorpusFormatError(
            f"{name!r} is a database, not a file of rows",
            hint="open a usersim store with UserSimulator.open(path) or Corpus.open(path)",
            cli_hint="open a usersim store with --corpus FILE",
        )
    bom = next((mark for mark in (*_UTF32, *_UTF16) if head.startswith(mark)), None)
    if bom is not None and recognize(head) is None:
        raise CorpusFormatError(
            f"{name!r} is not UTF-8: its first bytes {head[:2]!r} indicate UTF-16 or UTF-32",
            hint="save it as UTF-8",
        )


def _is_document(body: bytes) -> bool:
    """Return whether this is one JSON value over several lines, or an array of objects."""
    first, newline, rest = body.partition(b"\n")
    bare = first.strip()
    if bare.startswith(b"["):
        inside = bare[1:].lstrip() or rest.lstrip()
        alone = not newline or not rest.strip()
        return inside.startswith(b"{") and (alone or not bare.endswith(b"]"))
    return bare == b"{" and bool(newline)
