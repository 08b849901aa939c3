"""Evaluating: a monitor's view is counted, and every subject of it judged. Writes nothing; see `monitors.commit`.

Two kinds of period are judged: those that are running, and those that ended and have not had their final verdict. The
final verdict is where a `min` is judged, and where what was used between the last evaluation and the end still counts.
A period that ended is looked at until the longest grace of the monitor's thresholds has passed, and then no more.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Final

from config.models import Config
from config.roster import Roster, RosterCustomer
from ledger.records import TOTAL, Period, Quantity, Reading, Reason, Subject, Verdict, customer
from logviews.counting import Doubted
from logviews.readings import Integrity, count_total, count_view
from logviews.store import LogStore, StoreUnavailable
from logviews.tallies.tallied import BackfillingError
from monitors.forecast import straight
from monitors.judge import LowCounts, judge, may_exceed, unavailable
from monitors.subjects import contract_span, customer_period, ended, judged_by, last_ended, total_period
from monitors.watched import Watched, watched

_LONGEST_ID: Final = 512
"""Of a customer that no roster names, as long as the ledger keeps ids."""

PeriodOf = Callable[[RosterCustomer], Period]


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What one evaluation of a monitor found: final verdicts of ended periods in their order, then the running ones.

    `problem` is the store's reason when it could not answer; `backfilling` says how far it has come where what was used
    before anybody watched it is still being counted; `stale` says that its newest message, that of `newest`, is
    too old for low counts to be believed. `judged_through` is the end up to which every period has its final verdict
    now (None when nothing new can be said of that). `figures` are plain JSON, recorded with the evaluation.
    """

    watched: Watched
    at: datetime
    verdicts: tuple[Verdict, ...]
    problem: str | None = None
    backfilling: str | None = None
    stale: bool = False
    newest: datetime | None = None
    judged_through: datetime | None = None
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Evaluator:
    """Evaluates the monitors of one configuration. `store_of` opens a log store by its name."""

    config: Config
    roster: Roster
    store_of: Callable[[str], LogStore]

    def evaluate(
        self,
        name: str,
        at: datetime,
        judged_through: datetime | None = None,
        *,
        behind: bool = False,
        breached: Collection[Subject] | None = None,
    ) -> Evaluated:
        """The verdicts of a monitor on all its subjects, counted over `[period start, at)` of what `store_of` opens.

        One counting query for a view, whatever the number of customers, and one for each period that ended after
        `judged_through`. Without that nobody has judged before: then of the last period that ended those `min`
        thresholds are judged whose time has come, and nothing else of the time before. Customers whose contract has no
        day in their period are left out; a store that cannot answer makes every verdict `unavailable`. `behind` says
        that messages are known to be missing yet: then no low count is believed, as with a feed that has stopped. With
        `breached`, those who are beyond a limit so far, a number of distinct values may be an upper bound wherever it
        decides nothing and nobody is told of it: of everybody else, as long as it lies above no limit.

        Raises:
            KeyError: when the configuration has no monitor of that name.
        """
        it = watched(self.config, name)
        try:
            store = self.store_of(it.view.store)
            with store.at_once():
                scene = _Scene(it, store, self.roster, at, judged_through, behind=behind, breached=breached)
                final = tuple(scene.final())
                running, figures = scene.running()
        except BackfillingError as error:
            verdicts = self._unavailable(it, at, Reason.BACKFILLING)
            return Evaluated(it, at, verdicts, backfilling=str(error.progress))
        except StoreUnavailable as error:
            return Evaluated(it, at, self._unavailable(it, at, Reason.STORE_UNAVAILABLE), problem=str(error))
        through = judged_by(it.monitor, at, first=judged_through is None)
        moved = not scene.doubtful and (judged_through is None or through > judged_through)
        return Evaluated(
            it,
            at,
            (*final, *running),
            stale=scene.stale,
            newest=scene.newest,
            judged_through=through if moved else None,
            figures=figures,
        )

    def _unavailable(self, it: Watched, at: datetime, reason: Reason) -> tuple[Verdict, ...]:
        if it.monitor.per == "total":
            return (unavailable(it.name, it.monitor, TOTAL, total_period(it, at), plan=None, at=at, reason=reason),)
        return tuple(
            unavailable(it.name, it.monitor, customer(member.id), period, plan=it.plan(member), at=at, reason=reason)
            for member in self.roster.selected(it.view)
            if contract_span(member, period := customer_period(it, member, at)) is not None
        )


class _Scene:
    """One evaluation: the store, the instant, and how far the monitor's periods were judged before."""

    def __init__(
        self,
        it: Watched,
        store: LogStore,
        roster: Roster,
        at: datetime,
        judged_through: datetime | None,
        *,
        behind: bool,
        breached: Collection[Subject] | None,
    ) -> None:
        self.it, self.store, self.roster, self.at = it, store, roster, at
        self.judged_through, self.breached = judged_through, breached
        freshness = store.freshness(at)
        self.stale, self.newest = freshness.stale, freshness.newest
        self.doubtful = freshness.stale or behind

    def running(self) -> tuple[tuple[Verdict, ...], dict[str, Any]]:
        """Verdicts on the periods that `at` lies in, and the integrity figures of their count.

        A monitor that has nothing but `min` thresholds says nothing of a period that is still running.
        """
        it = self.it
        if len(it.monitor.minima) == len(it.thresholds):
            return (), {}
        if it.monitor.per == "total":
            return (self._total(total_period(it, self.at), final=False),), {}
        return self._customers(lambda member: customer_period(it, member, self.at), final=False)

    def final(self) -> Iterator[Verdict]:
        """Final verdicts on the periods that ended, in their order."""
        it = self.it
        first = self.judged_through is None
        if first and not it.monitor.minima:
            return
        if it.monitor.per == "total":
            for period in self._ended(None):
                yield self._total(period, final=True)
            return
        # who share a zone and a billing day share their periods
        members = [_nobody(it.settings.zone)] if self.roster.open else self.roster.selected(it.view)
        rules = {(member.zone, member.billing_day): member for member in members}
        over = {rule: tuple(self._ended(member)) for rule, member in rules.items()}
        for number in range(max(map(len, over.values()), default=0)):
            these = {rule: periods[number] for rule, periods in over.items() if number < len(periods)}
            latest = max(these.values())

            def period_of(
                member: RosterCustomer, these: Mapping[tuple[str, int], Period] = these, latest: Period = latest
            ) -> Period:
                return these.get((member.zone, member.billing_day), latest)

            found, _ = self._customers(period_of, final=True, only=these)
            yield from found

    def _ended(self, member: RosterCustomer | None) -> Iterator[Period]:
        # a min without grace is judged at the end, though another threshold of the monitor waits longer
        through = self.at - min(threshold.grace for threshold in self.it.thresholds.values())
        if self.judged_through is None:
            yield last_ended(self.it, member, through)
        else:
            yield from ended(self.it, member, self.judged_through, through)

    def _customers(
        self, period_of: PeriodOf, *, final: bool, only: Mapping[tuple[str, int], Period] | None = None
    ) -> tuple[tuple[Verdict, ...], dict[str, Any]]:
        it = self.it
        counted = count_view(
            self.store,
            it.view_name,
            it.view,
            self.roster,
            period_of,
            self.at,
            default_zone=it.settings.zone,
            doubted=self._doubted(final=final),
        )
        readings = dict(counted.readings)
        figures: dict[str, Any] = {"integrity": _figures(counted.integrity)}
        if self.roster.open:  # whatever value is found is a customer then
            readings = {id_: reading for id_, reading in readings.items() if _can_be_kept(id_)}
            if len(readings) < len(counted.readings):
                figures["unfit_ids"] = len(counted.readings) - len(readings)
        verdicts = []
        for id_, reading in readings.items():
            member = self.roster.find(id_)
            if member is None or (only is not None and (member.zone, member.billing_day) not in only):
                continue
            span = contract_span(member, reading.period)
            if span is not None:
                verdicts.append(self._verdict(member, reading, span, final=final))
        return tuple(verdicts), figures

    def _verdict(self, member: RosterCustomer, reading: Reading, span: Period, *, final: bool) -> Verdict:
        it = self.it
        return judge(
            it.name,
            it.monitor,
            reading,
            plan=it.plan(member),
            projected=straight(reading, it.view.aggregation, span),
            at=self.at,
            low_counts=self._low_counts(reading.period, span),
            only_minima=final and self.judged_through is None,
        )

    def _doubted(self, *, final: bool) -> Doubted | None:
        """Of whom an upper bound does not do; None where it does of nobody. A `min` needs the very number."""
        it, breached = self.it, self.breached
        if breached is None:
            return None
        exactly = final and bool(it.monitor.minima)
        return lambda member, bound: (
            exactly or customer(member.id) in breached or may_exceed(it.monitor, bound, it.plan(member))
        )

    def _doubted_total(self, *, final: bool) -> Callable[[Quantity], bool] | None:
        if self.breached is None:
            return None
        exactly = TOTAL in self.breached or (final and bool(self.it.monitor.minima))
        return lambda bound: exactly or may_exceed(self.it.monitor, bound, None)

    def _total(self, period: Period, *, final: bool) -> Verdict:
        it, doubted = self.it, self._doubted_total(final=final)
        reading = count_total(self.store, it.view_name, it.view, self.roster, period, self.at, doubted=doubted)
        return judge(
            it.name,
            it.monitor,
            reading,
            plan=None,
            projected=straight(reading, it.view.aggregation),
            at=self.at,
            low_counts=self._low_counts(period, period),
            only_minima=final and self.judged_through is None,
        )

    def _low_counts(self, period: Period, span: Period) -> LowCounts:
        if span != period:
            return LowCounts.PARTIAL  # and will stay so, whether or not messages arrive now
        return LowCounts.STALE if self.doubtful else LowCounts.TRUSTED


def _nobody(zone: str) -> RosterCustomer:
    """Whose periods the values have that no roster names."""
    return RosterCustomer("", (), "", None, (), zone, "en", 1, None, None)


def _can_be_kept(id_: str) -> bool:
    """Whether the ledger can keep a customer under this id; what cannot is counted, and watched by nobody."""
    return len(id_) <= _LONGEST_ID and "\0" not in id_


def _figures(integrity: Integrity) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value for name, value in asdict(integrity).items()
    }
