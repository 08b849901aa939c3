"""Sorting tallies in: whose messages they were, in whose period and step, and which of them no reading holds."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from typing import Final

from config.models import Aggregation, FieldCount, View
from config.roster import Roster, RosterCustomer
from ledger.periods import day_start
from ledger.quantities import reduced
from ledger.records import Period, Quantity, SubjectKind, Tally
from logviews.embedded.aggregation import combine
from logviews.store import CountQuery, LogStore, Member, StoreUnavailable

PeriodOf = Callable[[RosterCustomer], Period]
StepsOf = Callable[[Period, datetime], Sequence[datetime]]
"""The starts of the steps that a period is divided into up to an instant, ascending, from the period's start."""

Doubted = Callable[[RosterCustomer, Quantity], bool]
"""Whether an upper bound of a customer's distinct values does not do, so that they have to be counted exactly."""

_OF_NOTHING: Final[Mapping[Aggregation, Quantity]] = {"messages": 0, "sum": 0, "distinct": 0}


@dataclass(slots=True)
class Sum:
    """What has been added up for one subject and step."""

    quantity: Quantity | None = None
    messages: int = 0
    values: int = 0
    newest: tuple[datetime, str] | None = None

    def add(self, tally: Tally, aggregation: Aggregation) -> None:
        """Adds a tally; for `distinct` that is only an upper bound, which `Counting` replaces."""
        self.messages += tally.messages
        if not tally.values:
            return
        self.values += tally.values
        if aggregation != "latest":
            self.quantity = combine(aggregation, self.quantity, tally.quantity)
        elif tally.newest is not None:
            self._keep_latest((tally.newest, tally.newest_id), tally.quantity)

    def _keep_latest(self, key: tuple[datetime, str], quantity: Quantity | None) -> None:
        if self.newest is None or key > self.newest:
            self.newest, self.quantity = key, quantity
        elif key == self.newest and quantity is not None and (self.quantity is None or quantity > self.quantity):
            self.quantity = quantity

    def merge(self, other: Sum, aggregation: Aggregation) -> None:
        """Adds another sum of the same aggregation; not for `distinct`."""
        self.messages += other.messages
        self.values += other.values
        if aggregation != "latest":
            self.quantity = combine(aggregation, self.quantity, other.quantity)
        elif other.newest is not None:
            self._keep_latest(other.newest, other.quantity)

    def result(self, aggregation: Aggregation) -> Quantity | None:
        """The quantity: sums and counts of nothing are 0, everything else of nothing is None."""
        if self.quantity is None:
            return _OF_NOTHING.get(aggregation)
        return reduced(Fraction(self.quantity) / self.values) if aggregation == "average" else self.quantity


@dataclass(frozen=True, slots=True)
class Span:
    """What is counted for one customer: its period up to an instant, in steps, and the part that its contract covers.

    `watched` says that the contract covers some of the whole period, also of what is still to come.
    """

    customer: RosterCustomer
    period: Period
    end: datetime
    contract_start: datetime
    contract_end: datetime
    selected: bool
    watched: bool
    steps: tuple[datetime, ...]

    def step(self, at: datetime) -> datetime:
        """The start of the step that an instant of the span lies in."""
        return self.steps[bisect_right(self.steps, at) - 1]

    def step_end(self, step: datetime) -> datetime:
        """The end of a step."""
        position = bisect_right(self.steps, step)
        return self.steps[position] if position < len(self.steps) else self.end


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """Whose sum: a customer's id, or a value that is not on the roster, and the step's start."""

    id: str
    known: bool
    step: datetime


@dataclass(slots=True)
class Counting:
    """One view counted once: call `run`, then read the sums. `nobody` stands for unknown and unattributed messages.

    With `doubted`, sums of `distinct` that it does not doubt stay upper bounds; also those of unknown customers.
    """

    store: LogStore
    name: str
    view: View
    roster: Roster
    period_of: PeriodOf
    until: datetime | None
    nobody: RosterCustomer
    steps_of: StepsOf = lambda period, _: (period.start,)
    doubted: Doubted | None = None
    sums: dict[Key, Sum] = field(default_factory=dict)
    spans: dict[str, Span] = field(default_factory=dict)
    outside: int = 0
    unselected: int = 0
    unattributed: int = 0
    _edges: tuple[datetime, ...] = ()
    _steps: dict[tuple[Period, datetime], tuple[datetime, ...]] = field(default_factory=dict)

    def run(self) -> None:
        """Asks the store: one query, and a second one for `distinct`.

        Raises:
            StoreUnavailable: when the store cannot answer exactly.
        """
        for of in self.roster.selected(self.view) if self.roster.open else self.roster.customers.values():
            self.spans[of.id] = self.span(of)
        edges = self.edges()
        if len(edges) < 2:
            return
        nobody = self.span(self.nobody)
        for tally in self.store.count(self.query(edges)):
            self._sort_in(tally, nobody)
        if self.view.aggregation == "distinct" and self.sums:
            self._recount_distinct(edges)

    def span(self, of: RosterCustomer) -> Span:
        """What is counted for a customer."""
        period = self.period_of(of)
        end = period.end if self.until is None else max(period.start, min(period.end, self.until))
        begins = period.start if of.valid_from is None else max(period.start, day_start(of.valid_from, of.zone))
        ends = period.end if of.valid_until is None else min(period.end, day_start(of.valid_until, of.zone))
        if (period, end) not in self._steps:
            self._steps[period, end] = tuple(self.steps_of(period, end))
        steps = self._steps[period, end]
        selected = self.roster.selects(self.view, of)
        return Span(of, period, end, begins, min(ends, end), selected, begins < ends, steps)

    def edges(self) -> tuple[datetime, ...]:
        """Every instant at which somebody's period, step or contract begins or ends; found out once, by `run`."""
        if not self._edges:
            self._edges = self._find_edges()
        return self._edges

    def _find_edges(self) -> tuple[datetime, ...]:
        found: set[datetime] = set()
        for span in (self.span(self.nobody), *self.spans.values()):
            if span.period.start < span.end:
                found |= {span.period.start, span.end, *span.steps}
                found |= {
                    edge for edge in (span.contract_start, span.contract_end) if span.period.start < edge < span.end
                }
        return tuple(sorted(found))

    def query(self, edges: tuple[datetime, ...], members: Sequence[Member] | None = None) -> CountQuery:
        """The view's question between these edges."""
        count = self.view.count
        scale = count.scale if isinstance(count, FieldCount) else 0
        return CountQuery(self.name, self.view.where, self.view.aggregation, self.view.field, scale, edges, members)

    def members(self, keys: Iterable[Key]) -> list[Member]:
        """The raw values behind these sums, each over its step and contract; the subject is the key's place in line."""
        found = []
        for position, key in enumerate(keys):
            span = self.spans[key.id] if key.known else self.span(self.nobody)
            names = (span.customer.id, *span.customer.aliases) if key.known else (key.id,)
            start, end = max(key.step, span.contract_start), min(span.step_end(key.step), span.contract_end)
            found += [Member(name, str(position), start, end) for name in names]
        return found

    def _sort_in(self, tally: Tally, nobody: Span) -> None:
        if tally.subject.kind is SubjectKind.UNATTRIBUTED:
            if nobody.period.start <= tally.start < nobody.end:
                self.unattributed += tally.messages
            return
        found = self.roster.find(tally.subject.id)
        if found is None:
            if nobody.period.start <= tally.start < nobody.end:
                self._add(Key(tally.subject.id, False, nobody.step(tally.start)), tally)
            return
        span = self.spans.get(found.id)
        if span is None:  # an open roster: whoever is found is a customer
            span = self.spans[found.id] = self.span(found)
        if not span.period.start <= tally.start < span.end:
            return  # another period's
        if not span.contract_start <= tally.start < span.contract_end:
            self.outside += tally.messages
        elif span.selected:
            self._add(Key(found.id, True, span.step(tally.start)), tally)
        else:
            self.unselected += tally.messages

    def _add(self, key: Key, tally: Tally) -> None:
        self.sums.setdefault(key, Sum()).add(tally, self.view.aggregation)

    def _recount_distinct(self, edges: tuple[datetime, ...]) -> None:
        """Replaces sums of distinct counts, which cannot be added, by exact ones."""
        keys = [key for key in self.sums if self._is_doubted(key)]
        if not keys:
            return
        for tally in self.store.count(self.query((edges[0], edges[-1]), self.members(keys))):
            found = self.sums[keys[int(tally.subject.id)]]
            if self.doubted is None and found.messages != tally.messages:
                raise StoreUnavailable(
                    f"view {self.name}: the store's messages changed while they were counted; try again"
                )
            # what a tally lacks because it has only just arrived counts as well
            found.messages, found.quantity = tally.messages, tally.quantity

    def _is_doubted(self, key: Key) -> bool:
        if self.doubted is None:
            return True
        bound = self.sums[key].quantity
        return key.known and bound is not None and self.doubted(self.spans[key.id].customer, bound)
