"""The month that is played: who the customers are, what they do, and everything that goes wrong, fixed by a seed.

The month ends on 5 November 2026, so that October has closed by then in every zone; a shorter form is its last days.
In it lie the end of summer time in Stockholm and in New York.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from month_people import END, HOME, Written, calls, changed_setup, customers_of, extra_calls, syncs
from month_records import Message, Monitor, Setup, Tier, World
from month_schedule import HOUR, Step, monitors_of, usual_week

LATENESS = timedelta(hours=48)
SETTLE = timedelta(hours=72)
STALE_AFTER = timedelta(hours=5)
FAULTS = ("refuse", "451", "drop DATA", "drop after dot", "421", "refuse", "451")


@dataclass(frozen=True)
class Plan:
    """The whole month."""

    start: datetime
    steps: tuple[Step, ...]
    backlog: Mapping[str, tuple[Written, ...]]
    extra: tuple[Written, ...]
    setups: tuple[Setup, ...]
    monitors: tuple[Monitor, ...]
    messages: Mapping[str, tuple[Message, ...]]
    refused_at: datetime
    bad_file_at: datetime
    every_minutes: int

    @property
    def ticks(self) -> tuple[datetime, ...]:
        """When the service ticks."""
        return tuple(step.at for step in self.steps if step.up)

    @property
    def lost(self) -> frozenset[datetime]:
        """When nothing could be counted in the store `api`."""
        return frozenset(step.at for step in self.steps if step.lost)

    def world(self) -> World:
        """The month for the model."""
        stale = dict.fromkeys(self.messages, STALE_AFTER)
        return World(HOME, self.messages, stale, self.setups, {"api": self.lost, "sync": frozenset()})


def plan(days: int, seed: int, people: int, step: timedelta) -> Plan:
    """The last `days` days up to the end, for so many customers, in steps of that length."""
    dice = random.Random(seed)
    start = END - timedelta(days=days)
    customers = tuple(customers_of(people))
    steps = _steps(start, step, dice)
    stopped = _at(start, 0.55), _at(start, 0.55) + (timedelta(hours=26) if days >= 10 else timedelta(hours=14))
    written = {
        "api": calls(customers, dice),
        "sync": syncs(customers, stopped, dice),
    }
    backlog = {store: tuple(line for line in lines if line.at <= start) for store, lines in written.items()}
    reload = next(number for number, item in enumerate(steps) if item.change == "reload")
    bad, mended = (next(item.at for item in steps if item.extra == kind) for kind in ("bad", "mended"))
    extra = tuple(extra_calls(customers, mended, dice))
    messages = {store: [replace(line.message, seen=start) for line in lines] for store, lines in backlog.items()}
    filled = []
    for number, item in enumerate(steps):
        since = steps[number - 1].at if number else start
        lines = {store: _between(found, since, item.at) for store, found in written.items()}
        for store, ones in lines.items():
            late = item.partial and store == "api"
            for one in ones:
                seen = steps[number + 1].at if late and one is ones[-1] else item.at
                messages[store].append(replace(one.message, seen=seen))
        filled.append(replace(item, lines=lines))
    messages["api"] += [replace(line.message, seen=mended) for line in extra]
    first = Setup(start, customers, {"basic": Tier(300, Decimal("0.10")), "pro": Tier(900, Decimal("0.05"))})
    setups = (first, changed_setup(first, steps[reload + 1].at, steps[reload].at.date()))
    broken = next(number for number, item in enumerate(steps) if item.change == "broken")
    monitors = monitors_of(steps, step, setups[1].since, usual_week(written["api"], customers))
    return Plan(
        start=start,
        steps=tuple(filled),
        backlog=backlog,
        extra=extra,
        setups=setups,
        monitors=tuple(monitors),
        messages={store: tuple(found) for store, found in messages.items()},
        refused_at=steps[broken + 1].at,
        bad_file_at=bad,
        every_minutes=int(step / timedelta(minutes=1)),
    )


def _between(lines: list[Written], since: datetime, until: datetime) -> tuple[Written, ...]:
    """What is written after one instant, up to another."""
    first, last = (bisect_right(lines, at, key=lambda line: line.at) for at in (since, until))
    return tuple(lines[first:last])


def _at(start: datetime, share: float) -> datetime:
    """A whole hour so far into the month."""
    hours = int((END - start) / HOUR * share)
    return start + hours * HOUR


def _steps(start: datetime, length: timedelta, dice: random.Random) -> list[Step]:
    down = _at(start, 0.36), _at(start, 0.36) + (timedelta(hours=30) if END - start > timedelta(10) else 8 * HOUR)
    midnight = _at(start, 0.63).replace(hour=0) + timedelta(days=1)  # logs are rotated while the store is out of reach
    lost = midnight - 3 * HOUR, midnight + (6 * HOUR if length > HOUR else 2 * HOUR)
    faults = list(_faults(start, dice))
    instants = {start + number * length for number in range((END - start) // length + 1)}
    instants |= {at + length / 2 for at in sorted(instants) if dice.random() < 0.25 and at + length / 2 < END}
    instants.add(down[1] + timedelta(minutes=17))
    steps = []
    for at in sorted(instants):
        fault = next((kind for since, until, kind in faults if since <= at < until), "")
        steps.append(Step(at, up=not down[0] <= at <= down[1], fault=fault, lost=lost[0] <= at < lost[1]))
    _mark(steps, _at(start, 0.15), change="broken")
    _mark(steps, _at(start, 0.15), 3, change="again")
    _mark(steps, _at(start, 0.15), 5, change="mend")
    _mark(steps, _at(start, 0.45), change="reload")
    _mark(steps, _at(start, 0.70), extra="bad")
    _mark(steps, _at(start, 0.80), extra="mended")
    quiet = {number + more for number, item in enumerate(steps) if item.change or item.extra for more in (0, 1, 2)}
    often = 0.1 if length <= HOUR else 0.25
    day = start.date()
    for number, item in enumerate(steps):
        turned, day = item.at.date() != day, item.at.date()
        steady = number and number + 1 < len(steps) and steps[number - 1].up and item.up and steps[number + 1].up
        kill = dice.randrange(40) if item.up and number not in quiet and dice.random() < often else None
        partial = bool(steady) and dice.random() < 0.2
        steps[number] = replace(item, rotate=turned, kill=kill, partial=partial)
    return steps


def _mark(steps: list[Step], at: datetime, more: int = 0, *, change: str = "", extra: str = "") -> None:
    number = next(number for number, item in enumerate(steps) if item.at >= at) + more
    steps[number] = replace(steps[number], change=change, extra=extra)
    assert steps[number].up


def _faults(start: datetime, dice: random.Random) -> Iterator[tuple[datetime, datetime, str]]:
    """Hours at a time at which the mail server fails, one after another; the last day it is well."""
    hours = (END - timedelta(days=1) - start) / HOUR
    slot = hours / len(FAULTS)
    for number, kind in enumerate(FAULTS):
        since = start + timedelta(hours=slot * number + dice.uniform(0, slot / 2))
        yield since, since + timedelta(hours=min(dice.uniform(3, 9), slot / 2)), kind
