"""Everything: people and interactions, traces, adapters, runs, responses, search index."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema to this version."""
    _create_people()
    _create_interactions()
    _create_traces()
    _create_products()
    if op.get_bind().dialect.name == "sqlite":
        # `owner` is a word of its own per user, so that a search can be held to one person.
        op.execute("CREATE VIRTUAL TABLE history_search USING fts5(owner, text)")


def _id() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _create_people() -> None:
    op.create_table(
        "users",
        sa.Column("id", _id(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("placed", sa.Boolean(), nullable=False),
        sa.Column("indexed_upto", _id(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("user_id", name=op.f("uq_users_user_id")),
    )
    op.create_table(
        "conversations",
        sa.Column("id", _id(), nullable=False),
        sa.Column("user_id", _id(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_conversations_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_conversations")),
        sa.UniqueConstraint("name", "user_id", name=op.f("uq_conversations_name_user_id")),
    )
    op.create_index(op.f("ix_conversations_user_id"), "conversations", ["user_id"])


def _create_interactions() -> None:
    op.create_table(
        "interactions",
        sa.Column("id", _id(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("user_id", _id(), nullable=False),
        sa.Column("conversation_id", _id(), nullable=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("split", sa.Text(), nullable=False),
        sa.Column("moment", sa.Float(), nullable=True),
        sa.Column("source_order", sa.Float(), nullable=True),
        sa.Column("source_id", sa.Text(), nullable=True),
        sa.Column("timestamp", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("space", sa.Text(), nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("context", sa.Text(), nullable=False),
        sa.Column("metadata", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations.id"],
            name=op.f("fk_interactions_conversation_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_interactions_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_interactions")),
        sa.UniqueConstraint("key", name=op.f("uq_interactions_key")),
    )
    op.create_index(op.f("ix_interactions_conversation_id"), "interactions", ["conversation_id"])
    op.create_index(
        op.f("ix_interactions_user_id_position"), "interactions", ["user_id", "position"]
    )


def _create_traces() -> None:
    op.create_table(
        "candidates",
        sa.Column("stage_key", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("interaction_key", sa.Text(), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("draw", sa.Integer(), nullable=False),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("adapter", sa.Text(), nullable=True),
        sa.Column("prompt_id", sa.Text(), nullable=False),
        sa.Column("seed", sa.Text(), nullable=False),
        sa.Column("log_q", sa.Float(), nullable=True),
        sa.Column("n_tokens", sa.Integer(), nullable=False),
        sa.Column("decoy_action", sa.Text(), nullable=True),
        sa.Column("reasoning", sa.Text(), nullable=False),
        sa.Column("scorer", sa.Text(), nullable=True),
        sa.Column("unit", sa.Text(), nullable=True),
        sa.Column("gain", sa.Float(), nullable=True),
        sa.Column("masked_gain", sa.Float(), nullable=True),
        sa.Column("report_gain", sa.Float(), nullable=True),
        sa.Column("components", sa.Text(), nullable=True),
        sa.Column("longest_run", sa.Integer(), nullable=True),
        sa.Column("containment", sa.Float(), nullable=True),
        sa.Column("quoted_span", sa.Integer(), nullable=True),
        sa.Column("asserts_option", sa.Boolean(), nullable=True),
        sa.Column("trace_only_share", sa.Float(), nullable=True),
        sa.Column("plausibility", sa.Float(), nullable=True),
        sa.Column("leak_reasons", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["interaction_key"],
            ["interactions.key"],
            name=op.f("fk_candidates_interaction_key"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("stage_key", "key", name=op.f("pk_candidates")),
    )
    op.create_index(op.f("ix_candidates_interaction_key"), "candidates", ["interaction_key"])
    op.create_index(op.f("ix_candidates_key"), "candidates", ["key"])
    op.create_table(
        "selections",
        sa.Column("stage_key", sa.Text(), nullable=False),
        sa.Column("interaction_key", sa.Text(), nullable=False),
        sa.Column("kept", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("utilities", sa.Text(), nullable=False),
        sa.Column("verdicts", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["interaction_key"],
            ["interactions.key"],
            name=op.f("fk_selections_interaction_key"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("stage_key", "interaction_key", name=op.f("pk_selections")),
    )
    op.create_index(op.f("ix_selections_interaction_key"), "selections", ["interaction_key"])


def _create_products() -> None:
    op.create_table(
        "adapters",
        sa.Column("id", _id(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("base_model", sa.Text(), nullable=False),
        sa.Column("created", sa.Text(), nullable=False),
        sa.Column("manifest", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_adapters")),
        sa.UniqueConstraint("name", name=op.f("uq_adapters_name")),
    )
    op.create_table(
        "adapter_users",
        sa.Column("adapter_id", _id(), nullable=False),
        sa.Column("user_id", _id(), nullable=False),
        sa.ForeignKeyConstraint(
            ["adapter_id"],
            ["adapters.id"],
            name=op.f("fk_adapter_users_adapter_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_adapter_users_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("adapter_id", "user_id", name=op.f("pk_adapter_users")),
    )
    op.create_index(op.f("ix_adapter_users_user_id"), "adapter_users", ["user_id"])
    op.create_table(
        "runs",
        sa.Column("id", _id(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("created", sa.Text(), nullable=False),
        sa.Column("config", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
        sa.UniqueConstraint("fingerprint", name=op.f("uq_runs_fingerprint")),
    )
    op.create_table(
        "responses",
        sa.Column("id", _id(), nullable=False),
        sa.Column("user_id", _id(), nullable=False),
        sa.Column("run_id", _id(), nullable=True),
        sa.Column("question_key", sa.Text(), nullable=False),
        sa.Column("created", sa.Text(), nullable=False),
        sa.Column("record", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name=op.f("fk_responses_run_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_responses_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_responses")),
    )
    op.create_index(op.f("ix_responses_question_key"), "responses", ["question_key"])
    op.create_index(op.f("ix_responses_run_id"), "responses", ["run_id"])
    op.create_index(op.f("ix_responses_user_id"), "responses", ["user_id"])
