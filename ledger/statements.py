"""Statements: the closed account of one billing month, written once and read back ever after.

A statement, its lines, its definitions, its file's hash and the audit row are one transaction (see
`exporters.statements`); the tables are append-only, so what is read back is what was sealed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Literal

from sqlalchemy import Connection, func, select

from ledger.facts import CustomerFacts
from ledger.quantities import decimal_text, parse_quantity
from ledger.records import Period, Quantity
from ledger.tables import file, line, notice, statement

Approval = Literal["auto", "by hand"]

_BATCH: Final = 10_000


@dataclass(frozen=True, slots=True, order=True)
class StatementKey:
    """What there is one statement of: an export, the month in which its periods start, and a billing day."""

    export: str
    month: str  # 2026-10
    billing_day: int

    def __str__(self) -> str:
        return f"{self.export} {self.month}" + ("" if self.billing_day == 1 else f", billing day {self.billing_day}")


@dataclass(frozen=True, slots=True)
class Line:
    """One customer's line. `overage` and `amount` are None where nothing is priced, `quantity` without data."""

    customer: str
    view: str
    tier: str | None
    meter: str | None
    period: Period
    quantity: Quantity | None
    included: int | None = None
    overage: Quantity | None = None
    amount: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Statement:
    """The head of a statement: everything but its lines.

    `event_cutoff` is the end of the last period, `ingest_cutoff` the newest ingest instant that the count could see.
    `definitions` maps a label (`view NAME`) to a hash; `integrity` maps a view to the integrity line of its recount.
    """

    key: StatementKey
    layout: str
    currency: str
    exponent: int
    closed_at: datetime
    approved: Approval
    event_cutoff: datetime
    ingest_cutoff: datetime
    definitions: Mapping[str, str]
    integrity: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class SealedFile:
    """A statement's file as it was sealed: its path (`exports/2026-10/billing.csv`), hash and size."""

    path: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class SealedStatement:
    """A statement in the ledger, with the number of its lines and its file."""

    id: int
    statement: Statement
    rows: int
    file: SealedFile


@dataclass(frozen=True, slots=True)
class Stated:
    """A quantity that a notice told a customer for one period."""

    customer: str
    view: str
    period_start: datetime
    period_end: datetime
    quantity: Quantity
    decided_at: datetime


@dataclass(frozen=True, slots=True)
class Covered:
    """A period of a customer that a closed statement states."""

    customer: str
    key: StatementKey
    start: datetime
    end: datetime


def insert(connection: Connection, sealed: Statement, lines: Sequence[Line], written: SealedFile) -> int:
    """Writes a statement with its lines and its file's hash, and returns its id. Needs a write transaction."""
    key = sealed.key
    made = connection.execute(
        statement.insert().values(
            export=key.export,
            month=key.month,
            billing_day=key.billing_day,
            layout=sealed.layout,
            currency=sealed.currency,
            exponent=sealed.exponent,
            closed_at=sealed.closed_at,
            approved=sealed.approved,
            event_cutoff=sealed.event_cutoff,
            ingest_cutoff=sealed.ingest_cutoff,
            definitions=dict(sealed.definitions),
            integrity={view: dict(figures) for view, figures in sealed.integrity.items()},
        )
    )
    id_ = int(made.inserted_primary_key[0])  # type: ignore[index]  # an INSERT of one row always has it
    for start in range(0, len(lines), _BATCH):
        connection.execute(line.insert(), [_line_row(id_, item) for item in lines[start : start + _BATCH]])
    connection.execute(
        file.insert().values(statement_id=id_, path=written.path, sha256=written.sha256, bytes=written.bytes)
    )
    return id_


def find(connection: Connection, key: StatementKey) -> SealedStatement | None:
    """The statement of that key; None while it is not closed."""
    found = [item for item in of_month(connection, key.month, key.export) if item.statement.key == key]
    return found[0] if found else None


def of_month(connection: Connection, month: str, export: str | None = None) -> tuple[SealedStatement, ...]:
    """Every statement of a month (or of one export in it), by export and billing day."""
    rows = select(func.count()).where(line.c.statement_id == statement.c.id).scalar_subquery()
    wanted = (
        select(statement, file.c.path, file.c.sha256, file.c.bytes, rows.label("rows"))
        .join(file, file.c.statement_id == statement.c.id)
        .where(statement.c.month == month)
    )
    if export is not None:
        wanted = wanted.where(statement.c.export == export)
    found = [_sealed(row) for row in connection.execute(wanted)]
    return tuple(sorted(found, key=lambda item: item.statement.key))


def lines_of(connection: Connection, statement_id: int) -> tuple[Line, ...]:
    """A statement's lines, in byte order of the customer's id."""
    rows = connection.execute(select(line).where(line.c.statement_id == statement_id))
    return tuple(sorted((_line(row) for row in rows), key=lambda item: item.customer.encode("utf-8", "surrogatepass")))


def covered(connection: Connection, export: str, months: Sequence[str]) -> Iterator[Covered]:
    """Whose periods the closed statements of an export in these months state. Reads each of their lines once."""
    wanted = (
        select(line.c.customer, line.c.period_start, line.c.period_end, statement.c.month, statement.c.billing_day)
        .join(statement, line.c.statement_id == statement.c.id)
        .where(statement.c.export == export, statement.c.month.in_(months))
    )
    for row in connection.execute(wanted):
        key = StatementKey(export, row.month, row.billing_day)
        yield Covered(row.customer, key, row.period_start, row.period_end)


def stated_quantities(connection: Connection, views: Sequence[str], since: datetime) -> Iterator[Stated]:
    """What customers were told in notices decided at `since` or later, of these views. Reads each such notice once."""
    wanted = select(notice.c.facts, notice.c.decided_at).where(
        notice.c.kind == "customer", notice.c.decided_at >= since
    )
    for row in connection.execute(wanted):
        facts = CustomerFacts.from_json(row.facts)
        if facts.view in views:
            yield Stated(
                facts.customer,
                facts.view,
                datetime.fromisoformat(facts.period_start),
                datetime.fromisoformat(facts.period_end),
                parse_quantity(facts.quantity),
                row.decided_at,
            )


def _line_row(id_: int, item: Line) -> dict[str, object]:
    return {
        "statement_id": id_,
        "customer": item.customer,
        "view": item.view,
        "tier": item.tier,
        "meter": item.meter,
        "period_start": item.period.start,
        "period_end": item.period.end,
        "zone": item.period.zone,
        "quantity": None if item.quantity is None else decimal_text(item.quantity),
        "included": None if item.included is None else str(item.included),
        "overage": None if item.overage is None else decimal_text(item.overage),
        "amount": None if item.amount is None else format(item.amount, "f"),
    }


def _line(row: Any) -> Line:
    return Line(
        customer=row.customer,
        view=row.view,
        tier=row.tier,
        meter=row.meter,
        period=Period(row.period_start, row.period_end, row.zone),
        quantity=None if row.quantity is None else parse_quantity(row.quantity),
        included=None if row.included is None else int(row.included),
        overage=None if row.overage is None else parse_quantity(row.overage),
        amount=None if row.amount is None else Decimal(row.amount),
    )


def _sealed(row: Any) -> SealedStatement:
    head = Statement(
        key=StatementKey(row.export, row.month, row.billing_day),
        layout=row.layout,
        currency=row.currency,
        exponent=row.exponent,
        closed_at=row.closed_at,
        approved=row.approved,
        event_cutoff=row.event_cutoff,
        ingest_cutoff=row.ingest_cutoff,
        definitions=row.definitions,
        integrity=row.integrity,
    )
    return SealedStatement(row.id, head, row.rows, SealedFile(row.path, row.sha256, row.bytes))
