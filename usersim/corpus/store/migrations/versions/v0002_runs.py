"""Runs: a name, the items, and one answer for each item."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema to this version.

    Columns are added and no table is rebuilt: SQLite would cascade what hangs on the old one.
    """
    op.add_column("runs", sa.Column("name", sa.Text(), nullable=True))
    op.add_column("runs", sa.Column("total", sa.Integer(), nullable=True))
    op.create_index(op.f("ix_runs_name"), "runs", ["name"], unique=True)
    op.add_column("responses", sa.Column("place", sa.Integer(), nullable=True))
    op.create_index(
        op.f("ix_responses_run_id_place"), "responses", ["run_id", "place"], unique=True
    )
    _create_items()


def _id() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _create_items() -> None:
    op.create_table(
        "run_items",
        sa.Column("run_id", _id(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("user_id", _id(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("expires", sa.Float(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("request", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name=op.f("fk_run_items_run_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_run_items_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", "place", name=op.f("pk_run_items")),
    )
    op.create_index(
        op.f("ix_run_items_run_id_state_user_id_place"),
        "run_items",
        ["run_id", "state", "user_id", "place"],
    )
    op.create_index(op.f("ix_run_items_user_id"), "run_items", ["user_id"])
