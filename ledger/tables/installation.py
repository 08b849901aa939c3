"""The installation itself: that it was made, what it was configured to be, and who did what in it."""

from __future__ import annotations

from typing import Final

from sqlalchemy import JSON, Boolean, Column, Integer, String, Table, Text

from ledger.tables.base import Instant, Serial, metadata

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
