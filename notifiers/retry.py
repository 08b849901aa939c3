"""When a delivery that failed for now is tried again."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

FIRST: Final = timedelta(minutes=1)
LONGEST: Final = timedelta(hours=1)
_STEPS: Final = 1000
_KNUTH: Final = 2_654_435_761  # multiplicative hashing: neighbouring ids fall far apart


def next_attempt(at: datetime, attempts: int, delivery_id: int) -> datetime:
    """The earliest instant of the next attempt, after `attempts` of them, the last one at `at`.

    A minute, doubled with each attempt up to an hour, and up to a quarter more: how much is fixed by the delivery's id,
    so that what failed together does not come back together.
    """
    doublings = min(max(attempts, 1) - 1, 10)
    wait = min(FIRST * (1 << doublings), LONGEST)
    return at + wait + wait / 4 * spread(delivery_id) / _STEPS


def spread(delivery_id: int) -> int:
    """Thousandths, evenly spread over ids that follow one another."""
    return (delivery_id * _KNUTH & 0xFFFFFFFF) * _STEPS >> 32
