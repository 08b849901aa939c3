"""Segments: how time is cut up for one customer value, so that whole segments make its readings. Pure.

A *cut* says by which periods: those of a window in the customer's own zone and from its billing day, or those of the
total, which are the same for all. Segments end where a period ends, and where the customer's contract begins or ends.
A value that is on nobody's list has the periods of a customer in the installation's zone whose billing day is 1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, Literal

from config.models import Window
from config.roster import Roster, RosterCustomer
from ledger.periods import day_start, period_containing
from logviews.store import StoreUnavailable
from logviews.tallies.buckets import floor

Segment = tuple[datetime, datetime]
"""Its start and its end, exclusive."""

_KNOWN_AT_MOST: Final = 50_000
_Rule = tuple[str, int, date | None, date | None]


@dataclass(frozen=True, slots=True, order=True)
class Cut:
    """By which periods time is cut."""

    per: Literal["customer", "total"]
    window: Window

    @property
    def name(self) -> str:
        """How the ledger knows it, such as `customer billing month`."""
        return f"{self.per} {self.window}"


class Segments:
    """The segments of every customer value by one cut. Finding one takes a microsecond where its like was found before.

    Raises:
        StoreUnavailable: by `of`, for a segment that ends within a bucket of this width.
    """

    def __init__(self, roster: Roster, cut: Cut, zone: str, width: timedelta) -> None:
        self.cut = cut
        self._roster, self._zone, self._width = roster, zone, width
        self._nobody: _Rule = (zone, 1, None, None)
        self._known: dict[tuple[_Rule, datetime], Segment] = {}

    def of(self, name: str, at: datetime) -> Segment:
        """The segment that an instant lies in, of a name that the ledger has (see `ledger.tallies.name_of`)."""
        rule = self._rule(name)
        found = self._known.get((rule, at))
        if found is None:
            if len(self._known) >= _KNOWN_AT_MOST:
                self._known.clear()
            found = self._known[rule, at] = self._segment(rule, at)
        return found

    def _rule(self, name: str) -> _Rule:
        if self._roster.open:
            return self._nobody if not name else (self._roster.zone, 1, None, None)
        member = self._roster.find(name) if name else None
        return self._nobody if member is None else _rule_of(member)

    def _segment(self, rule: _Rule, at: datetime) -> Segment:
        zone, billing_day, valid_from, valid_until = rule
        if self.cut.per == "total":
            period = period_containing(self.cut.window, at, self._zone)
        else:
            period = period_containing(self.cut.window, at, zone, billing_day)
        bounds = [period.start, *_contract_bounds(zone, valid_from, valid_until), period.end]
        start, end = max(bound for bound in bounds if bound <= at), min(bound for bound in bounds if bound > at)
        if floor(start, self._width) != start or floor(end, self._width) != end:
            raise StoreUnavailable(
                f"days in the zone {zone} begin at {start.isoformat()}, and tallies are not kept so finely; "
                "state another zone for its customers"
            )
        return start, end


def roster_token(roster: Roster, zone: str) -> str:
    """A text that is another one when segments may be. Costs a look at every customer."""
    digest = hashlib.sha256(f"{zone} {roster.open} {roster.zone}".encode())
    for customer in roster.customers.values():
        digest.update(repr((customer.id, customer.aliases, _rule_of(customer))).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:32]


def _rule_of(member: RosterCustomer) -> _Rule:
    return (member.zone, member.billing_day, member.valid_from, member.valid_until)


def _contract_bounds(zone: str, *days: date | None) -> Iterator[datetime]:
    for day in days:
        if day is not None:
            yield day_start(day, zone)
