"""What the service needs: the due table, how far periods were judged, held notices, and deliveries that are retried."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from ledger import guards
from ledger.tables import Instant, Serial

revision = "0002"
down_revision = "0001"

_FIXED = ("id", "notice_id", "address", "channel", "copy", "message_id", "hold_id")


def upgrade() -> None:
    """Adds the tables, then the new columns of `delivery`, whose guards are put up anew."""
    op.create_table(
        "due",
        sa.Column("name", sa.String(length=160), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_due"),
    )
    op.create_table(
        "judged",
        sa.Column("monitor", sa.String(length=64), nullable=False),
        sa.Column("through", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("monitor", name="pk_judged"),
    )
    op.create_table(
        "hold",
        sa.Column("id", Serial, nullable=False),
        sa.Column("monitor", sa.String(length=64), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("notices", sa.Integer(), nullable=False),
        sa.Column("watched", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.Column("actor", sa.String(length=255), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_hold"),
    )
    guards.status_only(op.get_bind(), "hold", ("id", "monitor", "at", "notices", "watched"))
    op.create_table(
        "suppression",
        sa.Column("address", sa.String(length=320), nullable=False),
        sa.Column("since", Instant(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("address", name="pk_suppression"),
    )
    guards.take_down(op.get_bind(), "delivery")
    with op.batch_alter_table("delivery") as delivery:
        delivery.add_column(sa.Column("copy", sa.Integer(), nullable=False, server_default="0"))
        delivery.add_column(sa.Column("queued_at", Instant(), nullable=True))
        delivery.add_column(sa.Column("next_at", Instant(), nullable=True))
        delivery.add_column(sa.Column("expires_at", Instant(), nullable=True))
        delivery.add_column(
            sa.Column("hold_id", Serial, sa.ForeignKey("hold.id", name="fk_delivery_hold_id"), nullable=True)
        )
        delivery.drop_constraint("uq_delivery_notice_id", type_="unique")
        delivery.create_unique_constraint("uq_delivery_notice_id", ["notice_id", "address", "channel", "copy"])
    op.execute("UPDATE delivery SET queued_at = (SELECT decided_at FROM notice WHERE notice.id = delivery.notice_id)")
    guards.status_only(op.get_bind(), "delivery", _FIXED)
