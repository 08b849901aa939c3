"""Instants that people write, and those that the program takes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from config.errors import UsageError
from ledger.clock import cut, now, parse_instant


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-10-25T09:00:00+02:00", datetime(2026, 10, 25, 7, tzinfo=UTC)),
        ("2026-10-25T07:00:00Z", datetime(2026, 10, 25, 7, tzinfo=UTC)),
        (" 2026-10-25 07:00:00z ", datetime(2026, 10, 25, 7, tzinfo=UTC)),
        ("2026-10-25T07:00:00.123987Z", datetime(2026, 10, 25, 7, 0, 0, 123_000, tzinfo=UTC)),
    ],
)
def test_a_time_with_an_offset_is_an_instant_cut_to_milliseconds(text, expected):
    assert parse_instant(text) == expected


@pytest.mark.parametrize("text", ["2026-10-25T09:00:00", "2026-10-25", "2026-10-25 09:00"])
def test_a_time_without_an_offset_is_told_what_it_lacks(text):
    with pytest.raises(UsageError, match="has no offset"):
        parse_instant(text)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01T00:00:00Z", "1761379200", "2026-10-25T25:00:00Z"])
def test_anything_else_is_no_time(text):
    with pytest.raises(UsageError, match="is no time"):
        parse_instant(text)


def test_now_is_utc_and_whole_milliseconds():
    moment = now()
    assert moment.utcoffset() == timedelta(0)
    assert moment.microsecond % 1000 == 0
    assert abs(moment - datetime.now(UTC)) < timedelta(seconds=5)


def test_cutting_never_rounds_up_and_refuses_a_naive_time():
    zone = timezone(timedelta(hours=2))
    assert cut(datetime(2026, 1, 1, 1, 59, 59, 999_999, zone)) == datetime(2025, 12, 31, 23, 59, 59, 999_000, UTC)
    with pytest.raises(ValueError, match="naive"):
        cut(datetime(2026, 1, 1))  # noqa: DTZ001 (it is the point)
