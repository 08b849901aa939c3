"""Deliveries as the ledger keeps them, and reading them: one notice for one address over one channel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, get_args

from sqlalchemy import Connection, Row, Select, func, select

from ledger.records import Subject, SubjectKind
from ledger.tables import delivery, notice, notice_key

Status = Literal["queued", "claimed", "delivered", "suppressed", "expired", "dead", "held", "discarded"]
STATUSES: Final[tuple[Status, ...]] = get_args(Status)
WAITING: Final[tuple[Status, ...]] = ("queued", "claimed")
"""What still leaves by itself."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One notice for one address over one channel.

    `attempts` counts the claims since it was queued; `detail` says where it went, or why the last attempt failed.
    `copy` is 0, and one more each time a person sends the notice again. It may leave since `queued_at`, is not tried
    before `next_at`, and not after `expires_at`.
    """

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
    copy: int = 0
    queued_at: datetime | None = None
    next_at: datetime | None = None
    expires_at: datetime | None = None
    hold_id: int | None = None


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


def list_deliveries(
    connection: Connection,
    *,
    monitor: str | None = None,
    subject: Subject | None = None,
    status: Status | None = None,
    limit: int | None = None,
) -> tuple[Outgoing, ...]:
    """Deliveries with their notices, the newest decision first."""
    wanted = selected().order_by(notice.c.decided_at.desc(), delivery.c.id.desc()).limit(limit)
    if monitor is not None:
        wanted = wanted.where(notice.c.monitor == monitor)
    if subject is not None:
        wanted = wanted.where(notice.c.subject_kind == subject.kind.value, notice.c.subject == subject.id)
    if status is not None:
        wanted = wanted.where(delivery.c.status == status)
    return tuple(outgoing(row) for row in connection.execute(wanted))


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
    return NoticeDetail(
        _stored({**row, "notice_id": row["id"]}),
        tuple(key.key for key in keys if not key.superseded),
        tuple(key.key for key in keys if key.superseded),
        of_notice(connection, notice_id),
    )


def of_notice(connection: Connection, notice_id: str) -> tuple[Delivery, ...]:
    """The deliveries of a notice, the first one first."""
    rows = connection.execute(
        select(delivery).where(delivery.c.notice_id == notice_id).order_by(delivery.c.id)
    ).mappings()
    return tuple(_delivery({**row, "delivery_id": row["id"]}) for row in rows)


def oldest_waiting(connection: Connection, at: datetime) -> datetime | None:
    """Since when the delivery that waits longest has been allowed to leave; None when nothing waits.

    What is held waits for a person and does not count, nor does what has expired by `at` and is only not yet marked.
    """
    wanted = select(func.min(delivery.c.queued_at)).where(
        delivery.c.status.in_(WAITING), (delivery.c.expires_at.is_(None)) | (delivery.c.expires_at > at)
    )
    found: datetime | None = connection.execute(wanted).scalar()
    return found


def count_by_status(connection: Connection) -> Mapping[Status, int]:
    """How many deliveries have each status; those that none has are there with 0."""
    rows = connection.execute(select(delivery.c.status, func.count()).group_by(delivery.c.status)).all()
    found: dict[str, int] = {row[0]: row[1] for row in rows}
    return {status: found.get(status, 0) for status in STATUSES}


def selected() -> Select[Any]:
    """Deliveries joined with their notices, for `outgoing`."""
    own = [column for column in delivery.c if column.name != "id"]
    other = [column for column in notice.c if column.name != "id"]
    return select(delivery.c.id.label("delivery_id"), *own, *other).join_from(
        delivery, notice, notice.c.id == delivery.c.notice_id
    )


def outgoing(row: Row[Any], **changed: object) -> Outgoing:
    """A row of `selected`, with some columns changed since."""
    mapping = {**row._mapping, **changed}
    return Outgoing(_delivery(mapping), _stored(mapping))


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
        copy=row["copy"],
        queued_at=row["queued_at"],
        next_at=row["next_at"],
        expires_at=row["expires_at"],
        hold_id=row["hold_id"],
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
