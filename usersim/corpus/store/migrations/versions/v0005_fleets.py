"""Fleets: work on many people that is spread over workers, a task for each person."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema to this version."""
    op.create_table(
        "fleets",
        sa.Column("id", _id(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("created", sa.Text(), nullable=False),
        sa.Column("settings", sa.Text(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=True),
        sa.Column("driver", sa.Text(), nullable=True),
        sa.Column("expires", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fleets")),
        sa.UniqueConstraint("name", name=op.f("uq_fleets_name")),
        sqlite_autoincrement=True,
    )
    _create_tasks()


def _id() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _create_tasks() -> None:
    op.create_table(
        "fleet_tasks",
        sa.Column("fleet_id", _id(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("user_id", _id(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("result", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["fleet_id"], ["fleets.id"], name=op.f("fk_fleet_tasks_fleet_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_fleet_tasks_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("fleet_id", "place", name=op.f("pk_fleet_tasks")),
    )
    op.create_index(
        op.f("ix_fleet_tasks_fleet_id_state_attempts_place"),
        "fleet_tasks",
        ["fleet_id", "state", "attempts", "place"],
    )
    op.create_index(op.f("ix_fleet_tasks_user_id"), "fleet_tasks", ["user_id"])
