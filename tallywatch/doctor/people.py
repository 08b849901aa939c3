"""The roster against the monitors: customers who should be told, and cannot be."""

from __future__ import annotations

from collections.abc import Iterator

from config.load import Loaded
from config.roster import people
from tallywatch.doctor.finding import Check, Finding, ok, warning


def roster(loaded: Loaded) -> Iterator[Finding]:
    """Customers without an address whom a monitor tells. That each has the tier a percentage needs, loading checks."""
    if loaded.roster.open:
        yield ok(Check.ROSTER, "", "there is none, so every customer value found is a customer, and none is told")
        return
    complete = True
    for name, monitor in loaded.config.monitors.items():
        if not any("customer" in route.to for route in monitor.notify.values()):
            continue
        without = [member for member in loaded.roster.selected(loaded.config.views[monitor.view]) if not member.emails]
        if without:
            complete = False
            found = f"{people(without)} no address, and would be told nothing"
            yield warning(Check.ROSTER, f"monitor {name}", found, "add addresses to the roster")
    if complete:
        number = len(loaded.roster.customers)
        told = "1 customer" if number == 1 else f"{number:,} customers"
        yield ok(Check.ROSTER, "", f"{told}; whoever is told by a monitor has an address")
