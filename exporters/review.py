"""Review: what speaks against sealing a draft as it is, told in sentences for whoever decides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

from config.models import Aggregation
from config.roster import Roster, byte_order
from config.values import zone_info
from exporters.statements import Draft, named
from ledger.periods import day_start
from ledger.quantities import decimal_text
from ledger.records import Period, Quantity
from ledger.statements import Covered, Stated
from logviews.tallies.comparing import Difference

CANNOT_FALL: Final[tuple[Aggregation, ...]] = ("messages", "distinct", "sum", "max")
"""What only grows within a period (a sum as long as no value is negative), so that less means missing messages."""


def held(draft: Draft, stated: Iterable[Stated], tolerance: int) -> str | None:
    """Why a draft must not be sealed: customers were told of more than it counts, by more than `tolerance`.

    None when nobody was. Only notices about the very same view and period are compared; let them be of views that count
    what `CANNOT_FALL`.
    """
    lines = {(line.customer, line.view, line.period.start, line.period.end): line for line in draft.lines}
    told: dict[str, Stated] = {}
    for item in stated:
        line = lines.get((item.customer, item.view, item.period_start, item.period_end))
        if line is not None and item.quantity > (line.quantity or 0) + tolerance:
            worst = told.get(item.customer)
            told[item.customer] = item if worst is None or item.quantity > worst.quantity else worst
    if not told:
        return None
    counted = {line.customer: decimal_text(line.quantity or 0) for line in draft.lines if line.customer in told}
    ids = sorted(told, key=byte_order)
    people = named([f"{id_} (told {decimal_text(told[id_].quantity)}, counted {counted[id_]})" for id_ in ids])
    return (
        f"{draft.key} is held: notices stated more than is counted now, beyond the tolerance of {tolerance}: {people}; "
        f"find out which messages are missing, or raise exports.{draft.key.export}.tolerance"
    )


def differs(draft: Draft, tolerance: int) -> str | None:
    """Why a draft must not be sealed: what it counts of somebody and what was watched of them differ by more than
    `tolerance`. None when nobody's do, or no tallies are kept."""
    people = [
        f"{one.customer} (watched {_said(one.tallied)}, counted {_said(one.counted)})"
        for differing in draft.differences.values()
        for one in differing
        if _beyond(one, tolerance)
    ]
    if not people:
        return None
    views = " ".join(draft.differences)
    return (
        f"{draft.key} is held: the logs come to something else than was watched while they came in, beyond the "
        f"tolerance of {tolerance}: {named(people)}; find out what became of the messages; then run tallywatch recount "
        f"VIEW --period {draft.key.month} (views: {views}), and close again; or raise "
        f"exports.{draft.key.export}.tolerance"
    )


def _beyond(one: Difference, tolerance: int) -> bool:
    if one.tallied is None or one.counted is None:
        return one.tallied != one.counted
    if one.bound:
        return one.counted > one.tallied + tolerance
    return not -tolerance <= one.counted - one.tallied <= tolerance


def _said(quantity: Quantity | None) -> str:
    if quantity is None or isinstance(quantity, int):
        return str(quantity or 0)
    return decimal_text(quantity, 6)


def breaks(draft: Draft, covered: Iterable[Covered], roster: Roster) -> Iterator[str]:
    """Where a draft does not begin where its customers' closed statements end: what is stated twice, and what never.

    Both come from a billing day or a zone that was changed. `covered`: the export's other statements of the months
    around the draft's; only of the month before it is anything expected.
    """
    periods = {line.customer: line.period for line in draft.lines}
    twice: dict[str, Covered] = {}
    ended: dict[str, Covered] = {}
    for item in covered:
        period = periods.get(item.customer)
        if period is None or item.key == draft.key or item.start >= period.end:
            continue
        found = twice if item.end > period.start else ended
        known = found.get(item.customer)
        found[item.customer] = item if known is None or item.end > known.end else known
    if twice:
        people = [f"{id_} (until {_local(one.end, periods[id_])} in {one.key})" for id_, one in _in_order(twice)]
        yield (
            "a part of the period would be stated twice, because a billing day or zone was changed and a closed "
            f"statement has it already: {named(people)}"
        )
    since = {id_: max(one.end, _contract_start(roster, id_) or one.end) for id_, one in _in_order(ended)}
    people = [
        f"{id_} (from {_local(at, periods[id_])})"
        for id_, at in since.items()
        if id_ not in twice and at < periods[id_].start
    ]
    if people:
        yield (
            "the time between this period and the one before is in no statement, because a billing day or zone was "
            f"changed: {named(people)}"
        )


def _in_order(found: dict[str, Covered]) -> list[tuple[str, Covered]]:
    return sorted(found.items(), key=lambda item: byte_order(item[0]))


def _contract_start(roster: Roster, id_: str) -> datetime | None:
    customer = roster.find(id_)
    if customer is None or customer.valid_from is None:
        return None
    return day_start(customer.valid_from, customer.zone)


def _local(at: datetime, period: Period) -> str:
    return at.astimezone(zone_info(period.zone)).isoformat(timespec="seconds")
