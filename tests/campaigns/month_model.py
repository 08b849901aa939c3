"""What a month unattended must come to: a plain Python model of DESIGN.md, over lists of messages and of instants.

It knows no store, no database, no tallies and nothing of the program's own code. Of the program's running it is told
one thing, from the schedules and the downtimes: at which instants each monitor was evaluated, and when months were
looked at for closing. Everything is counted anew from the messages each time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction

from month_calendar import Stretch, period_at
from month_records import Change, Customer, Monitor, Setup, Verdict, World, contract_span
from month_telling import EVER, STORE, Standings, Teller

CLEARING_TAKES = 2


@dataclass
class Episode:
    """A standing."""

    breached: bool
    number: int
    in_range: int = 0


@dataclass
class Watch:
    """One monitor through the month. `run` fills the lists."""

    world: World
    monitor: Monitor
    teller: Teller
    states: dict[datetime, Counter[str]] = field(default_factory=dict)
    running: dict[datetime, dict[str, tuple[str, int]]] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    _standings: dict[tuple[str, datetime, str], Episode] = field(default_factory=dict)
    _through: datetime | None = None
    _failed: bool = False

    def run(self) -> None:
        """Every evaluation, in order."""
        for at in self.monitor.instants:
            self._evaluate(at)

    def _evaluate(self, at: datetime) -> None:
        setup, stale = self.world.setup(at), self.world.is_stale(self.monitor.store, at)
        if at in self.world.lost[self.monitor.store]:
            self._fail(setup, at)
            return
        verdicts = [*self._final(setup, at, stale), *self._now(setup, at, stale)]
        self.states[at] = Counter(verdict.state for verdict in verdicts)
        self.running[at] = {v.subject or "total": (v.state, v.quantity) for v in verdicts if v.running}
        spoken = set()
        for verdict in verdicts:
            for name, breached in verdict.breached.items():
                key = (verdict.subject or "total", verdict.period.start, name)
                spoken.add(key)
                self._step(key, breached, at)
        self._standings = {k: v for k, v in self._standings.items() if k in spoken or k[0] == STORE}
        self._tell(setup, verdicts, {"unavailable": False, "logs_stale": stale}, at)
        self._failed = False
        if not stale:
            longest = max(threshold.grace for threshold in self.monitor.thresholds)
            mixed = any(threshold.side == "max" for threshold in self.monitor.thresholds)
            self._through = at if self._through is None and mixed else max(at - longest, self._through or at - longest)

    def _fail(self, setup: Setup, at: datetime) -> None:
        """Nothing moves, nobody is told; operations are, the second time in a row."""
        periods = [(subject, self._period(subject, at)) for subject in self._subjects(setup)]
        watched = [subject for subject, period in periods if subject is None or contract_span(subject, period)]
        self.states[at] = Counter({"unavailable": len(watched)})
        self._tell(setup, [], {"unavailable": True if self._failed else None, "logs_stale": None}, at)
        self._failed = True

    def _tell(self, setup: Setup, verdicts: Sequence[Verdict], store: Mapping[str, bool | None], at: datetime) -> None:
        for condition, breached in store.items():
            self._step((STORE, EVER, condition), breached, at)
        episodes = {key: episode.number for key, episode in self._standings.items()}
        changes = [change for change in self.changes if change.at == at and not change.breached]
        cleared = {(change.subject, change.period, change.threshold) for change in changes}
        customers = {customer.id: customer for customer in setup.customers}
        self.teller.tell(self.monitor, verdicts, customers, Standings(episodes, cleared), store, at)

    def _subjects(self, setup: Setup) -> list[Customer | None]:
        return [None] if self.monitor.total else list(self._selected(setup))

    def _selected(self, setup: Setup) -> list[Customer]:
        tiers = self.monitor.tiers
        return [customer for customer in setup.customers if tiers is None or customer.tier in tiers]

    def _period(self, subject: Customer | None, at: datetime) -> Stretch:
        if subject is None:
            return period_at(self.monitor.window, at, self.world.zone, 1)
        return period_at(self.monitor.window, at, subject.zone, subject.billing_day)

    def _final(self, setup: Setup, at: datetime, stale: bool) -> Iterator[Verdict]:
        """Periods that ended, unless they had their last look before; at first only the last one, for its min alone."""
        first = self._through is None
        if first and all(threshold.side == "max" for threshold in self.monitor.thresholds):
            return
        shortest = min(threshold.grace for threshold in self.monitor.thresholds)
        for subject in self._subjects(setup):
            period = self._period(subject, at - shortest)
            ended = []
            while True:
                period = self._period(subject, period.start - timedelta(seconds=1))
                if self._through is not None and period.end <= self._through:
                    break
                ended.append(period)
                if first:
                    break
            for one in reversed(ended):
                yield from self._verdict(setup, subject, one, at, stale, only_minima=first)

    def _now(self, setup: Setup, at: datetime, stale: bool) -> Iterator[Verdict]:
        if all(threshold.side == "min" for threshold in self.monitor.thresholds):
            return
        for subject in self._subjects(setup):
            yield from self._verdict(setup, subject, self._period(subject, at), at, stale, only_minima=False)

    def _verdict(
        self, setup: Setup, subject: Customer | None, period: Stretch, at: datetime, stale: bool, *, only_minima: bool
    ) -> Iterator[Verdict]:
        monitor, whole = self.monitor, True
        if subject is not None:
            span = contract_span(subject, period)
            if span is None:
                return
            whole = span == period
        counted = [subject] if subject is not None else self._selected(setup)
        quantity = sum(self.world.count(monitor.store, monitor.good, one, period, at) for one in counted)
        limits, breached, doubtful, worst = {}, {}, False, "ok"
        for threshold in monitor.thresholds:
            limit = Fraction(threshold.value)
            if threshold.percent:
                assert subject is not None
                limit = limit * setup.tiers[subject.tier].included / 100
            limits[threshold.name] = limit
            if threshold.side == "max":
                found = None if only_minima else quantity > limit
            elif at < period.end + threshold.grace:
                found = None
            else:
                found = quantity < limit
                if found and (stale or not whole):
                    doubtful, found = doubtful or (stale and whole), None
            breached[threshold.name] = found
            if found and worst != "error":
                worst = threshold.severity
        state = "unavailable" if doubtful and worst == "ok" else worst
        yield Verdict(
            None if subject is None else subject.id, period, quantity, limits, breached, state, period.end > at
        )

    def _step(self, key: tuple[str, datetime, str], breached: bool | None, at: datetime) -> None:
        standing = self._standings.get(key)
        if breached is None:
            if standing is not None:
                standing.in_range = 0
            return
        if breached:
            if standing is not None and standing.breached:
                standing.in_range = 0
                return
            standing = Episode(breached=True, number=1 if standing is None else standing.number + 1)
        elif standing is None or not standing.breached:
            return
        else:
            standing.in_range += 1
            if standing.in_range < CLEARING_TAKES:
                return
            standing = Episode(breached=False, number=standing.number)
        self._standings[key] = standing
        self.changes.append(Change(self.monitor.name, *key, breached, at, standing.number))
