"""450 customers over two months: who they are, what they use, and by plain counting who has to be told what and when.

Nothing here is ours or ElastAlert2's: the wanted notices come from the messages alone.
"""

from __future__ import annotations

import json
import random
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final

INCLUDED: Final = {"tier-1": 60, "tier-2": 80, "tier-3": 100, "tier-4": 120, "tier-5": 150, "tier-6": 200}
PER_TIER: Final = 75
LEAST: Final = 5
MONTHS: Final = (
    datetime(2026, 10, 1, tzinfo=UTC),
    datetime(2026, 11, 1, tzinfo=UTC),
    datetime(2026, 12, 1, tzinfo=UTC),
)
FIRST, LAST = datetime(2026, 10, 1, 6, tzinfo=UTC), datetime(2026, 12, 3, 6, tzinfo=UTC)
RESTART: Final = datetime(2026, 10, 17, 6, tzinfo=UTC)
DAY: Final = timedelta(days=1)
SETTLE: Final = timedelta(days=7)
"""How long after a month's end a low one may be told of and is not late; the same before, for windows that slide."""


@dataclass(frozen=True)
class Group:
    """Customers who behave alike. Shares of what is included, in October and November; `few` are messages instead."""

    name: str
    first_tier: int
    other_tiers: int
    october: tuple[float, float] = (0.3, 0.6)
    november: tuple[float, float] = (0.3, 0.6)
    few: tuple[int, int] | None = None


GROUPS: Final = (
    Group("over in both months", 30, 4, (1.1, 1.7), (1.1, 1.7)),
    Group("over in October alone", 28, 3, (1.1, 2.4), (0.2, 0.4)),
    Group("over in November alone", 6, 6, (0.3, 0.6), (1.1, 2.4)),
    Group("near the limit in both months", 3, 4, (0.93, 0.98), (0.93, 0.98)),
    Group("never seen at all", 2, 2, few=(0, 0)),
    Group("silent from November", 2, 2, few=(20, 0)),
    Group("a few messages", 2, 2, few=(3, 3)),
    Group("within its limits", 2, 52),
)


@dataclass(frozen=True)
class Person:
    """A customer, and the instants of its messages."""

    id: str
    tier: str
    group: str
    times: tuple[datetime, ...] = field(repr=False)

    @property
    def included(self) -> int:
        """Messages a month."""
        return INCLUDED[self.tier]

    @property
    def warning(self) -> int:
        """More than this many are a warning: 90%."""
        return self.included * 9 // 10

    def used(self, start: datetime, end: datetime) -> int:
        """Messages in a stretch of time."""
        return bisect_left(self.times, end) - bisect_left(self.times, start)


@dataclass(frozen=True, order=True)
class Wanted:
    """A notice that has to be sent: what, to whom, about which month, and at which pass it is due."""

    customer: str
    kind: str
    month: datetime
    due: datetime = field(compare=False)


def people(seed: int) -> tuple[Person, ...]:
    """All customers, the same each time for a seed."""
    chance = random.Random(seed)
    found = []
    for tier in INCLUDED:
        members = [
            group for group in GROUPS for _ in range(group.first_tier if tier == "tier-1" else group.other_tiers)
        ]
        assert len(members) == PER_TIER, (tier, len(members))
        for number, group in enumerate(members):
            id_ = f"c-{tier[-1]}{number:02}"
            found.append(Person(id_, tier, group.name, tuple(_times(chance, group, INCLUDED[tier]))))
    return tuple(found)


def _times(chance: random.Random, group: Group, included: int) -> Iterator[datetime]:
    """Evenly over each month, so that a warning is due days before a limit is crossed."""
    for month, shares in enumerate((group.october, group.november)):
        number = int(included * chance.uniform(*shares)) if group.few is None else group.few[month]
        start, end = MONTHS[month], MONTHS[month + 1]
        step = (end - start) / max(number, 1)
        yield from (start + step * (place + chance.uniform(0.2, 0.8)) for place in range(number))


def documents(persons: Sequence[Person]) -> list[tuple[datetime, str, str]]:
    """All messages in the order of their times: instant, id, JSON text."""
    found = []
    for person in persons:
        for number, at in enumerate(person.times):
            at = at.replace(microsecond=at.microsecond // 1000 * 1000)  # noqa: PLW2901 (as it is written)
            text = at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03}Z"
            id_ = f"{person.id}-{number}"
            message = {
                "@timestamp": text,
                "event": {"id": id_, "ingested": text},
                "customer": {"id": person.id, "tier": person.tier},
                "service": {"name": "public-api"},
            }
            found.append((at, id_, json.dumps(message)))
    return sorted(found)


def passes() -> list[datetime]:
    """The instants at which everybody looks: daily."""
    return [FIRST + timedelta(days=number) for number in range((LAST - FIRST).days + 1)]


def wanted(persons: Sequence[Person]) -> list[Wanted]:
    """Each notice that has to be sent, by looking at every customer at every pass, and at the end of each month."""
    found = []
    for person in persons:
        for month, end in pairwise(MONTHS):
            ended = next(at for at in passes() if at >= end)
            looks = [at for at in passes() if month < at <= ended]  # the last one still sees how the month ended
            for kind in ("warning", "max"):
                due = next((at for at in looks if exceeds(person, kind, month, min(at, end))), None)
                if due is not None:
                    found.append(Wanted(person.id, kind, month, due))
            if person.used(month, end) < LEAST:
                found.append(Wanted(person.id, "low", month, ended))
    return found


def exceeds(person: Person, kind: str, month: datetime, at: datetime) -> bool:
    """Whether by that instant more was used in the month than a kind of notice allows."""
    return person.used(month, at) > (person.included if kind == "max" else person.warning)


def true_of(person: Person, kind: str, at: datetime) -> datetime | None:
    """The month that a notice sent at that instant is true of; None where what it says is not so.

    A low month may be told of from a week before its end, when a window that slides over 31 days may see it.
    """
    if kind == "low":
        for month, end in pairwise(MONTHS):
            if end - SETTLE <= at <= end + SETTLE and person.used(month, end) < LEAST:
                return month
        return None
    for month, end in pairwise(MONTHS):
        if month < at < end + DAY and exceeds(person, kind, month, min(at, end)):
            return month
    return None


def by_id(persons: Sequence[Person]) -> Mapping[str, Person]:
    """Customers by their ids."""
    return {person.id: person for person in persons}


def by_group(persons: Sequence[Person]) -> Mapping[str, list[Person]]:
    """Customers by what they do, in the order of `GROUPS`."""
    found: dict[str, list[Person]] = defaultdict(list)
    for person in persons:
        found[person.group].append(person)
    return {group.name: found[group.name] for group in GROUPS}
