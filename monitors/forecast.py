"""The forecast: what a period's quantity will be at its end if it goes on as it went."""

from __future__ import annotations

from datetime import datetime, timedelta
from fractions import Fraction
from typing import Final

from config.models import Aggregation
from ledger.quantities import reduced
from ledger.records import Period, Quantity, Reading

ADDITIVE: Final[frozenset[Aggregation]] = frozenset({"messages", "sum"})
"""What grows with time. Distinct values repeat, and a smallest, largest, average or latest one has no rate."""

_MILLISECOND: Final = timedelta(milliseconds=1)


def straight(reading: Reading, aggregation: Aggregation, span: Period | None = None) -> Quantity | None:
    """The quantity so far, over the time so far, times the whole time: exact.

    `span` is the part of the period in which the subject could have used anything at all (its contract's days), when
    that is not the whole period. None for what does not add up over time, without a quantity, and as long as no time
    has passed. Once all has been counted it is the quantity itself.
    """
    span = span or reading.period
    if reading.quantity is None or aggregation not in ADDITIVE:
        return None
    elapsed = _milliseconds(span.start, min(reading.counted_to, span.end))
    if elapsed <= 0:
        return None
    whole = reading.quantity * _milliseconds(span.start, span.end)
    return reduced(Fraction(whole, elapsed))


def _milliseconds(start: datetime, end: datetime) -> int:
    return (end - start) // _MILLISECOND
