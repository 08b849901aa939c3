"""Cross tables by day and hour: exact, whatever the size, with ids as they are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

from config.models import Aggregation
from ledger.records import Quantity
from logviews.readings import Point, Unit
from tallywatch.cli.series import CrossTable, series

BEYOND = 2**53 + 1  # the first integer that a float cannot hold
DAY = datetime(2026, 10, 24, tzinfo=UTC)


def point(id_: str, day: int, quantity: Quantity | None, *, known: bool = True, zone: str = "UTC") -> Point:
    start = (DAY + timedelta(days=day)).replace(tzinfo=ZoneInfo(zone))
    return Point(id_, known, zone, start.astimezone(UTC), quantity, 1)


def cells(table: CrossTable) -> list[list[object]]:
    return [[row.get(key) for key in (table.head.key, *(column.key for column in table.columns))] for row in table.rows]


def down(points: list[Point], aggregation: Aggregation = "messages", unit: Unit = "day") -> CrossTable:
    return series(points, aggregation, unit, "UTC").customers_down()


def test_quantities_that_no_float_holds_are_added_exactly() -> None:
    table = down([point("a", 0, BEYOND), point("a", 1, 2), point("b", 1, 2**70)])
    assert [column.heading for column in table.columns] == ["10-24", "10-25", "total"]
    assert cells(table) == [
        ["a", BEYOND, 2, BEYOND + 2],
        ["b", None, 2**70, 2**70],
        ["total", BEYOND, 2**70 + 2, 2**70 + BEYOND + 2],
    ]
    assert all(isinstance(value, int) for row in cells(table) for value in row[1:] if value is not None)


def test_fractions_of_a_scaled_sum_are_added_exactly_too() -> None:
    table = down([point("a", 0, Fraction(BEYOND * 100 + 1, 100)), point("a", 1, Fraction(1, 10))], "sum")
    assert cells(table) == [["a", "9007199254740993.01", "0.1", "9007199254740993.11"]]


def test_no_data_is_left_empty_and_is_not_0() -> None:
    assert cells(down([point("a", 0, None), point("a", 1, 5), point("b", 0, None)], "sum")) == [
        ["a", None, 5, 5],
        ["b", None, None, None],
        ["total", None, 5, 5],
    ]


def test_ids_keep_their_leading_zeros_and_may_be_called_like_the_total() -> None:
    table = down([point("007", 0, 1), point("7", 0, 2), point("total", 0, 3), point("nan", 0, 4), point("", 0, 5)])
    assert [row["customer"] for row in table.rows] == ["007", "7", "total", "nan", "", "total"]
    assert [row["0"] for row in table.rows] == [1, 2, 3, 4, 5, 15]


def test_what_cannot_be_added_has_no_totals() -> None:
    assert cells(down([point("a", 0, 3), point("b", 1, 4)], "max")) == [["a", 3, None], ["b", None, 4]]
    assert cells(down([point("a", 0, Fraction(1, 3)), point("a", 1, None)], "average")) == [["a", "0.333333", None]]


def test_customers_of_different_zones_share_a_calendar_day() -> None:
    table = down([point("a", 0, 1, zone="Asia/Tokyo"), point("b", 0, 2, zone="America/New_York")])
    assert cells(table) == [["a", 1, 1], ["b", 2, 2], ["total", 3, 3]]


def test_an_hour_that_the_clock_shows_twice_is_two_hours() -> None:
    first = datetime(2026, 10, 25, 0, tzinfo=UTC)
    zone = "Europe/Stockholm"
    points = [Point("a", True, zone, first + timedelta(hours=hour), 1, 1) for hour in range(2)]
    table = series(points, "messages", "hour", zone).customers_across()
    assert [row["hour"] for row in table.rows] == ["2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00", "total"]


def test_the_roster_comes_first_and_others_are_marked() -> None:
    table = down([point("a", 0, 1, known=False), point("b", 0, 2)])
    assert [row["customer"] for row in table.rows] == ["b", "a (unknown)", "total"]


def test_both_ways_round_say_the_same_and_name_the_year_where_there_are_two() -> None:
    found = series([point("a", 0, 1), point("b", 90, 2)], "messages", "day", "UTC")
    assert [row["day"] for row in found.customers_across().rows] == ["2026-10-24", "2027-01-22", "total"]
    assert [column.heading for column in found.customers_down().columns] == ["2026-10-24", "2027-01-22", "total"]
    assert [column.heading for column in found.customers_across().columns] == ["a", "b", "total"]
