"""Periods tile time in every zone, whatever its offset does."""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import UsageError
from ledger.periods import day_of_period, day_start, period_containing, period_of_month
from ledger.records import Period

FIRST_YEAR, LAST_YEAR = 2026, 2036
BILLING_DAYS = (1, 15, 28, 29, 30, 31)
QUARTER = timedelta(minutes=15)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


def offsets(zone: str, start: datetime, end: datetime, step: timedelta) -> list[tuple[datetime, timedelta]]:
    """The instants (on the step's grid) at which the zone's offset changes, with the offset from there on."""
    info, found = ZoneInfo(zone), []
    at = start
    while at < end:
        offset = at.astimezone(info).utcoffset()
        if not found or found[-1][1] != offset:
            found.append((at, offset))
        at += step
    return found


@lru_cache(maxsize=1)
def distinct_zones() -> tuple[str, ...]:
    """One zone for each history of offsets over the ten years, sampled every twelve hours."""
    histories: dict[tuple[object, ...], str] = {}
    samples = [utc(FIRST_YEAR, 1, 1) + timedelta(hours=12 * n) for n in range(366 * 2 * (LAST_YEAR - FIRST_YEAR))]
    for zone in sorted(available_timezones() - {"localtime"}):
        info = ZoneInfo(zone)
        # a change of offset always lies between two unequal samples; Casablanca's shortest stretch is a month
        history = tuple(info.utcoffset(at.replace(tzinfo=info)) for at in samples)
        histories.setdefault(history, zone)
    return tuple(sorted(histories.values()))


def walked_day_starts(zone: str, first: date, last: date) -> dict[date, datetime]:
    """By walking: the first instant whose local date is the day or a later one, by quarters, then minutes."""
    info, starts = ZoneInfo(zone), {}
    at = utc(first.year, first.month, first.day) - timedelta(hours=36)
    day = first
    while day <= last:
        while at.astimezone(info).date() < day:
            at += QUARTER
        fine = at - QUARTER
        while fine.astimezone(info).date() < day:
            fine += timedelta(minutes=1)
        starts[day] = fine
        day += timedelta(days=1)
    return starts


def month_anchor(year: int, month: int, billing_day: int) -> date:
    following = date(year + month // 12, month % 12 + 1, 1)
    return min(date(year, month, 1) + timedelta(days=billing_day - 1), following - timedelta(days=1))


def dates_of(year_from: int, year_to: int) -> list[date]:
    first = date(year_from, 1, 1)
    return [first + timedelta(days=n) for n in range((date(year_to, 1, 1) - first).days)]


def critical_dates(zone: str) -> list[date]:
    """The local dates within two days of each change of the zone's offset."""
    days: set[date] = set()
    for at, _ in offsets(zone, utc(FIRST_YEAR, 1, 1), utc(LAST_YEAR, 1, 1), timedelta(hours=12))[1:]:
        days.update(at.date() + timedelta(days=n) for n in range(-2, 3))
    return sorted(days)


def test_zone_histories_of_the_ten_years_are_many_enough_to_mean_something():
    assert len(distinct_zones()) >= 60
    assert {"Africa/Cairo", "Asia/Beirut"} & set(distinct_zones())


def test_days_start_where_a_walk_through_time_finds_them_around_every_change_of_offset():
    for zone in distinct_zones():
        days = critical_dates(zone)
        for first, last in stretches(days):
            for day, start in walked_day_starts(zone, first, last).items():
                assert day_start(day, zone) == start, (zone, day)


def stretches(days: list[date]) -> list[tuple[date, date]]:
    found: list[tuple[date, date]] = []
    for day in days:
        if found and day - found[-1][1] <= timedelta(days=1):
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return found


def test_days_tile_ten_years_and_last_between_20_and_28_hours_in_every_zone():
    for zone in distinct_zones():
        info = ZoneInfo(zone)
        starts = [day_start(day, zone) for day in dates_of(FIRST_YEAR, LAST_YEAR)]
        for day, (start, end) in zip(dates_of(FIRST_YEAR, LAST_YEAR), pairwise(starts), strict=False):
            assert timedelta(hours=20) <= end - start <= timedelta(hours=28), (zone, day)
            assert start.astimezone(info).date() == day
            assert (start - timedelta(seconds=1)).astimezone(info).date() == day - timedelta(days=1)


@pytest.mark.parametrize("billing_day", BILLING_DAYS)
def test_billing_months_tile_ten_years_in_every_zone(billing_day):
    for zone in distinct_zones():
        at = period_containing("billing month", utc(FIRST_YEAR, 1, 1), zone, billing_day).start
        anchors = [month_anchor(y, m, billing_day) for y in range(FIRST_YEAR - 1, LAST_YEAR + 1) for m in range(1, 13)]
        starts = {day_start(anchor, zone) for anchor in anchors}
        while at < utc(LAST_YEAR, 1, 1):
            period = period_containing("billing month", at, zone, billing_day)
            assert period.start == at
            assert period.start in starts
            assert period.end in starts
            last = period.end - timedelta(milliseconds=1)
            assert period_containing("billing month", last, zone, billing_day) == period
            at = period.end


@pytest.mark.parametrize(("window", "weekday"), [("month", None), ("week", 0)])
def test_months_and_weeks_tile_ten_years_and_start_on_the_first_and_on_mondays(window, weekday):
    for zone in distinct_zones():
        info = ZoneInfo(zone)
        at = period_containing(window, utc(FIRST_YEAR, 1, 1), zone).start
        while at < utc(LAST_YEAR, 1, 1):
            period = period_containing(window, at, zone)
            first = period.start.astimezone(info)
            assert period.start == at == day_start(first.date(), zone)
            assert first.weekday() == weekday if weekday is not None else first.day == 1
            assert period_containing(window, period.end - timedelta(milliseconds=1), zone) == period
            at = period.end


def from_seconds(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


@given(
    zone=st.sampled_from(
        [
            "America/Santiago",
            "Asia/Beirut",
            "Africa/Cairo",
            "Europe/Stockholm",
            "Australia/Lord_Howe",
            "Pacific/Apia",
            "Africa/Casablanca",
            "America/St_Johns",
            "Asia/Kathmandu",
            "America/Havana",
        ]
    ),
    window=st.sampled_from(["billing month", "month", "week", "day"]),
    billing_day=st.integers(1, 31),
    at=st.integers(int(utc(1995, 1, 1).timestamp()), int(utc(2037, 12, 31).timestamp())).map(from_seconds),
)
def test_a_period_holds_its_instant_and_its_neighbours_touch_it(zone, window, billing_day, at):
    period = period_containing(window, at, zone, billing_day)
    assert period.start <= at < period.end
    assert period_containing(window, period.end, zone, billing_day).start == period.end
    assert period_containing(window, period.start - timedelta(milliseconds=1), zone, billing_day).end == period.start


@pytest.mark.parametrize(
    ("zone", "day", "start"),
    [
        ("America/Santiago", date(2026, 9, 6), utc(2026, 9, 6, 4)),  # 00:00 does not exist: 01:00 is the first moment
        ("Asia/Beirut", date(2026, 3, 29), utc(2026, 3, 28, 22)),
        ("Africa/Cairo", date(2026, 4, 24), utc(2026, 4, 23, 22)),
        ("America/Havana", date(2026, 11, 1), utc(2026, 11, 1, 4)),  # 00:00 happens twice: 1:00 is set back to it
        ("Europe/Stockholm", date(2026, 3, 29), utc(2026, 3, 28, 23)),
        ("America/Scoresbysund", date(2024, 3, 31), utc(2024, 3, 31, 1)),  # 00:00 is put back to 23:00
        ("America/Toronto", date(1919, 3, 31), utc(1919, 3, 31, 4, 30)),  # 23:30 to 00:30: midnight is inside the gap
        ("Asia/Kathmandu", date(2026, 1, 1), utc(2025, 12, 31, 18, 15)),
    ],
)
def test_a_day_starts_at_its_first_moment(zone, day, start):
    assert day_start(day, zone) == start
    assert walked_day_starts(zone, day, day)[day] == start


def test_a_day_that_a_zone_skipped_is_empty_and_leaves_no_gap():
    zone = "Pacific/Apia"
    starts = [day_start(date(2011, 12, 28) + timedelta(days=n), zone) for n in range(5)]
    assert starts == [
        utc(2011, 12, 28, 10),
        utc(2011, 12, 29, 10),
        utc(2011, 12, 30, 10),
        utc(2011, 12, 30, 10),
        utc(2011, 12, 31, 10),
    ]
    before = period_containing("day", utc(2011, 12, 30, 9, 59), zone)
    after = period_containing("day", utc(2011, 12, 30, 10), zone)
    assert before.end == after.start == utc(2011, 12, 30, 10)
    assert after.end == utc(2011, 12, 31, 10)


def test_a_billing_month_that_would_start_on_a_skipped_day_starts_on_the_next():
    period = period_of_month("2011-12", "Pacific/Apia", 30)
    assert period.start == utc(2011, 12, 30, 10)
    assert period_containing("billing month", utc(2011, 12, 30, 9), "Pacific/Apia", 30).end == period.start


def test_day_31_is_reckoned_from_the_original_day_each_month():
    starts = [period_of_month(month, "UTC", 31).start for month in ("2026-01", "2026-02", "2026-03", "2026-04")]
    assert starts == [utc(2026, 1, 31), utc(2026, 2, 28), utc(2026, 3, 31), utc(2026, 4, 30)]
    assert period_of_month("2028-02", "UTC", 31).start == utc(2028, 2, 29)


def test_a_month_belongs_to_the_customers_own_zone():
    assert period_of_month("2026-10", "Europe/Stockholm") == Period(
        utc(2026, 9, 30, 22), utc(2026, 10, 31, 23), "Europe/Stockholm"
    )


def test_days_of_a_period_follow_the_local_calendar():
    period = period_of_month("2026-10", "Europe/Stockholm")
    assert day_of_period(period, period.start) == 1
    assert day_of_period(period, utc(2026, 10, 24, 21, 59)) == 24
    assert day_of_period(period, utc(2026, 10, 24, 22)) == 25
    assert day_of_period(period, utc(2026, 10, 25, 22, 59)) == 25  # the day of 25 hours
    assert day_of_period(period, utc(2026, 10, 25, 23)) == 26
    assert day_of_period(period, period.end - timedelta(milliseconds=1)) == 31


def test_days_count_from_1_to_the_last_without_a_step_back_in_every_zone():
    for zone in distinct_zones():
        period = period_of_month("2026-10", zone, 15)
        days = [day_of_period(period, at) for at in walk(period, timedelta(hours=3))]
        assert days == sorted(days)
        assert sorted(set(days)) == list(range(1, 32))


def walk(period: Period, step: timedelta) -> list[datetime]:
    return [period.start + n * step for n in range((period.end - period.start) // step)]


def test_the_grid_of_a_day_matches_the_local_date_at_every_quarter_of_a_year():
    for zone in ("America/Santiago", "Africa/Cairo", "Asia/Beirut", "America/Asuncion", "Antarctica/Troll"):
        days = dates_of(2025, 2027)
        starts = [day_start(day, zone) for day in days]
        at, info = utc(2025, 1, 2), ZoneInfo(zone)
        latest = date.min
        while at < utc(2026, 12, 30):
            latest = max(latest, at.astimezone(info).date())  # a clock set back past midnight stays in its new day
            assert days[bisect_right(starts, at) - 1] == latest
            at += QUARTER


@pytest.mark.parametrize("text", ["2026", "2026-13", "2026-1", "10/2026", "", "2026-10-01"])
def test_a_text_that_is_no_month_is_refused_with_an_example(text):
    with pytest.raises(UsageError, match="2026-10"):
        period_of_month(text, "UTC")


@pytest.mark.parametrize("at", [utc(1, 1, 1), utc(9999, 12, 31, 23)])
def test_the_ends_of_the_calendar_are_refused_with_a_sentence(at):
    for zone in ("Europe/Stockholm", "America/New_York", "UTC"):
        for window in ("billing month", "week", "day"):
            try:
                period = period_containing(window, at, zone, 15)
            except UsageError as error:
                assert "calendar" in str(error)
            else:
                assert period.start <= at < period.end


def test_a_naive_time_is_refused():
    with pytest.raises(ValueError, match="naive"):
        period_containing("day", datetime(2026, 10, 1), "UTC")  # noqa: DTZ001 (it is the point)
    with pytest.raises(ValueError, match="billing day 32"):
        period_containing("billing month", utc(2026, 10, 1), "UTC", 32)
