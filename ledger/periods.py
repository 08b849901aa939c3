"""Periods: which stretch of time a window means for somebody, computed from days of the calendar in an IANA zone.

Everything rests on one rule: a local day starts at the first instant whose local date is that day *or a later one*. So
a midnight that does not exist (the clock springs forward at 00:00) becomes the first moment that the day has, one that
happens twice means the first, and a day that a zone skipped altogether (Apia, 30 December 2011) is empty. Starts
never decrease from one day to the next, and hence periods tile time whatever the offset does.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from config.errors import UsageError
from config.models import Window
from config.values import zone_info
from ledger.records import Period

_MONTH: Final = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")


def period_containing(window: Window, at: datetime, zone: str, billing_day: int = 1) -> Period:
    """The period of the window with `start <= at < end`, in UTC instants. `billing_day` is for billing months alone.

    A billing month starts on `min(billing_day, last day of the month)`, reckoned for each month from the original day,
    so that day 31 gives 31 January, 28 February, 31 March. Results are cached: many customers share few rules.

    Raises:
        ValueError: for a naive `at`, an unknown zone, or a billing day outside 1 to 31.
        UsageError: for an instant so near the ends of the calendar (years 1 and 9999) that its period has no end there.
    """
    if at.tzinfo is None:
        raise ValueError("a naive datetime lies in no period")
    return _containing(window, at.astimezone(UTC), zone, billing_day)


def period_of_month(month: str, zone: str, billing_day: int = 1) -> Period:
    """The billing month that starts in that calendar month, written `2026-10`.

    Raises:
        UsageError: when the text is no month.
    """
    match = _MONTH.fullmatch(month)
    if not match:
        raise UsageError(f"{month!r} is no month; write one such as 2026-10")
    return _numbered("billing month", int(match[1]) * 12 + int(match[2]) - 1, zone, billing_day)


def day_of_period(period: Period, at: datetime) -> int:
    """Which local calendar day of the period `at` lies in, 1 for its first. Days that the zone skipped are counted."""
    zone = zone_info(period.zone)
    day = period_containing("day", at, period.zone).start.astimezone(zone).date()
    return (day - period.start.astimezone(zone).date()).days + 1


def day_start(day: date, zone: str) -> datetime:
    """The UTC instant of the first moment of a local day; of the next day that exists when the zone skipped it."""
    return _day_start(day, zone_info(zone))


def _day_start(day: date, info: ZoneInfo) -> datetime:
    midnight = datetime.combine(day, time(), info)
    start = midnight.astimezone(UTC)  # fold=0: of two midnights the first, of a missing one the offset before the gap
    if start.astimezone(info).replace(tzinfo=None) == midnight.replace(tzinfo=None):
        return start
    # Midnight lies in a gap. With the offset after the gap it comes out before the jump, with the one before it at the
    # jump or after it, so the jump is the first instant in between whose local date is not before the day.
    before, after = midnight.replace(fold=1).astimezone(UTC), start
    while after - before > timedelta(seconds=1):  # offsets change on whole seconds
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        if middle.astimezone(info).date() >= day:
            after = middle
        else:
            before = middle
    return after


@lru_cache(maxsize=1024)  # of one instant: as many as there are zones and billing days
def _containing(window: Window, at: datetime, zone: str, billing_day: int) -> Period:
    try:
        number = _number(window, at.astimezone(zone_info(zone)).date())
    except OverflowError as error:
        raise _beyond(at) from error
    # The local date is at most a step away from the answer: a billing day later in the month, a clock set back past
    # midnight, a day that was skipped.
    period = _numbered(window, number, zone, billing_day)
    while period.start > at:
        number -= 1
        period = _numbered(window, number, zone, billing_day)
    while period.end <= at:
        number += 1
        period = _numbered(window, number, zone, billing_day)
    return period


@lru_cache(maxsize=8192)
def _numbered(window: Window, number: int, zone: str, billing_day: int) -> Period:
    if not 1 <= billing_day <= 31:
        raise ValueError(f"billing day {billing_day} is not in 1 to 31")
    info, first = zone_info(zone), _FIRST_DAY[window]
    try:
        return Period(
            _day_start(first(number, billing_day), info), _day_start(first(number + 1, billing_day), info), zone
        )
    except (OverflowError, ValueError) as error:
        raise _beyond(None) from error


def _number(window: Window, day: date) -> int:
    """A number for the window's period that starts near that day; consecutive periods have consecutive numbers."""
    if window == "day":
        return day.toordinal()
    if window == "week":
        return (day.toordinal() - 1) // 7  # ordinal 1, 1 January of year 1, is a Monday
    return day.year * 12 + day.month - 1


def _month_anchor(number: int, billing_day: int) -> date:
    year, month = number // 12, number % 12 + 1
    return date(year, month, min(billing_day, monthrange(year, month)[1]))


_FIRST_DAY: Final[dict[Window, Callable[[int, int], date]]] = {
    "day": lambda number, _: date.fromordinal(number),
    "week": lambda number, _: date.fromordinal(number * 7 + 1),
    "month": lambda number, _: _month_anchor(number, 1),
    "billing month": _month_anchor,
}


def _beyond(at: datetime | None) -> UsageError:
    what = "that period" if at is None else at.isoformat()
    return UsageError(f"{what} lies beyond the calendar, which runs from year 1 to year 9999")
