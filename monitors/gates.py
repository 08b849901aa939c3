"""Gates: the days of the period and hours of the day at which a route may tell anybody, in the subject's own zone."""

from __future__ import annotations

from datetime import datetime

from config.models import Route
from config.values import zone_info
from ledger.periods import day_of_period
from ledger.records import Period


def is_open(route: Route, period: Period, at: datetime) -> bool:
    """Whether the route tells at that instant. Days count from 1 for the period's first local day."""
    if route.days is not None and day_of_period(period, at) not in route.days:
        return False
    return route.hours is None or at.astimezone(zone_info(period.zone)).time() in route.hours
