"""What monitors found and whom they told, and what the service does next."""

from __future__ import annotations

from typing import Final

from sqlalchemy import JSON, Boolean, Column, ForeignKey, Index, Integer, String, Table, Text, UniqueConstraint

from ledger.tables.base import Instant, Serial, metadata

evaluation: Final = Table(  # A
    "evaluation",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("monitor", String(64), nullable=False),
    Column("at", Instant, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("figures", JSON, nullable=False),
    Index("ix_evaluation_monitor_at", "monitor", "at"),
)

standing: Final = Table(  # R
    "standing",
    metadata,
    Column("monitor", String(64), primary_key=True),
    Column("subject_kind", String(16), primary_key=True),
    Column("subject", String(512), primary_key=True),
    Column("period_start", Instant, primary_key=True),
    Column("threshold", String(64), primary_key=True),
    Column("breached", Boolean, nullable=False),
    Column("since", Instant, nullable=False),
    Column("episode", Integer, nullable=False),
    Column("in_range", Integer, nullable=False),
)

transition: Final = Table(  # A
    "transition",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("monitor", String(64), nullable=False),
    Column("subject_kind", String(16), nullable=False),
    Column("subject", String(512), nullable=False),
    Column("period_start", Instant, nullable=False),
    Column("threshold", String(64), nullable=False),
    Column("breached", Boolean, nullable=False),
    Column("at", Instant, nullable=False),
    Column("episode", Integer, nullable=False),
    Index("ix_transition_monitor_at", "monitor", "at"),
)

notice: Final = Table(  # A: decided once; its deliveries carry the status
    "notice",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("monitor", String(64), nullable=False),
    Column("route", String(64), nullable=False),
    Column("kind", String(16), nullable=False),  # customer or ops
    Column("template", String(64), nullable=False),
    Column("subject_kind", String(16)),
    Column("subject", String(512)),
    Column("language", String(32), nullable=False),
    Column("zone", String(64), nullable=False),
    Column("decided_at", Instant, nullable=False, index=True),
    Column("facts", JSON, nullable=False),
)

notice_key: Final = Table(  # A: the decision keys that a notice used up; the primary key is what "once" means
    "notice_key",
    metadata,
    Column("key", String(1024), primary_key=True),
    Column("notice_id", ForeignKey("notice.id"), nullable=False, index=True),
    Column("superseded", Boolean, nullable=False),
)

delivery: Final = Table(  # S: one notice for one address over one channel
    "delivery",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("notice_id", ForeignKey("notice.id"), nullable=False),
    Column("address", String(320), nullable=False),
    Column("channel", String(16), nullable=False),
    Column("message_id", String(255), nullable=False),
    Column("status", String(16), nullable=False),  # see `ledger.outbox.Status`
    Column("attempts", Integer, nullable=False),
    Column("claimed_at", Instant),
    Column("finished_at", Instant),
    Column("detail", Text, nullable=False),
    Column("copy", Integer, nullable=False, server_default="0"),  # 0, and one more each time it is sent again
    Column("queued_at", Instant),  # since when it may leave; none for what is held
    Column("next_at", Instant),  # not to be tried before
    Column("expires_at", Instant),  # not to be tried after; retrying by hand begins anew
    Column("hold_id", ForeignKey("hold.id")),
    UniqueConstraint("notice_id", "address", "channel", "copy"),
    Index("ix_delivery_status", "status", "id"),
)

hold: Final = Table(  # S: the notices of one evaluation that were too many to send unseen
    "hold",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("monitor", String(64), nullable=False),
    Column("at", Instant, nullable=False),
    Column("notices", Integer, nullable=False),
    Column("watched", Integer, nullable=False),  # of how many subjects
    Column("status", String(16), nullable=False),  # held, released, discarded
    Column("ended_at", Instant),
    Column("actor", String(255)),
    Column("reason", Text),
)

suppression: Final = Table(  # S: an address that its mail server refused for good
    "suppression",
    metadata,
    Column("address", String(320), primary_key=True),
    Column("since", Instant, nullable=False),
    Column("reason", Text, nullable=False),
)

due: Final = Table(  # R: when the service does what next
    "due",
    metadata,
    Column("name", String(160), primary_key=True),
    Column("at", Instant, nullable=False),
    Column("rule", Text, nullable=False),  # the schedule it was computed from; another one is computed anew
    Column("failures", Integer, nullable=False),  # in a row
    Column("detail", Text, nullable=False),  # of the last failure
)

judged: Final = Table(  # R: up to which end a monitor's periods have had their final verdict
    "judged",
    metadata,
    Column("monitor", String(64), primary_key=True),
    Column("through", Instant, nullable=False),
)
