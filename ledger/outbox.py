"""The outbox: notices that were decided, the keys that they used up, and what became of each delivery.

A notice is written in the transaction that decides it, and delivered by another loop: `claim` takes deliveries by a
conditional update that tells who got them, `finish` records what became of one. A process that dies in between leaves
a claim behind, which is taken over after a while; the message then goes out again under the same Message-ID.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, and_, bindparam, case, literal, or_, select, update
from sqlalchemy.exc import IntegrityError

from config.errors import TallywatchError
from ledger import holds, suppressions
from ledger.deliveries import (
    Delivery,
    NoticeDetail,
    Outgoing,
    Status,
    StoredNotice,
    count_by_status,
    find_notices,
    list_deliveries,
    oldest_waiting,
    outgoing,
    selected,
    show,
)
from ledger.records import NoticeDue, Receipt
from ledger.tables import delivery, notice, notice_key, suppression

__all__ = [
    "RECLAIM_AFTER",
    "Delivery",
    "KeyTakenError",
    "NoticeDetail",
    "Outgoing",
    "Status",
    "StoredNotice",
    "claim",
    "count_by_status",
    "find_notices",
    "finish",
    "finish_delivered",
    "insert",
    "list_deliveries",
    "message_id",
    "oldest_waiting",
    "show",
    "used_keys",
]

RECLAIM_AFTER: Final = timedelta(minutes=10)
"""A claim this old belongs to a process that died: delivering takes less."""


class KeyTakenError(TallywatchError):
    """Somebody else decided one of these notices in the meantime; the transaction has to be rolled back."""


def insert(
    connection: Connection,
    notices: Iterable[NoticeDue],
    *,
    sender_domain: str,
    channel: str = "files",
    watched: int = 0,
) -> None:
    """Writes one evaluation's notices with their keys and one delivery per address. Message-IDs are fixed here.

    Where notices are held, their deliveries wait under one hold, which says of how many `watched` they are.

    Raises:
        KeyTakenError: when a key is used already; the transaction must not be committed then.
    """
    due = tuple(notices)
    if not due:
        return
    keys = [
        {"key": key, "notice_id": item.id, "superseded": superseded}
        for item in due
        for superseded, used in ((False, item.keys), (True, item.superseded_keys))
        for key in used
    ]
    try:
        connection.execute(notice.insert(), [_notice_row(item) for item in due])
        connection.execute(notice_key.insert(), keys)
    except IntegrityError as error:
        raise KeyTakenError("another process decided one of these notices at the same time") from error
    held = _held(connection, due, watched)
    rows = [row for item in due for row in _delivery_rows(item, held.get(item.monitor), sender_domain, channel)]
    if rows:
        connection.execute(delivery.insert(), rows)


def message_id(notice_id: str, number: int, sender_domain: str, copy: int = 0) -> str:
    """The Message-ID of a notice for the `number`th of its addresses, from 1, with its angle brackets."""
    again = f".{copy}" if copy else ""
    return f"<{notice_id}.{number}{again}@{sender_domain}>"


def used_keys(connection: Connection, monitor: str, since: datetime) -> dict[str, datetime]:
    """The keys that a monitor's notices used up at `since` or later, superseded ones among them, and when that was.

    A period's notices are decided after it started, so the earliest start of the periods at hand is early enough.
    """
    wanted = (
        select(notice_key.c.key, notice.c.decided_at)
        .join(notice, notice.c.id == notice_key.c.notice_id)
        .where(notice.c.monitor == monitor, notice.c.decided_at >= since)
    )
    return {row.key: row.decided_at for row in connection.execute(wanted)}


def claim(
    connection: Connection,
    *,
    at: datetime,
    limit: int,
    after: int = 0,
    reclaim_after: timedelta = RECLAIM_AFTER,
) -> tuple[Outgoing, ...]:
    """Up to `limit` deliveries that now belong to the caller, by ascending id, all of them above `after`.

    Takes what is queued and due, and what was claimed `reclaim_after` ago or earlier and never finished. What has
    expired, or goes to a suppressed address, is not taken, and is marked so at the beginning of a run. `after` lets one
    run pass through the queue once, so that a delivery that fails is not tried again at once. Costs two statements, and
    two more that look at the whole queue when `after` is 0. Needs a write transaction.
    """
    abandoned = and_(delivery.c.status == "claimed", delivery.c.claimed_at <= at - reclaim_after)
    waits = and_(delivery.c.status == "queued", or_(delivery.c.next_at.is_(None), delivery.c.next_at <= at))
    in_time = or_(delivery.c.expires_at.is_(None), delivery.c.expires_at > at)
    takeable = and_(or_(waits, abandoned), in_time, delivery.c.address.not_in(select(suppression.c.address)))
    if not after:  # once in a run: it looks at the whole queue
        left = or_(delivery.c.status == "queued", abandoned)
        _expire(connection, left, at)
        suppressions.mark(connection, left, at)
    rows = connection.execute(
        selected().where(delivery.c.id > after, takeable).order_by(delivery.c.id).limit(limit)
    ).all()
    if not rows:
        return ()
    taken = update(delivery).where(delivery.c.id.in_([row.delivery_id for row in rows]), takeable)
    ours = frozenset(
        connection.execute(
            taken.values(status="claimed", claimed_at=at, attempts=delivery.c.attempts + 1).returning(delivery.c.id)
        ).scalars()
    )
    return tuple(
        outgoing(row, status="claimed", claimed_at=at, attempts=row.attempts + 1)
        for row in rows
        if row.delivery_id in ours
    )


def finish(connection: Connection, receipt: Receipt, at: datetime, next_at: datetime | None = None) -> bool:
    """Records what became of a claimed delivery; one to be retried is queued until `next_at`.

    A `suppressed` receipt suppresses its address as well. False when the delivery was not claimed any more.
    """
    changes: dict[str, Any]
    match receipt.outcome:
        case "retry":
            changes = {"status": "queued", "next_at": next_at, "detail": receipt.detail}
        case "unattempted":
            changes = {"status": "queued", "attempts": delivery.c.attempts - 1}
        case ended:
            changes = {"status": ended, "finished_at": at, "next_at": None, "detail": receipt.detail}
    claimed = and_(delivery.c.id == receipt.delivery_id, delivery.c.status == "claimed")
    address = connection.execute(
        update(delivery).where(claimed).values(claimed_at=None, **changes).returning(delivery.c.address)
    ).scalar()
    if address is not None and receipt.outcome == "suppressed":
        suppressions.suppress(connection, address, since=at, reason=receipt.detail)
    return address is not None


def finish_delivered(connection: Connection, receipts: Sequence[Receipt], at: datetime) -> None:
    """Records many deliveries as delivered in one statement; those that were not claimed any more stay as they are."""
    if not receipts:
        return
    connection.execute(
        update(delivery)
        .where(delivery.c.id == bindparam("finished_id"), delivery.c.status == "claimed")
        .values(status="delivered", claimed_at=None, next_at=None, finished_at=at, detail=bindparam("said")),
        [{"finished_id": receipt.delivery_id, "said": receipt.detail} for receipt in receipts],
    )


def _expire(connection: Connection, waiting: Any, at: datetime) -> None:
    """Marks what is past its time, and keeps the reason why it did not leave before."""
    said = literal("it expired before it could be delivered")
    connection.execute(
        update(delivery)
        .where(waiting, delivery.c.expires_at <= at)
        .values(
            status="expired",
            claimed_at=None,
            next_at=None,
            finished_at=at,
            detail=case((delivery.c.detail == "", said), else_=said + "; last attempt: " + delivery.c.detail),
        )
    )


def _held(connection: Connection, due: Sequence[NoticeDue], watched: int) -> dict[str, int]:
    """The holds that are needed, by monitor."""
    held = [item for item in due if item.held]
    return {
        monitor: holds.open_hold(
            connection,
            monitor=monitor,
            at=max(item.decided_at for item in held if item.monitor == monitor),
            notices=sum(item.monitor == monitor for item in held),
            watched=watched,
        )
        for monitor in dict.fromkeys(item.monitor for item in held)
    }


def _delivery_rows(
    item: NoticeDue, hold_id: int | None, sender_domain: str, channel: str
) -> Iterator[dict[str, object]]:
    for number, address in enumerate(item.addresses, start=1):
        yield {
            "notice_id": item.id,
            "address": address,
            "channel": channel,
            "message_id": message_id(item.id, number, sender_domain),
            "status": "held" if item.held else "queued",
            "attempts": 0,
            "detail": "",
            "queued_at": None if item.held else item.decided_at,
            "expires_at": item.expires_at,
            "hold_id": hold_id if item.held else None,
        }


def _notice_row(item: NoticeDue) -> dict[str, object]:
    return {
        "id": item.id,
        "monitor": item.monitor,
        "route": item.route,
        "kind": item.kind,
        "template": item.template,
        "subject_kind": None if item.subject is None else item.subject.kind.value,
        "subject": None if item.subject is None else item.subject.id,
        "language": item.language,
        "zone": item.zone,
        "decided_at": item.decided_at,
        "facts": dict(item.facts),
    }
