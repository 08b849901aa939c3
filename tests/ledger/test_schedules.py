"""When something is due next: compared with looking at every minute, over changes of the clock, in many zones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.schedule import WEEKDAYS, Schedule
from ledger.schedules import first_due, next_due

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ZONES = ("UTC", "Europe/Stockholm", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Santiago")


def schedule(**written: str) -> Schedule:
    return Schedule.model_validate(written)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def is_open(hours: tuple[int, int] | None, days: tuple[int, ...] | None, at: datetime, zone: str) -> bool:
    local = at.astimezone(ZoneInfo(zone))
    if days is not None and local.weekday() not in days:
        return False
    if hours is None:
        return True
    minute, (start, end) = local.hour * 60 + local.minute, hours
    return start <= minute < end if start < end else minute >= start or minute < end


def clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


@settings(max_examples=120, deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    every=st.sampled_from([1, 7, 15, 60, 360, 1440]),
    hours=st.none() | st.tuples(st.integers(0, 95), st.integers(0, 95)).filter(lambda pair: pair[0] != pair[1]),
    days=st.none() | st.sets(st.integers(0, 6), min_size=1).map(tuple),
    # around the days on which clocks change
    start=st.sampled_from(
        ["2026-03-07", "2026-03-28", "2026-04-03", "2026-09-05", "2026-10-03", "2026-10-24", "2026-10-31"]
    ),
    offset=st.integers(0, 3 * 24 * 60),
)
def test_every_is_due_at_the_first_multiple_or_opening_after_the_last_time(zone, every, hours, days, start, offset):
    hours = None if hours is None else (hours[0] * 15, hours[1] * 15)
    written = {"every": f"{every}m", "zone": zone}
    if hours is not None:
        written["hours"] = f"{clock(hours[0])}-{clock(hours[1])}"
    if days is not None:
        written["weekdays"] = ",".join(WEEKDAYS[day] for day in days)
    after = utc(f"{start}T00:00:00+00:00") + offset * MINUTE
    slot = EPOCH + ((after - EPOCH) // (every * MINUTE) + 1) * every * MINUTE
    while not is_open(hours, days, slot, zone):
        slot += MINUTE
    assert next_due(schedule(**written), after, "UTC") == slot


@pytest.mark.parametrize(
    ("cron", "after", "due"),
    [
        ("0 0 1 * *", "2026-03-01T00:00:00+01:00", "2026-04-01T00:00:00+02:00"),  # where APScheduler misses a month
        ("30 2 * * *", "2026-03-28T12:00:00+01:00", "2026-03-29T03:00:00+02:00"),  # a time that does not exist
        ("30 2 * * *", "2026-10-25T00:00:00+02:00", "2026-10-25T02:30:00+02:00"),  # one that comes twice: the first
        ("30 2 * * *", "2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"),  # and not the second
        ("0 9 * * 1", "2026-11-21T12:00:00+01:00", "2026-11-23T09:00:00+01:00"),  # 1 is Monday
    ],
)
def test_cron_follows_the_wall_clock_of_its_zone(cron, after, due):
    assert next_due(schedule(cron=cron), utc(after), "Europe/Stockholm") == utc(due)


def test_the_schedules_own_zone_comes_before_the_installations():
    rule = schedule(cron="0 6 * * *", zone="America/New_York")
    assert next_due(rule, utc("2026-11-21T00:00:00+00:00"), "Europe/Stockholm") == utc("2026-11-21T11:00:00+00:00")


def test_what_is_new_is_due_at_once_where_its_hours_allow():
    rule = schedule(every="15m", hours="06:00-22:00")
    assert first_due(rule, utc("2026-11-21T10:07:03+01:00"), "Europe/Stockholm") == utc("2026-11-21T10:07:03+01:00")
    assert first_due(rule, utc("2026-11-21T23:07:03+01:00"), "Europe/Stockholm") == utc("2026-11-22T06:00:00+01:00")
    assert first_due(schedule(cron="0 6 * * *"), utc("2026-11-21T10:00:00+01:00"), "Europe/Stockholm") == utc(
        "2026-11-22T06:00:00+01:00"
    )


def test_a_day_long_schedule_with_hours_is_due_when_they_open():
    rule = schedule(every="1d", hours="06:00-22:00")
    assert next_due(rule, utc("2026-11-21T06:00:00+01:00"), "Europe/Stockholm") == utc("2026-11-22T06:00:00+01:00")
