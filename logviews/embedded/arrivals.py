"""Arrivals: at which times the messages happened that came in since a mark, which is the number of a part.

Parts are numbered in the order in which they were registered, because one writes at a time. A part that others were
merged into brings nothing new; one that was merged away since counts by the first and last time of its messages.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from duckdb import DuckDBPyConnection

from ledger.parts import Part
from logviews.embedded.scan import parquet
from logviews.times import from_milliseconds, milliseconds

Stretch = tuple[datetime, datetime]

_HOUR: Final = 3_600_000
_INSTANT: Final = timedelta(milliseconds=1)


def hours(connection: DuckDBPyConnection, paths: Sequence[Path], first: datetime, last: datetime) -> list[Stretch]:
    """The hours in `[first, last)` in which these parts have messages. Reads one column of them."""
    if not paths:
        return []
    span = f"time >= make_timestamp_ms({milliseconds(first)}) AND time < make_timestamp_ms({milliseconds(last)})"
    rows = connection.execute(
        f"SELECT DISTINCT epoch_ms(time) // {_HOUR} FROM {parquet(paths)} WHERE {span}"
    ).fetchall()
    return [(from_milliseconds(number * _HOUR), from_milliseconds((number + 1) * _HOUR)) for (number,) in rows]


def span(part: Part) -> Stretch:
    """From a part's first message to its last, inclusive."""
    return part.min_time, part.max_time + _INSTANT


def joined(stretches: Iterable[Stretch], first: datetime, last: datetime) -> tuple[Stretch, ...]:
    """Stretches within `[first, last)` in order, those that meet as one."""
    found: list[Stretch] = []
    for start, end in sorted((max(start, first), min(end, last)) for start, end in stretches):
        if start >= end:
            continue
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return tuple(found)
