"""Readers: from a source to records, and from records to rows of the row format.

`sources` recognizes a source by its content, on disk, in a folder or in an `archive`. `text`,
`frames`, `spss` and `platforms` read tables and JSON; `survey` makes rows of them by a `codebook`,
which `drafts` guesses for its owner to check.
`chat`, `vendors` and `datasets` read talk with an assistant, a record per conversation; `exports`
opens talk among people (`whatsapp`, `messengers`, `slack`, `mail`), whose turns `talk` makes rows
of. None of them checks a row, and none knows the store.
"""

from usersim.corpus.readers.codebook import Codebook
from usersim.corpus.readers.drafts import CodebookDraft, ColumnDraft, draft_codebook
from usersim.corpus.readers.formats import Format, Made, RowMaker, row_maker
from usersim.corpus.readers.records import LeftOut, Records, Unreadable, UnusableRow
from usersim.corpus.readers.sources import SourceOptions, open_source

__all__ = [
    "Codebook",
    "CodebookDraft",
    "ColumnDraft",
    "Format",
    "LeftOut",
    "Made",
    "Records",
    "RowMaker",
    "SourceOptions",
    "Unreadable",
    "UnusableRow",
    "draft_codebook",
    "open_source",
    "row_maker",
]
