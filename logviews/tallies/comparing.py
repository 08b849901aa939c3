"""Comparing: what the logs come to now against what the tallies had, customer by customer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from config.models import View
from config.roster import RosterCustomer
from ledger.records import Quantity, Reading
from logviews.counting import PeriodOf
from logviews.readings import ViewCount, count_view
from logviews.store import LogStore, StoreUnavailable
from logviews.tallies.keeper import Keeper
from logviews.tallies.segments import Cut
from logviews.tallies.tallied import Kept, Tallied

_LOOKS: Final = 2
MONTHLY: Final = Cut("customer", "billing month")


@dataclass(frozen=True, slots=True)
class Difference:
    """A customer of whom the tallies had something else than the logs have; `customer` is None for the unattributed
    rest, of which only messages are known. `bound` says that `tallied` is an upper bound."""

    customer: str | None
    known: bool
    tallied: Quantity | None
    counted: Quantity | None
    tallied_messages: int
    counted_messages: int
    bound: bool = False


@dataclass(frozen=True, slots=True)
class Recount:
    """Tallies that were counted again between two instants, and of whom they were wrong."""

    first: datetime
    last: datetime
    differences: tuple[Difference, ...]


def count_and_compare(
    keeper: Keeper, name: str, view: View, period_of: PeriodOf, at: datetime, count: Callable[[], ViewCount]
) -> tuple[ViewCount, tuple[Difference, ...] | None]:
    """Counts billing months that are over, and compares them with the tallies, which are brought up to date first.

    The differences are None where the months are not in the tallies. What seems to differ is counted once more, because
    messages may have come in between.

    Raises:
        StoreUnavailable: when the logs cannot be counted.
    """
    differing: tuple[Difference, ...] | None = None
    for _ in range(_LOOKS):
        tallied = _up_to_date(keeper, name, view, period_of, at)
        counted = count()
        if tallied is None:
            return counted, None
        differing = tuple(differences(tallied, counted, bounds=view.aggregation == "distinct"))
        if not differing:
            break
    return counted, differing


def recount(keeper: Keeper, name: str, view: View, period_of: PeriodOf, at: datetime) -> Recount | None:
    """Counts the tallies of a view's billing months again, as far as they reach, and replaces them.

    What has come in since they were counted last is counted before, and is no difference; of distinct values the upper
    bounds are compared. None where nothing is kept of the view.

    Raises:
        StoreUnavailable: when the store cannot answer exactly; some tallies may be replaced then.
        LedgerError: when the ledger cannot be read or written.
    """
    keeper.catch_up(at)
    mark = keeper.watermark()
    if mark is None or not keeper.cuts:
        return None
    whole = _span(keeper, period_of)
    first, last = max(whole[0], mark.since, keeper.oldest(at)), min(whole[1], mark.counted_to)
    if first >= last:
        return Recount(first, first, ())
    before = _kept_count(keeper, name, view, period_of, mark.counted_to)
    keeper.recount(first, last, at)
    after = _kept_count(keeper, name, view, period_of, mark.counted_to)
    return Recount(first, last, tuple(differences(before, after)))


def _up_to_date(keeper: Keeper, name: str, view: View, period_of: PeriodOf, at: datetime) -> ViewCount | None:
    """A view's billing months by its tallies; None where none are kept of all of them."""
    if not keeper.cuts:
        return None  # no monitor watches the view
    try:
        mark = keeper.catch_up(at)
        first, last = _span(keeper, period_of)
        if mark is None or first < mark.since or last > mark.counted_to:
            return None
        if MONTHLY not in keeper.cuts:
            return _kept_count(keeper, name, view, period_of, mark.counted_to)
        source = Tallied(keeper.store, keeper.database, keeper.key, MONTHLY, keeper.token, mark.counted_to)
        return _count(source, keeper, name, view, period_of, mark.counted_to)
    except StoreUnavailable:
        return None  # whether the logs themselves can be counted is told by counting them


def _span(keeper: Keeper, period_of: PeriodOf) -> tuple[datetime, datetime]:
    """From the start of the first of all customers' periods to the end of the last."""
    nobody = RosterCustomer("", (), "", None, (), keeper.zone, "en", 1, None, None)
    periods = {period_of(one) for one in (nobody, *keeper.roster.customers.values())}
    return min(period.start for period in periods), max(period.end for period in periods)


def _kept_count(keeper: Keeper, name: str, view: View, period_of: PeriodOf, until: datetime) -> ViewCount:
    """By every single tally that there is, where no period sums are kept or they do not reach far enough."""
    return _count(Kept(keeper.store, keeper.database, keeper.key), keeper, name, view, period_of, until)


def _count(source: LogStore, keeper: Keeper, name: str, view: View, period_of: PeriodOf, until: datetime) -> ViewCount:
    zone = keeper.zone
    return count_view(source, name, view, keeper.roster, period_of, until, default_zone=zone, doubted=lambda *_: False)


def differences(tallied: ViewCount, counted: ViewCount, *, bounds: bool = False) -> Iterator[Difference]:
    """Who differs, in byte order of id, customers of the roster first and the unattributed rest last.

    With `bounds` the tallied quantities are upper bounds of those counted: they differ where they are exceeded.
    """
    for known, old, new in ((True, tallied.readings, counted.readings), (False, tallied.unknown, counted.unknown)):
        yield from _differing(old, new, known=known, bounds=bounds)
    before, after = tallied.integrity.unattributed, counted.integrity.unattributed
    if before != after:
        yield Difference(None, False, None, None, before, after)


def _differing(
    tallied: Mapping[str, Reading], counted: Mapping[str, Reading], *, known: bool, bounds: bool
) -> Iterator[Difference]:
    for id_ in sorted({*tallied, *counted}, key=lambda id_: id_.encode("utf-8", "surrogatepass")):
        old, new = tallied.get(id_), counted.get(id_)
        was, is_ = (None if one is None else one.quantity for one in (old, new))
        messages = (0 if old is None else old.messages, 0 if new is None else new.messages)
        differs = (is_ or 0) > (was or 0) if bounds else was != is_
        if differs or messages[0] != messages[1]:
            yield Difference(id_, known, was, is_, *messages, bounds)
