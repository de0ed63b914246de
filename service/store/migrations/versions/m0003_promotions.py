"""Promotions: which version of a model was to serve, from when on, and why."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "promotions",
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("number", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("version", sa.String(20), nullable=False),
        sa.Column("previous", sa.String(20)),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("evaluation", sa.String(36)),
        sa.Column("instant", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", "number", name="pk_promotions"),
    )
