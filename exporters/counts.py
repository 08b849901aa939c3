"""Counts: a view's billing months, counted in full from the logs, and compared with what was watched of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from config.models import Config
from config.roster import Roster, RosterCustomer
from ledger.periods import period_of_month
from ledger.records import Period
from ledger.statements import StatementKey
from logviews.readings import Integrity, ViewCount, count_view
from logviews.store import LogStore
from logviews.tallies.comparing import Difference, count_and_compare
from logviews.tallies.keeper import Keeper


@dataclass(frozen=True, slots=True)
class Counted:
    """A view's count. `differences` are those from its tallies; None where none are kept of the month."""

    count: ViewCount
    differences: tuple[Difference, ...] | None


@dataclass(frozen=True, slots=True)
class Counts:
    """The counts of views, each made once per month and billing day, however many exports state it."""

    config: Config
    roster: Roster
    store_named: Callable[[str], LogStore]
    at: datetime
    until: datetime | None
    keeper_of: Callable[[str], Keeper] | None
    _known: dict[tuple[str, str, int], Counted] = field(default_factory=dict)

    def of(self, name: str, key: StatementKey) -> Counted:
        """A view's count of the billing months of a statement, for customers of any billing day.

        Raises:
            StoreUnavailable: when the log store cannot answer exactly.
        """
        known = self._known.get((name, key.month, key.billing_day))
        if known is None:
            known = self._known[name, key.month, key.billing_day] = self._count(name, key)
        return known

    def integrity(self, counted: Counted, key: StatementKey) -> Integrity:
        """The integrity line of one statement: who has another billing day is in another one, and unselected here."""
        whole = counted.count.integrity
        others = sum(reading.messages for id_, reading in counted.count.readings.items() if not self._is_own(id_, key))
        return replace(whole, selected=whole.selected - others, unselected=whole.unselected + others)

    def differences(self, counts: Mapping[str, Counted], key: StatementKey) -> dict[str, tuple[Difference, ...]]:
        """View -> whose tallies differ, of the statement's own customers; of the views of which tallies are kept."""
        return {
            name: tuple(one for one in counted.differences if one.known and self._is_own(str(one.customer), key))
            for name, counted in counts.items()
            if counted.differences is not None
        }

    def _is_own(self, id_: str, key: StatementKey) -> bool:
        customer = self.roster.find(id_)
        return customer is None or customer.billing_day == key.billing_day

    def _count(self, name: str, key: StatementKey) -> Counted:
        view, zone = self.config.views[name], self.config.settings.zone

        def period_of(customer: RosterCustomer) -> Period:
            return period_of_month(key.month, customer.zone, key.billing_day)

        def count() -> ViewCount:
            store = self.store_named(view.store)
            return count_view(store, name, view, self.roster, period_of, self.until, default_zone=zone)

        if self.keeper_of is None or self.until is not None:
            return Counted(count(), None)
        return Counted(*count_and_compare(self.keeper_of(name), name, view, period_of, self.at, count))
