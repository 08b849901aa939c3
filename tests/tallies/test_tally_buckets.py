"""Buckets: which stretches of time have to be counted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logviews.tallies import buckets
from logviews.tallies.keys import HOUR, QUARTER, bucket_width

START = datetime(2026, 10, 25, tzinfo=UTC)
MOMENTS = st.integers(0, 3 * 86_400_000).map(lambda number: START + timedelta(milliseconds=number))
WIDTHS = st.sampled_from([HOUR, QUARTER])


@given(first=MOMENTS, last=MOMENTS, width=WIDTHS)
def test_buckets_of_a_stretch_are_those_that_have_an_instant_of_it(
    first: datetime, last: datetime, width: timedelta
) -> None:
    found = buckets.starts(first, last, width)
    if first >= last:
        assert found == [] or found == [buckets.floor(first, width)]
        return
    assert found[0] <= first < found[0] + width
    assert found[-1] < last <= found[-1] + width
    assert all(later - earlier == width for earlier, later in pairwise(found))


@given(stretches=st.lists(st.tuples(MOMENTS, MOMENTS)), first=MOMENTS, last=MOMENTS, width=WIDTHS, at=MOMENTS)
def test_a_moment_of_a_changed_stretch_lies_in_a_touched_bucket(
    stretches: list[tuple[datetime, datetime]], first: datetime, last: datetime, width: timedelta, at: datetime
) -> None:
    first, last = buckets.floor(first, width), buckets.floor(last, width)
    found = buckets.touched(stretches, first, last, width)
    assert all(first <= start < last for start in found)
    if first <= at < last and any(begin <= at < end for begin, end in stretches):
        assert buckets.floor(at, width) in found


@given(chosen=st.sets(st.integers(0, 200)), width=WIDTHS)
def test_runs_have_every_bucket_no_gap_and_are_few(chosen: set[int], width: timedelta) -> None:
    wanted = [START + number * width for number in sorted(chosen)]
    found = buckets.runs(wanted, width)
    together = [start for run in found for start in run]
    assert set(wanted) <= set(together)
    assert together == sorted(set(together))
    assert all(later - earlier == width for run in found for earlier, later in pairwise(run))
    if len(found) <= 4 and len(together) == len(wanted):
        return
    assert all(later[0] - earlier[-1] > timedelta(hours=6) for earlier, later in pairwise(found))


def test_the_last_edge_is_cut_at_the_instant_that_is_counted_to() -> None:
    at = START + timedelta(minutes=90)
    assert buckets.edges([START, START + HOUR], HOUR, at) == (START, START + HOUR, at)


@pytest.mark.parametrize(
    ("zones", "width"),
    [
        ({"UTC", "Europe/Stockholm", "America/New_York"}, HOUR),
        ({"UTC", "Asia/Kathmandu"}, QUARTER),
        ({"Australia/Lord_Howe"}, QUARTER),
        ({"Asia/Kolkata"}, QUARTER),
        ({"Pacific/Apia", "Africa/Cairo"}, HOUR),
    ],
)
def test_a_bucket_is_an_hour_unless_days_begin_off_it(zones: set[str], width: timedelta) -> None:
    assert bucket_width(frozenset(zones)) == width
