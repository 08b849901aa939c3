"""What has been counted already: tallies, their buckets and period sums, and how far each filter has come.

All of it can be counted again from the logs. Rows carry a filter's number and not its hash: there are millions.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import JSON, BigInteger, Boolean, Column, ForeignKey, Integer, String, Table, Text

from ledger.tables.base import Instant, Serial, metadata

watermark: Final = Table(  # R: a filter, and up to when and from when its buckets are counted
    "watermark",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("hash", String(64), nullable=False, unique=True),
    Column("store", String(64), nullable=False),
    Column("body", Text, nullable=False),  # canonical JSON of what is counted; the hash is its SHA-256
    Column("width_seconds", Integer, nullable=False),  # of a bucket
    Column("mark", Text, nullable=False),  # the store's note of what it had when the buckets were last asked for
    Column("revision", BigInteger, nullable=False),  # one more with each replacement
    Column("since", Instant, nullable=False),  # the start of the first bucket; from here on none is missing
    Column("counted_to", Instant, nullable=False),  # exclusive
    Column("counted_at", Instant, nullable=False),
    Column("cuts", JSON, nullable=False),  # which period sums are kept -> the roster that they were cut by
)

bucket: Final = Table(  # R: one for each bucket between `since` and `counted_to`, empty or not
    "bucket",
    metadata,
    Column("filter_id", ForeignKey("watermark.id"), primary_key=True),
    Column("start", Instant, primary_key=True),
    Column("counted_to", Instant, nullable=False),
    Column("counted_at", Instant, nullable=False),
    Column("messages", BigInteger, nullable=False),
    Column("unattributed", BigInteger, nullable=False),  # of them
    Column("customers", BigInteger, nullable=False),  # how many tallies
    Column("changed", Boolean, nullable=False),  # messages have come in since it was counted
    sqlite_with_rowid=False,
)

tally: Final = Table(  # R: one customer value's share of a bucket
    "tally",
    metadata,
    Column("filter_id", ForeignKey("watermark.id"), primary_key=True),
    Column("start", Instant, primary_key=True),
    Column("customer", String(513), primary_key=True),  # see `ledger.tallies.name_of`
    Column("messages", BigInteger, nullable=False),
    Column("values", BigInteger, nullable=False),
    Column("quantity", Text),
    Column("newest", Instant),
    Column("newest_id", Text),  # as JSON
    sqlite_with_rowid=False,
)

quantity: Final = Table(  # R: a period sum: the tallies of one customer value from `start` to `end` together
    "quantity",
    metadata,
    Column("filter_id", ForeignKey("watermark.id"), primary_key=True),
    Column("cut", String(32), primary_key=True),  # see `logviews.tallies.segments`
    Column("start", Instant, primary_key=True),
    Column("customer", String(513), primary_key=True),
    Column("end", Instant, nullable=False),
    Column("messages", BigInteger, nullable=False),
    Column("values", BigInteger, nullable=False),
    Column("quantity", Text),
    Column("newest", Instant),
    Column("newest_id", Text),
    sqlite_with_rowid=False,
)
