"""What has been counted already, as SQL: tallies and period sums of a filter, each of one customer value.

Whoever changes some moves the filter's watermark in the same transaction (see `ledger.watermarks`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, Table, delete, select

from ledger.quantities import parse_quantity
from ledger.records import UNATTRIBUTED, Quantity, Subject, SubjectKind, customer
from ledger.tables import bucket, quantity, tally
from ledger.upsert import upsert_many

LONGEST_NAME: Final = 512
REST: Final = ""
"""The name of the unattributed rest."""
_AMOUNT: Final = ("messages", "values", "quantity", "newest", "newest_id")
_AT_ONCE: Final = 10_000  # names in one statement; SQLite takes no more than 32,766 parameters
_FEW: Final = 2_000


@dataclass(frozen=True, slots=True)
class Amount:
    """What a tally or a period sum holds, as in `ledger.records.Tally`; `quantity` is None where there was no value."""

    messages: int
    values: int
    quantity: Quantity | None
    newest: datetime | None = None
    newest_id: str = ""


@dataclass(frozen=True, slots=True)
class PeriodSum:
    """The tallies of one name between two instants together."""

    name: str
    start: datetime
    end: datetime
    amount: Amount


def name_of(subject: Subject) -> str:
    """The name under which the ledger keeps a customer value: the value, or nothing for the unattributed rest.

    A value that no database could keep stands under its hash, made longer than any name that can be kept, so that it is
    still one of its own, and still one that can be nobody's id.
    """
    if subject.kind is SubjectKind.UNATTRIBUTED:
        return REST
    value = subject.id
    if len(value) <= LONGEST_NAME and "\0" not in value and (value.isascii() or _encodes(value)):
        return value
    written = value.encode("utf-8", "surrogatepass")
    return hashlib.sha256(written).hexdigest().ljust(LONGEST_NAME + 1, ".")


def subject_of(name: str) -> Subject:
    """Whose tally it is that is kept under a name."""
    return customer(name) if name else UNATTRIBUTED


def amounts(connection: Connection, filter_id: int, start: datetime) -> dict[str, Amount]:
    """The tallies of a bucket, by name."""
    wanted = select(tally.c.customer, *_columns(tally)).where(tally.c.filter_id == filter_id, tally.c.start == start)
    return {name: _amount(*columns) for name, *columns in connection.execute(wanted)}


def tallies(
    connection: Connection, filter_id: int, first: datetime, last: datetime, names: Collection[str] | None = None
) -> Iterator[tuple[datetime, str, Amount]]:
    """The tallies in buckets that start in `[first, last)`, of these names or of all: start, name and amount.

    Those of few names are found one by one; of many, everything in between is read.
    """
    within = (tally.c.filter_id == filter_id, tally.c.start >= first, tally.c.start < last)
    wanted = select(tally.c.start, tally.c.customer, *_columns(tally)).where(*within)
    if names is not None and len(names) <= _FEW:
        # by the starts of the buckets, so that each tally is found by its whole key
        own = (bucket.c.filter_id == filter_id, bucket.c.start >= first, bucket.c.start < last)
        wanted = wanted.where(tally.c.start.in_(select(bucket.c.start).where(*own)), tally.c.customer.in_(names))
        names = None
    for start, name, *columns in connection.execute(wanted.execution_options(yield_per=_AT_ONCE)):
        if names is None or name in names:
            yield start, name, _amount(*columns)


def put_amounts(connection: Connection, filter_id: int, start: datetime, new: Mapping[str, Amount]) -> None:
    """Writes tallies of a bucket, each in the place of the one of its name."""
    rows = [{"filter_id": filter_id, "start": start, "customer": name} | _row(one) for name, one in new.items()]
    upsert_many(connection, tally, _AMOUNT, rows)


def drop_amounts(connection: Connection, filter_id: int, start: datetime, names: Sequence[str]) -> None:
    """Removes tallies of a bucket."""
    for some in _portions(names):
        these = (tally.c.filter_id == filter_id, tally.c.start == start, tally.c.customer.in_(some))
        connection.execute(delete(tally).where(*these))


def sums(connection: Connection, filter_id: int, cut: str, first: datetime, last: datetime) -> Iterator[PeriodSum]:
    """The period sums of a cut that start in `[first, last)`."""
    wanted = _sums(filter_id, cut).where(quantity.c.start >= first, quantity.c.start < last)
    yield from map(_sum, connection.execute(wanted.execution_options(yield_per=_AT_ONCE)))


def sums_at(
    connection: Connection, filter_id: int, cut: str, starts: Collection[datetime], names: Collection[str]
) -> dict[tuple[datetime, str], PeriodSum]:
    """The period sums of a cut that start then, at least those of these names."""
    wanted = _sums(filter_id, cut).where(quantity.c.start.in_(starts))
    if len(starts) * len(names) <= _FEW:
        wanted = wanted.where(quantity.c.customer.in_(names))
    return {(one.start, one.name): one for one in map(_sum, connection.execute(wanted))}


def put_sums(connection: Connection, filter_id: int, cut: str, new: Iterable[PeriodSum]) -> None:
    """Writes period sums, each in the place of the one of its name that starts with it."""
    rows = [
        {"filter_id": filter_id, "cut": cut, "start": one.start, "customer": one.name, "end": one.end}
        | _row(one.amount)
        for one in new
    ]
    upsert_many(connection, quantity, ("end", *_AMOUNT), rows)


def drop_sums(connection: Connection, filter_id: int, cut: str, of: Iterable[tuple[datetime, str]]) -> None:
    """Removes period sums, by start and name."""
    by_start: dict[datetime, list[str]] = {}
    for start, name in of:
        by_start.setdefault(start, []).append(name)
    for start, names in by_start.items():
        for some in _portions(names):
            these = (quantity.c.filter_id == filter_id, quantity.c.cut == cut, quantity.c.start == start)
            connection.execute(delete(quantity).where(*these, quantity.c.customer.in_(some)))


def drop_cut(connection: Connection, filter_id: int, cut: str) -> None:
    """Removes all period sums of a cut."""
    connection.execute(delete(quantity).where(quantity.c.filter_id == filter_id, quantity.c.cut == cut))


def _encodes(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _columns(table: Table) -> list[Any]:
    return [table.c[name] for name in _AMOUNT]


def _amount(messages: int, values: int, written: str | None, newest: datetime | None, newest_id: str | None) -> Amount:
    number = None if written is None else parse_quantity(written)
    return Amount(messages, values, number, newest, "" if newest_id is None else json.loads(newest_id))


def _row(amount: Amount) -> dict[str, Any]:
    """The id as JSON in ASCII, which holds whatever a message may be called, and no database refuses."""
    return {
        "messages": amount.messages,
        "values": amount.values,
        "quantity": None if amount.quantity is None else str(amount.quantity),
        "newest": amount.newest,
        "newest_id": None if amount.newest is None else json.dumps(amount.newest_id),
    }


def _sums(filter_id: int, cut: str) -> Any:
    wanted = select(quantity.c.customer, quantity.c.start, quantity.c.end, *_columns(quantity))
    return wanted.where(quantity.c.filter_id == filter_id, quantity.c.cut == cut)


def _sum(row: Row[Any]) -> PeriodSum:
    name, start, end, *columns = tuple(row)
    return PeriodSum(name, start, end, _amount(*columns))


def _portions(names: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for first in range(0, len(names), _AT_ONCE):
        yield names[first : first + _AT_ONCE]
