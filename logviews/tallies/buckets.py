"""Buckets: stretches of UTC time of one width, and which of them have to be counted. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FEW_RUNS: Final = 4
_BRIDGED: Final = timedelta(hours=6)


def floor(at: datetime, width: timedelta) -> datetime:
    """The start of the bucket that an instant lies in."""
    return _EPOCH + (at - _EPOCH) // width * width


def ceiling(at: datetime, width: timedelta) -> datetime:
    """The instant itself where a bucket starts with it, else the end of its bucket."""
    start = floor(at, width)
    return start if start == at else start + width


def starts(first: datetime, last: datetime, width: timedelta) -> list[datetime]:
    """The starts of all buckets that have an instant in `[first, last)`, in order."""
    found, at = [], floor(first, width)
    while at < last:
        found.append(at)
        at += width
    return found


def touched(
    stretches: Iterable[tuple[datetime, datetime]], first: datetime, last: datetime, width: timedelta
) -> set[datetime]:
    """The starts of the buckets in `[first, last)` that any of these stretches has an instant in."""
    return {
        start
        for begin, end in stretches
        for start in starts(max(begin, first), min(end, last), width)
        if first <= start < last
    }


def runs(ordered: Sequence[datetime], width: timedelta) -> list[list[datetime]]:
    """Buckets as runs without a gap, each to be counted by one query.

    Where that would be many, short gaps are counted as well, because a query costs more than a few buckets.
    """
    found = _runs(ordered, width, width)
    return found if len(found) <= _FEW_RUNS else _runs(ordered, width, _BRIDGED)


def _runs(ordered: Sequence[datetime], width: timedelta, reach: timedelta) -> list[list[datetime]]:
    found: list[list[datetime]] = []
    for start in ordered:
        if found and start - found[-1][-1] <= reach:
            found[-1].extend(starts(found[-1][-1] + width, start + width, width))
        else:
            found.append([start])
    return found


def edges(run: Sequence[datetime], width: timedelta, at: datetime) -> tuple[datetime, ...]:
    """The edges of a run's buckets, the last one cut at `at`."""
    return (*run, min(run[-1] + width, at))


def portions(run: Sequence[datetime], size: int) -> Iterator[Sequence[datetime]]:
    """A run in pieces of at most so many buckets."""
    for first in range(0, len(run), size):
        yield run[first : first + size]
