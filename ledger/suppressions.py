"""Suppressions: addresses that their mail server refused for good, to which nothing is sent until a person says so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, select, update

from ledger.tables import delivery, suppression


@dataclass(frozen=True, slots=True)
class Suppression:
    """An address, since when it is suppressed, and what its server said."""

    address: str
    since: datetime
    reason: str


def suppress(connection: Connection, address: str, *, since: datetime, reason: str) -> None:
    """Suppresses an address; one that is suppressed already keeps its first reason. Needs a write transaction."""
    if find(connection, address) is None:
        connection.execute(suppression.insert().values(address=address, since=since, reason=reason))


def lift(connection: Connection, addresses: Iterable[str]) -> int:
    """Ends the suppression of these addresses; how many were suppressed. Needs a write transaction."""
    return connection.execute(suppression.delete().where(suppression.c.address.in_(list(addresses)))).rowcount


def find(connection: Connection, address: str) -> Suppression | None:
    """The suppression of an address, or None."""
    row = connection.execute(select(suppression).where(suppression.c.address == address)).first()
    return None if row is None else Suppression(row.address, row.since, row.reason)


def list_suppressions(connection: Connection) -> tuple[Suppression, ...]:
    """Every suppressed address, the latest first."""
    rows = connection.execute(select(suppression).order_by(suppression.c.since.desc(), suppression.c.address))
    return tuple(Suppression(row.address, row.since, row.reason) for row in rows)


def mark(connection: Connection, waiting: ColumnElement[bool], at: datetime) -> int:
    """Marks those waiting deliveries that go to suppressed addresses, with the reason; how many.

    Costs one query when none does. Needs a write transaction.
    """
    wanted = select(suppression).distinct().join(delivery, delivery.c.address == suppression.c.address).where(waiting)
    marked = 0
    for row in connection.execute(wanted).all():
        since = row.since.isoformat(timespec="seconds")
        marked += connection.execute(
            update(delivery)
            .where(waiting, delivery.c.address == row.address)
            .values(
                status="suppressed",
                claimed_at=None,
                finished_at=at,
                next_at=None,
                detail=f"not sent, because the address was refused since {since}: {row.reason}",
            )
        ).rowcount
    return marked
