"""From a source to a loaded store: where it lies if the caller does not say, and what was read."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypedDict, Unpack

from usersim.config import CorpusConfig
from usersim.corpus import Corpus, LoadReport
from usersim.corpus.readers.formats import Format

__all__ = ["Loading", "load_into_store", "store_of"]

logger = logging.getLogger(__name__)

SUFFIX = ".usersim.db"


class Loading(TypedDict):
    """How a source is read; see `Corpus.add`."""

    format: Format
    person: str | None
    codebook: Mapping[str, object] | str | Path | None
    strict: bool


def load_into_store(
    source: object,
    store: str | Path | None,
    config: CorpusConfig,
    *,
    user_id: str | None,
    progress: Callable[[int, int | None], None] | None,
    **how: Unpack[Loading],
) -> tuple[Corpus, LoadReport | None]:
    """Load `source` into its store; an open corpus is taken as it is and has no report.

    Args and errors as for `Corpus.open` and `Corpus.add`; after an error the store is closed.
    """
    if isinstance(source, Corpus):
        return source, None
    corpus = Corpus.open(store_of(source, store), config=config)
    try:
        report = corpus.add(source, user_id=user_id, progress=progress, **how)
    except BaseException:
        corpus.close()
        raise
    # The report itself quotes refused values, which are personal.
    logger.info(
        "%d rows read, %d kept, %d refused", report.rows_read, report.kept, len(report.refused)
    )
    return corpus, report


def store_of(source: object, store: str | Path | None) -> str:
    """Return the store of `source`: the one named, a file beside it, or memory.

    Example:
        >>> store_of("people/ada.jsonl", None)
        'people/ada.usersim.db'
        >>> store_of([], None)
        ':memory:'
    """
    if store is not None:
        return str(store)
    if isinstance(source, str | Path):
        path = Path(source)
        return str(path.with_name(path.name.split(".")[0] + SUFFIX))
    return ":memory:"
