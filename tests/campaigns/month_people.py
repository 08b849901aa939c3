"""Who the customers of the month are, and what they do: two feeds of messages, fixed by a seed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from month_records import Customer, Message, Setup, Tier

END = datetime(2026, 11, 5, tzinfo=UTC)
OLDEST = datetime(2026, 9, 7, tzinfo=UTC)
HOME = "Europe/Stockholm"
ZONES = (HOME, "America/New_York", "Asia/Kathmandu", HOME)
GONE = "gone@customers.example.com"


@dataclass(frozen=True)
class Written:
    """A message and when its line is written; the same one may be written again."""

    at: datetime
    message: Message


def customers_of(people: int) -> Iterator[Customer]:
    for number in range(people):
        name = f"c{number:02}"
        emails: tuple[str, ...] = (f"{name}@customers.example.com",)
        if number == 5:
            emails = ()
        elif number % 7 == 2:
            emails = (emails[0], f"{name}-finance@customers.example.com")
        elif number in (4, 9):
            emails = (GONE, emails[0]) if number == 4 else (GONE,)
        yield Customer(
            id=name if number % 5 else f"C {number}, é",  # blanks, commas and letters are part of an id
            tier="pro" if number % 4 == 3 else "basic",
            emails=emails,
            zone=ZONES[number % 4 if number % 3 else (number // 3) % 4],
            billing_day=(1, 1, 15, 31, 8, 1)[number % 6],
            aliases=(f"{name}-old", f"{name}/eu") if number % 5 == 1 else (),
            valid_from=date(2026, 11, 2) if number == 7 else date(2026, 10, 12) if number % 13 == 8 else None,
            valid_until=date(2026, 11, 3) if number == 10 else date(2026, 10, 21) if number % 13 == 11 else None,
        )
    yield Customer("silent", "basic", ("silent@customers.example.com",), HOME, 1)


def changed_setup(first: Setup, since: datetime, day: date) -> Setup:
    """Somebody new, somebody who buys more, and new prices with half cents."""
    customers = [replace(one, tier="pro") if one.id == "c01" else one for one in first.customers]
    new = Customer("newcomer", "basic", ("new@customers.example.com",), "Asia/Kathmandu", 1, valid_from=day)
    return Setup(since, (*customers, new), {"basic": Tier(390, Decimal("0.10")), "pro": Tier(900, Decimal("0.055"))})


def calls(customers: Sequence[Customer], dice: random.Random) -> list[Written]:
    """Calls: late by up to two days, some twice, some with an id that means something else already."""
    lines: list[Written] = []
    number = 0
    values = [((one.id, *one.aliases), 30.0 if one.tier == "pro" else 10.0) for one in customers if one.id != "silent"]
    values += [(("newcomer",), 8.0), (("stranger",), 3.0), ((None,), 2.0)]
    for names, rate in values:
        eager = dice.uniform(0.6, 2.2)
        for day in range((END - OLDEST).days):
            at = OLDEST + timedelta(days=day)
            busy = 0.5 if at.weekday() >= 5 else 1.2
            for _ in range(round(dice.uniform(0.5, 1.5) * rate * eager * busy)):
                number += 1
                time = at + timedelta(milliseconds=dice.randrange(86_400) * 1000 + dice.randrange(1, 1000))
                status = 200 if dice.random() < 0.92 else 500
                message = Message(f"a{number}", time, dice.choice(names), status, time)
                delay = dice.random()
                most = 50 if delay < 0.85 else 720 if delay < 0.97 else 47 * 60
                first = time + timedelta(seconds=dice.randrange(1, most * 60))
                lines.append(Written(first, message))
                if dice.random() < 0.01:
                    lines.append(Written(first + timedelta(seconds=dice.randrange(20 * 3600)), message))
                if dice.random() < 0.002:  # long after the first of that id was taken in, which is the one that counts
                    liar = replace(message, customer=customers[0].id)
                    lines.append(Written(first + timedelta(hours=40), liar))
    return sorted((line for line in lines if line.at <= END), key=lambda line: line.at)


def syncs(customers: Sequence[Customer], stopped: tuple[datetime, datetime], dice: random.Random) -> list[Written]:
    """A second feed, of which everybody sends a little each day; it stops for a day, and much of that is lost."""
    since, until = stopped
    lines = []
    for one in (one for one in customers if one.id != "silent"):
        for day in range((END - OLDEST).days):
            at = OLDEST + timedelta(days=day)
            for number in range(dice.choice((0, 2, 4, 5, 5, 6, 6, 7))):
                time = at + timedelta(milliseconds=dice.randrange(86_400) * 1000 + dice.randrange(1, 1000))
                written = time + timedelta(seconds=dice.randrange(1, 3000 if dice.random() < 0.95 else 36_000))
                if since <= written < until:
                    if since <= time and dice.random() < 0.6:
                        continue
                    written = until + timedelta(seconds=dice.randrange(1, 20 * 3600))
                lines.append(Written(written, Message(f"s{one.id}-{day}-{number}", time, one.id, 200, time)))
    return sorted((line for line in lines if line.at <= END), key=lambda line: line.at)


def extra_calls(customers: Sequence[Customer], mended: datetime, dice: random.Random) -> Iterator[Written]:
    for number in range(20):
        time = mended - timedelta(milliseconds=dice.randrange(1, 40 * 3_600_000))
        yield Written(time, Message(f"x{number}", time, dice.choice(customers[:3]).id, 200, time))
