"""The store's schema version: read it, bring an older store up to date, refuse an unknown one.

Knows revisions; the tables themselves stand in `tables`, the steps in `migrations/versions`. A new
store is created from `tables` in one go, without alembic: that takes a tenth of the time.
"""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from usersim.corpus.store.database import Database
from usersim.corpus.store.ddl import statements
from usersim.corpus.store.intact import check_intact, check_passive, is_as_created
from usersim.corpus.store.tables import SCHEMA_VERSION
from usersim.errors import CorpusSchemaError

__all__ = ["MIGRATIONS", "prepare"]

logger = logging.getLogger(__name__)

MIGRATIONS = Path(__file__).parent / "migrations"


def prepare(
    database: Database, *, adapters_root: Path | None = None, migrations: Path = MIGRATIONS
) -> None:
    """Create the schema in a new store, upgrade an older one, accept the present one.

    Everything happens in one transaction: a store is never left between two versions.

    Args:
        database: The store.
        adapters_root: Folder below which paths of adapters are kept relative to it; None keeps
            them as they are.
        migrations: Folder of the migrations.

    Raises:
        CorpusSchemaError: If the store belongs to a newer usersim, or to another program, or is
            not as usersim makes one.
    """
    with database.read() as connection:
        version = _version(connection, database.name)
        if version is not None and database.is_sqlite and not is_as_created(connection):
            check_passive(connection, database.name)
            if version == SCHEMA_VERSION:
                check_intact(connection, database.name)
    if version == SCHEMA_VERSION:
        return
    if database.read_only and version is not None:
        raise CorpusSchemaError(
            f"the store {database.name!r} has schema version {version!r}, and is read-only, so "
            f"that it cannot be upgraded to {SCHEMA_VERSION!r}",
            hint="copy it to a writable folder, and open it there",
        )
    with database.remake() as connection:
        # Another process may have done it since; the write lock makes this look final.
        version = _version(connection, database.name)
        if version is None and migrations == MIGRATIONS:
            _create(connection, database.name)
        elif version != SCHEMA_VERSION:
            _upgrade(connection, version, database.name, migrations, adapters_root)
            if version is not None and database.is_sqlite and migrations == MIGRATIONS:
                check_intact(connection, database.name)


def _version(connection: Connection, name: str) -> str | None:
    """Return the store's schema version; None for an empty database.

    Raises:
        CorpusSchemaError: If the database belongs to another program.
    """
    tables = set(inspect(connection).get_table_names())
    if not tables:
        return None
    version = None
    if "alembic_version" in tables:
        version = connection.scalar(text("SELECT version_num FROM alembic_version"))
    if version is None or "interactions" not in tables:
        some = ", ".join(sorted(tables)[:5])
        raise CorpusSchemaError(
            f"{name!r} is a database of another program (it has the tables {some})",
            hint="choose another file or database for the corpus",
        )
    return version


def _create(connection: Connection, name: str) -> None:
    """Create the newest schema in an empty database, and note its version as alembic does."""
    for statement in statements(connection.dialect.name):
        connection.exec_driver_sql(statement)
    logger.info("made the store %s", name)


def _upgrade(
    connection: Connection,
    version: str | None,
    name: str,
    migrations: Path,
    adapters_root: Path | None,
) -> None:
    with _quiet():
        from alembic import command
        from alembic.config import Config
        from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    known = {step.revision for step in ScriptDirectory.from_config(config).walk_revisions()}
    if version is not None and version not in known:
        raise CorpusSchemaError(
            f"the store {name!r} has schema version {version!r}, and this usersim knows "
            f"versions up to {SCHEMA_VERSION!r}",
            hint="the store was written by a newer usersim: pip install --upgrade usersim-recon",
        )
    config.attributes["connection"] = connection
    config.attributes["adapters_root"] = adapters_root
    with _quiet():
        command.upgrade(config, "head")
    if version is None:
        logger.info("made the store %s", name)
    else:
        logger.info("upgraded the store %s from schema %s to %s", name, version, SCHEMA_VERSION)


@contextmanager
def _quiet() -> Generator[None]:
    """Keep alembic's steps out of a log of ours; a level that the application set stays.

    Yields:
        Nothing.
    """
    theirs = logging.getLogger("alembic")
    level = theirs.level
    if level == logging.NOTSET:
        theirs.setLevel(logging.WARNING)
    try:
        yield
    finally:
        theirs.setLevel(level)
