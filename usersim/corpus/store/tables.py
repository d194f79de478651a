"""The one schema of the store: what a corpus keeps, table by table.

Knows tables and columns; knows nothing of sources, splits or models. The large columns stand
last, so that a scan over the small ones touches no overflow page. JSON is kept as text that
this package writes and reads itself: the hot path hands tuples to the driver.
`migrations/versions` must produce exactly this schema; a test compares the two.

A row id is never given twice (`sqlite_autoincrement`; PostgreSQL's sequences do so anyway). Ids
are held across transactions by loads, readers, runs and trainings, and a person may be forgotten
in between: what still comes under their id must find nobody.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

__all__ = [
    "SCHEMA_VERSION",
    "SEARCH_TABLE",
    "adapter_users",
    "adapters",
    "candidates",
    "conversations",
    "fits",
    "fleet_tasks",
    "fleets",
    "interactions",
    "metadata",
    "responses",
    "run_items",
    "runs",
    "selections",
    "training_users",
    "trainings",
    "users",
]

SCHEMA_VERSION = "0006"
"""Newest revision in `migrations/versions`."""

SEARCH_TABLE = "history_search"
"""FTS5 table of the SQLite store: one row per indexed interaction, same row id."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_Id = BigInteger().with_variant(Integer(), "sqlite")


def _cascade(target: str) -> ForeignKey:
    return ForeignKey(target, ondelete="CASCADE")


users = Table(
    "users",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("user_id", Text, nullable=False, unique=True),
    # False from the first row of a load until positions and splits are computed again.
    Column("placed", Boolean, nullable=False),
    # Interactions of this user up to this id are in the search index.
    Column("indexed_upto", _Id, nullable=False),
    sqlite_autoincrement=True,
)

conversations = Table(
    "conversations",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("user_id", _Id, _cascade("users.id"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    UniqueConstraint("name", "user_id"),
    sqlite_autoincrement=True,
)

interactions = Table(
    "interactions",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("user_id", _Id, _cascade("users.id"), nullable=False),
    # Null where the interaction is a conversation of its own.
    Column("conversation_id", _Id, _cascade("conversations.id"), index=True),
    Column("position", Integer, nullable=False),
    Column("split", Text, nullable=False),
    Column("moment", Float),  # seconds since 1970, UTC; orders rows whatever the text form
    Column("source_order", Float),
    Column("source_id", Text),
    Column("timestamp", Text),
    Column("kind", Text, nullable=False),
    Column("space", Text),
    Column("action", Text, nullable=False),
    Column("context", Text, nullable=False),
    Column("metadata", Text),
    Index(None, "user_id", "position"),
    sqlite_autoincrement=True,
)

candidates = Table(
    "candidates",
    metadata,
    Column("stage_key", Text, primary_key=True),
    Column("key", Text, primary_key=True, index=True),
    Column("interaction_key", Text, _cascade("interactions.key"), nullable=False, index=True),
    Column("direction", Text, nullable=False),
    Column("draw", Integer, nullable=False),
    Column("complete", Boolean, nullable=False),
    Column("model", Text, nullable=False),
    Column("adapter", Text),
    Column("prompt_id", Text, nullable=False),
    Column("seed", Text, nullable=False),  # text: a seed may have more than 63 bits
    Column("log_q", Float),
    Column("n_tokens", Integer, nullable=False),
    Column("decoy_action", Text),
    Column("reasoning", Text, nullable=False),
    # Null until the candidate is scored.
    Column("scorer", Text),
    Column("unit", Text),
    Column("raw_gain", Float),
    Column("masked_gain", Float),
    Column("reported_gain", Float),
    Column("components", Text),
    Column("longest_run", Integer),
    Column("containment", Float),
    Column("quoted_span", Integer),
    Column("asserts_option", Boolean),
    Column("trace_only_share", Float),
    Column("plausibility", Float),
    Column("leak_reasons", Text),
)

selections = Table(
    "selections",
    metadata,
    Column("stage_key", Text, primary_key=True),
    Column("interaction_key", Text, _cascade("interactions.key"), primary_key=True, index=True),
    Column("kept", Text),
    Column("reason", Text, nullable=False),
    Column("utilities", Text, nullable=False),
    Column("verdicts", Text, nullable=False),
)

adapters = Table(
    "adapters",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    # Relative to the store's own folder of adapters where it lies below; else absolute.
    Column("path", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("base_model", Text, nullable=False),
    Column("created", Text, nullable=False),
    Column("manifest", Text, nullable=False),
    sqlite_autoincrement=True,
)

adapter_users = Table(
    "adapter_users",
    metadata,
    Column("adapter_id", _Id, _cascade("adapters.id"), primary_key=True),
    Column("user_id", _Id, _cascade("users.id"), primary_key=True, index=True),
)

# Trainings under way. Forgetting a person takes their rows of `training_users` along, so a
# training that finds fewer than `people` learns from somebody who was forgotten, and stops.
trainings = Table(
    "trainings",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("people", Integer, nullable=False),
    Column("worker", Text, nullable=False),  # host and process
    Column("created", Text, nullable=False),
    sqlite_autoincrement=True,
)

training_users = Table(
    "training_users",
    metadata,
    Column("training_id", _Id, _cascade("trainings.id"), primary_key=True),
    Column("user_id", _Id, _cascade("users.id"), primary_key=True, index=True),
)

# What is fitted over everybody. Every row is in it, so forgetting anybody deletes all of it.
fits = Table(
    "fits",
    metadata,
    Column("kind", Text, primary_key=True),  # panel, pool
    Column("key", Text, primary_key=True),  # of the settings
    Column("state", Text, nullable=False),  # of the rows that it was fitted to
    Column("created", Text, nullable=False),
    Column("data", LargeBinary, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("fingerprint", Text, nullable=False, unique=True),
    Column("created", Text, nullable=False),
    Column("config", Text, nullable=False),
    Column("name", Text),
    # Null until every item of the run is stored.
    Column("total", Integer),
    Index(None, "name", unique=True),
    sqlite_autoincrement=True,
)

run_items = Table(
    "run_items",
    metadata,
    Column("run_id", _Id, _cascade("runs.id"), primary_key=True),
    Column("place", Integer, primary_key=True),
    Column("user_id", _Id, _cascade("users.id"), nullable=False, index=True),
    Column("state", Text, nullable=False),  # open, done, failed
    # Who is working on it, and until when that counts; null while nobody is.
    Column("owner", Text),
    Column("expires", Float),  # seconds since 1970, of the store's clock
    # Of a failed item: class, message, and the text that could not be used. Of an item that is
    # done: the same for what its answer had to do without (the reasoning of a closed question).
    Column("error", Text),
    Column("message", Text),
    Column("text", Text),
    Column("request", Text, nullable=False),
    # Open items by person: the next piece of work is the beginning of this index.
    Index(None, "run_id", "state", "user_id", "place"),
)

responses = Table(
    "responses",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("user_id", _Id, _cascade("users.id"), nullable=False, index=True),
    Column("run_id", _Id, _cascade("runs.id"), index=True),
    Column("question_key", Text, nullable=False, index=True),
    Column("created", Text, nullable=False),
    Column("record", Text, nullable=False),
    # Of an answer in a run: which item it answers, once.
    Column("place", Integer),
    Index(None, "run_id", "place", unique=True),
    sqlite_autoincrement=True,
)

# Work on many people that is spread over workers. Its driver alone writes these two tables.
fleets = Table(
    "fleets",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),  # train, reconstruct, simulate
    Column("created", Text, nullable=False),
    Column("settings", Text, nullable=False),
    # Null until every task of the fleet is stored.
    Column("total", Integer),
    # Who drives it, and until when that counts; null while nobody does.
    Column("driver", Text),  # host and process
    Column("expires", Float),  # seconds since 1970, of the store's clock
    sqlite_autoincrement=True,
)

fleet_tasks = Table(
    "fleet_tasks",
    metadata,
    Column("fleet_id", _Id, _cascade("fleets.id"), primary_key=True),
    Column("place", Integer, primary_key=True),
    Column("user_id", _Id, _cascade("users.id"), nullable=False, index=True),
    Column("state", Text, nullable=False),  # waiting, running, done, failed
    Column("attempts", Integer, nullable=False),
    Column("seconds", Float),
    # Of a task that failed, and of the last attempt of one that waits to be tried again.
    Column("error", Text),
    Column("message", Text),
    Column("result", Text),
    # The next tasks are the beginning of this index: those that were tried least.
    Index(None, "fleet_id", "state", "attempts", "place"),
)
