"""Schedules: when something is due next. Pure, computed from the calendar in the schedule's own zone.

`every` keeps to whole multiples of itself since 1970 in UTC, so that restarts do not shift it; outside its hours and
weekdays it waits for the next moment inside. `cron` follows cronsim, which neither misses nor doubles a month, day or
hour when clocks change (APScheduler's own trigger misses a month a year).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from cronsim import CronSim

from config.schedule import Schedule
from config.values import Hours, zone_info
from ledger.periods import day_start

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAYS_AHEAD: Final = 8  # any weekday comes round within them
_OFFSET_STEP: Final = timedelta(minutes=15)  # offsets are multiples of it


def first_due(schedule: Schedule, at: datetime, zone: str) -> datetime:
    """When something new is due: at once, if the schedule allows that moment; with cron at its next time."""
    if schedule.cron is not None:
        return next_due(schedule, at, zone)
    return _opening(schedule, at, schedule.zone or zone)


def next_due(schedule: Schedule, after: datetime, zone: str) -> datetime:
    """The first instant after `after` at which the schedule is due. `zone` is for schedules that state none."""
    own = schedule.zone or zone
    if schedule.cron is not None:
        return next(CronSim(schedule.cron, after.astimezone(zone_info(own)))).astimezone(UTC)
    if schedule.every is None:
        raise AssertionError("a schedule says either every or cron")
    slots = (after - _EPOCH) // schedule.every + 1
    return _opening(schedule, _EPOCH + slots * schedule.every, own)


def _opening(schedule: Schedule, at: datetime, zone: str) -> datetime:
    """The first moment from `at` on that lies in the schedule's hours and weekdays."""
    if _is_open(schedule, at, zone):
        return at
    info = zone_info(zone)
    today = at.astimezone(info).date()
    candidates = []
    for day in (today + timedelta(days=number) for number in range(_DAYS_AHEAD)):
        midnight = day_start(day, zone)
        candidates.append(midnight)  # hours that run past midnight are open then, on a day of its own weekday
        if schedule.hours is not None:
            candidates.append(_opens(schedule.hours, midnight, zone))
    return min(moment for moment in candidates if moment > at and _is_open(schedule, moment, zone))


def _opens(hours: Hours, midnight: datetime, zone: str) -> datetime:
    """The first moment of a local day whose wall clock shows the hours' start or later."""
    info = zone_info(zone)
    day = midnight.astimezone(info).date()
    wanted = datetime.combine(day, hours.start, info)
    # a time that the wall clock skips has no moment; from the earlier of its two readings on, the next one shown is it
    found = min(wanted.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    while found.astimezone(info).time() < hours.start and found.astimezone(info).date() == day:
        found += _OFFSET_STEP
    return max(found, midnight)


def _is_open(schedule: Schedule, at: datetime, zone: str) -> bool:
    local = at.astimezone(zone_info(zone))
    if schedule.weekdays is not None and local.weekday() not in schedule.weekdays:
        return False
    return schedule.hours is None or local.time() in schedule.hours
