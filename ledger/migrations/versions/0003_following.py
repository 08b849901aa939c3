"""What picking logs up needs: the contents that are followed, stretch by stretch, and which parts became one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from ledger import guards
from ledger.tables import Instant, Serial

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Adds the tables; every part that there is, is listed."""
    op.create_table(
        "content",
        sa.Column("id", Serial, nullable=False),
        sa.Column("store", sa.String(length=64), nullable=False),
        sa.Column("head_bytes", sa.Integer(), nullable=False),
        sa.Column("head_sha256", sa.String(length=64), nullable=False),
        sa.Column("start", sa.String(length=128), nullable=False),
        sa.Column("since", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_content"),
    )
    op.create_index("ix_content_head", "content", ["store", "head_bytes", "head_sha256"])
    op.create_table(
        "stretch",
        sa.Column("content_id", Serial, nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("lines_before", sa.BigInteger(), nullable=False),
        sa.Column("lines", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("tail_sha256", sa.String(length=64), nullable=False),
        sa.Column("messages_id", Serial, nullable=True),
        sa.Column("duplicates_id", Serial, nullable=True),
        sa.Column("read_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["content_id"], ["content.id"], name="fk_stretch_content_id"),
        sa.ForeignKeyConstraint(["messages_id"], ["part.id"], name="fk_stretch_messages_id"),
        sa.ForeignKeyConstraint(["duplicates_id"], ["part.id"], name="fk_stretch_duplicates_id"),
        sa.PrimaryKeyConstraint("content_id", "start", name="pk_stretch"),
    )
    op.create_table(
        "followed",
        sa.Column("store", sa.String(length=64), nullable=False),
        sa.Column("file", sa.String(length=64), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("content_id", Serial, nullable=True),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("sources", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("changed_ns", sa.BigInteger(), nullable=False),
        sa.Column("since", Instant(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(["content_id"], ["content.id"], name="fk_followed_content_id"),
        sa.PrimaryKeyConstraint("store", "file", name="pk_followed"),
    )
    op.create_table(
        "problem",
        sa.Column("store", sa.String(length=64), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.Column("since", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("store", "path", name="pk_problem"),
    )
    op.create_table(
        "merged",
        sa.Column("part_id", Serial, nullable=False),
        sa.Column("into_id", Serial, nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["part_id"], ["part.id"], name="fk_merged_part_id"),
        sa.ForeignKeyConstraint(["into_id"], ["part.id"], name="fk_merged_into_id"),
        sa.PrimaryKeyConstraint("part_id", name="pk_merged"),
    )
    op.create_table(
        "listed",
        sa.Column("part_id", Serial, nullable=False),
        sa.Column("store", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["part_id"], ["part.id"], name="fk_listed_part_id"),
        sa.PrimaryKeyConstraint("part_id", name="pk_listed"),
    )
    op.create_index("ix_listed_store", "listed", ["store"])
    op.execute("INSERT INTO listed (part_id, store) SELECT id, store FROM part")
    for table in ("content", "stretch", "merged"):
        guards.append_only(op.get_bind(), table)
