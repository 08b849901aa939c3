"""The month's model: the values in it, and what is counted of its messages, anew each time."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from month_calendar import Stretch, midnight


@dataclass(frozen=True)
class Message:
    """One log record, and when the program could first have read it: at the tick after it was written."""

    id: str
    time: datetime
    customer: str | None
    status: int
    seen: datetime


@dataclass(frozen=True)
class Customer:
    """One customer of the roster; no zone means the installation's."""

    id: str
    tier: str
    emails: tuple[str, ...]
    zone: str
    billing_day: int
    aliases: tuple[str, ...] = ()
    valid_from: date | None = None
    valid_until: date | None = None


@dataclass(frozen=True)
class Tier:
    """What is included, and what one more costs."""

    included: int
    overage: Decimal


@dataclass(frozen=True)
class Setup:
    """A configuration that was in force from an instant on."""

    since: datetime
    customers: tuple[Customer, ...]
    tiers: Mapping[str, Tier]


@dataclass(frozen=True)
class Threshold:
    """A limit, absolute or in percent of what is included."""

    name: str
    severity: str
    side: str
    value: int
    percent: bool = False
    grace: timedelta = timedelta(0)


@dataclass(frozen=True)
class Route:
    """Whom a monitor tells of what, on which days of the period and at which hours."""

    name: str
    when: tuple[str, ...]
    to: str
    days: range | None = None
    hours: range | None = None
    repeat: timedelta | None = None
    recovery: bool = False


@dataclass(frozen=True)
class Monitor:
    """What is compared with which limits, and at which instants that was done."""

    name: str
    store: str
    window: str
    total: bool
    thresholds: tuple[Threshold, ...]
    routes: tuple[Route, ...]
    instants: tuple[datetime, ...]
    good: range  # status codes that count
    tiers: tuple[str, ...] | None = None  # whom the view selects


@dataclass(frozen=True)
class Verdict:
    """What an evaluation finds for a subject (None: the total) in a period."""

    subject: str | None
    period: Stretch
    quantity: int
    limits: Mapping[str, Fraction]
    breached: Mapping[str, bool | None]
    state: str
    running: bool


@dataclass(frozen=True, order=True)
class Change:
    """A transition. The subject is a customer's id, `total` or `store`."""

    monitor: str
    subject: str
    period: datetime
    threshold: str
    breached: bool
    at: datetime
    episode: int


@dataclass
class World:
    """The month as it was, and as it was watched."""

    zone: str
    messages: Mapping[str, Sequence[Message]]
    stale_after: Mapping[str, timedelta]
    setups: Sequence[Setup]
    lost: Mapping[str, frozenset[datetime]]  # when a store could not be counted
    _seen: dict[tuple[object, ...], list[datetime]] = field(default_factory=dict)
    _by_value: dict[str, dict[str | None, list[Message]]] = field(default_factory=dict)
    _first: dict[str, list[Message]] = field(default_factory=dict)

    def setup(self, at: datetime) -> Setup:
        """The configuration in force."""
        return [setup for setup in self.setups if setup.since <= at][-1]

    def counted(self, store: str) -> list[Message]:
        """Each id once: the first that could be read."""
        if store not in self._first:
            first: dict[str, Message] = {}
            for message in sorted(self.messages[store], key=lambda message: message.seen):  # stable: as written
                first.setdefault(message.id, message)
            self._first[store] = list(first.values())
        return self._first[store]

    def count(self, store: str, good: range, customer: Customer, period: Stretch, at: datetime) -> int:
        """A customer's messages in a period under contract, as known at an instant."""
        key = (store, good, customer, period)
        if key not in self._seen:
            span = contract_span(customer, period)
            values = (customer.id, *customer.aliases)
            self._seen[key] = sorted(
                message.seen
                for value in values
                for message in self._of(store, value)
                if span is not None and span.start <= message.time < span.end and message.status in good
            )
        return bisect_right(self._seen[key], at)

    def is_stale(self, store: str, at: datetime) -> bool:
        """Whether the newest message is too old."""
        newest = max((message.time for message in self.counted(store) if message.seen <= at), default=None)
        return newest is None or at - newest > self.stale_after[store]

    def _of(self, store: str, value: str) -> list[Message]:
        if store not in self._by_value:
            by_value = self._by_value.setdefault(store, {})
            for message in self.counted(store):
                by_value.setdefault(message.customer, []).append(message)
        return self._by_value[store].get(value, [])


def contract_span(customer: Customer, period: Stretch) -> Stretch | None:
    """The part of a period under contract."""
    start, end = period.start, period.end
    if customer.valid_from is not None:
        start = max(start, midnight(customer.valid_from, customer.zone))
    if customer.valid_until is not None:
        end = min(end, midnight(customer.valid_until, customer.zone))
    return Stretch(start, end, period.zone) if start < end else None
