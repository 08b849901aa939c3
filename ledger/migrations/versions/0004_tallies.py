"""What incremental counting needs: tallies, their buckets, period sums and watermarks. All of it is derivable."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from ledger.tables import Instant, Serial

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Adds the tables. They are keyed by what they are read by, so SQLite needs no row numbers beside."""
    op.create_table(
        "watermark",
        sa.Column("id", Serial, nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("store", sa.String(length=64), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("width_seconds", sa.Integer(), nullable=False),
        sa.Column("mark", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("since", Instant(), nullable=False),
        sa.Column("counted_to", Instant(), nullable=False),
        sa.Column("counted_at", Instant(), nullable=False),
        sa.Column("cuts", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_watermark"),
        sa.UniqueConstraint("hash", name="uq_watermark_hash"),
    )
    op.create_table(
        "bucket",
        sa.Column("filter_id", Serial, nullable=False),
        sa.Column("start", Instant(), nullable=False),
        sa.Column("counted_to", Instant(), nullable=False),
        sa.Column("counted_at", Instant(), nullable=False),
        sa.Column("messages", sa.BigInteger(), nullable=False),
        sa.Column("unattributed", sa.BigInteger(), nullable=False),
        sa.Column("customers", sa.BigInteger(), nullable=False),
        sa.Column("changed", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["filter_id"], ["watermark.id"], name="fk_bucket_filter_id"),
        sa.PrimaryKeyConstraint("filter_id", "start", name="pk_bucket"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "tally",
        sa.Column("filter_id", Serial, nullable=False),
        sa.Column("start", Instant(), nullable=False),
        sa.Column("customer", sa.String(length=513), nullable=False),
        *_amount(),
        sa.ForeignKeyConstraint(["filter_id"], ["watermark.id"], name="fk_tally_filter_id"),
        sa.PrimaryKeyConstraint("filter_id", "start", "customer", name="pk_tally"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "quantity",
        sa.Column("filter_id", Serial, nullable=False),
        sa.Column("cut", sa.String(length=32), nullable=False),
        sa.Column("start", Instant(), nullable=False),
        sa.Column("customer", sa.String(length=513), nullable=False),
        sa.Column("end", Instant(), nullable=False),
        *_amount(),
        sa.ForeignKeyConstraint(["filter_id"], ["watermark.id"], name="fk_quantity_filter_id"),
        sa.PrimaryKeyConstraint("filter_id", "cut", "start", "customer", name="pk_quantity"),
        sqlite_with_rowid=False,
    )


def _amount() -> list[sa.Column[object]]:
    return [
        sa.Column("messages", sa.BigInteger(), nullable=False),
        sa.Column("values", sa.BigInteger(), nullable=False),
        sa.Column("quantity", sa.Text(), nullable=True),
        sa.Column("newest", Instant(), nullable=True),
        sa.Column("newest_id", sa.Text(), nullable=True),
    ]
