"""Who must have been told of what, in the month's model: DESIGN.md “Decision and notice”, in plain Python."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction
from zoneinfo import ZoneInfo

from month_calendar import Stretch, day_number
from month_records import Customer, Monitor, Route, Verdict

RANK = {"warning": 1, "error": 2}
OPERATIONS = ("ops@example.com", "night@example.com")
STORE = "store"
EVER = datetime.min.replace(tzinfo=UTC)  # the start of the one period that a log store has
UNSEEN = 20


@dataclass(frozen=True, order=True)
class About:
    """What a notice is about: a subject, the start of its period, and which threshold; and what was counted, if that
    is told."""

    subject: str
    period: str
    threshold: str
    episode: int = 0
    quantity: int | None = None


@dataclass(frozen=True, order=True)
class Told:
    """A notice that had to be decided at an instant. `kind`: customer, breach, repeat, recovery, held or news."""

    monitor: str
    route: str
    kind: str
    at: datetime
    about: tuple[About, ...]
    addresses: tuple[str, ...]
    superseded: tuple[About, ...] = ()


@dataclass(frozen=True)
class Standings:
    """The numbers of all episodes, and which of them ended at this evaluation; by subject, period start, threshold."""

    episodes: Mapping[tuple[str, datetime, str], int]
    cleared: Collection[tuple[str, datetime, str]]


@dataclass(frozen=True)
class _Item:
    """What was found of one threshold; a log store has no period."""

    subject: str
    period: Stretch | None
    threshold: str
    breached: bool | None
    running: bool


@dataclass
class Teller:
    """Everything that was told, and what must not be told again."""

    notices: list[Told] = field(default_factory=list)
    held: list[datetime] = field(default_factory=list)
    _customers: set[tuple[str, str, str, Stretch, str]] = field(default_factory=set)  # monitor route threshold …
    _operations: dict[tuple[str, str, About], datetime] = field(default_factory=dict)

    def tell(
        self, monitor: Monitor, verdicts: Sequence[Verdict], customers: Mapping[str, Customer],
        standings: Standings, store: Mapping[str, bool | None], at: datetime,
    ) -> None:  # fmt: skip
        """What one evaluation obliges us to tell. `store` is what was found of the log store, by condition."""
        own = [told for verdict in verdicts for told in self._customer(monitor, verdict, customers, at)]
        self.notices += own
        lasting = [_Item(v.subject or "total", v.period, name, breached, v.running)
                   for v in verdicts for name, breached in v.breached.items()]  # fmt: skip
        for route in monitor.routes:
            if route.to == "ops":
                self._operations_of(monitor, route, lasting, standings, at)
                for condition, breached in store.items():  # two states of a store are two affairs
                    item = _Item(STORE, None, condition, breached, running=True)
                    self._operations_of(monitor, route, [item], standings, at)
        mailed = {about.subject for told in own for about in told.about}
        watched = {verdict.subject for verdict in verdicts if verdict.subject is not None}
        if len(mailed) > max(UNSEEN, len(watched) // 10):  # they wait until somebody releases them
            self.notices.append(Told(monitor.name, "held", "held", at, (), OPERATIONS))
            self.held.append(at)

    def _customer(
        self, monitor: Monitor, verdict: Verdict, customers: Mapping[str, Customer], at: datetime
    ) -> list[Told]:
        """The most severe of what is newly due; whatever is milder goes without saying."""
        if verdict.subject is None:
            return []
        severity = _severities(monitor, verdict)
        routes = [route for route in monitor.routes if route.to == "customer"]
        breached = [
            (route, name) for route in routes for name in route.when if verdict.breached[name]
        ]  # in order of writing
        key = {(r.name, n): (monitor.name, r.name, n, verdict.period, verdict.subject) for r, n in breached}
        unused = [(route, name) for route, name in breached if key[route.name, name] not in self._customers]
        told = max((severity[name] for route, name in breached if (route, name) not in unused), default=None)
        due = [
            (route, name)
            for route, name in unused
            if _open(route, verdict.period, at) and (told is None or severity[name] >= told)
        ]
        customer = customers[verdict.subject]
        if not due or not customer.emails:
            return []
        route, name = max(due, key=lambda item: severity[item[1]])
        milder = [
            item for item in unused
            if item != (route, name) and (item in due or severity[item[1]] < severity[name])
        ]  # fmt: skip
        self._customers |= {key[r.name, n] for r, n in ((route, name), *milder)}
        return [
            Told(
                monitor.name, route.name, "customer", at, (_about(verdict, name, quantity=verdict.quantity),),
                customer.emails, tuple(sorted(_about(verdict, other) for _, other in milder)),
            )
        ]  # fmt: skip

    def _operations_of(
        self, monitor: Monitor, route: Route, items: Sequence[_Item], standings: Standings, at: datetime
    ) -> None:  # fmt: skip
        """One notice for all that is new, one for all that lasts, one for all that is over within its period."""
        new, before, over = [], [], []
        for item in items:
            start = EVER if item.period is None else item.period.start
            number = standings.episodes.get((item.subject, start, item.threshold))
            if item.threshold not in route.when or number is None:
                continue
            period = "always" if item.period is None else instant(start)
            about = About(item.subject, period, item.threshold, number)
            key = (monitor.name, route.name, about)
            if item.breached and key not in self._operations:
                new.append(about)
            elif item.breached and item.running:
                before.append(about)
            elif route.recovery and item.running and (item.subject, start, item.threshold) in standings.cleared:
                over += [about] if key in self._operations else []
        last = [self._operations[monitor.name, route.name, about] for about in before]
        again = before if route.repeat is not None and any(at - told >= route.repeat for told in last) else []
        self._operations |= {(monitor.name, route.name, about): at for about in (*new, *again)}
        for kind, abouts in (("breach", new), ("repeat", again), ("recovery", over)):
            if abouts:
                self.notices.append(Told(monitor.name, route.name, kind, at, tuple(sorted(abouts)), OPERATIONS))


def _about(verdict: Verdict, threshold: str, episode: int = 0, quantity: int | None = None) -> About:
    return About(verdict.subject or "total", instant(verdict.period.start), threshold, episode, quantity)


def instant(at: datetime) -> str:
    """An instant as decision keys have it."""
    return at.isoformat().replace("+00:00", "Z")


def _severities(monitor: Monitor, verdict: Verdict) -> dict[str, tuple[int, Fraction]]:
    return {
        threshold.name: (RANK[threshold.severity], verdict.limits[threshold.name])
        for threshold in monitor.thresholds
        if threshold.side == "max"
    }


def _open(route: Route, period: Stretch, at: datetime) -> bool:
    if route.days is not None and day_number(period, at) not in route.days:
        return False
    return route.hours is None or at.astimezone(ZoneInfo(period.zone)).hour in route.hours
