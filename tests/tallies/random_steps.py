"""Random steps of a store's life: messages late, early and on whole hours, taken away again, while clocks, rosters and
monitors change. Used short by the tests and long by the campaign."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from random import Random

from tallies_world import CUTS, FRACTIONS, VALUES, ZONES, World, needed, random_line, random_roster

Add = Callable[[datetime, str | None, str], None]


def messages(dice: Random, now: datetime, most: int, add: Add, numbers: Sequence[str] = FRACTIONS) -> None:
    """Some messages of the last hours, days or weeks, a few of the next hours; many on the edge of an hour."""
    for _ in range(dice.randint(0, most)):
        at = now - timedelta(hours=dice.choice([0.1, 1, 10, 24 * 6, 24 * 40]) * dice.random())
        at += timedelta(minutes=dice.choice([0, 0, 30]))
        if dice.random() < 0.2:
            at = at.replace(minute=0, second=0, microsecond=0)
        add(at.replace(microsecond=at.microsecond // 1000 * 1000), dice.choice(VALUES), random_line(dice, numbers))


def later(dice: Random, now: datetime) -> datetime:
    """The next instant: the same one, some minutes or days later, sometimes on the hour."""
    now += timedelta(milliseconds=int(3_600_000 * dice.choice([0, 0.1, 0.3, 1, 5, 30]) * dice.random()))
    return now.replace(minute=0, second=0, microsecond=0) if dice.random() < 0.1 else now


def changes(dice: Random, world: World, now: datetime, zones: tuple[str, ...] = ZONES) -> None:
    """Now and then another roster, or other monitors."""
    if dice.random() < 0.1:
        world.roster = random_roster(dice, now, zones)
    if dice.random() < 0.1:
        world.cuts = frozenset(dice.sample(sorted(CUTS), dice.randint(1, len(CUTS))))


def refresh(dice: Random, world: World, name: str, now: datetime, *, before: int = 1) -> None:
    """Brings one view's tallies up, sometimes in bits; compares everything; recounts and prunes now and then.

    `before` is how many ended periods are compared as well.
    """
    keeper, first = world.keeper(name), needed(world, now, before=before)
    bits = dice.randint(0, 30) if dice.random() < 0.3 else None

    def may_go_on() -> bool:
        nonlocal bits
        bits = None if bits is None else bits - 1
        return bits is None or bits >= 0

    while keeper.bring_up(now, first, may_go_on) is not None:
        world.sound(keeper)
        bits = None
    world.sound(keeper)
    world.compare(name, now, before=before)
    if dice.random() < 0.1:
        keeper.recount(now - timedelta(days=3), now, now)
        world.sound(keeper)
    if dice.random() < 0.05:
        keeper.prune(now + timedelta(days=30), now - timedelta(days=dice.randint(1, 40)), lambda: True)
        world.sound(keeper)
