"""A score's gains under the names that the code has for them."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_COLUMNS = {"gain": "raw_gain", "report_gain": "reported_gain"}


def upgrade() -> None:
    """Bring the schema to this version."""
    for old, new in _COLUMNS.items():
        op.execute(f"ALTER TABLE candidates RENAME COLUMN {old} TO {new}")
    op.execute(
        "UPDATE candidates SET components ="
        """ replace(components, '"raw_report_gain":', '"raw_reported_gain":')"""
        " WHERE components IS NOT NULL"
    )
