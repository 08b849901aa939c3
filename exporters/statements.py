"""Statements: what each customer used in one billing month, counted in full from the logs, and priced.

A statement is first a draft, which depends on the logs and on the configuration; sealed, it depends on nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from itertools import pairwise
from typing import Any, Final

from config.errors import TallywatchError
from config.models import Config
from config.roster import Roster, RosterCustomer, byte_order
from exporters import pricing
from exporters.counts import Counts
from exporters.layouts import layout_named
from ledger.definitions import Definition, define
from ledger.periods import day_start, period_of_month
from ledger.records import Period
from ledger.statements import Approval, Line, Statement, StatementKey
from logviews.readings import Integrity, ViewCount
from logviews.store import LogStore
from logviews.tallies.comparing import Difference
from logviews.tallies.keeper import Keeper

_NAMED: Final = 10  # customers that a sentence names before it counts the rest


class StatementError(TallywatchError):
    """The lines of a statement do not fit its roster; nothing may be closed on them."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A statement before it is sealed. `concerns` are sentences that a person has to read before it may be."""

    key: StatementKey
    layout: str
    currency: str
    exponent: int
    event_cutoff: datetime
    ingest_cutoff: datetime
    definitions: tuple[Definition, ...]
    integrity: tuple[Integrity, ...]
    lines: tuple[Line, ...]
    concerns: tuple[str, ...]
    differences: Mapping[str, tuple[Difference, ...]] = field(default_factory=dict)
    """View -> whose tallies differ from this count; a view of which no tallies are kept is not among them."""

    @property
    def figures(self) -> dict[str, dict[str, Any]]:
        """View -> its integrity figures as plain JSON. `difference` is by how many messages this count and the tallies
        differ, customer by customer; None where none are kept."""
        found = {}
        for item in self.integrity:
            differing = self.differences.get(item.view)
            number = sum(abs(one.counted_messages - one.tallied_messages) for one in differing or ())
            found[item.view] = figures(item) | {"difference": None if differing is None else number}
        return found

    def statement(self, closed_at: datetime, approved: Approval) -> Statement:
        """The head of the statement that this draft becomes."""
        return Statement(
            key=self.key,
            layout=self.layout,
            currency=self.currency,
            exponent=self.exponent,
            closed_at=closed_at,
            approved=approved,
            event_cutoff=self.event_cutoff,
            ingest_cutoff=self.ingest_cutoff,
            definitions={item.label: item.hash for item in self.definitions},
            integrity=self.figures,
        )


@dataclass(frozen=True)
class Accounts:
    """The statements that a configuration asks for, as of `at`. `until` cuts the counts of a provisional draft.

    A view is counted once per month and billing day, however many exports state it, so that they state the same.
    `keeper_of` gives the keeper of a view's tallies, with which what is closed is compared.
    """

    config: Config
    roster: Roster
    store_named: Callable[[str], LogStore]
    at: datetime
    until: datetime | None = None
    keeper_of: Callable[[str], Keeper] | None = None

    def keys(self, month: str, exports: Iterable[str]) -> tuple[StatementKey, ...]:
        """The statements of a month, one per export and billing day of a customer whose contract overlaps it."""
        if self.roster.open:
            return tuple(StatementKey(name, month, 1) for name in exports)
        return tuple(
            StatementKey(name, month, day)
            for name in exports
            for day in sorted({customer.billing_day for customer in self._under_contract(name, month)})
        )

    def event_cutoff(self, key: StatementKey) -> datetime:
        """The end of the statement's last period."""
        return max(period.end for period in self._periods(key))

    def start(self, key: StatementKey) -> datetime:
        """The start of the statement's first period."""
        return min(period.start for period in self._periods(key))

    def closable_from(self, key: StatementKey) -> datetime:
        """The instant from which a statement can be closed: `settle` after its last period, and never before the
        stores' lateness is over."""
        export = self.config.exports[key.export]
        lateness = (self.config.stores[self.config.views[view].store].lateness for view in export.views)
        return self.event_cutoff(key) + max(export.settle, *lateness, timedelta(0))

    def expected(self, key: StatementKey) -> frozenset[str]:
        """Who must have a line in a statement, by today's roster; nobody is known beforehand on an open one."""
        if self.roster.open:
            return frozenset()
        return frozenset(c.id for c in self._under_contract(key.export, key.month) if c.billing_day == key.billing_day)

    def draft(self, key: StatementKey) -> Draft:
        """Counts and prices a statement. Costs one full count per view and billing day.

        Raises:
            StoreUnavailable: when a log store cannot answer exactly.
            StatementError: when a customer would be missing, or stand there twice.
        """
        export, settings = self.config.exports[key.export], self.config.settings
        ingested = self._ingest_cutoff(export.views)  # before counting: everything up to it is in the count
        exponent = pricing.exponent(settings.currency)
        priced = layout_named(export.layout).priced
        counts = {name: self._counts.of(name, key) for name in export.views}
        lines = [line for name in export.views for line in self._lines(key, name, counts[name].count, exponent, priced)]
        lines.sort(key=lambda line: byte_order(line.customer))
        self._check_complete(key, lines)
        tiers = sorted({line.tier for line in lines if line.tier in self.config.tiers})
        return Draft(
            key=key,
            layout=export.layout,
            currency=settings.currency,
            exponent=exponent,
            event_cutoff=self.event_cutoff(key),
            ingest_cutoff=ingested,
            definitions=(
                *(define("view", name, self.config.views[name]) for name in export.views),
                *(define("tier", name, self.config.tiers[name]) for name in tiers),
                self._roster_definition,
            ),
            integrity=tuple(self._counts.integrity(count, key) for count in counts.values()),
            lines=tuple(lines),
            concerns=tuple(self._concerns(key)),
            differences=self._counts.differences(counts, key),
        )

    def _lines(self, key: StatementKey, name: str, count: ViewCount, exponent: int, priced: bool) -> Iterator[Line]:
        view = self.config.views[name]
        for id_, reading in count.readings.items():
            customer = self.roster.find(id_)
            if customer is None:
                raise StatementError(f"the count of {name} has a customer {id_!r} that is not on the roster")
            if customer.billing_day != key.billing_day:
                continue
            quantity = pricing.stated(reading.quantity, view.aggregation)
            period, tier, meter = reading.period, customer.tier, view.meter
            if priced and tier is not None and meter is not None:
                price = self.config.tiers[tier].prices[meter]
                charge = pricing.charge(quantity, price, exponent)
                yield Line(id_, name, tier, meter, period, quantity, price.included, charge.overage, charge.amount)
            else:
                yield Line(id_, name, tier, meter, period, quantity)

    def _check_complete(self, key: StatementKey, lines: Sequence[Line]) -> None:
        """A customer twice or none would be a wrong invoice, whatever the reason."""
        stated = [line.customer for line in lines]
        twice = [id_ for id_, following in pairwise(stated) if id_ == following]
        if twice:
            raise StatementError(f"{key}: several views count {named(twice)}; let each view select other customers")
        if not self.roster.open:
            wrong = sorted(self.expected(key).symmetric_difference(stated), key=byte_order)
            if wrong:
                raise StatementError(f"{key}: the count and the roster do not agree about {named(wrong)}")

    def _concerns(self, key: StatementKey) -> Iterator[str]:
        """A store that fell silent before the period's end may lack messages that were sent."""
        end = self.event_cutoff(key)
        if self.until is not None and self.until < end:
            return
        for name in self._stores(self.config.exports[key.export].views):
            freshness = self.store_named(name).freshness(end)
            if freshness.stale:
                newest = "never" if freshness.newest is None else freshness.newest.isoformat(timespec="seconds")
                yield (
                    f"the store {name} was silent at the period's end for longer than its stale_after (newest message "
                    f"before it: {newest}), so make sure that nothing is missing"
                )

    def _ingest_cutoff(self, views: Iterable[str]) -> datetime:
        known = [self.store_named(name).freshness(self.at).ingested for name in self._stores(views)]
        return max((instant for instant in known if instant is not None), default=self.at)

    def _stores(self, views: Iterable[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.config.views[view].store for view in views))

    def _under_contract(self, export: str, month: str) -> tuple[RosterCustomer, ...]:
        if (export, month) not in self._contracts:
            self._contracts[export, month] = tuple(
                customer
                for view in self.config.exports[export].views
                for customer in self.roster.selected(self.config.views[view])
                if overlaps(customer, period_of_month(month, customer.zone, customer.billing_day))
            )
        return self._contracts[export, month]

    @cached_property
    def _counts(self) -> Counts:
        return Counts(self.config, self.roster, self.store_named, self.at, self.until, self.keeper_of)

    @cached_property
    def _contracts(self) -> dict[tuple[str, str], tuple[RosterCustomer, ...]]:
        return {}

    def _periods(self, key: StatementKey) -> frozenset[Period]:
        zones = {c.zone for c in self._under_contract(key.export, key.month) if c.billing_day == key.billing_day}
        return frozenset(
            period_of_month(key.month, zone, key.billing_day) for zone in zones or {self.config.settings.zone}
        )

    @cached_property
    def _roster_definition(self) -> Definition:
        """Whatever of the roster decides about numbers; names, addresses and languages do not."""
        if self.roster.open:
            return define("roster", "open", {"zone": self.roster.zone})
        fields = ("id", "aliases", "tier", "zone", "billing_day", "valid_from", "valid_until")
        customers = [{name: getattr(one, name) for name in fields} for one in self.roster.customers.values()]
        return define("roster", "customers", customers)


def overlaps(customer: RosterCustomer, period: Period) -> bool:
    """Whether a customer's contract and a period have an instant in common."""
    begins, ends = period.start, period.end
    if customer.valid_from is not None:
        begins = max(begins, day_start(customer.valid_from, customer.zone))
    if customer.valid_until is not None:
        ends = min(ends, day_start(customer.valid_until, customer.zone))
    return begins < ends


def figures(integrity: Integrity) -> dict[str, Any]:
    """An integrity line as plain JSON."""
    return {
        name: value.isoformat(timespec="milliseconds") if isinstance(value, datetime) else value
        for name, value in asdict(integrity).items()
    }


def named(customers: Sequence[str]) -> str:
    """A few of the customers, and how many more there are; fit for a terminal."""
    more = f" and {len(customers) - _NAMED} more" if len(customers) > _NAMED else ""
    named = ", ".join(customers[:_NAMED]) + more
    # control characters of a hostile id must not reach the terminal
    return "".join(character if character.isprintable() else "\ufffd" for character in named)
