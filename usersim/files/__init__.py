"""Files that are whole or not there, rows as CSV, JSON Lines or Parquet, and digests.

A file is written beside its place, read back, brought to the disk, and moved into place: a reader
sees the old file or the whole new one, whatever is interrupted, full or lost. Every file that
usersim exports is written here; what is appended to line by line (a journal) is not. Documents that
people write (surveys, plans) are read here too, as plain data.

Cells of a CSV file: a text that a spreadsheet would compute gets a `'` before it; `escape_cell`
says exactly which, and `unescape_cell` takes it away again.
"""

from usersim.files.documents import MOST_BYTES, inside, read_document, read_json, write_document
from usersim.files.rows import (
    Form,
    csv_text,
    escape_cell,
    form_of,
    json_line,
    unescape_cell,
    write_rows,
)
from usersim.files.whole import (
    DISK_HINT,
    file_digest,
    make_folder,
    remove_quietly,
    replacing,
    sync,
    sync_tree,
    write_bytes,
    write_text,
)

__all__ = [
    "DISK_HINT",
    "MOST_BYTES",
    "Form",
    "csv_text",
    "escape_cell",
    "file_digest",
    "form_of",
    "inside",
    "json_line",
    "make_folder",
    "read_document",
    "read_json",
    "remove_quietly",
    "replacing",
    "sync",
    "sync_tree",
    "unescape_cell",
    "write_bytes",
    "write_document",
    "write_rows",
    "write_text",
]
