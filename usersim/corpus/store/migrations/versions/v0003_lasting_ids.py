"""Row ids that are never given twice, trainings under way, adapter paths that move with the store.

SQLite gives the id of a deleted last row to the next one, unless the table says AUTOINCREMENT, and
that cannot be added to a table: it is rebuilt, filled and renamed, with foreign keys off, as
https://www.sqlite.org/lang_altertable.html tells to (section 7). PostgreSQL's sequences never
give a number twice.
"""

from pathlib import Path

import sqlalchemy as sa
from alembic import context, op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TABLES = {
    "users": """
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        user_id TEXT NOT NULL,
        placed BOOLEAN NOT NULL,
        indexed_upto INTEGER NOT NULL,
        CONSTRAINT uq_users_user_id UNIQUE (user_id)""",
    "conversations": """
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        user_id INTEGER NOT NULL,
        name TEXT NOT NULL,
        CONSTRAINT fk_conversations_user_id
            FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
        CONSTRAINT uq_conversations_name_user_id UNIQUE (name, user_id)""",
    "interactions": """
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        key TEXT NOT NULL,
        user_id INTEGER NOT NULL,
        conversation_id INTEGER,
        position INTEGER NOT NULL,
        split TEXT NOT NULL,
        moment FLOAT,
        source_order FLOAT,
        source_id TEXT,
        timestamp TEXT,
        kind TEXT NOT NULL,
        space TEXT,
        action TEXT NOT NULL,
        context TEXT NOT NULL,
        metadata TEXT,
        CONSTRAINT fk_interactions_conversation_id
            FOREIGN KEY (conversation_id) REFERENCES conversations (id) ON DELETE CASCADE,
        CONSTRAINT fk_interactions_user_id
            FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
        CONSTRAINT uq_interactions_key UNIQUE (key)""",
    "adapters": """
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL,
        path TEXT NOT NULL,
        digest TEXT NOT NULL,
        base_model TEXT NOT NULL,
        created TEXT NOT NULL,
        manifest TEXT NOT NULL,
        CONSTRAINT uq_adapters_name UNIQUE (name)""",
    "runs": """
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        fingerprint TEXT NOT NULL,
        created TEXT NOT NULL,
        config TEXT NOT NULL,
        name TEXT,
        total INTEGER,
        CONSTRAINT uq_runs_fingerprint UNIQUE (fingerprint)""",
    "responses": """
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        user_id INTEGER NOT NULL,
        run_id INTEGER,
        question_key TEXT NOT NULL,
        created TEXT NOT NULL,
        record TEXT NOT NULL,
        place INTEGER,
        CONSTRAINT fk_responses_run_id
            FOREIGN KEY (run_id) REFERENCES runs (id) ON DELETE CASCADE,
        CONSTRAINT fk_responses_user_id
            FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE""",
}

_INDEXES = (
    ("conversations", ["user_id"], False),
    ("interactions", ["conversation_id"], False),
    ("interactions", ["user_id", "position"], False),
    ("runs", ["name"], True),
    ("responses", ["question_key"], False),
    ("responses", ["run_id"], False),
    ("responses", ["user_id"], False),
    ("responses", ["run_id", "place"], True),
)


def upgrade() -> None:
    """Bring the schema to this version."""
    if op.get_bind().dialect.name == "sqlite":
        _never_reuse_ids()
    _create_trainings()
    _shorten_paths()


def _never_reuse_ids() -> None:
    connection = op.get_bind()
    for table, definition in _TABLES.items():
        columns = [column["name"] for column in sa.inspect(connection).get_columns(table)]
        names = ", ".join(columns)
        op.execute(f"CREATE TABLE {table}_anew ({definition})")
        op.execute(f"INSERT INTO {table}_anew ({names}) SELECT {names} FROM {table} ORDER BY id")  # noqa: S608 - names of this schema
        op.execute(f"DROP TABLE {table}")
        op.execute(f"ALTER TABLE {table}_anew RENAME TO {table}")
    for table, columns, unique in _INDEXES:
        op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, columns, unique=unique)


def _id() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _create_trainings() -> None:
    op.create_table(
        "trainings",
        sa.Column("id", _id(), nullable=False),
        sa.Column("people", sa.Integer(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("created", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trainings")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "training_users",
        sa.Column("training_id", _id(), nullable=False),
        sa.Column("user_id", _id(), nullable=False),
        sa.ForeignKeyConstraint(
            ["training_id"],
            ["trainings.id"],
            name=op.f("fk_training_users_training_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_training_users_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("training_id", "user_id", name=op.f("pk_training_users")),
    )
    op.create_index(op.f("ix_training_users_user_id"), "training_users", ["user_id"])


def _shorten_paths() -> None:
    """Write the paths of adapters below the store's own folder of adapters relative to it.

    So does a project that was moved together with its adapters before: its old path leads
    nowhere, and the folder of that name below the present place holds an adapter.
    """
    root: Path | None = context.config.attributes.get("adapters_root")
    if root is None:
        return
    connection = op.get_bind()
    for adapter, stored in connection.execute(sa.text("SELECT id, path FROM adapters")).all():
        short = _shortened(Path(stored), root.resolve())
        if short is not None:
            connection.execute(
                sa.text("UPDATE adapters SET path = :path WHERE id = :id"),
                {"path": short, "id": adapter},
            )


def _shortened(path: Path, root: Path) -> str | None:
    if path.is_relative_to(root) and path != root:
        return path.relative_to(root).as_posix()
    moved = root / path.name
    if not path.exists() and (moved / "usersim.json").is_file():
        return path.name
    return None
