"""Readings: a view's exact quantity for each customer's period, and the integrity figures beside them.

Every matching message lands in exactly one of five heaps: selected, unselected (a customer that the view does not
select), unattributed (no customer, or several), unknown (not on the roster) and outside (a contract's dates). Their sum
is the total.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from config.models import View
from config.roster import Roster, RosterCustomer
from ledger.periods import period_containing
from ledger.records import TOTAL, Period, Quantity, Reading, Trust, customer
from logviews.counting import Counting, Doubted, Key, PeriodOf, Span, Sum
from logviews.store import LogStore, Member, StoreUnavailable

Unit = Literal["day", "hour"]


@dataclass(frozen=True, slots=True)
class Integrity:
    """Where the messages went that matched a view's filter; all figures are numbers of messages.

    `total` is the sum of the five after it; `duplicates` were refused at the door and are in none of them (None where
    that was not asked).
    """

    view: str
    total: int
    selected: int
    unselected: int
    unattributed: int
    unknown: int
    outside: int
    duplicates: int | None
    counted_to: datetime


@dataclass(frozen=True, slots=True)
class ViewCount:
    """A view's readings: of every selected customer of the roster, also at 0, and of values that are not on it."""

    readings: Mapping[str, Reading]
    unknown: Mapping[str, Reading]
    integrity: Integrity


@dataclass(frozen=True, slots=True)
class Point:
    """One customer's quantity in the day or hour that starts at `start`."""

    customer: str
    known: bool
    zone: str
    start: datetime
    quantity: Quantity | None
    messages: int


def count_view(
    store: LogStore,
    name: str,
    view: View,
    roster: Roster,
    period_of: PeriodOf,
    until: datetime | None = None,
    *,
    default_zone: str,
    doubted: Doubted | None = None,
) -> ViewCount:
    """Counts a view: `[start, end)` of each customer's period, up to `until` and clipped to its contract.

    One query of the store; a second one for `distinct`. Unknown and unattributed messages are counted in the period of
    a customer in `default_zone` whose billing day is 1. With `doubted` a number of distinct values is an upper bound
    where that does not doubt it.

    Raises:
        StoreUnavailable: when the store cannot answer exactly.
    """
    counting = Counting(store, name, view, roster, period_of, until, _nobody(default_zone), doubted=doubted)
    counting.run()
    return _view_count(counting)


def count_total(
    store: LogStore,
    name: str,
    view: View,
    roster: Roster,
    period: Period,
    until: datetime | None = None,
    *,
    doubted: Callable[[Quantity], bool] | None = None,
) -> Reading:
    """Counts a view for all selected customers together, in one period for all.

    With `doubted` a number of distinct values is an upper bound where that does not doubt it.

    Raises:
        StoreUnavailable: when the store cannot answer exactly.
    """
    # a value that two customers share counts once, so what each of them has is but a bound
    counting = Counting(
        store, name, view, roster, lambda _: period, until, _nobody(period.zone), doubted=lambda *_: False
    )
    counting.run()
    span, together = counting.span(counting.nobody), Sum()
    known = [key for key in counting.sums if key.known]
    for key in known:
        together.merge(counting.sums[key], "messages" if view.aggregation == "distinct" else view.aggregation)
    bound = together.quantity or 0
    if view.aggregation == "distinct" and known and (doubted is None or doubted(bound)):
        members = [Member(member.value, "", member.start, member.end) for member in counting.members(known)]
        tallies = list(store.count(counting.query((span.period.start, span.end), members)))
        messages = sum(tally.messages for tally in tallies)
        if doubted is None and messages != together.messages:
            raise StoreUnavailable(f"view {name}: the store's messages changed while they were counted; try again")
        together.messages, together.quantity = messages, sum(int(tally.quantity or 0) for tally in tallies)
    return Reading(TOTAL, period, together.result(view.aggregation), together.messages, span.end, _trust(counting))


def count_series(
    store: LogStore,
    name: str,
    view: View,
    roster: Roster,
    period_of: PeriodOf,
    until: datetime | None,
    unit: Unit,
    *,
    default_zone: str,
) -> tuple[tuple[Point, ...], Integrity]:
    """A view day by day or hour by hour, by customer and start; each customer's days by its own zone.

    Days and hours without messages are left out. Costs what `count_view` costs, and a row for each point.

    Raises:
        StoreUnavailable: when the store cannot answer exactly.
    """

    def steps(period: Period, end: datetime) -> list[datetime]:
        starts, at = [], period.start
        while at < end:
            starts.append(at)
            at = period_containing("day", at, period.zone).end if unit == "day" else at + timedelta(hours=1)
        return starts

    counting = Counting(store, name, view, roster, period_of, until, _nobody(default_zone), steps)
    counting.run()
    points = []
    for key in sorted(counting.sums, key=lambda key: (key.id.encode(), key.step)):
        found = counting.sums[key]
        zone = counting.spans[key.id].period.zone if key.known else default_zone
        points.append(Point(key.id, key.known, zone, key.step, found.result(view.aggregation), found.messages))
    return tuple(points), _integrity(counting)


def _nobody(zone: str) -> RosterCustomer:
    return RosterCustomer("", (), "", None, (), zone, "en", 1, None, None)


def _view_count(counting: Counting) -> ViewCount:
    trust = _trust(counting)
    nobody = counting.span(counting.nobody)
    watched = sorted(
        (span for span in counting.spans.values() if span.selected and span.watched),
        key=lambda span: span.customer.id.encode(),
    )
    readings = {
        span.customer.id: _reading(counting, Key(span.customer.id, True, span.period.start), span, trust)
        for span in watched
    }
    strangers = sorted((key for key in counting.sums if not key.known), key=lambda key: key.id.encode())
    unknown = {key.id: _reading(counting, key, nobody, trust) for key in strangers}
    return ViewCount(readings, unknown, _integrity(counting))


def _reading(counting: Counting, key: Key, span: Span, trust: Trust) -> Reading:
    found = counting.sums.get(key, Sum())
    quantity = found.result(counting.view.aggregation)
    return Reading(customer(key.id), span.period, quantity, found.messages, span.end, trust)


def _trust(counting: Counting) -> Trust:
    end = max(span.end for span in (counting.span(counting.nobody), *counting.spans.values()))
    return Trust.LOWER_BOUND if counting.store.freshness(end).stale else Trust.COMPLETE


def _integrity(counting: Counting) -> Integrity:
    selected = sum(found.messages for key, found in counting.sums.items() if key.known)
    unknown = sum(found.messages for key, found in counting.sums.items() if not key.known)
    total = selected + counting.unselected + counting.unattributed + unknown + counting.outside
    edges = counting.edges()
    duplicates = counting.store.duplicates(counting.query((edges[0], edges[-1]))) if len(edges) > 1 else 0
    return Integrity(
        view=counting.name,
        total=total,
        selected=selected,
        unselected=counting.unselected,
        unattributed=counting.unattributed,
        unknown=unknown,
        outside=counting.outside,
        duplicates=duplicates,
        counted_to=counting.span(counting.nobody).end,
    )
