"""The first schema, and the triggers that make tables append-only."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from ledger import guards
from ledger.tables import Instant, Serial

revision = "0001"
down_revision = None

APPEND_ONLY = (
    "installation",
    "definition",
    "part",
    "source",
    "evaluation",
    "transition",
    "notice",
    "notice_key",
    "statement",
    "line",
    "audit",
)
STATUS_ONLY = {
    "delivery": ("id", "notice_id", "address", "channel", "message_id"),
    "file": ("id", "statement_id", "path", "sha256", "bytes"),
}
"""Tables whose rows stay and change their status alone: the columns that may not change."""


def upgrade() -> None:
    """Creates every table, then the guards."""
    create_tables()
    for table in APPEND_ONLY:
        guards.append_only(op.get_bind(), table)
    for table, columns in STATUS_ONLY.items():
        guards.status_only(op.get_bind(), table, columns)


def create_tables() -> None:
    """Tables and indexes, parents first."""
    op.create_table(
        "audit",
        sa.Column("sequence", Serial, nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("object", sa.Text(), nullable=False),
        sa.Column("before", sa.JSON(), nullable=True),
        sa.Column("after", sa.JSON(), nullable=True),
        sa.Column("previous_hash", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_audit"),
    )
    op.create_table(
        "definition",
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("since", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name="pk_definition"),
    )
    op.create_table(
        "evaluation",
        sa.Column("id", Serial, nullable=False),
        sa.Column("monitor", sa.String(length=64), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("figures", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_evaluation"),
    )
    op.create_index("ix_evaluation_monitor_at", "evaluation", ["monitor", "at"], unique=False)
    op.create_table(
        "installation",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("simulation", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_installation"),
    )
    op.create_table(
        "notice",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("monitor", sa.String(length=64), nullable=False),
        sa.Column("route", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("template", sa.String(length=64), nullable=False),
        sa.Column("subject_kind", sa.String(length=16), nullable=True),
        sa.Column("subject", sa.String(length=512), nullable=True),
        sa.Column("language", sa.String(length=32), nullable=False),
        sa.Column("zone", sa.String(length=64), nullable=False),
        sa.Column("decided_at", Instant(), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_notice"),
    )
    op.create_index("ix_notice_decided_at", "notice", ["decided_at"], unique=False)
    op.create_table(
        "part",
        sa.Column("id", Serial, nullable=False),
        sa.Column("store", sa.String(length=64), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("conflicts", sa.BigInteger(), nullable=False),
        sa.Column("min_time", Instant(), nullable=False),
        sa.Column("max_time", Instant(), nullable=False),
        sa.Column("ingested_at", Instant(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("fields", sa.JSON(), nullable=False),
        sa.Column("read_as", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_part"),
        sa.UniqueConstraint("store", "path", name="uq_part_store"),
    )
    op.create_index("ix_part_store_time", "part", ["store", "min_time", "max_time"], unique=False)
    op.create_table(
        "source",
        sa.Column("id", Serial, nullable=False),
        sa.Column("store", sa.String(length=64), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("lines", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("read_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_source"),
    )
    op.create_index("ix_source_store", "source", ["store"], unique=False)
    op.create_table(
        "standing",
        sa.Column("monitor", sa.String(length=64), nullable=False),
        sa.Column("subject_kind", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.String(length=512), nullable=False),
        sa.Column("period_start", Instant(), nullable=False),
        sa.Column("threshold", sa.String(length=64), nullable=False),
        sa.Column("breached", sa.Boolean(), nullable=False),
        sa.Column("since", Instant(), nullable=False),
        sa.Column("episode", sa.Integer(), nullable=False),
        sa.Column("in_range", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("monitor", "subject_kind", "subject", "period_start", "threshold", name="pk_standing"),
    )
    op.create_table(
        "statement",
        sa.Column("id", Serial, nullable=False),
        sa.Column("export", sa.String(length=64), nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("billing_day", sa.Integer(), nullable=False),
        sa.Column("layout", sa.String(length=64), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("exponent", sa.Integer(), nullable=False),
        sa.Column("closed_at", Instant(), nullable=False),
        sa.Column("approved", sa.String(length=16), nullable=False),
        sa.Column("event_cutoff", Instant(), nullable=False),
        sa.Column("ingest_cutoff", Instant(), nullable=False),
        sa.Column("definitions", sa.JSON(), nullable=False),
        sa.Column("integrity", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_statement"),
        sa.UniqueConstraint("export", "month", "billing_day", name="uq_statement_export"),
    )
    op.create_table(
        "transition",
        sa.Column("id", Serial, nullable=False),
        sa.Column("monitor", sa.String(length=64), nullable=False),
        sa.Column("subject_kind", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.String(length=512), nullable=False),
        sa.Column("period_start", Instant(), nullable=False),
        sa.Column("threshold", sa.String(length=64), nullable=False),
        sa.Column("breached", sa.Boolean(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("episode", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_transition"),
    )
    op.create_index("ix_transition_monitor_at", "transition", ["monitor", "at"], unique=False)
    op.create_table(
        "delivery",
        sa.Column("id", Serial, nullable=False),
        sa.Column("notice_id", sa.String(length=64), nullable=False),
        sa.Column("address", sa.String(length=320), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("message_id", sa.String(length=255), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("claimed_at", Instant(), nullable=True),
        sa.Column("finished_at", Instant(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["notice_id"], ["notice.id"], name="fk_delivery_notice_id"),
        sa.PrimaryKeyConstraint("id", name="pk_delivery"),
        sa.UniqueConstraint("notice_id", "address", "channel", name="uq_delivery_notice_id"),
    )
    op.create_index("ix_delivery_status", "delivery", ["status", "id"], unique=False)
    op.create_table(
        "file",
        sa.Column("id", Serial, nullable=False),
        sa.Column("statement_id", Serial, nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["statement_id"], ["statement.id"], name="fk_file_statement_id"),
        sa.PrimaryKeyConstraint("id", name="pk_file"),
        sa.UniqueConstraint("statement_id", "path", name="uq_file_statement_id"),
    )
    op.create_table(
        "line",
        sa.Column("statement_id", Serial, nullable=False),
        sa.Column("customer", sa.String(length=512), nullable=False),
        sa.Column("view", sa.String(length=64), nullable=False),
        sa.Column("tier", sa.String(length=64), nullable=True),
        sa.Column("meter", sa.String(length=64), nullable=True),
        sa.Column("period_start", Instant(), nullable=False),
        sa.Column("period_end", Instant(), nullable=False),
        sa.Column("zone", sa.String(length=64), nullable=False),
        sa.Column("quantity", sa.String(length=64), nullable=True),
        sa.Column("included", sa.String(length=64), nullable=True),
        sa.Column("overage", sa.String(length=64), nullable=True),
        sa.Column("amount", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(["statement_id"], ["statement.id"], name="fk_line_statement_id"),
        sa.PrimaryKeyConstraint("statement_id", "customer", name="pk_line"),
    )
    op.create_table(
        "notice_key",
        sa.Column("key", sa.String(length=1024), nullable=False),
        sa.Column("notice_id", sa.String(length=64), nullable=False),
        sa.Column("superseded", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["notice_id"], ["notice.id"], name="fk_notice_key_notice_id"),
        sa.PrimaryKeyConstraint("key", name="pk_notice_key"),
    )
    op.create_index("ix_notice_key_notice_id", "notice_key", ["notice_id"], unique=False)
    op.create_table(
        "part_field",
        sa.Column("part_id", Serial, nullable=False),
        sa.Column("field", sa.String(length=512), nullable=False),
        sa.Column("kinds", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["part_id"], ["part.id"], name="fk_part_field_part_id"),
        sa.PrimaryKeyConstraint("part_id", "field", name="pk_part_field"),
    )
