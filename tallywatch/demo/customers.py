"""The demo's customers: the four of the reference case, and 446 others made up from word lists, always the same."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

ZONE: Final = "Europe/Stockholm"
NUMBER: Final = 450
_SEED: Final = 20261001
_SPREAD: Final = 1.9  # of the logarithm of a customer's size: the largest has some hundred times the median
_ALIASED: Final = 6
_STARTING: Final = 5
_LARGE: Final = 90  # of so many of the largest, every third is on Pro
_COLUMNS: Final = ("id", "aliases", "name", "tier", "emails", "zone", "language", "billing_day", "from", "until")
_FIRST: Final = (
    "Alder", "Amber", "Anvil", "Birch", "Boulder", "Bramble", "Brook", "Cedar", "Cinder", "Cobalt", "Copper", "Coral",
    "Drift", "Ember", "Fern", "Flint", "Garnet", "Harbour", "Hazel", "Heron", "Ivory", "Juniper", "Lantern", "Larch",
    "Linden", "Marble", "Meadow", "Otter", "Pebble", "Quarry", "Raven", "Saffron", "Sorrel", "Thistle", "Tundra",
    "Willow",
)  # fmt: skip
_SECOND: Final = (
    "Analytics", "Bikes", "Books", "Care", "Coffee", "Foods", "Freight", "Health", "Homes", "Labs", "Media", "Outdoor",
    "Pay", "Robotics", "Studios", "Travel",
)  # fmt: skip
_LEGAL: Final = {ZONE: "AB", "Europe/Helsinki": "Oy", "Europe/Berlin": "GmbH", "America/New_York": "Inc."}
_LANGUAGES: Final = {ZONE: ("", "", "sv"), "Europe/Berlin": ("", "de")}


@dataclass(frozen=True, slots=True)
class Pin:
    """A customer's billable calls from the month's start up to `until` are exactly `calls`."""

    until: datetime
    calls: int


@dataclass(frozen=True, slots=True)
class DemoCustomer:
    """One customer: its row of the roster, and how much it uses.

    `share` is the part of all calls of customers without pins that is its own; a customer with pins has none.
    """

    id: str
    name: str
    tier: str
    email: str
    zone: str = ZONE
    language: str = ""
    alias: str | None = None
    start: date | None = None
    share: float = 0.0
    pins: tuple[Pin, ...] = ()


def _local(day: int, hour: int = 0, month: int = 10) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=ZoneInfo(ZONE))


_END: Final = _local(1, month=11)
NEAR: Final = _local(26, 9)
"""The morning on which customer D is told that it is near its limit; a day earlier it is still below 90 %."""

REFERENCE: Final = (
    DemoCustomer("A", "Arvid Freight AB", "basic", "billing@arvid-freight.example", pins=(Pin(_END, 127_450),)),
    DemoCustomer("B", "Bluebell Books AB", "basic", "it@bluebell-books.example", pins=(Pin(_END, 87_230),)),
    DemoCustomer("C", "Cormorant Data AB", "pro", "ops@cormorant-data.example", pins=(Pin(_END, 512_890),)),
    DemoCustomer(
        "D",
        "Dahlia & Ek AB",
        "basic",
        "webshop@dahlia-ek.example",
        pins=(Pin(_local(25, 9), 89_615), Pin(NEAR, 92_340)),
    ),
)
"""The reference case. Where the month of D ends is left to its weekdays and growth."""


def customers() -> tuple[DemoCustomer, ...]:
    """All 450, the reference case first, the others from the largest to the smallest."""
    chance = np.random.Generator(np.random.PCG64(_SEED))
    number = NUMBER - len(REFERENCE)
    sizes = np.sort(np.exp(_SPREAD * chance.standard_normal(number)))[::-1]
    names = chance.permutation(len(_FIRST) * len(_SECOND))[:number]
    zones = chance.choice(list(_LEGAL), size=number, p=[0.7, 0.1, 0.12, 0.08])
    ids = chance.permutation(number) + len(REFERENCE) + 1
    late = set(chance.permutation(np.arange(20, number))[:_STARTING].tolist())
    others = []
    for rank in range(number):
        zone = str(zones[rank])
        name = f"{_FIRST[names[rank] // len(_SECOND)]} {_SECOND[names[rank] % len(_SECOND)]}"
        id_ = f"cust-{ids[rank]:03}"
        others.append(
            DemoCustomer(
                id_,
                f"{name} {_LEGAL[zone]}",
                _tier(rank),
                f"api@{name.lower().replace(' ', '-')}.example",
                zone,
                _language(zone, rank),
                alias=f"{id_}-legacy" if 5 <= rank < 5 + _ALIASED else None,
                start=date(2026, 10, 2 + 3 * (rank % 6)) if rank in late else None,
                share=float(sizes[rank] / sizes.sum()),
            )
        )
    return (*REFERENCE, *others)


def roster_csv(everyone: Sequence[DemoCustomer]) -> str:
    """The roster as a CSV file."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for one in sorted(everyone, key=lambda one: one.id):
        zone = "" if one.zone == ZONE else one.zone
        start = "" if one.start is None else one.start.isoformat()
        writer.writerow((one.id, one.alias or "", one.name, one.tier, one.email, zone, one.language, 1, start, ""))
    return text.getvalue()


def _language(zone: str, rank: int) -> str:
    spoken = _LANGUAGES.get(zone, ("",))
    return spoken[rank % len(spoken)]


def _tier(rank: int) -> str:
    return "pro" if rank < _LARGE and rank % 3 == 0 else "basic"
