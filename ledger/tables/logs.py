"""What the embedded store has taken in: its parts, and how far files were read."""

from __future__ import annotations

from typing import Final

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Index, Integer, String, Table, Text, UniqueConstraint

from ledger.tables.base import Instant, Serial, metadata

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
