"""What goes by the clock in the month: the moments at which something happens, and when each monitor is evaluated."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from month_people import HOME, OLDEST, Written
from month_records import Customer, Monitor, Route, Threshold

GOOD = range(200, 300)
ANY = range(1000)
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Step:
    """An instant at which something happens: lines are written, and the service has a tick if it is up."""

    at: datetime
    up: bool = True
    fault: str = ""
    rotate: bool = False
    change: str = ""  # reload, broken, again, mend
    extra: str = ""  # a file with a bad line appears, or is mended
    lost: bool = False  # the store's parts are out of reach
    kill: int | None = None  # the service dies after so many halves of transactions
    partial: bool = False  # the last line of the feed is cut in the middle until the next step
    lines: Mapping[str, tuple[Written, ...]] = field(default_factory=dict)


def usual_week(api: Sequence[Written], customers: Sequence[Customer]) -> int:
    """How much those on Basic together use in a week that is neither busy nor quiet."""
    basic = {name for one in customers if one.tier == "basic" for name in (one.id, *one.aliases)}
    weeks = [0] * 9
    for line in api:
        if line.message.customer in basic and line.message.status in GOOD:
            weeks[(line.message.time.date() - OLDEST.date()).days // 7] += 1
    return sorted(weeks[:8])[4]


def monitors_of(steps: Sequence[Step], length: timedelta, changed: datetime, usual: int) -> Iterator[Monitor]:
    """What is watched; the last monitor is new with the changed configuration, and finds much at once."""

    def every(store: str, since: datetime) -> tuple[datetime, ...]:
        return tuple(_instants(steps, store, since, lambda at: at, lambda at: _multiple(at, length)))

    start = steps[0].at
    yield Monitor(
        "monthly", "api", "billing month", total=False, good=GOOD, instants=every("api", start),
        thresholds=(
            Threshold("approaching", "warning", "max", 90, percent=True),
            Threshold("well_over", "error", "max", 110, percent=True),
        ),
        routes=(
            Route("warn", ("approaching",), "customer", days=range(25, 29), hours=range(8, 18)),
            Route("over", ("well_over",), "customer"),
            Route("page", ("well_over", "unavailable", "logs_stale"), "ops", repeat=24 * HOUR, recovery=True),
        ),
    )  # fmt: skip
    yield Monitor(
        "daily_syncs", "sync", "day", total=False, good=ANY, instants=every("sync", start),
        thresholds=(Threshold("quiet", "warning", "min", 3, grace=4 * HOUR),),
        routes=(Route("low", ("quiet", "logs_stale"), "ops", repeat=6 * HOUR, recovery=True),),
    )  # fmt: skip
    yield Monitor(
        "weekly_total", "api", "week", total=True, good=GOOD, tiers=("basic",),
        instants=tuple(_instants(steps, "api", start, _six_hours, _six_hours)),
        thresholds=(
            Threshold("heavy", "error", "max", usual),
            Threshold("thin", "warning", "min", usual * 97 // 100, grace=2 * HOUR),
        ),
        routes=(Route("all", ("heavy", "thin", "logs_stale"), "ops", recovery=True),),
    )  # fmt: skip
    yield Monitor(
        "weekly_each", "api", "week", total=False, good=GOOD, instants=every("api", changed),
        thresholds=(Threshold("busy", "warning", "max", 35),),
        routes=(Route("tell", ("busy",), "customer"),),
    )  # fmt: skip


def _instants(
    steps: Sequence[Step],
    store: str,
    since: datetime,
    first: Callable[[datetime], datetime],
    following: Callable[[datetime], datetime],
) -> Iterator[datetime]:
    """When something was due at a tick: after a downtime once, however often it was due meanwhile.

    What could not be counted is tried again after 1, 2, 4 … minutes.
    """
    due, failures = first(since), 0
    for step in steps:
        if not step.up or step.at < max(due, since):
            continue
        yield step.at
        failures = failures + 1 if step.lost and store == "api" else 0
        due = following(step.at)
        if failures:
            due = min(due, step.at + timedelta(minutes=2 ** (failures - 1)))


def _multiple(at: datetime, length: timedelta) -> datetime:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return epoch + ((at - epoch) // length + 1) * length


def _six_hours(after: datetime) -> datetime:
    """The next 00:00, 06:00, 12:00 or 18:00 in Stockholm: cron 0 */6 * * *."""
    at = _multiple(after, HOUR)
    while at.astimezone(ZoneInfo(HOME)).hour % 6:
        at += HOUR
    return at
