"""Layout `statistics`: how much each customer used, up to which instant."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Final

from config.values import zone_info
from exporters.layouts.layout import Layout, number
from ledger.statements import Line


def _row(line: Line) -> tuple[str, ...]:
    return line.customer, number(line.quantity), _timestamp(line.period.end, line.period.zone)


@lru_cache(maxsize=1024)  # a statement has few period ends and many lines
def _timestamp(end: datetime, zone: str) -> str:
    """The period's end, exclusive, in ISO 8601 with the customer's offset."""
    return end.astimezone(zone_info(zone)).isoformat(timespec="seconds")


STATISTICS: Final = Layout("statistics", ("Customer ID", "Total Calls", "Timestamp"), _row, priced=False)
