"""From a source to a loaded store: where it lies if the caller does not say, and what was read."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from usersim.config import CorpusConfig
from usersim.corpus import Corpus, LoadReport, is_store
from usersim.corpus.readers.formats import Format
from usersim.errors import ConfigError, CorpusError
from usersim.types import DateOrder
from usersim.views import Progress

__all__ = ["check_source", "load_into_store", "open_store", "store_of"]

logger = logging.getLogger(__name__)

SUFFIX = ".usersim.db"


def open_store(store: str | Path, config: CorpusConfig = CorpusConfig()) -> Corpus:
    """Open a store that is there; one that is only to be read must not be made.

    Args:
        store: SQLite file, or URL of a database.
        config: How sources are read and split.

    Raises:
        ConfigError: If there is no such file.
        CorpusError: If it cannot be opened, or is not a store.
    """
    if "://" not in str(store) and not Path(store).is_file():
        raise ConfigError(
            f"there is no store at {str(store)!r}",
            hint="create one with UserSimulator.from_corpus(rows, store=…)",
            cli_hint="create one: usersim load people.jsonl --corpus people.usersim.db",
        )
    return Corpus.open(store, config=config)


def check_source(source: object, store: str | Path | None, reading: Mapping[str, object]) -> None:
    """Refuse what only applies to rows where a store is opened as it is.

    Args:
        source: A store.
        store: Where rows would be loaded into.
        reading: How rows would be read, by argument; what is not None or False was asked for.

    Raises:
        ConfigError: Naming the argument.
    """
    given = {"store": store, **reading}
    wrong = [name for name, value in given.items() if value]
    if wrong:
        raise ConfigError(
            f"{wrong[0]}={given[wrong[0]]!r} applies to a source of rows, but {str(source)!r} is a "
            "store",
            hint=f"leave out {wrong[0]}=, or give a file of rows",
        )


def load_into_store(  # noqa: PLR0913 - each a plain fact about the source
    source: object,
    store: str | Path | None,
    config: CorpusConfig,
    *,
    user_id: str | None,
    format: Format,  # noqa: A002 - the word of every reader
    person: str | None,
    codebook: Mapping[str, object] | Sequence[object] | str | Path | None,
    encoding: str | None,
    date_order: DateOrder | None,
    strict: bool,
    progress: Progress,
) -> tuple[Corpus, LoadReport | None]:
    """Load `source` into its store; a store, or an open corpus, is taken as it is.

    Args and errors as for `Corpus.open` and `Corpus.add`; after an error the store is closed.

    Returns:
        The corpus, and what was read; None where nothing was.

    Raises:
        CorpusError: If there is nobody in the store afterwards.
    """
    if isinstance(source, Corpus) or is_store(source):
        reading = {
            "person": person,
            "codebook": codebook,
            "encoding": encoding,
            "date_order": date_order,
            "strict": strict,
        }
        check_source(getattr(source, "name", source), store, reading)
        return source if isinstance(source, Corpus) else open_store(str(source), config), None
    corpus = Corpus.open(store_of(source, store), config=config)
    try:
        report = corpus.add(
            source,
            format=format,
            user_id=user_id,
            keep_others=True,
            person=person,
            codebook=codebook,
            encoding=encoding,
            date_order=date_order,
            strict=strict,
            progress=progress,
        )
        _check_loaded(report)
    except BaseException:
        corpus.close()
        raise
    # The report itself quotes refused values, which are personal.
    logger.info(
        "%d rows read, %d kept, %d refused", report.rows_read, report.kept, len(report.refused)
    )
    return corpus, report


def _check_loaded(report: LoadReport) -> None:
    """Refuse a source that holds nothing to simulate anybody by.

    Raises:
        CorpusError: If there was no row, or none could be used.
    """
    if report.kept or report.already_present or report.other_users:
        return  # that a person is not among those who are there is said by their name
    said = "\n".join([*report.refusals(), *report.notes])
    raise CorpusError(
        f"{report.source} holds no rows"
        if not report.rows_read
        else f"none of the {report.rows_read} rows of {report.source} could be used"
        f"{f':{chr(10)}{said}' if said else ''}",
        hint="a row is an object such as "
        '{"user_id": "ada", "context": "Tea or coffee?", "action": "Tea."}; '
        "UserSimulator.open(store) opens people who were loaded before",
        cli_hint="a row is an object such as "
        '{"user_id": "ada", "context": "Tea or coffee?", "action": "Tea."}; '
        "--corpus FILE opens people who were loaded before",
    )


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
