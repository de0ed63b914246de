"""Glossaries, and their entries for each pair of languages."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "glossaries",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("owner", sa.String(16), nullable=False),
        sa.Column("name", sa.String(1024), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_glossaries"),
    )
    op.create_index("ix_glossaries_owner", "glossaries", ["owner"])
    op.create_table(
        "dictionaries",
        sa.Column("glossary_id", sa.String(36), nullable=False),
        sa.Column("source", sa.String(35), nullable=False),
        sa.Column("target", sa.String(35), nullable=False),
        sa.Column("num_entries", sa.Integer, nullable=False),
        sa.Column("entries", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("glossary_id", "source", "target", name="pk_dictionaries"),
        sa.ForeignKeyConstraint(
            ["glossary_id"],
            ["glossaries.id"],
            name="fk_dictionaries_glossary_id",
            ondelete="CASCADE",
        ),
    )
