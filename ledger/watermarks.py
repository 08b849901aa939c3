"""How far each filter was counted: its watermark and its buckets, as SQL.

A filter's rows change together: whoever changes some moves the watermark's revision in the same transaction, and nobody
who read an earlier revision may write.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from ledger.tables import bucket, quantity, tally, watermark
from ledger.upsert import upsert_many

_AT_ONCE: Final = 10_000  # instants in one statement; SQLite takes no more than 32,766 parameters


@dataclass(frozen=True, slots=True)
class Watermark:
    """How far a filter was counted: from `since` to `counted_to` no bucket is missing; the last may be there in part.

    `mark` is the store's note of what it had then. `cuts` names the period sums that are kept, each with a token of the
    roster that they were cut by. `width` is that of a bucket. `revision` is another one after each change.
    """

    id: int
    hash: str
    store: str
    body: str
    width: timedelta
    mark: str
    revision: int
    since: datetime
    counted_to: datetime
    counted_at: datetime
    cuts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Bucket:
    """A stretch of time that was counted whole, up to `counted_to`; `unattributed` of its `messages` are nobody's.

    `customers` is the number of its tallies. `changed` ones have to be counted again.
    """

    start: datetime
    counted_to: datetime
    counted_at: datetime
    messages: int
    unattributed: int
    customers: int
    changed: bool = False


def load(connection: Connection, hash_: str) -> Watermark | None:
    """A filter's watermark; None where nothing of it was counted yet."""
    row = connection.execute(select(watermark).where(watermark.c.hash == hash_)).first()
    return None if row is None else _watermark(row)


def load_all(connection: Connection) -> tuple[Watermark, ...]:
    """The watermarks of all filters, in the order of their making."""
    return tuple(map(_watermark, connection.execute(select(watermark).order_by(watermark.c.id))))


def begin(connection: Connection, new: Watermark) -> None:
    """Writes the watermark of a filter that has none; its number is given by the database."""
    values = {name: getattr(new, name) for name in Watermark.__slots__ if name not in ("id", "width")}
    connection.execute(insert(watermark).values(values | {"width_seconds": new.width // timedelta(seconds=1)}))


def move(connection: Connection, new: Watermark) -> bool:
    """Writes a filter's watermark with the next revision; False when it is of another revision than `new` says."""
    changing = ("mark", "since", "counted_to", "counted_at", "cuts")
    done = connection.execute(
        update(watermark)
        .where(watermark.c.id == new.id, watermark.c.revision == new.revision)
        .values({name: getattr(new, name) for name in changing} | {"revision": new.revision + 1})
    )
    return done.rowcount == 1


def buckets(connection: Connection, filter_id: int, first: datetime, last: datetime) -> tuple[Bucket, ...]:
    """A filter's buckets that start in `[first, last)`, in order."""
    rows = connection.execute(
        select(bucket)
        .where(bucket.c.filter_id == filter_id, bucket.c.start >= first, bucket.c.start < last)
        .order_by(bucket.c.start)
    )
    return tuple(Bucket(**{name: getattr(row, name) for name in Bucket.__slots__}) for row in rows)


def changed_buckets(connection: Connection, filter_id: int) -> tuple[datetime, ...]:
    """The starts of a filter's buckets that have to be counted again, in order."""
    wanted = select(bucket.c.start).where(bucket.c.filter_id == filter_id, bucket.c.changed).order_by(bucket.c.start)
    return tuple(connection.scalars(wanted))


def fullest(connection: Connection, filter_id: int, first: datetime) -> int:
    """The largest number of tallies in a bucket that starts at `first` or later."""
    wanted = select(func.max(bucket.c.customers)).where(bucket.c.filter_id == filter_id, bucket.c.start >= first)
    return connection.scalar(wanted) or 0


def put_buckets(connection: Connection, filter_id: int, new: Iterable[Bucket]) -> None:
    """Writes buckets, each in the place of the one that starts with it."""
    rows = [{"filter_id": filter_id} | {name: getattr(one, name) for name in Bucket.__slots__} for one in new]
    upsert_many(connection, bucket, [name for name in Bucket.__slots__ if name != "start"], rows)


def mark_changed(connection: Connection, filter_id: int, starts: Sequence[datetime], *, changed: bool = True) -> None:
    """Notes of buckets that they have to be counted again, or need not."""
    for first in range(0, len(starts), _AT_ONCE):
        these = (bucket.c.filter_id == filter_id, bucket.c.start.in_(starts[first : first + _AT_ONCE]))
        connection.execute(update(bucket).where(*these).values(changed=changed))


def drop_buckets(connection: Connection, filter_id: int, starts: Sequence[datetime]) -> None:
    """Removes buckets; their tallies have to be gone."""
    for first in range(0, len(starts), _AT_ONCE):
        these = (bucket.c.filter_id == filter_id, bucket.c.start.in_(starts[first : first + _AT_ONCE]))
        connection.execute(delete(bucket).where(*these))


def shorten(connection: Connection, filter_id: int, until: datetime) -> None:
    """Removes what was counted of a filter before an instant, and all its period sums: they are made anew from what is
    left should anybody ask for them."""
    connection.execute(delete(quantity).where(quantity.c.filter_id == filter_id))
    for table in (tally, bucket):
        connection.execute(delete(table).where(table.c.filter_id == filter_id, table.c.start < until))
    changing = {"since": until, "cuts": {}, "revision": watermark.c.revision + 1}
    connection.execute(update(watermark).where(watermark.c.id == filter_id).values(changing))


def drop(connection: Connection, filter_id: int) -> None:
    """Removes a filter with all that was counted of it."""
    for table in (quantity, tally, bucket):
        connection.execute(delete(table).where(table.c.filter_id == filter_id))
    connection.execute(delete(watermark).where(watermark.c.id == filter_id))


def _watermark(row: Row[Any]) -> Watermark:
    found = {name: getattr(row, name) for name in Watermark.__slots__ if name != "width"}
    return Watermark(**found, width=timedelta(seconds=row.width_seconds))
