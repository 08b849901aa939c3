"""Cutting: period sums that are made of tallies which are there already, for a new cut or a changed roster."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection

from config.models import Aggregation
from ledger import tallies, watermarks
from ledger.database import Database
from ledger.tallies import Amount, PeriodSum
from ledger.watermarks import Watermark
from logviews.tallies.replacing import OutrunError
from logviews.tallies.segments import Segments
from logviews.tallies.sums import plus

_AT_ONCE: Final = 100_000
_EVER: Final = (datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC))


def fit(
    database: Database, aggregation: Aggregation, watermark: Watermark, wanted: Iterable[Segments], token: str
) -> Watermark:
    """Sees to it that these cuts are kept and no others, by the roster of which this is the token.

    Where the roster has changed, only those are counted together anew whose segments have. Costs one look at the
    watermark where nothing has to be done.

    Raises:
        OutrunError: when another process has changed the filter's tallies meanwhile.
        LedgerError: when the ledger cannot be written.
    """
    cuts = {by.cut.name: by for by in wanted}
    if watermark.cuts == dict.fromkeys(cuts, token):
        return watermark
    fitting = replace(watermark, cuts=dict.fromkeys(cuts, token))
    with database.begin() as connection:
        if not watermarks.move(connection, fitting):
            raise OutrunError
        for name in watermark.cuts.keys() - cuts.keys():
            tallies.drop_cut(connection, watermark.id, name)
        for name, by in cuts.items():
            if name not in watermark.cuts:
                tallies.drop_cut(connection, watermark.id, name)
                _add(connection, aggregation, watermark.id, by, None)
            elif watermark.cuts[name] != token:
                _mend(connection, aggregation, watermark.id, by)
    return replace(fitting, revision=watermark.revision + 1)


def _mend(connection: Connection, aggregation: Aggregation, filter_id: int, by: Segments) -> None:
    """Counts together anew whatever names have a sum over a stretch that is no segment of theirs any more."""
    name = by.cut.name
    wrong = {
        one.name
        for one in tallies.sums(connection, filter_id, name, *_EVER)
        if by.of(one.name, one.start) != (one.start, one.end)
    }
    if wrong:
        theirs = [
            (one.start, one.name) for one in tallies.sums(connection, filter_id, name, *_EVER) if one.name in wrong
        ]
        tallies.drop_sums(connection, filter_id, name, theirs)
        _add(connection, aggregation, filter_id, by, wrong)


def _add(
    connection: Connection, aggregation: Aggregation, filter_id: int, by: Segments, names: Collection[str] | None
) -> None:
    """Adds the tallies of these names, or of all, to sums that have not seen them."""
    found: dict[tuple[datetime, str], PeriodSum] = {}
    for start, name, amount in tallies.tallies(connection, filter_id, *_EVER, names):
        first, end = by.of(name, start)
        known = found.get((first, name))
        sum_ = amount if known is None else plus(aggregation, known.amount, amount)
        found[first, name] = PeriodSum(name, first, end, sum_)
        if len(found) >= _AT_ONCE:
            _flush(connection, aggregation, filter_id, by, found)
            found.clear()
    _flush(connection, aggregation, filter_id, by, found)


def _flush(
    connection: Connection,
    aggregation: Aggregation,
    filter_id: int,
    by: Segments,
    found: dict[tuple[datetime, str], PeriodSum],
) -> None:
    cut, names = by.cut.name, {name for _, name in found}
    before = tallies.sums_at(connection, filter_id, cut, {start for start, _ in found}, names)

    def with_before(key: tuple[datetime, str], amount: Amount) -> Amount:
        return plus(aggregation, before[key].amount, amount) if key in before else amount

    tallies.put_sums(
        connection,
        filter_id,
        cut,
        (replace(one, amount=with_before(key, one.amount)) for key, one in found.items()),
    )
