"""Sending again by hand: what could not be delivered is queued anew, or a notice leaves once more as a new copy."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, and_, or_, select, update

from config.errors import UsageError
from ledger import audit, suppressions
from ledger.deliveries import Delivery, Status, of_notice
from ledger.outbox import message_id
from ledger.tables import delivery, notice

_FAILED: Final[tuple[Status, ...]] = ("dead", "expired", "suppressed")
_UNFINISHED: Final[tuple[Status, ...]] = ("queued", "claimed", "held")


class ResendError(UsageError):
    """Nothing of a notice can be sent again now, with the reason."""


def retry(
    connection: Connection, notice_id: str, *, at: datetime, actor: str, delivery_id: int | None = None
) -> tuple[Delivery, ...]:
    """Queues what could not be delivered of a notice (or one delivery of it) anew, due at `at`, and returns it.

    That is what is dead, expired or suppressed, and what waits for its next attempt. Attempts count from 0 again, the
    expiry is as far away as it was when the notice was decided, the Message-ID stays, and the addresses are not
    suppressed any more. Audited. Needs a write transaction.

    Raises:
        ResendError: there is nothing of the kind.
    """
    waiting = and_(delivery.c.status == "queued", delivery.c.next_at > at)
    wanted = select(delivery.c.id).where(
        delivery.c.notice_id == notice_id, or_(delivery.c.status.in_(_FAILED), waiting)
    )
    if delivery_id is not None:
        wanted = wanted.where(delivery.c.id == delivery_id)
    chosen = frozenset(connection.execute(wanted).scalars())
    before = tuple(item for item in of_notice(connection, notice_id) if item.id in chosen)
    if not before:
        raise ResendError(f"nothing of notice {notice_id} has failed; {_states(connection, notice_id)}")
    decided_at = _decided_at(connection, notice_id)
    for item in before:
        connection.execute(
            update(delivery)
            .where(delivery.c.id == item.id)
            .values(
                status="queued",
                attempts=0,
                queued_at=at,
                next_at=None,
                finished_at=None,
                expires_at=_new_expiry(item, decided_at, at),
            )
        )
    suppressions.lift(connection, {item.address for item in before})
    _record(connection, "retry", notice_id, before, at, actor)
    return tuple(item for item in of_notice(connection, notice_id) if item.id in chosen)


def resend(
    connection: Connection, notice_id: str, *, at: datetime, actor: str, sender_domain: str
) -> tuple[Delivery, ...]:
    """Queues a new copy of a notice for each of its addresses, also where it was delivered, and returns the copies.

    Each has a Message-ID of its own. An address for which the notice still waits or is held gets none. The addresses
    are not suppressed any more. Audited. Needs a write transaction.

    Raises:
        ResendError: the notice still waits, or is held, for all of its addresses, or has none.
    """
    newest: dict[str, Delivery] = {}
    numbers: dict[str, int] = {}
    for item in of_notice(connection, notice_id):
        numbers.setdefault(item.address, len(numbers) + 1)
        newest[item.address] = item
    again = [item for item in newest.values() if item.status not in _UNFINISHED]
    if not again:
        raise ResendError(f"notice {notice_id} has not ended for any address; {_states(connection, notice_id)}")
    decided_at = _decided_at(connection, notice_id)
    connection.execute(
        delivery.insert(),
        [
            {
                "notice_id": notice_id,
                "address": item.address,
                "channel": item.channel,
                "message_id": message_id(notice_id, numbers[item.address], sender_domain, item.copy + 1),
                "status": "queued",
                "attempts": 0,
                "detail": "",
                "copy": item.copy + 1,
                "queued_at": at,
                "expires_at": _new_expiry(item, decided_at, at),
            }
            for item in again
        ],
    )
    suppressions.lift(connection, [item.address for item in again])
    _record(connection, "resend", notice_id, again, at, actor)
    known = {item.id for item in again}
    addresses = {item.address: item.copy + 1 for item in again}
    return tuple(
        item
        for item in of_notice(connection, notice_id)
        if item.id not in known and addresses.get(item.address) == item.copy
    )


def _new_expiry(item: Delivery, decided_at: datetime, at: datetime) -> datetime | None:
    """As long from now as the delivery had when it was first queued, or when it was last queued anew."""
    if item.expires_at is None:
        return None
    begun = decided_at if item.queued_at is None else max(decided_at, item.queued_at)
    return at + max(item.expires_at - begun, timedelta(0))


def _decided_at(connection: Connection, notice_id: str) -> datetime:
    found: datetime = connection.execute(select(notice.c.decided_at).where(notice.c.id == notice_id)).scalar_one()
    return found


def _states(connection: Connection, notice_id: str) -> str:
    found = of_notice(connection, notice_id)
    return ", ".join(f"{item.address}: {item.status}" for item in found) or "it has no deliveries"


def _record(
    connection: Connection, action: str, notice_id: str, before: Sequence[Delivery], at: datetime, actor: str
) -> None:
    audit.record(
        connection,
        at=at,
        actor=actor,
        action=action,
        object_=f"notice {notice_id}",
        before={"deliveries": [{"address": item.address, "status": item.status} for item in before]},
        after={"status": "queued"},
    )
