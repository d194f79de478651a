"""Readers: from a source to records, and from records to rows of the row format.

`sources` recognises a source by its content; `text` reads JSON Lines, JSON and CSV; `frames`
reads Parquet, pandas and polars; `chat` and `survey` turn records into rows. None of them
checks a row, and none knows the store.
"""

from usersim.corpus.readers.formats import Format, RowMaker, row_maker
from usersim.corpus.readers.records import Records, Unreadable
from usersim.corpus.readers.sources import open_source
from usersim.corpus.readers.survey import Codebook

__all__ = ["Codebook", "Format", "Records", "RowMaker", "Unreadable", "open_source", "row_maker"]
