"""A CSV of 100,000 customers: pricing, rendering, writing and sealing, in one run.

    python benchmarks/csv_layout.py [customers]

The issue asks for at most 2 s for the CSV (rendering and writing).
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

from config.models import MeterPrice
from exporters import pricing
from exporters.closing import seal
from exporters.disk import write_atomically
from exporters.files import write_month
from exporters.seal import render
from exporters.statements import Draft
from ledger.database import open_database
from ledger.periods import period_of_month
from ledger.statements import Line, StatementKey

ZONES = ("Europe/Stockholm", "America/New_York", "Asia/Kathmandu", "UTC")
LIMIT_SECONDS = 2.0
Result = TypeVar("Result")


def measured(name: str, times: dict[str, float], work: Callable[[], Result]) -> Result:
    """Does some work and notes its seconds."""
    started = time.perf_counter()
    result = work()
    times[name] = time.perf_counter() - started
    return result


def lines(customers: int) -> tuple[Line, ...]:
    """Priced lines of so many customers in four zones, every tenth with an id that has to be quoted."""
    price = MeterPrice(included=100_000, overage=Decimal("0.01"))
    made = []
    for number in range(customers):
        id_ = f"customer-{number:07}" if number % 10 else f'customer-{number:07}, "quoted"'
        quantity = number * 37 % 250_000
        charge = pricing.charge(quantity, price, 2)
        period = period_of_month("2025-10", ZONES[number % 4])
        made.append(
            Line(id_, "calls", "basic", "calls", period, quantity, price.included, charge.overage, charge.amount)
        )
    return tuple(made)


def main() -> None:
    """Measures each step and prints the table."""
    customers = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    times: dict[str, float] = {}
    now = datetime.now(UTC)
    with tempfile.TemporaryDirectory() as work:
        base = Path(work)
        database = open_database(f"sqlite:///{base}/ledger.db", simulation=False, now=now)
        priced = measured("price", times, lambda: lines(customers))
        for layout in ("statistics", "charges"):
            content = measured(f"{layout}: render", times, lambda: render(layout, priced))  # noqa: B023  # called at once
            measured(f"{layout}: write", times, lambda: write_atomically(base / "x.csv", content))  # noqa: B023  # as above
        key = StatementKey("billing", "2025-10", 1)
        draft = Draft(key, "charges", "USD", 2, now, now, (), (), priced, ())
        measured("seal in the ledger", times, lambda: seal(database, draft, at=now, approved="auto", actor="benchmark"))
        measured("write again from the ledger", times, lambda: write_month(database, base, "2025-10"))
        database.close()
    whole = times["charges: render"] + times["charges: write"]
    print(f"{customers:,} customers")
    print(f"{'step':30} {'seconds':>8} {'of the CSV':>11}")
    for name, seconds in times.items():
        print(f"{name:30} {seconds:8.3f} {seconds / whole:10.2f}x")
    print(f"CSV (charges, rendered and written): {whole:.3f} s, {whole / LIMIT_SECONDS:.0%} of what is allowed")


if __name__ == "__main__":
    main()
