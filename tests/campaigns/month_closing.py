"""The month's model: what must have been closed, when, and the bytes of the files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

from month_calendar import billing_month
from month_records import World, contract_span


@dataclass(frozen=True)
class Closed:
    """A statement that must have been closed: when, and the bytes of its file."""

    export: str
    month: str
    billing_day: int
    at: datetime
    content: bytes

    @property
    def path(self) -> str:
        """Where the file must be, below the configuration's folder."""
        day = "" if self.billing_day == 1 else f"-day{self.billing_day}"
        return f"exports/{self.month}/{self.export}{day}.csv"


def closings(
    world: World, store: str, good: range, created: datetime, settle: timedelta, ticks: Sequence[datetime]
) -> Iterator[Closed]:
    """The statements of both layouts that had to be closed, each at the first tick after its periods had settled.

    What ended before the installation was made is left alone.
    """
    for year, month in ((2026, 9), (2026, 10), (2026, 11)):
        for billing_day in sorted({customer.billing_day for customer in world.setups[-1].customers}):
            closed = _closing(world, store, good, (created, settle), ticks, (year, month, billing_day))
            if closed is not None:
                at, statistics, charges = closed
                name = f"{year}-{month:02}"
                yield Closed("statistics", name, billing_day, at, statistics)
                yield Closed("billing", name, billing_day, at, charges)


def _closing(
    world: World, store: str, good: range, when: tuple[datetime, timedelta], ticks: Sequence[datetime],
    which: tuple[int, int, int],
) -> tuple[datetime, bytes, bytes] | None:  # fmt: skip
    (created, settle), (year, month, billing_day) = when, which
    for at in ticks:
        setup = world.setup(at)
        periods = {
            customer: period
            for customer in setup.customers
            if customer.billing_day == billing_day
            and contract_span(customer, period := billing_month(year, month, billing_day, customer.zone)) is not None
        }
        cutoff = max((period.end for period in periods.values()), default=None)
        if cutoff is None or cutoff <= created:
            return None
        if at < cutoff + settle:
            continue
        statistics, charges = [], []
        for customer, period in sorted(periods.items(), key=lambda item: item[0].id.encode()):
            quantity = world.count(store, good, customer, period, at)
            tier = setup.tiers[customer.tier]
            beyond = max(0, quantity - tier.included)
            amount = (beyond * tier.overage).quantize(Decimal("0.01"), ROUND_HALF_UP)
            end = period.end.astimezone(ZoneInfo(customer.zone)).isoformat()
            name = f'"{customer.id}"' if "," in customer.id else customer.id  # RFC 4180
            statistics.append(f"{name},{quantity},{end}")
            charges.append(f"{name},{customer.tier},{quantity},{tier.included},{beyond},{amount}")
        heads = (
            "Customer ID,Total Calls,Timestamp",
            "Customer ID,Tier,Total Calls,Included Calls,Overage Calls,Overage Amount",
        )
        one, other = (
            "\r\n".join([head, *rows, ""]).encode() for head, rows in zip(heads, (statistics, charges), strict=True)
        )
        return at, one, other
    return None
