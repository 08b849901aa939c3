"""Replacing: buckets, their tallies, the period sums and the watermark change together, or not at all.

Everything that happens to tallies goes through `replace`: a refresh, a backfill, a recount, and taking away what is too
old. It keeps one rule: a period sum is what the tallies that are there come to within its segment.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import replace as changed_by
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from config.models import Aggregation
from ledger import tallies, watermarks
from ledger.database import Database
from ledger.tallies import Amount, PeriodSum
from ledger.watermarks import Bucket, Watermark
from logviews.tallies.segments import Segment, Segments
from logviews.tallies.sums import NOTHING, moved, plus, together


class OutrunError(Exception):
    """Another process has changed the filter's tallies since they were looked at: look again."""


@dataclass(frozen=True, slots=True)
class Recounted:
    """A bucket as it was counted now, with its tallies by name; or, with neither, one that is taken away."""

    start: datetime
    bucket: Bucket | None
    amounts: Mapping[str, Amount]


@dataclass(frozen=True, slots=True)
class _Step:
    """One tally's way from what it was to what it is."""

    name: str
    start: datetime
    old: Amount
    new: Amount


_DROPPED: Final[Mapping[str, Amount]] = {}


def dropped(start: datetime) -> Recounted:
    """A bucket that is taken away."""
    return Recounted(start, None, _DROPPED)


def replace(
    database: Database,
    aggregation: Aggregation,
    watermark: Watermark,
    recounted: Sequence[Recounted],
    segments: Iterable[Segments],
) -> Watermark:
    """Puts buckets in the place of those that start with them, and the watermark in the place of the one of its
    revision, in one transaction. Only what differs is written.

    Costs reading the tallies of these buckets and the sums of whom they are of, not those of the whole period.

    Raises:
        OutrunError: when the watermark is of another revision by now; nothing was written.
        LedgerError: when the ledger cannot be written; nothing was.
    """
    with database.begin() as connection:
        if not watermarks.move(connection, watermark):
            raise OutrunError
        steps = [step for one in recounted for step in _write(connection, watermark.id, one)]
        there = [one.bucket for one in recounted if one.bucket is not None]
        watermarks.put_buckets(connection, watermark.id, there)
        watermarks.drop_buckets(connection, watermark.id, [one.start for one in recounted if one.bucket is None])
        for by in segments:
            _move_sums(connection, aggregation, watermark.id, by, steps)
    return changed_by(watermark, revision=watermark.revision + 1)


def _write(connection: Connection, filter_id: int, one: Recounted) -> list[_Step]:
    """Writes what differs of a bucket's tallies; gives that."""
    old = tallies.amounts(connection, filter_id, one.start)
    new = {name: amount for name, amount in one.amounts.items() if old.get(name) != amount}
    gone = [name for name in old if name not in one.amounts]
    tallies.put_amounts(connection, filter_id, one.start, new)
    tallies.drop_amounts(connection, filter_id, one.start, gone)
    return [
        *(_Step(name, one.start, old.get(name, NOTHING), amount) for name, amount in new.items()),
        *(_Step(name, one.start, old[name], NOTHING) for name in gone),
    ]


def _move_sums(
    connection: Connection, aggregation: Aggregation, filter_id: int, by: Segments, steps: Sequence[_Step]
) -> None:
    cut = by.cut.name
    affected: dict[tuple[datetime, str], list[_Step]] = {}
    ends: dict[tuple[datetime, str], datetime] = {}
    for step in steps:
        start, end = by.of(step.name, step.start)
        affected.setdefault((start, step.name), []).append(step)
        ends[start, step.name] = end
    if not affected:
        return
    names = {name for _, name in affected}
    before = tallies.sums_at(connection, filter_id, cut, {start for start, _ in affected}, names)
    sums: list[PeriodSum] = []
    lost: dict[Segment, set[str]] = {}
    for key, its in affected.items():
        known = before.get(key)
        now = _moved(aggregation, NOTHING if known is None else known.amount, its)
        if now is None:
            lost.setdefault((key[0], ends[key]), set()).add(key[1])
        else:
            sums.append(PeriodSum(key[1], key[0], ends[key], now))
    for (start, end), of in lost.items():
        sums += _combined(connection, aggregation, filter_id, (start, end), of)
    tallies.put_sums(connection, filter_id, cut, (one for one in sums if one.amount.messages))
    nothing = [(one.start, one.name) for one in sums if not one.amount.messages and (one.start, one.name) in before]
    tallies.drop_sums(connection, filter_id, cut, nothing)


def _moved(aggregation: Aggregation, amount: Amount | None, steps: Iterable[_Step]) -> Amount | None:
    for step in steps:
        if amount is None:
            break
        amount = moved(aggregation, amount, step.old, step.new)
    return amount


def _combined(
    connection: Connection, aggregation: Aggregation, filter_id: int, segment: Segment, names: set[str]
) -> Iterable[PeriodSum]:
    """The sums of some names over a segment, from its tallies."""
    found = dict.fromkeys(names, together(aggregation, ()))
    for _, name, amount in tallies.tallies(connection, filter_id, *segment, names):
        found[name] = plus(aggregation, found[name], amount)
    return (PeriodSum(name, *segment, amount) for name, amount in found.items())
