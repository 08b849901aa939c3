"""The outbox: notices that were decided, the keys that they used up, and what became of each delivery.

A notice is written in the transaction that decides it, and delivered by another loop: `claim` takes deliveries by a
conditional update whose row count decides who got them, `finish` records what became of one. A process that dies in
between leaves a claim behind, which is taken over after a while; the message then goes out again under the same
Message-ID.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from sqlalchemy import Connection, Select, and_, or_, select
from sqlalchemy.exc import IntegrityError

from config.errors import TallywatchError
from ledger.records import NoticeDue, Receipt, Subject, SubjectKind
from ledger.tables import delivery, notice, notice_key

Status = Literal["queued", "claimed", "delivered"]
RECLAIM_AFTER: Final = timedelta(minutes=10)
"""A claim this old belongs to a process that died: delivering takes seconds."""


class KeyTakenError(TallywatchError):
    """Somebody else decided one of these notices in the meantime; the transaction has to be rolled back."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One notice for one address over one channel. `attempts` counts the claims; `detail` tells why the last failed."""

    id: int
    notice_id: str
    address: str
    channel: str
    message_id: str  # with its angle brackets
    status: Status
    attempts: int
    claimed_at: datetime | None
    finished_at: datetime | None
    detail: str


@dataclass(frozen=True, slots=True)
class StoredNotice:
    """A notice as it was decided; `facts` are read with `ledger.facts` by its `kind`."""

    id: str
    monitor: str
    route: str
    kind: Literal["customer", "ops"]
    template: str
    subject: Subject | None
    language: str
    zone: str
    decided_at: datetime
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A delivery together with its notice."""

    delivery: Delivery
    notice: StoredNotice


@dataclass(frozen=True, slots=True)
class NoticeDetail:
    """Everything that the ledger knows of one notice."""

    notice: StoredNotice
    keys: tuple[str, ...]
    superseded_keys: tuple[str, ...]
    deliveries: tuple[Delivery, ...]


def insert(connection: Connection, notices: Iterable[NoticeDue], *, sender_domain: str, channel: str = "files") -> None:
    """Writes notices with their keys and one delivery per address. Message-IDs are fixed here, and never change.

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
    deliveries = [
        {
            "notice_id": item.id,
            "address": address,
            "channel": channel,
            "message_id": message_id(item.id, number, sender_domain),
            "status": "queued",
            "attempts": 0,
            "detail": "",
        }
        for item in due
        for number, address in enumerate(item.addresses, start=1)
    ]
    try:
        connection.execute(notice.insert(), [_notice_row(item) for item in due])
        connection.execute(notice_key.insert(), keys)
    except IntegrityError as error:
        raise KeyTakenError("another process decided one of these notices at the same time") from error
    if deliveries:
        connection.execute(delivery.insert(), deliveries)


def message_id(notice_id: str, number: int, sender_domain: str) -> str:
    """The Message-ID of a notice for the `number`th of its addresses, from 1, with its angle brackets."""
    return f"<{notice_id}.{number}@{sender_domain}>"


def used_keys(connection: Connection, monitor: str, since: datetime) -> frozenset[str]:
    """The keys that a monitor's notices used up, superseded ones among them, of notices decided at `since` or later.

    A period's notices are decided after it started, so the earliest start of the periods at hand is early enough.
    """
    wanted = (
        select(notice_key.c.key)
        .join(notice, notice.c.id == notice_key.c.notice_id)
        .where(notice.c.monitor == monitor, notice.c.decided_at >= since)
    )
    return frozenset(connection.execute(wanted).scalars())


def claim(
    connection: Connection,
    *,
    at: datetime,
    limit: int,
    after: int = 0,
    reclaim_after: timedelta = RECLAIM_AFTER,
) -> tuple[Outgoing, ...]:
    """Up to `limit` deliveries that now belong to the caller, by ascending id, all of them above `after`.

    Takes what is queued, and what was claimed `reclaim_after` ago or earlier and never finished. `after` lets one run
    pass through the queue once, so that a delivery that fails is not tried again at once. Needs a write transaction.
    """
    abandoned = and_(delivery.c.status == "claimed", delivery.c.claimed_at <= at - reclaim_after)
    due = (
        _outgoing()
        .where(delivery.c.id > after, or_(delivery.c.status == "queued", abandoned))
        .order_by(delivery.c.id)
        .limit(limit)
    )
    claimed = []
    for row in connection.execute(due).all():
        taken = connection.execute(
            delivery.update()
            .where(
                delivery.c.id == row.delivery_id,
                delivery.c.status == row.status,
                delivery.c.attempts == row.attempts,  # another claim in the meantime has counted it up
            )
            .values(status="claimed", claimed_at=at, attempts=row.attempts + 1)
        )
        if taken.rowcount == 1:
            mapping = {**row._mapping, "status": "claimed", "claimed_at": at, "attempts": row.attempts + 1}
            claimed.append(Outgoing(_delivery(mapping), _stored(mapping)))
    return tuple(claimed)


def finish(connection: Connection, receipt: Receipt, at: datetime) -> bool:
    """Records what became of a claimed delivery: delivered, or queued again. False when it was not claimed any more."""
    delivered = receipt.outcome == "delivered"
    done = connection.execute(
        delivery.update()
        .where(delivery.c.id == receipt.delivery_id, delivery.c.status == "claimed")
        .values(
            status="delivered" if delivered else "queued",
            claimed_at=None,
            finished_at=at if delivered else None,
            detail=receipt.detail,
        )
    )
    return done.rowcount == 1


def list_deliveries(
    connection: Connection,
    *,
    monitor: str | None = None,
    subject: Subject | None = None,
    status: Status | None = None,
    limit: int | None = None,
) -> tuple[Outgoing, ...]:
    """Deliveries with their notices, the newest decision first."""
    wanted = _outgoing().order_by(notice.c.decided_at.desc(), delivery.c.id.desc()).limit(limit)
    if monitor is not None:
        wanted = wanted.where(notice.c.monitor == monitor)
    if subject is not None:
        wanted = wanted.where(notice.c.subject_kind == subject.kind.value, notice.c.subject == subject.id)
    if status is not None:
        wanted = wanted.where(delivery.c.status == status)
    return tuple(Outgoing(_delivery(row), _stored(row)) for row in connection.execute(wanted).mappings())


def find_notices(connection: Connection, beginning: str, limit: int = 10) -> tuple[str, ...]:
    """The ids of notices that begin so, at most `limit`: people type the first few characters."""
    wanted = select(notice.c.id).where(notice.c.id.startswith(beginning, autoescape=True))
    return tuple(connection.execute(wanted.order_by(notice.c.id).limit(limit)).scalars())


def show(connection: Connection, notice_id: str) -> NoticeDetail | None:
    """One notice in full, or None when there is none of that id."""
    row = connection.execute(select(notice).where(notice.c.id == notice_id)).mappings().first()
    if row is None:
        return None
    keys = connection.execute(
        select(notice_key).where(notice_key.c.notice_id == notice_id).order_by(notice_key.c.key)
    ).all()
    deliveries = connection.execute(
        select(delivery).where(delivery.c.notice_id == notice_id).order_by(delivery.c.id)
    ).mappings()
    return NoticeDetail(
        _stored({**row, "notice_id": row["id"]}),
        tuple(key.key for key in keys if not key.superseded),
        tuple(key.key for key in keys if key.superseded),
        tuple(_delivery({**item, "delivery_id": item["id"]}) for item in deliveries),
    )


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


def _outgoing() -> Select[Any]:
    own = [column for column in delivery.c if column.name != "id"]
    other = [column for column in notice.c if column.name != "id"]
    return select(delivery.c.id.label("delivery_id"), *own, *other).join_from(
        delivery, notice, notice.c.id == delivery.c.notice_id
    )


def _delivery(row: Mapping[Any, Any]) -> Delivery:
    return Delivery(
        id=row["delivery_id"],
        notice_id=row["notice_id"],
        address=row["address"],
        channel=row["channel"],
        message_id=row["message_id"],
        status=row["status"],
        attempts=row["attempts"],
        claimed_at=row["claimed_at"],
        finished_at=row["finished_at"],
        detail=row["detail"],
    )


def _stored(row: Mapping[Any, Any]) -> StoredNotice:
    kind = row["subject_kind"]
    return StoredNotice(
        id=row["notice_id"],
        monitor=row["monitor"],
        route=row["route"],
        kind=row["kind"],
        template=row["template"],
        subject=None if kind is None else Subject(SubjectKind(kind), row["subject"]),
        language=row["language"],
        zone=row["zone"],
        decided_at=row["decided_at"],
        facts=row["facts"],
    )
