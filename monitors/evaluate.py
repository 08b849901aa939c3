"""Evaluating: a monitor's view is counted, and every subject of it judged. Writes nothing; see `monitors.commit`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from config.models import Config
from config.roster import Roster, RosterCustomer
from ledger.periods import day_start, period_containing
from ledger.records import TOTAL, Period, Reading, Verdict, customer
from logviews.readings import Integrity, count_total, count_view
from logviews.store import LogStore, StoreUnavailable
from monitors.forecast import straight
from monitors.judge import judge, unavailable
from monitors.watched import Watched, watched


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What one evaluation of a monitor found. `problem` is the store's reason when it could not answer.

    `figures` are plain JSON, recorded with the evaluation: the integrity figures of the count.
    """

    watched: Watched
    at: datetime
    verdicts: tuple[Verdict, ...]
    problem: str | None = None
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Evaluator:
    """Evaluates the monitors of one configuration. `store_of` opens a log store by its name."""

    config: Config
    roster: Roster
    store_of: Callable[[str], LogStore]

    def evaluate(self, name: str, at: datetime) -> Evaluated:
        """The verdicts of a monitor on all its subjects, counted from the logs over `[period start, at)`.

        One counting query for a view, whatever the number of customers. Customers whose contract has no day in their
        period are left out; a store that cannot answer makes every verdict `unavailable`.

        Raises:
            KeyError: when the configuration has no monitor of that name.
        """
        it = watched(self.config, name)
        try:
            store = self.store_of(it.view.store)
            return self._total(it, store, at) if it.monitor.per == "total" else self._customers(it, store, at)
        except StoreUnavailable as error:
            return Evaluated(it, at, self._unavailable(it, at), str(error))

    def _customers(self, it: Watched, store: LogStore, at: datetime) -> Evaluated:
        counted = count_view(
            store,
            it.view_name,
            it.view,
            self.roster,
            lambda member: customer_period(it, member, at),
            at,
            default_zone=it.settings.zone,
        )
        readings = dict(counted.readings)
        if self.roster.open:  # nobody is unknown then
            readings.update(counted.unknown)
        verdicts = (self._verdict(it, id_, reading, at) for id_, reading in readings.items())
        found = tuple(verdict for verdict in verdicts if verdict is not None)
        return Evaluated(it, at, found, figures={"integrity": _figures(counted.integrity)})

    def _verdict(self, it: Watched, id_: str, reading: Reading, at: datetime) -> Verdict | None:
        member = self.roster.find(id_)
        span = None if member is None else contract_span(member, customer_period(it, member, at))
        if member is None or span is None:
            return None
        projected = straight(reading, it.view.aggregation, span)
        return judge(it.name, it.monitor, reading, plan=it.plan(member), projected=projected, at=at)

    def _total(self, it: Watched, store: LogStore, at: datetime) -> Evaluated:
        reading = count_total(store, it.view_name, it.view, self.roster, total_period(it, at), at)
        projected = straight(reading, it.view.aggregation)
        return Evaluated(it, at, (judge(it.name, it.monitor, reading, plan=None, projected=projected, at=at),))

    def _unavailable(self, it: Watched, at: datetime) -> tuple[Verdict, ...]:
        if it.monitor.per == "total":
            return (unavailable(it.name, it.monitor, TOTAL, total_period(it, at), plan=None, at=at),)
        return tuple(
            unavailable(it.name, it.monitor, customer(member.id), period, plan=it.plan(member), at=at)
            for member in self.roster.selected(it.view)
            if contract_span(member, period := customer_period(it, member, at)) is not None
        )


def customer_period(it: Watched, member: RosterCustomer, at: datetime) -> Period:
    """The period of the monitor's window that `at` lies in, in the customer's zone and from its billing day."""
    return period_containing(it.monitor.window, at, member.zone, member.billing_day)


def total_period(it: Watched, at: datetime) -> Period:
    """The period for all customers together: in the installation's zone, months from the first."""
    return period_containing(it.monitor.window, at, it.settings.zone)


def contract_span(member: RosterCustomer, period: Period) -> Period | None:
    """The part of a period in which the customer had a contract; None when there is none."""
    start, end = period.start, period.end
    if member.valid_from is not None:
        start = max(start, day_start(member.valid_from, member.zone))
    if member.valid_until is not None:
        end = min(end, day_start(member.valid_until, member.zone))
    return Period(start, end, period.zone) if start < end else None


def _figures(integrity: Integrity) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value for name, value in asdict(integrity).items()
    }
