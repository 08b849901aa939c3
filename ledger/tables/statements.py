"""Closed months: statements, their lines and their files."""

from __future__ import annotations

from typing import Final

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Integer, String, Table, Text, UniqueConstraint

from ledger.tables.base import Instant, Serial, metadata

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
