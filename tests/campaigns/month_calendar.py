"""Days and months for the month's model, in plain Python and on its own: it must not ask the program what a month is.

Good for zones whose midnights all exist, which is enough for a model.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True, order=True)
class Stretch:
    """A period: from `start` up to, and not including, `end`."""

    start: datetime
    end: datetime
    zone: str


def midnight(day: date, zone: str) -> datetime:
    """When a day begins there, in UTC."""
    return datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)


def local_day(at: datetime, zone: str) -> date:
    """Which day it is there."""
    return at.astimezone(ZoneInfo(zone)).date()


def billing_month(year: int, month: int, billing_day: int, zone: str) -> Stretch:
    """The billing month that starts in a calendar month (which may be month 0 or 13)."""
    return Stretch(_anchor(year, month, billing_day, zone), _anchor(year, month + 1, billing_day, zone), zone)


def period_at(window: str, at: datetime, zone: str, billing_day: int) -> Stretch:
    """The period that an instant lies in."""
    day = local_day(at, zone)
    if window == "day":
        return Stretch(midnight(day, zone), midnight(day + timedelta(days=1), zone), zone)
    if window == "week":
        monday = day - timedelta(days=day.weekday())
        return Stretch(midnight(monday, zone), midnight(monday + timedelta(days=7), zone), zone)
    months = (billing_month(day.year, day.month + step, billing_day, zone) for step in (-1, 0, 1))
    return next(period for period in months if period.start <= at < period.end)


def day_number(period: Stretch, at: datetime) -> int:
    """Which day of a period it is, 1 for the first."""
    return (local_day(at, period.zone) - local_day(period.start, period.zone)).days + 1


def _anchor(year: int, month: int, billing_day: int, zone: str) -> datetime:
    year, month = year + (month - 1) // 12, (month - 1) % 12 + 1
    return midnight(date(year, month, min(billing_day, monthrange(year, month)[1])), zone)
