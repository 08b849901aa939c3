"""Holds: the notices of one evaluation that were too many to send unseen. A person releases or discards them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import Connection, select, update

from config.errors import UsageError
from ledger import audit
from ledger.tables import delivery, hold

HoldStatus = Literal["held", "released", "discarded"]
_ACTIONS: Final[dict[HoldStatus, str]] = {"released": "release", "discarded": "discard"}


class HoldError(UsageError):
    """There is no such hold, or a person has decided on it already."""


@dataclass(frozen=True, slots=True)
class Hold:
    """So many notices of a monitor's evaluation at `at`, of so many watched; who ended it, when and why."""

    id: int
    monitor: str
    at: datetime
    notices: int
    watched: int
    status: HoldStatus
    ended_at: datetime | None
    actor: str | None
    reason: str | None


def open_hold(connection: Connection, *, monitor: str, at: datetime, notices: int, watched: int) -> int:
    """Writes a hold, and returns its id. Needs a write transaction."""
    values = {"monitor": monitor, "at": at, "notices": notices, "watched": watched, "status": "held"}
    found = connection.execute(hold.insert().values(**values).returning(hold.c.id)).scalar_one()
    return int(found)


def list_holds(connection: Connection, *, status: HoldStatus | None = None) -> tuple[Hold, ...]:
    """Holds, the newest first."""
    wanted = select(hold).order_by(hold.c.id.desc())
    if status is not None:
        wanted = wanted.where(hold.c.status == status)
    return tuple(_hold(row._mapping) for row in connection.execute(wanted))


def release(connection: Connection, hold_id: int, *, at: datetime, actor: str, reason: str) -> Hold:
    """Lets the notices of a hold leave, audited; the time that they waited is added to their expiry. Needs a write
    transaction.

    Raises:
        HoldError: there is no such hold, or it was ended before.
    """
    return _end(connection, hold_id, "released", at, actor, reason)


def discard(connection: Connection, hold_id: int, *, at: datetime, actor: str, reason: str) -> Hold:
    """Sees to it that the notices of a hold never leave, audited; they stay decided. Needs a write transaction.

    Raises:
        HoldError: there is no such hold, or it was ended before.
    """
    return _end(connection, hold_id, "discarded", at, actor, reason)


def _end(connection: Connection, hold_id: int, status: HoldStatus, at: datetime, actor: str, reason: str) -> Hold:
    ended = connection.execute(
        update(hold)
        .where(hold.c.id == hold_id, hold.c.status == "held")
        .values(status=status, ended_at=at, actor=actor, reason=reason)
    )
    row = connection.execute(select(hold).where(hold.c.id == hold_id)).first()
    if row is None:
        raise HoldError(f"there is no hold {hold_id}; `notices holds` lists them")
    found = _hold(row._mapping)
    if ended.rowcount != 1:
        when = "" if found.ended_at is None else f" at {found.ended_at.isoformat(timespec='seconds')}"
        raise HoldError(f"hold {hold_id} was {found.status}{when} by {found.actor} already")
    changes: dict[str, Any] = {"status": "queued", "queued_at": at, "next_at": None}
    # all of a hold were decided together, and are worth delivering for as long
    own = select(delivery.c.expires_at).where(delivery.c.hold_id == hold_id).limit(1)
    expires_at = connection.execute(own).scalar()
    if expires_at is not None:
        changes["expires_at"] = expires_at + (at - found.at)
    if status == "discarded":
        changes = {"status": "discarded", "finished_at": at, "detail": reason}
    deliveries = connection.execute(
        update(delivery).where(delivery.c.hold_id == hold_id, delivery.c.status == "held").values(**changes)
    ).rowcount
    audit.record(
        connection,
        at=at,
        actor=actor,
        action=_ACTIONS[status],
        object_=f"hold {hold_id} of monitor {found.monitor}",
        before={"status": "held", "notices": found.notices},
        after={"status": status, "deliveries": deliveries, "reason": reason},
    )
    return found


def _hold(row: Any) -> Hold:
    return Hold(**{name: row[name] for name in Hold.__slots__})
