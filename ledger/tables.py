"""The ledger's tables, as SQLAlchemy Core. Modes: A append-only, R replaced (derivable), S only its status changes.

Append-only is enforced by triggers (see the first migration). Large numbers, money and quantities are text, so that no
database rounds them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

NAMING: Final = {
    "ix": "ix_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


class Instant(TypeDecorator[datetime]):
    """An aware UTC datetime, kept as whole milliseconds since 1970: the same in SQLite and PostgreSQL, and sortable."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002 (SQLAlchemy's signature)
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime has no place in the ledger")
        delta = value - _EPOCH
        return (delta.days * 86_400 + delta.seconds) * 1000 + delta.microseconds // 1000

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 (SQLAlchemy's signature)
        if value is None:
            return None
        return datetime.fromtimestamp(value // 1000, UTC).replace(microsecond=value % 1000 * 1000)


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# SQLite gives a row number to INTEGER primary keys only
Serial: Final = BigInteger().with_variant(Integer, "sqlite")

metadata: Final = MetaData(naming_convention=NAMING)

installation: Final = Table(  # A: one row, written when the database is created
    "installation",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("created_at", Instant, nullable=False),
    Column("simulation", Boolean, nullable=False),
)

definition: Final = Table(  # A: a view, tier table or roster by its content hash
    "definition",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("name", String(255), nullable=False),
    Column("body", Text, nullable=False),
    Column("since", Instant, nullable=False),
)

part: Final = Table(  # A: one immutable Parquet file of messages
    "part",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("store", String(64), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("path", Text, nullable=False),  # relative to the store's folder
    Column("role", String(16), nullable=False),  # messages, or duplicates of messages that were there before
    Column("rows", BigInteger, nullable=False),
    Column("conflicts", BigInteger, nullable=False),  # duplicates whose content differs from the first one's
    Column("min_time", Instant, nullable=False),
    Column("max_time", Instant, nullable=False),
    Column("ingested_at", Instant, nullable=False),
    Column("source", Text, nullable=False),  # the file that the messages came from
    Column("fields", JSON, nullable=False),  # the fields that have a column of their own in the file
    Column("read_as", Text, nullable=False),  # by which fields and rules time, customer and id were taken
    UniqueConstraint("store", "path"),
    Index("ix_part_store_time", "store", "min_time", "max_time"),
)

part_field: Final = Table(  # R: which kinds of value a part has in a field (see logviews.kinds)
    "part_field",
    metadata,
    Column("part_id", ForeignKey("part.id"), primary_key=True),
    Column("field", String(512), primary_key=True),
    Column("kinds", Integer, nullable=False),
)

source: Final = Table(  # A: how far a file was read, for stores whose messages have no id of their own
    "source",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("store", String(64), nullable=False, index=True),
    Column("path", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),  # of the uncompressed content
    Column("lines", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),  # of those bytes
    Column("read_at", Instant, nullable=False),
)

content: Final = Table(  # A: what a followed file holds, whatever it is called; known by its first bytes
    "content",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("store", String(64), nullable=False),
    Column("head_bytes", Integer, nullable=False),
    Column("head_sha256", String(64), nullable=False),
    Column("start", String(128), nullable=False),  # its very first bytes, in hexadecimal
    Column("since", Instant, nullable=False),
    Index("ix_content_head", "store", "head_bytes", "head_sha256"),
)

stretch: Final = Table(  # A: so many bytes of a content that were taken in at once, and the parts that they became
    "stretch",
    metadata,
    Column("content_id", ForeignKey("content.id"), primary_key=True),
    Column("start", BigInteger, primary_key=True, autoincrement=False),
    Column("bytes", BigInteger, nullable=False),  # of the uncompressed content
    Column("lines_before", BigInteger, nullable=False),
    Column("lines", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),  # of exactly these bytes
    Column("tail_sha256", String(64), nullable=False),  # of the last bytes, see `logviews.intake.contents`
    Column("messages_id", ForeignKey("part.id")),
    Column("duplicates_id", ForeignKey("part.id")),
    Column("read_at", Instant, nullable=False),
)

followed: Final = Table(  # R: the files that pick-up looks at, by device and inode, and how far each was read
    "followed",
    metadata,
    Column("store", String(64), primary_key=True),
    Column("file", String(64), primary_key=True),
    Column("path", Text, nullable=False),
    Column("content_id", ForeignKey("content.id")),
    Column("bytes", BigInteger, nullable=False),
    Column("sources", BigInteger, nullable=False),  # up to which row `source` was asked
    Column("size", BigInteger, nullable=False),
    Column("changed_ns", BigInteger, nullable=False),
    Column("since", Instant, nullable=False),  # as it is now
    Column("state", String(16), nullable=False),  # see `ledger.following.State`
)

problem: Final = Table(  # R: what keeps files from being picked up
    "problem",
    metadata,
    Column("store", String(64), primary_key=True),
    Column("path", Text, primary_key=True),
    Column("sentence", Text, nullable=False),
    Column("since", Instant, nullable=False),
)

merged: Final = Table(  # A: parts whose rows are in another part now
    "merged",
    metadata,
    Column("part_id", ForeignKey("part.id"), primary_key=True),
    Column("into_id", ForeignKey("part.id"), nullable=False),
    Column("at", Instant, nullable=False),
)

listed: Final = Table(  # R: the parts that readers read: all but the merged ones
    "listed",
    metadata,
    Column("part_id", ForeignKey("part.id"), primary_key=True),
    Column("store", String(64), nullable=False, index=True),
)

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

statement: Final = Table(  # A: the closed account of one billing month
    "statement",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("export", String(64), nullable=False),
    Column("month", String(7), nullable=False),  # 2026-10: the month in which the periods start
    Column("billing_day", Integer, nullable=False),
    Column("layout", String(64), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("exponent", Integer, nullable=False),
    Column("closed_at", Instant, nullable=False),
    Column("approved", String(16), nullable=False),  # auto or by hand
    Column("event_cutoff", Instant, nullable=False),
    Column("ingest_cutoff", Instant, nullable=False),
    Column("definitions", JSON, nullable=False),  # kind and name -> hash
    Column("integrity", JSON, nullable=False),  # view -> the integrity line of its recount
    UniqueConstraint("export", "month", "billing_day"),
)

line: Final = Table(  # A: one customer's line of a statement
    "line",
    metadata,
    Column("statement_id", ForeignKey("statement.id"), primary_key=True),
    Column("customer", String(512), primary_key=True),
    Column("view", String(64), nullable=False),
    Column("tier", String(64)),
    Column("meter", String(64)),
    Column("period_start", Instant, nullable=False),
    Column("period_end", Instant, nullable=False),
    Column("zone", String(64), nullable=False),
    Column("quantity", String(64)),
    Column("included", String(64)),
    Column("overage", String(64)),
    Column("amount", String(64)),
)

file: Final = Table(  # S: a file that was written for finance
    "file",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("statement_id", ForeignKey("statement.id"), nullable=False),
    Column("path", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    UniqueConstraint("statement_id", "path"),
)

audit: Final = Table(  # A: who did what, each row chained to the one before by its hash
    "audit",
    metadata,
    Column("sequence", Serial, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("actor", String(255), nullable=False),
    Column("action", String(64), nullable=False),
    Column("object", Text, nullable=False),
    Column("before", JSON),
    Column("after", JSON),
    Column("previous_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)

APPEND_ONLY: Final = (
    "installation",
    "definition",
    "part",
    "source",
    "content",
    "stretch",
    "merged",
    "evaluation",
    "transition",
    "notice",
    "notice_key",
    "statement",
    "line",
    "audit",
)
