"""Subjects: whose periods a monitor watches, and which of them are over."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from config.models import Monitor
from config.roster import Roster, RosterCustomer
from ledger.periods import day_start, period_containing
from ledger.records import Period
from monitors.watched import Watched

GATES_TURN: Final = timedelta(hours=25)
"""Within the longest day of a zone, the hours of every route come once."""

_INSTANT: Final = timedelta(milliseconds=1)  # the shortest time that the ledger tells apart


def customer_period(it: Watched, member: RosterCustomer, at: datetime) -> Period:
    """The period of the monitor's window that `at` lies in, in the customer's zone and from its billing day."""
    return period_containing(it.monitor.window, at, member.zone, member.billing_day)


def total_period(it: Watched, at: datetime) -> Period:
    """The period for all customers together: in the installation's zone, months from the first."""
    return period_containing(it.monitor.window, at, it.settings.zone)


def ended(it: Watched, member: RosterCustomer | None, after: datetime, through: datetime) -> Iterator[Period]:
    """The periods of a customer (None: of the total) that end in `(after, through]`, in order."""
    zone, billing_day = (it.settings.zone, 1) if member is None else (member.zone, member.billing_day)
    period = period_containing(it.monitor.window, after, zone, billing_day)
    while period.end <= through:
        yield period
        period = period_containing(it.monitor.window, period.end, zone, billing_day)


def last_ended(it: Watched, member: RosterCustomer | None, through: datetime) -> Period:
    """The last period of a customer (None: of the total) that ends at `through` or before."""
    zone, billing_day = (it.settings.zone, 1) if member is None else (member.zone, member.billing_day)
    return _last_ended(it, zone, billing_day, through)


def reach(it: Watched, roster: Roster, at: datetime, judged_through: datetime | None) -> datetime:
    """The start of the earliest period that an evaluation at `at` looks at, or a later one will."""
    rules = {(it.settings.zone, 1)}
    if it.monitor.per == "customer":
        rules |= {(one.zone, one.billing_day) for one in roster.customers.values()}
    found = []
    for zone, billing_day in rules:
        found.append(period_containing(it.monitor.window, at, zone, billing_day).start)
        if judged_through is not None:
            found.append(period_containing(it.monitor.window, judged_through, zone, billing_day).start)
        elif it.monitor.minima:
            through = at - min(threshold.grace for threshold in it.thresholds.values())
            found.append(_last_ended(it, zone, billing_day, through).start)
    return min(found)


def judged_by(monitor: Monitor, at: datetime, *, first: bool) -> datetime:
    """Up to which end periods have had their final verdicts once the monitor was evaluated at `at`.

    A period waits for the longest grace; and where a route that tells a `min` has hours, for those hours to have come
    once, because what was judged at midnight could not be told by a route for the morning. At the `first` evaluation a
    monitor with a `max` is done with all that ended before: it did not watch that, so has no `max` to tell of it.
    """
    if first and len(monitor.minima) < len(monitor.thresholds):
        return at
    waits = any(route.hours is not None and not monitor.minima.keys().isdisjoint(route.when)
                for route in monitor.notify.values())  # fmt: skip
    return at - monitor.grace - (GATES_TURN if waits else timedelta(0))


def contract_span(member: RosterCustomer, period: Period) -> Period | None:
    """The part of a period in which the customer had a contract; None when there is none."""
    start, end = period.start, period.end
    if member.valid_from is not None:
        start = max(start, day_start(member.valid_from, member.zone))
    if member.valid_until is not None:
        end = min(end, day_start(member.valid_until, member.zone))
    return Period(start, end, period.zone) if start < end else None


def _last_ended(it: Watched, zone: str, billing_day: int, through: datetime) -> Period:
    running = period_containing(it.monitor.window, through, zone, billing_day)
    return period_containing(it.monitor.window, running.start - _INSTANT, zone, billing_day)
